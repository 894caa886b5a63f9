"""The evaluated dose as the exact gamma search sees it: its grid, and tile by tile its cells."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np
import SimpleITK as sitk

_TILE_VOXELS = 1_000_000
_SMALLEST_TILE_EDGE = 4
_WINDOW_FROM_CELLS = 100
_ALIGNED_VOXELS = 1e-5

Tile = tuple[slice, slice, slice]


def index_map(reference: sitk.Image, evaluated: sitk.Image) -> tuple[np.ndarray, np.ndarray]:
    """Return matrix and offset that take a reference index (i, j, k) to an evaluated index."""
    to_mm = np.array(reference.GetDirection()).reshape(3, 3) * reference.GetSpacing()
    to_index = (
        np.array(evaluated.GetDirection()).reshape(3, 3).T
        / np.array(evaluated.GetSpacing())[:, None]
    )
    offset = to_index @ np.subtract(reference.GetOrigin(), evaluated.GetOrigin())
    matrix = to_index @ to_mm
    # Grids that coincide but for rounding are treated as coinciding: a hundred-thousandth of a
    # voxel is nothing, and voxel centres on corners of cells are searched with fewer cells.
    last = np.array(reference.GetSize()) - 1
    rounded, start = np.round(matrix), np.round(offset)
    if (np.abs(matrix - rounded) @ last < _ALIGNED_VOXELS).all():
        matrix = rounded
        offset = np.where(np.abs(offset - start) < _ALIGNED_VOXELS, start, offset)
    return matrix, offset


@dataclass(frozen=True)
class Grid:
    """The grid of the evaluated dose; axes in the order i, j, k, lengths in distance criteria.

    Attributes:
        nodes: voxel centres along each axis.
        matrix, offset: take a reference index to an index of this grid.
        spacing: distance of neighbouring nodes.
        cap: radius of the search.
        passes_within: squared distance from the dose up to which a voxel can pass.
    """

    nodes: np.ndarray
    matrix: np.ndarray
    offset: np.ndarray
    spacing: np.ndarray
    cap: float
    passes_within: float = 1 + 1e-4

    @classmethod
    def of(
        cls, reference: sitk.Image, evaluated: sitk.Image, distance_mm: float, cap: float
    ) -> Grid:
        return cls(
            np.array(evaluated.GetSize()),
            *index_map(reference, evaluated),
            np.array(evaluated.GetSpacing()) / distance_mm,
            cap,
        )

    @cached_property
    def solid(self) -> np.ndarray:
        """Axes along which cells extend; a single slice is a layer of flat cells."""
        return self.nodes > 1

    @cached_property
    def width(self) -> np.ndarray:
        """Edges of a cell (3, 1; float32)."""
        return np.where(self.solid, self.spacing, 0)[:, None].astype(np.float32)

    @cached_property
    def reach(self) -> np.ndarray:
        """Cells either way that the search can extend."""
        return np.where(self.solid, np.ceil(self.cap / self.spacing), 0).astype(int)

    def positions(self, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return cell (3, n; int) and place in it (3, n; float32) of reference indices (3, n).

        The cell is the one that holds the point or, for points beyond the grid, begins at the
        nearest node. Where that is the last node along an axis the cell itself is beyond the grid.
        """
        position = self.matrix @ index + self.offset[:, None]
        cell = np.clip(np.floor(position).astype(int), 0, (self.nodes - 1)[:, None])
        point = (position - cell) * self.spacing[:, None]
        return cell, point.astype(np.float32)

    def node_range(self, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return first and one past the last node of all cells within reach of a reference box.

        Args:
            low, high: first and one past the last reference index of the box.
        """
        corners = np.array(list(product(*zip(low, high - 1, strict=True)))).T
        position = self.matrix @ corners + self.offset[:, None]
        top = self.nodes - 1
        first = np.clip(np.floor(position.min(axis=1)).astype(int), 0, top)
        last = np.clip(np.floor(position.max(axis=1)).astype(int), 0, top)
        return first - self.reach, last + self.reach + 2


def tiles(region: np.ndarray, grid: Grid) -> Iterator[Tile]:
    """Yield boxes (k, j, i) that cover the region (k, j, i; bool) and need little memory each."""

    def divide(low: np.ndarray, high: np.ndarray) -> Iterator[Tile]:
        box = tuple(slice(int(a), int(b)) for a, b in zip(low[::-1], high[::-1], strict=True))
        used = [np.flatnonzero(region[box].any(axis=others)) for others in ((0, 1), (0, 2), (1, 2))]
        if used[0].size == 0:
            return
        low, high = (
            low + [axis[0] for axis in used],
            low + [axis[-1] + 1 for axis in used],
        )
        size = high - low
        first, last = grid.node_range(low, high)
        if max(size.prod(), (last - first).prod()) > _TILE_VOXELS:
            extent = np.abs(grid.matrix).max(axis=0) * size * (size > _SMALLEST_TILE_EDGE)
            axis = int(np.argmax(extent))
            if extent[axis] > 0:
                below, above = high.copy(), low.copy()
                below[axis] = above[axis] = (low[axis] + high[axis]) // 2
                yield from divide(low, below)
                yield from divide(above, high)
                return
        yield tuple(slice(int(a), int(b)) for a, b in zip(low[::-1], high[::-1], strict=True))

    yield from divide(np.zeros(3, int), np.array(region.shape[::-1]))


class TileDoses:
    """The evaluated dose around a tile of the reference, and what bounds it in each cell.

    Arrays are flat in the order (k, j, i) of a box of nodes that begins at ``origin`` (i, j, k)
    and has ``steps`` between neighbours along i, j, k; a cell goes by its first node. Cells beyond
    the grid have an empty range of doses, so that no search enters them.

    Attributes:
        dose: in Gy at the nodes.
        smallest, largest: dose in Gy over the cell.
        bend: largest absolute mixed slopes over the cell along one axis and the two others, added,
            in Gy over squared distance criteria.
        window: smallest and largest dose within the grid's reach of a cell, None where the
            reach is a few cells.
    """

    def __init__(self, grid: Grid, dose: np.ndarray, tile: Tile) -> None:
        low, high = grid.node_range(
            np.array([part.start for part in tile[::-1]]),
            np.array([part.stop for part in tile[::-1]]),
        )
        self.origin = low
        shape = (high - low)[::-1]
        self.steps = np.array([1, shape[2], shape[2] * shape[1]])
        first, last = np.maximum(low, 0), np.minimum(high, grid.nodes)
        source = tuple(slice(a, b) for a, b in zip(first[::-1], last[::-1], strict=True))
        block = dose[source].astype(np.float32)
        # A single slice is stored twice: a flat cell has two ends at one place.
        for axis in np.flatnonzero(~grid.solid):
            block = np.repeat(block, 2, axis=2 - axis)
        start = (first - low)[::-1]
        nodes = tuple(slice(a, a + n) for a, n in zip(start, block.shape, strict=True))
        cells = tuple(slice(a, a + n - 1) for a, n in zip(start, block.shape, strict=True))

        def filled(values: np.ndarray, place: Tile, rest: float) -> np.ndarray:
            array = np.full(shape, rest, np.float32)
            array[place] = values
            return array

        self.dose = filled(block, nodes, 0).ravel()
        smallest = filled(_of_corners(block, np.minimum), cells, np.inf)
        largest = filled(_of_corners(block, np.maximum), cells, -np.inf)
        self.smallest, self.largest = smallest.ravel(), largest.ravel()
        self.bend = filled(_bend(block, grid), cells, 0).ravel()
        self.window = None
        if np.prod(2 * grid.reach + 1) > _WINDOW_FROM_CELLS:
            reach = grid.reach[::-1]
            self.window = (
                _over_window(smallest, reach, np.minimum).ravel(),
                _over_window(largest, reach, np.maximum).ravel(),
            )


def _of_corners(block: np.ndarray, extreme: np.ufunc) -> np.ndarray:
    """Return the minimum or maximum over the corners of each cell of a block of nodes."""
    block = extreme(block[1:], block[:-1])
    block = extreme(block[:, 1:], block[:, :-1])
    return extreme(block[:, :, 1:], block[:, :, :-1])


def _bend(block: np.ndarray, grid: Grid) -> np.ndarray:
    """Return ``bend`` of each cell of a block of nodes.

    The mixed slope in two axes is linear along the third: its largest is on one of two faces.
    """
    total, smallest = np.float32(0), np.float32(np.inf)
    for axes in ((2, 1), (2, 0), (1, 0)):
        mixed = np.diff(np.diff(block, axis=axes[0]), axis=axes[1])
        np.abs(mixed, out=mixed)
        faces = np.moveaxis(mixed, 3 - sum(axes), 0)
        mixed = np.moveaxis(np.maximum(faces[1:], faces[:-1]), 0, 3 - sum(axes))
        mixed /= np.float32(np.prod([grid.spacing[2 - axis] for axis in axes]))
        total = total + mixed
        smallest = np.minimum(smallest, mixed)
    total -= smallest
    return total


def _over_window(block: np.ndarray, reach: np.ndarray, extreme: np.ufunc) -> np.ndarray:
    """Return the minimum or maximum over ``reach`` elements either way along each axis.

    Elements nearer to the border than ``reach`` keep the range of fewer.
    """
    for axis, half in enumerate(int(n) for n in reach):
        along = np.moveaxis(block, axis, 0)
        ahead, span = along.copy(), 1
        while span < 2 * half + 1:
            shift = min(span, 2 * half + 1 - span)
            extreme(ahead[:-shift], ahead[shift:], out=ahead[:-shift])
            span += shift
        block = block.copy()
        np.moveaxis(block, axis, 0)[half:] = ahead[: len(ahead) - half]
    return block
