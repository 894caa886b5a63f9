"""Paths of inputs: a file, a folder, or one DICOM series of a folder."""

from __future__ import annotations

import os
from pathlib import Path


def folder_and_series(path: str | os.PathLike) -> tuple[Path, str]:
    """Split FOLDER#SERIES into the folder and the series to be taken, "" where none is named.

    A file or folder whose own name holds the sign is taken as it is.
    """
    path = Path(path)
    folder, sign, series = str(path).rpartition("#")
    if path.exists() or not sign or not Path(folder).is_dir():
        return path, ""
    return Path(folder), series.strip()
