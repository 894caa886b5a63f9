"""Reading a dose: DICOM RTDOSE or a plain volume file, always in gray."""

from __future__ import annotations

import os
from pathlib import Path

import SimpleITK as sitk
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import SILENT, Progress
from SyntheticCTLib.dicom.headers import only_file, read_header
from SyntheticCTLib.volumes.reading import read_volume

from .rtdose import read_rtdose
from .units import gray_per, in_gray


def read_dose(
    path: str | os.PathLike, unit: str | None = None, progress: Progress = SILENT
) -> sitk.Image:
    """Return the dose in ``path`` in Gy (float32, mm, LPS).

    DICOM RTDOSE is multiplied by its DoseGridScaling; a volume file never is, because
    whatever wrote it (SlicerRT, a Monte Carlo program) wrote dose. The result carries the
    metadata ``DoseUnits`` ("GY") and, from RTDOSE, ``FrameOfReferenceUID`` and what the dose is
    the sum of (plausibility.SUM_KEYS), where the file says so.

    Args:
        path: a DICOM RTDOSE file, a folder that holds exactly one, or a volume file (NRRD,
            NIfTI, MetaImage).
        unit: "Gy" or "cGy"; needed only where the file does not say. A volume file without a
            unit in its metadata is taken to be in Gy.
        progress: receives warnings: a dose of less than the plan, one that is weighted, a file
            that does not say where it lies.

    Raises:
        SyntheticCTError: unreadable, no dose, a unit that is unknown, relative or contradicts
            ``unit``, frames that are not equally spaced, NaN, dose that is negative beyond
            noise or larger than any dose can be (see plausibility), or a volume
            file without a unit whose maximum cannot be gray.
    """
    path = Path(path)
    if unit is not None:
        gray_per(unit, "unit given for the dose")
    if not path.exists():
        raise SyntheticCTError(f"The dose {path} does not exist: check the path.")
    if path.is_dir():
        header = only_file(path, "RTDOSE", "dose file")
    else:
        header = read_header(path, whole=True)
    if header is not None:
        folder = path if path.is_dir() else path.parent
        return read_rtdose(header, f"dose {path}", unit, progress, folder)
    return in_gray(read_volume(path, "dose", progress), f"dose {path}", unit)
