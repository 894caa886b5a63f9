"""Turned starts of a rigid registration, for patients that lie otherwise than the headers say."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import SimpleITK as sitk

from SyntheticCTLib.volumes.resampling import resample

from .agreement import agreement
from .working_copies import WorkingCopy, centre_of, coarser_grid

COARSE_MM = 10.0
TURNS_DEGREES = (30, 60, 90, 180, -30, -60, -90)
"""About each axis of the fixed image: a rigid registration recovers about 15 degrees by itself."""
REFINED_DEGREES = (20, 10)
KEPT = 2
"""Starts that are given back."""


def other_starts(still: WorkingCopy, loose: WorkingCopy) -> list[sitk.VersorRigid3DTransform]:
    """Return the most promising starts (points of ``still`` to points of ``loose``), best first.

    Every turn about an axis is tried from centre of the body on centre of the body and shifted
    along the axes; the best are turned further. They are judged at 10 mm a voxel.
    """
    still, loose = _coarse(still), _coarse(loose)
    pivot, there = centre_of(still.body), centre_of(loose.body)

    def judged(turn: np.ndarray, shift: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        found = agreement(still, loose, _transform(turn, shift, pivot, there))
        return found.score, turn, shift

    tried = [_shifted(judged, turn, np.zeros(3), 24.0) for turn in _turns(TURNS_DEGREES)]
    tried.append(_shifted(judged, np.eye(3), np.zeros(3), 24.0))
    best = sorted(tried, key=lambda one: -one[0])[: KEPT + 1]
    for degrees in REFINED_DEGREES:
        best = [_turned_further(judged, one, degrees) for one in best]
    best.sort(key=lambda one: -one[0])
    return [_transform(turn, shift, pivot, there) for _, turn, shift in best[:KEPT]]


def _turned_further(judged, start, degrees: float):
    best = start
    for turn in _turns((degrees, -degrees)):
        one = judged(turn @ start[1], start[2])
        best = max(best, one, key=lambda each: each[0])
    return _shifted(judged, best[1], best[2], 12.0)


def _shifted(judged, turn: np.ndarray, shift: np.ndarray, step_mm: float):
    best = judged(turn, shift)
    for axis, sign in itertools.product((2, 1, 0), (1, -1)):
        one = judged(turn, best[2] + sign * step_mm * np.eye(3)[axis])
        best = max(best, one, key=lambda each: each[0])
    return best


def _turns(degrees: tuple[float, ...]) -> Iterator[np.ndarray]:
    for axis, angle in itertools.product(np.eye(3), degrees):
        turn = sitk.VersorTransform(axis.tolist(), float(np.deg2rad(angle)))
        yield np.reshape(turn.GetMatrix(), (3, 3))


def _transform(
    turn: np.ndarray, shift: np.ndarray, pivot: np.ndarray, there: np.ndarray
) -> sitk.VersorRigid3DTransform:
    """Turn about ``pivot``, which comes to lie on ``there`` plus ``shift``."""
    rigid = sitk.VersorRigid3DTransform()
    rigid.SetMatrix(turn.ravel().tolist(), 1e-6)
    rigid.SetTranslation((there + shift - turn @ pivot).tolist())
    return rigid


def _coarse(copy: WorkingCopy) -> WorkingCopy:
    grid = coarser_grid(copy.image, COARSE_MM)
    masks = (resample(mask, grid, fill=0, nearest=True) for mask in (copy.body, copy.region))
    return WorkingCopy(resample(copy.image, grid, fill=None, antialias=True), *masks)
