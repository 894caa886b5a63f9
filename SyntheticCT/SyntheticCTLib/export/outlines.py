"""The outlines of a mask's slices: closed, holes joined to them by keyholes (PS3.3 C.8.8.6.3)."""

from __future__ import annotations

import numpy as np


def outlines(plane: np.ndarray) -> list[np.ndarray]:
    """Return the outlines of a mask's slice, each as points (n, 2) in (column, row).

    An outline runs half-way between the centres of pixels inside and outside. A hole is joined to
    the outline around it by a line that is walked twice, so that every outline is one polygon.

    Args:
        plane: booleans (row, column).
    """
    from skimage.measure import find_contours

    found = [line[:-1] - 1 for line in find_contours(np.pad(plane, 1).astype(float), 0.5)]
    outer = [line for line in found if _area(line) > 0]
    holes = sorted((line for line in found if _area(line) < 0), key=lambda hole: -hole[:, 1].max())
    for hole in holes:
        _join(hole, outer)
    return [_corners(line)[:, ::-1] for line in outer]


def _area(line: np.ndarray) -> float:
    """Signed area: of one sign around what is inside, of the other around holes."""
    after = np.roll(line, -1, axis=0)
    return -float(np.sum(line[:, 0] * after[:, 1] - after[:, 0] * line[:, 1])) / 2


def _join(hole: np.ndarray, outer: list[np.ndarray]) -> None:
    """Join a hole to the polygon that is met first to the right of its rightmost point.

    That point and the one that is met lie on the middle of the same row, where outlines have a
    point at every crossing. Holes further right have been joined before.
    """
    start = int(hole[:, 1].argmax())
    row, column = hole[start]
    nearest, where = np.inf, (-1, -1)
    for number, line in enumerate(outer):
        right = np.flatnonzero((line[:, 0] == row) & (line[:, 1] > column))
        if right.size:
            point = int(right[line[right, 1].argmin()])
            if line[point, 1] < nearest:
                nearest, where = line[point, 1], (number, point)
    number, point = where
    turned = np.roll(hole, -start, axis=0)
    line = outer[number]
    outer[number] = np.concatenate([line[: point + 1], turned, turned[:1], line[point:]])


def _corners(line: np.ndarray) -> np.ndarray:
    """The points of a polygon at which it turns."""
    before, after = line - np.roll(line, 1, axis=0), np.roll(line, -1, axis=0) - line
    cross = before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]
    straight = (cross == 0) & (np.sum(before * after, axis=1) > 0)
    return line[~straight]
