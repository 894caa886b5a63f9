"""Monte Carlo in a phantom's pelvis: known small changes, and the bars' noise.

Of two conformal arcs, or of --plan. Prints pass rates with their noise and bias, those by a tenth
of the histories, CPU seconds, and the largest memory.
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np
import SimpleITK as sitk
from SyntheticCTEvalLib.dose.plan import mask_points
from SyntheticCTEvalLib.gamma.criteria import GammaCriteria
from SyntheticCTEvalLib.gamma.engines import compute_gamma
from SyntheticCTEvalLib.montecarlo import smoothing
from SyntheticCTEvalLib.montecarlo.batches import Effort, above_zero
from SyntheticCTEvalLib.montecarlo.doses import montecarlo_doses
from SyntheticCTEvalLib.montecarlo.pass_rate_noise import pass_rate_noise
from SyntheticCTEvalLib.plan.beams import (
    Beam,
    ControlPoint,
    MultiLeafCollimator,
    TargetLevel,
    TreatmentPlan,
)
from SyntheticCTEvalLib.plan.geometry import beam_axes
from SyntheticCTEvalLib.plan.reading import read_plan
from SyntheticCTLib.basics.progress import terminal_progress
from SyntheticCTLib.body.contour import body_contour
from SyntheticCTLib.phantom import COARSE, STRUCTURE_NAMES, make_phantom
from SyntheticCTLib.volumes.grids import image_like
from SyntheticCTLib.volumes.resampling import resample

MARGIN_MM = 7.0
GRAY = 45.0
PARTS = 5
"""Tenths of the histories that are looked at."""


def conformal_arcs(points_mm: np.ndarray) -> TreatmentPlan:
    """Two full arcs whose leaves of 5 mm follow the target's outline, collimator at 30 degrees."""
    isocentre = tuple(points_mm.mean(axis=0).tolist())
    boundaries = np.arange(-100.0, 101.0, 5.0)
    mlc = MultiLeafCollimator("X", tuple(boundaries.tolist()))
    beams = []
    for number, (direction, collimator) in enumerate((("CW", 30.0), ("CC", 330.0)), start=1):
        angles = np.linspace(181, 539, 90) % 360
        angles = angles if direction == "CW" else angles[::-1]
        beam = Beam(number, direction, isocentre, (), 300.0, 6.0, mlc, fractions=25)
        states = []
        for n, angle in enumerate(angles):
            state = ControlPoint(n / 89, float(angle), direction, collimator)
            axes = beam_axes(beam, state)
            away = points_mm - isocentre
            scale = 1000 / (1000 - away @ axes.zb)
            xb, yb = (away @ axes.xb) * scale, (away @ axes.yb) * scale
            leaves = np.zeros((len(boundaries) - 1, 2))
            for pair in range(len(leaves)):
                there = xb[
                    (yb > boundaries[pair] - MARGIN_MM) & (yb < boundaries[pair + 1] + MARGIN_MM)
                ]
                if len(there):
                    leaves[pair] = there.min() - MARGIN_MM, there.max() + MARGIN_MM
            states.append(
                ControlPoint(
                    state.meterset_weight,
                    state.gantry_deg,
                    direction,
                    collimator,
                    jaws_x_mm=(leaves.min(), leaves.max()),
                    jaws_y_mm=(yb.min() - MARGIN_MM, yb.max() + MARGIN_MM),
                    leaves_mm=leaves,
                )
            )
        beams.append(
            Beam(number, direction, isocentre, tuple(states), 300.0, 6.0, mlc, fractions=25)
        )
    return TreatmentPlan(tuple(beams), (TargetLevel("target", GRAY),))


def changed(ct: sitk.Image, body: sitk.Image) -> dict[str, tuple[sitk.Image, sitk.Image]]:
    """The CT itself; all soft tissue 20 HU denser; skin of 2 mm missing; bone 10 % lighter."""
    hu = sitk.GetArrayFromImage(ct).astype(np.int16)
    inside = sitk.GetArrayFromImage(body) != 0
    denser = hu + 20 * (inside & (hu > -200) & (hu < 150)).astype(np.int16)
    distance = sitk.GetArrayFromImage(
        sitk.SignedMaurerDistanceMap(body, squaredDistance=False, useImageSpacing=True)
    )
    thinner = distance < -2
    lighter = np.where(inside & (hu >= 150), hu - (0.1 * (hu + 1500)).astype(np.int16), hu)
    less = np.where(thinner, hu, -1000).astype(np.int16)
    return {
        "same": (ct, body),
        "20 HU": (image_like(denser, ct), body),
        "skin 2 mm": (image_like(less, ct), image_like(thinner.astype(np.uint8), ct)),
        "bone -10 %": (image_like(lighter.astype(np.int16), ct), body),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photons", type=float, default=5e6, help="drawn in the fields, in all")
    parser.add_argument("--batches", type=int, default=10)
    parser.add_argument("--spacing", type=float, default=3.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", help="one of the changes")
    parser.add_argument("--plan", help="RTPLAN for the target of phantom 1001, such as of `plan`")
    parser.add_argument(
        "--smoothing", type=float, default=smoothing.SMOOTHING_MM, help="mm; 0 for doses as drawn"
    )
    options = parser.parse_args()
    smoothing.SMOOTHING_MM = options.smoothing
    phantom = make_phantom(1001, COARSE)
    ct, body = phantom.ct, body_contour(phantom.ct, "CT")
    number = {name: number for number, name in STRUCTURE_NAMES.items()}["target"]
    target = sitk.Cast(phantom.structures_ct == number, sitk.sitkUInt8)
    candidates = changed(ct, body)
    if options.only:
        candidates = {options.only: candidates[options.only]}
    started, cpu = time.time(), time.process_time()
    doses = montecarlo_doses(
        read_plan(options.plan) if options.plan else conformal_arcs(mask_points(target)),
        ct,
        body,
        candidates,
        spacing_mm=options.spacing,
        effort=Effort(1e-6, None, int(options.photons / options.batches), batches=options.batches),
        seed=options.seed,
        progress=terminal_progress(),
    )
    cpu = time.process_time() - cpu
    own = resample(target, doses.reference, fill=0, nearest=True)
    values = sitk.GetArrayFromImage(doses.reference)
    level = float(values[sitk.GetArrayFromImage(own) != 0].mean())
    print(f"target {level:.2f} Gy; noise of the difference {doses.batches.noise_percent:.3f} %")
    high = values >= 0.5 * values.max()
    sigma = sitk.GetArrayFromImage(doses.reference_uncertainty)
    print(
        f"noise of one dose {100 * np.sqrt((sigma[high] ** 2).mean()) / values[high].mean():.3f} %"
    )
    criteria = GammaCriteria(normalization_gy=level, cutoffs_percent=(10.0, 60.0))

    def rates_of(reference, evaluated) -> list[float]:
        pair = (above_zero(reference), above_zero(evaluated))
        images = (image_like(array, doses.reference) for array in pair)
        found = compute_gamma(*images, criteria)
        return found.pass_rates

    for number, name in enumerate(candidates, start=1):
        every = doses.batches.doses
        noise = pass_rate_noise(every[:, 0], every[:, number], rates_of)
        for (cutoff,), found in noise.items():
            print(
                f"{name}: 1 %/1 mm above {cutoff} %: {found.rate:.2f} +- {found.noise:.2f}, "
                f"bias {found.bias:+.2f}"
            )
        tenth = options.batches // 10
        if tenth:
            parts = [every[n * tenth : (n + 1) * tenth].mean(axis=0) for n in range(PARTS)]
            rates = np.array([[*rates_of(part[0], part[number]).values()] for part in parts])
            for cutoff, found in zip((10, 60), rates.T, strict=True):
                print(
                    f"    by a tenth of the histories, above {cutoff} %: {found.mean():.2f}, "
                    f"spread of one {found.std(ddof=1):.2f}"
                )
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"{options.photons:.3g} photons in {1 + len(candidates)} volumes: {cpu:.0f} CPU s, "
        f"{time.time() - started:.0f} s, {memory:.2f} GB"
    )


if __name__ == "__main__":
    main()
