"""The one resampling helper; every other module goes through it."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from .grids import image_like, same_grid
from .marks import keep_marks

HU_OUTSIDE = -1024
"""CT number given to points outside a CT-like image's field of view."""

HU_AIR = -1000
"""CT number of the air around a patient, as in calibrated CT."""


def resample(
    image: sitk.Image,
    reference: sitk.Image,
    transform: sitk.Transform | None = None,
    *,
    fill: float | None,
    nearest: bool = False,
    antialias: bool = False,
) -> sitk.Image:
    """Return ``image`` sampled at the voxel centres of ``reference``.

    Args:
        image: 3D scalar image; its pixel type is kept (rounded for integer types).
        reference: image whose grid (size, origin, spacing, directions) the result takes.
        transform: maps physical points of ``reference`` to physical points of ``image``
            (millimetres, LPS), the direction in which registrations return it; identity
            when None.
        fill: value outside the field of view of ``image``; :data:`HU_OUTSIDE` for CT, 0 for
            MR and dose; None repeats the outermost voxels. There is no default, because the
            wrong one goes unseen.
        nearest: nearest neighbour, for labels; otherwise linear.
        antialias: blur along each axis on which ``reference`` is coarser, so that what lies
            between its voxel centres is averaged rather than skipped.
    """
    if transform is None:
        if same_grid(image, reference):
            # A copy that shares its voxels would take the metadata of the first one looked at.
            return image_like(sitk.GetArrayViewFromImage(image), reference)
        transform = sitk.Transform(3, sitk.sitkIdentity)
    pixel = image.GetPixelID()
    if not nearest and pixel not in (sitk.sitkFloat32, sitk.sitkFloat64):
        # ITK cuts interpolated values off at the point where it should round them.
        exact = resample(
            sitk.Cast(image, sitk.sitkFloat32),
            reference,
            transform,
            fill=fill,
            antialias=antialias,
        )
        return sitk.Cast(sitk.Round(exact), pixel)
    if antialias:
        image = _blurred_to(image, reference)
    return sitk.Resample(
        image,
        reference,
        transform,
        sitk.sitkNearestNeighbor if nearest else sitk.sitkLinear,
        0.0 if fill is None else fill,
        pixel,
        fill is None,
    )


def floored(ct: sitk.Image) -> sitk.Image:
    """Return a CT-like image in which values below :data:`HU_OUTSIDE` are that.

    Needed before interpolation: between tissue and padding of -3024 lie values of neither.
    """
    if float(sitk.GetArrayViewFromImage(ct).min()) >= HU_OUTSIDE:
        return ct
    return keep_marks(sitk.Clamp(ct, lowerBound=HU_OUTSIDE), ct)


def reached(
    image: sitk.Image,
    known: np.ndarray | None,
    grid: sitk.Image,
    transform: sitk.Transform | None = None,
) -> np.ndarray:
    """Return the voxels (k, j, i) of ``grid`` that an image covers, and with numbers of its own.

    Args:
        known: what :func:`.checks.filled` says of ``image``.
        transform: points of ``grid`` to points of ``image`` (mm, LPS).
    """
    ones = image_like(np.ones(image.GetSize()[::-1], np.uint8), image)
    covered = sitk.GetArrayFromImage(resample(ones, grid, transform, fill=0, nearest=True)) > 0
    if known is not None:
        share = image_like(known.astype(np.float32), image)
        # What linear interpolation takes from a voxel that is no number is no number either.
        own = resample(share, grid, transform, fill=1)
        covered &= sitk.GetArrayViewFromImage(own) > 1 - 1e-4
    return covered


def mask_on(mask: sitk.Image, reference: sitk.Image) -> np.ndarray:
    """Return where ``mask`` (any grid) is not 0, as booleans (k, j, i) on the grid of another."""
    binary = sitk.Cast(mask != 0, sitk.sitkUInt8)
    return sitk.GetArrayFromImage(resample(binary, reference, fill=0, nearest=True)) > 0


def _blurred_to(image: sitk.Image, reference: sitk.Image) -> sitk.Image:
    alignment = np.abs(
        np.reshape(image.GetDirection(), (3, 3)).T @ np.reshape(reference.GetDirection(), (3, 3))
    )
    for axis, own in enumerate(image.GetSpacing()):
        coarse = reference.GetSpacing()[int(alignment[axis].argmax())]
        # A box of the coarse voxel's width has a standard deviation of width / sqrt(12).
        variance = (coarse**2 - own**2) / 12
        if variance > (0.1 * own) ** 2 and image.GetSize()[axis] >= 4:
            image = sitk.RecursiveGaussian(image, variance**0.5, False, 0, axis)
    return image
