"""What every volume must be before anything is computed of it."""

from __future__ import annotations

import gzip
import math
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from SyntheticCTLib.basics.errors import SyntheticCTError


def require_whole_nifti(path: Path) -> None:
    """Raise EOFError for a truncated NIfTI file, whose missing voxels ITK would read as 0."""
    if not path.name.lower().endswith((".nii", ".nii.gz")):
        return
    header = sitk.ImageFileReader()
    header.SetFileName(str(path))
    header.ReadImageInformation()
    sizes = [max(1, int(header.GetMetaData(f"dim[{axis}]"))) for axis in range(1, 8)]
    needed = float(header.GetMetaData("vox_offset")) + math.prod(sizes) * (
        int(header.GetMetaData("bitpix")) // 8
    )
    with (gzip.open if path.name.lower().endswith(".gz") else open)(path, "rb") as stream:
        there = sum(len(block) for block in iter(lambda: stream.read(1 << 20), b""))
    if there < needed:
        raise EOFError(f"{there} of {needed:.0f} bytes")


def check_volume(image: sitk.Image, what: str) -> sitk.Image:
    """Return ``image`` when it is a finite, non-constant 3D scalar volume.

    Direction cosines below 1e-100 come back as 0: ITK cannot invert a matrix that holds such
    numbers, and would silently find every point outside the image.

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
    values = sitk.GetArrayViewFromImage(image)
    if not np.isfinite(values.min()) or not np.isfinite(values.max()):
        raise SyntheticCTError(
            f"The {what} holds NaN or infinite voxels: replace them before it is used."
        )
    if values.min() == values.max():
        raise SyntheticCTError(
            f"The {what} is empty: every voxel is {values.flat[0]:g}; give the right volume."
        )
    cosines = np.array(image.GetDirection())
    if ((cosines != 0) & (np.abs(cosines) < 1e-100)).any():
        image = sitk.Image(image)
        image.SetDirection(np.where(np.abs(cosines) < 1e-100, 0.0, cosines).tolist())
    return image
