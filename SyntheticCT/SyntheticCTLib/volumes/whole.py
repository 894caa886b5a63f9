"""Whether a NRRD or MetaImage file is whole: long enough, and as its check sums say."""

from __future__ import annotations

import bz2
import math
import re
import zlib
from pathlib import Path

import SimpleITK as sitk

_CHUNK = 1 << 20
_DETACHED = re.compile(rb"^\s*(?:ElementDataFile\s*=|data ?file:)\s*(.+?)\s*$", re.I | re.M)


def require_whole(path: Path) -> None:
    """Raise where the compressed voxels of a NRRD or MetaImage file are damaged.

    ITK takes what a damaged MetaImage unpacks to. Of voxels that are not compressed it says
    itself when some are missing.

    Raises:
        EOFError, OSError, ValueError, zlib.error: truncated, or a check sum is wrong.
        RuntimeError: ITK cannot read the header.
    """
    name = path.name.lower()
    if name.endswith((".mha", ".mhd")):
        _require_meta_image(path)
    elif name.endswith((".nrrd", ".nhdr")):
        _require_nrrd(path)


def _require_meta_image(path: Path) -> None:
    header, begin = _text_header(path, b"ElementDataFile")
    if not re.search(rb"^\s*CompressedData\s*=\s*T", header, re.I | re.M):
        return
    found = _DETACHED.search(header)
    named = found.group(1).decode(errors="replace") if found else "LOCAL"
    if named.upper() in ("LOCAL", "LOCAL_FILE"):
        _require_unpacked(path, begin, zlib.decompressobj(47), _voxel_bytes(path))
    elif (path.parent / named).is_file():
        _require_unpacked(path.parent / named, 0, zlib.decompressobj(47), _voxel_bytes(path))


def _require_nrrd(path: Path) -> None:
    header, begin = _text_header(path, None)
    kind = re.search(rb"^encoding:\s*(\S+)\s*$", header, re.I | re.M)
    found = _DETACHED.search(header)
    voxels = path.parent / found.group(1).decode(errors="replace") if found else path
    encoding = kind.group(1).lower() if kind else b"raw"
    skips = re.search(rb"^(?:line|byte) ?skip:\s*[^0\s]", header, re.I | re.M)
    if skips or not voxels.is_file():
        return
    begin = 0 if found else begin
    if encoding in (b"gzip", b"gz"):
        _require_unpacked(voxels, begin, zlib.decompressobj(31), _voxel_bytes(path))
    elif encoding in (b"bzip2", b"bz2"):
        _require_unpacked(voxels, begin, bz2.BZ2Decompressor(), _voxel_bytes(path))


def _text_header(path: Path, last: bytes | None) -> tuple[bytes, int]:
    """The lines of a header, and where the voxels begin.

    Args:
        last: key of the last line; None where an empty line ends the header.
    """
    lines = b""
    with path.open("rb") as stream:
        while len(lines) < _CHUNK and (line := stream.readline(_CHUNK)):
            lines += line
            if (last is None and not line.strip()) or (last and line.strip().startswith(last)):
                break
        return lines, stream.tell()


def _require_unpacked(path: Path, begin: int, unpacker, needed: int) -> None:
    """Unpack all of a file, which raises for a wrong check sum, and count the bytes.

    Of gzip, the length at the end of the file is part of what is checked.
    """
    there = 0
    with path.open("rb") as stream:
        stream.seek(begin)
        while not unpacker.eof and (block := stream.read(_CHUNK)):
            there += len(unpacker.decompress(block))
    if not unpacker.eof or there < needed:
        raise EOFError(f"{there} of {needed} bytes")


def _voxel_bytes(path: Path) -> int:
    header = _header(path)
    pixel = {
        name: size
        for size, names in (
            (1, (sitk.sitkInt8, sitk.sitkUInt8, sitk.sitkVectorInt8, sitk.sitkVectorUInt8)),
            (2, (sitk.sitkInt16, sitk.sitkUInt16, sitk.sitkVectorInt16, sitk.sitkVectorUInt16)),
            (4, (sitk.sitkInt32, sitk.sitkUInt32, sitk.sitkFloat32, sitk.sitkVectorFloat32)),
            (8, (sitk.sitkInt64, sitk.sitkUInt64, sitk.sitkFloat64, sitk.sitkVectorFloat64)),
        )
        for name in names
    }.get(header.GetPixelID(), 0)
    return math.prod(header.GetSize()) * header.GetNumberOfComponents() * pixel


def _header(path: Path) -> sitk.ImageFileReader:
    header = sitk.ImageFileReader()
    header.SetFileName(str(path))
    header.ReadImageInformation()
    return header
