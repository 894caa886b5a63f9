"""What a result was made of, as hashes: whether it must be made anew."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.outputs import staged_file

CARD = "patient.json"

_DETACHED = {".mhd", ".nhdr", ".hdr", ".img"}  # formats whose voxels lie in a file beside


def content_hash(path: Path, what: str = "file") -> str:
    """Return the SHA-256 of a file, or of all files in a folder, whatever their names.

    Raises:
        SyntheticCTError: there is nothing, or it cannot be read.
    """
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
    return (
        digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()
    )


def _file_hash(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_card(folder: Path, made_of: Mapping[str, Any]) -> None:
    """Write into ``folder`` what its files, all that are there now, were made of."""
    files = sorted(item.relative_to(folder).as_posix() for item in folder.rglob("*"))
    with staged_file(folder / CARD) as stage:
        stage.write_text(
            json.dumps({"made_of": made_of, "files": files}, indent=2) + "\n", encoding="utf-8"
        )


def is_current(folder: Path, made_of: Mapping[str, Any]) -> bool:
    """Whether ``folder`` holds all its files and they were made of exactly ``made_of``."""
    try:
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
        return card["made_of"] == json.loads(json.dumps(made_of)) and all(
            (folder / name).exists() for name in card["files"]
        )
    except (OSError, ValueError, KeyError, TypeError):
        return False
