"""Reading a folder that holds one DICOM series of slices; geometry comes from their positions."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import SimpleITK as sitk

from SyntheticCTLib.basics.errors import SyntheticCTError

from .frame_of_reference import FRAME

if TYPE_CHECKING:
    import pydicom

SPACING_TOLERANCE = 0.02
"""Share of the slice spacing by which gaps between slices may differ."""
SHIFT_TOLERANCE_MM = 0.1
"""By how much slices may lie beside the line along the normal (a tilted gantry shifts them)."""
DIRECTION_TOLERANCE = 1e-3


@dataclass(frozen=True)
class DicomSlice:
    """What the header of a slice, or of a frame, says."""

    path: Path
    series: str
    description: str
    modality: str
    frame: str  # UID of the frame of reference
    orientation: tuple[float, ...] | None
    position: tuple[float, ...] | None
    layout: tuple[int, int, float, float] | None  # rows, columns, row and column spacing
    rescale: tuple[float, float]  # slope, intercept
    frames: int
    whole: bool  # the file is long enough to hold its pixels


def read_dicom_folder(folder: Path, what: str) -> sitk.Image:
    """Read the one series of image slices in ``folder``.

    Files that are no DICOM are passed over, and so are DICOM files without slices (RTSTRUCT,
    RTPLAN) and RTDOSE beside an image series. Subfolders are searched only where the folder
    itself holds no DICOM file and one subfolder does.

    Args:
        folder: the folder.
        what: the role that error sentences name ("MR", "CT").

    Returns:
        The volume with rescale slope and intercept applied, slices in the order of their
        positions along the normal of the image plane; mm, LPS.

    Raises:
        SyntheticCTError: no slices; several series; slices that differ in size, pixel spacing
            or orientation, lie on one another, beside one another or at unequal distances.
    """
    slices, others = _headers(folder)
    if not slices and not others:
        found = [s for s in sorted(folder.iterdir()) if s.is_dir() and any(_headers(s))]
        if len(found) == 1:
            return read_dicom_folder(found[0], what)
        hint = (
            f"choose one of its subfolders {', '.join(s.name for s in found)}"
            if found
            else "choose the folder that holds the slices"
        )
        raise SyntheticCTError(f"The {what} folder {folder} holds no DICOM file: {hint}.")
    if not slices:
        kinds = ", ".join(f"{n} {kind}" for kind, n in sorted(Counter(others).items()))
        raise SyntheticCTError(
            f"The {what} folder {folder} holds no image slices, only {kinds}: "
            "choose the folder that holds the slices."
        )
    _require_one_series(slices, folder, what)
    if len(slices) == 1:
        raise SyntheticCTError(
            f"The {what} folder {folder} holds a single slice: give the whole series."
        )
    ordered, step = in_order(slices, folder, what)
    return _read_pixels(ordered, step, folder, what)


def _headers(folder: Path) -> tuple[list[DicomSlice], list[str]]:
    """Return the image slices in ``folder`` and the modalities of its other DICOM files."""
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    tags = [
        "SeriesInstanceUID",
        "SeriesDescription",
        FRAME,
        "Modality",
        "ImageOrientationPatient",
        "ImagePositionPatient",
        "PixelSpacing",
        "Rows",
        "Columns",
        "NumberOfFrames",
        "BitsAllocated",
        "SamplesPerPixel",
        "RescaleSlope",
        "RescaleIntercept",
    ]
    slices, others = [], []
    for path in sorted(p for p in folder.iterdir() if p.is_file()):
        try:
            with path.open("rb") as file:
                header = dcmread(file, stop_before_pixels=True, specific_tags=tags)
                rest = path.stat().st_size - file.tell()
        except (InvalidDicomError, EOFError, OSError, ValueError):
            continue
        modality = str(header.get("Modality", "DICOM"))
        if path.name.upper() == "DICOMDIR" or "Rows" not in header or modality.startswith("RT"):
            others.append(modality)
            continue
        orientation = numbers(header, "ImageOrientationPatient", 6)
        position = numbers(header, "ImagePositionPatient", 3)
        spacing = numbers(header, "PixelSpacing", 2)
        if spacing and min(spacing) <= 0:
            spacing = None
        slices.append(
            DicomSlice(
                path=path,
                series=str(header.get("SeriesInstanceUID", "")),
                description=str(header.get("SeriesDescription", "")) or "no description",
                modality=modality,
                frame=str(header.get(FRAME, "")),
                orientation=orientation,
                position=position,
                layout=(int(header.Rows), int(header.Columns), *spacing) if spacing else None,
                rescale=(
                    float(header.get("RescaleSlope") or 1),
                    float(header.get("RescaleIntercept") or 0),
                ),
                frames=int(header.get("NumberOfFrames") or 1),
                whole=rest >= _pixel_bytes(header),
            )
        )
    return slices, others


def numbers(header: pydicom.Dataset, name: str, count: int) -> tuple[float, ...] | None:
    """Numbers of an element; None where they are missing, too few or none."""
    try:
        values = tuple(float(v) for v in header[name].value)
    except (KeyError, TypeError, ValueError):
        return None
    return values if len(values) == count and np.isfinite(values).all() else None


def _pixel_bytes(header: pydicom.Dataset) -> int:
    """Length of the element with the pixels, 0 where they are compressed.

    Some versions of GDCM fill what is missing with 0 and do not say so.
    """
    element_header = {
        "1.2.840.10008.1.2": 8,  # implicit VR
        "1.2.840.10008.1.2.1": 12,
        "1.2.840.10008.1.2.2": 12,
    }.get(header.file_meta.get("TransferSyntaxUID"))
    if element_header is None:
        return 0
    bits = int(header.get("BitsAllocated") or 0) * int(header.get("SamplesPerPixel") or 1)
    return element_header + int(header.Rows) * int(header.Columns) * bits // 8


def _require_one_series(slices: list[DicomSlice], folder: Path, what: str) -> None:
    counts = Counter((s.series, s.modality, s.description) for s in slices)
    if len({series for series, _, _ in counts}) > 1:
        names = ", ".join(
            f"{modality} '{description}' ({n} slices)"
            for (_, modality, description), n in sorted(counts.items(), key=lambda c: -c[1])
        )
        raise SyntheticCTError(
            f"The {what} folder {folder} holds several series, {names}: "
            "put the one to be used into a folder of its own."
        )
    if any(s.frames > 1 for s in slices):
        raise SyntheticCTError(
            f"The {what} folder {folder} holds a multi-frame file: give that file itself."
        )
    if any(s.orientation is None or s.position is None or s.layout is None for s in slices):
        lacking = next(s for s in slices if None in (s.orientation, s.position, s.layout))
        raise SyntheticCTError(
            f"The {what} slice {lacking.path} does not say where it lies (position, orientation "
            "or pixel spacing is missing): export the series again as original slices."
        )


def in_order(
    slices: list[DicomSlice], folder: Path, what: str
) -> tuple[list[DicomSlice], np.ndarray]:
    """Return the slices along their normal, and the step (mm) from one to the next."""
    first = slices[0]
    for other in slices[1:]:
        if other.layout[:2] != first.layout[:2]:
            raise SyntheticCTError(
                f"The {what} slices in {folder} differ in size ({first.layout[1]} x "
                f"{first.layout[0]} and {other.layout[1]} x {other.layout[0]} pixels): "
                "give one series."
            )
        if not np.allclose(other.layout[2:], first.layout[2:], rtol=1e-3):
            raise SyntheticCTError(
                f"The {what} slices in {folder} differ in pixel spacing: give one series."
            )
        if not np.allclose(other.orientation, first.orientation, atol=DIRECTION_TOLERANCE):
            raise SyntheticCTError(
                f"The {what} slices in {folder} differ in orientation (a localizer or several "
                "stacks): give one series of parallel slices."
            )
    normal = np.cross(first.orientation[:3], first.orientation[3:])
    ordered = sorted(slices, key=lambda s: float(np.dot(normal, s.position)))
    positions = np.array([s.position for s in ordered])
    along = positions @ normal
    gaps = np.diff(along)
    usual = float(np.median(gaps))
    at = int(np.argmin(gaps))
    if gaps[at] < 0.05 * max(usual, 0.1):
        raise SyntheticCTError(
            f"The {what} folder {folder} holds slices on one another at {along[at]:.1f} mm along "
            f"their normal ({ordered[at].path.name} and {ordered[at + 1].path.name}): "
            "keep one of them, or give one phase or echo only."
        )
    wrong = np.abs(gaps - usual) > max(SPACING_TOLERANCE * usual, 0.01)
    if wrong.any():
        at = int(np.argmax(np.abs(gaps - usual)))
        missing = round(gaps[at] / usual) - 1
        reason = (
            f"{missing} slice{'s are' if missing > 1 else ' is'} missing"
            if missing >= 1 and abs(gaps[at] - (missing + 1) * usual) < 0.1 * usual
            else "the slice spacing is not uniform"
        )
        raise SyntheticCTError(
            f"In the {what} folder {folder} {reason}: the gap after {ordered[at].path.name} at "
            f"{along[at]:.1f} mm is {gaps[at]:.2f} mm, others are {usual:.2f} mm; "
            "give a complete series of equally spaced slices."
        )
    step = (positions[-1] - positions[0]) / (len(ordered) - 1)
    beside = step - np.dot(step, normal) * normal
    if np.linalg.norm(beside) * (len(ordered) - 1) > SHIFT_TOLERANCE_MM:
        raise SyntheticCTError(
            f"The {what} slices in {folder} are shifted against one another (a tilted gantry, by "
            f"{np.linalg.norm(beside):.2f} mm a slice): give a series that was resampled."
        )
    return ordered, step


def _read_pixels(slices: list[DicomSlice], step: np.ndarray, folder: Path, what: str) -> sitk.Image:
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames([str(s.path) for s in slices])
    rescale = {s.rescale for s in slices}
    if len(rescale) > 1 or any(not value.is_integer() for pair in rescale for value in pair):
        # The pixel type of the first slice may not hold the values of the others.
        reader.SetOutputPixelType(sitk.sitkFloat32)
    unreadable = SyntheticCTError(
        f"The {what} slices in {folder} cannot be read: copy the series again, "
        "it may be incomplete or compressed in an unusual way."
    )
    if not all(s.whole for s in slices):
        raise unreadable
    try:
        image = reader.Execute()
    except RuntimeError as error:
        raise unreadable from error
    return placed(image, slices[0], step)


def placed(image: sitk.Image, first: DicomSlice, step: np.ndarray) -> sitk.Image:
    """Give an image whose slices are in order the geometry that their headers tell."""
    row_mm, column_mm = first.layout[2:]
    along_row, along_column = np.array(first.orientation[:3]), np.array(first.orientation[3:])
    along_row = along_row / np.linalg.norm(along_row)
    along_column = along_column - np.dot(along_column, along_row) * along_row
    along_column = along_column / np.linalg.norm(along_column)
    # Slices are ordered along this normal, so that the third direction completes a right hand.
    normal = np.cross(along_row, along_column)
    if first.frame:
        image.SetMetaData(FRAME, first.frame)
    image.SetOrigin(first.position)
    image.SetSpacing((column_mm, row_mm, float(np.dot(step, normal))))
    image.SetDirection(np.stack([along_row, along_column, normal], axis=1).ravel().tolist())
    return image
