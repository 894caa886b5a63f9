"""The one writer of volumes."""

from __future__ import annotations

import os
import zlib
from pathlib import Path

import SimpleITK as sitk

from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.outputs import staged_file
from SyntheticCTLib.basics.stages import users_path

from .grids import copied
from .marks import SOURCE_KEYS, SYNTHETIC_NOTE, mark_source
from .nifti import not_finite_at, read_nifti_header

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
        image = copied(image)
        image.SetMetaData("ITK_FileNotes", SYNTHETIC_NOTE)  # the one text that the format has
    if any(image.HasMetaDataKey(name) for name in SOURCE_KEYS):
        # A file that is kept does not tell UIDs, which lead to a patient.
        image = mark_source(copied(image), image)
        for name in SOURCE_KEYS:
            image.EraseMetaData(name)
    with staged_file(path) as stage:
        try:
            sitk.WriteImage(image, str(stage), useCompression=compress, compressionLevel=3)
            if nifti:  # its writer says nothing of a full disk
                not_finite_at(read_nifti_header(stage))
            elif path.suffix.lower() == ".nrrd":  # nor does this one of the last bytes
                _require_whole_nrrd(stage, image)
        except (RuntimeError, EOFError, OSError, zlib.error) as error:
            raise SyntheticCTError(
                f"The volume {users_path(path)} cannot be written: make sure that there is room "
                "on the disk."
            ) from error
    return path


def _require_whole_nrrd(path: Path, image: sitk.Image) -> None:
    """Raise EOFError where the file that ``image`` was written to ends early."""
    voxels = image.GetNumberOfPixels() * image.GetNumberOfComponentsPerPixel()
    expected = voxels * image.GetSizeOfPixelComponent()
    with path.open("rb") as stream:
        header = b""
        while (line := stream.readline()) not in (b"\n", b""):
            header += line
        found = stream.seek(0, os.SEEK_END) - len(header) - 1
        if b"encoding: gzip" in header:
            stream.seek(-4, os.SEEK_END)  # where gzip keeps the size (RFC 1952)
            expected, found = expected % 2**32, int.from_bytes(stream.read(4), "little")
    if found != expected:
        raise EOFError


def require_format(path: str | os.PathLike) -> None:
    """Raise SyntheticCTError where a file name is of no format that keeps a volume whole."""
    if not str(path).lower().endswith(FORMATS):
        raise SyntheticCTError(
            f"The volume {path} cannot be written: end the name with {', '.join(FORMATS)}."
        )
