"""The search of fine planes: thousands of cells are within reach of a voxel, few are worth a look.

Blocks of 1, 2, 4, ... cells along each axis hold the range of their doses and a linear dose with
its largest distance from the true one. What is searched in them is compiled (see compiled).
"""

from __future__ import annotations

import importlib.util

import numpy as np

from .tiles import Grid, Tile

_FINE_CELLS = 100
_WORTH_COMPILING = 1e7

Blocks = tuple[np.ndarray, np.ndarray]


def searches_plane(grid: Grid, voxels: int) -> bool:
    """Whether the evaluated dose is a plane so fine that its search is worth compiling."""
    cells = float(np.prod(2 * grid.reach + 1))
    fine = grid.solid.sum() == 2 and cells > _FINE_CELLS
    worth = fine and cells * voxels > _WORTH_COMPILING
    return worth and importlib.util.find_spec("numba") is not None


class PlaneDoses:
    """The plane of evaluated dose around a tile of the reference (see tiles.TileDoses)."""

    def __init__(self, grid: Grid, dose: np.ndarray, tile: Tile) -> None:
        low, high = grid.node_range(
            np.array([part.start for part in tile[::-1]]),
            np.array([part.stop for part in tile[::-1]]),
        )
        first, last = np.maximum(low, 0), np.minimum(high, grid.nodes)
        source = tuple(slice(a, b) for a, b in zip(first[::-1], last[::-1], strict=True))
        self.grid, self.axes = grid, np.flatnonzero(grid.solid)
        self.across = int(np.flatnonzero(~grid.solid)[0])
        self.first = first[self.axes]
        self.nodes = np.squeeze(dose[source], 2 - self.across).astype(np.float32, order="C")
        self.blocks = blocks_of(self.nodes, grid.cap / grid.spacing[self.axes].min())

    def gamma(
        self, index: np.ndarray, dose: np.ndarray, per_dose: np.ndarray | np.float32
    ) -> np.ndarray:
        """Return gamma of reference voxels, -1 where the evaluated dose is out of reach.

        Args:
            index: reference indices (3, n).
            dose: reference dose in Gy (n).
            per_dose: one over the dose criterion, a number or (n).
        """
        from .compiled import search_plane

        grid = self.grid
        position = grid.matrix @ index + grid.offset[:, None]
        off = (position[self.across] * grid.spacing[self.across]) ** 2
        best = np.maximum(grid.cap**2 - off, 0)
        outside = position - np.clip(position, 0, grid.nodes[:, None] - 1)
        outside *= grid.spacing[:, None]
        reached = (outside * outside).sum(axis=0) <= grid.passes_within
        place = position[self.axes] - self.first[:, None]
        search_plane(
            self.nodes,
            *self.blocks,
            place[:, reached],
            dose[reached].astype(float),
            np.atleast_1d(per_dose).astype(float)[reached if np.ndim(per_dose) else slice(1)],
            grid.spacing[self.axes],
            best_reached := best[reached],
            off[reached],
        )
        gamma = np.full(dose.size, -1, np.float32)
        gamma[reached] = np.sqrt(best_reached + off[reached])
        return gamma


def blocks_of(nodes: np.ndarray, most: float) -> Blocks:
    """Return blocks of 1, 2, 4, ... cells along each axis, up to ``most`` or the whole plane.

    Args:
        nodes: dose in Gy (y, x), two or more along each axis.

    Returns:
        A row a block (float32): value in the middle, slopes along x and y over a cell, largest
        distance from the dose, smallest and largest dose, in Gy; and a row a level: its first
        block, the number of its blocks along y and along x.
    """
    corners = nodes[:-1, :-1], nodes[:-1, 1:], nodes[1:, :-1], nodes[1:, 1:]
    a, b, c, d = (part.astype(float) for part in corners)
    rest = np.abs(a - b - c + d) / 4
    least, most_gy = np.minimum.reduce((a, b, c, d)), np.maximum.reduce((a, b, c, d))
    # What is rounded to single precision must not make bounds too large.
    rest += 4e-7 * np.maximum(np.abs(least), np.abs(most_gy))
    level = np.stack(
        ((a + b + c + d) / 4, (b - a + d - c) / 2, (c - a + d - b) / 2, rest, least, most_gy)
    )
    levels, size = [level], 1
    while size < most and level[0].size > 1:
        level = _joined(level, size)
        levels.append(level)
        size *= 2
    rows = np.concatenate([np.moveaxis(level, 0, -1).reshape(-1, 6) for level in levels])
    shapes = np.array([level.shape[1:] for level in levels])
    first = np.concatenate(([0], np.cumsum(shapes.prod(axis=1))[:-1]))
    return rows.astype(np.float32), np.column_stack((first, shapes))


def _joined(level: np.ndarray, size: int) -> np.ndarray:
    """Return blocks of twice the size, fields in front; ``size`` is that of the blocks given."""
    for axis, slope in ((1, 2), (2, 1)):
        if level.shape[axis] % 2:
            # A block beyond the dose, on which nothing depends.
            beyond = np.take(level, [-1], axis).copy()
            beyond[0] += beyond[slope] * size
            beyond[3:5], beyond[5] = [[[-np.inf]], [[np.inf]]], -np.inf
            level = np.concatenate((level, beyond), axis)
    a, b, c, d = (level[:, j::2, i::2] for j in (0, 1) for i in (0, 1))
    joined = np.empty_like(a)
    joined[0] = (a[0] + b[0] + c[0] + d[0]) / 4
    joined[1] = (b[0] - a[0] + d[0] - c[0]) / (2 * size)
    joined[2] = (c[0] - a[0] + d[0] - b[0]) / (2 * size)
    joined[3] = -np.inf
    for part, x, y in ((a, -1, -1), (b, 1, -1), (c, -1, 1), (d, 1, 1)):
        apart = part[0] - joined[0] - (x * joined[1] + y * joined[2]) * (size / 2)
        turned = np.abs(part[1:3] - joined[1:3]).sum(axis=0) * (size / 2)
        np.maximum(joined[3], part[3] + np.abs(apart) + turned, out=joined[3])
    joined[4] = np.minimum.reduce((a[4], b[4], c[4], d[4]))
    joined[5] = np.maximum.reduce((a[5], b[5], c[5], d[5]))
    return joined
