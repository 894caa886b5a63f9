"""The report's part on acceptance: what every limit says of every candidate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

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
from SyntheticCTEvalLib.pictures.charts import colours_of

from .blocks import Block, Cell, Column, Document, Section, Table, Text

KIND = "verdicts"
_ORDER = (FAIL, MISSING, ACTION, PASS)
"""The worst first; what was not evaluated is not accepted."""

_SAID = {
    FAIL: "beyond the limits",
    MISSING: "not evaluated in full",
    ACTION: "within action levels, beyond tolerance",
    PASS: "within the limits",
}
_COUNTED = {
    FAIL: "beyond",
    MISSING: "not evaluated",
    ACTION: "beyond tolerance, within action level",
    PASS: "within",
}


def verdict_blocks(evaluation: Evaluation) -> list[Block]:
    """Return what limits say of an evaluation; nothing where no limits were given."""
    if evaluation.acceptance is None:
        return []
    return blocks_of(evaluation.acceptance, evaluation.verdicts, evaluation.candidates)


def blocks_of(
    acceptance: Acceptance, verdicts: Mapping[str, Sequence[Verdict]], candidates: Iterable[str]
) -> list[Block]:
    """Return a table of verdicts, what all limits say in its first row, and the limits' source."""
    colours = colours_of(candidates)
    if not colours:
        return []
    rows = [[Cell("All limits", best=True), *(_overall(verdicts[name]) for name in colours)]]
    for limit in acceptance.limits:
        rows += _rows(limit, [verdicts[name] for name in colours])
    columns = [Column(Cell("Limit"), width=1.4)]
    columns += [Column(Cell(name, colour=colour), width=1.2) for name, colour in colours.items()]
    caption = (
        f"Acceptance: {acceptance.name}. {MARKS[PASS]} within tolerance, {MARKS[ACTION]} beyond "
        f"tolerance and within the action level, {MARKS[FAIL]} beyond the limit, {MARKS[MISSING]} "
        "not evaluated."
    )
    source = acceptance.source.rstrip(".")
    told = f"Limits: {source}. {acceptance.note} {DEFINITION} They are kept in acceptance.toml."
    return [Table(caption, columns, rows, KIND), Text(" ".join(told.split()))]


def renew_verdicts(document: Document, blocks: Sequence[Block]) -> None:
    """Exchange what limits say in a report's first section for other ``blocks``, or for none."""
    first: Section = document.sections[0]
    kept = first.blocks
    if kept and isinstance(kept[0], Table) and kept[0].kind == KIND:
        kept = kept[2:]
    first.blocks = [*blocks, *kept]


def _overall(verdicts: Sequence[Verdict]) -> Cell:
    counts = Counter(verdict.state for verdict in verdicts)
    state = next(state for state in _ORDER if counts[state])
    if len(counts) == 1:
        many = f"all {len(verdicts)}" if len(verdicts) > 1 else "the one limit"
        words = f"{many} {_COUNTED[state]}"
    else:
        parts = "; ".join(f"{counts[each]} {_COUNTED[each]}" for each in _ORDER if counts[each])
        words = f"of {len(verdicts)}: {parts}"
    return Cell(f"{MARKS[state]} {_SAID[state]}", small=words, best=state == PASS, state=state)


def _rows(limit: Limit, verdicts: Sequence[Sequence[Verdict]]) -> list[list[Cell]]:
    """The rows of a limit: one a structure that it fits on any candidate."""
    own = [[verdict for verdict in found if verdict.limit == limit] for found in verdicts]
    paths = dict.fromkeys(verdict.path for found in own for verdict in found)
    general = limit.path(limit.structure)  # of a candidate on which it fits nothing
    paths = [path for path in paths if path != general] or list(paths)
    rows = []
    for path in paths:
        chosen = [next((v for v in found if v.path == path), found[0]) for found in own]
        label = next(verdict.label for verdict in chosen if verdict.path == path)
        levels = [("tolerance", limit.tolerance), ("action level", limit.action)]
        told = "; ".join(
            f"{name} {limit.words(level)}" for name, level in levels if level is not None
        )
        rows.append([Cell(label, small=told), *map(_cell, chosen)])
    return rows


def _cell(verdict: Verdict) -> Cell:
    words = f"{verdict.words}: {verdict.reason}" if verdict.reason else verdict.words
    return Cell(f"{verdict.mark} {verdict.printed}", small=words, state=verdict.state)
