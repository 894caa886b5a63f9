"""Signed distances (mm, negative inside) of the primitives that the anatomy is built from.

Ellipsoids, tapered tubes along a polyline, and lofts: shapes given by their axial outlines at a
few levels, the way an atlas shows them. All return float32 arrays of the shape of the points.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.interpolate import CubicSpline, PchipInterpolator

Box = tuple[tuple[float, float, float], tuple[float, float, float]]
Window = tuple[slice, slice, slice]


@dataclass(frozen=True)
class Points:
    """Positions in mm: three float32 arrays of one 3D shape, patient's left, back, head."""

    x: np.ndarray
    y: np.ndarray
    z: np.ndarray

    @cached_property
    def _extents(self) -> list[list[tuple[np.ndarray, np.ndarray]]]:
        """Smallest and largest of each coordinate along each array axis."""
        extents = []
        for coordinate in (self.x, self.y, self.z):
            low = [coordinate.min(axis=(1, 2)), coordinate.min(axis=0).min(axis=1)]
            low.append(coordinate.min(axis=0).min(axis=0))
            high = [coordinate.max(axis=(1, 2)), coordinate.max(axis=0).max(axis=1)]
            high.append(coordinate.max(axis=0).max(axis=0))
            extents.append(list(zip(low, high, strict=True)))
        return extents

    def window(self, box: Box) -> Window | None:
        """Return the smallest index window that holds every point inside ``box``, or None."""
        slices = []
        for axis in range(3):
            inside = np.ones(self.x.shape[axis], dtype=bool)
            for coordinate in range(3):
                low, high = self._extents[coordinate][axis]
                inside &= (high >= box[0][coordinate]) & (low <= box[1][coordinate])
            found = np.flatnonzero(inside)
            if not len(found):
                return None
            slices.append(slice(int(found[0]), int(found[-1]) + 1))
        return tuple(slices)

    def __getitem__(self, window: Window) -> Points:
        return Points(self.x[window], self.y[window], self.z[window])

    def side(self, sign: int) -> Points:
        """Return the points seen from one side of the body: x counts outwards."""
        return self if sign > 0 else Points(-self.x, self.y, self.z)


def side_box(box: Box, sign: int) -> Box:
    """Return ``box``, given with x counting outwards, in coordinates of the whole body."""
    (x0, y0, z0), (x1, y1, z1) = box
    return box if sign > 0 else ((-x1, y0, z0), (-x0, y1, z1))


@dataclass(frozen=True)
class Ellipsoid:
    """An ellipsoid with axes along the body's."""

    centre: tuple[float, float, float]
    radii: tuple[float, float, float]

    def box(self, margin: float) -> Box:
        """Return the box around the shape grown by ``margin``."""
        c, r = np.asarray(self.centre), np.asarray(self.radii) + margin
        return tuple(c - r), tuple(c + r)

    def distance(self, p: Points) -> np.ndarray:
        """First-order signed distance, exact on the surface."""
        u, v, w = (
            (q - np.float32(c)) / np.float32(r)
            for q, c, r in zip((p.x, p.y, p.z), self.centre, self.radii, strict=True)
        )
        k0 = np.sqrt(u * u + v * v + w * w) + np.float32(1e-6)
        u, v, w = (q / np.float32(r) for q, r in zip((u, v, w), self.radii, strict=True))
        k1 = np.sqrt(u * u + v * v + w * w) + np.float32(1e-6)
        return k0 * (k0 - 1) / k1


@dataclass(frozen=True)
class Tube:
    """A tube of changing radius along a polyline of nodes (x, y, z, radius)."""

    nodes: Sequence[tuple[float, float, float, float]]

    def box(self, margin: float) -> Box:
        """Return the box around the shape grown by ``margin``."""
        nodes = np.asarray(self.nodes, dtype=float)
        grow = nodes[:, 3:] + margin
        return (
            tuple((nodes[:, :3] - grow).min(axis=0)),
            tuple((nodes[:, :3] + grow).max(axis=0)),
        )

    def distance(self, p: Points) -> np.ndarray:
        """Distance to the nearest piece of the polyline less the radius there."""
        result = None
        for a, b in zip(self.nodes[:-1], self.nodes[1:], strict=True):
            a, b = np.asarray(a, np.float32), np.asarray(b, np.float32)
            d = b[:3] - a[:3]
            x, y, z = p.x - a[0], p.y - a[1], p.z - a[2]
            h = np.clip((x * d[0] + y * d[1] + z * d[2]) / np.float32(d @ d + 1e-6), 0, 1)
            x, y, z = x - h * d[0], y - h * d[1], z - h * d[2]
            piece = np.sqrt(x * x + y * y + z * z) - (a[3] + h * (b[3] - a[3]))
            result = piece if result is None else np.minimum(result, piece)
        return result


class Loft:
    """A shape given by axial levels: z -> nodes (x, y, radius) of a rounded polyline.

    Between the levels the nodes follow a monotone cubic; a radius below zero at the first and
    last level closes the shape there. The distance is taken in the axial plane. ``rounded``
    bends the polyline smoothly at its nodes.
    """

    STEP = 3.0

    def __init__(
        self,
        levels: Mapping[float, Sequence[tuple[float, float, float]]],
        rounded: bool = False,
    ) -> None:
        z = np.asarray(sorted(levels), dtype=float)
        table = np.asarray([levels[key] for key in sorted(levels)], dtype=float)
        if rounded:
            # One node more between each two, on a curve through all of them.
            count = table.shape[1]
            between = np.arange(2 * count - 1) / 2
            table = CubicSpline(np.arange(count), table, axis=1)(between)
        self.low, self.high = float(z[0]), float(z[-1])
        count = int(np.ceil((self.high - self.low) / self.STEP)) + 2
        fine = np.minimum(self.low + self.STEP * np.arange(count), self.high)
        self._nodes = PchipInterpolator(z, table, axis=0)(fine).astype(np.float32)

    def box(self, margin: float) -> Box:
        """Return the box around the shape grown by ``margin``."""
        xy, grow = self._nodes[..., :2], np.maximum(self._nodes[..., 2:], 0) + margin
        low, high = (xy - grow).min(axis=(0, 1)), (xy + grow).max(axis=(0, 1))
        return (*low, self.low - margin), (*high, self.high + margin)

    def distance(self, p: Points) -> np.ndarray:
        """Distance in the axial plane to the polyline at the point's level less the radius."""
        level = np.clip((p.z - self.low) / self.STEP, 0, len(self._nodes) - 1.001)
        index = level.astype(np.intp)
        fraction = (level - index).astype(np.float32)
        steps = np.diff(self._nodes, axis=0)

        def node(n: int) -> list[np.ndarray]:
            return [
                self._nodes[:, n, m][index] + fraction * steps[:, n, m][index] for m in range(3)
            ]

        result = None
        a = node(0)
        for n in range(1, self._nodes.shape[1]):
            b = node(n)
            dx, dy = b[0] - a[0], b[1] - a[1]
            x, y = p.x - a[0], p.y - a[1]
            h = np.clip((x * dx + y * dy) / (dx * dx + dy * dy + np.float32(1e-6)), 0, 1)
            x, y = x - h * dx, y - h * dy
            piece = np.sqrt(x * x + y * y) - (a[2] + h * (b[2] - a[2]))
            result = piece if result is None else np.minimum(result, piece)
            a = b
        return np.maximum(result, np.maximum(self.low - p.z, p.z - self.high))


@dataclass(frozen=True)
class Outline:
    """A trunk-like solid: superellipses (exponent 2.5) whose extent changes with z.

    ``levels``: z -> (half width, front y, back y); centred on x = 0.
    """

    levels: Mapping[float, tuple[float, float, float]]

    @cached_property
    def _table(self) -> tuple[np.ndarray, np.ndarray]:
        z = np.asarray(sorted(self.levels), dtype=float)
        fine = np.arange(z[0], z[-1] + 1.0, 3.0)
        values = PchipInterpolator(z, [self.levels[key] for key in sorted(self.levels)])(fine)
        return fine.astype(np.float32), values.astype(np.float32)

    def distance(self, p: Points) -> np.ndarray:
        """Signed distance along the ray from the middle of the level's outline."""
        fine, values = self._table
        z = np.clip(p.z, fine[0], fine[-1])
        half, front, back = (np.interp(z, fine, v).astype(np.float32) for v in values.T)
        y = p.y - (front + back) / 2
        u, v = np.abs(p.x) / half, np.abs(y) / ((back - front) / 2)
        f = (u * u * np.sqrt(u) + v * v * np.sqrt(v)) ** np.float32(0.4) + np.float32(1e-6)
        return np.sqrt(p.x * p.x + y * y) * (1 - 1 / f)


def smooth_union(first: np.ndarray, second: np.ndarray, blend: float) -> np.ndarray:
    """Return the union whose seam is rounded over ``blend`` mm (polynomial smooth minimum)."""
    h = np.maximum(blend - np.abs(first - second), 0) / np.float32(blend)
    return np.minimum(first, second) - h * h * np.float32(blend / 4)
