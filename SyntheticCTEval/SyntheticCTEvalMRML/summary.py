"""The answer of an evaluation in short, from its nodes: what to read first."""

from __future__ import annotations

import html
import math
import re
from typing import Any

from SyntheticCTEvalLib.evaluation.quantities import QUANTITIES, signed
from SyntheticCTMRML.translation import tr as _

from .evaluation_nodes import EvaluationNodes

FIRST = ("Gamma pass rate", "MAE in the body")
"""Beginnings of the rows of the metrics table that are shown first."""
_DIGITS = {"(%)": 2, "(HU)": 1}
"""Decimals by the unit that a row's label ends with, as the report prints them."""
NOTE = "Note"
"""First column of the definitions table's rows that hold warnings."""


def summary(nodes: EvaluationNodes | None) -> str:
    """Return figures by candidate and all warnings as rich text; empty without an evaluation."""
    if nodes is None:
        return ""
    lines = [_figures(nodes.metrics.GetTable(), nodes.names)]
    lines += [f"&#9888; <b>{_('Warning')}:</b> {html.escape(note)}" for note in notes(nodes)]
    return "<br/>".join(filter(None, lines))


def notes(nodes: EvaluationNodes) -> list[str]:
    """Return the warnings of an evaluation."""
    table = nodes.definitions.GetTable() if nodes.definitions is not None else None
    rows = range(table.GetNumberOfRows()) if table is not None else ()
    return [
        table.GetValue(row, 1).ToString()
        for row in rows
        if table.GetValue(row, 0).ToString() == NOTE
    ]


def _figures(table: Any, names: list[str]) -> str:
    labels = [table.GetValue(row, 0).ToString() for row in range(table.GetNumberOfRows())]
    chosen = [row for start in FIRST for row, text in enumerate(labels) if text.startswith(start)]
    columns = [table.GetColumnByName(name) for name in names]
    if not chosen or None in columns:
        return ""
    head = "".join(f"<th align='right'>&nbsp; {_breakable(name)}</th>" for name in names)
    rows = [f"<tr><th></th>{head}</tr>"]
    for row in chosen:
        cells = "".join(
            f"<td align='right'>&nbsp; {_number(c.GetValue(row), labels[row])}"
            f"{_noise(c, labels, row)}</td>"
            for c in columns
        )
        rows.append(f"<tr><td>{html.escape(labels[row])}</td>{cells}</tr>")
    return f"<table>{''.join(rows)}</table>"


def _noise(column: Any, labels: list[str], row: int) -> str:
    """Noise and bias of a pass rate, which are those of the first criterion alone; else ""."""
    cutoff = _cutoff(labels[row])
    rates = [label.startswith(FIRST[0]) and _cutoff(label) == cutoff for label in labels]
    noise = _row(labels, "gpr_noise", cutoff)
    bias = _row(labels, "gpr_bias", cutoff)
    if not cutoff or None in (noise, bias) or rates.index(True) != row:
        return ""
    found = column.GetValue(noise), column.GetValue(bias)
    if any(map(math.isnan, found)):
        return ""
    return "<br/>&nbsp; " + _("noise {noise:.2f}, bias {bias}").format(
        noise=found[0], bias=signed(found[1])
    )


def _cutoff(label: str) -> str:
    return label.partition(", dose above ")[2]


def _row(labels: list[str], quantity: str, cutoff: str) -> int | None:
    start = f"{QUANTITIES[quantity].label}, dose above {cutoff.removesuffix(' (%)')} ("
    return next((row for row, label in enumerate(labels) if label.startswith(start)), None)


def _breakable(name: str) -> str:
    """A name that may be wrapped at any sign, so that it does not set a panel's width."""
    return "&#8203;".join(html.escape(part) for part in re.findall(r"\w*?_|[^\W_]+|\W", name))


def _number(value: float, label: str) -> str:
    digits = next((n for unit, n in _DIGITS.items() if label.endswith(unit)), 4)
    return "&ndash;" if math.isnan(value) else f"<b>{value:.{digits}f}</b>"
