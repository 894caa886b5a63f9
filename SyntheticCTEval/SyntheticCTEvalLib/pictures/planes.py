"""Planes through the patient, and what pictures of them are painted with.

Everything is sampled on planes that lie along the patient's axes, whatever the grids of the
images, so that sides, proportions and positions are right by construction.
"""

from __future__ import annotations

import base64
import io
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
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
        near = sitk.Cast(self._near(image), sitk.sitkFloat32)
        return sitk.GetArrayFromImage(resample(near, self.grid, fill=fill, nearest=nearest))[0]

    def mask(self, mask: sitk.Image) -> np.ndarray:
        """Return how much of each pixel ``mask`` (not 0) fills, 0 to 1, interpolated."""
        near = sitk.Cast(self._near(mask) != 0, sitk.sitkFloat32)
        return sitk.GetArrayFromImage(resample(near, self.grid, fill=0))[0]

    def pixel_of(self, point_mm: Sequence[float]) -> tuple[float, float]:
        """Return where a point (mm, LPS) lies on the plane, seen across it: (column, row)."""
        column, row, _ = self.grid.TransformPhysicalPointToContinuousIndex(tuple(point_mm))
        return column, row

    def _near(self, image: sitk.Image) -> sitk.Image:
        """Return the part of ``image`` that its values on the plane are made of."""
        last = [count - 1 for count in self.grid.GetSize()]
        corners = itertools.product(*((0, n) for n in last))
        points = [self.grid.TransformIndexToPhysicalPoint(corner) for corner in corners]
        indices = np.array([image.TransformPhysicalPointToContinuousIndex(p) for p in points])
        size = np.array(image.GetSize())
        first = np.clip(np.floor(indices.min(axis=0)).astype(int) - 2, 0, size - 1)
        end = np.clip(np.ceil(indices.max(axis=0)).astype(int) + 3, first + 1, size)
        return image[tuple(slice(int(a), int(b)) for a, b in zip(first, end, strict=True))]

    @property
    def extent_mm(self) -> tuple[float, float]:
        """Width and height."""
        size, spacing = self.grid.GetSize(), self.grid.GetSpacing()
        return size[0] * spacing[0], size[1] * spacing[1]


def target_of(evaluation: Evaluation) -> tuple[str, sitk.Image] | None:
    """Return name and mask (not 0) of the target structure, if there is one."""
    name = find_target(evaluation.structures, evaluation.target)
    if name is None or not sitk.GetArrayViewFromImage(evaluation.structures[name]).any():
        return None
    return name, evaluation.structures[name]


def planes_of(
    evaluation: Evaluation,
    margin_mm: float = 12.0,
    step_mm: float | None = None,
    at: Sequence[float] | None = None,
) -> list[Plane]:
    """Return the axial, coronal and sagittal plane through the target, else the body.

    Each shows the body with a margin: the axial one seen from the feet, the coronal one from
    the front, the sagittal one from the patient's left.

    Args:
        step_mm: side of a pixel, fit for a report when None.
        at: point (mm, LPS) that the planes cut instead; it is shown wherever it lies.
    """
    body = evaluation.body
    if not sitk.GetArrayViewFromImage(body).any():
        body = sitk.Cast(body == body, sitk.sitkUInt8)
    _, low, high = _place_of(body)
    if at is None:
        target = target_of(evaluation)
        centre, _, _ = _place_of(target[1] if target else body)
        low, high = low - margin_mm, high + margin_mm
        centre = np.clip(centre, low, high)
    else:
        centre = np.asarray(at, dtype=float)
        low, high = np.minimum(low, centre) - margin_mm, np.maximum(high, centre) + margin_mm
    step = step_mm or max(0.75, float(max(high - low)) / 420)
    left, back, down = np.array((1, 0, 0)), np.array((0, 1, 0)), np.array((0, 0, -1))
    cut = partial(_plane, centre, low, high, step)
    return [
        cut("Axial", left, back, ("R", "L", "A", "P")),
        cut("Coronal", left, down, ("R", "L", "S", "I")),
        cut("Sagittal", back, down, ("A", "P", "S", "I")),
    ]


def _plane(
    centre: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    step: float,
    name: str,
    columns: np.ndarray,
    rows: np.ndarray,
    letters: tuple[str, str, str, str],
) -> Plane:
    """Return the plane through ``centre`` whose columns and rows run along two axes."""
    normal = np.cross(columns, rows)
    axis = int(np.flatnonzero(normal)[0])
    size = [max(1, round(float(abs(a) @ (high - low)) / step)) for a in (columns, rows)]
    corner = np.where(columns + rows < 0, high, low)
    corner[axis] = centre[axis]
    origin = corner + (columns + rows) * step / 2
    direction = np.column_stack([columns, rows, normal]).astype(float).ravel()
    grid = grid_of((*size, 1), (step, step, step), tuple(origin), tuple(direction))
    return Plane(name, grid, letters, f"{_told(axis, centre[axis])} mm")


def told_point(point_mm: Sequence[float]) -> str:
    """Return where a point (mm, LPS) lies, for people, as the titles of planes do."""
    return f"{', '.join(_told(axis, place) for axis, place in enumerate(point_mm))} mm"


def _told(axis: int, place_mm: float) -> str:
    side = (("R", "L"), ("A", "P"), ("I", "S"))[axis][int(place_mm > 0)]
    return f"{side} {abs(place_mm):.0f}"


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


def mr_scale(slices: Sequence[np.ndarray]) -> ScalarMappable:
    """Return the grey scale of an MR: from 0 to the 99th percentile of what is above 0."""
    seen = np.concatenate([values[np.isfinite(values) & (values > 0)] for values in slices])
    return colour_scale("gray", 0, float(np.percentile(seen, 99)) if seen.size else 1)


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


class Canvas:
    """A figure on which everything is placed in inches from its lower left corner.

    Args:
        height: of the figure, in inches; it is as wide as the report.
    """

    def __init__(self, height: float) -> None:
        self.height = height
        self.figure = new_figure(height)

    def png(self) -> bytes:
        """Return it as a PNG."""
        return figure_png(self.figure)

    def _add_axes(self, left: float, bottom: float, width: float, height: float) -> Axes:
        return self.figure.add_axes(
            (left / WIDTH_INCH, bottom / self.height, width / WIDTH_INCH, height / self.height)
        )

    def _text(self, x: float, y: float, text: str, size: float = 11, **style: Any) -> Any:
        # parse_math: a name with dollar signs is a name, not a formula.
        place = (x / WIDTH_INCH, y / self.height)
        style = {"ha": "center", "va": "center", "fontsize": size, **style}
        return self.figure.text(*place, text, parse_math=False, **style)


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
