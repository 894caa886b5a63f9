"""What every volume must be before anything is computed of it."""

from __future__ import annotations

import numpy as np
import scipy
import SimpleITK as sitk

from SyntheticCTLib.basics.errors import SyntheticCTError

from .grids import copied, with_values
from .resampling import HU_AIR

SPACINGS_MM = (0.05, 20.0)
"""Voxel sizes beyond these are of another unit than millimetres."""
LARGEST_FIELD_MM = (1000.0, 2500.0)
"""Fields of view of scanners of patients end below: across the patient, and along."""
RIGHT_ANGLE = 1e-3
"""Cosine up to which axes are at right angles."""

MASKED = (
    "{what} holds {count} NaN or infinite voxel{s}, left out of every image figure as asked for; "
    "registration and a recalculated dose take the nearest values inside the volume, and air "
    "towards its sides."
)


def not_finite(what: str, count: int, offered: bool = False) -> str:
    """Return the sentence for a volume in which so many voxels are no numbers.

    Args:
        offered: the work can leave them out.
    """
    advice = ", or give --mask-nan, which leaves them out of the figures" if offered else ""
    return (
        f"The {what} holds {count} NaN or infinite voxel{'s' if count > 1 else ''}: replace them "
        f"before it is used{advice}."
    )


def filled(ct: sitk.Image) -> tuple[sitk.Image, np.ndarray | None]:
    """Return a CT-like image without NaN and infinity, and the voxels (k, j, i) that are its own.

    The others get the value of the nearest voxel that is a number; what hangs together with the
    sides of the slices lies around the patient and gets air. ``(ct, None)`` where all are numbers.
    """
    values = sitk.GetArrayViewFromImage(ct)
    if np.isfinite(values.min()) and np.isfinite(values.max()):
        return ct, None
    known = np.isfinite(values)
    nearest = scipy.ndimage.distance_transform_edt(
        ~known, ct.GetSpacing()[::-1], return_distances=False, return_indices=True
    )
    whole = values[tuple(nearest)]
    parts, _ = scipy.ndimage.label(~known)
    ends = (parts[:, [0, -1]], parts[:, :, [0, -1]])
    sides = np.unique(np.concatenate([end.ravel() for end in ends]))
    whole[np.isin(parts, sides[sides > 0])] = HU_AIR
    return with_values(ct, whole), known


def check_volume(image: sitk.Image, what: str, mask_nan: bool | None = None) -> sitk.Image:
    """Return ``image`` when it is a finite, non-constant 3D scalar volume on a grid that can be.

    Direction cosines below 1e-100 come back as 0: ITK cannot invert a matrix that holds such
    numbers, and would silently find every point outside the image.

    Args:
        mask_nan: take voxels that are no numbers as well, all as NaN; None where the work has no
            such option to name.

    Raises:
        SyntheticCTError: with ``what`` naming the image.
    """
    if image.GetDimension() == 4 and image.GetSize()[3] == 1:
        image = image[:, :, :, 0]
    if image.GetDimension() != 3 or 1 in image.GetSize():
        raise SyntheticCTError(
            f"The {what} is not a 3D volume (its size is "
            f"{' x '.join(str(n) for n in image.GetSize())}): give a volume of at least two "
            "slices in each direction."
        )
    if image.GetNumberOfComponentsPerPixel() != 1:
        raise SyntheticCTError(
            f"The {what} has {image.GetNumberOfComponentsPerPixel()} values a voxel: "
            "give a volume with one value a voxel, not colours or vectors."
        )
    _check_grid(image, what)
    values = sitk.GetArrayViewFromImage(image)
    if not np.isfinite(values.min()) or not np.isfinite(values.max()):
        wrong = ~np.isfinite(values)
        if not mask_nan or wrong.all():
            offered = mask_nan is False and not wrong.all()
            raise SyntheticCTError(not_finite(what, int(wrong.sum()), offered))
        image = with_values(image, np.where(wrong, np.nan, values).astype(values.dtype))
        values = values[~wrong]
    if values.min() == values.max():
        raise SyntheticCTError(
            f"The {what} is empty: every voxel is {values.flat[0]:g}; give the right volume."
        )
    cosines = np.array(image.GetDirection())
    if ((cosines != 0) & (np.abs(cosines) < 1e-100)).any():
        image = copied(image)
        image.SetDirection(np.where(np.abs(cosines) < 1e-100, 0.0, cosines).tolist())
    return image


def _check_grid(image: sitk.Image, what: str) -> None:
    """Refuse voxel sizes of another unit, which would take all memory, and sheared axes."""
    spacing = image.GetSpacing()
    field = [n * s for n, s in zip(image.GetSize(), spacing, strict=True)]
    sizes = " x ".join(f"{s:.3g}" for s in spacing)
    if min(spacing) < SPACINGS_MM[0] or max(spacing) > SPACINGS_MM[1]:
        raise SyntheticCTError(
            f"The {what} has voxels of {sizes} mm, which no scan of a patient has: correct the "
            "voxel size, whose unit is mm."
        )
    if sorted(field)[1] > LARGEST_FIELD_MM[0] or max(field) > LARGEST_FIELD_MM[1]:
        raise SyntheticCTError(
            f"The {what} has a field of view of {' x '.join(f'{v / 1000:.1f}' for v in field)} m "
            f"(voxels of {sizes} mm), which no scan of a patient has: correct the voxel size, "
            "whose unit is mm."
        )
    directions = np.reshape(image.GetDirection(), (3, 3))
    if np.abs(directions.T @ directions - np.eye(3)).max() > RIGHT_ANGLE:
        raise SyntheticCTError(
            f"The {what} has sheared axes, which are not at right angles: resample it onto a "
            "grid whose axes are."
        )
