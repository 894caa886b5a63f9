"""Candidates' doses held against the dose on the true CT: gamma, difference, hot spots."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import SimpleITK as sitk
from SyntheticCTLib.basics.progress import SILENT, Progress
from SyntheticCTLib.volumes.resampling import mask_on

from SyntheticCTEvalLib.dose.difference import subtract_doses

from .criteria import GammaCriteria, GammaResult
from .engines import compute_gamma, pass_rates
from .hot_spots import HotSpot, find_hot_spots


@dataclass(frozen=True)
class DoseComparison:
    """One dose against the dose on the true CT.

    Attributes:
        gamma: gamma and pass rates.
        difference: in Gy, see dose.difference.subtract_doses.
        hot_spots: where gamma is above 1, the worst place first.
    """

    gamma: GammaResult
    difference: sitk.Image
    hot_spots: list[HotSpot]

    def pass_rates(self) -> dict[str, float]:
        """Return the pass rates as metrics.json holds them, by cutoff in percent."""
        return {f"{cutoff:g}": rate for cutoff, rate in self.gamma.pass_rates.items()}


def rates_inside(
    compared: DoseComparison, reference: sitk.Image, mask: sitk.Image
) -> dict[str, float]:
    """Return the pass rates of what was evaluated inside ``mask`` (any grid), by cutoff; NaN for
    none."""
    region = mask_on(mask, reference)
    region &= sitk.GetArrayViewFromImage(compared.gamma.evaluated) > 0
    gamma = sitk.GetArrayViewFromImage(compared.gamma.gamma)
    rates = pass_rates(region, reference, compared.gamma.criteria, gamma)
    return {f"{cutoff:g}": rate for cutoff, rate in rates.items()}


def compare_doses(
    reference: sitk.Image,
    doses: Mapping[str, sitk.Image],
    criteria: GammaCriteria,
    masks: Mapping[str, sitk.Image | None],
    *,
    engine: str = "exact",
    progress: Progress = SILENT,
) -> dict[str, DoseComparison]:
    """Compare every dose with the reference dose; see engines.compute_gamma.

    Warnings begin with the name of the dose.

    Args:
        masks: by name, voxels that count, on any grid; None for all.
    """
    compared = {}
    for name, dose in doses.items():
        progress.report(f"Gamma of {name}", 0)
        told, mask = _Named(progress, name), masks[name]
        gamma = compute_gamma(reference, dose, criteria, mask, engine=engine, progress=told)
        progress.report(f"Gamma of {name}", 1)
        difference = subtract_doses(dose, reference)
        compared[name] = DoseComparison(gamma, difference, find_hot_spots(gamma.gamma))
    return compared


def gamma_definition(compared: Mapping[str, DoseComparison]) -> str:
    """Return the definition of all pass rates, each with its name where they are not the same."""
    lines = {name: one.gamma.definition for name, one in compared.items()}
    if len(set(lines.values())) <= 1:
        return next(iter(lines.values()), "")
    return ". ".join(f"{name}: {line}" for name, line in lines.items())


class _Named(Progress):
    """Passes everything on, and names the dose that a warning is about."""

    def __init__(self, progress: Progress, name: str) -> None:
        self._progress, self._name = progress, name

    def report(self, step: str, fraction: float, **details: Any) -> None:
        self._progress.report(step, fraction, **details)

    def warn(self, message: str) -> None:
        self._progress.warn(f"{self._name}: {message}")
