"""The one reader and the one writer of volumes, and the checks every input passes."""

from __future__ import annotations

import gzip
import math
import os
import re
import zlib
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from .errors import SyntheticCTError
from .outputs import staged_file

SYNTHETIC_NOTE = "Synthetic CT computed from MR; for research use, not a medical device"
"""Label that every synthetic CT carries, in files, scenes and reports."""

NUMBER_OF_FRAMES = "0028|0008"
"""Metadata key of a multi-frame DICOM file, as GDCM reads it."""
FORMATS = (".nrrd", ".mha", ".nii", ".nii.gz")
"""Formats that volumes are written in: one file, with place and direction."""
PHANTOM_KEY = "SyntheticCTPhantom"
"""Metadata key, with the seed, by which the digital phantom's images are known."""


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
        from .dicom_series import read_dicom_folder

        image = read_dicom_folder(path, what)
    else:
        image = read_image_file(path, what)
    return check_volume(image, f"{what} {path}")


def read_image_file(path: Path, what: str) -> sitk.Image:
    """Read an image file as it is, without the patient module that DICOM carries."""
    try:
        _require_whole_nifti(path)
        image = sitk.ReadImage(str(path))
    except (RuntimeError, EOFError, OSError, zlib.error) as error:
        raise SyntheticCTError(
            f"The {what} {path} cannot be read as an image: give a NRRD, NIfTI or MetaImage file "
            "or a DICOM folder that is complete."
        ) from error
    if image.HasMetaDataKey(NUMBER_OF_FRAMES) and image.GetDepth() > 1:
        from .dicom_frames import frames_in_order

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


def _require_whole_nifti(path: Path) -> None:
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


def image_like(array: np.ndarray, reference: sitk.Image) -> sitk.Image:
    """Return ``array`` (k, j, i) as an image on exactly the grid of ``reference``."""
    image = sitk.GetImageFromArray(np.ascontiguousarray(array))
    image.CopyInformation(reference)
    return image


def write_volume(image: sitk.Image, path: str | os.PathLike, *, compress: bool = True) -> Path:
    """Write ``image`` to ``path``, whole or not at all, and return the path.

    Raises:
        SyntheticCTError: another format than :data:`FORMATS`, or no room on the disk.
    """
    path = Path(path)
    require_format(path)
    nifti = ".nii" in path.suffixes
    if nifti and image.HasMetaDataKey("SyntheticCT"):
        image = sitk.Image(image)
        image.SetMetaData("ITK_FileNotes", SYNTHETIC_NOTE)  # the one text that the format has
    with staged_file(path) as stage:
        try:
            sitk.WriteImage(image, str(stage), useCompression=compress, compressionLevel=3)
            if nifti:  # its writer says nothing of a full disk
                _require_whole_nifti(stage)
        except (RuntimeError, EOFError, OSError, zlib.error) as error:
            raise SyntheticCTError(
                f"The volume {path} cannot be written: make sure that there is room on the disk."
            ) from error
    return path


def require_format(path: str | os.PathLike) -> None:
    """Raise SyntheticCTError where a file name is of no format that keeps a volume whole."""
    if not str(path).lower().endswith(FORMATS):
        raise SyntheticCTError(
            f"The volume {path} cannot be written: end the name with {', '.join(FORMATS)}."
        )


def keep_marks(image: sitk.Image, source: sitk.Image) -> sitk.Image:
    """Return ``image`` with the marks of a synthetic CT and of the phantom that ``source`` has."""
    for key in source.GetMetaDataKeys():
        if key.startswith("SyntheticCT"):
            image.SetMetaData(key, source.GetMetaData(key))
    return image


def label_synthetic(image: sitk.Image, bundle_sha256: str = "") -> sitk.Image:
    """Return ``image`` with the metadata that marks it as a synthetic CT."""
    image.SetMetaData("SyntheticCT", SYNTHETIC_NOTE)
    if bundle_sha256:
        image.SetMetaData("SyntheticCTModel", bundle_sha256)
    return image
