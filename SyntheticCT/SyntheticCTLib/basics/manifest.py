"""Reading of manifests: one row a patient, paths relative to the manifest."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from .errors import SyntheticCTError
from .tables import read_table

PATIENT, LINE = "patient", "#line"


def read_manifest(
    path: str | os.PathLike, required: Sequence[str], optional: Sequence[str] = ()
) -> list[dict[str, str]]:
    """Return the rows of a manifest as dictionaries; empty cells and columns are "".

    Under :data:`LINE` stands the number of the line.

    Args:
        path: CSV as a spreadsheet saves it, or .xlsx, with a header line; a column "patient"
            with unique names is required. Capitals do not matter in names of columns.
        required: other columns that must be there and filled in every row.
        optional: columns that may be there. Columns in neither list are left alone.

    Raises:
        SyntheticCTError: unreadable, no rows, a missing column or cell, a patient named twice.
    """
    required = (PATIENT, *required)
    header, rows = _read(Path(path), (*required, *optional))
    if not rows:
        raise SyntheticCTError(f"The manifest {path} has no rows: add one line a patient.")
    missing = [name for name in required if name not in header]
    if missing:
        raise SyntheticCTError(
            f"The manifest {path} lacks the column {', '.join(missing)}: its header must have "
            f"{', '.join(required)}, and has {_named(header)}."
        )
    seen: dict[str, int] = {}
    result = []
    for number, row in rows:
        if any(row[len(header) :]):
            raise SyntheticCTError(
                f"Line {number} of the manifest {path} has more cells than the header, such as "
                f"{next(filter(None, row[len(header) :]))!r}: put cells that hold the separator "
                "into quotation marks."
            )
        filled = dict(zip(header, row, strict=False))
        cells = {name: filled.get(name, "") for name in (*required, *optional)}
        empty = [name for name in required if not cells[name]]
        if empty:
            raise SyntheticCTError(
                f"Line {number} of the manifest {path} has no {', '.join(empty)}: fill it in or "
                "remove the line."
            )
        if cells[PATIENT] in seen:
            raise SyntheticCTError(
                f"Line {number} of the manifest {path} names a patient for the second time, after "
                f"line {seen[cells[PATIENT]]}: give every patient its own name."
            )
        seen[cells[PATIENT]] = number
        result.append({LINE: str(number), **cells})
    return result


def manifest_columns(
    path: str | os.PathLike, known: Sequence[str] = (), prefixes: Sequence[str] = ()
) -> list[str]:
    """Return the names of a manifest's columns, in order.

    Args:
        known: names that are spelled so, whatever their capitals in the manifest.
        prefixes: beginnings of names for which the same holds.

    Raises:
        SyntheticCTError: unreadable, no column "patient", or a column that is there twice.
    """
    return [name for name in _read(Path(path), (PATIENT, *known), prefixes)[0] if name]


def _read(
    path: Path, known: Sequence[str], prefixes: Sequence[str] = ()
) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Header ("" for columns without a name), and the rows with the numbers of their lines."""
    (_, header), *rows = read_table(path, "manifest", PATIENT)
    while not header[-1]:
        header.pop()
    header = [_spelled(name, known, prefixes) for name in header]
    if PATIENT not in header:
        raise SyntheticCTError(
            f"The manifest {path} lacks the column {PATIENT}: its first line must name the "
            f"columns, separated by commas, semicolons or tabs, and has {_named(header)}."
        )
    twice = [name for name in header if name and header.count(name) > 1]
    if twice:
        raise SyntheticCTError(
            f"The manifest {path} has the column {twice[0]} twice: give every one its own name."
        )
    return header, rows


def _spelled(name: str, known: Sequence[str], prefixes: Sequence[str]) -> str:
    """Return the known name that ``name`` is but for capitals and blanks, else ``name``."""
    plain = re.sub(r"\s+", "_", name)
    for one in known:
        if plain.casefold() == one.casefold():
            return one
    for prefix in prefixes:
        if plain.casefold().startswith(prefix.casefold()):
            return prefix + plain[len(prefix) :]
    return name


def _named(header: Sequence[str]) -> str:
    names = [name if len(name) <= 30 else f"{name[:29]}…" for name in header if name]
    return ", ".join(names[:8]) + (" and others" if len(names) > 8 else "")


def resolve(manifest: str | os.PathLike, cell: str) -> Path:
    """Return the path in a manifest's cell; relative paths start at the manifest's folder.

    Quotation marks around it, as Windows copies paths, are taken away, and paths that were
    written on Windows have their separators changed where a backslash is none.
    """
    folder = Path(manifest).resolve().parent
    if len(cell) > 2 and cell[0] == cell[-1] and cell[0] in "\"'":
        cell = cell[1:-1]
    path = folder / os.path.expanduser(cell)
    if "\\" in cell and os.sep != "\\" and not path.exists():
        path = folder / cell.replace("\\", os.sep)
    return path
