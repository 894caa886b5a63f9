"""The grid that planning systems take: axial slices, square pixels, not too many."""

from __future__ import annotations

import math

import numpy as np
import SimpleITK as sitk

from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.volumes.grids import copied, grid_of, same_grid
from SyntheticCTLib.volumes.resampling import floored, resample

LARGEST = 512
"""Rows and columns that every planning system takes."""
_NOISE_MM = 0.01
"""By how much a voxel may be moved to call slices axial and pixels square: rounded headers."""


def axial(
    image: sitk.Image,
    position: str,
    *,
    fill: float,
    spacing_mm: tuple[float, float] | None = None,
    largest: int = LARGEST,
) -> tuple[sitk.Image, bool]:
    """Return an image as axial slices from feet to head, and whether it was resampled.

    Voxels are kept as they are where they lie on such a grid, in whatever order.

    Args:
        image: 3D, any orientation (mm, LPS).
        position: how the patient lay ("HFS", "FFP"): of the prone, rows run to the right, as
            from a scanner.
        fill: value beyond the image.
        spacing_mm: of pixels and of slices, where another is wanted than that of the image.
        largest: rows and columns at most; larger images become coarser, if ``spacing_mm`` leaves
            it to that.

    Raises:
        SyntheticCTError: with ``spacing_mm``, more rows or columns would be needed.
    """
    prone = position.upper().endswith("P")
    kept = _turned(image, prone)
    if kept is not None and spacing_mm is None and max(kept.GetSize()[:2]) <= largest:
        return kept, False
    pixel, step = spacing_mm or _spacing(image)
    if (
        kept is not None
        and spacing_mm
        and np.allclose(
            kept.GetSpacing(), (pixel, pixel, step), rtol=0, atol=_NOISE_MM / max(kept.GetSize())
        )
    ):
        grid = kept
    else:
        grid = _grid(image, prone, pixel, step)
    most = max(grid.GetSize()[:2])
    if most > largest:
        if spacing_mm:
            raise SyntheticCTError(
                f"Slices of {grid.GetSize()[0]} x {grid.GetSize()[1]} pixels of {pixel:g} mm are "
                f"more than {largest} x {largest}: give a larger spacing, or allow more by "
                "--largest."
            )
        grid = _grid(image, prone, pixel * (most + 1) / largest, step)
    if kept is not None and same_grid(kept, grid):
        return kept, False
    return resample(image if fill >= 0 else floored(image), grid, fill=fill, antialias=True), True


def _turned(image: sitk.Image, prone: bool) -> sitk.Image | None:
    """The image with its axes reordered into axial slices of square pixels; None if it is none."""
    turned = sitk.DICOMOrient(image, "RAS" if prone else "LPS")
    signs = (-1.0, -1.0, 1.0) if prone else (1.0, 1.0, 1.0)
    pixel = (turned.GetSpacing()[0] + turned.GetSpacing()[1]) / 2
    ideal = grid_of(
        turned.GetSize(),
        (pixel, pixel, turned.GetSpacing()[2]),
        turned.GetOrigin(),
        tuple(np.diag(signs).ravel()),
    )
    if not same_grid(turned, ideal, _NOISE_MM):
        return None
    result = copied(turned)
    result.CopyInformation(ideal)
    return result


def _spacing(image: sitk.Image) -> tuple[float, float]:
    """Pixel and slice spacing of axial slices, by the axes that are nearest to theirs."""
    directions = np.abs(np.reshape(image.GetDirection(), (3, 3)))
    upright = int(directions[2].argmax())
    spacing = image.GetSpacing()
    return min(s for n, s in enumerate(spacing) if n != upright), spacing[upright]


def _grid(image: sitk.Image, prone: bool, pixel: float, step: float) -> sitk.Image:
    """An axial grid that holds the whole image, centred on it."""
    size = np.array(image.GetSize())
    ends = [
        image.TransformContinuousIndexToPhysicalPoint(
            [(-0.5, n - 0.5)[corner >> axis & 1] for axis, n in enumerate(size.tolist())]
        )
        for corner in range(8)
    ]
    low, high = np.min(ends, axis=0), np.max(ends, axis=0)
    spacing = np.array([pixel, pixel, step])
    count = np.array([max(1, math.ceil(n - 1e-3)) for n in (high - low) / spacing])
    first = (low + high) / 2 - (count - 1) / 2 * spacing
    signs = np.array([-1.0, -1.0, 1.0]) if prone else np.ones(3)
    origin = np.where(signs > 0, first, first + (count - 1) * spacing)
    return grid_of(
        tuple(count.tolist()),
        tuple(spacing.tolist()),
        tuple(origin.tolist()),
        tuple(np.diag(signs).ravel()),
    )
