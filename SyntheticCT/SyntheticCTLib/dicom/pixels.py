"""The values of DICOM pixels: decoded as they are stored, then rescaled slice by slice."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import SimpleITK as sitk

from SyntheticCTLib.basics.errors import SyntheticCTError

from .headers import read_header

if TYPE_CHECKING:
    import pydicom

_RLE = "1.2.840.10008.1.2.5"
_RESCALING = (
    "RescaleSlope",
    "RescaleIntercept",
    "PixelValueTransformationSequence",
    "RealWorldValueMappingSequence",
)


def stored_values(path: Path, what: str) -> np.ndarray:
    """Return the stored values of a DICOM file, array (frame, row, column), not rescaled.

    MONOCHROME1 says how values are shown and not what they mean, so that they come as stored.

    Raises:
        SyntheticCTError: truncated, compressed in a way that cannot be decoded, or colours.
    """
    header = read_header(path, whole=True)
    try:
        if header is None:
            raise ValueError("no DICOM")
        syntax = _transfer_syntax(header)
        if syntax.is_encapsulated and syntax != _RLE:
            values = _by_gdcm(header)
        else:
            values = _significant(header.pixel_array, header)
    except Exception as error:  # the DICOM libraries raise many kinds for damaged pixels
        raise SyntheticCTError(
            f"The pixels of the {what} {path} cannot be read: copy the file again, it may be "
            "truncated, or compressed in an unusual way."
        ) from error
    frames = int(header.get("NumberOfFrames") or 1)
    if int(header.get("SamplesPerPixel") or 1) != 1 or "PALETTE" in str(
        header.get("PhotometricInterpretation", "")
    ):
        raise SyntheticCTError(
            f"The {what} {path} holds colours: give a series with one value a pixel."
        )
    return values.reshape(frames, int(header.Rows), int(header.Columns))


def rescaled(stored: np.ndarray, rescale: Sequence[tuple[float, float]]) -> sitk.Image:
    """Return values of slices (k, j, i), each by its own slope and intercept, as an image.

    The result is of 16 bits where all values are whole and fit, else of 32 (float32 where they
    are not whole).
    """
    slopes, intercepts = (np.reshape(column, (-1, 1, 1)) for column in zip(*rescale, strict=True))
    if np.issubdtype(stored.dtype, np.integer) and all(
        value.is_integer() for pair in rescale for value in pair
    ):
        whole = stored.astype(np.int64) * slopes.astype(np.int64) + intercepts.astype(np.int64)
        limits = np.iinfo(np.int16)
        fits = limits.min <= whole.min() and whole.max() <= limits.max
        return sitk.GetImageFromArray(whole.astype(np.int16 if fits else np.int32))
    values = stored.astype(np.float64) * slopes + intercepts
    return sitk.GetImageFromArray(values.astype(np.float32))


def _transfer_syntax(header: pydicom.Dataset) -> pydicom.uid.UID:
    """The transfer syntax; files without a preamble may not name it, and cannot be compressed."""
    from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

    if "TransferSyntaxUID" not in header.file_meta:
        encoding = getattr(header, "original_encoding", None) or (header.is_implicit_VR, True)
        header.file_meta.TransferSyntaxUID = (
            ImplicitVRLittleEndian if encoding[0] else ExplicitVRLittleEndian
        )
    return header.file_meta.TransferSyntaxUID


def _significant(values: np.ndarray, header: pydicom.Dataset) -> np.ndarray:
    """Values without the bits that are not theirs (old scanners keep overlays there)."""
    if not np.issubdtype(values.dtype, np.integer):
        return values
    allocated = int(header.BitsAllocated)
    kept = int(header.get("BitsStored") or allocated)
    above = allocated - 1 - int(header.get("HighBit", kept - 1))
    return (values << above) >> (allocated - kept) if kept < allocated else values


def _by_gdcm(header: pydicom.Dataset) -> np.ndarray:
    """Decode compressed pixels by GDCM, which would rescale and turn MONOCHROME1 itself."""
    groups = [
        *(header.get("SharedFunctionalGroupsSequence") or []),
        *(header.get("PerFrameFunctionalGroupsSequence") or []),
    ]
    for item in (header, *groups):
        for name in _RESCALING:
            if name in item:
                delattr(item, name)
    header.PhotometricInterpretation = "MONOCHROME2"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "stored.dcm"
        header.save_as(path)
        return sitk.GetArrayFromImage(sitk.ReadImage(str(path), imageIO="GDCMImageIO"))
