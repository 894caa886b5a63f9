"""Which contours of a plane are holes in others, which are copies, and which only overlap."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SAME_MM = 0.5
"""Contours whose lines lie nowhere farther apart are one contour that was stored twice."""

TOUCH_MM = 0.3
"""By how much a contour may reach over another's line by rounding."""

_SAME, _INSIDE, _APART, _CROSSING = range(4)


@dataclass(frozen=True)
class Nested:
    """The contours of a plane in the order in which they are filled or cut out.

    Attributes:
        polygons: points (n, 2; mm), the largest first.
        holes: whether each is cut out.
        twice: some are copies of others, which are filled, or cut out, like them.
        crossing: some overlap in part; all of them are filled.
    """

    polygons: list[np.ndarray]
    holes: list[bool]
    twice: bool = False
    crossing: bool = False


def nested(polygons: list[np.ndarray]) -> Nested:
    """Return the contours (n, 2; mm) of a plane by how they lie in one another.

    A contour inside another is a hole, one inside a hole is filled again, and so on. A contour
    is no hole where it is a copy of the other one up to :data:`SAME_MM`, or crosses its line by
    more than :data:`TOUCH_MM`.
    """
    ordered = sorted(polygons, key=_area, reverse=True)
    lows = np.array([points.min(axis=0) for points in ordered]) - TOUCH_MM
    highs = np.array([points.max(axis=0) for points in ordered]) + TOUCH_MM
    lines = [_along(points) for points in ordered]
    levels: list[int] = []
    twice = crossing = False
    for j, points in enumerate(ordered):
        level, copied = 0, None
        near = (lows[:j] <= highs[j]).all(axis=1) & (highs[:j] >= lows[j]).all(axis=1)
        for i in np.flatnonzero(near):
            relation = _relation(ordered[i], lines[i], points, lines[j])
            if relation == _SAME:
                copied = levels[i]
            elif relation == _INSIDE:
                level = max(level, levels[i] + 1)
            crossing |= relation == _CROSSING
        twice |= copied is not None
        levels.append(level if copied is None else copied)
    return Nested(ordered, [level % 2 == 1 for level in levels], twice, crossing)


def _relation(
    large: np.ndarray, large_line: np.ndarray, small: np.ndarray, line: np.ndarray
) -> int:
    """How ``small`` lies to ``large``; the lines are points along them, not far apart."""
    apart = [large.min(axis=0) - small.min(axis=0), large.max(axis=0) - small.max(axis=0)]
    if (
        np.abs(apart).max() <= SAME_MM
        and _distances(line, large).max() <= SAME_MM
        and _distances(large_line, small).max() <= SAME_MM
    ):
        return _SAME
    inside = _inside(line, large)
    if _beyond(line[~inside], large) <= TOUCH_MM:
        return _INSIDE
    reach = _beyond(line[inside], large), _beyond(large_line[_inside(large_line, small)], small)
    return _APART if max(reach) <= TOUCH_MM else _CROSSING


def _area(points: np.ndarray) -> float:
    x, y = (points - points[0]).T
    return 0.5 * abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1)))


def _along(points: np.ndarray) -> np.ndarray:
    """Points along a closed line, at its corners and about 1 mm apart between them."""
    edges = np.roll(points, -1, axis=0) - points
    length = np.linalg.norm(edges, axis=1)
    counts = np.maximum(np.ceil(length / max(1.0, length.sum() / 1000)).astype(int), 1)
    edge = np.repeat(np.arange(len(points)), counts)
    step = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return points[edge] + edges[edge] * (step / counts[edge])[:, None]


def _inside(points: np.ndarray, polygon: np.ndarray) -> np.ndarray:
    """Whether each point lies inside, by the number of edges to its right."""
    x, y = points[:, :1], points[:, 1:]
    (ax, ay), (bx, by) = polygon.T, np.roll(polygon, -1, axis=0).T
    met = (ay > y) != (by > y)
    with np.errstate(divide="ignore", invalid="ignore"):
        right = ax + (y - ay) / (by - ay) * (bx - ax) > x
    return (met & right).sum(axis=1) % 2 == 1


def _distances(points: np.ndarray, polygon: np.ndarray) -> np.ndarray:
    """Distance in mm of each point from a closed line."""
    edges = np.roll(polygon, -1, axis=0) - polygon
    squares = np.maximum((edges**2).sum(axis=1), 1e-12)
    away = points[:, None] - polygon
    part = np.clip((away * edges).sum(axis=2) / squares, 0, 1)
    return np.sqrt(((away - part[..., None] * edges) ** 2).sum(axis=2)).min(axis=1)


def _beyond(points: np.ndarray, polygon: np.ndarray) -> float:
    return float(_distances(points, polygon).max()) if len(points) else 0.0
