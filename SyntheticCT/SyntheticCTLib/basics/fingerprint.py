"""Hashes of files by their content: whether what results were made of has changed."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from .errors import SyntheticCTError
from .inputs import files_of, folder_and_series, looks_like_dicom


def content_hash(path: str | os.PathLike, what: str = "file") -> str:
    """Return the SHA-256 of a file, with its voxels' where they lie beside it, or of a folder.

    Of a folder, all files count. The names of DICOM files, which mean nothing, do not; those of
    others do: masks are told apart by them. Of FOLDER#SERIES, the name of the series belongs to it.

    Raises:
        SyntheticCTError: there is nothing, it cannot be read, or voxels that a header names are
            not there.
    """
    path, series = folder_and_series(path)
    if not path.exists():
        raise SyntheticCTError(f"The {what} {path} does not exist: check the path.")
    try:
        if path.is_dir():
            files = [item for item in path.rglob("*") if item.is_file()]
            digests = sorted(_hash_in(path, item) for item in files)
        else:
            # In their order, as two files of slices may be exchanged.
            digests = [_file_hash(item) for item in files_of(path, what)]
    except OSError as error:
        raise SyntheticCTError(
            f"The {what} {path} cannot be read ({error.strerror}): check its permissions."
        ) from error
    if not digests:
        raise SyntheticCTError(f"The {what} {path} is an empty folder: copy its files again.")
    if len(digests) == 1 and not series:
        return digests[0]
    return hashlib.sha256("".join([*digests, series]).encode()).hexdigest()


def _hash_in(folder: Path, path: Path) -> str:
    """Return the hash of a file in ``folder``, and of its name where that may mean something."""
    digest = _file_hash(path)
    with path.open("rb") as stream:
        if looks_like_dicom(stream.read(132)):
            return digest
    name = os.fsencode(path.relative_to(folder).as_posix())
    return hashlib.sha256(name + b"\0" + digest.encode()).hexdigest()


def _file_hash(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
