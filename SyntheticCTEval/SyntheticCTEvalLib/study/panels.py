"""Rows of pictures at one scale, for the cohort's figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from SyntheticCTLib.volumes.marks import SYNTHETIC_NOTE

from SyntheticCTEvalLib.pictures.planes import (
    WIDTH_INCH,
    draw_letters,
    figure_png,
    new_figure,
    paint_panel,
    short,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable

PRINT_DPI = 180
"""12 inches at 180 dots are a journal's page width (7 inches) at 300."""

AXIAL, CORONAL = ("R", "L", "A", "P"), ("R", "L", "S", "I")

Size = tuple[float, float]
"""Width and height in mm."""


def size_of(values: np.ndarray, step_mm: float) -> Size:
    """Return width and height of a slice (row, column)."""
    return values.shape[1] * step_mm, values.shape[0] * step_mm


class Panels:
    """Panels in rows and columns, a millimetre as long in each, with room for colour bars.

    Args:
        sizes: of each panel, by row and column; None leaves its place empty.
        letters: what lies to the left, right, top and bottom of the panels' patient.
        names: one a row.
        titles: one a column, on top; none when empty.
        spaces: room in inches above each row, beside the usual gap.
    """

    LEFT, RIGHT, TITLE, NOTE, GAP = 0.36, 1.5, 0.36, 0.3, 0.07  # inches
    WIDEST, TALLEST = 3.6, 2.7

    def __init__(
        self,
        sizes: list[list[Size | None]],
        letters: Sequence[str],
        names: Sequence[str],
        titles: Sequence[str] = (),
        spaces: Sequence[float] = (),
    ) -> None:
        self._letters = letters
        there = [[size or (0.0, 0.0) for size in row] for row in sizes]
        widths = [max(row[column][0] for row in there) for column in range(len(there[0]))]
        heights = [max(size[1] for size in row) for row in there]
        free = WIDTH_INCH - self.LEFT - self.RIGHT - self.GAP * (len(widths) - 1)
        inch = min(free / sum(widths), self.WIDEST / max(widths), self.TALLEST / max(heights))
        spaces = [*spaces, *[0.0] * (len(heights) - len(spaces))]
        top = self.TITLE if titles else self.GAP
        self._height = top + sum(
            h * inch + self.GAP + s for h, s in zip(heights, spaces, strict=True)
        )
        self._height += self.NOTE
        self._right = self.LEFT + sum(width * inch + self.GAP for width in widths)
        self.width = self._right + self.RIGHT
        self.figure = new_figure(self._height, self.width, PRINT_DPI)
        self.axes: list[list[Axes | None]] = []
        self._tops: list[float] = []
        y = self._height - top
        for row, name, height, space in zip(there, names, heights, spaces, strict=True):
            y -= space
            self._tops.append(y)
            x, line = self.LEFT, []
            for (wide, tall), column in zip(row, widths, strict=True):
                left = x + (column - wide) * inch / 2
                bottom = y - (height + tall) * inch / 2
                line.append(self._panel(left, bottom, wide * inch, tall * inch) if wide else None)
                x += column * inch + self.GAP
            self.axes.append(line)
            middle = y - height * inch / 2
            self._text_within(height * inch, self.LEFT / 2, middle, name, rotation=90)
            y -= height * inch + self.GAP
        x = self.LEFT
        for title, column in zip(titles, widths, strict=False):
            middle = self._height - self.TITLE / 2
            self._text_within(column * inch, x + column * inch / 2, middle, title)
            x += column * inch + self.GAP
        self._text(self.LEFT, self.NOTE / 2, f"{SYNTHETIC_NOTE}.", ha="left", fontsize=8)

    def paint(
        self,
        row: int,
        column: int,
        values: np.ndarray,
        scale: ScalarMappable,
        alpha: float = 1.0,
        ground: str | None = None,
    ) -> None:
        """Paint ``values`` (row, column; NaN shows ``ground`` or what is there) into a panel."""
        shown = np.ma.masked_invalid(values)
        axes = self.axes[row][column]
        paint_panel(axes, shown, scale, alpha, ground)
        if not axes.texts:
            draw_letters(axes, self._letters)

    def heading(self, row: int, text: str) -> None:
        """Write ``text`` into the space above a row."""
        self._text(self.LEFT, self._tops[row] + 0.17, text, ha="left", fontsize=12)

    def label(self, row: int, column: int, text: str) -> None:
        """Write ``text`` into the upper left corner of a panel, which air usually fills."""
        axes = self.axes[row][column]
        written = axes.text(0.015, 0.97, text, transform=axes.transAxes, ha="left", va="top",
                            color="white", fontsize=9)  # fmt: skip
        written.set_bbox({"facecolor": "black", "alpha": 0.6, "linewidth": 0, "pad": 1.5})
        written.set_parse_math(False)

    def caption(self, row: int, column: int, text: str) -> None:
        """Write one line above a panel, as large as its width allows."""
        box = self.axes[row][column].get_position()
        x, y = (box.x0 + box.x1) / 2 * self.width, box.y1 * self._height
        self._text_within(box.width * self.width, x, y + 0.03, text, va="bottom", fontsize=9)

    def bars(self, wanted: Sequence[tuple[ScalarMappable, str, str]], row: int = 0) -> list[Any]:
        """Add colour bars (scale, label, extend) on the right, from the top of ``row`` down."""
        found = []
        room = (self._tops[row] - self.NOTE) / len(wanted)
        length = min(room - 0.55, 2.3)
        for number, (scale, label, extend) in enumerate(wanted):
            pitch = min(room, length + 0.8)
            bottom = self._tops[row] - 0.3 - number * pitch - length
            axes = self._panel(self._right + 0.35, bottom, 0.14, length, off=False)
            bar = self.figure.colorbar(scale, cax=axes, extend=extend)
            bar.set_label(label, fontsize=10, parse_math=False)
            bar.ax.tick_params(labelsize=9)
            found.append(bar)
        return found

    def png(self) -> bytes:
        """Return the figure as a PNG."""
        return figure_png(self.figure)

    def _panel(
        self, left: float, bottom: float, width: float, height: float, off: bool = True
    ) -> Axes:
        axes = self.figure.add_axes(
            (left / self.width, bottom / self._height, width / self.width, height / self._height)
        )
        if off:
            axes.set_axis_off()
        return axes

    def _text_within(self, room: float, x: float, y: float, text: str, **style: Any) -> None:
        """Write ``text`` smaller, and at last cut, where ``room`` in inches is not enough."""
        points = 72 * room / 0.58  # a letter is about 0.58 of its height wide
        largest = style.pop("fontsize", 11)
        size = min(largest, max(points / max(len(text), 1), 6.0))
        self._text(x, y, short(text, max(int(points / size), 4)), fontsize=size, **style)

    def _text(self, x: float, y: float, text: str, **style: Any) -> None:
        # parse_math: a name with dollar signs is a name, not a formula.
        style = {"ha": "center", "va": "center", "fontsize": 11, "parse_math": False} | style
        self.figure.text(x / self.width, y / self._height, text, **style)
