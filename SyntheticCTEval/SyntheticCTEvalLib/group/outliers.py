"""The main figures of a cohort, and the patients that lie apart from the others in them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from SyntheticCTEvalLib.evaluation.quantities import describe
from SyntheticCTEvalLib.structures.dvh import DIFFERENCE

from .agreement import MAIN_POINTS
from .tolerance import spread_of
from .values import CohortValues, Key

FEWEST = 5
"""Patients below which quartiles and limits of agreement say nothing of a single one."""

DEFINITIONS = {
    "outliers": (
        "Patients named as outliers, by one of two rules, where at least 5 patients have the "
        "figure. Tukey: the figure lies more than 1.5 interquartile ranges outside the quartiles "
        "of that candidate's figures (as the whiskers of box plots). Limits of agreement: the "
        "difference (target doses: candidate minus true CT; other figures: candidate minus "
        "baseline) lies outside its mean ± 1.96 SD, which 5 % of normal differences do. An "
        "outlier is to be looked at, not to be left out: no figure here leaves any out."
    )
}
TUKEY, LIMITS = "1.5 interquartile ranges", "limits of agreement"


@dataclass(frozen=True)
class MainFigure:
    """One of the figures that are plotted for themselves.

    Attributes:
        label, unit, digits: how it is told.
        by_candidate: one value a patient.
        ct: of dose-volume points, the true CT's value in Gy; None for others.
        mean_gy: of dose-volume points, by candidate, the mean of its value and the CT's in Gy.
    """

    label: str
    unit: str
    digits: int
    by_candidate: dict[str, np.ndarray]
    ct: np.ndarray | None = None
    mean_gy: dict[str, np.ndarray] | None = None

    @property
    def least(self) -> float:
        """What cannot be seen as printed, and makes no outlier."""
        return 0.5 * 10.0**-self.digits


@dataclass(frozen=True)
class Outlier:
    """A patient that lies apart in a figure of a candidate.

    Attributes:
        patient, candidate, label, unit: which.
        value: the figure or the difference.
        low, high: what it lies outside of.
        digits: to be printed.
        rule: :data:`TUKEY` or :data:`LIMITS`.
    """

    patient: str
    candidate: str
    label: str
    unit: str
    value: float
    low: float
    high: float
    digits: int
    rule: str


def main_figures(values: CohortValues) -> list[MainFigure]:
    """Return MAE in the body, SSIM, all gamma pass rates, and points of the patients' targets."""
    keys: list[Key] = [key for name in ("mae_body", "ssim", "gpr", "gpr_criteria")
                       for key in values.keys if key[0] == name]  # fmt: skip
    found = []
    for key in keys:
        quantity = describe(key)
        arrays = {name: values.of(name, key) for name in values.candidates}
        found.append(MainFigure(values.label(key), quantity.unit, quantity.digits, arrays))
    for point in MAIN_POINTS:
        figure = point + DIFFERENCE
        arrays = {name: values.of_target(name, figure) for name in values.candidates}
        quantity, ct = describe(("dvh", "", figure)), values.ct_of_target(point)
        means = {name: ct + array / 200 * values.prescriptions_gy for name, array in arrays.items()}
        label = f"{values.target_name}, {point} difference"
        found.append(MainFigure(label, quantity.unit, quantity.digits, arrays, ct, means))
    return [
        figure
        for figure in found
        if any(np.isfinite(array).any() for array in figure.by_candidate.values())
    ]


def find_outliers(values: CohortValues, figures: Sequence[MainFigure]) -> list[Outlier]:
    """Return the outliers of the main figures, those of a figure together."""
    found = []
    for figure in figures:
        for name, array in figure.by_candidate.items():
            low, high = fences(array)
            found += _outside(values, figure, name, array, low, high, TUKEY)
        for name, differences in differences_of(figure, values.baseline):
            low, high = spread_of(differences).limits
            if np.isfinite(differences).sum() >= FEWEST:
                found += _outside(values, figure, name, differences, low, high, LIMITS)
    return found


def differences_of(figure: MainFigure, baseline: str) -> Iterator[tuple[str, np.ndarray]]:
    """Yield candidates and the differences that limits of agreement are of."""
    for name, array in figure.by_candidate.items():
        if figure.ct is not None:
            yield name, array
        elif baseline and name != baseline:
            yield name, array - figure.by_candidate[baseline]


def fences(array: np.ndarray) -> tuple[float, float]:
    """Return Tukey's fences of the finite values; infinite where there are too few."""
    there = array[np.isfinite(array)]
    if there.size < FEWEST:
        return -math.inf, math.inf
    first, third = (float(q) for q in np.percentile(there, [25, 75]))
    return first - 1.5 * (third - first), third + 1.5 * (third - first)


def outside(array: np.ndarray, low: float, high: float, least: float) -> np.ndarray:
    """Return which values (bool) lie below ``low`` or above ``high`` by more than ``least``."""
    return (array < low - least) | (array > high + least)


def _outside(
    values: CohortValues,
    figure: MainFigure,
    candidate: str,
    array: np.ndarray,
    low: float,
    high: float,
    rule: str,
) -> Iterator[Outlier]:
    label = figure.label
    if rule == LIMITS and figure.ct is None:
        label += f", minus {values.baseline}"
    for number in np.flatnonzero(outside(array, low, high, figure.least)):
        patient, value = values.patients[number], float(array[number])
        yield Outlier(patient, candidate, label, figure.unit, value, low, high, figure.digits, rule)
