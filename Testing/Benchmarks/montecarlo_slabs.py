"""Monte Carlo in slabs against ompMC, whose figures are stored; figures for Testing/VALIDATION.md.

Both follow the same spectrum along one line into layers that are wide across. The energy in a
square around that line is, by reciprocity, the dose on the axis of a square field; the diverging
field of a source 100 cm from the surface is that of squares that widen with depth, times the
inverse square (rays are taken as upright, which changes nothing that can be seen here).

``Testing/Data/ompmc.json`` was made once by ompMC 0.4.0 (GPL-3, EGSnrc's physics), which is no
dependency: its keys are the cases below, and its entry ``how`` tells the settings.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
from scipy.interpolate import CubicSpline
from SyntheticCTEvalLib.montecarlo.tables import scattering_tables, water_tables
from SyntheticCTEvalLib.montecarlo.transport import Medium, follow

STORED = Path(__file__).parent.parent / "Data" / "ompmc.json"
SQUARES = 16
"""Half widths 0.5, 1.5, ... cm, of the voxels of 1 cm across."""
CASES = {
    "water": ("water", [(30.0, 1.0)], 0.2),
    "bone": ("bone as water", [(5.0, 1.0), (3.0, 1.737), (12.0, 1.0)], 0.5),
    "lung": ("lung as water", [(5.0, 1.0), (8.0, 0.2574), (12.0, 1.0)], 0.5),
    "gas": ("gas as water", [(5.0, 1.0), (3.0, 0.001), (12.0, 1.0)], 0.5),
}
"""By material: ompMC's case of water at that electron density; layers (cm, relative density); step
along the depth (cm)."""


THEIRS = "varian-6mv"
"""The spectrum that ompMC was given, of Ali and Rogers 2012."""


def kernel(layers, step: float, histories: int, seed: int, spectrum: str = THEIRS) -> np.ndarray:
    """Energy of a photon in squares (SQUARES, depths), MeV."""
    from pyradmc.geometry.spectrum import ali_rogers_mv

    columns = [np.full(round(cm / step), density) for cm, density in layers]
    column = np.concatenate(columns).astype(np.float32)
    across = 2 * SQUARES - 1
    density = np.ascontiguousarray(
        np.broadcast_to(column[:, None, None], (len(column), across, across))
    )
    half = across / 2
    medium = Medium(
        density,
        float(column.max()),
        (-half, -half, 0.0),
        (1.0, 1.0, step),
        (half, half, len(column) * step),
    )
    rng = np.random.default_rng(seed)
    energies = ali_rogers_mv(spectrum).sample_energies(*rng.random((2, histories)))
    start, along = (np.tile(v, (histories, 1)) for v in ([0.0, 0.0, -1.0], [0.0, 0.0, 1.0]))
    left = np.zeros(density.shape)
    tables = water_tables(scattering_tables())
    follow(energies, start, along, seed, 0, medium, tables, left)
    middle = SQUARES - 1
    return np.array(
        [
            left[:, middle - n : middle + n + 1, middle - n : middle + n + 1].sum(axis=(1, 2))
            for n in range(SQUARES)
        ]
    ) / histories  # fmt: skip


def axis_dose(squares: np.ndarray, step: float, half_cm: float, ssd_cm: float = 100.0):
    """Depths (cm) and the energy a volume on the axis of a field of that half width at the
    surface, relative."""
    depth = (np.arange(squares.shape[1]) + 0.5) * step
    halves = half_cm * (1 + depth / ssd_cm)
    spline = CubicSpline(np.arange(SQUARES) + 0.5, squares, axis=0)
    values = np.array([spline(half)[n] for n, half in enumerate(halves)])
    return depth, values * (ssd_cm / (ssd_cm + depth)) ** 2


def mev_per_gram(squares: np.ndarray, step: float) -> float:
    """At 10 cm depth, of a photon a mm2 at the isocentre's plane: 10 x 10 cm there, SSD 90 cm."""
    depth, energy = axis_dose(squares, step, 4.5, ssd_cm=90.0)
    around = np.abs(depth - 10) < 3
    fluence = 100 * (100 / 90) ** 2  # photons a cm2 at the surface
    return np.polynomial.Polynomial.fit(depth[around], fluence / step * energy[around], 2)(10.0)


def depth_dose(squares: np.ndarray, step: float, deepest: float = 3.4) -> np.ndarray:
    """dmax (cm), PDD(5), PDD(10), PDD(20) of 10 x 10 cm, SSD 100 cm.

    Args:
        deepest: where the fit of the largest dose ends (cm).
    """
    depth, dose = axis_dose(squares, step, 5.0)
    near = (depth > 0.7) & (depth < deepest)
    fine = np.linspace(0.8, deepest - 0.2, 500)
    fit = np.polynomial.Polynomial.fit(depth[near], dose[near], 4)(fine)
    found = [fine[fit.argmax()]]
    for at in (5.0, 10.0, 20.0):
        around = np.abs(depth - at) < 2.5
        local = np.polynomial.Polynomial.fit(depth[around], dose[around], 3)
        found.append(100 * local(at) / fit.max())
    return np.array(found)


def in_layers(layers, step: float, half_cm: float, squares: np.ndarray) -> dict[str, float]:
    """Mean energy a volume on the axis: at 2 to 5 cm, inside, behind, and further behind."""
    depth, dose = axis_dose(squares, step, half_cm)
    first, last = layers[0][0], layers[0][0] + layers[1][0]
    bounds = {
        "in front": (2.0, first),
        "inside": (first, last),
        "the first 2 cm behind": (last, last + 2),
        "further behind": (last + 2, last + 10),
    }
    return {k: dose[(depth > a) & (depth < b)].mean() for k, (a, b) in bounds.items()}


def told(values) -> str:
    values = np.array(values)
    spread = values.std(axis=0, ddof=1) / np.sqrt(len(values))
    return f"{values.mean(axis=0):.4f} +- {spread:.4f}"


def compare(case: str, histories: int, batches: int = 10) -> None:
    stored = json.loads(STORED.read_text(encoding="utf-8"))
    as_water, layers, step = CASES[case]
    own = [kernel(layers, step, histories // batches, seed) for seed in range(1, batches + 1)]
    theirs = np.array(stored[as_water]["squares"])
    if case == "water":
        found = np.array([depth_dose(squares, step) for squares in own])
        names = ("dmax cm", "PDD(5) %", "PDD(10) %", "PDD(20) %")
        noise = np.array(stored[as_water]["depth_dose_noise"])
        for name, values, other, sigma in zip(
            names, found.T, depth_dose(theirs, step), noise, strict=True
        ):
            print(f"{name}: {told(values)}; ompMC {other:.3f} +- {sigma:.3f}")
        return
    for half in (5.0, 2.5):
        at = [in_layers(layers, step, half, squares) for squares in own]
        other = in_layers(layers, step, half, theirs)
        real = in_layers(layers, step, half, np.array(stored[case]["squares"]))
        for place in stored[as_water]["noise"]:  # ompMC tells nothing inside gas
            ratio = [one[place] / other[place] for one in at]
            noise = stored[as_water]["noise"][place]
            print(
                f"{case}, {2 * half:g} x {2 * half:g} cm, {place}: {told(ratio)} of ompMC's water "
                f"(its noise {noise:.4f}), whose energy is {other[place] / real[place]:.4f} of "
                f"the real material's (noise {stored[case]['noise'][place]:.4f})"
            )


def alone(spectrum: str, histories: int, batches: int = 10) -> None:
    """Depth dose in water and calibration of a spectrum that ompMC was not given."""
    _, layers, step = CASES["water"]
    runs = range(1, batches + 1)
    own = [kernel(layers, step, histories // batches, seed, spectrum) for seed in runs]
    deepest = 4.5 if "10mv" in spectrum else 3.4
    found = np.array([depth_dose(squares, step, deepest) for squares in own])
    for name, values in zip(
        ("dmax cm", "PDD(5) %", "PDD(10) %", "PDD(20) %"), found.T, strict=True
    ):
        print(f"{spectrum}, {name}: {told(values)}")
    ratio = found[:, 3] / found[:, 2]
    print(f"{spectrum}, TPR20,10 by 1.2661 PDD20/PDD10 - 0.0595: {told(1.2661 * ratio - 0.0595)}")
    print("Spectrum.mev_per_gram", told([mev_per_gram(squares, step) for squares in own]))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("case", choices=CASES)
    parser.add_argument("--histories", type=float, default=1e7)
    parser.add_argument("--spectrum", default=THEIRS, help="of the case water, without ompMC")
    arguments = parser.parse_args()
    started = time.time()
    if arguments.spectrum == THEIRS:
        compare(arguments.case, int(arguments.histories))
    else:
        alone(arguments.spectrum, int(arguments.histories))
    print(f"{time.time() - started:.0f} s")
