"""What an earlier run found in every file: JSON lines beside the output, without names.

The first line holds the version, the pseudonyms and a check sum of the other lines; of these, each
is a file: its path in the folder, size, time of its last change, and what it says.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from SyntheticCTLib.basics.outputs import staged_file
from SyntheticCTLib.basics.progress import Progress

from .facts import Facts
from .persons import Persons

VERSION = 2
"""Of the index; another one is made anew."""


@dataclass
class Entry:
    """A file of the folder.

    Attributes:
        path: in the folder, with / between its parts.
        size, changed: bytes, and time of the last change in ns.
        facts: what it says.
        shown: the path as people may see it, without names.
        values: distinct values of its pixels, where they were looked at and are few.
        distinct: how many there are; -1 where nobody looked, -2 where they cannot be read.
    """

    path: str
    size: int
    changed: int
    facts: Facts
    shown: str = ""
    values: list[float] = field(default_factory=list)
    distinct: int = -1

    def line(self) -> str:
        """Return the entry's line of the index."""
        content = {"path": self.path, "size": self.size, "changed": self.changed}
        content |= {"facts": self.facts.as_json()}
        if self.shown != self.path:
            content["shown"] = self.shown
        if self.distinct != -1:
            content |= {"values": self.values, "distinct": self.distinct}
        return json.dumps(content, ensure_ascii=False, separators=(",", ":"))


def entry_of(line: str) -> Entry:
    """Return the entry of a line of the index."""
    content = json.loads(line)
    facts = Facts.from_json(content.pop("facts"))
    return Entry(**({"shown": content["path"]} | content), facts=facts)


def read_index(path: Path | None, progress: Progress) -> tuple[dict[str, Entry], Persons]:
    """Return the files of an earlier run by path, and its persons; a broken index is warned of."""
    if path is None or not path.exists():
        return {}, Persons()
    try:
        head, _, rest = path.read_text(encoding="utf-8").partition("\n")
        said = json.loads(head)
        if said["version"] != VERSION or said["sha256"] != _sum(rest):
            raise ValueError
        persons = Persons(said["persons"], said["notes"], said["labels"])
        entries = [entry_of(line) for line in rest.splitlines()]
        return {e.path: e for e in entries}, persons
    except (OSError, ValueError, KeyError, TypeError):
        progress.warn(
            f"The index {path.name} is damaged or of another version: it is made anew, and all "
            "files are read."
        )
        return {}, Persons()


def is_index(path: Path) -> bool:
    """Whether a file may be replaced as an index: it is one, or nothing is there."""
    if not path.exists():
        return True
    try:
        with path.open("rb") as file:
            return file.read(20).startswith(_BEGINNING)
    except OSError:
        return False


def write_index(path: Path, entries: Iterable[Entry], persons: Persons) -> None:
    """Write what was found, whole or not at all."""
    rest = "".join(f"{entry.line()}\n" for entry in entries)
    head = {"synthetic-ct sort": "index", "version": VERSION, "sha256": _sum(rest)}
    head |= {"persons": persons.pseudonyms, "notes": persons.notes, "labels": persons.labels}
    with staged_file(path) as stage:
        stage.write_text(json.dumps(head, ensure_ascii=False) + "\n" + rest, encoding="utf-8")


_BEGINNING = b'{"synthetic-ct sort"'


def _sum(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
