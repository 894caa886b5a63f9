"""The series of a folder, a row each: those of several parts have a row a part, RT files their own.

A patient's series are numbered in the order of their studies, numbers and UIDs, or as in the index
of an earlier run.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.dicom.contrast import KEYS
from SyntheticCTLib.dicom.headers import DicomSlice
from SyntheticCTLib.dicom.order import in_order
from SyntheticCTLib.dicom.parts import parts_of, plane_of

from .facts import DAMAGED, IMAGE, RT, Facts
from .index import Entry
from .scan import Scan

FEW_SLICES = 3
"""Fewer are a localizer or a stray, and no volume."""


@dataclass(eq=False)
class Row:
    """A series, a part of one, or an RT file.

    Attributes:
        label: patient and number, by which people name it.
        patient: pseudonym.
        study: number of the study in the patient, from 1.
        part: name of the part, "" of a whole series.
        facts: what its first file says.
        entries: its files, without copies.
        slices: how many slices or frames.
        size, spacing: of its grid (i, j, k and mm), where it is one.
        frame: letter of its frame of reference in the patient, "" where it has none.
        plane: "axial", "coronal", "sagittal", "oblique"; "" where that is not known.
        localizer: all of it is one.
        problem: why it cannot be read as a volume; "" where it can.
        cell: how a manifest names it, folder and series; None where it cannot.
        no_cell: why it cannot.
        gathered: its files lie in several folders, or copies beside them, and must be put together.
        role, why: see roles; role is "" where there is none or it is ambiguous.
        ambiguous: what is, to be named.
        chosen: the role was set by the user.
        on: what an RT file refers to.
        middle: the file whose values are looked at.
        placed: its slices or frames, and the files that they are of.
    """

    label: str
    patient: str
    study: int
    part: str
    facts: Facts
    entries: list[Entry]
    slices: int = 0
    size: tuple[int, ...] = ()
    spacing: tuple[float, ...] = ()
    frame: str = ""
    plane: str = ""
    localizer: bool = False
    problem: str = ""
    cell: tuple[str, str] | None = None
    no_cell: str = ""
    gathered: bool = False
    role: str = ""
    why: str = ""
    ambiguous: str = ""
    chosen: bool = False
    on: Row | None = None
    middle: Entry | None = field(default=None, repr=False)
    placed: list[tuple[DicomSlice, Entry]] = field(default_factory=list, repr=False)

    @property
    def image(self) -> bool:
        return self.facts.kind == IMAGE

    def contrast(self, key: str) -> str:
        """What the first file says of one of contrast.KEYS."""
        said = self.facts.frames[0][3] if self.facts.frames else self.facts.contrast
        return said[KEYS.index(key)] if said else ""

    @property
    def description(self) -> str:
        return self.facts.text("SeriesDescription")


def rows_of(found: Scan) -> tuple[list[Row], int]:
    """Return the rows of all series, and how many files are copies of others."""
    groups: dict[tuple[str, str, str, str], list[Entry]] = {}
    for entry in found.entries:
        facts = entry.facts
        if facts.person >= 0:
            own = facts.instance or entry.path if facts.kind in RT else ""
            # Files without a series are each one of their own.
            series = facts.series or entry.path
            key = (found.persons.pseudonyms[facts.person], facts.study, series, own)
            groups.setdefault(key, []).append(entry)
    holds = _by_folder(found.entries)
    rows: list[Row] = []
    copies = 0
    studies: dict[str, dict[str, int]] = {}
    frames: dict[str, dict[str, str]] = {}
    for key in sorted(groups, key=lambda key: (key[0], key[1], _order(groups[key][0]), key[2:])):
        patient, study = key[:2]
        entries, place, twice, copied = _without_copies(groups[key])
        copies += copied
        own = studies.setdefault(patient, {})
        letters = frames.setdefault(patient, {})
        parts = _parts(entries, patient, own.setdefault(study, len(own) + 1))
        for row in parts:
            row.label = found.persons.label(patient, " ".join([*key[1:], row.part]))
            _measure(row)
            row.problem = row.problem or twice
            if row.facts.frame:
                row.frame = letters.setdefault(row.facts.frame, _letter(len(letters)))
            _name_cell(row, place, holds)
            rows.append(row)
    rows.sort(key=lambda row: (row.patient, row.study, int(row.label.rpartition(".")[2])))
    return rows, copies


def _order(entry: Entry) -> tuple[int, str]:
    number = entry.facts.number
    return (int(number) if number.lstrip("-").isdecimal() else 0, number)


def _letter(number: int) -> str:
    return chr(ord("A") + number) if number < 26 else f"A{number}"


def _by_folder(entries: Iterable[Entry]) -> dict[str, list[Entry]]:
    found: dict[str, list[Entry]] = {}
    for entry in entries:
        found.setdefault(entry.path.rpartition("/")[0], []).append(entry)
    return found


def _without_copies(entries: list[Entry]) -> tuple[list[Entry], str | None, str, int]:
    """Return one file of each instance, where all lie, what is wrong with copies, their number.

    A folder that holds each instance once is preferred; it is None where there is no such.
    """
    first: dict[str, Entry] = {}
    twice = ""
    for entry in entries:
        key = entry.facts.instance or entry.path
        other = first.setdefault(key, entry)
        if entry.size != other.size or entry.facts != other.facts:
            twice = "files of one instance UID differ: keep the right one"
    for place, own in _by_folder(entries).items():
        names = {entry.facts.instance or entry.path for entry in own}
        if len(own) == len(names) == len(first):
            return own, place, twice, len(entries) - len(first)
    return list(first.values()), None, twice, len(entries) - len(first)


def _parts(entries: list[Entry], patient: str, study: int) -> list[Row]:
    """Return the rows of a series, without their labels and geometry."""
    facts = entries[0].facts
    if facts.kind != IMAGE:
        return [Row("", patient, study, "", facts, entries, len(entries))]
    of: dict[str, Entry] = {}
    slices: list[DicomSlice] = []
    for number, entry in enumerate(entries):
        for item in entry.facts.slices(f"slice {number + 1}"):
            of[item.path.name] = entry
            slices.append(item)
    rows = []
    for name, items in parts_of(slices).items():
        own = list({id(e): e for e in (of[item.path.name] for item in items)}.values())
        facts = own[0].facts
        if name and facts.frames:  # what the file says first is not of all of its frames
            said = dict(zip(KEYS, items[0].contrast, strict=True))
            times = {"EchoTime": float(said["TE"])} if said["TE"] else {}
            kinds = tuple(said["type"].split()) or facts.type
            facts = replace(facts, type=kinds, values=(facts.values or {}) | times)
        row = Row("", patient, study, name, facts, own, len(items))
        row.placed = [(item, of[item.path.name]) for item in items]
        rows.append(row)
    return rows


def _measure(row: Row) -> None:
    """Fill in the geometry of an image, or why it is none that can be read as a volume."""
    if not row.placed:
        return
    items = [item for item, _ in row.placed]
    row.localizer = all(item.localizer for item in items)
    row.middle = row.placed[len(items) // 2][1]
    row.problem = next((e.facts.problem for e in row.entries if e.facts.problem), "")
    modalities = {entry.facts.modality for entry in row.entries}
    if len(modalities) > 1:
        row.problem = f"its files are of the modalities {', '.join(sorted(modalities))}"
    if any(None in (item.orientation, item.position, item.layout) for item in items):
        row.problem = row.problem or "its headers do not say where it lies"
        return
    row.plane = plane_of(items[0].orientation)
    rows, columns, row_mm, column_mm = items[0].layout
    row.size, row.spacing = (int(columns), int(rows)), (column_mm, row_mm)
    if len(items) < 2:
        row.problem = row.problem or "it is a single slice"
        return
    if len(row.entries) > 1 and any(entry.facts.frames for entry in row.entries):
        row.problem = row.problem or "it is of several multi-frame files"
        return
    try:
        ordered, step = in_order(items, Path(row.label), row.facts.modality or "image")
    except SyntheticCTError as error:
        row.problem = row.problem or str(error)
        return
    row.middle = dict((id(item), entry) for item, entry in row.placed)[id(ordered[len(items) // 2])]
    row.size = (*row.size, len(items))
    row.spacing = (*row.spacing, float(np.linalg.norm(step)))
    if row.facts.modality == "CT" and len({item.scaling for item in items}) > 1:
        row.problem = row.problem or "only some of its slices say how stored values become HU"


def _name_cell(row: Row, place: str | None, holds: dict[str, list[Entry]]) -> None:
    """Fill in how a manifest names the row, or why it cannot."""
    if row.problem:
        row.no_cell = row.problem
    elif row.facts.kind in RT or (len(row.entries) == 1 and row.facts.frames and not row.part):
        row.cell = (row.entries[0].path, "")
    elif row.facts.frames:
        row.cell = (row.entries[0].path, row.part)
    else:
        places = {entry.path.rpartition("/")[0] for entry in row.entries}
        others = [entry for name in sorted(places) for entry in holds[name]]
        if damaged := [entry for entry in others if entry.facts.kind == DAMAGED]:
            row.no_cell = f"its folder holds damaged files ({len(damaged)}), which may be of it"
            return
        if place is None:
            row.cell, row.gathered = ("", ""), True
            return
        series = {entry.facts.series for entry in others if entry.facts.kind == IMAGE}
        name = f"{row.facts.series}#{row.part}" if row.part else row.facts.series
        row.cell = (place, name if len(series) > 1 or row.part else "")
