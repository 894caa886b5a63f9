"""Monte Carlo in water against what is known of a 6 MV beam; figures for Testing/VALIDATION.md.

Each case prints its figure and that figure's noise (one standard deviation, from batches).
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from SyntheticCTEvalLib.montecarlo import calculation
from SyntheticCTEvalLib.montecarlo.source import plan_source
from SyntheticCTEvalLib.montecarlo.tables import scattering_tables, water_tables
from SyntheticCTEvalLib.plan.beams import Beam, ControlPoint, TreatmentPlan
from SyntheticCTLib.basics.progress import terminal_progress
from SyntheticCTLib.volumes.grids import grid_of


def open_field(half_mm: float, isocentre_mm=(0.0, 0.0, 0.0), gantry_deg: float = 0.0):
    """A square field of 100 MU."""
    points = tuple(
        ControlPoint(w, gantry_deg, jaws_x_mm=(-half_mm, half_mm), jaws_y_mm=(-half_mm, half_mm))
        for w in (0.0, 1.0)
    )
    return TreatmentPlan((Beam(1, "open", isocentre_mm, points, 100.0),))


def water(size, spacing_mm):
    """A grid whose top (least y) lies at y = 0, x and z centred, and its water."""
    origin = (
        -(size[0] - 1) / 2 * spacing_mm[0],
        spacing_mm[1] / 2,
        -(size[2] - 1) / 2 * spacing_mm[2],
    )
    grid = grid_of(size, spacing_mm, origin)
    density = np.ones(size[::-1], dtype=np.float32)
    return grid, calculation.Volume(density, np.ones(density.shape, dtype=bool))


def batches(plan, grid, volume, histories, count=10, seed=1):
    source = plan_source(plan)
    tables = water_tables(scattering_tables(terminal_progress()))
    run = calculation.Calculation(source, [volume], grid, tables, seed)
    return np.stack([run.batch(n, int(histories / count))[0] for n in range(count)])


def told(values) -> str:
    return f"{np.mean(values):.4f} +- {np.std(values, ddof=1) / np.sqrt(len(values)):.4f}"


def axis_dose(dose, half_voxels):
    """Depth dose on the axis: a parabola across it is fitted to what lies near, plane by plane."""
    nz, _, nx = dose.shape
    z, x = np.arange(nz) - (nz - 1) / 2, np.arange(nx) - (nx - 1) / 2
    near_z, near_x = np.abs(z) <= half_voxels, np.abs(x) <= half_voxels
    part = dose[near_z][:, :, near_x]
    r2 = (z[near_z, None] ** 2 + x[near_x] ** 2).ravel()
    model = np.stack([np.ones_like(r2), r2], axis=1)
    return np.linalg.lstsq(model, part.transpose(0, 2, 1).reshape(len(r2), -1), rcond=None)[0][0]


def calibrate(histories: float) -> None:
    """Energy per mass at 10 cm depth of one photon a mm2: SSD 90 cm, field 10 x 10 cm."""
    grid, volume = water((60, 45, 60), (5.0, 5.0, 5.0))
    plan = open_field(50.0, (0.0, 100.0, 0.0))
    gray = batches(plan, grid, volume, histories)
    depth = (np.arange(45) + 0.5) * 0.5
    near = (depth > 6.5) & (depth < 13.5)
    at_10 = [
        np.polynomial.Polynomial.fit(depth[near], axis_dose(dose, 6)[near], 2)(10.0)
        for dose in gray
    ]
    per_photon = np.array(at_10) / (
        100 * calculation.GRAY_PER_MEV_PER_GRAM * calculation.PHOTONS_PER_MU
    )
    print("MEV_PER_GRAM_AT_10_CM", told(per_photon), "Gy of 100 MU", told(at_10))


def depth_dose(histories: float) -> None:
    """PDD(10) and dmax: SSD 100 cm, field 10 x 10 cm."""
    grid, volume = water((60, 140, 60), (5.0, 2.0, 5.0))
    gray = batches(open_field(50.0), grid, volume, histories)
    depth = (np.arange(140) + 0.5) * 0.2
    pdd, where = [], []
    for dose in gray:
        curve = axis_dose(dose, 6)
        near = (depth > 0.8) & (depth < 3.2)
        fit = np.polynomial.Polynomial.fit(depth[near], curve[near], 4)
        fine = np.linspace(0.8, 3.2, 500)
        top = fit(fine).max()
        where.append(fine[fit(fine).argmax()])
        around = (depth > 8) & (depth < 12)
        ten = np.polynomial.Polynomial.fit(depth[around], curve[around], 2)(10.0)
        pdd.append(100 * ten / top)
    print("PDD(10) %", told(pdd), " dmax cm", told(where))
    curve = axis_dose(gray.mean(axis=0), 6)
    print("depth dose %", np.round(100 * curve[:30] / curve.max(), 1).tolist())


CASES = {"calibrate": calibrate, "depth_dose": depth_dose}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("case", choices=CASES)
    parser.add_argument("--histories", type=float, default=2e7)
    arguments = parser.parse_args()
    started = time.time()
    CASES[arguments.case](arguments.histories)
    print(f"{time.time() - started:.0f} s")
