"""Monte Carlo in water against what is known of a 6 MV beam; figures for Testing/VALIDATION.md.

Depth doses and the calibration of spectra are measured by montecarlo_slabs.py.

Each case prints its figure and that figure's noise (one standard deviation, from batches).
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from SyntheticCTEvalLib.montecarlo import calculation
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
    tables = water_tables(scattering_tables(terminal_progress()))
    run = calculation.Calculation(plan, [volume], grid, tables, seed)
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


def reference(histories: float) -> None:
    """Against pyRadMC's own reference engine: a beam of 2 MeV, energy by depth and by radius."""
    from pyradmc import AnalyticCrossSections, HostRNG, PencilBeamSource, ReferenceEngine, VoxelGrid
    from SyntheticCTEvalLib.montecarlo.transport import Medium, follow

    count, size = int(histories), (31, 31, 30)
    water_grid = VoxelGrid.uniform_water(shape=size, spacing=(1.0, 1.0, 1.0))
    cross_sections = AnalyticCrossSections(geometry_densities=water_grid.max_density_by_material())
    beam = PencilBeamSource(energy=2.0, position=(15.5, 15.5, -1.0), direction=(0.0, 0.0, 1.0))
    engine = ReferenceEngine(grid=water_grid, cross_sections=cross_sections, rng=HostRNG())
    found = engine.run(beam, n_histories=count, n_batches=10, seed=1)
    theirs = found.dose * 1.0  # MeV a history and voxel of 1 g
    own_count = 20 * count
    energy = np.zeros(size[::-1])
    medium = Medium(
        np.ones(energy.shape, np.float32), 1.0, (0.0,) * 3, (1.0,) * 3, (31.0, 31.0, 30.0)
    )
    start = np.tile([15.5, 15.5, -1.0], (own_count, 1))
    along = np.tile([0.0, 0.0, 1.0], (own_count, 1))
    tables = water_tables(scattering_tables())
    follow(np.full(own_count, 2.0), start, along, 1, 0, medium, tables, energy)
    ours = energy.transpose(2, 1, 0) / own_count
    x = np.arange(31) - 15
    radius = np.hypot(x[:, None], x)
    spread = found.dose_sigma**2
    for name, part in (
        ("depth 0 to 3 cm", np.s_[:, :, :3]),
        ("depth 3 to 10 cm", np.s_[:, :, 3:10]),
        ("depth 10 to 30 cm", np.s_[:, :, 10:]),
        ("beyond 1.5 cm from the axis", radius > 1.5),
        ("beyond 5 cm from the axis", radius > 5),
        ("all", np.s_[:, :, :]),
    ):
        sigma = np.sqrt(spread[part].sum()) / theirs[part].sum()
        ratio = ours[part].sum() / theirs[part].sum()
        print(f"energy, {name}: {ratio:.4f} of pyRadMC's, whose noise is {sigma:.4f}")


def output_factors(histories: float) -> None:
    """Dose at 10 cm depth, SSD 90 cm, of square fields against 10 x 10 cm."""
    grid, volume = water((60, 45, 60), (5.0, 5.0, 5.0))
    depth = (np.arange(45) + 0.5) * 0.5
    near = (depth > 6.5) & (depth < 13.5)
    found = {}
    for half in (25.0, 50.0, 100.0):
        gray = batches(open_field(half, (0.0, 100.0, 0.0)), grid, volume, histories)
        found[half] = np.array(
            [
                np.polynomial.Polynomial.fit(
                    depth[near], axis_dose(dose, 3 if half < 40 else 6)[near], 2
                )(10.0)
                for dose in gray
            ]
        )
    for half, dose in found.items():
        print(f"{half / 5:g} x {half / 5:g} cm: {told(dose)} Gy of 100 MU")


def arc(histories: float) -> None:
    """An arc against the sum of its control points' still fields, in a cylinder of water."""
    from itertools import pairwise

    angles = np.arange(0.0, 361.0, 10.0) % 360
    jaws = {"jaws_x_mm": (-20.0, 30.0), "jaws_y_mm": (-25.0, 25.0)}
    turning = tuple(
        ControlPoint(n / 36, float(angle), "CW", **jaws) for n, angle in enumerate(angles)
    )
    centre = (0.0, 100.0, 0.0)
    still = tuple(
        Beam(
            n + 1,
            "still",
            centre,
            tuple(ControlPoint(w, (one + 5.0) % 360, **jaws) for w in (0.0, 1.0)),
            100.0 / 36,
        )
        for n, (one, _) in enumerate(pairwise(angles))
    )
    grid, volume = water((40, 40, 20), (5.0, 5.0, 5.0))
    i, j = np.arange(40) - 19.5, np.arange(40) - 19.5
    inside = np.broadcast_to(np.hypot(j[:, None], i) < 18, volume.density.shape)
    volume = calculation.Volume(np.where(inside, volume.density, np.float32(0.001)), inside)
    plans = TreatmentPlan((Beam(1, "arc", centre, turning, 100.0),)), TreatmentPlan(still)
    one, other = (
        batches(plan, grid, volume, histories, seed=n) for n, plan in enumerate(plans, start=1)
    )
    high = one.mean(axis=0) > 0.5 * one.mean(axis=0).max()
    print("high dose, arc / still", told(one[:, high].mean(axis=1) / other[:, high].mean()))
    low = inside & (one.mean(axis=0) > 0.1 * one.mean(axis=0).max()) & ~high
    print("low dose, arc / still", told(one[:, low].mean(axis=1) / other[:, low].mean()))


def geometry(histories: float) -> None:
    """Inverse square, penumbra, a leaf gap, and oblique incidence."""
    from SyntheticCTEvalLib.plan.beams import MultiLeafCollimator

    grid, volume = water((60, 45, 60), (5.0, 5.0, 5.0))
    depth = (np.arange(45) + 0.5) * 0.5
    found = []
    for ssd in (900.0, 1100.0):  # the same field at the surface, the same scatter
        plan = open_field(50.0 * 1000 / (ssd + 100), (0.0, 1000 - ssd, 0.0))
        dose = batches(plan, grid, volume, histories / 4)
        found.append(np.array([axis_dose(d, 6)[14:26].mean() for d in dose]))
    ratio = found[1] / found[0].mean()
    print("SSD 110 / SSD 90, 7 to 13 cm", told(ratio), f"inverse square {(100 / 120) ** 2:.4f}")
    fine, tank = water((120, 22, 12), (1.0, 10.0, 10.0))
    dose = batches(open_field(40.0, (0.0, 100.0, 0.0)), fine, tank, histories / 4).mean(axis=0)
    profile = dose[3:9, 9:11].mean(axis=(0, 1))
    profile = (profile + profile[::-1]) / 2
    x, half = np.arange(120) - 59.5, slice(60, None)
    top = profile[40:80].mean()
    at = [np.interp(-level, -profile[half] / top, x[half]) for level in (0.8, 0.5, 0.2)]
    print(f"penumbra 80 to 20 % at 10 cm {at[2] - at[0]:.2f} mm; half width {at[1]:.2f} mm of 40")
    mlc = MultiLeafCollimator("X", tuple(np.arange(-60.0, 61.0, 10.0).tolist()))
    states = tuple(
        ControlPoint(
            w,
            0.0,
            jaws_x_mm=(-60.0, 60.0),
            jaws_y_mm=(-50.0, 50.0),
            leaves_mm=np.tile([-60.0 + 115 * w, -55.0 + 115 * w], (12, 1)),
        )
        for w in (0.0, 1.0)
    )
    gap = TreatmentPlan((Beam(1, "gap", (0.0, 100.0, 0.0), states, 2400.0, mlc=mlc),))
    swept = batches(gap, grid, volume, histories / 4)
    wide = batches(open_field(50.0, (0.0, 100.0, 0.0)), grid, volume, histories / 4)
    dose = [np.array([axis_dose(d, 6)[14:26].mean() for d in one]) for one in (swept, wide)]
    print(
        "gap of 5 mm swept over 12 cm, 2400 MU / open 12 x 10 cm field of 100 MU (10 x 10 here)",
        told(dose[0] / dose[1].mean()),
    )
    slanted = batches(open_field(25.0, (0.0, 50.0, 0.0), 30.0), grid, volume, histories / 4)
    straight = batches(open_field(25.0, (0.0, 50.0, 0.0)), grid, volume, histories / 4)
    print(
        "oblique: Gy at 5 cm below a slope of 30 degrees",
        told(slanted[:, 28:32, 9:11, 28:32].mean(axis=(1, 2, 3))),
        "straight",
        told(straight[:, 28:32, 9:11, 28:32].mean(axis=(1, 2, 3))),
        depth[9],
    )


CASES = {
    "reference": reference,
    "output_factors": output_factors,
    "arc": arc,
    "geometry": geometry,
}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("case", choices=CASES)
    parser.add_argument("--histories", type=float, default=2e7)
    arguments = parser.parse_args()
    started = time.time()
    CASES[arguments.case](arguments.histories)
    print(f"{time.time() - started:.0f} s")
