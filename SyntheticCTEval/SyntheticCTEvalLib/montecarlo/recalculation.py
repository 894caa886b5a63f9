"""Dose recalculated by Monte Carlo for an evaluation, and what its noise does to pass rates."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import SimpleITK as sitk
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import SILENT, Progress
from SyntheticCTLib.volumes.grids import image_like

from SyntheticCTEvalLib.dose.doses import Doses
from SyntheticCTEvalLib.dose.electron_density import ELECTRON_DENSITY
from SyntheticCTEvalLib.gamma.criteria import GammaCriteria
from SyntheticCTEvalLib.gamma.engines import compute_gamma
from SyntheticCTEvalLib.plan.beams import TreatmentPlan
from SyntheticCTEvalLib.plan.prescription import prescription_of

from .batches import Effort, above_zero
from .doses import MonteCarloDoses, montecarlo_doses
from .pass_rate_noise import PASS_RATE_NOISE_DEFINITIONS, PassRateNoise, pass_rate_noise

NOISE_DEFINITIONS = {f"gpr_{name}": line for name, line in PASS_RATE_NOISE_DEFINITIONS.items()}

_NOISE_SHARE = 0.4
"""Share of the dose criterion above which noise decides (Testing/VALIDATION.md)."""
_WORTH_TELLING_POINTS = 0.3
"""Noise of a pass rate, above which it is warned of."""


def doses_by_montecarlo(
    plan: TreatmentPlan | None,
    ct: sitk.Image,
    body: sitk.Image,
    candidates: Mapping[str, tuple[sitk.Image, sitk.Image]],
    prescription_gy: float | None,
    criteria_at: Callable[[float], GammaCriteria],
    masks: Mapping[str, sitk.Image | None],
    *,
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
    found = montecarlo_doses(
        plan,
        ct,
        body,
        candidates,
        spacing_mm=spacing_mm,
        curve=curve,
        leaf_transmission=leaf_transmission,
        effort=effort,
        progress=progress,
    )
    told = {
        name: noise_of_rates(found, number, criteria_at(prescription), masks[name], progress)
        for number, name in enumerate(found.evaluated, start=1)
    }
    return Doses(
        found.reference,
        found.evaluated,
        prescription,
        found.definition,
        list(found.notes),
        {
            name: {
                "gpr_noise": {cutoff: one.noise for cutoff, one in rates.items()},
                "gpr_bias": {cutoff: one.bias for cutoff, one in rates.items()},
            }
            for name, rates in told.items()
        },
    )


def noise_of_rates(
    doses: MonteCarloDoses,
    number: int,
    criteria: GammaCriteria,
    mask: sitk.Image | None = None,
    progress: Progress = SILENT,
) -> dict[str, PassRateNoise]:
    """Return pass rates with their noise and bias, by cutoff as metrics.json writes it.

    Args:
        number: of the candidate among the batches' volumes, from 1.
        mask: voxels that count; None for all.
    """
    name = list(doses.evaluated)[number - 1]
    if doses.batches.noise_percent > _NOISE_SHARE * criteria.dose_percent:
        progress.warn(
            f"The noise of the dose difference is {doses.batches.noise_percent:.2f} %, too much "
            f"for gamma's {criteria.dose_percent:g} %: noise decides which voxels pass, and "
            "neither the pass rate nor its bias can be believed; give Monte Carlo more time."
        )
    step = f"Noise of the pass rate of {name}"
    progress.report(step, 0)

    def rates_of(reference: np.ndarray, evaluated: np.ndarray) -> list[float]:
        pair = (above_zero(reference), above_zero(evaluated))
        images = (image_like(values, doses.reference) for values in pair)
        gamma = compute_gamma(*images, criteria, mask)
        return [gamma.pass_rates[cutoff] for cutoff in criteria.cutoffs_percent]

    batches = doses.batches.doses
    found = pass_rate_noise(batches[:, 0], batches[:, number], rates_of)
    progress.report(step, 1)
    rates = {f"{cut:g}": one for cut, one in zip(criteria.cutoffs_percent, found, strict=True)}
    noisy = {cut: one.noise for cut, one in rates.items() if one.noise > _WORTH_TELLING_POINTS}
    if noisy:
        told = ", ".join(f"{noise:.2f} above {cut} %" for cut, noise in noisy.items())
        progress.warn(
            f"The pass rate of {name} has a noise of more than {_WORTH_TELLING_POINTS:g} points "
            f"({told}): ask Monte Carlo for less noise of the dose, and give it the time."
        )
    return rates
