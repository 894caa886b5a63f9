"""How many patients are within the limits of the acceptance file, by limit and candidate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from SyntheticCTEvalLib.acceptance.verdicts import label_of, verdicts_of
from SyntheticCTEvalLib.cohort.records import Cohort
from SyntheticCTEvalLib.evaluation.limits import (
    ACTION,
    FAIL,
    MARKS,
    MISSING,
    PASS,
    Limit,
    worst,
)

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

    def cells(self) -> dict[str, list[tuple[str, str, list[str]]]]:
        """Return state, text and patients by candidate, of the states that any patient has.

        Patients are named who are not within.
        """
        return {
            candidate: [
                (
                    state,
                    f"{MARKS[state]} {len(found[state])} {WORDS[state]}",
                    [] if state == PASS else found[state],
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
    held: dict[Limit, list[dict[str, Any]]] = {limit: [] for limit in limits}
    for record in cohort.patients:
        target, own_limits = record.metrics.get("target"), cohort.limits_of(record)
        if own_limits is None:
            continue
        for name, metrics in record.metrics.get("candidates", {}).items():
            verdicts = verdicts_of(own_limits, metrics, target)
            every[name][worst(each.state for each in verdicts)].append(record.patient)
            for limit in own_limits.limits:
                own = worst(each.state for each in verdicts if each.limit == limit)
                found[limit][name][own].append(record.patient)
                held[limit].append(metrics)
    counts = [LimitCount("All limits", "", every)] if len(found) > 1 else []
    return counts + [
        LimitCount(_label(limit, held[limit]), limit.levels_words, found[limit]) for limit in found
    ]


def _none(candidates: list[str]) -> dict[str, dict[str, list[str]]]:
    return {name: {state: [] for state in STATES} for name in candidates}


def _label(limit: Limit, metrics: list[dict[str, Any]]) -> str:
    """Return what a limit of a group is called; a label of its own needs no structure's name."""
    return label_of(limit, "" if limit.label else limit.structure, metrics)
