"""Masks in mm: blocks, erosion, dilation, opening, parts, and the air around a patient."""

from __future__ import annotations

import numpy as np
import scipy

COARSE_MM = 3.0  # in-plane size of the blocks on which patient and surroundings are told apart
SMALLEST_PART = 0.01  # of the largest part; arms beside a pelvis hold more, debris less


class Blocks:
    """In-plane blocks of about 3 mm: the coarse grid, and the way back to the voxels."""

    def __init__(self, shape: tuple[int, ...], spacing: tuple[float, ...]) -> None:
        self.shape = shape
        self.factor = [1, *(max(1, round(COARSE_MM / s)) for s in spacing[1:])]
        self.spacing = [s * f for s, f in zip(spacing, self.factor, strict=True)]

    def share(self, values: np.ndarray) -> np.ndarray:
        """Mean of ``values`` in each block; the last block of a row may be smaller."""
        total = values.astype(np.float32)
        for axis in (1, 2):
            starts = np.arange(0, self.shape[axis], self.factor[axis])
            total = np.add.reduceat(total, starts, axis=axis)
            sizes = np.diff([*starts, self.shape[axis]]).astype(np.float32)
            total /= sizes[:, None] if axis == 1 else sizes
        return total

    def enlarge(self, coarse: np.ndarray) -> np.ndarray:
        """Give every voxel the value of its block."""
        full = coarse.repeat(self.factor[1], axis=1).repeat(self.factor[2], axis=2)
        return full[:, : self.shape[1], : self.shape[2]]


def _box(mask: np.ndarray, spacing: list[float], margin: float) -> tuple[slice, ...]:
    """Smallest box around a mask that is not empty, wider by ``margin`` mm."""
    box = []
    for axis, step in enumerate(spacing):
        others = tuple(a for a in range(mask.ndim) if a != axis)
        found = np.nonzero(mask.any(axis=others))[0]
        extra = int(np.ceil(margin / step)) + 1
        box.append(slice(max(found[0] - extra, 0), found[-1] + extra + 1))
    return tuple(box)


def dilated(mask: np.ndarray, spacing: list[float], radius: float) -> np.ndarray:
    """Dilation by a ball of ``radius`` mm."""
    result = np.zeros_like(mask)
    if mask.any():
        box = _box(mask, spacing, radius)
        result[box] = scipy.ndimage.distance_transform_edt(~mask[box], sampling=spacing) <= radius
    return result


def eroded(mask: np.ndarray, spacing: list[float], radius: float) -> np.ndarray:
    """Erosion by a ball of ``radius`` mm; the mask goes on beyond the borders of the image."""
    if mask.all() or not mask.any():
        return mask
    result = np.zeros_like(mask)
    box = _box(mask, spacing, 0)
    result[box] = scipy.ndimage.distance_transform_edt(mask[box], sampling=spacing) > radius
    return result


def opened(mask: np.ndarray, spacing: list[float], radius: float) -> np.ndarray:
    """Opening by a ball of ``radius`` mm; the mask goes on beyond the borders of the image."""
    return mask & dilated(eroded(mask, spacing, radius), spacing, radius)


def outside_air(
    air: np.ndarray, spacing: list[float], gap: float, open_sides: bool = True
) -> np.ndarray:
    """Air (coarse) that reaches a side of the image through openings wider than twice ``gap``.

    The result is a few millimetres larger than that air, so that it covers the voxels of the
    patient's edge; the first and last slice do not count as sides. ``open_sides``: air at a
    side goes on beyond it; otherwise it must be wide enough inside the image, as MRs are
    often framed by a few dark voxels.
    """
    sides = ((0, 0), (1, 1), (1, 1))
    padded = (
        np.pad(air, sides, mode="edge")
        if open_sides
        else np.pad(air, sides, mode="constant", constant_values=False)
    )
    wide = eroded(padded, spacing, gap)
    inner = (slice(None), slice(2, -2), slice(2, -2))
    labels, _ = scipy.ndimage.label(dilated(wide, spacing, gap) & padded)
    rim = np.ones(labels.shape, dtype=bool)
    rim[inner] = False
    if open_sides:
        # Air around a patient reaches the front or the back; what the left or right side alone
        # cuts through is gas.
        rim[:, 2:-2] = False
    seen = np.unique(labels[rim])
    reached = wide & np.isin(labels, seen[seen > 0])
    return dilated(reached, spacing, gap + 1.5 * max(spacing[1:]))[:, 1:-1, 1:-1]


def largest_parts(mask: np.ndarray, smallest: float = SMALLEST_PART) -> np.ndarray:
    """Connected parts of at least ``smallest`` times the volume of the largest one."""
    labels, count = scipy.ndimage.label(mask)
    if count <= 1:
        return mask
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return (sizes >= smallest * sizes.max())[labels]
