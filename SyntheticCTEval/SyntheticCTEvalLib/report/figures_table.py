"""Figures of every candidate side by side, the best of each marked."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from SyntheticCTEvalLib.evaluation.quantities import (
    HIGHER,
    MINUS,
    ZERO,
    Quantity,
    flat,
    is_finite,
    noise_of,
    printed,
    quantities_of,
    signed,
)
from SyntheticCTEvalLib.evaluation.results import Evaluation
from SyntheticCTEvalLib.pictures.charts import shown_colours

from .blocks import Cell, Column, Table, candidate_columns

BEST = "★"
"""The best of a row; another mark than that of a verdict."""

_ARROWS = {"lower is better": "↓ ", "higher is better": "↑ "}


@dataclass
class Row:
    """One figure of every candidate, ready to be printed."""

    key: str
    label: str
    unit: str
    better: str
    cells: list[str] = field(default_factory=list)
    best: list[bool] = field(default_factory=list)


def summary_rows(
    evaluation: Evaluation, wanted: Callable[[tuple[str, ...]], bool] = lambda key: True
) -> list[Row]:
    """Return the rows of figures, the best candidates of each row marked.

    Values that print alike are equally good; nothing is marked where nothing is compared.

    Args:
        wanted: which figures, by their path in metrics.json.
    """
    entries = [candidate.metrics for candidate in evaluation.candidates.values()]
    values = [flat(entry) for entry in entries]
    return [
        figure_row(key, quantity, [own.get(key) for own in values])
        for key, quantity in quantities_of(entries).items()
        if wanted(key)
    ]


def figure_row(key: tuple[str, ...], described: Quantity, values: list[Any]) -> Row:
    """Return one figure of every candidate, the best ones marked."""
    digits, better = described.digits, described.better
    row = Row(key[0], described.label, described.unit, better)
    cells = [printed(value, digits) for value in values]
    scores = [
        (abs(float(cell)) if better == ZERO else float(cell) * (-1 if better == HIGHER else 1))
        if is_finite(value)
        else math.inf
        for cell, value in zip(cells, values, strict=True)
    ]
    comparable = better and sum(map(math.isfinite, scores)) > 1
    row.cells = [cell.replace("-", MINUS) for cell in cells]
    row.best = [bool(comparable and score == min(scores)) for score in scores]
    return row


def noise_words(entry: Mapping[str, Any], *path: str) -> str:
    """Return the noise of the pass rate at ``path`` of a candidate's entry, and its bias by noise;
    "" where doses have no noise."""
    found = noise_of(entry, path)
    return f"±{found[0]:.2f}, bias {signed(found[1], 2)}" if found else ""


def noise_head(evaluation: Evaluation) -> str:
    """Return what stands behind "pass rate in %" where :func:`noise_words` stand in the cells."""
    entries = (candidate.metrics for candidate in evaluation.candidates.values())
    return " ± noise" if any("gpr_noise" in entry for entry in entries) else ""


def figures_table(evaluation: Evaluation, caption: str, rows: list[Row]) -> Table:
    """Return a table of figures with their names, units and better sides."""
    colours = shown_colours(evaluation)
    if len(colours) > 1:
        caption += (
            f" {BEST} marks the best candidate of a row, which says nothing of limits; equal as "
            "printed is equally good."
        )
    columns = [
        Column(Cell("Figure"), width=2.6),
        *candidate_columns(colours),
        Column(Cell("Unit"), width=0.5),
        Column(Cell("Reading"), width=1.2),
    ]
    return Table(caption, columns, [_cells(row) for row in rows])


def _cells(row: Row) -> list[Cell]:
    values = [
        Cell(f"{BEST} {cell}" if best else cell, best=best)
        for cell, best in zip(row.cells, row.best, strict=True)
    ]
    reading = Cell(_ARROWS.get(row.better, "") + row.better)
    return [Cell(row.label, link=row.key), *values, Cell(row.unit), reading]
