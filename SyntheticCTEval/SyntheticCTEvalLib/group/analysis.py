"""Everything that a cohort's report and files tell, computed once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from SyntheticCTEvalLib.cohort.records import Cohort
from SyntheticCTEvalLib.evaluation.limits import Acceptance

from . import agreement, comparison, limit_counts, outliers
from .agreement import Agreement, Statement, agreement_of, korsholm_statements
from .comparison import CohortComparison, compare_cohort
from .limit_counts import LimitCount, count_limits
from .outliers import MainFigure, Outlier, find_outliers, main_figures
from .tables import Table, make_table
from .values import TABLES, CohortValues

Definitions = dict[str, str | dict[str, str]]
"""One line a figure, or a line a patient where they differ."""


@dataclass(frozen=True)
class Analysis:
    """What is told of a cohort.

    Attributes:
        values: every figure.
        comparisons: of every figure with the baseline.
        tables: the paper's, by number; None where no patient has a figure of one.
        agreements: of doses on candidates with those on the true CT.
        statements: of Korsholm 2014, one a candidate.
        figures: the main ones, which are plotted.
        outliers: patients that lie apart in them.
        counts: of patients within the limits of the acceptance file.
        definitions: of everything that is told.
    """

    values: CohortValues
    comparisons: list[CohortComparison]
    tables: dict[int, Table | None]
    agreements: list[Agreement]
    statements: list[Statement]
    figures: list[MainFigure]
    outliers: list[Outlier]
    counts: list[LimitCount]
    definitions: Definitions


def analyse(cohort: Cohort) -> Analysis:
    """Return all that is told of ``cohort``."""
    values = CohortValues.of_cohort(cohort)
    comparisons = compare_cohort(values)
    agreements = agreement_of(values, _only(cohort.acceptances()))
    figures = main_figures(values)
    return Analysis(
        values=values,
        comparisons=comparisons,
        tables={number: make_table(number, values, comparisons) for number in TABLES},
        agreements=agreements,
        statements=korsholm_statements(values, agreements),
        figures=figures,
        outliers=find_outliers(values, figures),
        counts=count_limits(cohort, values.candidates),
        definitions=_definitions(cohort, values, bool(agreements)),
    )


def short_definitions(definitions: Definitions) -> dict[str, str]:
    """Return one line for each definition; where patients differ, the first one's."""
    short = {}
    for key, found in definitions.items():
        if isinstance(found, dict):
            patient, text = next(iter(found.items()))
            found = (
                f"{text} (Of {patient}; this line differs between patients and is in each one's "
                "report and in metrics.json.)"
            )
        short[key] = found
    return short


def _only(acceptances: list[Acceptance]) -> Acceptance | None:
    """What a group is held against: the limits of all patients, where these share one file."""
    return acceptances[0] if len(acceptances) == 1 else None


def _definitions(cohort: Cohort, values: CohortValues, with_dose: bool) -> Definitions:
    found: dict[str, dict[str, str]] = {}
    for record in cohort.patients:
        for key, text in record.metrics.get("definitions", {}).items():
            found.setdefault(key, {})[record.patient] = text
    merged: dict[str, Any] = {
        key: next(iter(texts.values())) if len(set(texts.values())) == 1 else texts
        for key, texts in found.items()
    }
    if values.candidates:
        merged |= comparison.DEFINITIONS | outliers.DEFINITIONS
        merged |= agreement.DEFINITIONS if with_dose else {}
        merged |= limit_counts.DEFINITIONS if cohort.acceptances() else {}
    return merged
