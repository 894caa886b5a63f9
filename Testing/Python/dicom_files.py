"""Writing DICOM files for tests, with pydicom 3 and with pydicom 2.4 of Slicer 5.10."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

PATIENT = "Doe^Jane"


def save_dicom(dataset: pydicom.Dataset, path: Path) -> None:
    """Write a dataset with preamble and file meta information."""
    if pydicom.__version__.startswith("2."):
        syntax = dataset.file_meta.TransferSyntaxUID
        dataset.is_little_endian = syntax.is_little_endian
        dataset.is_implicit_VR = syntax.is_implicit_VR
        dataset.save_as(path, write_like_original=False)
    else:
        dataset.save_as(path, enforce_file_format=True)


def edit(path: Path, **values: object) -> None:
    ds = pydicom.dcmread(path)
    for key, value in values.items():
        setattr(ds, key, value)
    ds.save_as(path)


def dataset(path: Path, sop_class: str, modality: str) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = sop_class
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    ds.SOPClassUID, ds.SOPInstanceUID = sop_class, meta.MediaStorageSOPInstanceUID
    ds.Modality, ds.PatientName, ds.PatientID = modality, PATIENT, "4711"
    ds.StudyInstanceUID = "1.2.3.5"
    return ds


def write_series(
    folder: Path,
    stored: np.ndarray,
    *,
    axes: np.ndarray | None = None,
    origin: tuple[float, ...] = (-10.0, 20.0, 30.0),
    spacing: tuple[float, float, float] = (0.8, 1.2, 3.0),
    rescale: tuple[float, float] | list[tuple[float, float]] = (1.0, -1024.0),
    positions: list[float] | None = None,
    description: str = "pelvis",
    names: list[str] | None = None,
    thickness: float = 3.0,
) -> list[Path]:
    """Write ``stored`` (k, j, i; uint16) as a CT series; ``positions`` along the normal, mm."""
    folder.mkdir(parents=True, exist_ok=True)
    axes = np.eye(3) if axes is None else axes
    positions = positions or [k * spacing[2] for k in range(len(stored))]
    series, paths = generate_uid(), []
    for k, (plane, where) in enumerate(zip(stored, positions, strict=True)):
        name = names[k] if names else f"{description.replace(' ', '_')}{k:03}.dcm"
        ds = dataset(folder / name, CTImageStorage, "CT")
        ds.SeriesInstanceUID, ds.SeriesDescription = series, description
        ds.FrameOfReferenceUID = "1.2.3.4"
        ds.ImagePositionPatient = [f"{v:.9g}" for v in np.array(origin) + where * axes[:, 2]]
        ds.ImageOrientationPatient = [f"{v:.12g}" for v in (*axes[:, 0], *axes[:, 1])]
        ds.PixelSpacing, ds.SliceThickness = [spacing[1], spacing[0]], thickness
        ds.Rows, ds.Columns = plane.shape
        ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 0
        slope, intercept = rescale[k] if isinstance(rescale, list) else rescale
        ds.RescaleSlope, ds.RescaleIntercept = slope, intercept
        ds.PixelData = plane.astype("<u2").tobytes()
        save_dicom(ds, folder / name)
        paths.append(folder / name)
    return paths
