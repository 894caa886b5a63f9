"""The registration, shown: true CT and what was laid on it, before and after each step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import SimpleITK as sitk
from SyntheticCTLib.volumes.resampling import HU_OUTSIDE, resample

from SyntheticCTEvalLib.evaluation.names import shown_names
from SyntheticCTEvalLib.evaluation.results import Evaluation, Moved
from SyntheticCTEvalLib.placement.ways import MR

from .planes import (
    MISSING_COLOUR,
    WIDTH_INCH,
    Canvas,
    Picture,
    Plane,
    colour_scale,
    draw_letters,
    mr_scale,
    paint_panel,
    short,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable

SQUARE_MM = 25.0
"""Side of a square of the checkerboard."""
BONE_HU = 200
WINDOW_HU = (-250, 400)
"""Narrower than that of the anatomy, so that fat and muscle stand apart."""
SHOWN = ("Axial", "Sagittal")
TALLEST_INCH = 3.0
LEFT, TOP, GAP = 0.36, 0.34, 0.07  # inches


def registration_pictures(evaluation: Evaluation, planes: list[Plane]) -> list[Picture]:
    """Return a picture of each volume that was laid on the true CT, the MR first.

    None where the evaluation was read from files, which do not say how volumes came there.
    """
    shown, called = [], shown_names(evaluation)
    if evaluation.mr_moved is not None:
        figures = evaluation.registration.get("mr", {})
        shown.append(_picture(evaluation, planes, MR, evaluation.mr_moved, figures))
    for name, candidate in evaluation.candidates.items():
        if candidate.moved is not None:
            shown.append(
                _picture(evaluation, planes, called[name], candidate.moved, candidate.metrics)
            )
    return shown


def _picture(
    evaluation: Evaluation,
    planes: list[Plane],
    name: str,
    moved: Moved,
    figures: Mapping[str, Any],
) -> Picture:
    planes = [plane for plane in planes if plane.name in SHOWN]
    what = f"the {MR}" if moved is evaluation.mr_moved else name
    steps = _steps(moved)
    sheet = _Sheet(planes, list(steps))
    hu = colour_scale("gray", *WINDOW_HU)
    own = sitk.Cast(moved.original, sitk.sitkFloat32)
    for row, plane in enumerate(planes):
        true, inside = plane.sample(evaluation.ct, np.nan), plane.mask(evaluation.body)
        outlines = ((inside, 0.5), (plane.sample(evaluation.ct, HU_OUTSIDE), BONE_HU))
        found = [_on(plane, own, transform) for transform in steps.values()]
        scale = mr_scale(found) if moved is evaluation.mr_moved else hu
        for column, values in enumerate(found):
            sheet.paint(row, column, (true, hu), (values, scale))
            sheet.dots(row, column, inside > 0.5)
            for mask, level in outlines:
                sheet.outline(row, column, mask, level)
    after = list(steps)[-1].lower() if len(steps) > 1 else ""
    return Picture(
        f"Registration of {what}" if after else f"{name} on the true CT, not registered",
        f"Squares of {what} (with a dot) between squares of the true CT (without); where both "
        "agree, edges go on from square to square. White lines: edges of the body and the bones "
        f"({BONE_HU} HU) of the true CT, drawn over the squares of {what}. CT numbers from "
        f"{WINDOW_HU[0]} to {WINDOW_HU[1]} HU; grey is outside the field of view. {_told(figures)}",
        f"Checkerboards of the true CT and {what} on an axial and a sagittal plane, before "
        f"registration{' and after: ' + after if after else ''}.",
        sheet.png(),
    )


def _steps(moved: Moved) -> dict[str, sitk.Transform | None]:
    """Transforms (points of the true CT to points of the volume) by title, in their order."""
    found = moved.registration
    if found is None:
        return {"As it lies": None}
    steps = {"Before: as it lies": None, "Rigid": found.rigid}
    return steps | ({"Rigid, then deformable": found.transform} if found.deformed else {})


def _told(figures: Mapping[str, Any]) -> str:
    """Return the figures of the registration in words; nothing where there was none."""
    if "displacement_mean_mm" not in figures:
        return ""
    bent = (
        f"Bent by {figures['displacement_mean_mm']:.1f} mm in the mean and "
        f"{figures['displacement_max_mm']:.1f} mm at most in the body; Jacobian determinant "
        f"{figures['jacobian_min']:.2f} to {figures['jacobian_max']:.2f}, "
        f"{figures['folding_percent']:.2f} % of the body folded. "
        if figures["displacement_max_mm"] > 0
        else "Nothing was bent. "
    )
    return (
        f"{bent}After the rigid part, the registration's check of itself, the Dice of rough "
        f"outlines, is {figures['registration_dsc']:.3f}."
    )


def _on(plane: Plane, image: sitk.Image, transform: sitk.Transform | None) -> np.ndarray:
    """Return ``image`` (float32) on the plane, NaN where it does not reach."""
    return sitk.GetArrayFromImage(resample(image, plane.grid, transform, fill=np.nan))[0]


class _Sheet(Canvas):
    """Rows of planes, columns of steps, all panels at one scale."""

    def __init__(self, planes: list[Plane], titles: list[str]) -> None:
        self.planes = planes
        widest = max(plane.extent_mm[0] for plane in planes)
        tallest = max(plane.extent_mm[1] for plane in planes)
        free = WIDTH_INCH - LEFT - GAP * (len(titles) - 1)
        inch = min(free / len(titles) / widest, TALLEST_INCH / tallest)
        heights = [plane.extent_mm[1] * inch for plane in planes]
        super().__init__(TOP + sum(heights) + GAP * len(planes))
        self.axes: list[list[Axes]] = []
        step = widest * inch + GAP
        bottom = self.height - TOP
        for plane, height in zip(planes, heights, strict=True):
            bottom -= height
            line = []
            for column in range(len(titles)):
                width = plane.extent_mm[0] * inch
                left = LEFT + column * step + (widest * inch - width) / 2
                line.append(self._add_axes(left, bottom, width, height))
                line[-1].set_axis_off()
            self.axes.append(line)
            words = f"{plane.name}, {plane.position}"
            self._text(LEFT / 2, bottom + height / 2, short(words, int(height / 0.09)), rotation=90)
            bottom -= GAP
        for column, title in enumerate(titles):
            self._text(LEFT + column * step + widest * inch / 2, self.height - TOP / 2, title)

    def paint(
        self,
        row: int,
        column: int,
        true: tuple[np.ndarray, ScalarMappable],
        other: tuple[np.ndarray, ScalarMappable],
    ) -> None:
        """Paint squares of the true CT and of another by turns: values (row, column), colours."""
        axes = self.axes[row][column]
        own = self._squares(row, true[0].shape) % 2 == 1
        ground = MISSING_COLOUR
        for (values, scale), hidden in ((true, own), (other, ~own)):
            shown = np.ma.masked_where(hidden | np.isnan(values), values)
            paint_panel(axes, shown, scale, 1.0, ground)
            ground = None
        draw_letters(axes, self.planes[row].letters)

    def dots(self, row: int, column: int, inside: np.ndarray) -> None:
        """Put a dot into every square of the other volume that holds some of the body."""
        squares = self._squares(row, inside.shape)
        side = SQUARE_MM / self.planes[row].grid.GetSpacing()[0]
        found = [int(n) for n in np.unique(squares[inside]) if n % 2 == 1]
        if found:
            corners = [np.argwhere(squares == number)[0][::-1] for number in found]
            x, y = np.array(corners).T + 0.14 * side
            style = {"color": "white", "markeredgecolor": "black", "markersize": 2.4, "mew": 0.5}
            self.axes[row][column].plot(x, y, "o", scalex=False, scaley=False, **style)

    def outline(self, row: int, column: int, values: np.ndarray, level: float) -> None:
        """Draw where ``values`` (row, column) reach ``level`` into the squares of the other."""
        from matplotlib import patheffects

        if values.min() < level < values.max():
            hidden = self._squares(row, values.shape) % 2 == 0
            values = np.ma.masked_where(hidden, values)
            drawn = self.axes[row][column].contour(values, [level], colors="white", linewidths=0.7)
            drawn.set_path_effects([patheffects.withStroke(linewidth=1.8, foreground="black")])

    def _squares(self, row: int, shape: tuple[int, ...]) -> np.ndarray:
        """Number every pixel's square; even ones are the true CT's."""
        step = self.planes[row].grid.GetSpacing()[0]
        down, across = ((np.arange(n) * step // SQUARE_MM).astype(int) for n in shape)
        wide = 2 * (across[-1] // 2 + 1) + 1  # odd, so that numbers alternate downwards, too
        return down[:, None] * wide + across[None, :]
