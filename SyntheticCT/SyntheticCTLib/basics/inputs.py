"""Paths of inputs: a file, a folder, or one DICOM series of a folder; what a file is made up of.

Sources: the definition of NRRD (https://teem.sourceforge.net/nrrd/format.html) and of MetaImage
(https://itk.org/Wiki/ITK/MetaIO/Documentation).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from .errors import SyntheticCTError

_CHUNK = 1 << 20
_META_IMAGE, _NRRD = (".mha", ".mhd"), (".nrrd", ".nhdr")
_DETACHED = re.compile(rb"^\s*(?:ElementDataFile\s*[=:]|data ?file:)[ \t]*(.+?)\s*$", re.I | re.M)
_PAIR = re.compile(r"\.(hdr|img)(\.gz)?$", re.I)
_COUNTED = re.compile(r"%\d*d")
"""Number in the name of a slice's file, as C prints it."""
_BARE_DICOM = (b"\x02\x00", b"\x08\x00")
"""Beginnings of DICOM without preamble: group 2 or 8, little endian."""


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


def looks_like_dicom(beginning: bytes) -> bool:
    """Whether a file is DICOM by its first 132 bytes, with a preamble or without."""
    if beginning[128:132] == b"DICM":
        return True
    return beginning[:2] in _BARE_DICOM and beginning[3:4] == b"\0"


def text_header(path: Path) -> tuple[bytes, int]:
    """Return the lines of the header of a NRRD or MetaImage file, and where the voxels begin."""
    last = b"ElementDataFile" if path.name.lower().endswith(_META_IMAGE) else None
    lines = b""
    with path.open("rb") as stream:
        while len(lines) < _CHUNK and (line := stream.readline(_CHUNK)):
            lines += line
            if (last is None and not line.strip()) or (last and line.strip().startswith(last)):
                break
        return lines, stream.tell()


def voxel_files(path: Path) -> list[Path]:
    """Return the files that a NRRD or MetaImage header names for its voxels, in their order.

    Nothing where they lie in the file of the header. Of names that are counted (slice%03d.raw),
    all files that are called so, the few that the header leaves out too.
    """
    found = _DETACHED.search(text_header(path)[0])
    named = os.fsdecode(found.group(1)) if found else "LOCAL"
    if named.upper() in ("LOCAL", "LOCAL_FILE"):
        return []
    if re.match(r"LIST\b", named) and not (path.parent / named).is_file():
        with path.open("rb") as stream:
            stream.seek(found.end())
            lines = stream.read(_CHUNK).splitlines()
        return [path.parent / os.fsdecode(line.strip()) for line in lines if line.strip()]
    if _COUNTED.search(named) and not (path.parent / named).is_file():
        return _counted(path.parent / named.split()[0])
    return [path.parent / named]


def _counted(pattern: Path) -> list[Path]:
    """Return the files that are called as a pattern with a number in it, by that number."""
    name = r"(\d+)".join(re.escape(part) for part in _COUNTED.split(pattern.name))
    beside = pattern.parent.iterdir() if pattern.parent.is_dir() else ()
    numbers = {item: re.fullmatch(name, item.name) for item in beside}
    found = sorted((int(match[1]), item) for item, match in numbers.items() if match)
    return [item for _, item in found] or [pattern]


def files_of(path: Path, what: str = "file") -> list[Path]:
    """Return all files that a file of voxels is made up of: itself, and those of its voxels.

    Args:
        what: what ``path`` is in sentences ("CT").

    Raises:
        SyntheticCTError: a file that the header names does not exist.
    """
    name = path.name.lower()
    if _PAIR.search(name):
        stem = _PAIR.sub("", path.name)
        beside = (item for item in path.parent.iterdir() if _PAIR.search(item.name))
        return sorted(item for item in beside if _PAIR.sub("", item.name) == stem)
    if not name.endswith((*_META_IMAGE, *_NRRD)):
        return [path]
    voxels = voxel_files(path)
    for item in voxels:
        if not item.is_file():
            raise SyntheticCTError(
                f"The {what} {path} has its voxels in {item.name}, which does not exist: copy it "
                "to its place as well."
            )
    return [path, *voxels]
