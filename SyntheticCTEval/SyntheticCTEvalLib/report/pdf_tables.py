"""A report's tables in a PDF: how they look, and where a page may end in them."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from html import escape
from typing import Any

from .blocks import Cell, Table

FIRST_ROWS, LAST_ROWS = 4, 3
"""So many rows of a table stand on the page on which it begins, and on that on which it ends."""

LONG, TALL = 200, 400.0
"""Letters of a cell, and points of a row, from which on a row may be parted."""

TOGETHER = 8
"""Rows under one head, or of one group, that no page's end parts; more begin with two."""

_SHADE = "#F2F2F2"
_GREY = "#555555"


@cache
def style(size: float, bold: bool = False, right: bool = False, grey: bool = False) -> Any:
    """Return the style of a paragraph: size in points, bold, flush right, grey."""
    from reportlab.lib.colors import HexColor
    from reportlab.lib.enums import TA_LEFT, TA_RIGHT
    from reportlab.lib.styles import ParagraphStyle

    return ParagraphStyle(
        f"{size}{bold}{right}{grey}",
        fontName="Sans-Bold" if bold else "Sans",
        fontSize=size,
        leading=size * 1.28,
        alignment=TA_RIGHT if right else TA_LEFT,
        textColor=HexColor(_GREY if grey else "#1A1A1A"),
        splitLongWords=1,
    )


def beginning(table: Table, inner: tuple[float, float]) -> float:
    """Return the height of what of a table must stand on one page: caption, head, first rows."""
    heads = {number: head for number, head in table.heads.items() if number < FIRST_ROWS}
    groups = {number for number in table.groups if number < FIRST_ROWS}
    first = replace(table, rows=table.rows[:FIRST_ROWS], heads=heads, groups=groups)
    parts = [*caption_of(table.caption), table_of(first, inner[0])]
    return min(sum(part.wrap(*inner)[1] for part in parts), inner[1])


def caption_of(text: str) -> list[Any]:
    """Return what stands over a table."""
    from reportlab.platypus import Paragraph, Spacer

    return [Paragraph(escape(text), style(8, grey=True)), Spacer(1, 2)] if text else []


def table_of(table: Table, width: float) -> Any:
    """Return a table as wide as a page's inside, in points."""
    from reportlab.lib.colors import HexColor
    from reportlab.platypus import Paragraph, TableStyle
    from reportlab.platypus import Table as Made

    size = 7.2 if table.kind in ("dense", "definitions") or len(table.columns) > 7 else 8.2
    grey = HexColor("#C8C8C8")
    lines = [
        ("FONTNAME", (0, 0), (-1, -1), "Sans"),
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("LEFTPADDING", (0, 0), (-1, -1), 2),
        ("RIGHTPADDING", (0, 0), (-1, -1), 4),
        ("TOPPADDING", (0, 0), (-1, -1), 1.4),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 1.8),
        ("LINEBELOW", (0, 0), (-1, -1), 0.3, grey),
    ]
    rows, starts = [], set(table.heads) | table.groups
    if table.headed:
        head = [Paragraph(_markup(c.title), style(size, True, c.number)) for c in table.columns]
        rows.append(head)
        lines.append(("LINEBELOW", (0, 0), (-1, 0), 0.9, HexColor("#333333")))
    first, begun, written = len(rows), [], []
    for index, row in enumerate(table.rows):
        if index == 0 or index in starts:
            begun.append(len(rows))
        if index in table.heads:
            lines.append(("SPAN", (0, len(rows)), (-1, len(rows))))
            lines.append(("LINEBELOW", (0, len(rows)), (-1, len(rows)), 0.6, HexColor(_GREY)))
            head = Paragraph(escape(table.heads[index]), style(size, bold=True))
            rows.append([head, *[""] * (len(row) - 1)])
        at = len(rows)
        written.append(
            [
                Paragraph(_markup(cell), style(size, cell.best, column.number))
                for cell, column in zip(row, table.columns, strict=True)
            ]
        )
        rows.append(written[-1])
        if index in table.groups:
            lines.append(("LINEABOVE", (0, at), (-1, at), 0.9, grey))
        lines += [
            ("BACKGROUND", (j, at), (j, at), HexColor(_SHADE))
            for j, cell in enumerate(row)
            if cell.state or (cell.best and table.kind != "result")
        ]
    if starts:
        for at, end in zip(begun, [*begun[1:], len(rows)], strict=True):
            last = end - 1 if end - at <= TOGETHER + 1 else at + 2
            lines.append(("NOSPLIT", (0, at), (-1, last)))
    if len(rows) - first > LAST_ROWS:
        lines.append(("NOSPLIT", (0, len(rows) - LAST_ROWS), (-1, -1)))
    weights = [column.width for column in table.columns]
    widths = [width * weight / sum(weights) for weight in weights]
    # Rows are parted only where one fills a page: reportlab does it at any page's end otherwise.
    tall = any(
        len(cell.text) > LONG and made.wrap(room - 6, 0)[1] > TALL
        for row, cells in zip(table.rows, written, strict=True)
        for cell, made, room in zip(row, cells, widths, strict=True)
    )
    made = Made(rows, colWidths=widths, repeatRows=first, hAlign="LEFT", splitInRow=int(tall))
    made.setStyle(TableStyle(lines))
    return made


def _markup(cell: Cell) -> str:
    square = f'<font color="{escape(cell.colour)}">■</font>&nbsp;' if cell.colour else ""
    small = f' <font size="6.6" color="{_GREY}">{escape(cell.small)}</font>' if cell.small else ""
    return f"{square}{escape(cell.text)}{small}"
