"""Boards of panels: planes through the patient side by side, at one scale, with what to read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from SyntheticCTEvalLib.evaluation.quantities import MINUS

from .planes import WIDTH_INCH, Canvas, Plane, draw_letters, paint_panel, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable

Line = str | tuple[float, tuple[float, ...]]
"""A style of matplotlib's lines: its name, or an offset and lengths of dash and gap."""

STRIPE_PIXELS, STRIPE_EVERY = 2, 6
SIGN_MM, SIGN_SIZE = 14.0, 16.0
"""Between signs, and their size in square points."""

_KEYS_A_ROW = 5
_KEY_ROW = 0.23  # inches


@dataclass(frozen=True)
class Key:
    """A line, a striped patch or a sign, and what it means."""

    label: str
    colour: str
    line: Line = "-"
    width: float = 1.0
    halo: str | None = None
    striped: bool = False
    marker: str = ""


@dataclass(frozen=True)
class Keys:
    """Keys under a board, with what they have in common."""

    title: str
    keys: Sequence[Key]


class Board(Canvas):
    """Rows of panels, one column a plane, all at one scale, with room for a colour bar.

    Args:
        planes: of every row, or of each.
        rows: their names.
        heads: what stands over each row, whose planes then have titles of their own.
        keys: what stands under the board.
    """

    LEFT, RIGHT, TOP, HEAD, GAP = 0.36, 1.56, 0.34, 0.56, 0.07  # inches

    def __init__(
        self,
        planes: Sequence[Plane] | Sequence[Sequence[Plane]],
        rows: Sequence[str],
        heads: Sequence[str] = (),
        keys: Sequence[Keys] = (),
    ) -> None:
        shared = bool(planes) and isinstance(planes[0], Plane)
        self.planes: list[list[Plane]] = (
            [list(planes) for _ in rows] if shared else [list(own) for own in planes]
        )
        each = self.planes or [list(planes)]
        widths = [max(p.extent_mm[0] for p in column) for column in zip(*each, strict=True)]
        free = WIDTH_INCH - self.LEFT - self.RIGHT - self.GAP * (len(widths) - 1)
        # Patients much longer than wide must not make rows that fill a page.
        tallest = max(plane.extent_mm[1] for own in each for plane in own)
        self._inch = min(free / sum(widths), 4.0 / tallest)
        self._widths = [width * self._inch for width in widths]
        self.row_inch = tallest * self._inch
        self._head = self.HEAD if heads else 0.0
        self._top = 0.0 if heads else self.TOP
        foot = sum(math.ceil(len(found.keys) / _KEYS_A_ROW) for found in keys) * _KEY_ROW
        self._foot = foot + 0.12 if keys else 0.0
        super().__init__(
            self._top + len(rows) * (self._head + self.row_inch + self.GAP) + self._foot
        )
        self.right = self.LEFT + sum(self._widths) + self.GAP * len(widths)
        self.axes = [self._add_row(row, short(name)) for row, name in enumerate(rows)]
        for row, head in enumerate(heads):
            top = self._row_bottom(row) + self.row_inch
            text = self._text(self.LEFT, top + 0.42, head, ha="left", weight="bold")
            self._fit(text, self.right - self.LEFT)
            self._add_titles(row, top + 0.15)
        if rows and not heads:
            self._add_titles(0, self.height - self.TOP / 2)
        self._add_keys(keys)

    def paint(
        self,
        row: int,
        column: int,
        values: np.ndarray,
        scale: ScalarMappable,
        alpha: float = 1.0,
        ground: str | None = None,
    ) -> None:
        """Paint ``values`` (row, column) into a panel, over what is there or over ``ground``."""
        paint_panel(self.axes[row][column], values, scale, alpha, ground)
        self._letters(row, column)

    def stripe(self, row: int, column: int, where: np.ndarray, colour: str) -> None:
        """Paint stripes where ``where`` (row, column) is true, and a line around it."""
        from matplotlib.colors import to_rgba

        if not where.any():
            return
        rows, columns = np.indices(where.shape)
        pixels = np.zeros((*where.shape, 4))
        pixels[where & ((rows + columns) % STRIPE_EVERY < STRIPE_PIXELS)] = to_rgba(colour)
        self.axes[row][column].imshow(pixels, interpolation="nearest", aspect="auto")
        self.lines(row, column, where.astype(float), {0.5: Key("", colour, halo="black")})

    def lines(
        self,
        row: int,
        column: int,
        values: np.ndarray,
        levels: dict[float, Key],
    ) -> None:
        """Draw lines of equal value into a panel; ``levels`` says how."""
        values = np.nan_to_num(values)
        for level, key in levels.items():
            self._draw(row, column, _paths(values, level), key)

    def outline(
        self, mask: sitk.Image, key: Key, rows: Sequence[int] | None = None
    ) -> dict[tuple[int, int], list[np.ndarray]]:
        """Draw the edge of ``mask`` (not 0) into ``rows``, all when None.

        Returns:
            By panel (row, column) that it cuts, its lines (point; column, row).
        """
        found: dict[int, list[np.ndarray]] = {}
        drawn: dict[tuple[int, int], list[np.ndarray]] = {}
        for row in range(len(self.axes)) if rows is None else rows:
            for column, plane in enumerate(self.planes[row]):
                if id(plane) not in found:
                    found[id(plane)] = _paths(plane.mask(mask), 0.5)
                self._draw(row, column, found[id(plane)], key)
                if found[id(plane)]:
                    drawn[row, column] = found[id(plane)]
        return drawn

    def tag(self, row: int, column: int, place: Sequence[float], text: str, colour: str) -> None:
        """Write a number at a place (column, row) of a panel."""
        from matplotlib import patheffects

        written = self.axes[row][column].annotate(
            text, place, ha="center", va="center", fontsize=8, weight="bold", color=colour
        )
        written.set_path_effects([patheffects.withStroke(linewidth=2.6, foreground="black")])

    def signs(self, row: int, column: int, values: np.ndarray, level: float) -> None:
        """Write + and − all over what is beyond ``level``, so that sides are told in grey."""
        from matplotlib import patheffects

        step = max(4, round(SIGN_MM / self.planes[row][column].grid.GetSpacing()[0]))
        for sign, beyond in (("+", values > level), (MINUS, values < -level)):
            labels, _ = ndimage.label(beyond)
            rows, columns = np.indices(values.shape)
            points = (rows % step == 0) & ((columns + rows // step % 2 * (step // 2)) % step == 0)
            chosen = list(np.argwhere(beyond & points))
            marked = {labels[tuple(p)] for p in chosen}
            large = np.flatnonzero(np.bincount(labels.ravel()) >= (step / 3) ** 2)
            bare = [number for number in large if number and number not in marked]
            chosen += ndimage.maximum_position(np.abs(values), labels, bare) if bare else []
            if not chosen:
                continue
            y, x = np.array(chosen).T
            drawn = self.axes[row][column].scatter(
                x, y, marker="+" if sign == "+" else "_", s=SIGN_SIZE, c="black", linewidths=0.9
            )
            drawn.set_path_effects([patheffects.withStroke(linewidth=2.4, foreground="white")])

    def shape(self, row: int, column: int) -> tuple[int, int]:
        """Return how many rows and columns of pixels a panel has."""
        across, down, _ = self.planes[row][column].grid.GetSize()
        return down, across

    def ring(self, row: int, point_mm: Sequence[float]) -> None:
        """Mark a point (mm, LPS) in every panel of a row; what lies there stays to be seen."""
        from matplotlib import patheffects

        stroke = [patheffects.withStroke(linewidth=3.6, foreground="white")]
        for axes, plane in zip(self.axes[row], self.planes[row], strict=True):
            limits = axes.get_xlim(), axes.get_ylim()
            x, y = plane.pixel_of(point_mm)
            (drawn,) = axes.plot(x, y, "o", markersize=13, markerfacecolor="none", color="black")
            drawn.set_markeredgewidth(1.6)
            drawn.set_path_effects(stroke)
            drawn.set_clip_on(False)
            axes.set_xlim(limits[0])
            axes.set_ylim(limits[1])

    def bar(
        self,
        scale: ScalarMappable,
        label: str,
        extend: str = "neither",
        rows: Sequence[int] | None = None,
    ) -> Any:
        """Add the colour bar on the right of ``rows``, of all when None."""
        rows = rows or range(len(self.axes))
        bottom = self._row_bottom(rows[-1])
        height = self._row_bottom(rows[0]) + self.row_inch - bottom
        length = min(height * 0.86, 3.6)
        axes = self._add_axes(self.right + 0.2, bottom + (height - length) / 2, 0.15, length)
        bar = self.figure.colorbar(scale, cax=axes, extend=extend)
        bar.set_label(label, fontsize=10, parse_math=False)
        bar.ax.tick_params(labelsize=9)
        return bar

    def _draw(self, row: int, column: int, paths: list[np.ndarray], key: Key) -> None:
        from matplotlib import patheffects
        from matplotlib.collections import LineCollection

        if not paths:
            return
        drawn = LineCollection(
            paths, colors=[key.colour], linewidths=key.width, linestyles=[key.line]
        )
        if key.halo:
            stroke = patheffects.withStroke(linewidth=key.width + 1.4, foreground=key.halo)
            drawn.set_path_effects([stroke])
        self.axes[row][column].add_collection(drawn, autolim=False)

    def _add_row(self, row: int, name: str) -> list[Axes]:
        bottom, left, line = self._row_bottom(row), self.LEFT, []
        for plane, room in zip(self.planes[row], self._widths, strict=True):
            width, height = (extent * self._inch for extent in plane.extent_mm)
            place = left + (room - width) / 2, bottom + (self.row_inch - height) / 2
            line.append(self._add_axes(*place, width, height))
            line[-1].set_axis_off()
            left += room + self.GAP
        name = short(name, int(self.row_inch / 0.09))
        self._text(self.LEFT / 2, bottom + self.row_inch / 2, name, rotation=90)
        return line

    def _add_titles(self, row: int, height: float) -> None:
        left = self.LEFT
        for plane, width in zip(self.planes[row], self._widths, strict=True):
            self._text(left + width / 2, height, f"{plane.name}, {plane.position}")
            left += width + self.GAP

    def _add_keys(self, every: Sequence[Keys]) -> None:
        height = self._foot - 0.12 - _KEY_ROW / 2
        for found in every:
            self._text(self.LEFT, height, found.title, ha="left", size=10, weight="bold")
            for number, key in enumerate(found.keys):
                column = number % _KEYS_A_ROW
                if number and not column:
                    height -= _KEY_ROW
                left = self.LEFT + 1.35 + 2.06 * column
                self._add_sample(left, height, key)
                self._text(left + 0.58, height, short(key.label, 20), ha="left", size=10)
            height -= _KEY_ROW

    def _add_sample(self, left: float, height: float, key: Key) -> None:
        """Draw what a key explains, half an inch wide."""
        from matplotlib import patheffects
        from matplotlib.lines import Line2D
        from matplotlib.patches import Rectangle

        if key.halo or key.striped:
            corner = (left / WIDTH_INCH, (height - 0.08) / self.height)
            size = 0.5 / WIDTH_INCH, 0.16 / self.height
            ground = key.colour if key.striped else "#333333"
            self.figure.add_artist(Rectangle(corner, *size, color=ground, linewidth=0))
        if key.striped:
            for x in np.arange(left + 0.04, left + 0.45, 0.08):
                self._line((x, x + 0.12), (height - 0.075, height + 0.075), "white", 1.4)
            return
        if key.marker:
            x, y = (left + 0.25) / WIDTH_INCH, height / self.height
            style = {"marker": key.marker, "markersize": SIGN_SIZE**0.5 + 2, "mew": 1.1}
            self.figure.add_artist(Line2D([x], [y], color=key.colour, **style))
            return
        ends = left + 0.03, left + 0.47
        drawn = self._line(ends, (height, height), key.colour, max(key.width, 1.3), key.line)
        if key.halo == "white":
            stroke = patheffects.withStroke(linewidth=key.width + 1.4, foreground="white")
            drawn.set_path_effects([stroke])

    def _line(
        self, x: Sequence[float], y: Sequence[float], colour: str, width: float, line: Line = "-"
    ) -> Any:
        from matplotlib.lines import Line2D

        across, up = np.asarray(x) / WIDTH_INCH, np.asarray(y) / self.height
        return self.figure.add_artist(
            Line2D(across, up, color=colour, linewidth=width, linestyle=line)
        )

    def _row_bottom(self, row: int) -> float:
        step = self._head + self.row_inch + self.GAP
        return self.height - self._top - (row + 1) * step + self.GAP

    def _fit(self, text: Any, room_inch: float, least: float = 8.5) -> None:
        """Make a text smaller until it fits, and cut what is left over."""
        drawn = self.figure.canvas.get_renderer()
        while (wide := text.get_window_extent(drawn).width / self.figure.dpi) > room_inch:
            if text.get_fontsize() > least:
                text.set_fontsize(text.get_fontsize() - 0.5)
            else:
                letters = text.get_text()
                text.set_text(short(letters, max(2, int(len(letters) * room_inch / wide) - 1)))

    def _letters(self, row: int, column: int) -> None:
        axes = self.axes[row][column]
        if not axes.texts:
            draw_letters(axes, self.planes[row][column].letters)


def _paths(values: np.ndarray, level: float) -> list[np.ndarray]:
    """Lines (point; column, row) along which ``values`` (row, column) are ``level``."""
    from contourpy import contour_generator

    if min(values.shape) < 2:
        return []
    return contour_generator(z=values).lines(level)
