"""Temporary folders of a Slicer session, which may hold a patient's volumes: none outlives it."""

from __future__ import annotations

import contextlib
from pathlib import Path

from SyntheticCTLib.basics.stages import discard_stages, tidy, work_folder

FOLDER_PREFIX = "SyntheticCT-"
"""Begins the names of working folders."""

_SESSION = contextlib.ExitStack()
_FOLDERS: list[Path] = []


def session_folder() -> Path:
    """Return a folder that is there until Slicer quits, for what another program shows."""
    if not _FOLDERS or not _FOLDERS[-1].is_dir():
        _FOLDERS.append(_SESSION.enter_context(work_folder(FOLDER_PREFIX)))
    return _FOLDERS[-1]


def tidy_at_start() -> None:
    """Remove what a Slicer that has crashed, or was killed, has left."""
    tidy(prefix=FOLDER_PREFIX)


def tidy_at_quit() -> None:
    """Remove everything of this session."""
    _SESSION.close()
    _FOLDERS.clear()
    discard_stages()
