"""NRRD and MetaImage: whether a file is whole, and what its header leaves out or ITK passes over.

Sources: the definition of NRRD (https://teem.sourceforge.net/nrrd/format.html) and of MetaImage
(https://itk.org/Wiki/ITK/MetaIO/Documentation).
"""

from __future__ import annotations

import bz2
import math
import re
import zlib
from pathlib import Path

import SimpleITK as sitk

from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.inputs import text_header, voxel_files
from SyntheticCTLib.basics.progress import Progress

_CHUNK = 1 << 20
_MILLIMETRES = ("mm", "millimeter", "millimeters", "millimetre", "millimetres", "", "???")
_ANATOMICAL = ("left-posterior-superior", "right-anterior-superior", "left-anterior-superior")
_ANATOMICAL_SHORT = ("lps", "ras", "las")
_OPPOSITE = str.maketrans("RLAPIS", "LRPASI")


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
    voxels, begin = _one_file(path, begin)
    if voxels is None:
        return
    if re.search(rb"^\s*CompressedData\s*=\s*T", header, re.I | re.M):
        _require_unpacked(voxels, begin, zlib.decompressobj(47), _voxel_bytes(path))
    elif not re.search(rb"^\s*HeaderSize\s*=\s*[^0\s]", header, re.I | re.M):
        _require_no_more(path, voxels, begin)


def _require_nrrd(path: Path) -> None:
    header, begin = text_header(path)
    kind = re.search(rb"^encoding:\s*(\S+)\s*$", header, re.I | re.M)
    voxels, begin = _one_file(path, begin)
    encoding = kind.group(1).lower() if kind else b"raw"
    skips = re.search(rb"^(?:line|byte) ?skip:\s*[^0\s]", header, re.I | re.M)
    if skips or voxels is None:
        return
    if encoding in (b"gzip", b"gz"):
        _require_unpacked(voxels, begin, zlib.decompressobj(31), _voxel_bytes(path))
    elif encoding in (b"bzip2", b"bz2"):
        _require_unpacked(voxels, begin, bz2.BZ2Decompressor(), _voxel_bytes(path))
    elif encoding == b"raw":
        _require_no_more(path, voxels, begin)


def _one_file(path: Path, begin: int) -> tuple[Path | None, int]:
    """Return the file that holds all voxels of a header, and where they begin in it.

    None where there are several, of which ITK tells itself when one is missing, or none.
    """
    found = voxel_files(path)
    if not found:
        return path, begin
    return (found[0], 0) if len(found) == 1 and found[0].is_file() else (None, 0)


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


def check_text_header(path: Path, image: sitk.Image, what: str, progress: Progress) -> None:
    """Refuse or warn of what ITK passes over, or makes up, of a NRRD or MetaImage file.

    Args:
        image: as ITK read the file.
        what: the role that sentences name.

    Raises:
        SyntheticCTError: no voxel size, or another unit than mm; values that are to be rescaled.
    """
    fields = _fields(text_header(path)[0])
    name = f"{what} {path}"
    if path.name.lower().endswith((".mha", ".mhd")):
        _check_meta_image(fields, image, name, progress)
    else:
        _check_nrrd(fields, name, progress)


def _fields(header: bytes) -> dict[str, str]:
    """Fields of a header by their names in small letters, without blanks and underscores."""
    found = {}
    for line in header.decode(errors="replace").splitlines():
        match = re.match(r"([^:=#]+?)\s*(?::=|:|=)\s*(.*)", line)
        if match and ":=" not in line:
            found[re.sub(r"[\s_]", "", match[1]).lower()] = match[2].strip()
    return found


def _check_nrrd(fields: dict[str, str], name: str, progress: Progress) -> None:
    for field in ("spaceunits", "units"):
        units = re.findall(r'"([^"]*)"', fields.get(field, ""))
        other = [unit for unit in units if unit.strip().lower() not in _MILLIMETRES]
        if other and fields.get("dimension") == "3":
            raise SyntheticCTError(
                f"The {name} has its voxel sizes in {other[0]!r}: save it with sizes in mm."
            )
    if "spacedirections" not in fields and "spacings" not in fields:
        _refuse_without_size(name, "space directions")
    space = fields.get("space", "").lower().removesuffix("-time")
    if "spaceorigin" not in fields or space not in (*_ANATOMICAL, *_ANATOMICAL_SHORT):
        _warn_of_place(name, "an anatomical space or the space origin", progress)


def _check_meta_image(
    fields: dict[str, str], image: sitk.Image, name: str, progress: Progress
) -> None:
    for field, usual in (("slope", 1.0), ("offset", 0.0)):
        value = fields.get(f"elementtointensityfunction{field}", str(usual))
        try:
            differs = float(value) != usual
        except ValueError:
            differs = True
        if differs:
            raise SyntheticCTError(
                f"The {name} says that its values are to be rescaled "
                f"(ElementToIntensityFunction{field.title()} {value}), which some programs do and "
                "others do not: save it with the values that are meant."
            )
    if "elementspacing" not in fields and "elementsize" not in fields:
        _refuse_without_size(name, "ElementSpacing")
    if not {"offset", "position", "origin"} & fields.keys():
        _warn_of_place(name, "Offset", progress)
    said = fields.get("anatomicalorientation", "").upper()
    if image.GetDimension() == 3 and re.fullmatch("[RL][AP][IS]|[RLAPIS]{3}", said):
        axes = sitk.DICOMOrientImageFilter.GetOrientationFromDirectionCosines(image.GetDirection())
        if said not in (axes, axes.translate(_OPPOSITE)):
            progress.warn(
                f"The {name} says that its axes are {said} (AnatomicalOrientation), and its matrix "
                f"says {axes.translate(_OPPOSITE)}, which was taken: check that it lies on the "
                "others."
            )


def _refuse_without_size(name: str, field: str) -> None:
    raise SyntheticCTError(
        f"The {name} does not say how large its voxels are ({field} is missing): save it with "
        "its voxel sizes in mm."
    )


def _warn_of_place(name: str, field: str, progress: Progress) -> None:
    progress.warn(
        f"The {name} does not say where it lies ({field} is missing): check that it lies on the "
        "others."
    )
