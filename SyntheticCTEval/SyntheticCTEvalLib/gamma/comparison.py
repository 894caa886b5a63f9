"""Candidates' doses held against the dose on the true CT: gamma, difference, hot spots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk
from SyntheticCTLib.basics.progress import SILENT, Progress
from SyntheticCTLib.volumes.resampling import mask_on

from SyntheticCTEvalLib.dose.difference import subtract_doses

from .criteria import GammaCriteria, GammaPasses, GammaResult, spaced
from .engines import compute_gamma, counts_by_cutoff, pass_rates, percent_of
from .further import further_passes
from .hot_spots import HotSpot, find_hot_spots

GPR_DEFINITIONS = {
    "gpr_criteria": (
        "Gamma pass rates by every criterion asked for: percent of the evaluated voxels whose "
        "reference dose is at least the cutoff and whose gamma is at most 1."
    ),
    "gpr_structures": (
        "Gamma pass rates inside each structure, of the voxels that were evaluated there (the "
        "centres of dose voxels that lie in it, at or above the lowest cutoff)."
    ),
}


@dataclass(frozen=True)
class Gammas:
    """Gamma of one dose against the dose on the true CT.

    Attributes:
        gamma: gamma and pass rates by the first criterion.
        passes: what passes by every criterion, the first as well, by the criterion's name.
    """

    gamma: GammaResult
    passes: dict[str, GammaPasses]

    def rates(
        self, reference: sitk.Image, structures: Mapping[str, sitk.Image] | None = None
    ) -> dict[str, Any]:
        """Return the pass rates as metrics.json holds them: gpr, gpr_criteria, gpr_structures.

        Args:
            reference: dose on the true CT.
            structures: masks by name, on any grids.
        """
        every = {name: _by_cutoff(found.pass_rates) for name, found in self.passes.items()}
        rates = {"gpr": _by_cutoff(self.gamma.pass_rates), "gpr_criteria": every}
        if structures:
            rates["gpr_structures"] = {
                structure: self._rates_in(mask_on(mask, reference))
                for structure, mask in structures.items()
            }
        return rates

    def rates_inside(self, reference: sitk.Image, mask: sitk.Image) -> dict[str, Any]:
        """Return gpr and gpr_criteria of what was evaluated inside ``mask`` (any grid)."""
        inside = mask_on(mask, reference)
        every = {}
        for name, found in self.passes.items():
            passed, evaluated = (
                counts_by_cutoff(inside & voxels, reference, found.criteria)
                for voxels in (found.passed, found.evaluated)
            )
            every[name] = _by_cutoff(pass_rates(passed, evaluated))
        return {"gpr": every[self.gamma.criteria.criterion.name], "gpr_criteria": every}

    def _rates_in(self, inside: np.ndarray) -> dict[str, float]:
        return {
            name: percent_of(
                int(np.count_nonzero(found.passed & inside)),
                int(np.count_nonzero(found.evaluated & inside)),
            )
            for name, found in self.passes.items()
        }


@dataclass(frozen=True)
class DoseComparison(Gammas):
    """One dose against the dose on the true CT.

    Attributes:
        difference: in Gy, see dose.difference.subtract_doses.
        hot_spots: where gamma is above 1, the worst place first.
    """

    difference: sitk.Image
    hot_spots: list[HotSpot]


def compare_doses(
    reference: sitk.Image,
    doses: Mapping[str, sitk.Image],
    criteria: Sequence[GammaCriteria],
    masks: Mapping[str, sitk.Image | None],
    *,
    engine: str = "exact",
    progress: Progress = SILENT,
) -> dict[str, DoseComparison]:
    """Compare every dose with the reference dose; see engines.compute_gamma.

    Warnings begin with the name of the dose, and of the criterion where it is not the first.

    Args:
        criteria: one or more; the first makes the gamma map.
        masks: by name, voxels that count, on any grid; None for all.
    """
    compared = {}
    for name, dose in doses.items():
        how = {"engine": engine, "name": name, "progress": progress}
        found = gammas_of(reference, dose, criteria, masks[name], **how)
        difference = subtract_doses(dose, reference)
        spots = find_hot_spots(found.gamma.gamma)
        compared[name] = DoseComparison(found.gamma, found.passes, difference, spots)
    return compared


def gammas_of(
    reference: sitk.Image,
    dose: sitk.Image,
    criteria: Sequence[GammaCriteria],
    mask: sitk.Image | None = None,
    *,
    engine: str = "exact",
    name: str = "",
    progress: Progress = SILENT,
) -> Gammas:
    """Return gamma of a dose by every criterion; as :func:`compare_doses`."""
    step = f"Gamma of {name}"
    progress.report(step, 0)
    told = _Named(progress, name)
    gamma = compute_gamma(reference, dose, criteria[0], mask, engine=engine, progress=told)
    passes = {criteria[0].criterion.name: _passes_of(gamma)}
    for number, further in enumerate(criteria[1:], 1):
        progress.report(step, number / len(criteria))
        called = further.criterion.name
        told = _Named(progress, f"{name}, {spaced(called)}")
        passes[called] = further_passes(reference, dose, gamma, further, mask, told)
    progress.report(step, 1)
    return Gammas(gamma, passes)


def gamma_definitions(compared: Mapping[str, DoseComparison]) -> dict[str, str]:
    """Return the lines that say how pass rates were computed, those of criteria by their name.

    Candidates are named where their lines are not the same.
    """
    lines = {"gpr": _one_line({name: one.gamma.definition for name, one in compared.items()})}
    lines |= GPR_DEFINITIONS
    for criterion in next(iter(compared.values())).passes:
        own = {name: one.passes[criterion].definition for name, one in compared.items()}
        lines["gpr_criteria"] += f" {spaced(criterion)}: {_one_line(own)}."
    return lines


def _one_line(lines: Mapping[str, str]) -> str:
    if len(set(lines.values())) <= 1:
        return next(iter(lines.values()), "")
    return ". ".join(f"{name}: {line}" for name, line in lines.items())


def _passes_of(gamma: GammaResult) -> GammaPasses:
    evaluated = sitk.GetArrayViewFromImage(gamma.evaluated) > 0
    passed = evaluated & (sitk.GetArrayViewFromImage(gamma.gamma) <= 1)
    return GammaPasses(passed, evaluated, gamma.pass_rates, gamma.criteria, gamma.definition)


def _by_cutoff(rates: Mapping[float, float]) -> dict[str, float]:
    return {f"{cutoff:g}": rate for cutoff, rate in rates.items()}


class _Named(Progress):
    """Passes everything on, and names the dose that a warning is about."""

    def __init__(self, progress: Progress, name: str) -> None:
        self._progress, self._name = progress, name

    def report(self, step: str, fraction: float, **details: Any) -> None:
        self._progress.report(step, fraction, **details)

    def warn(self, message: str) -> None:
        self._progress.warn(f"{self._name}: {message}")
