"""A dose as RT Dose in the frame of reference of a CT series (PS3.3 A.18)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import SimpleITK as sitk

from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import SILENT, Progress
from SyntheticCTLib.dicom.frame_of_reference import frame_of
from SyntheticCTLib.volumes.resampling import reached

from .axial import axial
from .ct import CtSeries
from .objects import begun, content_of, ds, new_uid, reference, series_number, write
from .source import SourceSeries

if TYPE_CHECKING:
    import pydicom

FILE = "RTDOSE.dcm"
_STEPS = 2**16 - 2
"""Stored value of the highest dose: 16 bits with room for a scaling that is rounded. A step is
0.0015 % of the highest dose, far below what a dose is known to, and there are readers (dicom3tools)
that end at 32 bits."""


def write_dose(
    dose: sitk.Image,
    ct: CtSeries,
    source: SourceSeries,
    folder: Path,
    *,
    plan: str = "",
    progress: Progress = SILENT,
) -> Path:
    """Write a dose in Gy, of the whole plan, and return the file.

    Its grid stays its own where it is axial; negative dose, which is noise, becomes 0.

    Args:
        dose: Gy, any grid (mm, LPS).
        plan: SOP instance UID of its RTPLAN.

    Raises:
        SyntheticCTError: no dose in the CT, or of another frame of reference.
    """
    from pydicom.uid import RTDoseStorage, RTPlanStorage

    own = frame_of(dose)
    if own and own != source.frame:
        raise SyntheticCTError(
            "The dose names another frame of reference than the MR, and so does not lie on the "
            "synthetic CT: give the dose of the synthetic CT."
        )
    kind = _stated(dose, "DoseSummationType")
    if kind not in ("", "PLAN"):
        raise SyntheticCTError(
            f"The dose is not that of one plan (DoseSummationType {kind}), as which it would be "
            "exported: give the dose of the plan."
        )
    effect = "EFFECTIVE" if _stated(dose, "DoseType") == "EFFECTIVE" else "PHYSICAL"
    dose, resampled = axial(dose, source.position, fill=0.0, largest=2**15)
    if resampled:
        progress.warn("The dose was resampled onto axial planes of square pixels.")
    values = np.maximum(sitk.GetArrayFromImage(dose).astype(np.float64), 0)
    if not values[reached(ct.image, None, dose)].any():
        raise SyntheticCTError(
            "The dose is 0 everywhere in the synthetic CT: give the dose that belongs to it."
        )
    scaling = ds(values.max() / _STEPS)[0]
    stored = np.rint(values / float(scaling)).astype("<u2")
    result = begun(source, RTDoseStorage, "RTDOSE", ct.when)
    result.SeriesNumber, result.InstanceNumber = series_number(source, 3), 1
    result.SeriesDescription = "DOSE ON SYNTHETIC CT"
    result.OperatorsName = ""
    _place(result, dose, values.shape)
    result.BitsAllocated, result.BitsStored, result.HighBit = 16, 16, 15
    result.PixelRepresentation = 0
    result.DoseUnits, result.DoseType, result.DoseSummationType = "GY", effect, "PLAN"
    result.DoseGridScaling = scaling
    content = None if ct.when else content_of(result, ct.uid.encode(), stored.tobytes())
    if not plan:  # the standard wants one of a plan's dose, and a UID may be of what is elsewhere
        progress.warn(
            "The dose does not name its plan, so that its file refers to one that is not there: "
            "give the plan by --plan where there is one, as some planning systems take no dose "
            "without it."
        )
        plan = new_uid(content and content + b"plan")
    result.ReferencedRTPlanSequence = [reference(RTPlanStorage, plan)]
    content = content and content + plan.encode()
    result.SeriesInstanceUID = new_uid(content and content + b"series")
    result.SOPInstanceUID = new_uid(content)
    result.PixelData = stored.tobytes()
    result["PixelData"].VR = "OW"
    write(result, folder / FILE, implicit=True)
    return folder / FILE


def _stated(dose: sitk.Image, key: str) -> str:
    return dose.GetMetaData(key).strip().upper() if dose.HasMetaDataKey(key) else ""


def _place(result: pydicom.Dataset, dose: sitk.Image, shape: Sequence[int]) -> None:
    """Tell where the planes lie."""
    spacing = dose.GetSpacing()
    columns = np.reshape(dose.GetDirection(), (3, 3)).T
    result.ImagePositionPatient = ds(*dose.GetOrigin())
    result.ImageOrientationPatient = ds(*columns[0], *columns[1])
    result.PixelSpacing = ds(spacing[1], spacing[0])
    result.SliceThickness = ds(spacing[2])[0]
    result.GridFrameOffsetVector = ds(*(k * spacing[2] for k in range(shape[0])))
    result.FrameIncrementPointer = 0x3004000C
    result.NumberOfFrames, result.Rows, result.Columns = shape
    result.SamplesPerPixel, result.PhotometricInterpretation = 1, "MONOCHROME2"
