"""A plan written as a DICOM RTPLAN (PS3.3 A.20)."""

from __future__ import annotations

import dataclasses
import datetime
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from SyntheticCTLib.basics.outputs import staged_file
from SyntheticCTLib.export.objects import (
    begun,
    content_of,
    ds,
    new_uid,
    plain,
    reference,
    series_number,
    write,
)
from SyntheticCTLib.export.source import SourceSeries

from .beams import Beam, ControlPoint, TreatmentPlan
from .deliverable import require_deliverable

if TYPE_CHECKING:
    import pydicom


def write_plan(
    plan: TreatmentPlan,
    path: str | os.PathLike,
    source: SourceSeries | None = None,
    *,
    when: datetime.datetime | None = None,
) -> TreatmentPlan:
    """Write a plan as an RTPLAN file and return it with the UID that it then has.

    What was read by plan.reading.read_plan is told as it was; numbers keep the 16 characters that
    DICOM's decimal strings have.

    Args:
        source: the series whose patient, study and frame of reference the plan takes; None names
            no patient, and takes a study of its own and the plan's own frame of reference.
        when: date and time of the plan; None leaves them out, so that the content alone decides
            the UIDs.

    Raises:
        SyntheticCTError: no machine could deliver the plan, or the file cannot be written.
    """
    require_deliverable(plan)
    source = source or _nobody(plan)
    result = _dataset(plan, source, when)
    content = None if when else content_of(result)
    result.SeriesInstanceUID = new_uid(content and content + b"series")
    result.SOPInstanceUID = new_uid(content)
    with staged_file(path) as stage:
        write(result, Path(stage))
    return dataclasses.replace(
        plan, uid=str(result.SOPInstanceUID), frame_of_reference=source.frame
    )


def _nobody(plan: TreatmentPlan) -> SourceSeries:
    """A series without patient, in the plan's frame of reference."""
    from pydicom import Dataset

    header = Dataset()
    frame = plan.frame_of_reference or new_uid(None)
    header.FrameOfReferenceUID = frame
    header.StudyInstanceUID = new_uid(f"study {frame}".encode())
    return SourceSeries(header, (), Dataset())


def _dataset(
    plan: TreatmentPlan, source: SourceSeries, when: datetime.datetime | None
) -> pydicom.Dataset:
    from pydicom.uid import RTPlanStorage, RTStructureSetStorage

    result = begun(source, RTPlanStorage, "RTPLAN", when)
    result.SeriesNumber, result.InstanceNumber = series_number(source, 4), 1
    result.OperatorsName = ""
    result.RTPlanLabel = plain(plan.label, 16) or "PLAN"
    if plan.description:
        result.RTPlanDescription = plain(plan.description, 1024)
    result.RTPlanDate = when.strftime("%Y%m%d") if when else ""
    result.RTPlanTime = when.strftime("%H%M%S") if when else ""
    result.ApprovalStatus = "UNAPPROVED"
    if plan.structure_set_uid:
        result.RTPlanGeometry = "PATIENT"
        result.ReferencedStructureSetSequence = [
            reference(RTStructureSetStorage, plan.structure_set_uid)
        ]
    else:  # the standard's word where there is no structure set
        result.RTPlanGeometry = "TREATMENT_DEVICE"
    if plan.prescription:
        result.DoseReferenceSequence = _prescription(plan)
    result.PatientSetupSequence = [
        _item(PatientSetupNumber=1, PatientPosition=plan.patient_position)
    ]
    result.FractionGroupSequence = _groups(plan)
    beams = {beam.number: beam for beam in plan.beams}
    result.BeamSequence = [_beam(beam) for beam in beams.values()]
    return result


def _item(**elements: object) -> pydicom.Dataset:
    from pydicom import Dataset

    item = Dataset()
    for name, value in elements.items():
        setattr(item, name, value)
    return item


def _prescription(plan: TreatmentPlan) -> list[pydicom.Dataset]:
    items = []
    for number, level in enumerate(plan.prescription, start=1):
        item = _item(DoseReferenceNumber=number)
        if level.roi_number is None:
            item.DoseReferenceStructureType = "SITE"
        else:
            item.DoseReferenceStructureType = "VOLUME"
            item.ReferencedROINumber = level.roi_number
        if level.name:
            item.DoseReferenceDescription = plain(level.name, 64)
        item.DoseReferenceType = "TARGET"
        item.TargetPrescriptionDose = ds(level.dose_gy)[0]
        items.append(item)
    return items


def _groups(plan: TreatmentPlan) -> list[pydicom.Dataset]:
    items = []
    for number in sorted({beam.fraction_group for beam in plan.beams}):
        beams = [beam for beam in plan.beams if beam.fraction_group == number]
        items.append(
            _item(
                FractionGroupNumber=number,
                NumberOfFractionsPlanned=beams[0].fractions,
                NumberOfBeams=len(beams),
                NumberOfBrachyApplicationSetups=0,
                ReferencedBeamSequence=[
                    _item(BeamMeterset=ds(beam.meterset_mu)[0], ReferencedBeamNumber=beam.number)
                    for beam in beams
                ],
            )
        )
    return items


def _beam(beam: Beam) -> pydicom.Dataset:
    devices = _devices(beam)
    result = _item(
        TreatmentMachineName=plain(beam.machine, 16),
        PrimaryDosimeterUnit="MU",
        SourceAxisDistance=ds(beam.source_axis_mm)[0],
        BeamLimitingDeviceSequence=devices,
        BeamNumber=beam.number,
        BeamName=plain(beam.name, 64),
        BeamType="DYNAMIC" if beam.is_dynamic else "STATIC",
        RadiationType="PHOTON",
        TreatmentDeliveryType="TREATMENT",
        NumberOfWedges=0,
        NumberOfCompensators=0,
        NumberOfBoli=0,
        NumberOfBlocks=0,
        FinalCumulativeMetersetWeight="1",
        NumberOfControlPoints=len(beam.control_points),
        ReferencedPatientSetupNumber=1,
    )
    if not beam.flattened:
        result.PrimaryFluenceModeSequence = [_item(FluenceMode="NON_STANDARD", FluenceModeID="FFF")]
    before = None
    items = []
    for index, point in enumerate(beam.control_points):
        items.append(_control_point(beam, index, point, before))
        before = point
    result.ControlPointSequence = items
    return result


def _devices(beam: Beam) -> list[pydicom.Dataset]:
    first = beam.control_points[0]
    items = [
        _item(RTBeamLimitingDeviceType=kind, NumberOfLeafJawPairs=1)
        for kind, jaws in (("ASYMX", first.jaws_x_mm), ("ASYMY", first.jaws_y_mm))
        if jaws is not None
    ]
    if beam.mlc is not None:
        items.append(
            _item(
                RTBeamLimitingDeviceType=f"MLC{beam.mlc.axis}",
                NumberOfLeafJawPairs=beam.mlc.pairs,
                LeafPositionBoundaries=ds(*beam.mlc.boundaries_mm),
            )
        )
    return items


def _control_point(
    beam: Beam, index: int, point: ControlPoint, before: ControlPoint | None
) -> pydicom.Dataset:
    """What differs from the control point before; everything at the first."""
    result = _item(ControlPointIndex=index, CumulativeMetersetWeight=ds(point.meterset_weight)[0])
    if before is None:
        result.NominalBeamEnergy = ds(beam.energy_mv)[0]
        result.IsocenterPosition = ds(*beam.isocentre_mm)
        result.TableTopEccentricAngle, result.TableTopEccentricRotationDirection = "0", "NONE"
        result.TableTopVerticalPosition = None
        result.TableTopLongitudinalPosition = None
        result.TableTopLateralPosition = None
    if before is None or (point.gantry_deg, point.gantry_direction) != (
        before.gantry_deg,
        before.gantry_direction,
    ):
        result.GantryAngle = ds(point.gantry_deg)[0]
        result.GantryRotationDirection = point.gantry_direction
    if before is None or point.collimator_deg != before.collimator_deg:
        result.BeamLimitingDeviceAngle = ds(point.collimator_deg)[0]
        result.BeamLimitingDeviceRotationDirection = "NONE"
    if before is None or point.couch_deg != before.couch_deg:
        result.PatientSupportAngle = ds(point.couch_deg)[0]
        result.PatientSupportRotationDirection = "NONE"
    positions = []
    for kind, name in (("ASYMX", "jaws_x_mm"), ("ASYMY", "jaws_y_mm")):
        jaws = getattr(point, name)
        if jaws is not None and (before is None or jaws != getattr(before, name)):
            positions.append(_item(RTBeamLimitingDeviceType=kind, LeafJawPositions=ds(*jaws)))
    leaves = point.leaves_mm
    if leaves is not None and (before is None or not np.array_equal(leaves, before.leaves_mm)):
        positions.append(
            _item(
                RTBeamLimitingDeviceType=f"MLC{beam.mlc.axis}",
                LeafJawPositions=ds(*np.asarray(leaves).T.ravel()),
            )
        )
    if positions:
        result.BeamLimitingDevicePositionSequence = positions
    return result
