"""What the headers of DICOM files say of image slices, with or without a preamble."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.inputs import looks_like_dicom

from .contrast import CONTRAST_TAGS, contrast_of, image_type
from .frame_of_reference import DERIVATION, FRAME
from .scaling import SCALING_TAGS, scaling_of

if TYPE_CHECKING:
    import pydicom

PATIENT = ("PatientID", "PatientName", "PatientBirthDate", "PatientSex")
"""Elements that tell patients apart; they are compared, and never shown or kept."""
NO_IMAGES = ("RT", "SEG", "SR", "PR", "KO", "REG", "FID", "DOC", "PLAN")
"""How modalities of files begin that hold no slices of an image."""
_MEDIUM = "1.2.840.10008.1.3.10"
"""Class of a DICOMDIR."""
_TAGS = [
    *PATIENT,
    FRAME,
    "SOPClassUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "SeriesNumber",
    "SeriesDescription",
    "Modality",
    "ImageOrientationPatient",
    "ImagePositionPatient",
    "PixelSpacing",
    "Rows",
    "Columns",
    "NumberOfFrames",
    "GantryDetectorTilt",
    "PatientPosition",
    "LossyImageCompression",
    DERIVATION,
    "Manufacturer",
    *SCALING_TAGS,
    *CONTRAST_TAGS,
]


@dataclass(frozen=True)
class DicomSlice:
    """What the header of a slice, or of a frame, says."""

    path: Path
    series: str
    number: str
    description: str
    modality: str
    localizer: bool
    patient: tuple[str, ...]  # see PATIENT
    study: str
    frame: str  # UID of the frame of reference
    orientation: tuple[float, ...] | None
    position: tuple[float, ...] | None
    layout: tuple[int, int, float, float] | None  # rows, columns, row and column spacing
    rescale: tuple[float, float]  # slope, intercept
    scaling: str  # where they are from: see scaling
    frames: int
    contrast: tuple[str, ...] = ()  # see contrast.KEYS
    tilt: float = 0.0  # of the gantry, degrees
    lossy: bool = False  # compressed so that values changed
    philips: bool = False
    lies: str = ""  # how the patient lay: Patient Position
    derivation: str = ""  # how the pixels came to be


def read_header(
    path: Path, *, whole: bool = False, tags: Sequence[str] = ()
) -> pydicom.Dataset | None:
    """Return the header of a DICOM file, or None of a file that is none or cannot be parsed.

    Some archives leave out the preamble, whose absence the DICOM library takes for no DICOM.

    Where it was not read whole, its attribute ``pixels_at`` is where the pixels begin in the file.

    Args:
        whole: with all elements and pixels, and not only those that place a slice.
        tags: names of further elements, where not the whole file is read.
    """
    from pydicom import dcmread

    try:
        with path.open("rb") as file:
            beginning = file.read(132)
            bare = beginning[128:132] != b"DICM"
            if not looks_like_dicom(beginning):
                return None
            file.seek(0)
            limits = {"stop_before_pixels": True, "specific_tags": _read_tags(tuple(tags))}
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "Expected (im|ex)plicit VR")  # without preamble
                header = dcmread(path if whole else file, force=bare, **({} if whole else limits))
            if not whole:
                header.pixels_at = file.tell()
        medium = header.file_meta.get("MediaStorageSOPClassUID") == _MEDIUM
        usable = "SOPClassUID" in header or medium  # else it breaks off before
    except Exception:  # damaged in any way
        return None
    return header if usable else None


@lru_cache
def _read_tags(more: tuple[str, ...]) -> list[pydicom.tag.BaseTag]:
    """The elements that are read, looked up by their names once and not for every file."""
    from pydicom.tag import Tag

    return [Tag(tag) for tag in (*_TAGS, *more)]


def only_file(folder: Path, modality: str, what: str) -> pydicom.Dataset:
    """Return the one DICOM file of a modality in a folder, whole.

    Args:
        what: what such a file is in sentences ("dose file").

    Raises:
        SyntheticCTError: there is none, or more than one.
    """
    files = (item for item in sorted(folder.iterdir()) if item.is_file())
    headers = ((item, read_header(item)) for item in files)
    found = [item for item, header in headers if header is not None and is_of(header, modality)]
    whole = read_header(found[0], whole=True) if len(found) == 1 else None
    if whole is None:
        raise SyntheticCTError(
            f"The folder {folder} holds {len(found) or 'no'} DICOM {modality} files: give the one "
            f"{what} itself."
        )
    return whole


def is_of(header: pydicom.Dataset, modality: str) -> bool:
    """Whether a file is of a modality ("RTDOSE", "RTSTRUCT", "RTPLAN").

    By its class where it names none.
    """
    from pydicom import uid

    classes = {
        "RTDOSE": uid.RTDoseStorage,
        "RTSTRUCT": uid.RTStructureSetStorage,
        "RTPLAN": uid.RTPlanStorage,
    }
    named = header.get("Modality")
    return named == modality if named else header.get("SOPClassUID") == classes[modality]


def holds_images(header: pydicom.Dataset) -> bool:
    """Whether a file is of image slices; Rows are missing where it breaks off before them."""
    modality = str(header.get("Modality", ""))
    return not modality.startswith(NO_IMAGES) and (
        "Rows" in header or str(header.get("SOPClassUID", "")) in _image_classes()
    )


def _image_classes() -> set[str]:
    from pydicom import uid

    return {
        uid.CTImageStorage,
        uid.MRImageStorage,
        uid.EnhancedCTImageStorage,
        uid.EnhancedMRImageStorage,
        uid.PositronEmissionTomographyImageStorage,
    }


def slice_of(header: pydicom.Dataset, path: Path, what: str) -> DicomSlice:
    """Return what a header says of its slice.

    Raises:
        SyntheticCTError: the file breaks off in its header, or its values cannot be rescaled.
    """
    if "Rows" not in header or "Columns" not in header:
        raise SyntheticCTError(
            f"The {what} slice {path} breaks off in its header: copy the file again."
        )
    modality = str(header.get("Modality", "")).strip()
    spacing = numbers(header, "PixelSpacing", 2)
    if spacing and min(spacing) <= 0:
        spacing = None
    rescale, scaling = scaling_of(header, path, what, modality)
    tilt = numbers(header, "GantryDetectorTilt", 1) or (0.0,)
    return DicomSlice(
        path=path,
        series=str(header.get("SeriesInstanceUID", "")),
        number=str(header.get("SeriesNumber") or "").strip(),
        description=str(header.get("SeriesDescription", "")).strip() or "no description",
        modality=modality,
        localizer="LOCALIZER" in image_type(header),
        patient=tuple(" ".join(str(header.get(n) or "").split()).strip("^ ") for n in PATIENT),
        study=str(header.get("StudyInstanceUID", "")),
        frame=str(header.get(FRAME, "")),
        orientation=numbers(header, "ImageOrientationPatient", 6),
        position=numbers(header, "ImagePositionPatient", 3),
        layout=(int(header.Rows), int(header.Columns), *spacing) if spacing else None,
        rescale=rescale,
        scaling=scaling,
        frames=int(header.get("NumberOfFrames") or 1),
        contrast=contrast_of(header),
        tilt=tilt[0] if modality == "CT" else 0.0,
        lossy=is_lossy(header),
        philips="philips" in str(header.get("Manufacturer") or "").casefold(),
        lies=str(header.get("PatientPosition") or "").strip(),
        derivation=str(header.get(DERIVATION) or "").strip(),
    )


def is_lossy(header: pydicom.Dataset) -> bool:
    """Whether pixels were compressed with loss, by the header or by the way of compression."""
    from pydicom import uid

    said = str(header.get("LossyImageCompression") or "").strip()
    syntax = header.file_meta.get("TransferSyntaxUID") if hasattr(header, "file_meta") else None
    always = syntax in (uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit)
    may_be = syntax in (uid.JPEGLSNearLossless, uid.JPEG2000)
    return said == "01" or always or (may_be and said != "00")


def numbers(header: pydicom.Dataset, name: str, count: int) -> tuple[float, ...] | None:
    """Numbers of an element; None where they are missing, too few or none."""
    try:
        value = header[name].value
        values = tuple(float(v) for v in ([value] if count == 1 else value))
    except (KeyError, TypeError, ValueError):
        return None
    return values if len(values) == count and np.isfinite(values).all() else None
