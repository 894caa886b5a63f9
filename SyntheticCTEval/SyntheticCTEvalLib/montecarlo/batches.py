"""Independent batches of doses: run until the noise is small enough, kept, resumed after a kill."""

from __future__ import annotations

import contextlib
import hashlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from SyntheticCTLib.basics.outputs import staged_file
from SyntheticCTLib.basics.progress import SILENT, Progress

LEAST_BATCHES = 6
"""Fewer tell too little of their own spread."""
WORTH_TELLING_POINTS = 0.3
"""Noise of a pass rate, above which batches are added and, at the end, a warning is given."""
_MORE, _MOST_MORE = 1.25, 3.0
"""By so many times the batches grow at a time where a pass rate is too noisy."""
HIGH_DOSE = 0.5
"""Share of the highest dose from which voxels count for the noise."""
NOISE_DEFINITION = (
    f"one standard deviation of the mean of all batches, root mean square over the voxels of at "
    f"least {100 * HIGH_DOSE:g} % of the highest dose in the first volume, in percent of their "
    "mean dose; with several volumes, of the difference to the first (the largest of them)"
)


@dataclass(frozen=True)
class Effort:
    """When enough batches have been run: at both noises or at the time, whichever comes first.

    Attributes:
        noise_percent: see NOISE_DEFINITION.
        rate_noise_points: of the noisiest pass rate, where :func:`run_batches` is told how to
            find it.
        minutes: of this run; None for no limit. At least LEAST_BATCHES are run all the same.
        candidates: photons drawn in the fields a batch.
        batches: at most.
    """

    noise_percent: float = 0.15
    minutes: float | None = 15.0
    candidates: int = 1_000_000
    batches: int = 1000
    rate_noise_points: float = WORTH_TELLING_POINTS


@dataclass(frozen=True, eq=False)
class Batches:
    """Doses in Gy by batch.

    Attributes:
        doses: (batches, volumes, k, j, i) float32; the first volume is what others are held
            against.
        noise_percent: see NOISE_DEFINITION.
        reached: whether that is what was asked for.
        candidates: photons drawn in the fields in all batches together.
    """

    doses: np.ndarray
    noise_percent: float
    reached: bool
    candidates: int

    def mean(self, volume: int) -> np.ndarray:
        """Dose (k, j, i) in a volume, Gy."""
        return above_zero(self.doses[:, volume].mean(axis=0, dtype=np.float64))

    def uncertainty(self, volume: int) -> np.ndarray:
        """One standard deviation of :meth:`mean` (k, j, i), Gy, from the spread of batches."""
        spread = self.doses[:, volume].std(axis=0, ddof=1, dtype=np.float64)
        return (spread / np.sqrt(len(self.doses))).astype(np.float32)


def run_batches(
    calculate: Callable[[int, int], np.ndarray],
    fingerprint: str,
    effort: Effort,
    folder: Path | None = None,
    progress: Progress = SILENT,
    rate_noise: Callable[[np.ndarray], float] | None = None,
) -> Batches:
    """Run batches until the noises or the time that was asked for is reached.

    Args:
        calculate: batch number and candidates to doses (see calculation.Calculation.batch).
        fingerprint: of all that doses depend on (see :func:`fingerprint_of`); batches in
            ``folder`` of another are left alone and made anew.
        folder: keeps every batch, so that a run that was ended goes on; None keeps none.
        rate_noise: batches of doses (see Batches.doses) to the noise of the noisiest pass rate in
            percentage points; it is asked when the noise of the dose is reached.
    """
    started = time.monotonic()
    step = "Monte Carlo"
    done: list[np.ndarray] = []
    squares = _Spread()
    noise, made, wanted, shown = np.inf, 0, LEAST_BATCHES, 0.0
    while len(done) < effort.batches:
        number = len(done)
        file = folder / f"batch_{number:04d}.npz" if folder else None
        dose = _stored(file, fingerprint)
        if dose is None:
            dose = calculate(number, effort.candidates)
            made += 1
            if file:
                with staged_file(file) as stage, stage.open("wb") as stream:
                    np.savez(stream, doses=dose, fingerprint=fingerprint)
        done.append(dose)
        squares.add(dose)
        elapsed = time.monotonic() - started
        noise = squares.noise_percent() if len(done) > 1 else np.inf
        enough = noise <= effort.noise_percent and len(done) >= wanted
        late = effort.minutes is not None and elapsed >= 60 * effort.minutes
        if enough and not late and rate_noise:
            wanted = _wanted(rate_noise(np.stack(done)), len(done), effort)
            enough = len(done) >= wanted
        left = _minutes_left(noise, effort, (len(done), made, wanted), elapsed)
        shares = [
            min((effort.noise_percent / max(noise, 1e-9)) ** 2, len(done) / wanted),
            elapsed / 60 / effort.minutes if effort.minutes else 0,
            len(done) / effort.batches,
        ]
        shown = max(shown, min(max(shares), 0.999))  # not back, where more batches are wanted
        progress.report(
            step,
            1.0 if enough or late else shown,
            noise_percent=round(noise, 3) if np.isfinite(noise) else "unknown",
            minutes_left=round(left, 1),
        )
        if enough or (late and len(done) >= LEAST_BATCHES):
            break
    progress.report(step, 1.0)
    return Batches(
        np.stack(done),
        float(noise),
        bool(noise <= effort.noise_percent),
        len(done) * effort.candidates,
    )


def remove_batches(folder: Path) -> None:
    """Remove the batches that :func:`run_batches` has kept, and their folder where it is empty."""
    for file in folder.glob("batch_*.npz"):
        file.unlink()
    with contextlib.suppress(OSError):
        folder.rmdir()


def above_zero(dose: np.ndarray) -> np.ndarray:
    """Return a mean dose without what is below zero, float32.

    Beside a field's edge the smoothed rest (montecarlo.smoothing) can be a little below it.
    """
    return np.maximum(dose, 0).astype(np.float32)


def fingerprint_of(*parts: object) -> str:
    """Return a hash of arrays, numbers and texts."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            digest.update(str((part.shape, part.dtype)).encode())
            digest.update(np.ascontiguousarray(part).tobytes())
        else:
            digest.update(repr(part).encode())
        digest.update(b"\0")
    return digest.hexdigest()


def _stored(file: Path | None, fingerprint: str) -> np.ndarray | None:
    """A batch that was kept; None where there is none, of other inputs, or damaged."""
    if file is None or not file.is_file():
        return None
    try:
        with np.load(file, allow_pickle=False) as kept:
            return kept["doses"] if str(kept["fingerprint"]) == fingerprint else None
    except Exception:  # damaged in any way: it is made anew
        return None


def _wanted(rate_noise: float, done: int, effort: Effort) -> int:
    """Batches that bring a pass rate's noise to what is asked for.

    Its square falls with the root of the histories (pass_rate_noise); it is not known so well that
    more than a few times the batches were worth while before it is looked at again.
    """
    if not rate_noise > effort.rate_noise_points:
        return done
    times = (rate_noise / effort.rate_noise_points) ** 4
    return math.ceil(done * min(max(times, _MORE), _MOST_MORE))


def _minutes_left(
    noise: float, effort: Effort, counts: tuple[int, int, int], elapsed: float
) -> float:
    """Until the noise is reached (it falls with the root of the batches) or the time is over.

    Args:
        counts: batches that there are, that were made in this run, and wanted at least.
    """
    done, made, least = counts
    if not np.isfinite(noise) or not made:
        return effort.minutes or 0.0
    wanted = done * (noise / effort.noise_percent) ** 2
    wanted = min(max(wanted, least), effort.batches)
    left = max(wanted - done, 0) * elapsed / made / 60
    return left if effort.minutes is None else min(left, max(effort.minutes - elapsed / 60, 0.0))


class _Spread:
    """Running mean and squares (Welford) of what the noise is told of."""

    def __init__(self) -> None:
        self._count = 0

    def add(self, doses: np.ndarray) -> None:
        told = doses[1:] - doses[:1] if len(doses) > 1 else doses
        if self._count == 0:
            self._first = np.zeros(doses.shape[1:])
            self._mean = np.zeros(told.shape)
            self._squares = np.zeros(told.shape)
        self._count += 1
        self._first += (doses[0] - self._first) / self._count
        step = told - self._mean
        self._mean += step / self._count
        self._squares += step * (told - self._mean)

    def noise_percent(self) -> float:
        if not self._first.max() > 0:
            return np.inf
        high = self._first >= HIGH_DOSE * self._first.max()
        variance = self._squares[:, high] / (self._count - 1) / self._count
        return float(100 * np.sqrt(variance.mean(axis=1).max()) / self._first[high].mean())
