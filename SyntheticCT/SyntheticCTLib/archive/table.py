"""What people are shown of a folder: a table without names, and the same as JSON values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from .facts import DAMAGED, DIRECTORY, FOREIGN
from .rows import Row
from .scan import Scan

_HEADER = ("series", "mod.", "slices", "spacing mm", "frame", "role", "description", "why")
_LISTED = 10  # damaged files that are named


def table(rows: Sequence[Row]) -> str:
    """Return patients, studies and series as lines of text."""
    lines: list[tuple[str, ...] | str] = [_HEADER]
    for number, row in enumerate(rows):
        before = rows[number - 1] if number else None
        if before is None or (before.patient, before.study) != (row.patient, row.study):
            lines.append(f"{row.patient}, study {row.study}")
        role = row.role or ("?" if row.ambiguous else "-")
        if row.on is not None:
            role += f" on {row.on.label}"
        name = " ".join(filter(None, [row.description, f"[{row.part}]" if row.part else ""]))
        spacing = " x ".join(f"{value:.4g}" for value in row.spacing)
        lines.append(
            (
                *(row.label, row.facts.modality or "-", str(row.slices), spacing or "-"),
                *(row.frame or "-", role, name[:40] or "-", _why(row)),
            )
        )
    widths = [
        max(len(line[column]) for line in lines if not isinstance(line, str))
        for column in range(len(_HEADER) - 1)
    ]
    return "\n".join(
        line
        if isinstance(line, str)
        else "  ".join(cell.ljust(width) for cell, width in zip(line, [*widths, 0], strict=True))
        for line in lines
    )


def _why(row: Row) -> str:
    told = [row.why, f"ambiguous: {row.ambiguous}" if row.ambiguous else ""]
    if row.role and row.no_cell:
        told.append(f"cannot be used: {row.no_cell}")
    return "; ".join(filter(None, told))


def as_values(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return the rows as JSON values, with UIDs and without names."""
    return [
        {
            "series": row.label,
            "patient": row.patient,
            "study": row.study,
            "uid": row.facts.series,
            "part": row.part,
            "modality": row.facts.modality,
            "description": row.description,
            "slices": row.slices,
            "size": list(row.size),
            "spacing_mm": list(row.spacing),
            "frame_of_reference": row.facts.frame,
            "on": row.on.label if row.on else "",
            "role": row.role,
            "why": row.why,
            "ambiguous": row.ambiguous,
            "problem": row.no_cell,
        }
        for row in rows
    ]


def counted(found: Scan, copies: int) -> str:
    """Return a sentence about the files of the folder."""
    kinds = Counter(entry.facts.kind for entry in found.entries)
    parts = [f"{len(found.entries)} files", f"{found.read} of them read now"]
    for kind, name in ((FOREIGN, "no DICOM"), (DIRECTORY, "DICOMDIR"), (DAMAGED, "damaged")):
        if kinds[kind]:
            parts.append(f"{kinds[kind]} {name}")
    if copies:
        parts.append(f"{copies} copies of others")
    return ", ".join(parts) + "."


def warnings_of(found: Scan, rows: Sequence[Row], copies: int) -> list[str]:
    """Return what people should check, without names."""
    told = list(found.persons.notes)
    damaged = [entry for entry in found.entries if entry.facts.kind == DAMAGED]
    if damaged:
        listed = ", ".join(f"{e.shown} {e.facts.problem}" for e in damaged[:_LISTED])
        more = f", and {len(damaged) - _LISTED} more" if len(damaged) > _LISTED else ""
        told.append(f"{_files(len(damaged))} left out: {listed}{more}; copy again.")
    if copies:
        told.append(f"{_files(copies)} left out, with the instance UID of another one.")
    if missing := _missing(found):
        told.append(
            f"{_files(missing)} missing that a DICOMDIR lists: copy the whole medium again."
        )
    owners: dict[str, set[str]] = {}
    for row in rows:
        owners.setdefault(row.facts.series or row.label, set()).add(row.patient)
    for patients in owners.values():
        if len(patients) > 1:
            told.append(f"One series UID stands with {' and '.join(sorted(patients))}: check it.")
    return told


def _files(count: int) -> str:
    return "1 file is" if count == 1 else f"{count} files are"


def _missing(found: Scan) -> int:
    """How many files a DICOMDIR lists that are not there; media write names in capitals."""
    there = {entry.path.casefold() for entry in found.entries}
    missing = 0
    for entry in found.entries:
        place = entry.path.rpartition("/")[0]
        for name in entry.facts.listed:
            path = f"{place}/{name}" if place else name
            missing += path.casefold() not in there
    return missing
