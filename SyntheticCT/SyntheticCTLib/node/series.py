"""What the node knows of a series: where it stands, and why; never whose it is."""

from __future__ import annotations

import hashlib
import json
import os
import time
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

RECEIVING, WAITING, GENERATING = "receiving", "waiting", "generating"
SENDING, SENT, MADE, KEPT = "sending", "sent", "made", "kept"
STATES = {
    RECEIVING: "images arrive, or may still",
    WAITING: "whole, for its synthetic CT",
    GENERATING: "its synthetic CT is made",
    SENDING: "its synthetic CT waits for the receiver, or is being sent",
    SENT: "its synthetic CT is at the receiver",
    MADE: "its synthetic CT is made; there is no receiver",
    KEPT: "nothing more is done with it, for the reason told",
}
ANSWERED = (KEPT, SENT, MADE)
"""States in which the node does nothing more by itself."""
SERIES, AGAIN = "series", "again"
"""Folders of a spool: the series, each in its own, and a file for each that is put back by hand."""
ACCEPTED = b"outside the domain, too"
"""What stands in that file where the MR may be outside the model's domain."""
_UNSAVED = ("folder", "recorded", "written")
RECORD, RECEIVED, RESULT, PICTURE = "series.json", "received", "made", "picture.png"
"""What lies in the folder of a series."""


def series_id(study: str, series: str) -> str:
    """Return the name of a series in the spool, which tells nothing of the patient."""
    return hashlib.sha256(f"{study}\0{series}".encode()).hexdigest()[:16]


@dataclass
class Series:
    """A series in the spool; times are seconds since 1970.

    Attributes:
        folder: its folder, named by :func:`series_id`.
        state: one of :data:`STATES`, and ``since`` when.
        reason: why it is kept, or why it could not be sent so far.
        incomplete: it is kept as images may be missing: sent again, it is looked at again.
        caller: AE title that sent it.
        files: how many of its images lie here, and how many the record told that was read
            (``recorded``): a node that was killed may not have come to write it.
        arrived: when the last of them came.
        refused: files of images that found no room and did not come again so far.
        open: an association that carried it has not ended in order.
        attempts, next_try: of generating or sending.
        made: files of the result, of how many images it is (``made_of``) and of which time
            (``made_from``), and which of the files the receiver has (``sent``).
        warnings: what is to be known of the synthetic CT; ``domain`` are those of the model's.
        facts: what was made of what, in numbers, for the page.
        accepted: put back by hand to be made although the MR is outside the model's domain.
        removed: its data is gone, as it was older than was asked for.
        written: the record on the disk tells all this.
    """

    folder: Path
    state: str = RECEIVING
    since: float = 0.0
    reason: str = ""
    incomplete: bool = False
    caller: str = ""
    files: int = 0
    recorded: int = 0
    arrived: float = 0.0
    refused: list[str] = field(default_factory=list)
    open: bool = False
    attempts: int = 0
    next_try: float = 0.0
    made: list[str] = field(default_factory=list)
    made_of: int = 0
    made_from: float = 0.0
    sent: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    domain: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    accepted: bool = False
    removed: bool = False
    written: bool = True

    @property
    def id(self) -> str:
        return self.folder.name

    @property
    def received(self) -> Path:
        return self.folder / RECEIVED

    @property
    def result(self) -> Path:
        return self.folder / RESULT

    @property
    def picture(self) -> Path:
        return self.folder / PICTURE

    @property
    def may_lack_images(self) -> bool:
        """Whether the record that was read is older than what its sender did when the node ended.

        More images lie here than it knows of (one that is being made has a record of its own from
        then: ``made_of``), or a CT would be made while an association still carried it.
        """
        if self.removed or self.state == RECEIVING:
            return False
        known = self.made_of if self.state == GENERATING else self.recorded
        return self.files > known or (self.open and self.state in (WAITING, GENERATING))

    def become(self, state: str, reason: str = "", *, incomplete: bool = False) -> None:
        """Change the state, and save it."""
        self.state, self.reason, self.since = state, reason, time.time()
        self.incomplete = incomplete
        self.save()

    def save(self) -> None:
        """Write what is known, whole or not at all, and onto the disk before this returns."""
        content = {k: v for k, v in asdict(self).items() if k not in _UNSAVED}
        self.written = False
        write_through(self.folder / RECORD, json.dumps(content, indent=1).encode())
        self.written = True

    @classmethod
    def load(cls, folder: Path) -> Series:
        """Read what is known of the series in ``folder``; one without a record is receiving."""
        try:
            content = json.loads((folder / RECORD).read_bytes())
        except (OSError, ValueError):
            content = {"open": True, "since": time.time()}
        known = {item.name for item in fields(cls)} - {*_UNSAVED}
        series = cls(folder, **{k: v for k, v in content.items() if k in known})
        here = [path for path in (folder / RECEIVED).glob("*.dcm")]
        series.recorded = series.files
        series.files = len(here) if not series.removed else series.files
        series.refused = sorted({*series.refused} - {path.name for path in here})
        series.arrived = max([series.arrived, *(path.stat().st_mtime for path in here)])
        return series


def load_all(spool: Path) -> list[Series]:
    """Return all series of a spool, also while a node serves it."""
    root = spool / SERIES
    found = [Series.load(path) for path in root.iterdir() if path.is_dir()] if root.is_dir() else []
    return sorted(found, key=lambda one: one.since)


def write_through(path: Path, content: bytes) -> None:
    """Write a file so that it lies on the disk, whole, under its name when this returns.

    Raises:
        OSError: no room, or no disk; nothing is left of it then.
    """
    stage = path.with_name(f"{path.name}.part")
    try:
        with stage.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(stage, path)
    except OSError:
        stage.unlink(missing_ok=True)
        raise
    flush(path.parent)


def flush(path: Path) -> None:
    """Bring a file, or the names in a folder, onto the disk."""
    if path.is_dir() and not hasattr(os, "O_DIRECTORY"):  # Windows opens no folder
        return
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
