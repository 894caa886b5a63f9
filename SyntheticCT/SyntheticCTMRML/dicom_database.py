"""Slicer's own DICOM database, where one is open: where a volume came from, and files into it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

INSTANCES = "DICOM.instanceUIDs"
"""What Slicer's DICOM module writes at a volume: the UIDs of its slices."""


def open_database() -> Any | None:
    """Return the database that is open; None without one, as with --no-main-window."""
    import slicer

    database = getattr(slicer, "dicomDatabase", None)
    return database if database is not None and database.isOpen else None


def series_of(node: Any) -> str:
    """Return the DICOM series that a volume was loaded from, as ``FOLDER#SERIES``.

    "" where Slicer does not know it: not loaded by its DICOM module, removed from the database,
    or with slices in several folders.
    """
    from SyntheticCTLib.dicom.headers import read_header

    files = _files_of(node)
    folders = {file.parent for file in files}
    if len(folders) != 1:
        return ""
    headers = [read_header(file) for file in (files[0], files[-1])]
    series = {str(one.get("SeriesInstanceUID", "")) for one in headers if one is not None}
    return f"{folders.pop()}#{series.pop()}" if len(series) == 1 else ""


def marks_of(node: Any) -> dict[str, str]:
    """Return frame of reference and patient position of a volume's DICOM, as metadata of images.

    What its files do not tell, or Slicer does not know them, is left out.
    """
    from SyntheticCTLib.dicom.frame_of_reference import FRAME, POSITION
    from SyntheticCTLib.dicom.headers import read_header

    files = _files_of(node)
    header = read_header(files[0]) if files else None
    elements = {FRAME: "FrameOfReferenceUID", POSITION: "PatientPosition"}
    told = {key: str((header or {}).get(name) or "") for key, name in elements.items()}
    return {key: text for key, text in told.items() if text}


def _files_of(node: Any) -> list[Path]:
    """The DICOM files that a volume was loaded from; none where not all are known and there."""
    database, uids = open_database(), (node.GetAttribute(INSTANCES) or "").split()
    if database is None:
        return []
    files = [Path(database.fileForInstance(uid) or "") for uid in uids]
    return files if all(file.is_file() for file in files) else []


def add_files(files: Sequence[Path]) -> bool:
    """Copy DICOM files into the database; whether there is one that is open."""
    database = open_database()
    if database is None:
        return False
    from ctk import ctkDICOMIndexer

    indexer = ctkDICOMIndexer()
    indexer.addListOfFiles(database, [str(file) for file in files], True)
    indexer.waitForImportFinished()
    return True
