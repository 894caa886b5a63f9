"""Dose on candidates against dose on the true CT over the patients: intervals, limits, Korsholm.

Source of the statement: Korsholm, Waring, Edmund, Radiat Oncol 2014;9:16.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from SyntheticCTEvalLib.acceptance.verdicts import fitting, state_of
from SyntheticCTEvalLib.evaluation.limits import FAIL, MISSING, PASS, TARGET, Acceptance, Limit
from SyntheticCTEvalLib.evaluation.quantities import ZERO, describe, finite, signed
from SyntheticCTEvalLib.structures.dvh import DIFFERENCE
from SyntheticCTEvalLib.structures.dvh_points import told_point

from .comparison import printed_p
from .tolerance import CONFIDENCE, Spread, spread_of
from .values import CohortValues, Key

BOUND_PERCENT = 2.0
"""Of the prescription: what Korsholm 2014 allows."""

KORSHOLM_POINTS = {"D50": "Dmedian (D50)", "D2": "D2", "D98": "D98"}
MAIN_POINTS = ("D98", "D95", "D50", "D2", "Dmean")
NOT_NORMAL = 0.05

DEFINITIONS = {
    "agreement": (
        "Dose-volume figures of the candidate minus those of the true CT over the n patients that "
        "have them; doses in percent of each patient's prescription, volumes in percentage points. "
        "SD with n - 1. 95 % confidence interval of the mean: Student's t. Tolerance interval "
        "(95 %/95 %): mean ± k SD, which holds at least 95 % of all patients with 95 % "
        "confidence; k is the exact two-sided factor for normal samples (ISO 16269-6). Limits of "
        "agreement (Bland and Altman): mean ± 1.96 SD, their 95 % confidence intervals exact for "
        "normal samples (Carkeet 2015). All but the mean presume that the differences are normal: "
        "where Shapiro-Wilk says at p below 0.05 that they are not, the row is marked."
    ),
    "agreement_limits": (
        "A limit of the acceptance file is held against the tolerance interval, as a limit is for "
        "patients and not for their mean: within, where the whole interval is."
    ),
    "korsholm2014": (
        "The criterion of Korsholm et al. (Radiat Oncol 2014;9:16) is a difference of at most 2 % "
        "of the prescription in the target's Dmedian (D50), D2 and D98 for 95 % of the patients. "
        "It is held here against the two-sided 95 %/95 % tolerance interval of the patients, each "
        "point by itself: shown, where the interval lies within ±2 %. This is the program's way "
        "to include what n patients can tell; it is not claimed to be the interval of that paper, "
        "and is wider than mean ± 1.96 SD, which stands beside it. Confidence: that with which "
        "the tolerance interval of 95 % of the patients would just lie within ±2 %."
    ),
}


@dataclass(frozen=True)
class GroupVerdict:
    """A limit of the acceptance file held against a tolerance interval: PASS, ACTION, FAIL."""

    words: str
    state: str


@dataclass(frozen=True)
class Agreement:
    """How a dose-volume figure of a candidate differs from that of the true CT.

    Attributes:
        key: figure; its structure is "target" for every patient's own target.
        of_target: it is of that, and not of a structure that happens to be called so.
        label: of structure and figure.
        unit: "% of prescription" or "% points".
        candidate: whose.
        spread: of the patients' differences.
        verdicts: one a limit of the acceptance file that fits.
    """

    key: Key
    of_target: bool
    label: str
    unit: str
    candidate: str
    spread: Spread
    verdicts: tuple[GroupVerdict, ...] = ()

    @property
    def point(self) -> str:
        """The point's own name, such as "D98"."""
        return self.key[2].removesuffix(DIFFERENCE)

    @property
    def normal(self) -> bool:
        """Whether nothing speaks against a normal distribution."""
        return not self.spread.shapiro_p < NOT_NORMAL


@dataclass(frozen=True)
class Statement:
    """The statement of Korsholm 2014 about one candidate.

    Attributes:
        candidate: whose.
        state: PASS (shown), FAIL (not shown) or MISSING (no patients to say it of).
        sentence: in words.
        points: what it is made of, by name of the point; each has "n", "mean", "tolerance",
            "confidence" (0 to 1), "beyond" (patients whose own difference is larger) and "shown".
    """

    candidate: str
    state: str
    sentence: str
    points: dict[str, dict[str, Any]]


def agreement_of(values: CohortValues, acceptance: Acceptance | None = None) -> list[Agreement]:
    """Return the agreement of every dose-volume difference, the target's first.

    A structure that is its patients' target wherever it is there stands as the target alone.
    """
    keys = [key for key in values.keys if key[0] == "dvh" and key[-1].endswith(DIFFERENCE)]
    figures = dict.fromkeys(key[2] for key in keys if key[1] in values.targets)
    rows = [(("dvh", TARGET, figure), True) for figure in figures]
    rows += [(key, False) for key in keys if not _always_target(values, key)]
    found = []
    for key, of_target in rows:
        quantity = describe(key)
        figure = key[2].removesuffix(DIFFERENCE)
        label = f"{values.target_name if of_target else key[1]}, {told_point(figure)}"
        for candidate in values.candidates:
            differences = (
                values.of_target(candidate, key[2]) if of_target else values.of(candidate, key)
            )
            if not np.isfinite(differences).any():
                continue
            spread = spread_of(differences)
            verdicts = _verdicts(acceptance, key, of_target, values, spread)
            found.append(
                Agreement(key, of_target, label, quantity.unit, candidate, spread, verdicts)
            )
    return found


def korsholm_statements(values: CohortValues, agreements: Sequence[Agreement]) -> list[Statement]:
    """Return the statement about every candidate; none where no patient has a target's dose."""
    if not any(agreement.of_target for agreement in agreements):
        return []
    return [_statement(values, agreements, name) for name in values.candidates]


def agreement_entry(agreement: Agreement) -> dict[str, Any]:
    """Return an agreement as metrics.json and agreement.csv hold it; None is not known."""
    spread = agreement.spread
    entry: dict[str, Any] = {
        "structure": agreement.key[1],
        "figure": agreement.key[2],
        "label": agreement.label,
        "unit": agreement.unit,
        "candidate": agreement.candidate,
        "n": spread.n,
        "mean": spread.mean,
        "sd": spread.sd,
        "tolerance_factor": spread.factor,
    }
    for name, interval in (
        ("mean_interval", spread.mean_interval),
        ("tolerance", spread.tolerance),
        ("limits_of_agreement", spread.limits),
        ("lower_limit", spread.lower_limit),
        ("upper_limit", spread.upper_limit),
    ):
        entry |= {f"{name}_low": interval[0], f"{name}_high": interval[1]}
    entry["shapiro_p"] = spread.shapiro_p
    entry["against_limits"] = "; ".join(verdict.words for verdict in agreement.verdicts)
    return finite(entry)


def _always_target(values: CohortValues, key: Key) -> bool:
    has = np.any([np.isfinite(values.of(name, key)) for name in values.candidates], axis=0)
    owners = [target for target, there in zip(values.targets, has, strict=True) if there]
    return bool(owners) and all(target == key[1] for target in owners)


def _verdicts(
    acceptance: Acceptance | None,
    key: Key,
    of_target: bool,
    values: CohortValues,
    spread: Spread,
) -> tuple[GroupVerdict, ...]:
    found = []
    structures = dict.fromkeys(key[1] for key in values.keys if key[0] == "dvh")
    for limit in acceptance.limits if acceptance else ():
        if limit.better != ZERO or limit.figure != key[2] or not limit.structure:
            continue
        fits = of_target and limit.structure.casefold() == TARGET
        own = values.targets if of_target else [key[1]]
        if fits or any(name in own for name in fitting(limit.structure, structures, None)):
            found.append(_verdict(limit, spread))
    return tuple(found)


def _verdict(limit: Limit, spread: Spread) -> GroupVerdict:
    reach = max(abs(bound) for bound in spread.tolerance)
    if not math.isfinite(reach):
        return GroupVerdict("not evaluated: fewer than two patients", MISSING)
    state = state_of(limit, reach)
    name, level = limit.levels[0 if state == PASS else -1]
    mark = "%" if limit.unit.startswith("%") else limit.unit
    side = "beyond" if state == FAIL else "within"
    return GroupVerdict(f"{side} {name} ±{level:g}\N{NO-BREAK SPACE}{mark}", state)


def _statement(values: CohortValues, agreements: Sequence[Agreement], candidate: str) -> Statement:
    points: dict[str, dict[str, Any]] = {}
    for point in KORSHOLM_POINTS:
        own = [a for a in agreements if a.of_target and a.point == point]
        found = next((a for a in own if a.candidate == candidate), None)
        differences = values.of_target(candidate, point + DIFFERENCE)
        spread = found.spread if found else spread_of(differences)
        points[point] = {
            "n": spread.n,
            "mean": spread.mean,
            "tolerance": list(spread.tolerance),
            "confidence": spread.confidence_within(BOUND_PERCENT),
            "shapiro_p": spread.shapiro_p,
            "beyond": int((np.abs(differences[np.isfinite(differences)]) > BOUND_PERCENT).sum()),
            "shown": bool(spread.n > 1 and max(map(abs, spread.tolerance)) <= BOUND_PERCENT),
        }
    state = PASS
    if any(point["n"] < 2 for point in points.values()):
        state = MISSING
    elif not all(point["shown"] for point in points.values()):
        state = FAIL
    sentence = _sentence(candidate, state, points)
    if values.without_prescription and state != MISSING:
        sentence += (
            f" Percent are of the largest dose on the true CT, for want of a prescription, in "
            f"{len(values.without_prescription)} of {len(values.patients)} patients."
        )
    return Statement(candidate, state, sentence, points)


def _sentence(candidate: str, state: str, points: dict[str, dict[str, Any]]) -> str:
    names = {point: KORSHOLM_POINTS[point] for point in points}
    if state == MISSING:
        few = [names[point] for point, found in points.items() if found["n"] < 2]
        return (
            f"{candidate}: not evaluated. Fewer than two patients have a difference in the "
            f"target's {_listed(few)}."
        )
    counts = sorted({found["n"] for found in points.values()})
    n = f"n = {'/'.join(map(str, counts))}"
    ranges = "; ".join(
        f"{names[point]} {signed(found['tolerance'][0])} to {signed(found['tolerance'][1])} %"
        for point, found in points.items()
    )
    said = f"{candidate}: {'shown' if state == PASS else 'not shown'}. "
    if state == PASS:
        said += (
            f"With {CONFIDENCE:.0%} confidence, at least 95 % of the patients differ by less than "
            f"{BOUND_PERCENT:g} % of the prescription in the target's {_listed(names.values())} "
            f"({n}). Tolerance intervals: {ranges}."
        ).replace("95%", "95 %")
    else:
        wide = [point for point, found in points.items() if not found["shown"]]
        least = min(points[point]["confidence"] for point in wide)
        said += (
            f"That at least 95 % of the patients differ by less than {BOUND_PERCENT:g} % of the "
            f"prescription cannot be said with 95 % confidence of the target's "
            f"{_listed(names[point] for point in wide)}: the confidence that {n} allows is "
            f"{printed_confidence(least)}. Tolerance intervals: {ranges}."
        )
    beyond = {names[p]: found["beyond"] for p, found in points.items() if found["beyond"]}
    if beyond:
        told = ", ".join(f"{count} in {name}" for name, count in beyond.items())
        said += f" Patients beyond {BOUND_PERCENT:g} % themselves: {told}."
    odd = [
        f"{names[p]} (Shapiro-Wilk p {printed_p(f['shapiro_p'])})"
        for p, f in points.items()
        if f["shapiro_p"] < NOT_NORMAL
    ]
    if odd:
        said += (
            f" The differences are not normal in {_listed(odd)}, which the interval presumes: do "
            "not rely on it there."
        )
    return said


def printed_confidence(confidence: float) -> str:
    """Return a confidence in percent, never rounded to 100 or up to 95."""
    if confidence > 0.999:
        return "above 99.9 %"
    if confidence < 0.001:
        return "below 0.1 %"
    return f"{math.floor(confidence * 1000) / 10:.1f} %"


def _listed(names) -> str:
    names = list(names)
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
