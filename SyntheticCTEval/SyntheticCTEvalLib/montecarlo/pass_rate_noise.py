"""What the noise of Monte Carlo does to a gamma pass rate: its spread, and its bias."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

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
    rates_of: Callable[[np.ndarray, np.ndarray], Sequence[float]],
) -> list[PassRateNoise]:
    """Return pass rates with their noise and their bias.

    Args:
        reference, evaluated: (batches, k, j, i) Gy, of the same histories in both volumes; at least
            two batches.
        rates_of: pass rates in percent of two doses (k, j, i), such as one a cutoff.
    """
    count = len(reference)
    every = np.arange(count)
    rng = np.random.default_rng(count)

    def rates(batches: np.ndarray) -> np.ndarray:
        means = (
            dose[batches].mean(axis=0, dtype=np.float64).astype(np.float32)
            for dose in (reference, evaluated)
        )
        return np.asarray(rates_of(*means), dtype=float)

    whole = rates(every)
    orders = [rng.permutation(every) for _ in range(_SPLITS)]
    halves = np.array([[rates(o[: count // 2]), rates(o[count - count // 2 :])] for o in orders])
    # Leaving out few batches at a time (a jackknife) tells too much: a voxel passes or does not.
    variance = ((halves[:, 0] - halves[:, 1]) ** 2).mean(axis=0) / 2
    noise = np.sqrt(variance / np.sqrt(2))
    bias = halves.mean(axis=(0, 1)) - whole
    return [PassRateNoise(*map(float, found)) for found in zip(whole, noise, bias, strict=True)]
