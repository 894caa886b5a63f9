"""Hashes of files by their content: whether what results were made of has changed."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from .errors import SyntheticCTError
from .inputs import folder_and_series

_DETACHED = {".mhd", ".nhdr", ".hdr", ".img"}  # formats whose voxels lie in a file beside


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
