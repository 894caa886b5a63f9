"""From the closed contours of a structure to a mask."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from SyntheticCTLib.basics.progress import Progress

from .nesting import SAME_MM, Nested, nested

IN_PLANE_MM = 1.0
"""Largest pixel that contours are filled on."""


PIXELS_ACROSS = 100
"""A smaller structure gets pixels so small that about as many lie across it..."""


SMALLEST_PIXEL_MM = 0.1
"""... but none smaller than this."""


PLANE_TOLERANCE_MM = 0.1


SAME_PLANE_MM = 0.3
"""Contours that lie no farther apart along the normal are of one plane."""


@dataclass(frozen=True)
class Contours:
    """Contours of one ROI: points (n, 2; mm) in the plane, by position (mm) along the normal."""

    axes: np.ndarray
    planes: dict[float, list[np.ndarray]]
    by_turns: bool = False
    """Whether pixels inside an even number of contours lie outside, by the contours' own kind."""

    @property
    def positions(self) -> np.ndarray:
        return np.array(sorted(self.planes))


def plane_normal(points: np.ndarray) -> np.ndarray:
    """Area of a polygon times its normal (Newell)."""
    points = points - points[0]
    return 0.5 * np.cross(points, np.roll(points, -1, axis=0)).sum(axis=0)


def plane_axes(normal: np.ndarray) -> np.ndarray:
    """Rows: two directions in the plane and its normal, right-handed, nearest to x, y and z."""
    normal = normal * (-1 if normal[np.abs(normal).argmax()] < 0 else 1)
    along = np.eye(3)[0 if abs(normal[0]) < 0.9 else 1]
    first = along - (along @ normal) * normal
    first /= np.linalg.norm(first)
    return np.stack([first, np.cross(normal, first), normal])


def by_plane(flat: list[np.ndarray]) -> dict[float, list[np.ndarray]]:
    heights = np.array([points[:, 2].mean() for points in flat])
    order = np.argsort(heights, kind="stable")
    groups: list[list[int]] = []
    for index in order:
        if groups and heights[index] - heights[groups[-1][0]] <= SAME_PLANE_MM:
            groups[-1].append(int(index))
        else:
            groups.append([int(index)])
    planes = {}
    for group in groups:
        # A contour that was stored twice would cancel itself where contours count by turns.
        once = {_outline(points): points for points in (_traced_once(flat[i]) for i in group)}
        planes[float(heights[group].mean())] = list(once.values())
    return planes


def _outline(points: np.ndarray) -> frozenset[tuple[float, float]]:
    """The points of a contour, whichever comes first and whichever way round."""
    return frozenset(map(tuple, np.round(points, 3).tolist()))


def _traced_once(points: np.ndarray) -> np.ndarray:
    """The points (n, 2; mm) of a contour, without a second round along the same line."""
    half = len(points) // 2
    first, second = points[:half, :2], points[half : 2 * half, :2]
    if len(points) % 2 == 0 and half > 2 and np.abs(first - second).max() <= SAME_MM:
        return first
    return points[:, :2]


def filled(
    contours: Contours,
    reference: sitk.Image,
    common_mm: float,
    name: str,
    progress: Progress,
    end_caps: bool,
) -> sitk.Image:
    """The mask of a structure on its own grid."""
    positions = contours.positions
    spacing = _contour_spacing(positions, contours.axes[2], reference, common_mm)
    heights, step, chosen = _slabs(positions, spacing, end_caps or len(positions) == 1)
    if (chosen < 0).any():
        progress.warn(
            f"The structure {name} has planes without contours between others; nothing is filled "
            f"farther than {spacing / 2:g} mm from a contour there."
        )
    points = np.concatenate([p for plane in contours.planes.values() for p in plane])
    low, high = points.min(axis=0), points.max(axis=0)
    pixel = float(np.clip((high - low).max() / PIXELS_ACROSS, SMALLEST_PIXEL_MM, IN_PLANE_MM))
    columns, rows = np.maximum(np.ceil((high - low) / pixel).astype(int), 1)
    start = (low + high) / 2 - pixel * (np.array([columns, rows]) - 1) / 2
    grid = (start, pixel, int(rows), int(columns))
    drawn, twice, crossing = [], 0, 0
    for z in positions:
        if contours.by_turns:
            drawn.append(_even_odd(contours.planes[z], *grid))
            continue
        plane = nested(contours.planes[z])
        drawn.append(_painted(plane, grid))
        twice += plane.twice
        crossing += plane.crossing
    if twice:
        progress.warn(
            f"The structure {name} has contours that are stored twice, up to {SAME_MM:g} mm apart, "
            f"on {twice} planes; they count once."
        )
    if crossing:
        progress.warn(
            f"The structure {name} has contours that overlap in part on {crossing} planes; what "
            "lies in any of them counts as inside."
        )
    array = np.zeros((len(heights), rows, columns), np.uint8)
    for k, index in enumerate(chosen):
        if index >= 0:
            array[k] = drawn[index]
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((pixel, pixel, step))
    image.SetOrigin((np.array([*start, heights[0]]) @ contours.axes).tolist())
    image.SetDirection(contours.axes.T.ravel().tolist())
    return image


def _contour_spacing(
    positions: np.ndarray, normal: np.ndarray, reference: sitk.Image, common_mm: float
) -> float:
    """Distance of neighbouring contour planes; the CT's slices stand in where there is one."""
    if len(positions) > 1:
        # Two planes far apart are two parts rather than a thick one.
        return float(min(np.median(np.diff(positions)), 3 * common_mm))
    if common_mm:
        return common_mm
    directions = np.reshape(reference.GetDirection(), (3, 3))
    return float(reference.GetSpacing()[int(np.abs(normal @ directions).argmax())])


def _slabs(
    positions: np.ndarray, spacing: float, end_caps: bool
) -> tuple[np.ndarray, float, np.ndarray]:
    """Return slice heights, their distance, and the contour plane of each slice (-1 for none)."""
    steps = (positions - positions[0]) / spacing
    regular = np.abs(steps - np.rint(steps)).max() * spacing <= PLANE_TOLERANCE_MM
    length = positions[-1] - positions[0]
    if regular and end_caps:
        count = int(np.rint(steps[-1])) + 1
        step = float(length / (count - 1)) if count > 1 else spacing
    else:
        # Slices so thin that the ends and the half-way points are met closely.
        length += spacing if end_caps else 0
        count = int(np.ceil(length / 0.5))
        step = float(length / count)
    heights = (positions[0] + positions[-1]) / 2 + step * (np.arange(count) - (count - 1) / 2)
    distance = np.abs(heights[:, None] - positions[None, :])
    chosen = distance.argmin(axis=1)
    # Up to half way to the next plane; a gap of two spacings or more is not bridged.
    gaps = np.diff(positions, prepend=-np.inf, append=np.inf)
    reach = np.where(gaps < 1.9 * spacing, gaps / 2, spacing / 2)
    above = heights > positions[chosen]
    limit = np.where(above, reach[chosen + 1], reach[chosen])
    chosen[distance.min(axis=1) > limit + 1e-6] = -1
    return heights, step, chosen


def _painted(plane: Nested, grid: tuple[np.ndarray, float, int, int]) -> np.ndarray:
    """Pixels (rows, columns; 0 or 1) inside the contours of a plane."""
    if not (any(plane.holes) or plane.twice or plane.crossing):
        return _even_odd(plane.polygons, *grid)
    inside = np.zeros(grid[2:], np.uint8)
    for polygon, hole in zip(plane.polygons, plane.holes, strict=True):
        inside[_even_odd([polygon], *grid) != 0] = not hole
    return inside


def _even_odd(
    polygons: list[np.ndarray], start: np.ndarray, pixel: float, rows: int, columns: int
) -> np.ndarray:
    """Pixels (rows, columns) whose centres lie inside an odd number of ``polygons``."""
    points = [(p - start) / pixel for p in polygons]
    ends = np.concatenate([np.roll(p, -1, axis=0) for p in points])
    starts = np.concatenate(points)
    upward = starts[:, 1] <= ends[:, 1]
    low, high = np.where(upward[:, None], starts, ends), np.where(upward[:, None], ends, starts)
    # Half-open in y, so that a vertex between two edges counts once.
    first = np.clip(np.ceil(low[:, 1]), 0, rows).astype(int)
    last = np.clip(np.ceil(high[:, 1]), 0, rows).astype(int)
    count = np.maximum(last - first, 0)
    edge = np.repeat(np.arange(len(count)), count)
    row = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + first[edge]
    a, b = low[edge], high[edge]
    x = a[:, 0] + (row - a[:, 1]) / (b[:, 1] - a[:, 1]) * (b[:, 0] - a[:, 0])
    crossed = np.zeros((rows, columns + 1), np.int64)
    np.add.at(crossed, (row, np.clip(np.ceil(x), 0, columns).astype(int)), 1)
    return (np.cumsum(crossed[:, :-1], axis=1) % 2).astype(np.uint8)
