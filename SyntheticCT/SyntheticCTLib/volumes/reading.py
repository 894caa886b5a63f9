"""The one reader of volumes."""

from __future__ import annotations

import os
import re
import zlib
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from SyntheticCTLib.basics.errors import SyntheticCTError

from .checks import check_volume, require_whole_nifti

NUMBER_OF_FRAMES = "0028|0008"
"""Metadata key of a multi-frame DICOM file, as GDCM reads it."""


def read_volume(path: str | os.PathLike, what: str = "image") -> sitk.Image:
    """Read a 3D scalar volume from a file (NRRD, NIfTI, MHA, ...) or a folder of one DICOM series.

    Args:
        path: a volume file, a single multi-frame DICOM file, or a DICOM folder.
        what: the role that error sentences name ("MR", "CT", "dose").

    Returns:
        The image as stored (modality LUT applied for DICOM), geometry in mm, LPS.

    Raises:
        SyntheticCTError: unreadable, not 3D, not scalar, NaN, empty or constant, a folder
            without DICOM, with several series, or with non-uniform slice spacing.
    """
    path = Path(path)
    if not path.exists():
        raise SyntheticCTError(f"The {what} {path} does not exist: check the path.")
    if path.is_dir():
        from SyntheticCTLib.dicom.series import read_dicom_folder

        image = read_dicom_folder(path, what)
    else:
        image = read_image_file(path, what)
    return check_volume(image, f"{what} {path}")


def read_image_file(path: Path, what: str) -> sitk.Image:
    """Read an image file as it is, without the patient module that DICOM carries."""
    try:
        require_whole_nifti(path)
        image = sitk.ReadImage(str(path))
    except (RuntimeError, EOFError, OSError, zlib.error) as error:
        raise SyntheticCTError(
            f"The {what} {path} cannot be read as an image: give a NRRD, NIfTI or MetaImage file "
            "or a DICOM folder that is complete."
        ) from error
    if image.HasMetaDataKey(NUMBER_OF_FRAMES) and image.GetDepth() > 1:
        from SyntheticCTLib.dicom.multiframe import frames_in_order

        image = frames_in_order(image, path, what)
    for key in image.GetMetaDataKeys():
        # Neither DICOM's elements, but for the frame, nor what a converter made of them.
        dicom = re.fullmatch(r"[0-9a-f]{4}\|[0-9a-f]{4}", key) and key != "0020|0052"
        if dicom or re.search("patient|physician|operator|institution", key, re.IGNORECASE):
            image.EraseMetaData(key)
    return image


def read_mask(path: str | os.PathLike, what: str) -> sitk.Image:
    """Read a mask, which may be cropped to a box that it fills.

    Raises:
        SyntheticCTError: unreadable, not 3D, not scalar, or NaN.
    """
    path = Path(path)
    if not path.is_file():
        raise SyntheticCTError(f"The {what} {path} is no file: give a mask.")
    image = read_image_file(path, what)
    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
        raise SyntheticCTError(f"The {what} {path} is not a 3D mask with one value a voxel.")
    if not np.isfinite(sitk.GetArrayViewFromImage(image)).all():
        raise SyntheticCTError(f"The {what} {path} holds NaN or infinite voxels: repair it.")
    return image
