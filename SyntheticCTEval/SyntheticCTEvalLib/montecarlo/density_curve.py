"""A user's curve from CT numbers to densities."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.tables import read_table

COLUMNS = ("hu", "density")
_HIGHEST = 25.0
"""Above every metal: then the column is of another unit (kg/m3, or numbers of a scanner)."""


def write_density_curve(curve: Sequence[tuple[float, float]], path: Path) -> None:
    """Write a curve as :func:`read_density_curve` reads it back, to the last digit."""
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(("HU", "density"))
        table.writerows([repr(float(value)) for value in point] for point in curve)


def read_density_curve(path: str | os.PathLike) -> tuple[tuple[float, float], ...]:
    """Read a curve: CSV or .xlsx with the columns HU and density (relative to water).

    Linear between its points, constant outside.

    Raises:
        SyntheticCTError: unreadable, too few points, values that are none or cannot be, or a curve
            that falls.
    """
    path = Path(path)
    what = f"density curve {path}"
    header, *rows = read_table(path, "density curve", COLUMNS[0])
    names = [cell.strip().casefold() for cell in header[1]]
    missing = [name for name in COLUMNS if name not in names]
    if missing:
        raise SyntheticCTError(
            f"The {what} lacks the column {missing[0]}: its header must have HU and density."
        )
    points = []
    for line, cells in rows:
        try:
            point = tuple(float(cells[names.index(name)]) for name in COLUMNS)
        except (ValueError, IndexError):
            point = (math.nan, math.nan)
        if not all(map(math.isfinite, point)):
            raise SyntheticCTError(
                f"Line {line} of the {what} holds no two numbers: give HU and density."
            )
        if not 0 <= point[1] <= _HIGHEST:
            raise SyntheticCTError(
                f"Line {line} of the {what} has the density {point[1]:g}, which cannot be: "
                "densities are relative to water (1)."
            )
        points.append(point)
    if len(points) < 2:
        raise SyntheticCTError(f"The {what} has fewer than two points: give at least two.")
    for (hu, density), (next_hu, next_density) in pairwise(points):
        if next_hu <= hu:
            raise SyntheticCTError(
                f"The CT numbers of the {what} do not rise at {next_hu:g} HU: sort its lines by HU."
            )
        if next_density < density:
            raise SyntheticCTError(
                f"The {what} falls from {density:g} to {next_density:g} at {next_hu:g} HU, and "
                "density does not fall with the CT number: check that line."
            )
    return tuple(points)
