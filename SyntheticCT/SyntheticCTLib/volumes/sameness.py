"""Whether two volumes hold the same, whatever their files, types and grids."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
import scipy
import SimpleITK as sitk

SAME_SHARE = 0.99
"""Two volumes that are equal at more of the places are one and the same."""

_PLACES = 20_000


def voxel_hash(image: sitk.Image) -> str:
    """Return the SHA-256 of the voxels, whatever header, format, type and axes they came with."""
    values = sitk.GetArrayFromImage(sitk.DICOMOrient(image, "LPS")).astype(np.float32)
    return hashlib.sha256(str(values.shape).encode() + values.tobytes()).hexdigest()


def given_twice(hashes: Sequence[Mapping[str, str]]) -> list[tuple[str, int, int]]:
    """Return which volumes two patients share: what it is, and the numbers of the two.

    Args:
        hashes: of every patient, :func:`voxel_hash` of the volumes by what they are ("MR").
    """
    first: dict[tuple[str, str], int] = {}
    found = []
    for number, volumes in enumerate(hashes):
        for what, voxels in volumes.items():
            before = first.setdefault((what, voxels), number)
            if before != number:
                found.append((what, before, number))
    return found


def equal_share(
    first: sitk.Image, second: sitk.Image, region: sitk.Image, tolerance: float
) -> float:
    """Return the share (0 to 1) of places in a region at which two volumes are equal.

    Args:
        first, second: 3D, any grids, interpolated linearly.
        region: mask on any grid; up to 20,000 of its voxels, evenly chosen, are the places.
        tolerance: largest difference of equal values.

    Returns:
        The share of those places that both volumes cover; 0 where that is less than a tenth.
    """
    found = np.flatnonzero(sitk.GetArrayViewFromImage(region))
    found = found[:: max(1, len(found) // _PLACES)]
    if not len(found):
        return 0.0
    index = np.stack(np.unravel_index(found, region.GetSize()[::-1])[::-1], axis=1)
    axes = np.reshape(region.GetDirection(), (3, 3)) * region.GetSpacing()
    points = index @ axes.T + region.GetOrigin()
    one, other = _values(first, points), _values(second, points)
    known = np.isfinite(one) & np.isfinite(other)
    if known.sum() < 0.1 * len(points):
        return 0.0
    return float((np.abs(one[known] - other[known]) <= tolerance).mean())


def _values(image: sitk.Image, points: np.ndarray) -> np.ndarray:
    """Values (n,) at points (n, 3; mm, LPS), NaN outside the outermost voxel centres."""
    axes = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    index = (points - image.GetOrigin()) @ np.linalg.inv(axes).T
    last = np.array(image.GetSize()) - 1
    inside = ((index >= -1e-3) & (index <= last + 1e-3)).all(axis=1)
    values = np.full(len(points), np.nan)
    values[inside] = scipy.ndimage.map_coordinates(
        sitk.GetArrayViewFromImage(image),
        np.clip(index[inside], 0, last)[:, ::-1].T,
        output=np.float64,
        order=1,
    )
    return values
