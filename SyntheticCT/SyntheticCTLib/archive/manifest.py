"""The manifest of a cohort or a training from sorted series: what is not certain stays empty."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.outputs import require_writable_folder, staged_file

from .facts import RT
from .mr_roles import T2
from .persons import without_names
from .roles import CT, MRCAT, SYNTHETIC
from .rows import Row
from .scan import Scan

COHORT, TRAIN = "cohort", "train"
CANDIDATES = {MRCAT: "MRCAT", SYNTHETIC: "syntheticCT"}
"""Roles that are held against the CT, and their names in the manifest."""
_UNSAFE = "a folder's name: letters, digits, - and _"


@dataclass
class Line:
    """A patient of the manifest.

    Attributes:
        patient: pseudonym.
        cells: the series of each column.
        prescription: in Gy, as text; "" where it is not certain.
        open: columns that several series could fill, or one that cannot be used.
        notes: what was left empty, and why.
    """

    patient: str
    cells: dict[str, Row] = field(default_factory=dict)
    prescription: str = ""
    open: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)


def manifest_lines(
    rows: Sequence[Row], purpose: str, prescription: Callable[[Row], tuple[str, str]]
) -> tuple[list[Line], list[str]]:
    """Return the patients of a manifest, and sentences about all that was left out or empty.

    Args:
        purpose: :data:`COHORT` or :data:`TRAIN`.
        prescription: gives the dose that a plan prescribes, as text, or why that is not certain.
    """
    lines, notes = [], []
    for patient in dict.fromkeys(row.patient for row in rows):
        own = [row for row in rows if row.patient == patient]
        line = Line(patient)
        _take(line, "ct", CT, own)
        _take(line, "mr", T2, own)
        if purpose == COHORT:
            for role, name in CANDIDATES.items():
                _take(line, f"candidate_{name}", role, own)
            _take_rt(line, own, prescription)
        lines.append(line)
    if purpose == COHORT:
        notes += _without_half_doses(lines)
    kept = []
    for line in lines:
        lacking = _lacking(line, purpose)
        if lacking:
            notes.append(f"{line.patient} has no {lacking}, and is not in the manifest.")
            notes += [note for note in line.notes if line.open]
        else:
            kept.append(line)
            notes += line.notes
    return kept, notes


def _lacking(line: Line, purpose: str) -> str:
    """What a patient lacks that cannot be filled in by hand either; "" where nothing."""
    has = set(line.cells) | line.open
    candidates = {column for column in has if column.startswith("candidate_")}
    if "ct" not in has:
        return "series that can be the CT"
    if purpose == TRAIN and "mr" not in has:
        return "series that can be the T2-weighted MR"
    if purpose == COHORT and "mr" not in has and not candidates:
        return "MR and no candidate"
    return ""


def _take(line: Line, column: str, role: str, own: Sequence[Row]) -> None:
    """Fill a cell by the only series of a role: those that the user set go before others."""
    found = [row for row in own if row.role == role]
    found = [row for row in found if row.chosen] or found
    axial = [row for row in found if row.plane == "axial"]
    if len(found) > 1 and role == T2 and len(axial) == 1:
        line.notes.append(
            f"{line.patient}: of {_listed(found)}, which are {role}, {axial[0].label} was taken, "
            "as the only axial one."
        )
        found = axial
    unsure = [row for row in own if row.ambiguous and not row.role and _could_be(row, column)]
    if any(row.chosen for row in found) or not unsure:
        _fill(line, column, found, role)
        return
    told = "; ".join(f"{row.label}: {row.ambiguous}" for row in unsure)
    # Which CT is the true one decides on every figure; of MRs, one that is certain is enough.
    if found and column != "ct":
        _fill(line, column, found, role)
        line.notes.append(f"{line.patient}: more could be {column}, and was not taken ({told}).")
        return
    line.open.add(column)
    line.notes.append(f"{line.patient}: {column} is left empty ({told}).")


def _could_be(row: Row, column: str) -> bool:
    if column == "mr":
        return row.image and row.facts.modality == "MR"
    if column == "ct":
        return row.image and row.facts.modality in ("CT", "", "OT")
    return row.image and "MRCAT" in column and "MRCAT" in row.ambiguous.upper()


def _fill(line: Line, column: str, found: Sequence[Row], what: str) -> None:
    usable = [row for row in found if row.cell]
    if len(found) == 1 and usable:
        line.cells[column] = found[0]
    elif len(found) == 1:
        line.open.add(column)
        line.notes.append(
            f"{line.patient}: {column} is left empty, as {found[0].label} cannot be used: "
            f"{found[0].no_cell.rstrip('.')}."
        )
    elif found:
        line.open.add(column)
        line.notes.append(
            f"{line.patient}: {column} is left empty, as {_listed(found)} are all {what}: set the "
            "others to none by --role."
        )


def _listed(rows: Sequence[Row]) -> str:
    return ", ".join(row.label for row in rows)


def _take_rt(
    line: Line, own: Sequence[Row], prescription: Callable[[Row], tuple[str, str]]
) -> None:
    """Fill in structures, doses and prescription that are on the chosen images, by reference."""
    ct = line.cells.get("ct")
    unplaced = [row for row in own if row.role in RT and row.on is None and row.ambiguous]
    for row in unplaced:
        line.notes.append(f"{row.label} ({row.role}) is left out: it {row.ambiguous}.")
    if ct is None:
        return
    _fill(line, "structures", _on(own, "RTSTRUCT", ct), "RTSTRUCT on the CT")
    for column, image in line.cells.copy().items():
        if column == "ct" or column.startswith("candidate_"):
            doses = []
            for row in _on(own, "RTDOSE", image):
                if reason := _no_plan_dose(row):
                    line.notes.append(f"{row.label} (RTDOSE) is left out: it is {reason}.")
                else:
                    doses.append(row)
            _fill(line, f"dose_{column.removeprefix('candidate_')}", doses, f"doses on {column}")
    plans = _on(own, "RTPLAN", ct)
    if len(plans) == 1:
        line.prescription, reason = prescription(plans[0])
        if reason:
            line.notes.append(f"{line.patient}: prescription_gy is left empty: {reason}")
    elif plans:
        line.notes.append(
            f"{line.patient}: prescription_gy is left empty, as several plans are on the CT "
            f"({_listed(plans)})."
        )


def _on(own: Sequence[Row], kind: str, image: Row) -> list[Row]:
    found = [row for row in own if row.role == kind and row.on is image]
    return [row for row in found if row.chosen] or found


def _no_plan_dose(row: Row) -> str:
    """Why a dose is not that of a whole plan in Gy; "" where it is."""
    values = row.facts.values or {}
    summation, units = values.get("DoseSummationType", ""), values.get("DoseUnits", "")
    if summation not in ("PLAN", "MULTI_PLAN", ""):
        return f"the dose of a {summation}, not of the plan"
    return "" if units in ("GY", "") else f"in {units}"


def _without_half_doses(lines: Sequence[Line]) -> list[str]:
    """Leave out doses where no patient has both halves, as a cohort evaluates none then."""
    columns = {column for line in lines for column in line.cells}
    others = [column for column in columns if column.startswith("dose_") and column != "dose_ct"]
    if "dose_ct" in columns and others:
        return []
    left_out = 0
    for line in lines:
        for column in ("dose_ct", *others):
            left_out += line.cells.pop(column, None) is not None
    if not left_out:
        return []
    return [
        f"{left_out} doses are left out, as no patient has one on the CT and one on a candidate: "
        "dose is recalculated, unless you add columns dose_ct and dose_NAME."
    ]


def write_manifest(
    lines: Sequence[Line],
    purpose: str,
    path: Path,
    found: Scan,
    *,
    identified: bool = False,
    key: Path | None = None,
) -> list[str]:
    """Write the manifest, and the key of pseudonyms where it is asked for; return sentences.

    A path that names a patient does not stand in the manifest: a link without a name, in a folder
    beside it, stands for it.

    Args:
        identified: patients by their IDs, paths as they are.
        key: file that says which ID each pseudonym stands for.

    Raises:
        SyntheticCTError: no patients, or links cannot be made here.
    """
    if not lines:
        raise SyntheticCTError(
            f"No patient in the folder has what a manifest of {purpose} needs: see the table, "
            "and set roles by --role."
        )
    found.remember()
    if key is not None:
        _require_own_key(key, found)
    order = ["patient", "ct", "mr"] if purpose == COHORT else ["patient", "mr", "ct"]
    names = dict.fromkeys(column for line in lines for column in line.cells)
    order += [name for name in sorted(names, key=_column_order) if name not in order]
    if any(line.prescription for line in lines):
        order.append("prescription_gy")
    if purpose == COHORT and not any("mr" in {*line.cells, *line.open} for line in lines):
        order.remove("mr")
    order += [c for c in dict.fromkeys(c for line in lines for c in sorted(line.open))
              if c not in order and c.startswith(("candidate_", "structures"))]  # fmt: skip
    ids, notes = _patients(lines, found) if identified else ({}, [])
    links = _Links(path, found, hidden=not identified)
    table = []
    for line in lines:
        cells = {column: links.cell(row) for column, row in line.cells.items() if column in order}
        if line.prescription:
            cells["prescription_gy"] = line.prescription
        table.append({"patient": ids.get(line.patient, line.patient), **cells})
    with staged_file(path) as stage, stage.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, order, restval="")
        writer.writeheader()
        writer.writerows(table)
    if key is not None:
        _write_key(key, found)
    return notes + links.notes()


def _column_order(column: str) -> tuple[int, str]:
    kinds = ("ct", "mr", "candidate_", "structures", "dose_ct", "dose_")
    return next(n for n, kind in enumerate(kinds) if column.startswith(kind)), column


def _patients(lines: Sequence[Line], found: Scan) -> tuple[dict[str, str], list[str]]:
    """IDs by pseudonym, where they can name a patient in a manifest, and those that cannot."""
    ids = {found.persons.pseudonyms[n]: person.id for n, person in found.persons.numbered()}
    own = [line.patient for line in lines]
    folded = [ids.get(name, "").casefold() for name in own]
    fit = {
        name: ids[name]
        for name in own
        if ids.get(name)
        and folded.count(ids[name].casefold()) == 1
        and all(letter.isalnum() or letter in "-_.+ " for letter in ids[name])
        and not ids[name].startswith(".") and not ids[name].endswith(".")
    }  # fmt: skip
    return fit, [
        f"{name} keeps its pseudonym, as its patient ID is missing, there twice or not fit to be "
        f"{_UNSAFE}."
        for name in own
        if name not in fit
    ]


class _Links:
    """Cells of a manifest: paths relative to it, or links in place of those that name patients."""

    def __init__(self, manifest: Path, found: Scan, *, hidden: bool) -> None:
        self._base = require_writable_folder(manifest.parent).resolve()
        self._folder = self._base / f"{manifest.stem}.links"
        self._found, self._hidden = found, hidden
        self._named = self._gathered = 0
        _remove_links(self._folder)

    def cell(self, row: Row) -> str:
        place, series = row.cell or ("", "")
        if row.gathered:
            for number, entry in enumerate(row.entries):
                self._link(f"{row.label}/{number + 1:05}.dcm", self._found.path(entry).resolve())
            self._gathered += 1
            return f"{self._folder.name}/{row.label}"
        target = (self._found.folder / place).resolve()
        try:
            path = os.path.relpath(target, self._base)
        except ValueError:  # another drive
            path = str(target)
        if self._hidden and without_names(path, self._found.persons.known()) != path:
            path = self._link(row.label + ".dcm" * target.is_file(), target)
            self._named += 1
        path = path.replace(os.sep, "/")
        return f"{path}#{series}" if series else path

    def _link(self, name: str, target: Path) -> str:
        link = self._folder / name
        try:
            require_writable_folder(link.parent)
            link.symlink_to(target, target_is_directory=target.is_dir())
        except OSError as error:
            raise SyntheticCTError(
                f"Links beside the manifest cannot be made here ({error.strerror}), which it needs "
                "where paths name patients or the files of a series lie in several folders: rename "
                "or move them, or give --identified."
            ) from error
        return f"{self._folder.name}/{name}"

    def notes(self) -> list[str]:
        told = []
        if self._named:
            told.append(
                f"{self._named} paths name patients: links in {self._folder.name} stand for them "
                "in the manifest, and point to them."
            )
        if self._gathered:
            told.append(
                f"The files of {self._gathered} series lie in several folders or beside copies: "
                f"links in {self._folder.name} put each together."
            )
        return told


def _remove_links(folder: Path) -> None:
    """Take away the links of an earlier run, and nothing else."""
    if folder.is_dir() and not folder.is_symlink():
        for item in folder.iterdir():
            if item.is_symlink():
                item.unlink()
            elif item.is_dir():
                _remove_links(item)
        if not any(folder.iterdir()):
            folder.rmdir()


def _key_rows(found: Scan) -> list[tuple[str, str, str]]:
    return [
        (found.persons.pseudonyms[number], str(person.id), str(person.issuer))
        for number, person in found.persons.numbered()
    ]


def _require_own_key(path: Path, found: Scan) -> None:
    """Refuse to replace the key of another study: nobody could tell its patients any more."""
    if not path.is_file() or not path.stat().st_size:
        return
    with path.open(newline="", encoding="utf-8-sig") as file:
        there = [tuple(line) for line in csv.reader(file)][1:]
    own = set(_key_rows(found))
    lost = sum(line not in own for line in there if line)
    if lost:
        raise SyntheticCTError(
            f"The key {path.name} tells {lost} pseudonyms that this run does not give (of another "
            "study, or of an index that is gone), and would be replaced: choose another name, or "
            "move it away."
        )


def _write_key(path: Path, found: Scan) -> None:
    with staged_file(path) as stage:
        with stage.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["patient", "patient_id", "issuer"])
            writer.writerows(_key_rows(found))
        stage.chmod(0o600)
