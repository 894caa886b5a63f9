"""A DICOM RTDOSE as a volume in gray."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from pydicom.dataset import Dataset
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import Progress
from SyntheticCTLib.dicom.frame_of_reference import FRAME
from SyntheticCTLib.dicom.headers import is_of, read_header

from .plausibility import require_possible
from .units import agreed_unit, check_dose, gray_per

_PARTS = ("BEAM", "BRACHY", "FRACTION", "CONTROL_POINT")
FRAME_TOLERANCE_MM = 0.06
"""By how much frames may lie beside a regular grid: offsets are often rounded to 0.1 mm."""


def read_rtdose(
    dataset: Dataset, what: str, unit: str | None, progress: Progress, folder: Path
) -> sitk.Image:
    """Return the dose of an RTDOSE; its plan is looked for in ``folder`` where it is of a part."""
    if not is_of(dataset, "RTDOSE"):
        raise SyntheticCTError(
            f"The {what} is a DICOM file of modality {dataset.get('Modality', 'unknown')}, not "
            "RTDOSE: give the dose file of the plan."
        )
    gray = _rtdose_unit(dataset, what, unit)
    if dataset.get("DoseType") == "ERROR":
        raise SyntheticCTError(
            f"The {what} is a difference between doses (DoseType ERROR): give the dose itself."
        )
    if not any(name in dataset for name in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
        raise SyntheticCTError(
            f"The {what} holds no dose grid, as where only dose-volume histograms were exported: "
            "export the dose itself."
        )
    try:
        stored = dataset.pixel_array
    except Exception as error:  # pydicom raises many kinds for damaged or exotic pixels
        raise SyntheticCTError(
            f"The pixels of the {what} cannot be decoded: the file is truncated or compressed; "
            "export it again, uncompressed."
        ) from error
    if stored.ndim == 2:
        stored = stored[np.newaxis]
    values = (stored.astype(np.float64) * _scaling(dataset, what) * gray).astype(np.float32)
    image = _placed(values, dataset, what)
    image.SetMetaData("DoseUnits", "GY")
    if dataset.get(FRAME):
        image.SetMetaData(FRAME, str(dataset.get(FRAME)))
    summed = _summed_up(dataset, folder)
    _warn_of_kind(dataset, what, len(values), summed, progress)
    for key, value in summed.items():
        image.SetMetaData(key, value)
    if len(values) > 1:
        return check_dose(image, what)
    require_possible(image, what)  # no volume, but gamma can be computed in it
    return image


def _scaling(dataset: Dataset, what: str) -> float:
    """What stored values are multiplied by."""
    try:
        scaling = dataset.get("DoseGridScaling")
        number = None if scaling in (None, "") else float(scaling)
    except (TypeError, ValueError):
        number = math.nan
    if number is None:
        raise SyntheticCTError(
            f"The {what} has no DoseGridScaling, so its values mean nothing: export it again."
        )
    if not (math.isfinite(number) and number > 0):
        raise SyntheticCTError(
            f"The {what} has a DoseGridScaling that cannot be ({scaling}): export it again."
        )
    return number


def _warn_of_kind(
    dataset: Dataset, what: str, frames: int, summed: dict[str, str], progress: Progress
) -> None:
    """Name what makes a dose another than that of the whole plan in Gy (DICOM C.8.8.3)."""
    kind = str(dataset.get("DoseSummationType") or "").strip().upper()
    if kind.startswith(_PARTS):
        group, count = summed.get("DoseFractionGroups"), summed.get("DoseFractions")
        of = (f", fraction group {group}" if group else "") + (
            f", {count} fractions planned" if count else ", the number of fractions is not told"
        )
        meant = (
            "; by DICOM it is of all fractions of the group, and there are systems that write it "
            "of one: check which"
            if kind == "FRACTION"
            else ""
        )
        progress.warn(
            f"The {what} is of a part of the treatment (DoseSummationType {kind}{of}): every "
            f"figure is of that part{meant}; give the dose of the plan for those of the plan."
        )
    if dataset.get("DoseType") == "EFFECTIVE":
        progress.warn(
            f"The {what} is effective dose (DoseType EFFECTIVE), weighted by biology: its Gy are "
            "not those of a physical dose."
        )
    if frames == 1 and not dataset.get("SliceThickness"):
        progress.warn(
            f"The {what} is one plane that does not say its thickness (SliceThickness): 1 mm was "
            "taken."
        )


def _summed_up(dataset: Dataset, folder: Path) -> dict[str, str]:
    """What the dose is the sum of, where the header says so, by plausibility.SUM_KEYS.

    How many fractions a part is of, its plan says where it lies beside it.
    """
    plans = list(dataset.get("ReferencedRTPlanSequence") or [])
    groups = [g for p in plans for g in p.get("ReferencedFractionGroupSequence") or []]
    beams = [b for g in groups for b in g.get("ReferencedBeamSequence") or []]

    def numbers(keyword: str) -> str:
        found = (item.get(keyword) for item in (dataset, *plans, *groups, *beams))
        return ", ".join(sorted({str(number) for number in found if number not in (None, "")}))

    kind = str(dataset.get("DoseSummationType") or "").strip().upper()
    fractions = numbers("NumberOfFractionsPlanned")
    if not fractions and kind.startswith(_PARTS):
        fractions = _planned(plans, groups, folder)
    facts = {
        "DoseSummationType": kind,
        "DoseType": str(dataset.get("DoseType") or ""),
        "DosePlans": str(len(plans) or ""),
        "DoseFractions": fractions,
        "DoseFractionGroups": numbers("ReferencedFractionGroupNumber"),
        "DoseFraction": numbers("ReferencedFractionNumber"),
        # Of a whole plan's beams the numbers may differ from copy to copy.
        "DoseBeams": "" if "PLAN" in kind else numbers("ReferencedBeamNumber"),
    }
    return {key: value for key, value in facts.items() if value}


def _planned(plans: list[Dataset], groups: list[Dataset], folder: Path) -> str:
    """Numbers of fractions that the plans of a dose, where they lie in ``folder``, plan in groups.

    Of all their groups where the dose names none.
    """
    uids = {str(plan.get("ReferencedSOPInstanceUID") or "") for plan in plans} - {""}
    named = {str(group.get("ReferencedFractionGroupNumber")) for group in groups}
    found = set()
    for path in sorted(item for item in folder.iterdir() if item.is_file()) if uids else []:
        header = read_header(path, tags=("SOPInstanceUID", "FractionGroupSequence"))
        if (
            header is None
            or not is_of(header, "RTPLAN")
            or header.get("SOPInstanceUID") not in uids
        ):
            continue
        for group in header.get("FractionGroupSequence") or []:
            count = group.get("NumberOfFractionsPlanned")
            if count and (not named or str(group.get("FractionGroupNumber")) in named):
                found.add(str(count))
    return ", ".join(sorted(found, key=int))


def _rtdose_unit(dataset: Dataset, what: str, unit: str | None) -> float:
    stated = str(dataset.get("DoseUnits") or "").strip()
    if stated.upper() == "RELATIVE":
        raise SyntheticCTError(
            f"The {what} is in percent of a reference (DoseUnits RELATIVE): export it from the "
            "planning system as absolute dose in Gy."
        )
    if not stated:
        if unit is None:
            raise SyntheticCTError(
                f"The {what} does not say its unit (DoseUnits is missing): "
                'give the unit, "Gy" or "cGy".'
            )
        return gray_per(unit, "unit given for the dose")
    return agreed_unit(stated, what, unit)


def _placed(values: np.ndarray, dataset: Dataset, what: str) -> sitk.Image:
    """``values`` (frame, row, column) on the grid that the header describes (DICOM C.8.8.3.2)."""
    try:
        position = np.array([float(v) for v in dataset.ImagePositionPatient])
        orientation = np.array([float(v) for v in dataset.ImageOrientationPatient])
        row_spacing, column_spacing = (float(v) for v in dataset.PixelSpacing)
        # A single plane has no GridFrameOffsetVector.
        offsets = np.zeros(1)
        if len(values) > 1:
            offsets = np.array([float(v) for v in dataset.GridFrameOffsetVector])
    except (AttributeError, TypeError, ValueError) as error:
        raise SyntheticCTError(
            f"The {what} does not say where it lies (position, orientation, spacing or "
            "GridFrameOffsetVector is missing): export it again."
        ) from error
    if min(row_spacing, column_spacing) <= 0 or not all(
        np.isfinite(numbers).all()
        for numbers in (position, orientation, [row_spacing, column_spacing], offsets)
    ):
        raise SyntheticCTError(
            f"The {what} has a position, orientation, spacing or GridFrameOffsetVector that cannot "
            "be (no number, or a PixelSpacing that is not above 0): export it again."
        )
    along_row, along_column = orientation[:3], orientation[3:]
    if not np.allclose(
        [along_row @ along_row, along_column @ along_column, along_row @ along_column],
        [1, 1, 0],
        atol=1e-3,
    ):
        raise SyntheticCTError(
            f"The {what} has an ImageOrientationPatient that is not two perpendicular directions: "
            "export it again."
        )
    normal = np.cross(along_row, along_column)
    along_normal = _frame_distances(offsets, position, normal, len(values), what)
    if len(values) == 1:
        step = float(dataset.get("SliceThickness") or 1.0)
    else:
        step = (along_normal[-1] - along_normal[0]) / (len(values) - 1)
    regular = along_normal[0] + step * np.arange(len(along_normal))
    if step == 0 or np.abs(along_normal - regular).max() > FRAME_TOLERANCE_MM:
        raise SyntheticCTError(
            f"The frames of the {what} are not equally spaced: export it on a regular grid."
        )
    origin = position + along_normal[0] * normal
    if step < 0:
        values = values[::-1]
        origin = position + along_normal[-1] * normal
    image = sitk.GetImageFromArray(np.ascontiguousarray(values))
    image.SetOrigin(origin.tolist())
    image.SetSpacing((column_spacing, row_spacing, abs(step)))
    image.SetDirection(np.stack([along_row, along_column, normal], axis=1).ravel().tolist())
    return image


def _frame_distances(
    offsets: np.ndarray, position: np.ndarray, normal: np.ndarray, frames: int, what: str
) -> np.ndarray:
    """Distance in mm of every frame from the first frame's position along the normal."""
    if len(offsets) != frames:
        raise SyntheticCTError(
            f"The {what} has {frames} frames but {len(offsets)} entries in GridFrameOffsetVector: "
            "the file is damaged; export it again."
        )
    if abs(offsets[0]) < 1e-3:
        return offsets
    if abs(offsets[0] - position[2]) < 0.01 and abs(abs(normal[2]) - 1) < 1e-3:
        return (offsets - offsets[0]) * np.sign(normal[2])
    raise SyntheticCTError(
        f"The {what} has a GridFrameOffsetVector that starts at {offsets[0]:g}, neither at 0 nor "
        "at the position of an axial first frame: export it again."
    )
