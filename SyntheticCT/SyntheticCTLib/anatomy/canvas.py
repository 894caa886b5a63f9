"""Composing tissues over one another with partial volume, independent of the scanner."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .shapes import Points, Window
from .tissues import Structure, Tissue

Look = Callable[[Tissue, Points, np.ndarray], list]
"""``look(tissue, points, marrow)``: one value or array a channel, at points in world mm;
``marrow`` is :attr:`Canvas.marrow` there."""

_FAINT = 1e-3
"""Coverage below this is nothing."""


@dataclass
class Canvas:
    """How much of which tissue is at the points of one block.

    Attributes:
        world: the points in the coordinates of the MR (mm).
        firm, soft: the same points in canonical mm, as bones and soft tissue see them.
        ripple: small random offset of soft tissue surfaces (mm).
        drift: slow random field, standard deviation 1, for what varies along a surface.
        edge: half the width over which a surface blends (mm): the partial volume of a voxel.
        coverage: for each tissue the share of the voxel it fills; they add up to one.
        marrow: (2, k, j, i); where there is spongy bone, how its CT number (HU) and its fat
            fraction depart from the patient's.
        tissue, structure: uint8 label arrays.
    """

    world: Points
    firm: Points
    soft: Points
    ripple: np.ndarray
    drift: np.ndarray
    edge: float

    def __post_init__(self) -> None:
        shape = self.world.x.shape
        self.coverage = {Tissue.AIR: np.ones(shape, np.float32)}
        self.marrow = np.zeros((2, *shape), np.float32)
        self.tissue = np.zeros(shape, np.uint8)
        self.structure = np.zeros(shape, np.uint8)

    def paint(
        self,
        window: Window,
        distance: np.ndarray,
        tissue: Tissue,
        structure: Structure | None = None,
        *,
        avoid: tuple[Tissue, ...] = (),
    ) -> None:
        """Lay ``tissue`` over the window where ``distance`` (mm) is negative.

        Args:
            window: where ``distance`` lies in the block.
            distance: signed distance to the surface.
            tissue: what fills the inside.
            structure: structure label of the inside; None leaves it as it is.
            avoid: tissues that are not painted over.
        """
        inside = distance < self.edge
        if not inside.any():
            return
        # Shrink to what is touched: the coverage of every tissue is updated there.
        tight = []
        for axes in ((1, 2), (0, 2), (0, 1)):
            found = np.flatnonzero(inside.any(axis=axes))
            tight.append(slice(int(found[0]), int(found[-1]) + 1))
        distance = distance[tuple(tight)]
        window = tuple(
            slice(w.start + t.start, w.start + t.stop) for w, t in zip(window, tight, strict=True)
        )
        fraction = np.clip(0.5 - distance * np.float32(0.5 / self.edge), 0, 1)
        for other in avoid:
            if other in self.coverage:
                fraction *= 1 - self.coverage[other][window]
        rest = 1 - fraction
        for part in self.coverage.values():
            part[window] *= rest
        if tissue not in self.coverage:
            self.coverage[tissue] = np.zeros(self.world.x.shape, np.float32)
        self.coverage[tissue][window] += fraction
        inside = fraction > 0.5
        self.tissue[window][inside] = tissue
        if structure is not None:
            self.structure[window][inside] = structure

    def blend(self, look: Look, channels: int) -> list[np.ndarray]:
        """Return what a scanner sees: the tissues' values weighted by their coverage."""
        result = [np.zeros(self.world.x.shape, np.float32) for _ in range(channels)]
        for tissue, coverage in self.coverage.items():
            there = coverage > _FAINT
            share = coverage[there]
            if not len(share):
                continue
            points = Points(*(q[there] for q in (self.world.x, self.world.y, self.world.z)))
            values = look(tissue, points, self.marrow[:, there])
            for channel, value in zip(result, values, strict=True):
                channel[there] += share * value
        return result
