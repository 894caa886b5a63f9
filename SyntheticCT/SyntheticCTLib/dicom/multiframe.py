"""A single multi-frame DICOM file: place and scaling come from its frames."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import SimpleITK as sitk

from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import SILENT, Progress

from .choice import check_slices, choose_part, require_role
from .contrast import contrast_of, image_type
from .frames import flat
from .headers import DicomSlice, holds_images, numbers, read_header, slice_of
from .order import in_order, placed
from .pixels import rescaled, stored_values
from .scaling import scaling_of

if TYPE_CHECKING:
    import pydicom


def read_dicom_file(
    path: Path, what: str, progress: Progress = SILENT, part: str = ""
) -> sitk.Image:
    """Read a multi-frame file, its frames in the order and at the place of their positions.

    Args:
        path: a DICOM file, with or without preamble.
        what: the role, see :func:`series.read_dicom_folder`.
        part: name of one of the stacks, contrasts, echoes, ... that the file holds (see
            :func:`parts.parts_of`).

    Raises:
        SyntheticCTError: a single slice or no image; another modality; the file is truncated,
            does not say where a frame lies, or frames lie on one another or at unequal
            distances; several parts of which none is named.
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
    whole = [_frame(header, number, shared, what) for number in range(shared.frames)]
    frames = choose_part(whole, path, what, part, progress, path.name)
    if len(frames) < 2:
        raise SyntheticCTError(
            f"The part of the {what} {path} is a single slice: choose one that is a volume."
        )
    check_slices(frames, path, what, progress)
    ordered, step = in_order(frames, path, what)
    number = {id(frame): n for n, frame in enumerate(whole)}
    order = [number[id(frame)] for frame in ordered]
    stored = stored_values(path, what)[order]
    return placed(rescaled(stored, [frame.rescale for frame in ordered]), ordered[0], step)


def _frame(header: pydicom.Dataset, number: int, shared: DicomSlice, what: str) -> DicomSlice:
    frame = flat(header, number)
    position = numbers(frame, "ImagePositionPatient", 3)
    orientation = numbers(frame, "ImageOrientationPatient", 6)
    spacing = numbers(frame, "PixelSpacing", 2)
    if None in (position, orientation, spacing) or min(spacing) <= 0:
        raise SyntheticCTError(
            f"The {what} {shared.path} does not say where frame {number + 1} lies (position, "
            "orientation or pixel spacing is missing): export the series again as original slices."
        )
    rescale, scaling = scaling_of(frame, shared.path, what, shared.modality)
    return replace(
        shared,
        path=shared.path.with_name(f"frame {number + 1}"),
        orientation=orientation,
        position=position,
        layout=(int(header.Rows), int(header.Columns), *spacing),
        rescale=rescale if scaling else shared.rescale,
        scaling=scaling or shared.scaling,
        frames=1,
        contrast=contrast_of(frame),
        localizer="LOCALIZER" in image_type(frame) or shared.localizer,
    )
