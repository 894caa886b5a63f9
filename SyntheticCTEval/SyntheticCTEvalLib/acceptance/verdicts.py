"""Figures held against limits, from an evaluation or from its metrics.json."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from SyntheticCTEvalLib.evaluation.limits import (
    ACTION,
    FAIL,
    MISSING,
    PASS,
    TARGET,
    Acceptance,
    Limit,
    Verdict,
)
from SyntheticCTEvalLib.evaluation.quantities import (
    HIGHER,
    LOWER,
    describe,
    finite,
    is_finite,
    noise_of,
    signed,
)
from SyntheticCTEvalLib.evaluation.results import Evaluation
from SyntheticCTEvalLib.evaluation.settings import EvaluationSettings
from SyntheticCTEvalLib.gamma.criteria import Criterion
from SyntheticCTEvalLib.structures.dvh import DIFFERENCE, DIFFERENCE_GY

_OF_DOSE = ("gpr_criteria", "gpr_structures", "dvh")


def needs_of(settings: EvaluationSettings, acceptance: Acceptance | None) -> dict[str, list]:
    """Return what limits need and ``settings`` lack.

    Returns:
        "criteria" (names), "cutoffs_percent" and "dvh_points" (as text for each structure).
    """
    criteria, cutoffs, points = [], [], []
    for limit in acceptance.limits if acceptance else ():
        if limit.criterion:
            criteria.append(limit.criterion)
        if limit.cutoff_percent is not None:
            cutoffs.append(limit.cutoff_percent)
        if limit.path()[0] == "dvh" and (point := _point(limit)):
            points.append(f"+{limit.structure}: {point}")
    known = {criterion.name for criterion in settings.criteria}
    return {
        "criteria": [name for name in dict.fromkeys(criteria) if name not in known],
        "cutoffs_percent": [
            cutoff for cutoff in dict.fromkeys(cutoffs) if cutoff not in settings.cutoffs_percent
        ],
        "dvh_points": list(dict.fromkeys(points)),
    }


def settings_for(settings: EvaluationSettings, acceptance: Acceptance | None) -> EvaluationSettings:
    """Return ``settings`` with the criteria, cutoffs and dose-volume points that limits need."""
    needs = needs_of(settings, acceptance)
    points = [settings.dvh_points] if settings.dvh_points else []
    return replace(
        settings,
        criteria=(*settings.criteria, *map(Criterion.parse, needs["criteria"])),
        cutoffs_percent=(*settings.cutoffs_percent, *needs["cutoffs_percent"]),
        dvh_points="; ".join([*points, *needs["dvh_points"]]),
    )


def judge(evaluation: Evaluation, acceptance: Acceptance | None) -> None:
    """Hold every candidate of ``evaluation`` against the limits, and keep them and the verdicts."""
    evaluation.acceptance = acceptance
    evaluation.verdicts = {
        name: verdicts_of(acceptance, result.metrics, evaluation.target)
        for name, result in evaluation.candidates.items()
        if acceptance is not None
    }


def verdicts_of(
    acceptance: Acceptance, metrics: Mapping[str, Any], target: str | None
) -> list[Verdict]:
    """Return what every limit says of a candidate, one verdict a structure that it fits.

    Args:
        metrics: the candidate's entry of metrics.json.
        target: name of the evaluation's target.
    """
    known = finite(dict(metrics))
    return [verdict for limit in acceptance.limits for verdict in _verdicts(limit, known, target)]


def label_of(limit: Limit, structure: str, metrics: Iterable[Mapping[str, Any]]) -> str:
    """Return what a limit on ``structure`` is called.

    Pass rates of structures are above the lowest dose cutoff of a run, which no limit names: it
    stands in the label.

    Args:
        metrics: entries of metrics.json that the limit is held against.
    """
    label = describe(limit.path(structure)).label
    if limit.label:
        label = f"{limit.label} ({structure})" if structure else limit.label
    if limit.figure != "gpr_structures":
        return label
    lowest = sorted({min(map(float, rates)) for each in metrics if (rates := each.get("gpr"))})
    cutoffs = " or ".join(f"{cutoff:g}" for cutoff in lowest)
    return f"{label}, dose above {cutoffs} %" if cutoffs else label


def _verdicts(limit: Limit, metrics: Mapping[str, Any], target: str | None) -> list[Verdict]:
    if not limit.structure:
        return [_verdict(limit, metrics, "")]
    group = metrics.get(limit.path()[0])
    if group is None:
        return [_missing(limit, metrics, _why_no_group(limit, metrics))]
    names = fitting(limit.structure, group, target)
    if not names:
        sought = "is the target" if limit.structure.casefold() == TARGET else (
            f"has a name like {limit.structure}"
        )  # fmt: skip
        return [_missing(limit, metrics, f"no structure with a dose {sought}")]
    return [_verdict(limit, metrics, name) for name in names]


def fitting(pattern: str, names: Iterable[str], target: str | None) -> list[str]:
    """Return those of the structures ``names`` that a limit on ``pattern`` is of."""
    names = list(names)
    folded = pattern.casefold()
    if folded == TARGET:
        return [name for name in names if name == target]
    exact = [name for name in names if name.casefold() == folded]
    return exact or [name for name in names if fnmatch.fnmatchcase(name.casefold(), folded)]


def _verdict(limit: Limit, metrics: Mapping[str, Any], structure: str) -> Verdict:
    path, value = limit.path(structure), metrics
    for part in path:
        if not isinstance(value, Mapping) or part not in value:
            return _missing(limit, metrics, _why_no_group(limit, metrics), structure)
        value = value[part]
    if not is_finite(value):
        return _missing(limit, metrics, "the figure does not exist or is not finite", structure)
    label = label_of(limit, structure, [metrics])
    state = state_of(limit, value)
    return Verdict(limit, path, label, float(value), state, _doubt(limit, metrics, path, value))


def _doubt(limit: Limit, metrics: Mapping[str, Any], path: tuple[str, ...], value: float) -> str:
    """Why noise may have decided a verdict on a pass rate; "" where it has not."""
    found = noise_of(metrics, path)
    if found is None:
        return ""
    noise, bias = found
    around = [value, *(value - bias + sign * 2 * noise for sign in (-1, 1))]
    if len({state_of(limit, min(one, 100.0)) for one in around}) == 1:
        return ""
    return (
        f"noise may decide, as two standard deviations (2 x {noise:.2f}) around the pass rate "
        f"without its bias ({signed(bias)}) reach over a limit"
    )


def _missing(limit: Limit, metrics: Mapping[str, Any], reason: str, structure: str = "") -> Verdict:
    called = structure or limit.structure
    label = label_of(limit, called, [metrics])
    return Verdict(limit, limit.path(called), label, None, MISSING, reason)


def _why_no_group(limit: Limit, metrics: Mapping[str, Any]) -> str:
    first = limit.path()[0]
    if first in _OF_DOSE and "gpr" not in metrics:
        return "no dose of this candidate was evaluated"
    if first not in metrics and limit.structure:
        return "there are no structures"
    return "the figure was not computed"


def state_of(limit: Limit, value: float) -> str:
    """Return what a limit says of a figure: PASS, ACTION or FAIL; levels themselves are within."""
    if limit.tolerance is not None and _within(limit, value, limit.tolerance):
        return PASS
    if limit.action is not None and _within(limit, value, limit.action):
        return PASS if limit.tolerance is None else ACTION
    return FAIL


def _within(limit: Limit, value: float, level: float) -> bool:
    if limit.better == HIGHER:
        return value >= level
    return value <= level if limit.better == LOWER else abs(value) <= level


def _point(limit: Limit) -> str:
    """The point that a dose-volume limit needs; "" where every structure has it anyway."""
    point = limit.figure.removesuffix(DIFFERENCE_GY).removesuffix(DIFFERENCE)
    return "" if point in _ALWAYS else point


_ALWAYS = {
    *("D98", "D95", "D50", "D2", "Dmean", "Dmin", "Dmax"),
    *("V50%", "V95%", "V107%", "volume_cm3", "outside_percent"),
}
"""Figures of every structure, see structures.dvh."""
