"""Whether a NRRD or MetaImage file is whole: neither short nor long, and as check sums say."""

from __future__ import annotations

import bz2
import math
import re
import zlib
from pathlib import Path

import SimpleITK as sitk

from SyntheticCTLib.basics.errors import SyntheticCTError

_CHUNK = 1 << 20
_DETACHED = re.compile(rb"^\s*(?:ElementDataFile\s*=|data ?file:)\s*(.+?)\s*$", re.I | re.M)


def require_whole(path: Path) -> None:
    """Raise where voxels of a NRRD or MetaImage file are damaged, or more than its header says.

    ITK takes what a damaged MetaImage unpacks to, and the first voxels of too many. Of voxels
    that are not compressed it says itself when some are missing.

    Raises:
        SyntheticCTError: more voxels than the header describes.
        EOFError, OSError, ValueError, zlib.error: truncated, or a check sum is wrong.
        RuntimeError: ITK cannot read the header.
    """
    name = path.name.lower()
    if name.endswith((".mha", ".mhd")):
        _require_meta_image(path)
    elif name.endswith((".nrrd", ".nhdr")):
        _require_nrrd(path)


def _require_meta_image(path: Path) -> None:
    header, begin = text_header(path)
    found = _DETACHED.search(header)
    named = found.group(1).decode(errors="replace") if found else "LOCAL"
    voxels = path
    if named.upper() not in ("LOCAL", "LOCAL_FILE"):
        voxels, begin = path.parent / named, 0
    if not voxels.is_file():
        return
    if re.search(rb"^\s*CompressedData\s*=\s*T", header, re.I | re.M):
        _require_unpacked(voxels, begin, zlib.decompressobj(47), _voxel_bytes(path))
    elif not re.search(rb"^\s*HeaderSize\s*=\s*[^0\s]", header, re.I | re.M):
        _require_no_more(path, voxels, begin)


def _require_nrrd(path: Path) -> None:
    header, begin = text_header(path)
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
    elif encoding == b"raw":
        _require_no_more(path, voxels, begin)


def text_header(path: Path) -> tuple[bytes, int]:
    """The lines of the header of a NRRD or MetaImage file, and where the voxels begin."""
    last = b"ElementDataFile" if path.name.lower().endswith((".mha", ".mhd")) else None
    lines = b""
    with path.open("rb") as stream:
        while len(lines) < _CHUNK and (line := stream.readline(_CHUNK)):
            lines += line
            if (last is None and not line.strip()) or (last and line.strip().startswith(last)):
                break
        return lines, stream.tell()


def _require_no_more(path: Path, voxels: Path, begin: int) -> None:
    """Refuse voxels that go on by a slice or more where the header lets them end."""
    needed = _voxel_bytes(path)
    there = voxels.stat().st_size - begin
    if there >= needed + needed // max(1, _header(path).GetSize()[-1]) > needed:
        raise SyntheticCTError(
            f"The file {voxels} holds {there} bytes of voxels, and its header describes {needed}: "
            "a size or the type of the voxels in the header is wrong; correct it."
        )


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
