"""Grids of voxels: made, copied, compared."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk


def image_like(array: np.ndarray, reference: sitk.Image) -> sitk.Image:
    """Return ``array`` (k, j, i) as an image on exactly the grid of ``reference``."""
    image = sitk.GetImageFromArray(np.ascontiguousarray(array))
    image.CopyInformation(reference)
    return image


def grid_of(
    size: tuple[int, int, int],
    spacing: tuple[float, float, float],
    origin: tuple[float, float, float],
    direction: tuple[float, ...] = (1, 0, 0, 0, 1, 0, 0, 0, 1),
) -> sitk.Image:
    """Return an 8-bit image of zeros that carries a grid (i, j, k order; mm, LPS)."""
    grid = sitk.Image(list(size), sitk.sitkUInt8)
    grid.SetSpacing(spacing)
    grid.SetOrigin(origin)
    grid.SetDirection(direction)
    return grid


def same_grid(first: sitk.Image, second: sitk.Image, tolerance_mm: float = 1e-3) -> bool:
    """Whether every voxel of two images lies at the same place, within ``tolerance_mm``."""
    if first.GetSize() != second.GetSize():
        return False
    last = [n - 1 for n in first.GetSize()]
    corners = [[0] * len(last), last] + [
        [end if axis == free else 0 for axis, end in enumerate(last)] for free in range(len(last))
    ]
    return all(
        max(
            abs(a - b)
            for a, b in zip(
                first.TransformIndexToPhysicalPoint(corner),
                second.TransformIndexToPhysicalPoint(corner),
                strict=True,
            )
        )
        <= tolerance_mm
        for corner in corners
    )
