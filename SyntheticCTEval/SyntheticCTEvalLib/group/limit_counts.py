"""How many patients are within the limits of the acceptance file, by limit and candidate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from SyntheticCTEvalLib.acceptance.verdicts import overall, verdicts_of
from SyntheticCTEvalLib.cohort.records import Cohort
from SyntheticCTEvalLib.evaluation.limits import (
    ACTION,
    FAIL,
    MARKS,
    MISSING,
    PASS,
    Limit,
)
from SyntheticCTEvalLib.evaluation.quantities import describe

WORDS = {
    PASS: "within",
    ACTION: "within action level",
    FAIL: "beyond",
    MISSING: "not evaluated",
}
STATES = (PASS, ACTION, FAIL, MISSING)

DEFINITIONS = {
    "limit_counts": (
        "Patients by what a limit says of them: within tolerance, beyond tolerance and within the "
        "action level, beyond the last level given, not evaluated. Of a limit that several "
        "structures of a patient fit, and of all limits, the worst counts; not evaluated counts as "
        "worse than within the action level. Patients without the candidate, or with other limits "
        "of their own, are not counted."
    )
}


@dataclass(frozen=True)
class LimitCount:
    """What one limit, or all of them, say of the patients.

    Attributes:
        label: of the limit.
        levels: tolerance and action level in words.
        patients: by candidate and state, who they are.
    """

    label: str
    levels: str
    patients: dict[str, dict[str, list[str]]]

    def cells(self) -> dict[str, list[tuple[str, str, str]]]:
        """Return state, text and names by candidate, of the states that any patient has.

        Names are those of patients who are not within.
        """
        return {
            candidate: [
                (
                    state,
                    f"{MARKS[state]} {len(found[state])} {WORDS[state]}",
                    "" if state == PASS else ", ".join(found[state]),
                )
                for state in STATES
                if found[state]
            ]
            for candidate, found in self.patients.items()
        }

    def entry(self) -> dict[str, Any]:
        """Return the counts as metrics.json has them."""
        return {
            "limit": self.label,
            "levels": self.levels,
            "candidates": {
                candidate: {state: len(names) for state, names in found.items()}
                for candidate, found in self.patients.items()
            },
        }


def count_limits(cohort: Cohort, candidates: list[str]) -> list[LimitCount]:
    """Return the counts of all limits together, then of each; none without limits."""
    limits = dict.fromkeys(limit for each in cohort.acceptances() for limit in each.limits)
    if not limits:
        return []
    found = {limit: _none(candidates) for limit in limits}
    every = _none(candidates)
    for record in cohort.patients:
        target, own_limits = record.metrics.get("target"), cohort.limits_of(record)
        if own_limits is None:
            continue
        for name, metrics in record.metrics.get("candidates", {}).items():
            verdicts = verdicts_of(own_limits, metrics, target)
            every[name][overall(verdicts)].append(record.patient)
            for limit in own_limits.limits:
                own = overall(verdict for verdict in verdicts if verdict.limit == limit)
                found[limit][name][own].append(record.patient)
    counts = [LimitCount("All limits", "", every)] if len(found) > 1 else []
    return counts + [LimitCount(_label(limit), _levels(limit), found[limit]) for limit in found]


def _none(candidates: list[str]) -> dict[str, dict[str, list[str]]]:
    return {name: {state: [] for state in STATES} for name in candidates}


def _label(limit: Limit) -> str:
    return limit.label or describe(limit.path(limit.structure)).label


def _levels(limit: Limit) -> str:
    levels = [("tolerance", limit.tolerance), ("action level", limit.action)]
    return "; ".join(f"{name} {limit.words(level)}" for name, level in levels if level is not None)
