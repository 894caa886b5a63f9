"""Which slope and intercept turn stored values into the intensities that are compared.

Rescale slope and intercept (0028,1053 and 1052) give what a scanner of Philips displays: they are
chosen for each image so that it fills the range of its bits. What was measured, alike in all
slices, echoes and series of an examination, follows from the private scale slope and intercept:
(stored - (2005,100D)) / (2005,100E). Source: Chenevert et al., Errors in Quantitative Image
Analysis due to Platform-Dependent Image Scaling, Transl Oncol 2014;7:65-71, where it is
(stored x RS + RI) / (RS x SS). An MR has these wherever its header does; what is no intensity (HU,
or the role of a candidate) has rescale slope and intercept. Files without either may have a real
world value mapping (PS3.3 C.7.6.16.2.11).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from SyntheticCTLib.basics.errors import SyntheticCTError

if TYPE_CHECKING:
    from pathlib import Path

    import pydicom

_CREATOR = "Philips MR Imaging DD 001"
_GROUP, _INTERCEPT, _SLOPE = 0x2005, 0x0D, 0x0E
_BLOCKS = range(0x10, 0x18)
SCALING_TAGS = [
    "RescaleSlope",
    "RescaleIntercept",
    "RescaleType",
    "ModalityLUTSequence",
    "RealWorldValueMappingSequence",
    *((_GROUP, block) for block in _BLOCKS),
    *((_GROUP, block << 8 | element) for block in _BLOCKS for element in (_INTERCEPT, _SLOPE)),
]
"""Elements that are read for it."""
RESCALE, PHILIPS, REAL_WORLD, NONE = "rescale", "Philips", "real world", ""
"""Where slope and intercept are from."""


def rescale_of(item: pydicom.Dataset, path: Path, what: str, modality: str) -> tuple[float, float]:
    """Return slope and intercept of a header; of a frame's, with all its functional groups.

    Raises:
        SyntheticCTError: they are no numbers, the slope is 0, the values go through a table, or
            they are of another quantity than Hounsfield units in what must be a CT.
    """
    if item.get("ModalityLUTSequence"):
        raise SyntheticCTError(
            f"The {what} {path} turns stored values into others by a table (Modality LUT), which "
            "is not read: export it with rescale slope and intercept."
        )
    result = []
    for name, usual in (("RescaleSlope", 1.0), ("RescaleIntercept", 0.0)):
        if item.get(name) in (None, ""):
            result.append(usual)
            continue
        try:
            result.append(float(item.get(name)))
        except (TypeError, ValueError):
            result.append(np.nan)
    if not np.isfinite(result).all() or result[0] == 0:
        raise SyntheticCTError(
            f"The {what} {path} has a rescale slope or intercept that cannot be (slope "
            f"{item.get('RescaleSlope')}, intercept {item.get('RescaleIntercept')}): export it "
            "again."
        )
    quantity = str(item.get("RescaleType") or "HU").strip().upper()
    if modality == "CT" and quantity not in ("HU", "US", "HU_MOD"):
        raise SyntheticCTError(
            f"The {what} {path} holds {quantity} and not Hounsfield units (its RescaleType): give "
            "the series in HU."
        )
    return result[0], result[1]


def scaling_of(
    item: pydicom.Dataset, path: Path, what: str, modality: str
) -> tuple[tuple[float, float], str]:
    """Return slope and intercept of the intensities, and where they are from.

    Args:
        item: header of a slice, or of a frame with all its functional groups.
        path, what: name it in sentences; a candidate is in HU and not in intensities of MR.

    Raises:
        SyntheticCTError: see :func:`rescale_of`; a mapping to real world values by a table, or
            several that differ.
    """
    rescale = rescale_of(item, path, what, modality)
    # An intercept of 0 may be left out of an MR, and never of a CT.
    names = ("RescaleIntercept",) if modality == "CT" else ("RescaleSlope", "RescaleIntercept")
    told = any(item.get(name) not in (None, "") for name in names)
    quantity = str(item.get("RescaleType") or "").strip().upper()
    intensities = modality == "MR" and quantity not in ("HU", "HU_MOD")
    if intensities and not what.startswith(("candidate", "CT")):
        private = _philips(item)
        if private:
            return private, PHILIPS
    if modality == "MR" and not told and (mapping := _real_world(item, path, what)):
        return mapping, REAL_WORLD
    return rescale, RESCALE if told else NONE


def _philips(item: pydicom.Dataset) -> tuple[float, float] | None:
    """Slope and intercept of what was measured; None where they are not told."""
    try:
        block = item.private_block(_GROUP, _CREATOR)
        slope = _number(block[_SLOPE].value)
        intercept = _number(block[_INTERCEPT].value) if _INTERCEPT in block else 0.0
    except (KeyError, TypeError, ValueError):
        return None
    if not np.isfinite([slope, intercept]).all() or slope <= 0:
        return None
    return 1 / slope, -intercept / slope


def _number(value: object) -> float:
    """A number; of implicit files it comes as the bytes of a float of 32 bits."""
    if isinstance(value, bytes):
        return float(np.frombuffer(value, "<f4")[0])
    return float(value)


def _real_world(item: pydicom.Dataset, path: Path, what: str) -> tuple[float, float] | None:
    found = set()
    for mapping in item.get("RealWorldValueMappingSequence") or [item]:
        if "RealWorldValueSlope" in mapping:
            found.add(
                (float(mapping.RealWorldValueSlope), float(mapping.RealWorldValueIntercept or 0))
            )
        elif "RealWorldValueLUTData" in mapping:
            found.add((np.nan, np.nan))
    if not found:
        return None
    (slope, intercept), *others = found
    if others or not np.isfinite([slope, intercept]).all() or slope == 0:
        raise SyntheticCTError(
            f"The {what} {path} turns stored values into real world values by a table or in "
            "several ways, which is not read: export it with rescale slope and intercept."
        )
    return slope, intercept
