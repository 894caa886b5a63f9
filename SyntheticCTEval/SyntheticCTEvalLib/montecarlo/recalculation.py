"""Dose recalculated by Monte Carlo for an evaluation, and what its noise does to pass rates."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import SimpleITK as sitk
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import SILENT, Progress
from SyntheticCTLib.volumes.grids import image_like
from SyntheticCTLib.volumes.resampling import mask_on

from SyntheticCTEvalLib.dose.doses import Doses
from SyntheticCTEvalLib.dose.electron_density import ELECTRON_DENSITY
from SyntheticCTEvalLib.gamma.comparison import gammas_of
from SyntheticCTEvalLib.gamma.criteria import GammaCriteria, spaced
from SyntheticCTEvalLib.plan.beams import TreatmentPlan
from SyntheticCTEvalLib.plan.prescription import prescription_of

from .batches import WORTH_TELLING_POINTS, Effort, above_zero
from .doses import MonteCarloDoses, montecarlo_doses
from .pass_rate_noise import (
    PASS_RATE_NOISE_DEFINITIONS,
    RATES,
    PassRateNoise,
    beside_rates,
    pass_rate_noise,
)

NOISE_DEFINITIONS = {f"gpr_{name}": line for name, line in PASS_RATE_NOISE_DEFINITIONS.items()} | {
    f"{rates}_{name}": f"As gpr_{name}, of {rates}."
    for rates in RATES[1:]
    for name in PASS_RATE_NOISE_DEFINITIONS
}

_NOISE_SHARE = 0.4
"""Share of the dose criterion above which noise decides (Testing/VALIDATION.md)."""


def doses_by_montecarlo(
    plan: TreatmentPlan | None,
    ct: sitk.Image,
    body: sitk.Image,
    candidates: Mapping[str, tuple[sitk.Image, sitk.Image]],
    prescription_gy: float | None,
    criteria_at: Callable[[float], Sequence[GammaCriteria]],
    masks: Mapping[str, sitk.Image | None],
    *,
    structures: Mapping[str, sitk.Image] | None = None,
    common: sitk.Image | None = None,
    spacing_mm: float = 3.0,
    curve: Sequence[tuple[float, float]] = ELECTRON_DENSITY,
    leaf_transmission: float = 0.0,
    effort: Effort | None = None,
    progress: Progress = SILENT,
) -> Doses:
    """Return the doses of a plan on the true CT and on candidates, and the noise of pass rates.

    Args:
        candidates: volume in HU and body by name, on the CT's grid.
        prescription_gy: the plan's highest level when None.
        criteria_at: of the pass rates, at a prescription.
        masks: voxels that count, by candidate; None for all.
        structures, common: see :func:`noise_of_rates`.

    Raises:
        SyntheticCTError: no plan, or one that does not say what is prescribed where nothing else
            does; see doses.montecarlo_doses.
    """
    if plan is None:
        raise SyntheticCTError(
            "Monte Carlo calculates the dose of a treatment plan: give the RTPLAN that was made on "
            "the CT, or another dose engine."
        )
    prescription = prescription_of(plan, prescription_gy)
    criteria = criteria_at(prescription)
    found = montecarlo_doses(
        plan,
        ct,
        body,
        candidates,
        spacing_mm=spacing_mm,
        curve=curve,
        leaf_transmission=leaf_transmission,
        effort=effort,
        rate_noise=largest_rate_noise(criteria[0], [masks[name] for name in candidates]),
        progress=progress,
    )
    warn_of_noise(found, criteria[0], progress)
    told = {
        name: noise_of_rates(
            found, number, criteria, masks[name], structures, common, progress=progress
        )
        for number, name in enumerate(found.evaluated, start=1)
    }
    return Doses(
        found.reference,
        found.evaluated,
        prescription,
        found.definition,
        list(found.notes),
        {name: beside_rates(rates) for name, rates in told.items()},
    )


def warn_of_noise(doses: MonteCarloDoses, criteria: GammaCriteria, progress: Progress) -> None:
    """Warn where noise decides what passes by gamma's first criterion."""
    if doses.batches.noise_percent > _NOISE_SHARE * criteria.dose_percent:
        progress.warn(
            f"The noise of the dose difference is up to {doses.batches.noise_percent:.2f} %, too "
            f"much for gamma's {criteria.dose_percent:g} %: noise decides which voxels pass, and "
            "neither the pass rate nor its bias can be believed; give Monte Carlo more time."
        )


def noise_of_rates(
    doses: MonteCarloDoses,
    number: int,
    criteria: Sequence[GammaCriteria],
    mask: sitk.Image | None = None,
    structures: Mapping[str, sitk.Image] | None = None,
    common: sitk.Image | None = None,
    *,
    progress: Progress = SILENT,
) -> dict[tuple[str, ...], PassRateNoise]:
    """Return pass rates with their noise and bias, by their path in metrics.json.

    Gamma is the exact one, whatever engine the pass rates themselves are by.

    Args:
        number: of the candidate among the batches' volumes, from 1.
        criteria: one or more, as of gamma.comparison.compare_doses.
        mask: voxels that count; None for all.
        structures: masks by name, that have pass rates of their own.
        common: what all candidates cover, where that is not what each covers.
    """
    name = list(doses.evaluated)[number - 1]
    step = f"Noise of the pass rate of {name}"
    progress.report(step, 0)
    inside = {own: _on_doses(each, doses) for own, each in (structures or {}).items()}
    shared = None if common is None else _on_doses(common, doses)
    found = _rates_of_batches(
        doses.batches.doses, number, doses.reference, criteria, mask, inside, shared
    )
    progress.report(step, 1)
    _tell_noise(name, found, progress)
    return found


def largest_rate_noise(
    criteria: GammaCriteria, masks: Sequence[sitk.Image | None]
) -> Callable[[np.ndarray, sitk.Image], float]:
    """Return what finds the noise of the noisiest pass rate, for doses.montecarlo_doses.

    Args:
        criteria: of the pass rates.
        masks: voxels that count, by candidate; None for all.
    """

    def largest(batches: np.ndarray, grid: sitk.Image) -> float:
        noises = [
            one.noise
            for number, mask in enumerate(masks, start=1)
            for one in _rates_of_batches(batches, number, grid, [criteria], mask).values()
        ]
        return max((noise for noise in noises if math.isfinite(noise)), default=0.0)

    return largest


def _rates_of_batches(
    batches: np.ndarray,
    number: int,
    grid: sitk.Image,
    criteria: Sequence[GammaCriteria],
    mask: sitk.Image | None,
    inside: Mapping[str, sitk.Image] | None = None,
    shared: sitk.Image | None = None,
) -> dict[tuple[str, ...], PassRateNoise]:
    """Pass rates of the candidate ``number`` with their noise, of doses as of Batches.doses."""

    def rates_of(reference: np.ndarray, evaluated: np.ndarray) -> dict[str, Any]:
        pair = (above_zero(reference), above_zero(evaluated))
        first, second = (image_like(values, grid) for values in pair)
        gammas = gammas_of(first, second, criteria, mask)
        rates = gammas.rates(first, inside or {})
        return rates if shared is None else rates | {"common": gammas.rates_inside(first, shared)}

    return pass_rate_noise(batches[:, 0], batches[:, number], rates_of)


def _on_doses(mask: sitk.Image, doses: MonteCarloDoses) -> sitk.Image:
    return image_like(mask_on(mask, doses.reference).astype(np.uint8), doses.reference)


def _tell_noise(
    name: str, found: Mapping[tuple[str, ...], PassRateNoise], progress: Progress
) -> None:
    noisy = {p: one.noise for p, one in found.items() if one.noise > WORTH_TELLING_POINTS}
    told = [
        f"{noise:.2f} by {spaced(path[-2])} above {path[-1]} %"
        + (" where all candidates cover" if path[0] == "common" else "")
        for path, noise in noisy.items()
        if "gpr_criteria" in path[:2]
    ]
    told += dict.fromkeys(f"inside {path[1]}" for path in noisy if path[0] == "gpr_structures")
    if told:
        progress.warn(
            f"The pass rate of {name} has a noise of more than {WORTH_TELLING_POINTS:g} points "
            f"({', '.join(told)}): give Monte Carlo more time, and ask it for less noise of the "
            "dose."
        )
