"""A folder in, the rows of its table out: scanned, put together, and given roles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from SyntheticCTLib.basics.progress import SILENT, Progress

from .roles import propose_roles
from .rows import Row, rows_of
from .scan import Scan, scan
from .synthetic import look_at_values
from .table import warnings_of


@dataclass
class Sorted:
    """What a folder holds.

    Attributes:
        scan: its files.
        rows: its series.
        copies: how many files are copies of others.
    """

    scan: Scan
    rows: list[Row]
    copies: int


def sort_folder(
    folder: Path,
    index: Path | None = None,
    chosen: Sequence[str] = (),
    progress: Progress = SILENT,
) -> Sorted:
    """Return the series of a folder of any depth, with the role proposed for each.

    Args:
        folder: of one or many patients, everything mixed; files that are no DICOM are counted.
        index: where what files say is kept, so that the next run reads new and changed ones only.
        chosen: roles that the user sets, see roles.propose_roles.
        progress: receives warnings: files left out, patients that may be one.

    Raises:
        SyntheticCTError: no such folder, or a role that cannot be set.
    """
    found = scan(folder, index, progress)
    rows, copies = rows_of(found)
    opened = look_at_values(rows, found)
    if found.read or opened or found.gone:
        found.save(index)
    propose_roles(rows, chosen)
    for sentence in warnings_of(found, rows, copies):
        progress.warn(sentence)
    return Sorted(found, rows, copies)
