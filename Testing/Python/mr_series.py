"""A small MR series of DICOM, a synthetic CT on its grid, and programs that judge DICOM."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from dicom_files import dataset, save_dicom
from pydicom.uid import MRImageStorage, generate_uid
from SyntheticCTLib.volumes.grids import grid_of
from SyntheticCTLib.volumes.marks import label_synthetic

FRAME, STUDY = "1.2.3.4.55", "1.2.3.5"
GRID = grid_of((32, 28, 12), (5.0, 5.0, 4.0), (-80.0, -70.25, 12.125))
OBLIQUE = tuple(
    np.array(
        [
            [0.984807753, 0.0, 0.173648178],
            [0.030153690, 0.984807753, -0.171010072],
            [-0.171010072, 0.173648178, 0.969846310],
        ]
    ).ravel()
)


def mr_and_sct(grid: sitk.Image = GRID) -> tuple[sitk.Image, sitk.Image]:
    """An ellipsoid with a core, as MR and as synthetic CT of whole HU from -1000 to 612."""
    i, j, k = np.meshgrid(*(np.linspace(-1, 1, n) for n in grid.GetSize()), indexing="ij")
    radius = np.sqrt(i**2 + j**2 + (0.5 * k) ** 2).T
    noise = np.random.default_rng(1).integers(0, 13, radius.shape)
    mr = np.where(radius < 0.8, 300, 5) + np.where(radius < 0.3, 200, 0) + noise
    ct = np.where(radius < 0.8, 40, -1000) + np.where(radius < 0.3, 560, 0) + noise
    images = []
    for values in (mr.astype(np.uint16), ct.astype(np.int16)):
        image = sitk.GetImageFromArray(values)
        image.CopyInformation(grid)
        images.append(image)
    return images[0], label_synthetic(images[1], "abcdef0123", "T2w TSE, female pelvis")


def write_mr(folder: Path, mr: sitk.Image, **elements: object) -> list[Path]:
    """Write an MR as slices with patient, study and frame; None leaves an element out."""
    folder.mkdir(parents=True, exist_ok=True)
    values, axes = sitk.GetArrayViewFromImage(mr), np.reshape(mr.GetDirection(), (3, 3))
    series, paths = generate_uid(), []
    for number, plane in enumerate(values):
        path = folder / f"IM{number:03}"
        ds = dataset(path, MRImageStorage, "MR")
        ds.SpecificCharacterSet, ds.PatientName = "ISO_IR 100", "Döe^Jane"
        ds.PatientBirthDate, ds.PatientSex, ds.AccessionNumber = "19700102", "F", "A-77"
        ds.StudyID, ds.StudyDate, ds.StudyTime = "9", "20260102", "101112"
        ds.ReferringPhysicianName = "Who^Doctor"
        ds.StudyInstanceUID, ds.FrameOfReferenceUID = STUDY, FRAME
        ds.SeriesInstanceUID, ds.SeriesNumber, ds.InstanceNumber = series, 401, number + 1
        ds.PositionReferenceIndicator, ds.PatientPosition = "", "HFS"
        ds.Manufacturer, ds.ManufacturerModelName = "Scanners", "T2"
        ds.ImagePositionPatient = [
            f"{v:.9g}" for v in mr.TransformIndexToPhysicalPoint((0, 0, number))
        ]
        ds.ImageOrientationPatient = [f"{v:.10g}" for v in (*axes[:, 0], *axes[:, 1])]
        ds.PixelSpacing = [mr.GetSpacing()[1], mr.GetSpacing()[0]]
        ds.SliceThickness = mr.GetSpacing()[2]
        ds.Rows, ds.Columns = plane.shape
        ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 0
        ds.PixelData = plane.astype("<u2").tobytes()
        for name, value in elements.items():
            if value is None:
                delattr(ds, name)
            else:
                setattr(ds, name, value)
        save_dicom(ds, path)
        paths.append(path)
    return paths


def judged(path: Path) -> list[str]:
    """Return the errors that dciodvfy finds in a DICOM file; skips where it is not installed."""
    if not shutil.which("dciodvfy"):
        pytest.skip("dciodvfy (Debian's dicom3tools) is not installed")
    result = subprocess.run(
        ["dciodvfy", str(path)], capture_output=True, text=True, errors="replace", check=False
    )
    lines = (result.stdout + result.stderr).splitlines()
    return [line for line in lines if line.startswith("Error") or "Abort" in line]


def dumped(path: Path) -> str:
    """Return what DCMTK reads in a DICOM file; skips where it is not installed."""
    if not shutil.which("dcmdump"):
        pytest.skip("dcmdump (Debian's dcmtk) is not installed")
    return subprocess.run(
        ["dcmdump", "+L", str(path)], capture_output=True, text=True, errors="replace", check=True
    ).stdout
