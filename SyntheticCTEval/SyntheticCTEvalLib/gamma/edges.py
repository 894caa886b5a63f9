"""Where one of two doses ends: what gamma cannot tell there, and what it is not asked for.

Beyond its outermost voxel centres a dose is not known. A reference voxel whose sphere of one
distance criterion reaches beyond them passes where gamma of at most 1 is found inside, and is
undecided where it is not: what would let it pass may lie in the part that is not known. So the
same dose, cropped anywhere, agrees with itself wherever both are known.
"""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from SyntheticCTLib.volumes.resampling import mask_on

from .tiles import index_map

_TOUCHES_MM = 1e-3
_IN_PLANE = 0.1


def mark_undecided(
    gamma: np.ndarray, reference: sitk.Image, evaluated: sitk.Image, distance_mm: float
) -> None:
    """Set gamma (k, j, i) above 1 to -1 where the evaluated dose ends too near to tell.

    A dose of one slice is searched in its plane and does not end across it: voxels in the plane,
    to a tenth of the distance criterion, are judged by it, others can only pass.

    Args:
        gamma: on the reference grid, -1 where not evaluated; changed in place.
        distance_mm: distance criterion.
    """
    matrix, offset = index_map(reference, evaluated)
    spacing, size = np.array(evaluated.GetSpacing()), np.array(evaluated.GetSize())
    margin_mm = np.where(size > 1, distance_mm - _TOUCHES_MM, -_IN_PLANE * distance_mm)
    first, last = (margin_mm / spacing)[:, None], (size - 1 - margin_mm / spacing)[:, None]
    for k, plane in enumerate(gamma):
        j, i = np.nonzero(plane > 1)
        place = matrix @ np.stack((i, j, np.full_like(i, k))) + offset[:, None]
        undecided = ((place < first) | (place > last)).any(axis=0)
        plane[j[undecided], i[undecided]] = -1


def any_within_reach(
    region: np.ndarray, reference: sitk.Image, evaluated: sitk.Image, distance_mm: float
) -> bool:
    """Whether any voxel of a region (k, j, i) could pass by what is known of the evaluated dose."""
    matrix, offset = index_map(reference, evaluated)
    spacing, last = np.array(evaluated.GetSpacing()), np.array(evaluated.GetSize())[:, None] - 1
    for k, j in np.argwhere(region.any(axis=2)):
        i = np.flatnonzero(region[k, j])
        place = matrix @ np.stack((i, np.full_like(i, j), np.full_like(i, k))) + offset[:, None]
        apart_mm = (place - np.clip(place, 0, last)) * spacing[:, None]
        if ((apart_mm * apart_mm).sum(axis=0) <= distance_mm**2).any():
            return True
    return False


def percent_beyond_reference(
    reference: sitk.Image, evaluated: sitk.Image, least_gy: np.generic, mask: sitk.Image | None
) -> float:
    """Return how much of the evaluated dose from ``least_gy`` up lies beyond the reference.

    It is in percent of the voxels of that dose, inside the mask where there is one. A reference of
    one slice is a plane and asks for nothing across it.
    """
    matrix, offset = index_map(evaluated, reference)
    solid = np.array(reference.GetSize()) > 1
    end = np.array(reference.GetSize())[:, None] - 0.5
    slack = (_TOUCHES_MM / np.array(reference.GetSpacing()))[:, None]
    corners = np.stack(np.meshgrid(*[(0, n - 1) for n in evaluated.GetSize()])).reshape(3, -1)
    corners = matrix @ corners + offset[:, None]
    if ((corners >= -0.5 - slack) & (corners <= end + slack))[solid].all():
        return 0.0
    asked = None
    if mask is not None:
        asked = mask_on(mask, evaluated)
    beyond = total = 0
    for k, plane in enumerate(sitk.GetArrayViewFromImage(evaluated)):
        high = (plane >= least_gy) & (plane > 0)
        if asked is not None:
            high &= asked[k]
        j, i = np.nonzero(high)
        place = matrix @ np.stack((i, j, np.full_like(i, k))) + offset[:, None]
        outside = (place < -0.5 - slack) | (place > end + slack)
        beyond += int(np.count_nonzero(outside[solid].any(axis=0)))
        total += j.size
    return 100 * beyond / total if total else 0.0
