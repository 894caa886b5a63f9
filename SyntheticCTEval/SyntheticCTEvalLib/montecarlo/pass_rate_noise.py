"""What the noise of Monte Carlo does to a gamma pass rate: its spread, and its bias."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

RATES = ("gpr", "gpr_criteria", "gpr_structures")
"""Keys of metrics.json that hold pass rates; noise and bias have keys that end so."""

PASS_RATE_NOISE_DEFINITIONS = {
    "noise": (
        "One standard deviation of the pass rate by the noise of the doses alone: the spread "
        "between pass rates by the two halves of the histories, over several ways to halve them; "
        "its square falls with the root of the histories, as that of voxels near the limit does."
    ),
    "bias": (
        "How far the noise of the doses lowers (negative) or raises the pass rate: the pass rate "
        "less that of doses without noise, which is extrapolated from the pass rates by halves of "
        "the histories, as a small bias falls with their number; of a large one (more than about "
        "3 points) it tells too little."
    ),
}
_SPLITS = 8


@dataclass(frozen=True)
class PassRateNoise:
    """A pass rate and what is not sure of it, in percent and percentage points.

    Attributes:
        rate: by all batches.
        noise, bias: see PASS_RATE_NOISE_DEFINITIONS.
    """

    rate: float
    noise: float
    bias: float


def pass_rate_noise(
    reference: np.ndarray,
    evaluated: np.ndarray,
    rates_of: Callable[[np.ndarray, np.ndarray], Mapping[str, Any]],
) -> dict[tuple[str, ...], PassRateNoise]:
    """Return pass rates with their noise and their bias, NaN where a half has no pass rate.

    Args:
        reference, evaluated: (batches, k, j, i) Gy, of the same histories in both volumes; at least
            two batches.
        rates_of: pass rates in percent of two doses (k, j, i), as a tree of mappings that is the
            same for all doses; what is returned has the paths of its leaves.
    """
    count = len(reference)
    every = np.arange(count)
    rng = np.random.default_rng(count)

    def rates(batches: np.ndarray) -> dict[tuple[str, ...], float]:
        means = (
            dose[batches].mean(axis=0, dtype=np.float64).astype(np.float32)
            for dose in (reference, evaluated)
        )
        return dict(_leaves(rates_of(*means)))

    whole = rates(every)
    orders = [rng.permutation(every) for _ in range(_SPLITS)]
    parts = [part for o in orders for part in (o[: count // 2], o[count - count // 2 :])]
    found = [rates(part) for part in parts]
    halves = np.array([[own[path] for path in whole] for own in found], dtype=float)
    halves = halves.reshape(_SPLITS, 2, len(whole))
    # Leaving out few batches at a time (a jackknife) tells too much: a voxel passes or does not.
    variance = ((halves[:, 0] - halves[:, 1]) ** 2).mean(axis=0) / 2
    noise = np.sqrt(variance / np.sqrt(2))
    bias = halves.mean(axis=(0, 1)) - np.array(list(whole.values()), dtype=float)
    each = zip(whole.items(), noise, bias, strict=True)
    return {path: PassRateNoise(float(r), float(n), float(b)) for (path, r), n, b in each}


def noise_keys(rates: str) -> tuple[str, str]:
    """Return the keys of metrics.json that noise and bias of pass rates stand under."""
    return f"{rates}_noise", f"{rates}_bias"


def beside_rates(found: Mapping[tuple[str, ...], PassRateNoise]) -> dict[str, Any]:
    """Return noise and bias as metrics.json holds them: gpr_noise as gpr, and so on."""
    told: dict[str, Any] = {}
    for path, one in found.items():
        at = next(place for place, part in enumerate(path) if part in RATES)
        for key, value in zip(noise_keys(path[at]), (one.noise, one.bias), strict=True):
            node = told
            for part in (*path[:at], key, *path[at + 1 : -1]):
                node = node.setdefault(part, {})
            node[path[-1]] = value
    return told


def _leaves(tree: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple, float]]:
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, (*path, name))
        else:
            yield (*path, name), value
