"""Small RTPLAN files, made element by element, and plans as the project holds them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from dicom_files import save_dicom
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, RTPlanStorage
from SyntheticCTEvalLib.plan.beams import (
    Beam,
    ControlPoint,
    MultiLeafCollimator,
    TargetLevel,
    TreatmentPlan,
)

BOUNDARIES = (-100.0, -20.0, 0.0, 20.0, 100.0)


def item(**elements) -> Dataset:
    result = Dataset()
    for name, value in elements.items():
        setattr(result, name, value)
    return result


def positions(jaws_x=(-50, 50), jaws_y=(-40, 40), leaves=(-30, -30, -30, -30, 30, 30, 30, 30)):
    """Positions of the devices; those that are None are left out."""
    told = (("ASYMX", jaws_x), ("ASYMY", jaws_y), ("MLCX", leaves))
    return [
        item(RTBeamLimitingDeviceType=kind, LeafJawPositions=list(map(str, values)))
        for kind, values in told
        if values is not None
    ]


def control_points(weights=(0, 1), gantry=(10, None), direction=("NONE", None)) -> list[Dataset]:
    """Control points; the first tells all, the others what is given for them."""
    points = []
    for index, (weight, angle, turn) in enumerate(zip(weights, gantry, direction, strict=True)):
        point = item(ControlPointIndex=index, CumulativeMetersetWeight=str(weight))
        if index == 0:
            point.NominalBeamEnergy = "6"
            point.BeamLimitingDevicePositionSequence = positions()
            point.BeamLimitingDeviceAngle = "30"
            point.PatientSupportAngle = "350"
            point.IsocenterPosition = ["1", "2", "3"]
        if angle is not None:
            point.GantryAngle = str(angle)
        if turn is not None:
            point.GantryRotationDirection = turn
        points.append(point)
    return points


def beam(number=1, points=None) -> Dataset:
    points = points or control_points()
    return item(
        TreatmentMachineName="LINAC",
        PrimaryDosimeterUnit="MU",
        SourceAxisDistance="1000",
        BeamLimitingDeviceSequence=[
            item(RTBeamLimitingDeviceType="ASYMX", NumberOfLeafJawPairs=1),
            item(RTBeamLimitingDeviceType="ASYMY", NumberOfLeafJawPairs=1),
            item(
                RTBeamLimitingDeviceType="MLCX",
                NumberOfLeafJawPairs=4,
                LeafPositionBoundaries=list(map(str, BOUNDARIES)),
            ),
        ],
        BeamNumber=number,
        BeamName=f"field {number}",
        BeamType="STATIC",
        RadiationType="PHOTON",
        TreatmentDeliveryType="TREATMENT",
        NumberOfWedges=0,
        NumberOfCompensators=0,
        NumberOfBoli=0,
        NumberOfBlocks=0,
        FinalCumulativeMetersetWeight=str(points[-1].CumulativeMetersetWeight),
        NumberOfControlPoints=len(points),
        ControlPointSequence=points,
        ReferencedPatientSetupNumber=1,
    )


def group(number=1, fractions=25, **metersets: float) -> Dataset:
    """A fraction group; metersets as beam1=100.0."""
    return item(
        FractionGroupNumber=number,
        NumberOfFractionsPlanned=fractions,
        NumberOfBeams=len(metersets),
        NumberOfBrachyApplicationSetups=0,
        ReferencedBeamSequence=[
            item(ReferencedBeamNumber=int(name[4:]), BeamMeterset=str(units))
            for name, units in metersets.items()
        ],
    )


def rtplan_dataset() -> FileDataset:
    """A plan of one static beam of 100 MU in 25 fractions."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = RTPlanStorage
    meta.MediaStorageSOPInstanceUID = "1.2.3.99"
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("plan", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID = RTPlanStorage
    dataset.SOPInstanceUID = "1.2.3.99"
    dataset.Modality = "RTPLAN"
    dataset.FrameOfReferenceUID = "1.2.3.4"
    dataset.RTPlanLabel = "PELVIS"
    dataset.RTPlanGeometry = "PATIENT"
    dataset.DoseReferenceSequence = [
        item(
            DoseReferenceType="TARGET", DoseReferenceStructureType="SITE", TargetPrescriptionDose=d
        )
        for d in ("45", "55")
    ]
    dataset.PatientSetupSequence = [item(PatientSetupNumber=1, PatientPosition="HFS")]
    dataset.FractionGroupSequence = [group(beam1=100.0)]
    dataset.BeamSequence = [beam()]
    return dataset


def saved(dataset: FileDataset, path: Path) -> Path:
    save_dicom(dataset, path)
    return path


def arc_plan(**changes) -> TreatmentPlan:
    """An arc and a static beam with jaws and leaves, two levels, two fraction groups."""
    mlc = MultiLeafCollimator("X", BOUNDARIES)
    rng = np.random.default_rng(5)
    points = tuple(
        ControlPoint(
            meterset_weight=n / 4,
            gantry_deg=(350 + 10 * n) % 360,
            gantry_direction="CW" if n < 4 else "NONE",
            collimator_deg=5.0,
            couch_deg=0.0,
            jaws_x_mm=(-60.0, 60.0),
            jaws_y_mm=(-50.0, 50.0 + n),
            leaves_mm=rng.uniform(0, 40, (4, 2)) * [-1, 1],
        )
        for n in range(5)
    )
    static = tuple(
        ControlPoint(weight, 180.0, jaws_x_mm=(-20.0, 30.0), jaws_y_mm=(-10.0, 40.0))
        for weight in (0.0, 1.0)
    )
    values = {
        "beams": (
            Beam(1, "arc", (1.5, -2.25, 3.0), points, 210.5, 6.0, mlc, fractions=25),
            Beam(2, "static", (1.5, -2.25, 3.0), static, 50.0, 6.0, fractions=5, fraction_group=2),
        ),
        "prescription": (TargetLevel("PTV high", 55.0, 3), TargetLevel("PTV low", 45.0)),
        "patient_position": "HFP",
        "frame_of_reference": "1.2.3.4",
        "structure_set_uid": "1.2.3.5",
        "label": "SIB",
        "description": "made by a test",
    }
    return TreatmentPlan(**values | changes)
