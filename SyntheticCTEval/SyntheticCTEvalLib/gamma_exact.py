"""Exact gamma: the minimum over position inside each trilinear cell of the evaluated dose.

The reference is worked through in tiles, a tile's voxels in batches. For a batch, cells of the
evaluated dose are visited in the order of their distance; a cell is left out when its distance
and its range of doses show that it cannot lower gamma, and searched by ``gamma_cells`` otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
import SimpleITK as sitk
from SyntheticCTLib.progress import SILENT, Progress

from .gamma_cells import (
    ABSOLUTE_TOLERANCE,
    cell_coefficients,
    minimise_in_cells,
    worth_searching,
)

_BATCH = 16384
_TILE_VOXELS = 1_500_000
_WINDOW_FROM_CELLS = 100
_ALIGNED_VOXELS = 1e-5


@dataclass(frozen=True)
class _Search:
    """The search of one pair of doses; lengths in distance criteria, axes in order i, j, k."""

    dose: np.ndarray
    matrix: np.ndarray
    offset: np.ndarray
    spacing: np.ndarray
    cap: float

    @property
    def nodes(self) -> np.ndarray:
        return np.array(self.dose.shape[::-1])

    @property
    def cells(self) -> np.ndarray:
        """Cells along each axis; a single slice is one flat cell."""
        return np.maximum(self.nodes - 1, 1)

    @property
    def width(self) -> np.ndarray:
        return np.where(self.nodes > 1, self.spacing, 0.0)

    @property
    def reach(self) -> np.ndarray:
        """Cells that the search can extend beyond the nearest one."""
        return np.where(self.nodes > 1, np.ceil(self.cap / self.spacing), 0).astype(int)


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


def exact_gamma(
    reference: sitk.Image,
    evaluated: sitk.Image,
    region: np.ndarray,
    dose_percent: float,
    distance_mm: float,
    normalization_gy: float,
    local: bool,
    cap: float,
    progress: Progress = SILENT,
) -> np.ndarray:
    """Return gamma on the reference grid (k, j, i; float32), -1 where it was not evaluated.

    Args:
        reference, evaluated: doses in Gy, 3D, on any grids with orthonormal directions; the
            evaluated dose is linear between its voxel centres and ends with them.
        region: voxels (k, j, i; bool) of the reference to evaluate. Those farther than
            ``cap * distance_mm`` from every voxel centre's hull of ``evaluated`` stay -1.
        dose_percent: dose criterion in percent of ``normalization_gy``, or where ``local`` of
            the reference dose of the voxel.
        cap: largest gamma searched for.
    """
    matrix, offset = index_map(reference, evaluated)
    search = _Search(
        sitk.GetArrayViewFromImage(evaluated),
        matrix,
        offset,
        np.array(evaluated.GetSpacing()) / distance_mm,
        cap,
    )
    dose = sitk.GetArrayViewFromImage(reference)
    gamma = np.full(dose.shape, -1, np.float32)
    # Where a local criterion vanishes with the dose, only equal doses agree.
    least = 1e-9 * normalization_gy
    done = 0
    for tile in _tiles(region, search):
        chosen = np.flatnonzero(region[tile])
        if chosen.size:
            corner = np.array([part.start for part in tile[::-1]])
            shape = tuple(part.stop - part.start for part in tile)
            values = dose[tile].ravel()[chosen].astype(np.float32)
            if local:
                per_dose = (1 / np.maximum(dose_percent / 100 * values, least)).astype(np.float32)
            else:
                per_dose = np.float32(100 / (dose_percent * normalization_gy))
            found = np.full(chosen.size, -1, np.float32)
            local_doses = None
            for start in range(0, chosen.size, _BATCH):
                part = slice(start, start + _BATCH)
                index = np.stack(np.unravel_index(chosen[part], shape)[::-1]) + corner[:, None]
                position = search.matrix @ index + search.offset[:, None]
                if local_doses is None:
                    local_doses = _TileDoses(search, corner, shape)
                found[part] = _gamma_of_batch(
                    search,
                    local_doses,
                    position,
                    values[part],
                    per_dose[part] if local else per_dose,
                )
            gamma[tile].reshape(shape)[region[tile]] = found
        done += int(np.prod([part.stop - part.start for part in tile]))
        progress.report("gamma", done / region.size)
    return gamma


def _tiles(region: np.ndarray, search: _Search) -> Iterator[tuple[slice, slice, slice]]:
    """Yield boxes of the reference (k, j, i) whose doses of both grids fit in little memory."""

    def divide(low: np.ndarray, high: np.ndarray) -> Iterator[tuple[slice, slice, slice]]:
        size = high - low
        first, last = _node_range(search, low, high)
        if max(size.prod(), (last - first).prod()) > _TILE_VOXELS and size.max() > 4:
            axis = int(np.argmax(np.abs(search.matrix).max(axis=0) * size * (size > 1)))
            if size[axis] <= 4:
                axis = int(np.argmax(size))
            middle = low[axis] + size[axis] // 2
            below, above = high.copy(), low.copy()
            below[axis] = above[axis] = middle
            yield from divide(low, below)
            yield from divide(above, high)
        else:
            yield tuple(slice(int(a), int(b)) for a, b in zip(low[::-1], high[::-1], strict=True))

    low, high = [], []
    for axis in (2, 1, 0):
        others = tuple(a for a in range(3) if a != axis)
        used = np.flatnonzero(region.any(axis=others))
        if used.size == 0:
            return
        low.append(used[0])
        high.append(used[-1] + 1)
    yield from divide(np.array(low), np.array(high))


def _node_range(search: _Search, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return the first and one past the last evaluated index that voxels low to high - 1 use.

    The range covers the cells within reach, a margin beyond the evaluated grid included.
    """
    corners = np.array(list(product(*zip(low, high - 1, strict=True)))).T
    position = search.matrix @ corners + search.offset[:, None]
    first, last = position.min(axis=1), position.max(axis=1)
    top = search.cells - 1
    first = np.clip(np.floor(first).astype(int), 0, top) - search.reach
    last = np.clip(np.floor(last).astype(int), 0, top) + search.reach
    return first, last + 2


class _TileDoses:
    """The evaluated dose around a tile and the range of doses in each of its cells.

    Arrays are flat in the order (k, j, i) of a box of nodes; a cell goes by its first node. Cells
    beyond the grid have an empty range, so that no search enters them.
    """

    def __init__(self, search: _Search, corner: np.ndarray, shape: tuple[int, ...]) -> None:
        low, high = _node_range(search, corner, corner + shape[::-1])
        self.origin = low
        size = high - low
        self.steps = np.array([1, size[0], size[0] * size[1]])
        inside_low, inside_high = np.maximum(low, 0), np.minimum(high, search.nodes)
        source = tuple(
            slice(a, b) for a, b in zip(inside_low[::-1], inside_high[::-1], strict=True)
        )
        block = search.dose[source].astype(np.float32)
        for axis in range(3):
            # A single slice is stored twice: a flat cell has two ends at one place.
            if search.nodes[axis] == 1:
                block = np.repeat(block, 2, axis=2 - axis)
        target = tuple(
            slice(a, a + n) for a, n in zip((inside_low - low)[::-1], block.shape, strict=True)
        )
        self.dose = np.zeros(size[::-1], np.float32)
        self.dose[target] = block
        cells = tuple(slice(part.start, part.stop - 1) for part in target)
        self.smallest = np.full(size[::-1], np.inf, np.float32)
        self.largest = np.full(size[::-1], -np.inf, np.float32)
        self.smallest[cells] = _over_pairs(block, np.minimum)
        self.largest[cells] = _over_pairs(block, np.maximum)
        self.window = None
        if np.prod(2 * search.reach + 1) > _WINDOW_FROM_CELLS:
            self.window = (
                _over_window(self.smallest, search.reach[::-1], np.minimum).ravel(),
                _over_window(self.largest, search.reach[::-1], np.maximum).ravel(),
            )
        self.dose, self.smallest, self.largest = (
            a.ravel() for a in (self.dose, self.smallest, self.largest)
        )


def _over_pairs(block: np.ndarray, smaller: np.ufunc) -> np.ndarray:
    """Return the minimum (or maximum) over the corners of each cell of a block of nodes."""
    block = smaller(block[1:], block[:-1])
    block = smaller(block[:, 1:], block[:, :-1])
    return smaller(block[:, :, 1:], block[:, :, :-1])


def _over_window(block: np.ndarray, reach: np.ndarray, smaller: np.ufunc) -> np.ndarray:
    """Return the minimum (or maximum) over ``reach`` elements either way along each axis.

    Elements nearer to the border than ``reach`` keep the range of fewer.
    """
    for axis, half in enumerate(int(n) for n in reach):
        along = np.moveaxis(block, axis, 0)
        ahead, span = along.copy(), 1
        while span < 2 * half + 1:
            shift = min(span, 2 * half + 1 - span)
            smaller(ahead[:-shift], ahead[shift:], out=ahead[:-shift])
            span += shift
        block = block.copy()
        np.moveaxis(block, axis, 0)[half:] = ahead[: len(ahead) - half]
    return block


def _gamma_of_batch(
    search: _Search,
    tile: _TileDoses,
    position: np.ndarray,
    dose: np.ndarray,
    per_dose: np.ndarray | np.float32,
) -> np.ndarray:
    """Return gamma of n voxels, -1 where the evaluated dose is out of reach.

    Args:
        position: evaluated indices of the voxel centres (3, n), axes i, j, k.
        dose: reference doses in Gy (n).
        per_dose: one over the dose criterion, a number or (n).
    """
    cell = np.clip(np.floor(position).astype(int), 0, (search.cells - 1)[:, None])
    part = (position - cell).astype(np.float32)
    cell = tile.steps @ (cell - tile.origin[:, None])
    spacing = search.spacing.astype(np.float32)[:, None]
    width = search.width.astype(np.float32)[:, None]
    point = part * spacing
    outside = point - np.minimum(np.maximum(point, 0), width)
    reached = (outside * outside).sum(axis=0) <= search.cap**2
    best = np.full(dose.size, search.cap**2, np.float32)

    home = _home_cells(search, tile, cell, part, dose)
    best = _search_cells(
        search,
        tile,
        cell + tile.steps @ home,
        point - home.astype(np.float32) * width,
        dose,
        per_dose,
        best,
    )
    remaining = best.copy()
    if tile.window is not None:
        remaining -= _range_bound(*tile.window, cell, dose, per_dose)
    home_code = _code(home)
    active = np.flatnonzero(reached & (remaining > ABSOLUTE_TOLERANCE))
    if active.size:
        low, high = part[:, active].min(axis=1), part[:, active].max(axis=1)
        least_before = np.float32(-1)
        for least, offset in _offsets(search, low, high):
            if least > least_before:
                active = active[remaining[active] > least]
                least_before = least
            if active.size == 0:
                break
            chosen = active[home_code[active] != _code(offset)]
            apart = _distance_squared(point, chosen, offset, width)
            near = apart < remaining[chosen]
            chosen, apart = chosen[near], apart[near]
            there = cell[chosen] + int(tile.steps @ offset)
            scale = per_dose[chosen] if np.ndim(per_dose) else per_dose
            apart += _range_bound(tile.smallest, tile.largest, there, dose[chosen], scale)
            near = np.flatnonzero(worth_searching(apart, best[chosen]))
            if near.size == 0:
                continue
            chosen, there = chosen[near], there[near]
            before = best[chosen]
            best[chosen] = _search_cells(
                search,
                tile,
                there,
                np.take(point, chosen, axis=1) - offset[:, None].astype(np.float32) * width,
                dose[chosen],
                per_dose[chosen] if np.ndim(per_dose) else per_dose,
                before,
            )
            remaining[chosen] -= before - best[chosen]
    return np.where(reached, np.sqrt(best), np.float32(-1))


def _code(offset: np.ndarray) -> np.ndarray:
    """Return one number a cell offset (3) or (3, n)."""
    return (offset[0] * 4096 + offset[1]) * 4096 + offset[2]


def _home_cells(
    search: _Search, tile: _TileDoses, cell: np.ndarray, part: np.ndarray, dose: np.ndarray
) -> np.ndarray:
    """Return the offset (3, n) from ``cell`` to the cell to search first.

    A point on a face belongs to two cells; the one towards the reference dose goes first, so
    that the low gamma found there spares the search of the others.
    """
    home = np.zeros(part.shape, np.int64)
    for axis in range(3):
        on_face = np.flatnonzero(part[axis] == 0)
        if on_face.size == 0 or search.nodes[axis] == 1:
            continue
        node, step = cell[on_face], tile.steps[axis]
        target = dose[on_face]
        behind = np.abs(tile.dose[node - step] - target) < np.abs(tile.dose[node + step] - target)
        behind &= tile.smallest[node - step] < np.inf
        home[axis, on_face[behind]] = -1
    return home


def _range_bound(
    smallest: np.ndarray,
    largest: np.ndarray,
    cell: np.ndarray,
    dose: np.ndarray,
    per_dose: np.ndarray | np.float32,
) -> np.ndarray:
    """Return the part of gamma squared that the range of doses makes sure of."""
    short = np.maximum(smallest[cell] - dose, dose - largest[cell])
    np.maximum(short, 0, out=short)
    short *= per_dose
    short *= short
    return short


def _distance_squared(
    point: np.ndarray, chosen: np.ndarray, offset: np.ndarray, width: np.ndarray
) -> np.ndarray:
    """Return the squared distance of points to the cells ``offset`` away."""
    total = np.zeros(chosen.size, np.float32)
    for axis in range(3):
        low = np.float32(offset[axis] * width[axis, 0])
        along = point[axis, chosen]
        short = np.maximum(low - along, along - (low + width[axis, 0]))
        np.maximum(short, 0, out=short)
        short *= short
        total += short
    return total


def _offsets(
    search: _Search, low: np.ndarray, high: np.ndarray
) -> list[tuple[np.float32, np.ndarray]]:
    """Return cell offsets in the order of the least squared distance that points can have.

    Args:
        low, high: smallest and largest position within the cell of the points (3), in cells.
    """
    along = []
    for axis in range(3):
        steps = range(-int(search.reach[axis]), int(search.reach[axis]) + 1)
        if search.nodes[axis] == 1:
            least = float(max(low[axis], -high[axis], 0))
            along.append([((least * search.spacing[axis]) ** 2, 0)])
        else:
            along.append(
                [
                    ((max(o - high[axis], low[axis] - o - 1, 0) * search.spacing[axis]) ** 2, o)
                    for o in steps
                ]
            )
    found = []
    for (a, i), (b, j), (c, k) in product(*along):
        if a + b + c < search.cap**2:
            found.append((np.float32(a + b + c), abs(i) + abs(j) + abs(k), (i, j, k)))
    found.sort()
    return [(least, np.array(offset)) for least, _, offset in found]


def _search_cells(
    search: _Search,
    tile: _TileDoses,
    cell: np.ndarray,
    point: np.ndarray,
    dose: np.ndarray,
    per_dose: np.ndarray | np.float32,
    best: np.ndarray,
) -> np.ndarray:
    """Return ``best`` lowered by the search of one cell for each of n points."""
    i, j, k = tile.steps
    corners = [tile.dose[cell + step] for step in (0, i, j, i + j, k, i + k, j + k, i + j + k)]
    coefficients = cell_coefficients(corners, dose, per_dose, tuple(1 / search.spacing))
    width = search.width.astype(np.float32)[:, None]
    return minimise_in_cells(coefficients, point, width, best)
