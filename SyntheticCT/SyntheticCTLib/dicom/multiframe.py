"""A single multi-frame DICOM file: geometry comes from its frames' positions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import SimpleITK as sitk

from SyntheticCTLib.basics.errors import SyntheticCTError

from .series import DicomSlice, in_order, numbers, placed

if TYPE_CHECKING:
    import pydicom


def frames_in_order(image: sitk.Image, path: Path, what: str) -> sitk.Image:
    """Return the frames of a file in the order and at the place of their positions.

    GDCM stacks frames as they come, a millimetre apart where their distances differ.

    Args:
        image: as GDCM has read it.

    Raises:
        SyntheticCTError: the file does not say where a frame lies, or frames lie on one another
            or at unequal distances.
    """
    from pydicom import dcmread

    header = dcmread(path, stop_before_pixels=True)
    if str(header.get("Modality", "")).startswith("RT"):
        return image
    frames = [_frame(header, number, path, what) for number in range(image.GetDepth())]
    ordered, step = in_order(frames, path, what)
    order = [frames.index(frame) for frame in ordered]
    sorted_frames = sitk.GetImageFromArray(
        np.ascontiguousarray(sitk.GetArrayViewFromImage(image)[order])
    )
    return placed(sorted_frames, ordered[0], step)


def _frame(header: pydicom.Dataset, number: int, path: Path, what: str) -> DicomSlice:
    try:
        groups = [header.PerFrameFunctionalGroupsSequence[number]]
        groups += list(header.get("SharedFunctionalGroupsSequence") or [])
        position = _found(groups, "PlanePositionSequence", "ImagePositionPatient", 3)
        orientation = _found(groups, "PlaneOrientationSequence", "ImageOrientationPatient", 6)
        spacing = _found(groups, "PixelMeasuresSequence", "PixelSpacing", 2)
    except (AttributeError, LookupError) as error:
        raise SyntheticCTError(
            f"The {what} {path} does not say where frame {number + 1} lies (position, orientation "
            "or pixel spacing is missing): export the series again as original slices."
        ) from error
    return DicomSlice(
        path=path.with_name(f"frame {number + 1}"),
        series="",
        description="",
        modality=str(header.get("Modality", "")),
        frame=str(header.get("FrameOfReferenceUID", "")),
        orientation=orientation,
        position=position,
        layout=(int(header.Rows), int(header.Columns), *spacing),
        rescale=(1.0, 0.0),
        frames=1,
        whole=True,
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
