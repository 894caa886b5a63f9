"""Grids of voxels: made, copied, compared."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import SimpleITK as sitk

SAME_PLACE_MM = 1e-3
"""Voxels nearer than this lie at the same place."""
HEADER_PRECISION = 2.0**-20
"""The same as a share of the distance from the origin: NIfTI headers hold single precision, of
which a place is the sum of several numbers."""


def image_like(array: np.ndarray, reference: sitk.Image) -> sitk.Image:
    """Return ``array`` (k, j, i) as an image on exactly the grid of ``reference``."""
    image = sitk.GetImageFromArray(np.ascontiguousarray(array))
    image.CopyInformation(reference)
    return image


def copied(image: sitk.Image) -> sitk.Image:
    """Return a copy that can be changed and has the metadata.

    ``sitk.Image(image)`` shares its voxels until it is changed, and loses all metadata then
    (SimpleITK 2.5), the mark of a synthetic CT with it.
    """
    copy = sitk.Image(image)
    copy.MakeUnique()
    for key in image.GetMetaDataKeys():
        copy.SetMetaData(key, image.GetMetaData(key))
    return copy


def with_values(image: sitk.Image, array: np.ndarray) -> sitk.Image:
    """Return ``array`` with the grid and all the metadata of ``image``, whose shape it has."""
    changed = sitk.GetImageFromArray(array, isVector=False)
    changed.CopyInformation(image)
    for key in image.GetMetaDataKeys():
        changed.SetMetaData(key, image.GetMetaData(key))
    return changed


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


def told_grid(size: Sequence[int], spacing_mm: Sequence[float], times: str = "×") -> str:
    """Return a grid in words: "256 × 256 × 96 voxels of 1.5 × 1.5 × 3 mm"."""
    sign = f" {times} "
    steps = sign.join(f"{step:.3g}" for step in spacing_mm)
    return f"{sign.join(map(str, size))} voxels of {steps} mm"


def same_grid(first: sitk.Image, second: sitk.Image, tolerance_mm: float | None = None) -> bool:
    """Whether every voxel of two images lies at the same place.

    Args:
        tolerance_mm: by how much it may lie beside; by default what is lost where a grid is kept
            in a file (:data:`SAME_PLACE_MM`, or :data:`HEADER_PRECISION` far from the origin).
    """
    if first.GetSize() != second.GetSize():
        return False
    last = [n - 1 for n in first.GetSize()]
    corners = [[0] * len(last), last] + [
        [end if axis == free else 0 for axis, end in enumerate(last)] for free in range(len(last))
    ]
    places, others = (
        np.array([image.TransformIndexToPhysicalPoint(corner) for corner in corners])
        for image in (first, second)
    )
    if tolerance_mm is None:
        tolerance_mm = max(SAME_PLACE_MM, HEADER_PRECISION * float(np.abs(places).max()))
    return bool(np.abs(places - others).max() <= tolerance_mm)


def corners_of(mask: sitk.Image) -> np.ndarray | None:
    """Return the corners (8, 3; mm, LPS) of the box around the voxels that are not 0; None without
    any."""
    labels = sitk.LabelShapeStatisticsImageFilter()
    labels.Execute(sitk.Cast(mask != 0, sitk.sitkUInt8))
    if not labels.HasLabel(1):
        return None
    box = labels.GetBoundingBox(1)
    return np.array(
        [
            mask.TransformContinuousIndexToPhysicalPoint(
                [box[a] - 0.5 + box[a + 3] * (corner >> a & 1) for a in range(3)]
            )
            for corner in range(8)
        ]
    )
