"""Planes through the patient, and boards of panels that show images on them.

Everything is sampled on planes that lie along the patient's axes, whatever the grids of the
images, so that sides, proportions and positions are right by construction.
"""

from __future__ import annotations

import base64
import io
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import SimpleITK as sitk
from SyntheticCTLib.volumes.grids import grid_of
from SyntheticCTLib.volumes.resampling import resample

from SyntheticCTEvalLib.evaluation.results import Evaluation
from SyntheticCTEvalLib.structures.target import find_target

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.figure import Figure

DPI = 110
WIDTH_INCH = 12.0
MISSING_COLOUR = "#B4B4B4"
"""Where there is nothing to show; no colour map of the report holds this grey."""


@dataclass
class Picture:
    """A picture of the report: PNG bytes, and in words what it shows."""

    title: str
    caption: str
    alt: str
    png: bytes

    @property
    def uri(self) -> str:
        """The PNG as a data URI."""
        return "data:image/png;base64," + base64.b64encode(self.png).decode("ascii")


@dataclass
class Plane:
    """A plane through the patient.

    Attributes:
        name: "Axial", "Coronal" or "Sagittal".
        grid: grid of one slice; columns run to the right, rows downwards.
        letters: what lies to the left, right, top and bottom.
        position: where it cuts the remaining axis, for people.
    """

    name: str
    grid: sitk.Image
    letters: tuple[str, str, str, str]
    position: str

    def sample(self, image: sitk.Image, fill: float, nearest: bool = False) -> np.ndarray:
        """Return ``image`` on the plane: float32, (row, column), row 0 at the top."""
        image = sitk.Cast(image, sitk.sitkFloat32)
        return sitk.GetArrayFromImage(resample(image, self.grid, fill=fill, nearest=nearest))[0]

    @property
    def extent_mm(self) -> tuple[float, float]:
        """Width and height."""
        size, spacing = self.grid.GetSize(), self.grid.GetSpacing()
        return size[0] * spacing[0], size[1] * spacing[1]


def target_of(evaluation: Evaluation) -> tuple[str, sitk.Image] | None:
    """Return name and mask (float32, 0 or 1) of the target structure, if there is one."""
    name = find_target(evaluation.structures, evaluation.target)
    if name is None or not sitk.GetArrayViewFromImage(evaluation.structures[name]).any():
        return None
    return name, sitk.Cast(evaluation.structures[name] != 0, sitk.sitkFloat32)


def planes_of(
    evaluation: Evaluation, margin_mm: float = 12.0, step_mm: float | None = None
) -> list[Plane]:
    """Return the axial, coronal and sagittal plane through the target, else the body.

    Each shows the body with a margin: the axial one seen from the feet, the coronal one from
    the front, the sagittal one from the patient's left. ``step_mm`` is the side of a pixel,
    fit for a report when None.
    """
    target = target_of(evaluation)
    body = evaluation.body
    if not sitk.GetArrayViewFromImage(body).any():
        body = sitk.Cast(body == body, sitk.sitkUInt8)
    centre, _, _ = _place_of(target[1] if target else body)
    _, low, high = _place_of(body)
    low, high = low - margin_mm, high + margin_mm
    centre = np.clip(centre, low, high)
    step = step_mm or max(0.75, float(max(high - low)) / 420)
    left, back, down = np.array((1, 0, 0)), np.array((0, 1, 0)), np.array((0, 0, -1))

    def plane(
        name: str, columns: np.ndarray, rows: np.ndarray, letters: tuple[str, str, str, str]
    ) -> Plane:
        normal = np.cross(columns, rows)
        axis = int(np.flatnonzero(normal)[0])
        size = [max(1, round(float(abs(a) @ (high - low)) / step)) for a in (columns, rows)]
        corner = np.where(columns + rows < 0, high, low)
        corner[axis] = centre[axis]
        origin = corner + (columns + rows) * step / 2
        direction = np.column_stack([columns, rows, normal]).astype(float).ravel()
        grid = grid_of((*size, 1), (step, step, step), tuple(origin), tuple(direction))
        side = (("R", "L"), ("A", "P"), ("I", "S"))[axis][int(centre[axis] > 0)]
        return Plane(name, grid, letters, f"{side} {abs(centre[axis]):.0f} mm")

    return [
        plane("Axial", left, back, ("R", "L", "A", "P")),
        plane("Coronal", left, down, ("R", "L", "S", "I")),
        plane("Sagittal", back, down, ("A", "P", "S", "I")),
    ]


_OTHERS = ((0, 1), (0, 2), (1, 2))  # array axes beside i, j and k


def _place_of(mask: sitk.Image) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Centroid and smallest box (lower, upper corner) of a mask in mm, LPS."""
    inside = sitk.GetArrayViewFromImage(mask) != 0
    indices = [np.flatnonzero(inside.any(axis=other)) for other in _OTHERS]
    counts = [inside.sum(axis=other) for other in _OTHERS]
    middle = [float(np.average(np.arange(c.size), weights=c)) for c in counts]
    centre = np.array(mask.TransformContinuousIndexToPhysicalPoint(middle))
    box = [(found[0] - 0.5, found[-1] + 0.5) for found in indices]
    corners = [mask.TransformContinuousIndexToPhysicalPoint(c) for c in itertools.product(*box)]
    return centre, np.min(corners, axis=0), np.max(corners, axis=0)


def colour_scale(name: str, low: float, high: float, over: str | None = None) -> ScalarMappable:
    """Return matplotlib's colour map ``name`` from ``low`` to ``high``; masked is not painted."""
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    colours = colormaps[name].with_extremes(bad=(0, 0, 0, 0), over=over)
    return ScalarMappable(Normalize(low, high), colours)


def new_figure(height_inch: float, width_inch: float = WIDTH_INCH, dpi: int = DPI) -> Figure:
    """Return an empty white figure, as wide as the report, apart from pyplot's global state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_inch, height_inch), dpi=dpi, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def figure_png(figure: Figure) -> bytes:
    """Return ``figure`` as a PNG, without the alpha channel."""
    from PIL import Image

    figure.canvas.draw()
    pixels = np.asarray(figure.canvas.buffer_rgba())[..., :3]
    with io.BytesIO() as stream:
        Image.fromarray(pixels).save(stream, "PNG", compress_level=6, dpi=(figure.dpi, figure.dpi))
        return stream.getvalue()


def short(name: str, longest: int = 24) -> str:
    """Return ``name``, cut to the room that pictures have for it."""
    return name if len(name) <= longest else name[: longest - 1] + "…"


def draw_letters(axes: Axes, letters: Sequence[str]) -> None:
    """Write what lies to the left, right, top and bottom into a panel."""
    places = (
        (0.012, 0.5, "left", "center"),
        (0.988, 0.5, "right", "center"),
        (0.5, 0.985, "center", "top"),
        (0.5, 0.015, "center", "bottom"),
    )
    from matplotlib import patheffects

    for letter, (x, y, ha, va) in zip(letters, places, strict=True):
        text = axes.text(x, y, letter, ha=ha, va=va, transform=axes.transAxes, fontsize=9)
        text.set_color("white")
        text.set_path_effects([patheffects.withStroke(linewidth=2, foreground="black")])


def paint_panel(
    axes: Axes, values: np.ndarray, scale: ScalarMappable, alpha: float, ground: str | None
) -> None:
    """Paint ``values`` (row, column) over all of ``axes``: what is there, or ``ground``."""
    if ground is not None:
        axes.fill((0, 1, 1, 0), (0, 0, 1, 1), ground, transform=axes.transAxes, zorder=0)
    axes.imshow(
        values,
        cmap=scale.cmap,
        norm=scale.norm,
        alpha=alpha,
        interpolation="nearest",
        aspect="auto",
    )


class Board:
    """Rows of panels, one column a plane, all at one scale, with room for a colour bar."""

    LEFT, RIGHT, TOP, GAP = 0.36, 1.36, 0.34, 0.07  # inches

    def __init__(self, planes: list[Plane], rows: Sequence[str]) -> None:
        self.planes = planes
        free = WIDTH_INCH - self.LEFT - self.RIGHT - self.GAP * (len(planes) - 1)
        # Patients much longer than wide must not make rows that fill a page.
        tallest = max(plane.extent_mm[1] for plane in planes)
        inch = min(free / sum(plane.extent_mm[0] for plane in planes), 4.0 / tallest)
        self.row_inch = tallest * inch
        self.height = self.TOP + len(rows) * (self.row_inch + self.GAP)
        self.figure = new_figure(self.height)
        self.axes: list[list[Axes]] = []
        for row, name in enumerate(rows):
            bottom = self._row_bottom(row)
            left, line = self.LEFT, []
            for plane in planes:
                width, height = (extent * inch for extent in plane.extent_mm)
                line.append(
                    self._add_axes(left, bottom + (self.row_inch - height) / 2, width, height)
                )
                line[-1].set_axis_off()
                left += width + self.GAP
            self.axes.append(line)
            longest = int(self.row_inch / 0.09)
            middle = bottom + self.row_inch / 2
            self._text(self.LEFT / 2, middle, short(name, longest), rotation=90)
        self.right = left
        left = self.LEFT
        for plane in planes:
            width = plane.extent_mm[0] * inch
            title = f"{plane.name}, {plane.position}"
            self._text(left + width / 2, self.height - self.TOP / 2, title)
            left += width + self.GAP

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

    def lines(
        self,
        row: int,
        column: int,
        values: np.ndarray,
        levels: dict[float, Any],
        width: float = 1,
        halo: str | None = None,
    ) -> None:
        """Draw lines of equal value into a panel; ``levels`` gives each its colour."""
        from matplotlib import patheffects

        values = np.nan_to_num(values)
        levels = {level: c for level, c in levels.items() if values.min() < level < values.max()}
        if levels and min(values.shape) > 1:
            drawn = self.axes[row][column].contour(
                values, sorted(levels), colors=[levels[v] for v in sorted(levels)], linewidths=width
            )
            if halo is not None:
                stroke = patheffects.withStroke(linewidth=width + 1.4, foreground=halo)
                drawn.set_path_effects([stroke])

    def outline(
        self, mask: sitk.Image, colour: str, halo: str | None = None, first: int = 0
    ) -> None:
        """Draw the edge of ``mask`` (0 or 1), on a broader line ``halo``, from row ``first`` on."""
        for column, plane in enumerate(self.planes):
            values = plane.sample(mask, 0)
            for row in range(first, len(self.axes)):
                self.lines(row, column, values, {0.5: colour}, halo=halo)

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
        length = min(height * 0.92, 3.6)
        axes = self._add_axes(self.right + 0.42, bottom + (height - length) / 2, 0.13, length)
        bar = self.figure.colorbar(scale, cax=axes, extend=extend)
        bar.set_label(label, fontsize=9, parse_math=False)
        bar.ax.tick_params(labelsize=8)
        return bar

    def png(self) -> bytes:
        """Return the board as a PNG."""
        return figure_png(self.figure)

    def _row_bottom(self, row: int) -> float:
        return self.height - self.TOP - (row + 1) * (self.row_inch + self.GAP) + self.GAP

    def _add_axes(self, left: float, bottom: float, width: float, height: float) -> Axes:
        return self.figure.add_axes(
            (left / WIDTH_INCH, bottom / self.height, width / WIDTH_INCH, height / self.height)
        )

    def _text(self, x: float, y: float, text: str, **style: Any) -> None:
        # parse_math: a name with dollar signs is a name, not a formula.
        place = (x / WIDTH_INCH, y / self.height)
        self.figure.text(
            *place, text, ha="center", va="center", fontsize=11, parse_math=False, **style
        )

    def _letters(self, row: int, column: int) -> None:
        axes = self.axes[row][column]
        if not axes.texts:
            draw_letters(axes, self.planes[column].letters)
