"""From an MR grid to the slabs of three slices that the network sees, and back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from SyntheticCTLib.volumes.grids import grid_of, image_like
from SyntheticCTLib.volumes.resampling import HU_OUTSIDE, resample

SLAB = 3
"""Axial slices that enter and leave the generator together (2.5D)."""

NO_SPREAD = -1.0
"""Uncertainty of slices that a single slab predicts."""

SPACING_TOLERANCE = 0.02
SLICE_TOLERANCE = 0.25
"""Relative differences to the trained spacing that are left alone, in-plane and across.

Interpolating between slices costs more sharpness than a slightly different slice distance, so
the second is wider.
"""


def network_grid(image: sitk.Image, spacing_mm: tuple[float, float, float]) -> sitk.Image:
    """Return the grid on which the network sees ``image``.

    Its axes are the image's own, permuted and flipped to run as nearly as possible to the
    left, the back and the head, so that an oblique scan is not interpolated; its spacing is
    the trained one (``spacing_mm``: i, j, k) except where the image's own is near enough.
    """
    image = sitk.DICOMOrient(image, "LPS")
    size, spacing = [], []
    for count, own, trained, tolerance in zip(
        image.GetSize(),
        image.GetSpacing(),
        spacing_mm,
        (SPACING_TOLERANCE, SPACING_TOLERANCE, SLICE_TOLERANCE),
        strict=True,
    ):
        keep = abs(own / trained - 1) <= tolerance
        spacing.append(own if keep else trained)
        size.append(count if keep else int(np.ceil((count - 1) * own / trained - 1e-6)) + 1)
    return grid_of(tuple(size), tuple(spacing), image.GetOrigin(), image.GetDirection())


def to_network(image: sitk.Image, grid: sitk.Image, fill: float) -> np.ndarray:
    """Return ``image`` (float32) on ``grid`` as an array (k, j, i)."""
    oriented = sitk.Cast(sitk.DICOMOrient(image, "LPS"), sitk.sitkFloat32)
    return sitk.GetArrayFromImage(resample(oriented, grid, fill=fill, antialias=True))


def from_network(
    array: np.ndarray, grid: sitk.Image, reference: sitk.Image, fill: float = HU_OUTSIDE
) -> sitk.Image:
    """Return ``array`` (k, j, i on ``grid``) on exactly the grid of ``reference``."""
    image = sitk.DICOMOrient(image_like(array, grid), _orientation(reference))
    if image.GetSize() == reference.GetSize() and np.allclose(
        image.GetSpacing(), reference.GetSpacing(), rtol=1e-9
    ):
        image.CopyInformation(reference)
        return image
    return resample(image, reference, fill=fill)


def _orientation(image: sitk.Image) -> str:
    return sitk.DICOMOrientImageFilter.GetOrientationFromDirectionCosines(image.GetDirection())


@dataclass(frozen=True)
class Padding:
    """Voxels added after the last row, column and slice, so that the network accepts an image."""

    slices: int
    rows: int
    columns: int

    @classmethod
    def to_multiple(cls, shape: tuple[int, int, int], multiple: int, slab: int) -> Padding:
        """Padding of an array of ``shape`` (k, j, i) to multiples in-plane and one whole slab."""
        return cls(max(0, slab - shape[0]), -shape[1] % multiple, -shape[2] % multiple)

    def add(self, array: np.ndarray, value: float) -> np.ndarray:
        """Pad in-plane by ``value`` and across by repeating the last slice."""
        array = np.pad(array, ((0, self.slices), (0, 0), (0, 0)), mode="edge")
        return np.pad(array, ((0, 0), (0, self.rows), (0, self.columns)), constant_values=value)

    def remove(self, array: np.ndarray) -> np.ndarray:
        """Undo :meth:`add`."""
        slices, rows, columns = array.shape
        return array[: slices - self.slices, : rows - self.rows, : columns - self.columns]


class SlabBlend:
    """Adds up predicted slabs; gives their mean a slice and their spread.

    Args:
        shape: of the volume (k, j, i).
    """

    def __init__(self, shape: tuple[int, int, int]) -> None:
        self._sum = np.zeros(shape, np.float32)
        self._squares = np.zeros(shape, np.float32)
        self._count = np.zeros(shape[0], np.float32)

    def add(self, first_slice: int, slab: np.ndarray) -> None:
        """Add one predicted slab (slices, j, i), whose first slice is ``first_slice``."""
        where = slice(first_slice, first_slice + slab.shape[0])
        self._sum[where] += slab
        self._squares[where] += slab * slab
        self._count[where] += 1

    def mean(self) -> np.ndarray:
        """Return the mean over the slabs that hold each slice (k, j, i)."""
        return self._sum / self._count[:, None, None]

    def spread(self) -> np.ndarray:
        """Return the standard deviation over those slabs; -1 in slices held by one slab only."""
        count = self._count[:, None, None]
        spread = np.sqrt(np.maximum(self._squares / count - (self._sum / count) ** 2, 0))
        spread[self._count < 2] = NO_SPREAD
        return spread
