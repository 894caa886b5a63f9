"""What all DICOM files of an export have in common: who made them, UIDs, writing."""

from __future__ import annotations

import copy
import datetime
import hashlib
import json
import uuid
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from SyntheticCTLib import __version__

from .source import SourceSeries

if TYPE_CHECKING:
    import pydicom

PROGRAM = "SyntheticCT"
IMPLEMENTATION = "2.25.6380169208472566694391936105150896036"
"""UID of this program as the writer of files (a UUID, PS3.5 B.2)."""
UTF_8 = "ISO_IR 192"


def new_uid(content: bytes | None) -> str:
    """Return a UID made of a UUID (PS3.5 B.2): random, or of ``content`` where that is given."""
    if content is None:
        return f"2.25.{uuid.uuid4().int}"
    return f"2.25.{uuid.UUID(bytes=hashlib.sha256(content).digest()[:16], version=5).int}"


def content_of(dataset: pydicom.Dataset, *more: bytes) -> bytes:
    """Return what a dataset (without UIDs of its own) and ``more`` bytes say, for a UID."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they would show what names a patient
        text = json.dumps(dataset.to_json_dict(), sort_keys=True)
    return b"\0".join([text.encode(), *more])


def ds(*values: float) -> list[str]:
    """Return numbers as decimal strings of at most 16 characters, as exact as these can be."""
    from pydicom.valuerep import format_number_as_ds

    return [format_number_as_ds(float(value) + 0.0) for value in values]


def plain(text: str, length: int) -> str:
    """Return a text of one line that any character set can hold, cut to ``length``."""
    words = " ".join(text.replace("\\", "/").split())
    return words.encode("ascii", "replace").decode()[:length]


def begun(
    source: SourceSeries, sop_class: str, modality: str, when: datetime.datetime | None
) -> pydicom.Dataset:
    """Return a dataset of the MR's patient, study and frame, of this program, without UIDs.

    Args:
        when: date and time of the series; None leaves them out, so that the content alone counts.
    """
    from pydicom import Dataset

    result = source.handed_on()
    result.SOPClassUID = sop_class
    result.Modality = modality
    result.Manufacturer = PROGRAM
    result.ManufacturerModelName = f"{PROGRAM} {__version__}"
    result.SoftwareVersions = __version__
    result.FrameOfReferenceUID = source.frame
    result.PositionReferenceIndicator = source.header.get("PositionReferenceIndicator") or ""
    if when is not None:
        result.SeriesDate, result.SeriesTime = when.strftime("%Y%m%d"), when.strftime("%H%M%S")
    scanner = Dataset()
    scanner.PurposeOfReferenceCodeSequence = [code("109101", "DCM", "Acquisition Equipment")]
    scanner.Manufacturer = "unknown"
    for name in ("Manufacturer", "ManufacturerModelName", "DeviceSerialNumber", "SoftwareVersions"):
        if source.header.get(name):
            scanner[name] = copy.deepcopy(source.header[name])
    result.ContributingEquipmentSequence = [scanner]
    return result


def code(value: str, scheme: str, meaning: str) -> pydicom.Dataset:
    """Return an item of a sequence of codes."""
    from pydicom import Dataset

    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def reference(sop_class: str, instance: str) -> pydicom.Dataset:
    """Return an item that refers to an instance."""
    from pydicom import Dataset

    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, instance
    return item


def series_number(source: SourceSeries, step: int) -> int:
    """Return a series number that scanners do not give: 9000 and more above the MR's."""
    own = source.header.get("SeriesNumber")
    return 9000 + 10 * (int(own) if own not in (None, "") and 0 <= int(own) < 10**8 else 0) + step


def write(dataset: pydicom.Dataset, path: Path, *, implicit: bool = False) -> None:
    """Write a dataset as a DICOM file (little endian).

    Args:
        implicit: without value representations, whose lengths limit contours to 64 kB.
    """
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

    meta = FileMetaDataset()
    meta.FileMetaInformationGroupLength = 0  # counted when it is written
    meta.FileMetaInformationVersion = b"\0\1"
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
    meta.ImplementationClassUID = IMPLEMENTATION
    meta.ImplementationVersionName = PROGRAM.upper()
    file = FileDataset(
        str(path),
        dataset,
        preamble=bytes(128),
        file_meta=meta,
        is_implicit_VR=implicit,
        is_little_endian=True,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they would show what names a patient
        file.save_as(path)


def written_here(path: Path) -> bool:
    """Whether this program wrote a DICOM file."""
    from pydicom.filereader import read_file_meta_info

    try:
        return read_file_meta_info(path).get("ImplementationClassUID") == IMPLEMENTATION
    except Exception:  # no DICOM, or damaged in any way
        return False
