"""Masks as an RT Structure Set that refers to a CT series (PS3.3 A.19)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import SimpleITK as sitk

from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import SILENT, Progress
from SyntheticCTLib.dicom.roi_types import EXTERNAL, roi_type
from SyntheticCTLib.volumes.grids import grid_of, same_grid
from SyntheticCTLib.volumes.mask_folder import crop
from SyntheticCTLib.volumes.resampling import reached, resample

from .ct import CtSeries
from .objects import UTF_8, begun, content_of, ds, new_uid, reference, series_number, write
from .outlines import outlines
from .source import SourceSeries

if TYPE_CHECKING:
    import pydicom

FILE = "RTSTRUCT.dcm"
_STUDY = "1.2.840.10008.3.1.2.3.1"
"""Class by which a structure set names a study (it was retired, and the module wants it)."""
_CUT = 0.01
"""Share of a structure beyond the CT from which it is told."""
_COLOURS = ((0, 255, 0), (255, 0, 0), (0, 128, 255), (255, 200, 0), (255, 0, 255), (0, 255, 255))


def write_structure_set(
    structures: Mapping[str, sitk.Image],
    body: str | None,
    ct: CtSeries,
    source: SourceSeries,
    folder: Path,
    progress: Progress = SILENT,
) -> Path:
    """Write masks as contours on the slices of a CT series, and return the file.

    Args:
        structures: masks (not 0) by name, on any grid (mm, LPS), with their types
            (dicom.roi_types) where they are known.
        body: the name of the one that is the patient's outline.

    Raises:
        SyntheticCTError: none of them has a contour on a slice.
    """
    from pydicom import Dataset
    from pydicom.uid import RTStructureSetStorage

    result = begun(source, RTStructureSetStorage, "RTSTRUCT", ct.when)
    result.SeriesNumber, result.InstanceNumber = series_number(source, 2), 1
    result.SeriesDescription = "STRUCTURES ON SYNTHETIC CT"
    result.OperatorsName = ""
    result.StructureSetLabel = "SYNTHETIC CT"
    result.StructureSetDate = ct.when.strftime("%Y%m%d") if ct.when else ""
    result.StructureSetTime = ct.when.strftime("%H%M%S") if ct.when else ""
    result.ReferencedFrameOfReferenceSequence = [_frame(result, ct)]
    rois, drawn, kinds = [], [], []
    types = _types(structures, body, progress)
    names: set[str] = set()
    for given, mask in structures.items():
        name = _unique(given, names)
        contours = _contours(mask, ct, name, progress)
        if not contours:
            progress.warn(f"The structure {name} has no contour on a slice and is left out.")
            continue
        names.add(name)
        number = len(rois) + 1
        roi, lines, kind = Dataset(), Dataset(), Dataset()
        roi.ROINumber, roi.ROIName = number, name
        roi.ReferencedFrameOfReferenceUID = source.frame
        roi.ROIGenerationAlgorithm = ""
        lines.ROIDisplayColor = list(_COLOURS[(number - 1) % len(_COLOURS)])
        lines.ContourSequence, lines.ReferencedROINumber = contours, number
        kind.ObservationNumber, kind.ReferencedROINumber = number, number
        kind.RTROIInterpretedType = types[given]
        kind.ROIInterpreter = ""
        rois.append(roi)
        drawn.append(lines)
        kinds.append(kind)
    if not rois:
        raise SyntheticCTError(
            "None of the structures has a contour on a slice of the synthetic CT: check that they "
            "were drawn on it or on its MR."
        )
    if not all(name.isascii() for name in names):
        result.SpecificCharacterSet = UTF_8  # the MR's may not have their letters
    result.StructureSetROISequence = rois
    result.ROIContourSequence = drawn
    result.RTROIObservationsSequence = kinds
    content = None if ct.when else content_of(result, ct.uid.encode())
    result.SeriesInstanceUID = new_uid(content and content + b"series")
    result.SOPInstanceUID = new_uid(content)
    write(result, folder / FILE, implicit=True)
    return folder / FILE


def _types(
    structures: Mapping[str, sitk.Image], body: str | None, progress: Progress
) -> dict[str, str]:
    """Types of structures by name; one of them is the patient's outline, ``body`` before others."""
    types = {name: roi_type(mask) for name, mask in structures.items()}
    if body is not None:
        types[body] = EXTERNAL
    external = [name for name, kind in types.items() if kind == EXTERNAL]
    taken = body if body is not None else next(iter(external), None)
    for name in external:
        if name != taken:
            types[name] = ""
            progress.warn(
                f"The structure {name} is of the type EXTERNAL as {taken} is, and there can be one "
                f"outline of the patient: {taken} keeps the type, {name} is exported without."
            )
    return types


def _frame(header: pydicom.Dataset, ct: CtSeries) -> pydicom.Dataset:
    """The item that names frame of reference, study, series and slices of the CT."""
    from pydicom import Dataset

    frame, series = Dataset(), Dataset()
    study = reference(_STUDY, str(header.StudyInstanceUID))
    series.SeriesInstanceUID = ct.uid
    series.ContourImageSequence = [ct.reference(n) for n in range(len(ct.instances))]
    study.RTReferencedSeriesSequence = [series]
    frame.FrameOfReferenceUID = header.FrameOfReferenceUID
    frame.RTReferencedStudySequence = [study]
    return frame


def _contours(
    mask: sitk.Image, ct: CtSeries, name: str, progress: Progress
) -> list[pydicom.Dataset]:
    from pydicom import Dataset

    on_slices = _on_slices(mask, ct.image, name, progress)
    if on_slices is None:
        return []
    grid, values = on_slices
    axes = np.reshape(grid.GetDirection(), (3, 3)) * grid.GetSpacing()
    first = round((grid.GetOrigin()[2] - ct.image.GetOrigin()[2]) / ct.image.GetSpacing()[2])
    found = []
    for plane, inside in enumerate(values):
        for points in outlines(inside):
            places = points @ axes[:, :2].T + grid.TransformIndexToPhysicalPoint((0, 0, plane))
            places[:, 2] = ct.image.TransformIndexToPhysicalPoint((0, 0, first + plane))[2]
            item = Dataset()
            item.ContourImageSequence = [ct.reference(first + plane)]
            item.ContourGeometricType = "CLOSED_PLANAR"
            item.NumberOfContourPoints = len(places)
            item.ContourData = ds(*np.round(places, 4).ravel())
            found.append(item)
    return found


def _on_slices(
    mask: sitk.Image, ct: sitk.Image, name: str, progress: Progress
) -> tuple[sitk.Image, np.ndarray] | None:
    """A mask on the CT's slices, with pixels at most as large as its own, and their grid.

    None where it is empty or beside the CT.
    """
    part = crop(mask)
    if part is None:
        return None
    if same_grid(mask, ct):
        return ct, sitk.GetArrayViewFromImage(mask) != 0
    ends = [
        ct.TransformPhysicalPointToContinuousIndex(
            part.TransformContinuousIndexToPhysicalPoint(
                [(-1.0, float(n))[corner >> axis & 1] for axis, n in enumerate(part.GetSize())]
            )
        )
        for corner in range(8)
    ]
    size = np.array(ct.GetSize())
    low = np.clip(np.floor(np.min(ends, axis=0)), 0, size - 1).astype(int)
    high = np.clip(np.ceil(np.max(ends, axis=0)), 0, size - 1).astype(int)
    finest = min(mask.GetSpacing())
    times = np.array([*(max(1, math.ceil(s / finest - 0.01)) for s in ct.GetSpacing()[:2]), 1])
    count = (high - low + 1) * times
    # The first of the finer pixels lies in a corner of a pixel of the CT.
    start = low - 0.5 + 0.5 / times
    grid = grid_of(
        tuple(count.tolist()),
        tuple((np.array(ct.GetSpacing()) / times).tolist()),
        ct.TransformContinuousIndexToPhysicalPoint(start.tolist()),
        ct.GetDirection(),
    )
    share = resample(sitk.Cast(part != 0, sitk.sitkFloat32), grid, fill=0)
    values = sitk.GetArrayViewFromImage(share) >= 0.5
    _tell_cut(part, ct, name, progress)
    return (grid, values) if values.any() else None


def _tell_cut(part: sitk.Image, ct: sitk.Image, name: str, progress: Progress) -> None:
    """Warn where a structure goes on beyond the CT."""
    inside = sitk.GetArrayViewFromImage(part) != 0
    beyond = 1 - float(reached(ct, None, part)[inside].mean())
    if beyond > _CUT:
        progress.warn(
            f"The structure {name} goes on beyond the synthetic CT, and {100 * beyond:.0f} % of it "
            "are left out."
        )


def _unique(given: str, taken: set[str]) -> str:
    """A name of at most 64 characters, without the sign that separates values, not yet taken."""
    plain = " ".join(given.replace("\\", "/").split())[:64] or "structure"
    unique, n = plain, 2
    while unique in taken:
        ending = f" ({n})"
        unique, n = plain[: 64 - len(ending)] + ending, n + 1
    return unique
