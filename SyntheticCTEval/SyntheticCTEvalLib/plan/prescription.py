"""What an RTPLAN prescribes to its targets."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from SyntheticCTLib.basics.errors import SyntheticCTError

from .beams import TargetLevel, TreatmentPlan

if TYPE_CHECKING:
    import pydicom

IMPLAUSIBLE_GY = 250.0
"""No external beams give a patient more; a volume file without a unit is not taken for gray."""

_POINTS = ("POINT", "COORDINATES")


def target_levels(header: pydicom.Dataset) -> list[TargetLevel]:
    """Return the doses in Gy of an RTPLAN's references of type TARGET, highest first.

    TargetPrescriptionDose is of the whole course (DICOM PS3.3 C.8.8.10). A point of a target
    counts only where no volume or site has a dose. A dose may be 0 or less where the plan says so.
    """
    found: dict[bool, list[TargetLevel]] = {True: [], False: []}
    for item in header.get("DoseReferenceSequence") or ():
        dose = _number(item.get("TargetPrescriptionDose"))
        if item.get("DoseReferenceType") == "TARGET" and dose is not None:
            name = str(item.get("DoseReferenceDescription") or "").strip()
            roi = item.get("ReferencedROINumber")
            level = TargetLevel(name, dose, int(roi) if roi not in (None, "") else None)
            found[item.get("DoseReferenceStructureType") in _POINTS].append(level)
    levels = found[False] or found[True]
    return sorted(levels, key=lambda level: -level.dose_gy)


def require_prescription(dose_gy: float) -> None:
    """Refuse a prescription in Gy that cannot be: a recalculated dose would follow it.

    Raises:
        SyntheticCTError: it is no number above 0, or one that only cGy can have.
    """
    if not (math.isfinite(dose_gy) and dose_gy > 0):
        raise SyntheticCTError(f"The prescription is {dose_gy:g} Gy: give a dose above 0, or none.")
    if dose_gy > IMPLAUSIBLE_GY:
        raise SyntheticCTError(
            f"The prescription is {dose_gy:g} Gy, which cannot be: give it in Gy, not in cGy."
        )


def require_prescribed(level: TargetLevel, what: str) -> None:
    """Refuse what a plan prescribes to a target, where it cannot be.

    Args:
        what: the plan in sentences ("plan /data/p.dcm").

    Raises:
        SyntheticCTError: naming the plan, the target and the dose.
    """
    told = f"The {what} prescribes {level.dose_gy:g} Gy to {level.name or 'its target'}"
    if not (math.isfinite(level.dose_gy) and level.dose_gy > 0):
        raise SyntheticCTError(f"{told}: give a plan with a prescription above 0.")
    if level.dose_gy > IMPLAUSIBLE_GY:
        raise SyntheticCTError(
            f"{told}, which cannot be: its prescription may be in cGy, and DICOM's is in Gy; "
            "correct it in the planning system, then export the plan again."
        )


def prescription_of(plan: TreatmentPlan, given_gy: float | None) -> float:
    """Return what percentages refer to, in Gy: the dose given, else the plan's highest level.

    Raises:
        SyntheticCTError: there is neither.
    """
    prescription = given_gy or plan.prescription_gy
    if prescription is None:
        raise SyntheticCTError(
            "The plan does not say which dose is prescribed, and percentages refer to it: give the "
            "prescription in Gy yourself."
        )
    return prescription


def _number(value: object) -> float | None:
    try:
        number = float(str(value))
    except ValueError:
        return None
    return number if math.isfinite(number) else None
