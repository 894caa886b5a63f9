"""Reading of CSV manifests: one row a patient, paths relative to the manifest."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from pathlib import Path

from .errors import SyntheticCTError


def read_manifest(
    path: str | os.PathLike, required: Sequence[str], optional: Sequence[str] = ()
) -> list[dict[str, str]]:
    """Return the rows of a manifest as dictionaries; empty cells and columns are "".

    Args:
        path: CSV file with a header line; a column "patient" with unique names is required.
        required: other columns that must be there and filled in every row.
        optional: columns that may be there. Columns in neither list are left alone.

    Raises:
        SyntheticCTError: unreadable, no rows, a missing column or cell, a patient named twice.
    """
    header, rows = _read(Path(path))
    if not rows:
        raise SyntheticCTError(f"The manifest {path} has no rows: add one line a patient.")
    required = ("patient", *required)
    missing = [name for name in required if name not in header]
    if missing:
        raise SyntheticCTError(
            f"The manifest {path} lacks the column {', '.join(missing)}: its header must have "
            f"{', '.join(required)}."
        )
    seen: set[str] = set()
    result = []
    for number, row in enumerate(rows, start=2):
        if any(row.get(None) or ()):
            raise SyntheticCTError(
                f"Line {number} of the manifest {path} has more cells than the header: put cells "
                "that hold commas into quotation marks."
            )
        cells = {name: (row.get(name) or "").strip() for name in (*required, *optional)}
        empty = [name for name in required if not cells[name]]
        if empty:
            raise SyntheticCTError(
                f"Line {number} of the manifest {path} has no {', '.join(empty)}: fill it in or "
                "remove the line."
            )
        if cells["patient"] in seen:
            raise SyntheticCTError(
                f"Line {number} of the manifest {path} names a patient for the second time: "
                "give every patient its own name."
            )
        seen.add(cells["patient"])
        result.append(cells)
    return result


def manifest_columns(path: str | os.PathLike) -> list[str]:
    """Return the names of a manifest's columns, in order.

    Raises:
        SyntheticCTError: unreadable, or a column that is there twice.
    """
    return _read(Path(path))[0]


def _read(path: Path) -> tuple[list[str], list[dict]]:
    """Header and rows of a CSV file; cells beyond the header are under None."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            header = [name.strip() for name in reader.fieldnames or ()]
            reader.fieldnames = header
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SyntheticCTError(
            f"The manifest {path} cannot be read: give a CSV file with a header line."
        ) from error
    twice = [name for name in header if name and header.count(name) > 1]
    if twice:
        raise SyntheticCTError(
            f"The manifest {path} has the column {twice[0]} twice: give every one its own name."
        )
    return [name for name in header if name], rows


def resolve(manifest: str | os.PathLike, cell: str) -> Path:
    """Return the path in a manifest's cell; relative paths start at the manifest's folder."""
    return Path(manifest).resolve().parent / cell
