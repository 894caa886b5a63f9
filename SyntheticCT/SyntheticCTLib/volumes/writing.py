"""The one writer of volumes."""

from __future__ import annotations

import os
import zlib
from pathlib import Path

import SimpleITK as sitk

from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.outputs import staged_file

from .marks import SYNTHETIC_NOTE
from .nifti import count_not_finite, read_nifti_header

FORMATS = (".nrrd", ".mha", ".nii", ".nii.gz")
"""Formats that volumes are written in: one file, with place and direction."""


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
                count_not_finite(read_nifti_header(stage))
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
