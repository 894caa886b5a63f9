"""A dose as RT Dose in the frame of reference of a CT series (PS3.3 A.18)."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
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
from .dose_plan import GROUP, WHOLE, DosePlan
from .objects import begun, content_of, ds, new_uid, plain, reference, series_number, write
from .source import SourceSeries

if TYPE_CHECKING:
    import pydicom

FILE = "RTDOSE.dcm"
_STEPS = 2**16 - 2
"""Stored value of the highest dose: 16 bits with room for a scaling that is rounded. A step is
0.0015 % of the highest dose, far below what a dose is known to, and there are readers (dicom3tools)
that end at 32 bits."""
_NO_PLAN = "No plan was given: the RTPLAN that is referred to is not there"
_LEAST_SHARE = 0.5
"""Share of the prescription that the highest dose of a plan is above."""


@dataclass(frozen=True)
class DoseWords:
    """What a file of dose says of itself.

    Attributes:
        description: of the series; comment: of the dose. At most 64 characters are kept of each.
        remarks: further sentences, of the image.
    """

    description: str
    comment: str = ""
    remarks: str = ""


def write_dose(
    dose: sitk.Image,
    ct: CtSeries,
    source: SourceSeries,
    folder: Path,
    *,
    plan: DosePlan,
    progress: Progress = SILENT,
) -> Path:
    """Write a dose in Gy, and return the file.

    Its grid stays its own where it is axial; negative dose, which is noise, becomes 0.

    Args:
        dose: Gy, any grid (mm, LPS).
        plan: what the dose is the sum of.

    Raises:
        SyntheticCTError: no dose in the CT, of another frame of reference, or of neither a whole
            plan nor a fraction group.
    """
    own = frame_of(dose)
    if own and own != source.frame:
        raise SyntheticCTError(
            "The dose names another frame of reference than the MR, and so does not lie on the "
            "synthetic CT: give the dose of the synthetic CT."
        )
    _require_sum(dose)
    values = sitk.GetArrayViewFromImage(dose)
    if not (values[reached(ct.image, None, dose)] > 0).any():
        raise SyntheticCTError(
            "The dose is 0 everywhere in the synthetic CT: give the dose that belongs to it."
        )
    if not plan.uid:
        progress.warn(
            "The dose does not name its plan, so that its file refers to one that is not there "
            "and says so (DoseComment): give the plan by --plan where there is one, as some "
            "planning systems take no dose without it."
        )
    _warn_of_fraction(float(values.max()), plan, progress)
    words = DoseWords("DOSE ON SYNTHETIC CT", "" if plan.uid else _NO_PLAN)
    effect = "EFFECTIVE" if _stated(dose, "DoseType") == "EFFECTIVE" else "PHYSICAL"
    return write_rtdose(
        dose,
        source,
        folder / FILE,
        plan=plan,
        words=words,
        when=ct.when,
        images=ct.uid,
        effect=effect,
        progress=progress,
    )


def write_rtdose(
    dose: sitk.Image,
    source: SourceSeries,
    path: Path,
    *,
    plan: DosePlan,
    words: DoseWords,
    when: datetime.datetime | None,
    images: str = "",
    effect: str = "PHYSICAL",
    progress: Progress = SILENT,
) -> Path:
    """Write a dose in the frame of reference of ``source`` as RT Dose, and return the file.

    Args:
        dose: Gy, any grid (mm, LPS); above 0 somewhere.
        source: the headers of the images whose patient, study and frame it is of.
        plan: what the dose is the sum of; without a UID it refers to a plan that is not there.
        when: date and time; None gives UIDs that depend on the content alone, and on ``images``,
            the UID of the series that the dose is on.
        effect: DoseType, PHYSICAL or EFFECTIVE.
    """
    from pydicom.uid import RTDoseStorage

    dose, resampled = axial(dose, source.position, fill=0.0, largest=2**15)
    if resampled:
        progress.warn("The dose was resampled onto axial planes of square pixels.")
    values = np.maximum(sitk.GetArrayFromImage(dose).astype(np.float64), 0)
    scaling = ds(values.max() / _STEPS)[0]
    stored = np.rint(values / float(scaling)).astype("<u2")
    result = begun(source, RTDoseStorage, "RTDOSE", when)
    result.SeriesNumber, result.InstanceNumber = series_number(source, 3), 1
    result.SeriesDescription = plain(words.description, 64)
    for name, text, length in (
        ("DoseComment", words.comment, 64),
        ("ImageComments", words.remarks, 10240),
    ):
        if text:
            setattr(result, name, plain(text, length))
    result.OperatorsName = ""
    _place(result, dose, values.shape)
    result.BitsAllocated, result.BitsStored, result.HighBit = 16, 16, 15
    result.PixelRepresentation = 0
    result.DoseUnits, result.DoseType, result.DoseSummationType = "GY", effect, plan.summation
    result.DoseGridScaling = scaling
    content = None if when else content_of(result, images.encode(), stored.tobytes())
    # The standard wants a plan's UID, and one may be of what is elsewhere.
    uid = plan.uid or new_uid(content and content + b"plan")
    result.ReferencedRTPlanSequence = [_plan_item(uid, plan)]
    content = content and content + uid.encode()
    result.SeriesInstanceUID = new_uid(content and content + b"series")
    result.SOPInstanceUID = new_uid(content)
    result.PixelData = stored.tobytes()
    result["PixelData"].VR = "OW"
    write(result, path, implicit=True)
    return path


def _require_sum(dose: sitk.Image) -> None:
    """Refuse a dose that says to be of neither a plan nor a fraction group."""
    kind = _stated(dose, "DoseSummationType")
    if kind in ("", WHOLE, GROUP):
        return
    count = _stated(dose, "DoseFractions")
    of = f", of a fraction group of {count} fractions" if count else ""
    raise SyntheticCTError(
        f"The dose is neither that of one plan nor of a fraction group (DoseSummationType "
        f"{kind}{of}): give the dose of the plan."
    )


def _plan_item(uid: str, plan: DosePlan) -> pydicom.Dataset:
    from pydicom import Dataset
    from pydicom.uid import RTPlanStorage

    item = reference(RTPlanStorage, uid)
    if plan.group is not None:
        group = Dataset()
        group.ReferencedFractionGroupNumber = plan.group
        item.ReferencedFractionGroupSequence = [group]
    return item


def _warn_of_fraction(highest_gy: float, plan: DosePlan, progress: Progress) -> None:
    """Warn of a dose that is far below what its plan prescribes, as that of one fraction is."""
    if plan.fractions > 1 and highest_gy < _LEAST_SHARE * plan.prescribed_gy:
        progress.warn(
            f"The dose reaches {highest_gy:.4g} Gy, and its plan prescribes "
            f"{plan.prescribed_gy:g} Gy in {plan.fractions} fractions: the DoseSummationType "
            f"{plan.summation} is of all of them; check that it is not of a single one."
        )


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
