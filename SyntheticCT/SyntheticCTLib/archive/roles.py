"""The role proposed for each series, and why; what is ambiguous has none, and is named."""

from __future__ import annotations

from collections.abc import Sequence

from SyntheticCTLib.basics.errors import SyntheticCTError

from .facts import RT
from .mr_roles import FAT, IN_PHASE, OPPOSED, T2, WATER, is_scout, mr_role
from .references import resolve_references
from .rows import FEW_SLICES, Row
from .synthetic import ct_role

CT, MRCAT, SYNTHETIC, NONE = "CT", "MRCAT", "synthetic CT", "none"
ROLES = (T2, CT, MRCAT, SYNTHETIC, IN_PHASE, WATER, FAT, OPPOSED, *RT, NONE)
"""All roles; "none" is what a user gives to a series that is not to be used."""
_MODALITIES = {T2: ("MR",), CT: ("CT", "", "OT"), MRCAT: ("CT", "MR", "", "OT")}
_MODALITIES |= {SYNTHETIC: _MODALITIES[MRCAT]}
_MODALITIES |= dict.fromkeys((IN_PHASE, WATER, FAT, OPPOSED), ("MR",))


def propose_roles(rows: Sequence[Row], chosen: Sequence[str] = ()) -> None:
    """Fill in the roles of rows, those that the user sets last.

    Args:
        chosen: SERIES=ROLE, or SERIES=ROLE@SERIES of an RT file and the image that it is on.

    Raises:
        SyntheticCTError: no such series or role, or a role that the series cannot have.
    """
    for row in rows:
        if row.image:
            row.role, row.why, row.ambiguous = _image_role(row, rows)
        elif row.facts.kind in RT:
            row.role = row.facts.kind
        else:
            row.why = f"no role here: modality {row.facts.modality or 'not said'}"
    set_rows = [(text, *_parsed(text, rows)) for text in chosen]
    for text, row, role, on in set_rows:
        _check(text, row, role, on)
        row.role, row.why = ("" if role == NONE else role), "set by --role"
        row.ambiguous, row.chosen = "", True
        row.on = on
    resolve_references(rows)
    for _, row, _, _ in set_rows:
        row.why = "set by --role" + (f", on {row.on.label}" if row.on is not None else "")


def _image_role(row: Row, rows: Sequence[Row]) -> tuple[str, str, str]:
    if is_scout(row):
        return "", "no role here: a localizer", ""
    if row.slices < FEW_SLICES:
        return "", f"no role here: {row.slices} slice{'s' if row.slices > 1 else ''}", ""
    if row.facts.modality == "MR":
        return mr_role(row)
    if row.facts.modality == "CT":
        return ct_role(row, rows)
    if row.facts.modality in ("", "OT"):
        return "", "", "images that do not say of which modality they are: set its role"
    return "", f"no role here: modality {row.facts.modality}", ""


def _parsed(text: str, rows: Sequence[Row]) -> tuple[Row, str, Row | None]:
    name, _, value = text.rpartition("=")
    role, _, on = value.partition("@")
    role = " ".join(role.split())
    known = next((one for one in ROLES if one.casefold() == role.casefold()), None)
    if not name or known is None:
        raise SyntheticCTError(
            f"{text!r} sets no role: write SERIES=ROLE, with one of {', '.join(ROLES)}."
        )
    return _row(name.strip(), rows), known, _row(on.strip(), rows) if on else None


def _row(name: str, rows: Sequence[Row]) -> Row:
    """The row that is named by its label, its UID, UID#PART, or the UID of its one file."""
    series, _, part = name.partition("#")
    found = [row for row in rows if name == row.label]
    found = found or [row for row in rows if row.facts.instance == name and not row.image]
    found = found or [
        row
        for row in rows
        if row.facts.series == series and (not part or row.part.casefold() == part.casefold())
    ]
    if len(found) == 1:
        return found[0]
    reason = f"is {', '.join(row.label for row in found)}" if found else "is not there"
    raise SyntheticCTError(
        f"The series {name} {reason}: give one as the table names it, such as "
        f"{(found or rows)[0].label if rows else 'p01.1'}."
    )


def _check(text: str, row: Row, role: str, on: Row | None) -> None:
    if role == NONE:
        return
    fits = (
        row.facts.kind == role
        if role in RT
        else row.image and row.facts.modality in _MODALITIES[role]
    )
    if not fits:
        raise SyntheticCTError(
            f"{text!r} cannot be: {row.label} is of modality {row.facts.modality or 'not said'}; "
            "give it a role that fits."
        )
    if on is not None and (role not in RT or not on.image or on.patient != row.patient):
        raise SyntheticCTError(
            f"{text!r} cannot be: only RTSTRUCT, RTPLAN and RTDOSE are on an image, of the same "
            "patient."
        )
