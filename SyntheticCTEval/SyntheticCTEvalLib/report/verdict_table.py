"""The report's part on acceptance: what every limit says of every candidate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from SyntheticCTEvalLib.evaluation.limits import (
    ACTION,
    DEFINITION,
    FAIL,
    MARKS,
    MISSING,
    PASS,
    Acceptance,
    Limit,
    Verdict,
)
from SyntheticCTEvalLib.evaluation.results import Evaluation
from SyntheticCTEvalLib.pictures.charts import candidate_colours

from .templates import template_environment

_ORDER = (FAIL, MISSING, ACTION, PASS)
"""The worst first; what was not evaluated is not accepted."""

_COUNTED = {
    FAIL: "beyond",
    MISSING: "not evaluated",
    ACTION: "beyond tolerance, within action level",
    PASS: "within",
}
_MARKS = "<!-- acceptance -->", "<!-- end of acceptance -->"
"""Around the part on acceptance in report.html, so that it can be renewed by itself."""

_SAID = {
    FAIL: "beyond the limits",
    MISSING: "not evaluated in full",
    ACTION: "within action levels, beyond tolerance",
    PASS: "within the limits",
}


@dataclass
class VerdictRow:
    """One limit, of one structure where it is of any: its levels, and a verdict a candidate."""

    label: str
    tolerance: str
    action: str
    verdicts: list[Verdict]


@dataclass
class VerdictSummary:
    """What all limits together say of one candidate: the worst state, and how many of each."""

    candidate: str
    colour: str
    state: str
    mark: str
    said: str
    counted: str


@dataclass
class VerdictTable:
    """The limits and what they say, ready to be printed."""

    name: str
    source: str
    note: str
    definition: str
    candidates: dict[str, str]
    summaries: list[VerdictSummary]
    rows: list[VerdictRow]


def verdict_table(evaluation: Evaluation) -> VerdictTable | None:
    """Return the table of an evaluation; None where no limits were given."""
    if evaluation.acceptance is None:
        return None
    return table_of(evaluation.acceptance, evaluation.verdicts, candidate_colours(evaluation))


def table_of(
    acceptance: Acceptance, verdicts: Mapping[str, Sequence[Verdict]], colours: Mapping[str, str]
) -> VerdictTable:
    """Return the table of verdicts by candidate; ``colours`` are those of the candidates."""
    return VerdictTable(
        acceptance.name,
        acceptance.source,
        acceptance.note,
        DEFINITION,
        dict(colours),
        [_summary(name, colour, verdicts[name]) for name, colour in colours.items()],
        [row for limit in acceptance.limits for row in _rows(limit, verdicts, list(colours))],
    )


def with_verdicts(page: str, table: VerdictTable | None) -> str | None:
    """Return a report's page with its part on acceptance made of ``table``, which may be none.

    None where the page has no such part.
    """
    start, end = (page.find(mark) for mark in _MARKS)
    if not 0 <= start < end:
        return None
    part = template_environment().get_template("verdicts.html").render(acceptance=table)
    return f"{page[: start + len(_MARKS[0])]}\n{part}{page[end:]}"


def _rows(
    limit: Limit, verdicts: Mapping[str, Sequence[Verdict]], names: Sequence[str]
) -> list[VerdictRow]:
    """The rows of a limit: one a structure that it fits on any candidate."""
    own = {name: [v for v in verdicts[name] if v.limit == limit] for name in names}
    paths = dict.fromkeys(v.path for found in own.values() for v in found)
    general = limit.path(limit.structure)  # of a candidate on which it fits nothing
    paths = [path for path in paths if path != general] or list(paths)
    rows = []
    for path in paths:
        chosen = [
            next((each for each in own[name] if each.path == path), own[name][0]) for name in names
        ]
        label = next(each.label for each in chosen if each.path == path)
        rows.append(VerdictRow(label, *map(limit.words, (limit.tolerance, limit.action)), chosen))
    return rows


def _summary(name: str, colour: str, verdicts: Sequence[Verdict]) -> VerdictSummary:
    counts = Counter(verdict.state for verdict in verdicts)
    state = next(state for state in _ORDER if counts[state])
    if len(counts) == 1:
        every = f"all {len(verdicts)}" if len(verdicts) > 1 else "the one limit"
        words = f"{every} {_COUNTED[state]}"
    else:
        parts = "; ".join(f"{counts[each]} {_COUNTED[each]}" for each in _ORDER if counts[each])
        words = f"of {len(verdicts)} limits {parts}"
    return VerdictSummary(name, colour, state, MARKS[state], _SAID[state], words)
