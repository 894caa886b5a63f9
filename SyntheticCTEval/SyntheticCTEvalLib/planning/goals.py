"""What is asked of the dose at points: of targets, organs and the tissue around."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from .objectives import Objective, of_structure

if TYPE_CHECKING:
    import torch

UNDER, OVER, ORGAN, AROUND = 100.0, 60.0, 3.0, 10.0
"""Weights of dose that is missing in a target, too much in it, too much in an organ and around."""
HOTTEST = 1.04
"""Of a target's level: what more is too much."""
FALL_MM = 12.0
_PER_ORGAN, _PER_TARGET, _AROUND, _FAR = 120, 450, 260, 120


@dataclass(frozen=True, eq=False)
class OrganGoal:
    """An objective at an organ's points; ``volume_cm3`` is of the whole organ."""

    objective: Objective
    rows: np.ndarray
    volume_cm3: float


@dataclass(frozen=True, eq=False)
class Goals:
    """Sample points and what is asked there.

    Attributes:
        voxels: (n,) flat indices of the points in the planning grid.
        least: (n,) Gy that targets should have; 0 elsewhere.
        most: (n,) Gy that is not to be exceeded.
        under, over: (n,) weights; each kind of region adds up to its own.
        organs: of which objectives there are.
    """

    voxels: np.ndarray
    least: np.ndarray
    most: np.ndarray
    under: np.ndarray
    over: np.ndarray
    organs: tuple[OrganGoal, ...] = field(default=())

    def loss(self, dose: torch.Tensor) -> torch.Tensor:
        """Weighted mean squares of what is missing and too much, relative to the highest level."""
        import torch

        unit = float(self.least.max())
        missing = (torch.from_numpy(self.least) - dose).clamp_min(0) / unit
        excess = (dose - torch.from_numpy(self.most)).clamp_min(0) / unit
        loss = (torch.from_numpy(self.under) * missing**2).sum()
        loss = loss + (torch.from_numpy(self.over) * excess**2).sum()
        for goal in self.organs:
            loss = loss + ORGAN * goal.objective.weight * _organ_loss(goal, dose[goal.rows], unit)
        return loss


def _organ_loss(goal: OrganGoal, dose: torch.Tensor, unit: float) -> torch.Tensor:
    point, most = goal.objective.point, goal.objective.most
    if point.kind == "Dmean":
        return ((dose.mean() - most).clamp_min(0) / unit) ** 2
    if point.kind == "Dmax":
        return ((dose - most).clamp_min(0) / unit).square().mean()
    # The hottest part that is allowed stays; only what lies above the limit's dose besides counts.
    allowed = most / goal.volume_cm3 if point.in_cm3 else most / 100
    free = int(np.floor(allowed * len(dose)))
    if free >= len(dose):
        return dose.new_zeros(())
    limit = dose.detach().sort(descending=True).values[free]
    counted = dose[dose <= limit]
    return ((counted - point.at).clamp_min(0) / unit).square().sum() / len(dose)


def goals_of(
    targets: Mapping[str, tuple[np.ndarray, float]],
    organs: Mapping[str, np.ndarray],
    body: np.ndarray,
    objectives: tuple[Objective, ...],
    spacing_mm: float,
) -> Goals:
    """Return sample points and what is asked of them.

    Args:
        targets: mask (k, j, i) in the planning grid and level in Gy by name.
        organs: masks by name; those without an objective do not count.
        body: mask of the body.
        spacing_mm: of the grid.
    """
    rng = np.random.default_rng(0)
    levels = sorted({level for _, level in targets.values()}, reverse=True)
    asked = np.zeros(body.shape, np.float32)
    ceiling = np.full(body.shape, 0.0, np.float32)
    nearest = np.full(body.shape, np.inf, np.float32)
    for level in levels:
        mask = np.any([m for m, own in targets.values() if own == level], axis=0)
        asked[mask & (asked == 0)] = level
        distance = ndimage.distance_transform_edt(~mask, sampling=spacing_mm).astype(np.float32)
        nearest = np.minimum(nearest, distance)
        beyond = np.maximum(distance - spacing_mm, 0)
        ceiling = np.maximum(ceiling, level * (0.4 + 0.6 * np.exp(-beyond / FALL_MM)))
    ceiling = np.where(asked > 0, np.maximum(ceiling, asked * HOTTEST), ceiling)
    ceiling[asked == levels[0]] = levels[0] * HOTTEST
    regions: list[tuple[np.ndarray, int, float, float]] = []
    for level in levels:
        regions.append((asked == level, _PER_TARGET, UNDER, OVER))
    outside = body & (asked == 0)
    regions.append((outside & (nearest <= 3 * FALL_MM), _AROUND, 0.0, AROUND))
    regions.append((outside & (nearest > 3 * FALL_MM), _FAR, 0.0, AROUND))
    voxels, under, over = [], [], []
    for mask, count, low, high in regions:
        chosen = _some(mask, count, rng)
        voxels.append(chosen)
        under.append(np.full(len(chosen), low / max(len(chosen), 1)))
        over.append(np.full(len(chosen), high / max(len(chosen), 1)))
    goals, start = [], sum(map(len, voxels))
    for name, mask in organs.items():
        wanted = of_structure(objectives, name)
        chosen = _some(mask & body, _PER_ORGAN, rng)
        if not wanted or not len(chosen):
            continue
        rows = np.arange(start, start + len(chosen))
        start += len(chosen)
        voxels.append(chosen)
        under.append(np.zeros(len(chosen)))
        over.append(np.zeros(len(chosen)))
        volume = float(mask.sum()) * spacing_mm**3 / 1000
        goals += [OrganGoal(objective, rows, volume) for objective in wanted]
    flat = np.concatenate(voxels)
    weights = (np.concatenate(one).astype(np.float32) for one in (under, over))
    return Goals(flat, asked.ravel()[flat], ceiling.ravel()[flat], *weights, tuple(goals))


def _some(mask: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """At most ``count`` flat indices of a mask, spread evenly over it."""
    found = np.flatnonzero(mask)
    if len(found) <= count:
        return found
    edges = np.linspace(0, len(found), count + 1)
    return found[(edges[:-1] + rng.random(count) * np.diff(edges)).astype(int)]
