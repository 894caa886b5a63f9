"""Exact gamma: the minimum over position inside each trilinear cell of the evaluated dose.

The reference is worked through in tiles, a tile's voxels in batches. The cell towards the
reference dose is searched first; the others follow in the order of their distance. A cell is left
out when its distance and the doses in it show that it cannot lower gamma. Fine planes are searched
by blocks of cells instead (see planes).
"""

from __future__ import annotations

from itertools import product

import numpy as np
import SimpleITK as sitk
from SyntheticCTLib.basics.progress import SILENT, Progress

from .cells import (
    LEAST_CURVATURE,
    TOLERANCE,
    cell_coefficients,
    minimise_by_splitting,
    minimise_in_cells,
    worth_searching,
)
from .planes import PlaneDoses, searches_plane
from .tiles import Grid, TileDoses, tiles

_BATCH = 16384
_OPEN_BATCH = 2048


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
            ``distance_mm`` from the evaluated dose, which cannot pass, stay -1.
        dose_percent: dose criterion in percent of ``normalization_gy``, or where ``local`` of
            the reference dose of the voxel.
        cap: largest gamma searched for.
    """
    grid = Grid.of(reference, evaluated, distance_mm, cap)
    reference_gy = sitk.GetArrayViewFromImage(reference)
    evaluated_gy = sitk.GetArrayViewFromImage(evaluated)
    gamma = np.full(region.shape, -1, np.float32)
    wanted, done = np.count_nonzero(region), 0
    doses_around = PlaneDoses if searches_plane(grid, wanted) else TileDoses
    for tile in tiles(region, grid):
        doses = doses_around(grid, evaluated_gy, tile)
        chosen = np.flatnonzero(region[tile])
        shape = tuple(part.stop - part.start for part in tile)
        start = np.array([[part.start] for part in tile[::-1]])
        found = np.empty(chosen.size, np.float32)
        here = reference_gy[tile][region[tile]].astype(np.float32)
        for batch in (slice(n, n + _BATCH) for n in range(0, chosen.size, _BATCH)):
            if local:
                # Where the criterion vanishes with the dose, only equal doses agree.
                criterion = dose_percent / 100 * np.maximum(here[batch], 1e-9 * normalization_gy)
                per_dose = (1 / criterion).astype(np.float32)
            else:
                per_dose = np.float32(100 / (dose_percent * normalization_gy))
            index = np.stack(np.unravel_index(chosen[batch], shape)[::-1]) + start
            if doses_around is PlaneDoses:
                found[batch] = doses.gamma(index, here[batch], per_dose)
            else:
                found[batch] = _Points(grid, doses, index, here[batch], per_dose).gamma()
            done += index.shape[1]
            progress.report("gamma", done / wanted)
        gamma[tile][region[tile]] = found
    return gamma


class _Points:
    """Reference voxels of one batch and the smallest gamma squared found for each so far.

    Attributes:
        cell: flat index of the cell that holds each point (n).
        place: point from the first corner of its cell (3, n), in distance criteria.
        dose: reference dose in Gy (n).
        per_dose: one over the dose criterion, a number or (n).
        best: gamma squared (n).
        open: points, cells and offsets that are to be searched by splitting the cells.
    """

    def __init__(
        self,
        grid: Grid,
        tile: TileDoses,
        index: np.ndarray,
        dose: np.ndarray,
        per_dose: np.ndarray | np.float32,
    ) -> None:
        self.grid, self.tile, self.dose, self.per_dose = grid, tile, dose, per_dose
        corner, self.place = grid.positions(index)
        self.cell = tile.steps @ (corner - tile.origin[:, None])
        self.last = corner == (grid.nodes - 1)[:, None]
        self.first = corner == 0
        self.best = np.full(dose.size, grid.cap**2, np.float32)
        self.open: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    def gamma(self) -> np.ndarray:
        """Return gamma of each point, -1 where the evaluated dose is out of reach."""
        end = np.where(self.last, 0, self.grid.width)
        outside = self.place - np.minimum(np.maximum(self.place, 0), end)
        reached = _squares(outside) <= self.grid.passes_within
        home = np.where(self.last & self.grid.solid[:, None], -1, 0).astype(np.int8)
        at_nodes = not self.place.any()
        if at_nodes:
            value, steepness = self._towards_reference()
            home -= (home == 0) & (steepness[1] > steepness[0])
            np.minimum(self.best, value * value, out=self.best)
        active = np.flatnonzero(reached & (self.best > TOLERANCE**2))
        first = home[:, active]
        self._search(active, self.cell[active] + self.tile.steps @ first, first)
        active = active[self.best[active] > TOLERANCE**2]
        if at_nodes:
            self._search_at_nodes(active, home, value, steepness)
        self._search_around(active, home, at_nodes)
        self._search_open_cells()
        return np.where(reached, np.sqrt(self.best), np.float32(-1))

    def _towards_reference(self) -> tuple[np.ndarray, np.ndarray]:
        """Return |f| at the points (n), all at nodes, and its squared descent either way (2, 3, n).

        The descent is that per distance criterion along the edges ahead and behind on each axis,
        0 where |f| rises or the edge is beyond the grid.
        """
        dose = self.tile.dose
        here = dose[self.cell]
        value = (here - self.dose) * self.per_dose
        steepness = np.zeros((2, 3, value.size), np.float32)
        weight = np.where(value > 0, -self.per_dose, self.per_dose)
        for axis in np.flatnonzero(self.grid.solid):
            for side, beyond in enumerate((self.last[axis], self.first[axis])):
                step = self.tile.steps[axis] * (1 - 2 * side)
                descent = dose[self.cell + step]
                descent -= here
                descent *= weight
                descent /= self.grid.width[axis]
                np.maximum(descent, 0, out=descent)
                np.multiply(descent, descent, out=steepness[side, axis])
                steepness[side, axis, beyond] = 0
        return np.abs(value), steepness

    def _search_at_nodes(
        self, active: np.ndarray, home: np.ndarray, value: np.ndarray, steepness: np.ndarray
    ) -> None:
        """Search the cells other than home that meet in points at nodes.

        The bound is that of ``gamma_cells`` at the node, with t the f at the linear minimum.
        """
        home, value = home[:, active], value[active]
        ahead, behind = steepness[:, :, active]
        scale = self._per_dose(active)
        flat = ~self.grid.solid
        for offset in (np.array(sides) for sides in product((0, -1), repeat=3)):
            if (flat & (offset != 0)).any():
                continue
            slope = sum((behind if offset[a] else ahead)[a] for a in range(3))
            t = value / (1 + slope)
            bend = self.tile.bend[self.cell[active] + int(self.tile.steps @ offset)]
            curvature = 1 - t * bend * scale
            bound = t * (2 * value - t)
            bound -= t * t * slope / np.maximum(curvature, LEAST_CURVATURE)
            search = worth_searching(bound, self.best[active])
            search |= curvature < LEAST_CURVATURE
            search &= (home != offset[:, None]).any(axis=0)
            chosen = active[search]
            self._search_where_doses_allow(chosen, np.zeros(chosen.size, np.float32), offset)

    def _search_around(self, active: np.ndarray, home: np.ndarray, at_nodes: bool) -> None:
        """Search the cells around that can lower gamma of the active points."""
        width = self.grid.width
        promised = np.zeros(self.best.size, np.float32)
        if self.tile.window is not None and active.size:
            promised[active] = self._range_bound(*self.tile.window, active, self.cell[active])
            active = active[worth_searching(promised[active], self.best[active])]
        if active.size == 0:
            return
        low, high = (
            extreme(np.take(self.place, active, axis=1), axis=1) for extreme in (np.min, np.max)
        )
        done = np.float32(-1)
        for least, offset in _offsets(self.grid, low, high):
            if at_nodes and least == 0:
                continue
            if least > done:
                # A cell at this distance helps only where it and the doses leave room.
                active = active[least + promised[active] < self.best[active]]
                done = least
            if active.size == 0:
                break
            bound = np.zeros(active.size, np.float32)
            for axis in range(3):
                first = np.float32(offset[axis]) * width[axis]
                along = self.place[axis, active]
                short = np.maximum(first - along, along - (first + width[axis]))
                np.maximum(short, 0, out=short)
                short *= short
                bound += short
            new = bound + promised[active] < self.best[active]
            if not at_nodes and np.abs(offset).max() <= 1:
                new &= (home[:, active] != offset[:, None]).any(axis=0)
            self._search_where_doses_allow(active[new], bound[new], offset)

    def _search_where_doses_allow(
        self, chosen: np.ndarray, bound: np.ndarray, offset: np.ndarray
    ) -> None:
        """Search the cells ``offset`` away but where their range of doses rules that out.

        Args:
            bound: squared distance to the cell (n).
        """
        cell = self.cell[chosen] + int(self.tile.steps @ offset)
        bound = bound + self._range_bound(self.tile.smallest, self.tile.largest, chosen, cell)
        near = np.flatnonzero(worth_searching(bound, self.best[chosen]))
        if near.size:
            self._search(chosen[near], cell[near], offset[:, None])

    def _per_dose(self, chosen: np.ndarray) -> np.ndarray | np.float32:
        return self.per_dose[chosen] if np.ndim(self.per_dose) else self.per_dose

    def _range_bound(
        self, smallest: np.ndarray, largest: np.ndarray, chosen: np.ndarray, cell: np.ndarray
    ) -> np.ndarray:
        """Return the part of gamma squared that a range of doses makes sure of."""
        dose = self.dose[chosen]
        short = np.maximum(smallest[cell] - dose, dose - largest[cell])
        np.maximum(short, 0, out=short)
        short *= self._per_dose(chosen)
        short *= short
        return short

    def _cells(
        self, chosen: np.ndarray, cell: np.ndarray, offset: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return coefficients of cells (8, n) and the chosen points from their corners (3, n)."""
        i, j, k = self.tile.steps
        steps = (0, i, j, i + j, k, i + k, j + k, i + j + k)
        coefficients = cell_coefficients(
            [self.tile.dose[cell + step] for step in steps],
            self.dose[chosen],
            self._per_dose(chosen),
            tuple(1 / self.grid.spacing),
        )
        place = np.take(self.place, chosen, axis=1)
        place -= offset.astype(np.float32) * self.grid.width
        return coefficients, place

    def _search(self, chosen: np.ndarray, cell: np.ndarray, offset: np.ndarray) -> None:
        """Lower the best of the chosen points by the search of one cell for each.

        Args:
            offset: from the points' own cells (3, n) or (3, 1).
        """
        coefficients, place = self._cells(chosen, cell, offset)
        self.best[chosen], left = minimise_in_cells(
            coefficients, place, self.grid.width, self.best[chosen]
        )
        if left.size:
            offset = np.broadcast_to(offset, place.shape)[:, left]
            self.open.append((chosen[left], cell[left], offset))

    def _search_open_cells(self) -> None:
        """Search the cells that were left open, all together, since each pass has its price."""
        if not self.open:
            return
        chosen, cell, offset = (
            np.concatenate(part, axis=-1) for part in zip(*self.open, strict=True)
        )
        for part in (slice(n, n + _OPEN_BATCH) for n in range(0, chosen.size, _OPEN_BATCH)):
            coefficients, place = self._cells(chosen[part], cell[part], offset[:, part])
            best = minimise_by_splitting(
                coefficients, place, self.grid.width, self.best[chosen[part]]
            )
            np.minimum.at(self.best, chosen[part], best.astype(np.float32))


def _squares(rows: np.ndarray) -> np.ndarray:
    return (rows * rows).sum(axis=0)


def _offsets(grid: Grid, low: np.ndarray, high: np.ndarray) -> list[tuple[np.float32, np.ndarray]]:
    """Return cell offsets with the least squared distance that points can have, in its order.

    Args:
        low, high: smallest and largest place of the points in their cells (3).
    """
    along = []
    for axis, reach in enumerate(grid.reach):
        width = grid.width[axis, 0]
        along.append(
            [
                (max(o * width - high[axis], low[axis] - (o + 1) * width, 0) ** 2, o)
                for o in range(-reach, reach + 1)
            ]
        )
    found = [
        (np.float32(a + b + c), abs(i) + abs(j) + abs(k), (i, j, k))
        for (a, i), (b, j), (c, k) in product(*along)
        if a + b + c < grid.cap**2
    ]
    return [(least, np.array(offset)) for least, _, offset in sorted(found)]
