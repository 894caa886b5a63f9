"""What a report is made of before it is a page or a PDF: sections of tables, texts, pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from SyntheticCTEvalLib.pictures.planes import Picture


@dataclass(frozen=True)
class Cell:
    """A cell of a table.

    Attributes:
        text: what it says.
        small: what it says in smaller letters behind that.
        best: whether it is the best of its row, or means something to be seen at once.
        state: a verdict's state ("pass", "action", "fail", "missing"), or "".
        colour: of a square before the text, such as a candidate's.
        link: name of the definition that the text leads to.
    """

    text: str
    small: str = ""
    best: bool = False
    state: str = ""
    colour: str = ""
    link: str = ""


@dataclass(frozen=True)
class Column:
    """A column: its title, whether it holds numbers, and how wide it is to others in a PDF."""

    title: Cell
    number: bool = False
    width: float = 1.0


@dataclass
class Table:
    """A table; the first cell of a row names the row.

    Attributes:
        kind: "figures", "facts", "definitions" or "dense".
        groups: numbers of rows before which a line is drawn.
        heads: by the number of a row, what stands over it and over those that follow.
    """

    caption: str
    columns: list[Column]
    rows: list[list[Cell]]
    kind: str = "figures"
    groups: set[int] = field(default_factory=set)
    heads: dict[int, str] = field(default_factory=dict)

    @property
    def headed(self) -> bool:
        """Whether any column has a title."""
        return any(column.title.text for column in self.columns)


@dataclass(frozen=True)
class Notes:
    """Sentences that must be read."""

    title: str
    sentences: Sequence[str]


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class Lines:
    """Lines to write on, with what belongs there."""

    labels: Sequence[str]


Block = Table | Notes | Text | Lines | Picture


@dataclass
class Section:
    """A part of a report; ``beside`` stands beside the blocks where a page has room for it."""

    title: str
    blocks: list[Block]
    beside: list[Block] = field(default_factory=list)

    @property
    def pieces(self) -> list[tuple[str, Any]]:
        """Every block with its kind, for templates."""
        return [(type(block).__name__, block) for block in self.blocks]

    @property
    def beside_pieces(self) -> list[tuple[str, Any]]:
        """Every block that stands beside, with its kind."""
        return [(type(block).__name__, block) for block in self.beside]


@dataclass
class Document:
    """A whole report.

    Attributes:
        title: what it is.
        lines: who and what, right under the title.
        mark: the sentence that stands on every page.
        foot: what stands at the foot of every page of a PDF.
    """

    title: str
    lines: list[tuple[str, str]]
    mark: str
    foot: str
    sections: list[Section]


def facts_table(caption: str, facts: Sequence[tuple[str, str]]) -> Table:
    """Return a table of names and values."""
    columns = [Column(Cell(""), width=1), Column(Cell(""), width=3)]
    return Table(caption, columns, [[Cell(name), Cell(value)] for name, value in facts], "facts")


def candidate_columns(colours: dict[str, str]) -> list[Column]:
    """Return a column of numbers for each candidate, in its colour."""
    return [Column(Cell(name, colour=colour), number=True) for name, colour in colours.items()]
