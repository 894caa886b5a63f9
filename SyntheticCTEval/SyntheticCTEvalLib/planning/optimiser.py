"""Leaves and MU of arcs, optimised by gradients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from SyntheticCTEvalLib.delivery.apertures import open_share

from .arcs import Arc
from .goals import Goals
from .influence import Influence
from .linac import LINAC, Linac, within_reach

_LEAF_STEP_MM, _UNITS_STEP = 1.2, 0.04


@dataclass(eq=False)
class Shapes:
    """What is optimised of an arc: leaves (n + 1, pairs, 2) in mm and MU (n,) of the course."""

    leaves: np.ndarray
    units: np.ndarray


def first_shapes(arc: Arc, linac: Linac = LINAC) -> Shapes:
    """Return leaves that open around the targets all the way, and equal MU."""
    leaves = within_reach(
        arc.windows_mm.copy(), arc.windows_mm, linac.leaf_way_mm(arc.turn_deg), linac
    )
    return Shapes(leaves, np.ones(len(arc.gantry_deg) - 1))


class Optimiser:
    """Adam on the leaves and MU of all arcs, with the limits of the linac kept in every step."""

    def __init__(self, arcs: list[Arc], influences: list[Influence], goals: Goals) -> None:
        import torch

        self._arcs, self._goals = arcs, goals
        self._matrices = [torch.from_numpy(one.gray) for one in influences]
        self._where = [torch.from_numpy(one.where) for one in influences]
        self._borders = [torch.from_numpy(one.columns_mm.astype(np.float32)) for one in influences]
        self._sharing = [torch.from_numpy(one.sharing) for one in influences]
        wide = [[-1e4, 1e4], [-1e4, 1e4]]
        self._no_jaws = torch.tensor(wide, dtype=torch.float32)

    def dose(self, shapes: list[Shapes]) -> np.ndarray:
        """Dose (points,) in Gy by the influence alone."""
        import torch

        with torch.no_grad():
            return self._dose(*_tensors(shapes)).numpy()

    def improve(
        self,
        shapes: list[Shapes],
        correction: np.ndarray,
        iterations: int,
        told: Callable[[int, float], None],
        pace: float = 1.0,
    ) -> list[Shapes]:
        """Return better shapes.

        Args:
            correction: (points,) Gy by which the pencil beam's dose differs from the influence's.
            told: is called with the iteration and the loss.
            pace: of the steps, which shrink to a tenth.
        """
        import torch

        leaves, units = _tensors(shapes)
        for one in (*leaves, *units):
            one.requires_grad_(True)
        added = torch.from_numpy(correction.astype(np.float32))
        adam = torch.optim.Adam(
            [
                {"params": leaves, "lr": pace * _LEAF_STEP_MM},
                {"params": units, "lr": pace * _UNITS_STEP},
            ],
            betas=(0.8, 0.98),
        )
        slower = torch.optim.lr_scheduler.LambdaLR(adam, lambda n: 0.1 ** (n / iterations))
        for iteration in range(iterations):
            adam.zero_grad()
            loss = self._goals.loss(self._dose(leaves, units) + added)
            loss.backward()
            adam.step()
            slower.step()
            with torch.no_grad():
                for arc, own in zip(self._arcs, leaves, strict=True):
                    way = LINAC.leaf_way_mm(arc.turn_deg)
                    kept = within_reach(own.double().numpy(), arc.windows_mm, way)
                    own.copy_(torch.from_numpy(kept))
            told(iteration + 1, loss.item())
        return [
            Shapes(own.detach().double().numpy(), mu.detach().exp().double().numpy())
            for own, mu in zip(leaves, units, strict=True)
        ]

    def _dose(self, leaves: list, units: list):
        """Dose of leaves (segments + 1, pairs, 2) and logarithms of MU (segments,) of every arc."""
        total = 0
        for number, (own, mu) in enumerate(zip(leaves, units, strict=True)):
            share = open_share(own[:-1], own[1:], self._borders[number], self._no_jaws)
            parts = (self._sharing[number] @ share) * mu.exp()[:, None, None]
            total = total + self._matrices[number] @ parts.reshape(-1)[self._where[number]]
        return total


def _tensors(shapes: list[Shapes]) -> tuple[list, list]:
    import torch

    leaves = [torch.tensor(one.leaves, dtype=torch.float32) for one in shapes]
    units = [torch.tensor(np.log(one.units), dtype=torch.float32) for one in shapes]
    return leaves, units
