"""Every figure of a cohort compared between each candidate and the baseline.

Two families, each with its own Holm correction: confirmatory are the figures of the paper's
Tables 1 to 3, exploratory is everything else.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from SyntheticCTLib.basics.outputs import staged_file

from SyntheticCTEvalLib.evaluation.quantities import (
    HIGHER,
    LOWER,
    OF_NOISE,
    ZERO,
    Quantity,
    describe,
    finite,
)
from SyntheticCTEvalLib.structures.dvh import DIFFERENCE

from .paired_comparison import FEWEST_PAIRS, PairedComparison, compare_paired, holm
from .values import TABLES, CohortValues, Key, key_text, rows_by_name

CONFIRMATORY, EXPLORATORY = "confirmatory", "exploratory"
SIGNIFICANT = 0.05
_NOT_COMPARED = ("background_hu", "coverage_body_percent", *OF_NOISE)

DEFINITIONS = {
    "statistics": (
        "Every candidate against the baseline over the patients that have the figure of both; "
        "differences are candidate minus baseline. Shapiro-Wilk on the differences decides: at p "
        "of at least 0.05 the paired t-test, Student's 95 % interval of the mean difference and "
        "Cohen's dz; below it, Wilcoxon's signed-rank test, a bootstrap interval (BCa) and the "
        "matched-pairs rank-biserial correlation. Two-sided. Fewer than three patients: no test."
    ),
    "statistics_families": (
        "p (Holm) is corrected within its family. Confirmatory: all figures of Tables 1 to 3, "
        "every candidate. Exploratory: all other figures, a family of its own, from which no "
        "conclusion should be drawn without a study planned for it. Doses of the dose-volume "
        "histograms enter as differences to the true CT."
    ),
    "statistics_absolute": (
        "Figures that should be 0 (mean error, dose-volume differences) are compared by their "
        "size, marked |...|: what counts is how far from the true CT a candidate is, not on which "
        "side."
    ),
    "statistics_mean": "Mean and standard deviation (n - 1) over the n patients with a value.",
}


@dataclass(frozen=True)
class CohortComparison:
    """One figure of one candidate against the baseline.

    Attributes:
        family: :data:`CONFIRMATORY` or :data:`EXPLORATORY`.
        key: which figure.
        label: its name; within bars where sizes are compared.
        quantity: unit, digits, which way is better.
        candidate, baseline: what is compared.
        result: None where there was no test.
        reason: why there was none.
        holm_p: p corrected within the family; NaN where there was no test.
    """

    family: str
    key: Key
    label: str
    quantity: Quantity
    candidate: str
    baseline: str
    result: PairedComparison | None = None
    reason: str = ""
    holm_p: float = math.nan

    @property
    def better(self) -> str:
        """The one of the two that is better by the means; "" where neither is."""
        if self.result is None or self.result.difference == 0 or not self.quantity.better:
            return ""
        wanted = 1 if self.quantity.better == HIGHER else -1
        return self.candidate if self.result.difference * wanted > 0 else self.baseline

    @property
    def significant(self) -> bool:
        """Whether the corrected p is below 0.05."""
        return self.holm_p < SIGNIFICANT


def compare_cohort(values: CohortValues) -> list[CohortComparison]:
    """Return all comparisons, the confirmatory ones first; none without a baseline."""
    if not values.baseline:
        return []
    confirmatory = [key for number in TABLES for key in values.table_keys(number)]
    exploratory = [key for key in values.keys if key not in confirmatory and _is_compared(key)]
    found = []
    for family, keys in ((CONFIRMATORY, confirmatory), (EXPLORATORY, exploratory)):
        tests = [
            _compare(values, family, key, candidate)
            for key in keys
            for candidate in values.candidates
            if candidate != values.baseline
        ]
        adjusted = holm([t.result.p if t.result else math.nan for t in tests])
        found += [replace(t, holm_p=p) for t, p in zip(tests, adjusted, strict=True)]
    return found


def printed_p(p: float) -> str:
    """Return p as it may honestly be printed: never 0.000, never a rounded 1."""
    if math.isnan(p):
        return "n/a"
    if p < 0.001:
        return "< 0.001"
    if 0.9995 <= p < 1:
        return "> 0.999"
    return f"{p:.3f}"


def write_statistics_csv(
    comparisons: list[CohortComparison], path: Path, shown: Mapping[str, str] | None = None
) -> None:
    """Write every comparison as a row, numbers in full.

    Args:
        shown: see values.rows_by_name.

    Raises:
        SyntheticCTError: ``path`` cannot be written.
    """
    rows = [list(comparison_entry(comparison).values()) for comparison in comparisons]
    with staged_file(path) as stage, stage.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows(rows_by_name(_COLUMNS, rows, shown))


def comparison_entry(comparison: CohortComparison) -> dict[str, Any]:
    """Return a comparison as metrics.json and statistics.csv hold it; None is not known."""
    result = comparison.result
    entry: dict[str, Any] = dict.fromkeys(_COLUMNS)
    entry |= {
        "family": comparison.family,
        "figure": key_text(comparison.key),
        "label": comparison.label,
        "unit": comparison.quantity.unit,
        "reading": LOWER if comparison.quantity.better == ZERO else comparison.quantity.better,
        "candidate": comparison.candidate,
        "baseline": comparison.baseline,
        "definition": result.definition if result else comparison.reason,
    }
    if result is not None:
        entry |= {
            "n": result.n,
            "dropped": result.dropped,
            "mean_baseline": result.first_mean,
            "mean_candidate": result.second_mean,
            "difference": result.difference,
            "interval_low": result.interval[0],
            "interval_high": result.interval[1],
            "better": comparison.better,
            "shapiro_p": result.shapiro_p,
            "test": result.test,
            "p": result.p,
            "holm_p": comparison.holm_p,
            "effect": result.effect,
            "effect_name": result.effect_name,
        }
    return finite(entry)


_COLUMNS = (
    "family", "figure", "label", "unit", "reading", "candidate", "baseline", "n", "dropped",
    "mean_baseline", "mean_candidate", "difference", "interval_low", "interval_high", "better",
    "shapiro_p", "test", "p", "holm_p", "effect", "effect_name", "definition",
)  # fmt: skip


def _is_compared(key: Key) -> bool:
    """Leave out what says the same as another figure, or nothing about the candidate."""
    if key[0] == "dvh":
        return key[-1].endswith(DIFFERENCE)
    return key[0] not in _NOT_COMPARED


def _compare(values: CohortValues, family: str, key: Key, candidate: str) -> CohortComparison:
    quantity, label = describe(key), values.label(key)
    first, second = values.of(values.baseline, key), values.of(candidate, key)
    if quantity.better == ZERO:
        first, second, label = np.abs(first), np.abs(second), f"|{label}|"
    test = CohortComparison(family, key, label, quantity, candidate, values.baseline)
    n = int((np.isfinite(first) & np.isfinite(second)).sum())
    if n < FEWEST_PAIRS:
        who = {0: "No patient has", 1: "Only 1 patient has"}.get(n, f"Only {n} patients have")
        return replace(test, reason=f"{who} a value of both; a test needs at least {FEWEST_PAIRS}.")
    return replace(test, result=compare_paired(first, second, label))
