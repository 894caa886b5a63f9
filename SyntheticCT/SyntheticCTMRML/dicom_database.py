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

    database, uids = open_database(), (node.GetAttribute(INSTANCES) or "").split()
    if database is None or not uids:
        return ""
    files = [Path(database.fileForInstance(uid) or "") for uid in uids]
    folders = {file.parent for file in files}
    if len(folders) > 1 or not all(file.is_file() for file in files):
        return ""
    headers = [read_header(file) for file in (files[0], files[-1])]
    series = {str(one.get("SeriesInstanceUID", "")) for one in headers if one is not None}
    return f"{folders.pop()}#{series.pop()}" if len(series) == 1 else ""


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
