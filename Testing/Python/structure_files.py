"""Small structure sets and plans of DICOM."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
from dicom_files import PATIENT, dataset, save_dicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, RTPlanStorage, generate_uid


def square(z, half=10.0, centre=(0.0, 0.0)):
    corners = [(-1, -1), (1, -1), (1, 1), (-1, 1)]
    return [(centre[0] + half * x, centre[1] + half * y, z) for x, y in corners]


def rtstruct(path, rois, kind="CLOSED_PLANAR", modality="RTSTRUCT"):
    """Write a structure set with ``rois``: name -> contours (n, 3)."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.481.3"
    meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset = pydicom.FileDataset(str(path), {}, file_meta=meta, preamble=bytes(128))
    dataset.SOPClassUID = meta.MediaStorageSOPClassUID
    dataset.Modality, dataset.PatientName = modality, PATIENT
    dataset.StructureSetROISequence = Sequence()
    dataset.ROIContourSequence = Sequence()
    for number, (name, contours) in enumerate(rois.items(), 5):
        roi, drawn = Dataset(), Dataset()
        roi.ROINumber, roi.ROIName = number, name
        roi.ReferencedFrameOfReferenceUID = "1.2.3"
        drawn.ReferencedROINumber = number
        drawn.ContourSequence = Sequence()
        for points in contours:
            contour = Dataset()
            contour.ContourGeometricType = kind
            contour.NumberOfContourPoints = len(points)
            contour.ContourData = [f"{v:.4f}" for v in np.ravel(points)]
            drawn.ContourSequence.append(contour)
        dataset.StructureSetROISequence.append(roi)
        dataset.ROIContourSequence.append(drawn)
    save_dicom(dataset, path)
    return path


def rtplan(path: Path, *prescribed_gy: float) -> Path:
    """Write a plan with a target for each prescribed dose, and an organ at risk."""
    plan = dataset(path, RTPlanStorage, "RTPLAN")
    plan.RTPlanLabel = "VMAT"
    plan.DoseReferenceSequence = Sequence()
    for kind, dose in [("ORGAN_AT_RISK", None), *(("TARGET", dose) for dose in prescribed_gy)]:
        reference = Dataset()
        reference.DoseReferenceType = kind
        if dose is not None:
            reference.TargetPrescriptionDose = str(dose)
        plan.DoseReferenceSequence.append(reference)
    save_dicom(plan, path)
    return path
