"""Where a rigid registration starts, and the likeness by which that is decided."""

from __future__ import annotations

import itertools

import numpy as np
import SimpleITK as sitk

from SyntheticCTLib.volumes.grids import image_like
from SyntheticCTLib.volumes.resampling import resample

from .working_copies import WorkingCopy, centre_of, coarser_grid


def first_shift(still: WorkingCopy, loose: WorkingCopy) -> np.ndarray:
    """Return a shift (mm, working frame) from which a rigid registration can start.

    Sought along the axes by mutual information at 10 mm a voxel, from where the images lie and
    from centre on centre: scanners that share no frame leave shifts of centimetres.
    """
    grid = coarser_grid(still.image, 10.0)
    fixed = sitk.GetArrayFromImage(resample(still.image, grid, fill=0, antialias=True))
    region = sitk.GetArrayFromImage(resample(still.region, grid, fill=0, nearest=True)) > 0
    moving = resample(loose.image, coarser_grid(loose.image, 10.0), fill=None, antialias=True)
    inside = image_like(np.ones(moving.GetSize()[::-1], np.uint8), moving)
    moving_mm3 = np.count_nonzero(sitk.GetArrayViewFromImage(loose.region)) * np.prod(
        loose.region.GetSpacing()
    )
    enough = 0.4 * min(np.count_nonzero(region), moving_mm3 / np.prod(grid.GetSpacing()))

    def score(shift: np.ndarray) -> float:
        there = sitk.TranslationTransform(3, shift.tolist())
        valid = sitk.GetArrayFromImage(resample(inside, grid, there, fill=0, nearest=True)) > 0
        both = valid & region
        if np.count_nonzero(both) < enough:
            return -np.inf
        values = sitk.GetArrayFromImage(resample(moving, grid, there, fill=0))
        return mutual_information(fixed[both], values[both])

    found = []
    for shift in (np.zeros(3), centre_of(loose.body) - centre_of(still.body)):
        best = score(shift)
        for step_mm, axis in itertools.product((12.0, 12.0, 4.0), (2, 1, 0)):
            tries = [shift + step_mm * n * np.eye(3)[axis] for n in range(-4, 5) if n]
            scores = [score(one) for one in tries]
            if max(scores) > best:
                best, shift = max(scores), tries[int(np.argmax(scores))]
        found.append((best, shift))
    return max(found, key=lambda pair: pair[0])[1]


def mutual_information(first: np.ndarray, second: np.ndarray) -> float:
    """Return the mutual information (nats) of paired values, by a histogram of 24 x 24 bins."""
    joint, _, _ = np.histogram2d(first, second, bins=24)
    joint /= joint.sum()
    apart = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
    seen = joint > 0
    return float(np.sum(joint[seen] * np.log(joint[seen] / apart[seen])))
