"""A single multi-frame DICOM file: place and scaling come from its frames."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import SimpleITK as sitk

from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import SILENT, Progress

from .choice import check_scaling, require_role
from .headers import DicomSlice, holds_images, numbers, read_header, rescale_of, slice_of
from .order import in_order, placed
from .pixels import rescaled, stored_values

if TYPE_CHECKING:
    import pydicom


def read_dicom_file(path: Path, what: str, progress: Progress = SILENT) -> sitk.Image:
    """Read a multi-frame file, its frames in the order and at the place of their positions.

    Args:
        path: a DICOM file, with or without preamble.
        what: the role, see :func:`series.read_dicom_folder`.

    Raises:
        SyntheticCTError: a single slice or no image; another modality; the file is truncated,
            does not say where a frame lies, or frames lie on one another or at unequal
            distances.
    """
    header = read_header(path, whole=True)
    if header is None:
        raise SyntheticCTError(f"The {what} {path} is a damaged DICOM file: copy it again.")
    if path.name.upper() == "DICOMDIR" or "DirectoryRecordSequence" in header:
        raise SyntheticCTError(
            f"The {what} {path} is the directory of a DICOM medium: give the folder that holds "
            "the slices."
        )
    require_role(str(header.get("Modality", "")).strip(), str(path), what, progress)
    if not holds_images(header):
        raise SyntheticCTError(
            f"The {what} {path} is a DICOM file without image slices: give a series."
        )
    shared = slice_of(header, path, what)
    if shared.frames < 2:
        raise SyntheticCTError(
            f"The {what} {path} is a single slice of a series: give the folder of the series."
        )
    frames = [_frame(header, number, shared, what) for number in range(shared.frames)]
    check_scaling(frames, path, what, progress)
    ordered, step = in_order(frames, path, what)
    order = [frames.index(frame) for frame in ordered]
    stored = stored_values(path, what)[order]
    return placed(rescaled(stored, [frame.rescale for frame in ordered]), ordered[0], step)


def _frame(header: pydicom.Dataset, number: int, shared: DicomSlice, what: str) -> DicomSlice:
    try:
        groups = [header.PerFrameFunctionalGroupsSequence[number]]
        groups += list(header.get("SharedFunctionalGroupsSequence") or [])
        position = _found(groups, "PlanePositionSequence", "ImagePositionPatient", 3)
        orientation = _found(groups, "PlaneOrientationSequence", "ImageOrientationPatient", 6)
        spacing = _found(groups, "PixelMeasuresSequence", "PixelSpacing", 2)
    except (AttributeError, LookupError) as error:
        raise SyntheticCTError(
            f"The {what} {shared.path} does not say where frame {number + 1} lies (position, "
            "orientation or pixel spacing is missing): export the series again as original slices."
        ) from error
    scalings = [
        rescale_of(item, shared.path, what, shared.modality)
        for group in groups
        for item in group.get("PixelValueTransformationSequence") or []
    ]
    return replace(
        shared,
        path=shared.path.with_name(f"frame {number + 1}"),
        orientation=orientation,
        position=position,
        layout=(int(header.Rows), int(header.Columns), *spacing),
        rescale=scalings[0] if scalings else shared.rescale,
        scaled=bool(scalings) or shared.scaled,
    )


def _found(
    groups: list[pydicom.Dataset], sequence: str, element: str, count: int
) -> tuple[float, ...]:
    for group in groups:
        for item in group.get(sequence) or []:
            values = numbers(item, element, count)
            if values is not None:
                return values
    raise LookupError(element)
