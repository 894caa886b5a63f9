"""The RTPLAN that an exported dose is of, and of how much of it (PS3.3 C.8.8.3)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.dicom.frame_of_reference import FRAME
from SyntheticCTLib.dicom.headers import is_of, only_file, read_header

from .source import SourceSeries

if TYPE_CHECKING:
    import pydicom

WHOLE, GROUP = "PLAN", "FRACTION"
"""Dose Summation Type of a whole plan's dose, and of the whole delivery of one fraction group."""


@dataclass(frozen=True)
class DosePlan:
    """What an exported dose is the sum of.

    Attributes:
        uid: SOP instance UID of its RTPLAN; "" where it is not known.
        summation: :data:`WHOLE` or :data:`GROUP`.
        group: number of the fraction group, with :data:`GROUP`.
        fractions: planned in the group; 0 where it is not known.
        prescribed_gy: highest dose that the plan prescribes to a target; 0 where it says none.
    """

    uid: str = ""
    summation: str = WHOLE
    group: int | None = None
    fractions: int = 0
    prescribed_gy: float = 0.0


def read_dose_plan(
    plan: str | os.PathLike | None,
    dose: str | os.PathLike,
    source: SourceSeries,
    summation: str | None = None,
    group: int | None = None,
) -> DosePlan:
    """Return what a dose is the sum of, by the RTPLAN ``plan`` and by what an RTDOSE says itself.

    Args:
        plan: the RTPLAN file; None takes what the RTDOSE names.
        summation: :data:`WHOLE` or :data:`GROUP`; None takes what the RTDOSE says, else the
            whole plan.
        group: number of the fraction group; None takes the one that the RTDOSE names, or the
            plan's only one.

    Raises:
        SyntheticCTError: no plan, of another patient, not the one of the dose; a dose of another
            sum than is wanted; a fraction group that is not known or not there.
    """
    own = _rtdose(Path(dose))
    stated = "" if own is None else str(own.get("DoseSummationType") or "").strip().upper()
    plans = [] if own is None else own.get("ReferencedRTPlanSequence") or []
    named = str(plans[0].get("ReferencedSOPInstanceUID") or "") if len(plans) == 1 else ""
    found = None if plan is None else _plan(Path(plan), source, "MR")
    if found is not None and named and named != str(found.SOPInstanceUID):
        raise SyntheticCTError(
            f"The plan {plan} is not the one that the dose {dose} names: give that plan, or none."
        )
    groups = {} if found is None else _groups(found)
    wanted = summation or (stated if stated in (WHOLE, GROUP) else WHOLE)
    # Of a plan of one fraction group both are the same dose.
    if stated in (WHOLE, GROUP) and wanted != stated and len(groups) != 1:
        raise SyntheticCTError(
            f"The dose {dose} is of the DoseSummationType {stated}, not {wanted}, which is the "
            "same only in a plan of one fraction group: give the dose that is meant, or such a "
            "plan by --plan."
        )
    uid = named if found is None else str(found.SOPInstanceUID)
    dose_gy = 0.0 if found is None else _prescribed(found)
    if wanted == WHOLE:
        if group is not None:
            raise SyntheticCTError(
                "A fraction group is told with the dose of one only: give --dose-type fraction, "
                "or leave out --fraction-group."
            )
        only = next(iter(groups.values())) if len(groups) == 1 else 0
        return DosePlan(uid, WHOLE, None, only, dose_gy)
    if not uid:
        raise SyntheticCTError(
            "The dose of a fraction group must name its plan (DoseSummationType FRACTION): give "
            "the RTPLAN by --plan."
        )
    number = _group(group, plans, groups)
    return DosePlan(uid, GROUP, number, groups.get(number, 0), dose_gy)


def whole_plan(plan: str | os.PathLike, source: SourceSeries, what: str) -> DosePlan:
    """Return what the dose of a whole plan is the sum of.

    Args:
        plan: the RTPLAN, its file or a folder with one.
        source: headers of the images that it was made on, ``what`` in sentences ("CT").

    Raises:
        SyntheticCTError: no RTPLAN with a UID, or of another patient or frame of reference.
    """
    found = _plan(Path(plan), source, what)
    groups = _groups(found)
    only = next(iter(groups.values())) if len(groups) == 1 else 0
    return DosePlan(str(found.SOPInstanceUID), WHOLE, None, only, _prescribed(found))


def _rtdose(path: Path) -> pydicom.Dataset | None:
    """The header of an RTDOSE; None of another file."""
    if path.is_dir():
        return only_file(path, "RTDOSE", "dose file")
    header = read_header(path, tags=("ReferencedRTPlanSequence", "DoseSummationType"))
    return header if header is not None and is_of(header, "RTDOSE") else None


def _plan(path: Path, source: SourceSeries, what: str) -> pydicom.Dataset:
    if path.is_dir():
        header = only_file(path, "RTPLAN", "plan file")
    else:
        header = read_header(path, whole=True) if path.is_file() else None
    if header is None or not is_of(header, "RTPLAN"):
        raise SyntheticCTError(f"The plan {path} is no RTPLAN of DICOM: give the plan's file.")
    if not header.get("SOPInstanceUID"):
        raise SyntheticCTError(
            f"The plan {path} has no UID of its own (SOPInstanceUID), so that no dose can refer to "
            "it: export it again."
        )
    for element, kind in (("PatientID", "patient ID"), (FRAME, "frame of reference")):
        own, other = (str(one.get(element) or "").strip() for one in (header, source.header))
        if own and other and own != other:
            raise SyntheticCTError(
                f"The plan {path} is of another {kind} than the {what}: give the plan of the dose."
            )
    return header


def _groups(plan: pydicom.Dataset) -> dict[int, int]:
    """Planned fractions (0: not known) by the numbers of a plan's fraction groups."""
    return {
        int(item.FractionGroupNumber): int(item.get("NumberOfFractionsPlanned") or 0)
        for item in plan.get("FractionGroupSequence") or []
        if item.get("FractionGroupNumber") not in (None, "")
    }


def _group(given: int | None, plans: list[pydicom.Dataset], groups: dict[int, int]) -> int:
    """The number of the fraction group that a dose is of."""
    told = {
        int(item.ReferencedFractionGroupNumber)
        for plan in plans
        for item in plan.get("ReferencedFractionGroupSequence") or []
        if item.get("ReferencedFractionGroupNumber") not in (None, "")
    }
    choice = {given} if given is not None else told or set(groups)
    if len(choice) != 1:
        there = ", ".join(map(str, sorted(choice))) or "none"
        raise SyntheticCTError(
            f"The fraction group of the dose is not known (there are {there}): give its number by "
            "--fraction-group, and the plan by --plan."
        )
    (number,) = choice
    for known, what in ((told, "the dose"), (set(groups), "the plan")):
        if known and number not in known:
            raise SyntheticCTError(
                f"The fraction group {number} is not in {what}, which has "
                f"{', '.join(map(str, sorted(known)))}: give one of these by --fraction-group."
            )
    return number


def _prescribed(plan: pydicom.Dataset) -> float:
    doses = []
    for item in plan.get("DoseReferenceSequence") or []:
        if item.get("DoseReferenceType") == "TARGET" and item.get("TargetPrescriptionDose"):
            doses.append(float(item.TargetPrescriptionDose))
    return max(doses, default=0.0)
