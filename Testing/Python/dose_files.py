"""Small dose files: RTDOSE and volumes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk
from dicom_files import save_dicom
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, RTDoseStorage, generate_uid

STORED = np.arange(4 * 3 * 5, dtype=np.uint32).reshape(4, 3, 5) * 1000


def rtdose(path: Path, **elements) -> Path:
    """Write an RTDOSE of 4 frames, 3 rows, 5 columns; None deletes an element."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = elements.pop("storage", RTDoseStorage)
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    stored = elements.pop("stored", STORED)
    values = {
        "SOPClassUID": meta.MediaStorageSOPClassUID,
        "SOPInstanceUID": meta.MediaStorageSOPInstanceUID,
        "Modality": "RTDOSE",
        "FrameOfReferenceUID": "1.2.3.4",
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "NumberOfFrames": len(stored),
        "Rows": stored.shape[1],
        "Columns": stored.shape[2],
        "BitsAllocated": 32,
        "BitsStored": 32,
        "HighBit": 31,
        "PixelRepresentation": 0,
        "ImagePositionPatient": [-10, -20, -30],
        "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
        "PixelSpacing": [2, 2.5],
        "GridFrameOffsetVector": [0, 3, 6, 9],
        "DoseUnits": "GY",
        "DoseType": "PHYSICAL",
        "DoseSummationType": "PLAN",
        "DoseGridScaling": "0.0001",
        "PixelData": stored.tobytes(),
    } | elements
    for name, value in values.items():
        if value is not None:
            setattr(dataset, name, value)
    save_dicom(dataset, path)
    return path


def volume(path: Path, values: np.ndarray, **metadata: str) -> Path:
    image = sitk.GetImageFromArray(values.astype(np.float32))
    image.SetSpacing((2, 3, 4))
    image.SetOrigin((5, 6, 7))
    for key, value in metadata.items():
        image.SetMetaData(key, value)
    sitk.WriteImage(image, str(path))
    return path
