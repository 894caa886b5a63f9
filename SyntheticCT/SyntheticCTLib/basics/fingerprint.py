"""Hashes of files by their content: what results were made of, and whether that has changed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from SyntheticCTLib import __version__

from .errors import SyntheticCTError
from .inputs import folder_and_series

_DETACHED = {".mhd", ".nhdr", ".hdr", ".img"}  # formats whose voxels lie in a file beside


def origin(
    inputs: Mapping[str, str | os.PathLike],
    options: Mapping[str, Any],
    hashes: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return what a result is made of: program, time, options, and name and hash of every input.

    Args:
        inputs: files and folders by what they are.
        options: what was asked for, as JSON has it.
        hashes: those of ``inputs``, where they are known.

    Raises:
        SyntheticCTError: an input does not exist or cannot be read.
    """
    known = hashes or {}
    return {
        "program": f"synthetic-ct {__version__}",
        "date": datetime.now().astimezone().isoformat(timespec="seconds"),
        "options": dict(options),
        "inputs": {
            what: {
                "file": Path(path).name,
                "sha256": known.get(what) or content_hash(path, what),
            }
            for what, path in inputs.items()
        },
    }


def content_hash(path: str | os.PathLike, what: str = "file") -> str:
    """Return the SHA-256 of a file, or of all files in a folder, whatever their names.

    Of FOLDER#SERIES, the name of the series belongs to it.

    Raises:
        SyntheticCTError: there is nothing, or it cannot be read.
    """
    path, series = folder_and_series(path)
    if path.is_dir():
        files = [item for item in path.rglob("*") if item.is_file()]
    elif path.suffix.lower() in _DETACHED:
        files = [item for item in path.parent.glob("*") if item.stem.split(".")[0] == path.stem]
    else:
        files = [path]
    if not path.exists():
        raise SyntheticCTError(f"The {what} {path} does not exist: check the path.")
    try:
        digests = sorted(_file_hash(item) for item in files)
    except OSError as error:
        raise SyntheticCTError(
            f"The {what} {path} cannot be read ({error.strerror}): check its permissions."
        ) from error
    if len(digests) == 1 and not series:
        return digests[0]
    return hashlib.sha256("".join([*digests, series]).encode()).hexdigest()


def _file_hash(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
