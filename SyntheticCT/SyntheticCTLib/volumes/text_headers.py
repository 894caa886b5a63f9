"""What the text headers of NRRD and MetaImage files say, or leave out, and ITK does not tell.

Sources: the definition of NRRD (https://teem.sourceforge.net/nrrd/format.html) and of MetaImage
(https://itk.org/Wiki/ITK/MetaIO/Documentation).
"""

from __future__ import annotations

import re
from pathlib import Path

import SimpleITK as sitk

from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import Progress

from .whole import text_header

_MILLIMETRES = ("mm", "millimeter", "millimeters", "millimetre", "millimetres", "", "???")
_ANATOMICAL = ("left-posterior-superior", "right-anterior-superior", "left-anterior-superior")
_ANATOMICAL_SHORT = ("lps", "ras", "las")
_OPPOSITE = str.maketrans("RLAPIS", "LRPASI")


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
