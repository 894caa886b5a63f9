"""A cohort's manifest: what there is of every patient, and which parts that leaves out."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.manifest import manifest_columns, read_manifest, resolve

from SyntheticCTEvalLib.acceptance.limits import SHIPPED, read_acceptance
from SyntheticCTEvalLib.evaluation.limits import Acceptance
from SyntheticCTEvalLib.gamma.criteria import parse_criteria, parse_percents
from SyntheticCTEvalLib.placement.ways import parse_by, parse_way
from SyntheticCTEvalLib.planning.request import parse_levels
from SyntheticCTEvalLib.structures.dvh_points import checked_points
from SyntheticCTEvalLib.structures.spatial_registration import registrations_beside

SCT = "sCT"
"""Name of the candidate that a model makes of the MR."""

CANDIDATE, DOSE = "candidate_", "dose_"
_FILES = ("mr", "structures", "region", "dose_ct", "plan")
_YES, _NO = ("yes", "y", "true", "1"), ("no", "n", "false", "0")


def yes_or_no(text: str) -> bool:
    """Return what a cell answers.

    Raises:
        SyntheticCTError: it is neither.
    """
    if text.strip().casefold() not in (*_YES, *_NO):
        raise SyntheticCTError(f"{text!r} is no answer: write yes or no.")
    return text.strip().casefold() in _YES


def _gamma_cap(text: str) -> float:
    value = _positive(text)
    if value is None:
        raise SyntheticCTError(f"{text!r} is no largest gamma: write a number, such as 2.")
    return value


_OPTIONS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "criteria": ("criteria", parse_criteria),
    "cutoffs": ("cutoffs_percent", parse_percents),
    "dvh_points": ("dvh_points", checked_points),
    "gamma_cap": ("gamma_cap", _gamma_cap),
    "registration": ("registration", parse_way),
    "registration_by": ("registration_by", parse_by),
}
"""Columns that set for one patient what an option sets for all: field of the settings, reader."""

_KNOWN = (
    *("patient", "ct", *_FILES, "target", "prescription_gy", "dose_unit"),
    *("end_caps", "local", "acceptance", "levels", *_OPTIONS),
)
_RESERVED = ("ct", "unit")  # dose_ct and dose_unit are columns of their own
_NO_FILE = ("n/a", "na", "nan", "none", "null")  # as BIDS and statistics programs write it
_SAFE = " -_.+"
_DEVICES = {"con", "prn", "aux", "nul"}  # no file can have these names on Windows


@dataclass(frozen=True)
class PatientEntry:
    """One row of the manifest.

    Attributes:
        patient: name, fit to be a folder's.
        ct: true CT.
        candidates, doses: volumes and their doses by candidate.
        mr, structures, region, dose_ct: other files; None where the cell is empty.
        registration: DICOM Spatial Registration of the structures' frame of reference.
        target: name of the structure that recalculated fields are shaped to.
        prescription_gy: prescription in Gy.
        dose_unit: unit of dose volumes that name none.
        plan: RTPLAN whose dose is recalculated; without one, seven fields of its own.
        levels: targets and doses in Gy of the plan that is to be made; those of all patients where
            there are none.
        dose: evaluate dose, imported or recalculated.
        options: fields of EvaluationSettings that the row sets for this patient.
        local: all gamma criteria are local (True) or global (False); None where not said.
        end_caps: see CohortSettings; None where the row does not say.
        acceptance: limits of this patient; None where the row has none of its own.
        notes: what is left out for this patient, for want of a cell.
        fault: why nothing can be evaluated; empty where it can.
    """

    patient: str
    ct: Path
    candidates: dict[str, Path]
    mr: Path | None = None
    structures: Path | None = None
    registration: Path | None = None
    region: Path | None = None
    dose_ct: Path | None = None
    doses: dict[str, Path] = field(default_factory=dict)
    target: str | None = None
    prescription_gy: float | None = None
    dose_unit: str | None = None
    dose: bool = True
    plan: Path | None = None
    options: dict[str, Any] = field(default_factory=dict)
    local: bool | None = None
    end_caps: bool | None = None
    acceptance: Acceptance | None = None
    levels: tuple[tuple[str, float], ...] = ()
    notes: tuple[str, ...] = ()
    fault: str = ""

    def inputs(self) -> dict[str, Path]:
        """Return every file and folder that is read, by what it is."""
        named = {"CT": self.ct, "MR": self.mr, "structures": self.structures}
        if self.registration is not None or self.structures is None:
            named |= {"registration of the structures": self.registration}
        else:  # one that lies beside them is taken where it fits
            for number, path in enumerate(registrations_beside(self.structures)):
                ending = f" ({number + 1})" if number else ""
                named |= {f"registration beside the structures{ending}": path}
        named |= {"region": self.region, "dose on the CT": self.dose_ct, "plan": self.plan}
        named |= {f"candidate {name}": path for name, path in self.candidates.items()}
        named |= {f"dose on {name}": path for name, path in self.doses.items()}
        return {what: path for what, path in named.items() if path is not None}


def read_cohort_manifest(
    manifest: str | os.PathLike, *, model: bool = False, dose: bool = True
) -> tuple[list[PatientEntry], list[str]]:
    """Return the patients of a manifest, and notes on what its columns leave out.

    Columns: patient, ct; optionally mr, structures, region, plan, levels, target, prescription_gy,
    dose_ct, dose_unit, criteria, cutoffs, local, gamma_cap, dvh_points, end_caps, acceptance,
    registration, registration_by, and for every candidate ``candidate_NAME`` and
    ``dose_NAME``. Paths are relative to the manifest. Cells of optional columns may be empty.

    Args:
        model: a synthetic CT is made of every MR, and joins as the candidate :data:`SCT`.
        dose: dose is to be evaluated.

    Raises:
        SyntheticCTError: no manifest, nothing in it can be evaluated, or a name in it cannot be
            a file's.
    """
    columns = manifest_columns(manifest, _KNOWN, (CANDIDATE, DOSE))
    candidates = [c.removeprefix(CANDIDATE) for c in columns if c.startswith(CANDIDATE)]
    _check_candidates(candidates, manifest, model, "mr" in columns)
    doses = [name for name in [SCT] * model + candidates if f"{DOSE}{name}" in columns]
    used = {*_KNOWN, *(CANDIDATE + n for n in candidates), *(DOSE + n for n in doses)}
    rows = read_manifest(manifest, ("ct",), [c for c in columns if c in used])
    _check_patients([row["patient"] for row in rows], manifest)
    notes = []
    if unknown := [column for column in columns if column not in used]:
        notes.append(
            f"Columns of the manifest that stand for nothing here and were left alone: "
            f"{', '.join(unknown)}."
        )
    notes += _missing_columns(columns, doses, dose)
    imported = "dose_ct" in columns
    dose = dose and not (imported and not doses)
    entries = [_entry(manifest, row, candidates, doses, model, imported, dose) for row in rows]
    return entries, notes + _same_files(entries)


def _same_files(entries: list[PatientEntry]) -> list[str]:
    """Return a sentence for every file that several patients have, such as a row copied."""
    owners: dict[Path, dict[str, str]] = {}
    for entry in entries:
        for what, path in entry.inputs().items():
            owners.setdefault(Path(os.path.normpath(path)), {}).setdefault(entry.patient, what)
    return [
        f"The patients {', '.join(found)} have the same file {path.name} "
        f"({', '.join(dict.fromkeys(found.values()))}): check the manifest; means and tests count "
        "it as often as it is there."
        for path, found in owners.items()
        if len(found) > 1
    ]


def _check_candidates(names: list[str], manifest: str | os.PathLike, model: bool, mr: bool) -> None:
    if model and not mr:
        raise SyntheticCTError(
            f"A model needs MRs, and the manifest {manifest} has no column mr: add it."
        )
    if not names and not model:
        raise SyntheticCTError(
            f"Nothing can be evaluated: the manifest {manifest} has no candidates; add columns "
            f"such as {CANDIDATE}MRCAT, or a column mr and a model to make synthetic CTs with."
        )
    for name in names:
        if not name.replace("-", "").replace("_", "").isalnum() or name.lower() in _RESERVED:
            raise SyntheticCTError(
                f"The column {CANDIDATE}{name} of the manifest names no candidate: use letters, "
                f"digits, - and _, and another name than {' or '.join(_RESERVED)}."
            )
    made = [SCT] * model
    for name in names:
        if name.lower() in (other.lower() for other in made):
            raise SyntheticCTError(
                f"There are two candidates {name}"
                + (", one of which the model makes" if name.lower() == SCT.lower() else "")
                + f": rename the column {CANDIDATE}{name} of the manifest."
            )
        made.append(name)


def _check_patients(names: list[str], manifest: str | os.PathLike) -> None:
    seen: set[str] = set()
    for name in names:
        if (
            name.startswith(".")
            or name.endswith(".")
            or len(name) > 100
            or name.split(".")[0].lower() in _DEVICES
            or not all(letter.isalnum() or letter in _SAFE for letter in name)
        ):
            raise SyntheticCTError(
                f"The manifest {manifest} names a patient {name!r}, which cannot be the name of a "
                "folder: use letters, digits, - and _."
            )
        if name.casefold() in seen:
            raise SyntheticCTError(
                f"The manifest {manifest} names two patients {name} that differ only in capital "
                "letters: their folders would be one on many computers; rename one."
            )
        seen.add(name.casefold())


def _missing_columns(columns: list[str], doses: list[str], dose: bool) -> list[str]:
    """Return a sentence for every part that the manifest has no column for."""
    notes = []
    if "mr" not in columns:
        notes.append(
            "The manifest has no column mr: nothing was held against the MR (Table 3), and no "
            "picture shows it."
        )
    if not dose:
        return notes
    if "dose_ct" not in columns:
        notes.append(
            "The manifest has no column dose_ct: dose was recalculated on every volume with one "
            "plan" + (", and the dose columns were left alone." if doses else ".")
        )
    elif not doses:
        notes.append(
            "The manifest has a column dose_ct but none for a candidate's dose (dose_NAME): dose "
            "was not evaluated."
        )
        return notes
    if "prescription_gy" not in columns:
        notes.append(
            "The manifest has no column prescription_gy: gamma and dose-volume figures refer to "
            + (
                "every patient's largest dose on the true CT."
                if "dose_ct" in columns
                else "45 Gy, the study's prescription, where no plan prescribes another dose."
            )
        )
    if "structures" not in columns:
        notes.append(
            "The manifest has no column structures: there are no dose-volume figures"
            + (
                "."
                if "dose_ct" in columns
                else ", and fields aim at the middle of the body where there is no plan."
            )
        )
    return notes


def _entry(
    manifest: str | os.PathLike,
    row: dict[str, str],
    candidates: list[str],
    doses: list[str],
    model: bool,
    imported: bool,
    dose: bool,
) -> PatientEntry:
    cells = {name: cell for name, cell in row.items() if cell}
    files = {*_FILES, *map(CANDIDATE.__add__, candidates), *map(DOSE.__add__, doses)}
    paths = {
        name: resolve(manifest, cell)
        for name, cell in cells.items()
        if name == "ct" or (name in files and cell.casefold() not in _NO_FILE)
    }
    found = {name: paths[CANDIDATE + name] for name in candidates if CANDIDATE + name in paths}
    made = [SCT] if model and "mr" in paths else []
    notes = [f"No candidate {name} is given for this patient." for name in candidates
             if name not in found]  # fmt: skip
    if "mr" in row and "mr" not in paths:
        notes.append(
            "No MR is given for this patient: nothing was held against it"
            + (f", and no {SCT} was made." if model else ".")
        )
    found_doses = {}
    if imported and dose:
        found_doses = {
            name: paths[DOSE + name]
            for name in doses
            if DOSE + name in paths and name in (*made, *found)
        }
        if "dose_ct" not in paths or not found_doses:
            which = "the true CT" if "dose_ct" not in paths else "any candidate"
            notes.append(f"No dose on {which} is given for this patient: dose was left out.")
            dose = False
    if dose and "structures" in row and "structures" not in paths:
        notes.append("No structures are given for this patient: no dose-volume figures.")
    fault = "" if made or found else "No candidate is given for this patient: fill in a cell."
    prescription = None
    if "prescription_gy" in cells:
        prescription = _positive(cells["prescription_gy"])
        if prescription is None:
            fault = (
                f"The prescription {cells['prescription_gy']!r} is no dose in Gy: give a "
                "number, such as 50.4."
            )
    options, own, faults = _own_options(manifest, cells)
    fault = faults[0] if faults else fault
    return PatientEntry(
        patient=row["patient"],
        ct=paths["ct"],
        candidates=found,
        mr=paths.get("mr"),
        structures=paths.get("structures"),
        region=paths.get("region"),
        dose_ct=paths.get("dose_ct") if dose else None,
        plan=paths.get("plan") if dose else None,
        doses=found_doses if dose else {},
        target=cells.get("target"),
        prescription_gy=prescription,
        dose_unit=cells.get("dose_unit"),
        dose=dose,
        options=options,
        **own,
        notes=tuple(notes),
        fault=fault,
    )


def _own_options(
    manifest: str | os.PathLike, cells: dict[str, str]
) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
    """Return what a row sets of EvaluationSettings and of PatientEntry, and what is wrong in it."""

    def limits(cell: str) -> Acceptance | None:
        if cell.casefold() in _NO_FILE:
            return None
        return read_acceptance(cell if cell in SHIPPED else resolve(manifest, cell))

    readers = {column: read for column, (_, read) in _OPTIONS.items()}
    readers |= {"local": yes_or_no, "end_caps": yes_or_no, "acceptance": limits}
    readers |= {"levels": parse_levels}
    found, faults = {}, []
    for column, read in readers.items():
        if column in cells:
            try:
                found[column] = read(cells[column])
            except SyntheticCTError as error:
                faults.append(f"Column {column}: {error}")
    options = {_OPTIONS[column][0]: value for column, value in found.items() if column in _OPTIONS}
    return options, {c: value for c, value in found.items() if c not in _OPTIONS}, faults


def _positive(cell: str) -> float | None:
    if re.fullmatch(r"\d{1,2},\d{1,2}", cell):  # 50,4 as German spreadsheets write it
        cell = cell.replace(",", ".")
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) and value > 0 else None
