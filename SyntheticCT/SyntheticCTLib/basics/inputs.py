"""Paths of inputs: a file, a folder, or one DICOM series of a folder."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path


def folder_and_series(path: str | os.PathLike) -> tuple[Path, str]:
    """Split FOLDER#SERIES into the folder and the series to be taken, "" where none is named.

    Of FOLDER#SERIES#PART, all after the folder is returned, of FILE#PART, the part of a
    file. A file or folder whose own name holds the sign is taken as it is.
    """
    path = Path(path)
    whole = str(path)
    if not path.exists():
        for end in (i for i in reversed(range(len(whole))) if whole[i] == "#"):
            if Path(whole[:end]).exists():
                return Path(whole[:end]), whole[end + 1 :].strip()
    return path, ""


def without_folders(sentence: str, inputs: Iterable[str | os.PathLike]) -> str:
    """Return a sentence in which the folders that hold ``inputs`` are left out of every path.

    They may be named after a patient, and results are shown to others.
    """
    places = [folder_and_series(path)[0] for path in inputs]
    ways = (Path, Path.absolute, Path.resolve)
    folders = {str(way(place).parent) for place in places for way in ways} - {".", os.sep}
    for folder in sorted(folders, key=len, reverse=True):
        sentence = sentence.replace(folder + os.sep, "")
    return sentence
