"""Slicer's DICOM database and what fills it, as far as the modules use them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pydicom


class DicomDatabase:
    """``slicer.dicomDatabase``: closed until :meth:`opened`.

    Attributes:
        files: by SOP instance UID.
    """

    def __init__(self, folder: Path) -> None:
        self.isOpen = False
        self.files: dict[str, Path] = {}
        self._folder = folder / "database"

    def opened(self) -> DicomDatabase:
        """Open it, as a click on Create in the DICOM module."""
        self._folder.mkdir(exist_ok=True)
        self.isOpen = True
        return self

    def fileForInstance(self, uid: str) -> str:
        return str(self.files.get(uid, ""))

    def add(self, path: str, copy: bool) -> None:
        assert self.isOpen, "the database is closed"
        header = pydicom.dcmread(path, stop_before_pixels=True)
        kept = Path(path)
        if copy:
            kept = self._folder / header.StudyInstanceUID / header.SeriesInstanceUID
            kept.mkdir(parents=True, exist_ok=True)
            kept = Path(shutil.copy(path, kept / header.SOPInstanceUID))
        self.files[header.SOPInstanceUID] = kept


class ctkDICOMIndexer:
    """Reads files in the background; they are there when :meth:`waitForImportFinished` returns."""

    def __init__(self) -> None:
        self._waiting: list[tuple[DicomDatabase, str, bool]] = []

    def addListOfFiles(self, database: DicomDatabase, files: list[str], copy: bool = False) -> None:
        self._waiting += [(database, file, copy) for file in files]

    def waitForImportFinished(self) -> None:
        while self._waiting:
            database, file, copy = self._waiting.pop(0)
            database.add(file, copy)
