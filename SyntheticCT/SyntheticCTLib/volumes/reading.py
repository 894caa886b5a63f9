"""The one reader of volumes."""

from __future__ import annotations

import os
import re
import zlib
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.inputs import folder_and_series
from SyntheticCTLib.basics.progress import SILENT, Progress
from SyntheticCTLib.dicom.choice import ROLES, role_of
from SyntheticCTLib.dicom.headers import read_header

from .checks import check_volume, filled, not_finite
from .marks import marked_as_said
from .nifti import is_nifti, read_nifti
from .plausible import check_patient
from .text_headers import check_text_header, require_whole

_FORMATS = (".nrrd", ".nhdr", ".mha", ".mhd")
"""Beside NIfTI and DICOM; of others nothing tells whether they are whole and where they lie."""


def read_volume(
    path: str | os.PathLike,
    what: str = "image",
    progress: Progress = SILENT,
    *,
    mask_nan: bool | None = None,
) -> sitk.Image:
    """Read a 3D scalar volume from a file (NRRD, NIfTI, MetaImage) or a DICOM series.

    Args:
        path: a volume file, a single multi-frame DICOM file (FILE#PART where it holds several), a
            folder of one DICOM series, or FOLDER#SERIES with the number, description or UID of
            one of several.
        what: the role that error sentences name ("MR", "CT", "candidate sCT", "dose"). As "MR"
            or "CT" it is also what the volume must be, by the modality of DICOM and by what its
            values can be; a candidate may be labelled as either.
        progress: receives warnings: which of several series was taken, a volume that is hardly
            of a patient, a file that does not say where it lies.
        mask_nan: take voxels that are no numbers, as NaN; None where there is no such option.

    Returns:
        The image as stored (rescaled for DICOM), geometry in mm, LPS.

    Raises:
        SyntheticCTError: unreadable, damaged, not 3D, not scalar, NaN, empty or constant; of
            another modality; impossible voxel sizes; sheared or contradictory axes; a folder
            without DICOM, with several series or patients, or with non-uniform slice spacing.
    """
    path, series = folder_and_series(path)
    if not path.exists():
        raise SyntheticCTError(f"The {what} {path} does not exist: check the path.")
    if path.is_dir():
        from SyntheticCTLib.dicom.series import read_dicom_folder

        image = read_dicom_folder(path, what, series, progress)
    else:
        image = read_image_file(path, what, progress, series)
    image = check_volume(marked_as_said(image), f"{what} {path}", mask_nan)
    if role_of(what) in ROLES:
        check_patient(filled(image)[0], f"{what} {path}", what, progress)
    return image


def read_image_file(
    path: Path, what: str, progress: Progress = SILENT, part: str = ""
) -> sitk.Image:
    """Read an image file as it is, without the patient module that DICOM carries.

    Args:
        path, what, progress: as of :func:`read_volume`.
        part: which of a multi-frame DICOM file.

    Raises:
        SyntheticCTError: unreadable, damaged or of another format; complex numbers; of NIfTI,
            sheared or contradictory axes; of NRRD and MetaImage, no voxel size in mm.
    """
    if read_header(path) is not None:
        from SyntheticCTLib.dicom.multiframe import read_dicom_file

        return read_dicom_file(path, what, progress, part)
    if part:
        raise SyntheticCTError(
            f"The {what} {path} is no DICOM file and has no part {part!r}: take away what stands "
            "after #."
        )
    nifti = is_nifti(path)
    if not nifti and not path.name.lower().endswith(_FORMATS):
        raise SyntheticCTError(
            f"The {what} {path} cannot be read as an image: give a NRRD, NIfTI or MetaImage file "
            "or a DICOM folder."
        )
    if not path.stat().st_size:
        raise SyntheticCTError(f"The {what} {path} is an empty file: copy it again.")
    try:
        if nifti:
            image = read_nifti(path, what, progress)
        else:
            require_whole(path)
            image = sitk.ReadImage(str(path))
            check_text_header(path, image, what, progress)
    except (RuntimeError, EOFError, OSError, ValueError, zlib.error) as error:
        raise SyntheticCTError(
            f"The {what} {path} cannot be read as an image: it is truncated, damaged (a check sum "
            "is wrong) or not what its name says; copy it again."
        ) from error
    if image.GetPixelID() in (sitk.sitkComplexFloat32, sitk.sitkComplexFloat64):
        raise SyntheticCTError(
            f"The {what} {path} holds complex numbers, of which magnitude or real part may be "
            "meant: give the one that is."
        )
    for key in image.GetMetaDataKeys():
        # Neither DICOM's elements nor what a converter made of them.
        dicom = re.fullmatch(r"[0-9a-f]{4}\|[0-9a-f]{4}", key)
        if dicom or re.search("patient|physician|operator|institution", key, re.IGNORECASE):
            image.EraseMetaData(key)
    return image


def read_mask(path: str | os.PathLike, what: str, progress: Progress = SILENT) -> sitk.Image:
    """Read a mask or label map, which may be cropped to a box that it fills.

    Raises:
        SyntheticCTError: unreadable, not 3D, not scalar, or with values that no label has.
    """
    path = Path(path)
    if not path.is_file():
        raise SyntheticCTError(f"The {what} {path} is no file: give a mask.")
    image = read_image_file(path, what, progress)
    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
        raise SyntheticCTError(f"The {what} {path} is not a 3D mask with one value a voxel.")
    values = sitk.GetArrayViewFromImage(image)
    wrong = int((~np.isfinite(values)).sum())
    if wrong:
        raise SyntheticCTError(not_finite(f"{what} {path}", wrong))
    if values.min() < 0:
        raise SyntheticCTError(
            f"The {what} {path} holds negative values (down to {values.min():g}), as an image and "
            "not a mask does: give a mask, 0 outside it."
        )
    return image
