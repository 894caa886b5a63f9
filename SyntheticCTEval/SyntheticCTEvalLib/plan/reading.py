"""A DICOM RTPLAN of photon beams, read."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import TYPE_CHECKING

import SimpleITK as sitk
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import SILENT, Progress
from SyntheticCTLib.dicom.frame_of_reference import FRAME, frame_of, position_of
from SyntheticCTLib.dicom.headers import is_of, only_file, read_header

from .beam_items import beam_of, number_of
from .beams import Beam, TreatmentPlan
from .deliverable import require_deliverable
from .prescription import target_levels

if TYPE_CHECKING:
    import pydicom

_TREATS = ("TREATMENT", "CONTINUATION", "")
"""Treatment delivery types of beams that give the prescribed dose; others set up or verify."""
ASSUMED_POSITION = "HFS"
"""Head first, on the back: of a plan that does not say how the patient lies."""


def read_plan(path: str | os.PathLike, progress: Progress = SILENT) -> TreatmentPlan:
    """Read the photon beams of an RTPLAN: its file, or a folder with one.

    Static, step-and-shoot, dynamic and arc beams with jaws, an MLC or both, of any patient
    position. Values that a control point leaves out are those of the one before (DICOM PS3.3
    C.8.8.14.5). Warns of what the dose would not follow.

    Raises:
        SyntheticCTError: no RTPLAN; not photons; what is in the beam is not known (wedges,
            blocks, applicators and others, by name); or no machine could deliver it.
    """
    path = Path(path)
    if not path.exists():
        raise SyntheticCTError(f"The plan {path} does not exist: check the path.")
    if path.is_dir():
        header = only_file(path, "RTPLAN", "plan file")
    else:
        header = read_header(path, whole=True)
    if header is None or not is_of(header, "RTPLAN"):
        raise SyntheticCTError(f"The plan {path} is no DICOM RTPLAN: give the plan's file.")
    what = f"plan {path}"
    _require_photons(header, what)
    for note in _doubts(header, what):
        progress.warn(note)
    items = _beam_items(header, what)
    position = _position(header, items, what)
    if not position:
        progress.warn(
            f"The {what} does not say how the patient lies on the machine: head first, on the back "
            "is assumed; check it, as beams would come from the wrong side."
        )
    plan = TreatmentPlan(
        beams=_beams(header, items, what, progress),
        prescription=tuple(target_levels(header)),
        patient_position=position or ASSUMED_POSITION,
        position_told=bool(position),
        frame_of_reference=str(header.get(FRAME) or ""),
        uid=str(header.get("SOPInstanceUID") or ""),
        structure_set_uid=_structure_set(header),
        label=str(header.get("RTPlanLabel") or "PLAN"),
        description=str(header.get("RTPlanDescription") or ""),
    )
    require_deliverable(plan, what)
    return plan


def require_frame_of(plan: TreatmentPlan, ct: sitk.Image, progress: Progress = SILENT) -> None:
    """Refuse a plan of another frame of reference or patient position than a CT's.

    Its isocentre would lie elsewhere, or its beams come from another side than those of the plan
    that was made on the CT. Warns where one of them does not name its frame; a plan that this run
    made needs none.

    Raises:
        SyntheticCTError: both name a frame of reference, or a position, and not the same.
    """
    _require_position_of(plan, ct)
    if plan.made_on_this_ct:
        return
    own = frame_of(ct)
    if own and plan.frame_of_reference and own != plan.frame_of_reference:
        raise SyntheticCTError(
            "The plan and the CT are of different frames of reference, so that the plan's "
            "isocentre lies nowhere in this CT: give the plan that was made on this CT."
        )
    if not own or not plan.frame_of_reference:
        named = "plan" if plan.frame_of_reference else "CT"
        other = "CT" if named == "plan" else "plan"
        if not own and not plan.frame_of_reference:
            named, other = "plan nor the CT", ""
        text = (
            f"Only the {named} names its frame of reference, and not the {other}"
            if other
            else "Neither the plan nor the CT names its frame of reference"
        )
        progress.warn(f"{text}: check that the plan was made on this CT.")


def _require_position_of(plan: TreatmentPlan, ct: sitk.Image) -> None:
    """Refuse a plan in which the patient lies otherwise than in a CT that says how.

    The plan's position alone says where beams come from, as voxels lie in the patient's
    coordinates: where the two disagree, nothing else would show which of them is wrong.
    """
    scanned, planned = position_of(ct), plan.patient_position
    if not scanned or scanned == planned:
        return
    if not plan.position_told:
        raise SyntheticCTError(
            "The plan does not say how the patient lies on the machine, and the CT was scanned in "
            f"the position {scanned}, so that {planned} cannot be assumed: export the plan with "
            "its patient setup (PatientPosition)."
        )
    raise SyntheticCTError(
        f"The plan treats the patient in the position {planned}, and the CT was scanned in the "
        f"position {scanned}, so that one of them is wrong or of another patient: give the plan "
        "that was made on this CT, or, where both are meant so, the CT as NIfTI, which does not "
        "tell the position."
    )


def _require_photons(header: pydicom.Dataset, what: str) -> None:
    for sequence, kind in (
        ("IonBeamSequence", "ions"),
        ("ApplicationSetupSequence", "brachytherapy sources"),
    ):
        if header.get(sequence):
            raise SyntheticCTError(
                f"The {what} is of {kind}, and only photon beams are calculated: give a photon "
                "plan, or import its dose."
            )
    if not header.get("BeamSequence"):
        raise SyntheticCTError(
            f"The {what} has no beams, or breaks off before them: copy or export it again."
        )


def _doubts(header: pydicom.Dataset, what: str) -> list[str]:
    """What the reader of a dose must know of its plan."""
    notes = []
    if header.get("ApprovalStatus") == "REJECTED":
        notes.append(f"The {what} is marked as rejected: check that it is the one you mean.")
    intent = str(header.get("PlanIntent") or "")
    if intent in ("VERIFICATION", "MACHINE_QA", "RESEARCH", "SERVICE"):
        notes.append(
            f"The {what} is marked as one for {intent.lower().replace('_', ' ')} and not for a "
            "patient's treatment: check that it is the one you mean."
        )
    if header.get("RTPlanGeometry") == "TREATMENT_DEVICE" and not header.get(FRAME):
        notes.append(
            f"The {what} was made without a patient's images (its geometry is that of the "
            "treatment device, and it names no frame of reference): check that its isocentre "
            "lies in the patient."
        )
    return notes


def _beam_items(header: pydicom.Dataset, what: str) -> dict[int, pydicom.Dataset]:
    """Beams by number."""
    items: dict[int, pydicom.Dataset] = {}
    for item in header.BeamSequence:
        number = number_of(item, "BeamNumber")
        if number is None or int(number) in items:
            raise SyntheticCTError(
                f"The {what} has beams without a number, or two of one number: export it again."
            )
        items[int(number)] = item
    return items


def _beams(
    header: pydicom.Dataset, items: dict[int, pydicom.Dataset], what: str, progress: Progress
) -> tuple[Beam, ...]:
    """The beams that treat, once for every fraction group that delivers them."""
    beams, named, without = [], set(), False
    for number, group in _groups(header, what).items():
        fractions = number_of(group, "NumberOfFractionsPlanned")
        for key, reference in _references(group, number, items, what).items():
            named.add(key)
            item = items[key]
            meterset = number_of(reference, "BeamMeterset")
            if str(item.get("TreatmentDeliveryType") or "") not in _TREATS:
                if meterset:
                    progress.warn(
                        f"Beam {key} of the {what} is no treatment beam and is left out, "
                        f"though it has {meterset:g} MU."
                    )
                continue
            if meterset is None:
                raise SyntheticCTError(
                    f"The {what} does not tell the meterset (MU) of beam {key}: calculate the "
                    "dose in the planning system, then export the plan again."
                )
            if meterset == 0:
                without = True
                progress.warn(
                    f"Beam {key} of the {what} has 0 MU in fraction group {number} and is left out."
                )
                continue
            if fractions is None:
                raise SyntheticCTError(
                    f"The {what} does not say in how many fractions its fraction group {number} is "
                    "delivered: enter that in the planning system, then export the plan again."
                )
            beams.append(beam_of(item, meterset, int(fractions), number, what, progress))
    if without and not beams:
        raise SyntheticCTError(
            f"The treatment beams of the {what} have 0 MU and so give no dose: calculate the dose "
            "in the planning system, then export the plan again."
        )
    forgotten = sorted(
        key
        for key, item in items.items()
        if key not in named and str(item.get("TreatmentDeliveryType") or "") in _TREATS
    )
    if forgotten and beams:
        progress.warn(
            f"Beams of the {what} belong to no fraction group and are left out: "
            f"{', '.join(map(str, forgotten))}."
        )
    if not beams and forgotten:
        raise SyntheticCTError(
            f"The {what} does not tell how often its beams are delivered (it has no fraction group "
            "with beams): export it again."
        )
    return tuple(beams)


def _groups(header: pydicom.Dataset, what: str) -> dict[int, pydicom.Dataset]:
    """Fraction groups by number.

    One without a number, which DICOM does not allow, gets one of its own that is free: its doses
    are added up like those of any other, and it must count as one more.
    """
    items = list(header.get("FractionGroupSequence") or ())
    told = [number_of(item, "FractionGroupNumber") for item in items]
    numbers = [int(number) for number in told if number is not None]
    for number in numbers:
        if numbers.count(number) > 1:
            raise SyntheticCTError(
                f"The {what} has two fraction groups of the number {number}, so that it is not "
                "known what is delivered: export it again."
            )
    free = (number for number in itertools.count(1) if number not in numbers)
    own = [next(free) if number is None else int(number) for number in told]
    return dict(zip(own, items, strict=True))


def _references(
    group: pydicom.Dataset, number: int, items: dict[int, pydicom.Dataset], what: str
) -> dict[int, pydicom.Dataset]:
    """What a fraction group says of its beams, by their numbers."""
    references = group.get("ReferencedBeamSequence") or ()
    told = number_of(group, "NumberOfBeams")
    if told is not None and int(told) != len(references):
        raise SyntheticCTError(
            f"The {what} says that fraction group {number} has {int(told)} beams, and names "
            f"{len(references)}: export it again."
        )
    found: dict[int, pydicom.Dataset] = {}
    for reference in references:
        key = number_of(reference, "ReferencedBeamNumber")
        if key is None or int(key) not in items:
            raise SyntheticCTError(
                f"A fraction group of the {what} refers to a beam that is not in the plan: "
                "export it again."
            )
        if int(key) in found:  # both would count, and nothing would show it
            raise SyntheticCTError(
                f"Fraction group {number} of the {what} refers to beam {int(key)} twice: export "
                "it again."
            )
        found[int(key)] = reference
    return found


def _position(header: pydicom.Dataset, items: dict[int, pydicom.Dataset], what: str) -> str:
    """How the patient lies in the beams that treat; "" where it is not told."""
    setups = {
        number_of(setup, "PatientSetupNumber"): str(setup.get("PatientPosition") or "").strip()
        for setup in header.get("PatientSetupSequence") or ()
    }
    used = {
        number_of(item, "ReferencedPatientSetupNumber")
        for item in items.values()
        if str(item.get("TreatmentDeliveryType") or "") in _TREATS
    }
    positions = {setups[key] for key in used if key in setups} or set(setups.values())
    positions.discard("")
    if len(positions) > 1:
        raise SyntheticCTError(
            f"The patient lies in several positions in the {what} ({', '.join(sorted(positions))}),"
            " which is not calculated: give a plan of one position."
        )
    return positions.pop() if positions else ""


def _structure_set(header: pydicom.Dataset) -> str:
    sets = header.get("ReferencedStructureSetSequence") or ()
    return str(sets[0].get("ReferencedSOPInstanceUID") or "") if sets else ""
