"""What stands under the title of a cohort's report: who, by which criterion, how laid, when."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from SyntheticCTEvalLib.cohort.records import Cohort
from SyntheticCTEvalLib.gamma.criteria import Criterion, spaced
from SyntheticCTEvalLib.group.values import CohortValues
from SyntheticCTEvalLib.placement.ways import BY_MR, DEFORMABLE, NONE, RIGID

_KINDS = {
    "given": "as given",
    "assumed": "assumed",
    "planned": "as planned",
    "largest": "the largest dose on the true CT, for want of a prescription",
}


def identity_lines(cohort: Cohort, values: CohortValues) -> list[tuple[str, str]]:
    """Return the lines under the title, each with what it is of."""
    count = len(cohort.patients)
    said = f"{count} {'patient' if count == 1 else 'patients'} evaluated"
    if cohort.failed:
        said += f", {len(cohort.failed)} not (see below)"
    lines = [("Patients", said)]
    if values.candidates:
        told = ", ".join(values.candidates)
        if values.baseline and len(values.candidates) > 1:
            told += f" (the others are compared with {values.baseline})"
        lines.append(("Held against the true CT", told))
        lines.append(("Gamma", criterion_words(cohort)))
        lines.append(("100 % of dose", prescription_words(cohort)))
        lines.append(("Registration", registration_words(cohort)))
        names = ", ".join(acceptance.name for acceptance in cohort.acceptances())
        lines.append(("Limits", names or "none were given"))
    if date := cohort.origin.get("date"):
        lines.append(("Computed", f"{date.replace('T', ' ')} by {cohort.origin['program']}"))
    return [(what, text) for what, text in lines if text]


def criterion_words(cohort: Cohort) -> str:
    """Return the gamma criteria in words, with cutoffs; "" where no gamma was computed."""
    found: dict[tuple[tuple[str, ...], tuple[str, ...]], list[str]] = {}
    for record in cohort.patients:
        for metrics in record.metrics.get("candidates", {}).values():
            if rates := metrics.get("gpr_criteria"):
                cutoffs = tuple(dict.fromkeys(c for each in rates.values() for c in each))
                found.setdefault((tuple(rates), cutoffs), []).append(record.patient)
                break
    return "; ".join(
        _criteria(names, cutoffs) + (_whom(patients) if len(found) > 1 else "")
        for (names, cutoffs), patients in found.items()
    )


def prescription_words(cohort: Cohort) -> str:
    """Return what percentages of dose are of; "" where no dose was evaluated."""
    found: dict[str, list[str]] = {}
    for record in cohort.patients:
        if (dose := record.metrics.get("prescription_gy")) is not None:
            kind = _KINDS.get(record.metrics.get("prescription_kind", ""), "")
            found.setdefault(kind, []).append(f"{dose:.4g} Gy")
    said = []
    for kind, doses in found.items():
        same = list(dict.fromkeys(doses))
        text = same[0] if len(same) == 1 else f"{len(doses)} patients' own"
        said.append(f"{text}, {kind}" if kind else text)
    return "; ".join(said)


def registration_ways(cohort: Cohort) -> dict[str, list[str]]:
    """Return in words how candidates came to lie on the true CT, each way with its patients."""
    found: dict[str, list[str]] = {}
    for record in cohort.patients:
        words = _way(record.metrics.get("registration", {}))
        found.setdefault(words, []).append(record.patient)
    return found


def registration_words(cohort: Cohort) -> str:
    """Return in words how candidates came to lie on the true CT, where patients differ whose."""
    found = registration_ways(cohort)
    return "; ".join(
        words + (_whom(patients) if len(found) > 1 else "") for words, patients in found.items()
    )


_NONE = "none: the candidates were taken to lie on the true CT"


def _way(own: dict[str, Any]) -> str:
    if own.get("way", NONE) == NONE:
        return _NONE if own else "not known"
    way = {RIGID: "rigid alone", DEFORMABLE: "rigid and deformable"}[own["way"]]
    by = "one transform, found between MR and true CT" if own.get("by") == BY_MR else (
        "each candidate by itself"
    )  # fmt: skip
    return f"{way}, {by}"


def _criteria(names: Iterable[str], cutoffs: Iterable[str]) -> str:
    said = []
    for local in (False, True):
        own = [name for name in names if Criterion.parse(name).local is local]
        if own:
            told = ", ".join(spaced(name).removesuffix(" local") for name in own)
            said.append(f"{told} {'local' if local else 'global'}")
    return f"{'; '.join(said)}; dose above {' and '.join(f'{c} %' for c in cutoffs)}"


def _whom(patients: list[str]) -> str:
    shown = ", ".join(patients[:3]) + (" and others" if len(patients) > 3 else "")
    return f" ({len(patients)}: {shown})"
