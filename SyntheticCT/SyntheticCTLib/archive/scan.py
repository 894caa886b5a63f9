"""All files of a folder: those that an earlier run knows are taken from the index, unread."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import Progress
from SyntheticCTLib.dicom.headers import read_header

from .facts import DAMAGED, FOREIGN, IMAGE, facts_of
from .index import Entry, read_index, write_index
from .persons import Persons, person_of, without_names

_STEP = "Read headers"


@dataclass
class Scan:
    """What a folder holds.

    Attributes:
        folder: the folder.
        entries: of all files, in the order of their paths.
        persons: whose files they are.
        read: how many files were opened, as new or changed.
        gone: how many of an earlier run are no longer there.
    """

    folder: Path
    entries: list[Entry]
    persons: Persons
    read: int
    gone: int = 0

    def path(self, entry: Entry) -> Path:
        return self.folder / entry.path

    def remember(self) -> None:
        """Learn who the persons are, by a file of each, as the index holds no names."""
        seen = {number for number, _ in self.persons.numbered()}
        for entry in self.entries:
            number = entry.facts.person
            if number in seen or number < 0:
                continue
            header = read_header(self.path(entry), tags=["IssuerOfPatientID"])
            if header is not None:
                self.persons.know(number, person_of(header))
                seen.add(number)

    def save(self, index: Path | None) -> None:
        """Keep what was found for the next run."""
        if index is not None:
            write_index(index, self.entries, self.persons)


def scan(folder: Path, index: Path | None, progress: Progress) -> Scan:
    """Return what the files of a folder say, at any depth.

    An interrupted scan keeps in the index what it has read.

    Raises:
        SyntheticCTError: there is no such folder.
    """
    if not folder.is_dir():
        raise SyntheticCTError(f"The folder {folder} does not exist: check the path.")
    known, persons = read_index(index, progress)
    result = Scan(folder, [], persons, 0)
    waiting: list[tuple[str, os.stat_result]] = []
    for path, stat in sorted(_files(folder, progress)):
        entry = known.get(path)
        if entry and (entry.size, entry.changed) == (stat.st_size, stat.st_mtime_ns):
            result.entries.append(entry)
        else:
            waiting.append((path, stat))
    result.gone = len(known) - len(result.entries)
    if waiting:
        result.remember()
    fresh = []
    try:
        for path, stat in waiting:
            if 100 * result.read // len(waiting) != 100 * (result.read - 1) // len(waiting):
                progress.report(_STEP, result.read / len(waiting))
            facts, person = facts_of(folder / path)
            if person is not None:
                facts = replace(facts, person=persons.number(person))
            fresh.append(Entry(path, stat.st_size, stat.st_mtime_ns, facts))
            result.read += 1
    finally:
        # Whom a folder is named after may be known only by the files that come last.
        show = _shown(result)
        result.entries = sorted([*result.entries, *fresh], key=lambda entry: entry.path)
        for entry in [*fresh, *_mark_damaged(result.entries)]:
            entry.shown = show(entry)
        if result.read < len(waiting):
            result.save(index)
    progress.report(_STEP, 1)
    return result


def _files(folder: Path, progress: Progress) -> Iterator[tuple[str, os.stat_result]]:
    """Paths of all files in the folder; of links, those to files only, so that none goes round."""
    unreadable = []
    for place, _, names in os.walk(folder, onerror=unreadable.append):
        for name in names:
            path = os.path.join(place, name)
            try:
                stat = os.stat(path)
            except OSError:  # a link to nothing, or gone in the meantime
                continue
            if os.path.isfile(path):
                yield os.path.relpath(path, folder).replace(os.sep, "/"), stat
    if unreadable:
        progress.warn(
            f"{len(unreadable)} folders within cannot be opened ({unreadable[0].strerror}), and "
            "what they hold is missing here: check their permissions."
        )


def _shown(found: Scan) -> Callable[[Entry], str]:
    """Return what shows a path without names, those of folders that were hidden before too."""
    hidden: dict[str, str] = {}
    for entry in found.entries:
        if entry.shown and entry.shown != entry.path:
            parts = zip(entry.path.split("/"), entry.shown.split("/"), strict=True)
            hidden |= {part: shown for part, shown in parts if part != shown}
    persons = found.persons.known()

    def show(entry: Entry) -> str:
        *folders, name = entry.path.split("/")
        for part in folders:
            if part not in hidden:
                hidden[part] = without_names(part, persons)
        if entry.facts.kind != FOREIGN:  # those are only counted
            # Many names, so that each is held against the one person where that is known.
            of = found.persons.known(entry.facts.person)
            name = hidden.get(name) or without_names(name, of or persons)
        return "/".join([*(hidden[part] for part in folders), name])

    return show


def _mark_damaged(entries: list[Entry]) -> list[Entry]:
    """Take what lies among slices and is named like them for a damaged slice, as readers do.

    Returns:
        What was taken for that.
    """
    marked = []
    kinds: dict[str, set[str]] = {}
    for entry in entries:
        if entry.facts.kind == IMAGE:
            place, _, name = entry.path.rpartition("/")
            kinds.setdefault(place, set()).add(Path(name).suffix.lower())
    for entry in entries:
        if entry.facts.kind == FOREIGN:
            place, _, name = entry.path.rpartition("/")
            suffix = Path(name).suffix.lower()
            if suffix in kinds.get(place, ()) and (suffix or entry.facts.binary):
                problem = "is damaged or no DICOM file" if entry.size else "is empty"
                entry.facts = replace(entry.facts, kind=DAMAGED, problem=problem)
                marked.append(entry)
    return marked
