"""Whether a CT-like series was computed: by what its header says, its values, and its frame."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.dicom.pixels import stored_values
from SyntheticCTLib.mrcat.bulk_densities import BULK_HU

from .index import Entry
from .rows import FEW_SLICES, Row
from .scan import Scan

UNREADABLE = -2
_FEW = 16
"""Distinct values that are kept; more are no classes."""
_LEAST_CLASSES = 3
_FEW_OF_MRCAT = "its middle slice has only"
_MRCAT = re.compile(r"mr[ _-]?cat(?![a-z])", re.IGNORECASE)
_SYNTHETIC = re.compile(
    r"synthetic[ _-]*ct|(?<![a-z'])s[ _-]?ct(?![a-z])|pseudo[ _-]*ct|"
    r"substitute[ _-]*ct|mri[ _-]?planner|mr[ _-]?(based|derived)[ _-]*ct|bulk[ _-]*densit",
    re.IGNORECASE,
)
"""pCT is not among them: it is a planning CT as often as a pseudo-CT."""
_CLEAR = re.compile(r"synthetic|pseudo|substitute|planner|based|derived|bulk", re.IGNORECASE)
"""Words without which sCT stands alone, as some call the CT of a simulator."""
_OTHER_CT = re.compile(
    r"cbct|cone[ _-]?beam|mvct|on-board imager|(?<![a-z])(xvi|obi|mip|minip|aip)(?![a-z])",
    re.IGNORECASE,
)
_SAYING = ("SeriesDescription", "ProtocolName", "DerivationDescription", "ImageComments")
_MAKING = ("ManufacturerModelName", "SoftwareVersions")


def look_at_values(rows: Sequence[Row], found: Scan) -> int:
    """Note which values the middle slice of every CT and MR has; return how many were opened."""
    opened = 0
    for row in rows:
        entry = row.middle
        wanted = row.facts.modality in ("CT", "MR") and not row.localizer
        mixed = row.part and row.facts.frames  # frames of several parts in one file
        if not row.image or not wanted or mixed or row.slices < FEW_SLICES or entry is None:
            continue
        if entry.distinct == -1:
            _look(entry, found)
            opened += 1
    return opened


def _look(entry: Entry, found: Scan) -> None:
    try:
        values = stored_values(found.path(entry), "image")
    except (SyntheticCTError, MemoryError):
        entry.distinct = UNREADABLE
        return
    middle = values[len(values) // 2]
    slope, intercept = entry.facts.rescale
    distinct = np.unique(middle) * slope + intercept
    entry.distinct = len(distinct)
    entry.values = [float(v) for v in distinct] if len(distinct) <= _FEW else []


def mrcat_said(row: Row) -> str:
    """Return what in the header calls it an MRCAT; "" where nothing does."""
    return _said(row, _MRCAT)


def synthetic_said(row: Row) -> str:
    """Return what in the header calls it a computed CT; "" where nothing does."""
    return _said(row, _SYNTHETIC)


def _said(row: Row, pattern: re.Pattern) -> str:
    texts = {name: row.facts.text(name) for name in (*_SAYING, *_MAKING)}
    texts["ImageType"] = " ".join(row.facts.type)
    return next(
        (f"{name} says {text!r}" for name, text in texts.items() if pattern.search(text)), ""
    )


def mrcat_values(row: Row) -> tuple[bool | None, str]:
    """Return whether the middle slice has MRCAT's values and no others, and a clause about it.

    None where that cannot be told: not looked at, unreadable, or too few values.
    """
    entry = row.middle
    if entry is None or entry.distinct == -1:
        return None, "its values were not looked at"
    if entry.distinct == UNREADABLE:
        return None, "the pixels of its middle slice cannot be read"
    own = [value for value in entry.values if any(abs(value - hu) < 0.5 for hu in BULK_HU)]
    if entry.distinct > len(BULK_HU) or len(own) < entry.distinct:
        return False, f"its middle slice has {entry.distinct} different values"
    if entry.distinct < _LEAST_CLASSES:
        return None, f"{_FEW_OF_MRCAT} {entry.distinct} different values, which are MRCAT's"
    listed = ", ".join(f"{value:g}" for value in own)
    return True, f"all values of its middle slice are MRCAT's ({listed} HU)"


def ct_role(row: Row, rows: Sequence[Row]) -> tuple[str, str, str]:
    """Return role, why, and what is ambiguous of a series of the modality CT."""
    values, told = mrcat_values(row)
    if values:
        return "MRCAT", told, ""
    if said := mrcat_said(row):
        if values is False:
            told = f"{told}, not the five of an MRCAT"
        return "", "", f"{said}, but {told}: set its role"
    x_ray = [n for n in ("KVP", "ConvolutionKernel") if (row.facts.values or {}).get(n)]
    if said := synthetic_said(row):
        if x_ray and "ORIGINAL" in row.facts.type and not _CLEAR.search(said):
            return "", "", f"{said}, but original with tube voltage: set its role"
        return "synthetic CT", said, ""
    if told.startswith(_FEW_OF_MRCAT):
        return "", "", f"modality CT, but {told}: set its role"
    if other := _said(row, _OTHER_CT):
        return "", f"no role here: {other}", ""
    beside = [
        other.label
        for other in rows
        if other.patient == row.patient
        and other.facts.modality == "MR"
        and other.facts.frame
        and other.facts.frame == row.facts.frame
    ]
    if beside:
        return (
            "",
            "",
            f"modality CT in the frame of reference of the MR {beside[0]}: it may be the true CT "
            "laid on the MR, or computed from it; set its role",
        )
    if "DERIVED" in row.facts.type and not x_ray:
        return (
            "",
            "",
            "modality CT, derived, without tube voltage: it may be computed; set its role",
        )
    origin = "original" if "ORIGINAL" in row.facts.type else ""
    why = ", ".join(filter(None, ["modality CT", origin, "with tube voltage" if x_ray else ""]))
    return "CT", why, ""
