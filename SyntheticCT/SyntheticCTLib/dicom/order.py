"""Slices in the order of their positions along their normal, and the geometry that follows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from SyntheticCTLib.basics.errors import SyntheticCTError

from .frame_of_reference import DERIVATION, FRAME, POSITION, SERIES, STUDY
from .headers import DicomSlice

SPACING_TOLERANCE = 0.02
"""Share of the slice spacing by which gaps between slices may differ."""
SHIFT_TOLERANCE_MM = 0.1
"""By how much slices may lie beside the line along the normal (a tilted gantry shifts them)."""
TILT_TOLERANCE = 0.05
"""Degrees of GantryDetectorTilt that are none."""
DIRECTION_TOLERANCE = 1e-3
FEW_GAPS = 0.2
"""Share of gaps up to which larger ones are missing slices, and not a series of two spacings."""


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
        if other.layout != first.layout and not np.allclose(
            other.layout[2:], first.layout[2:], rtol=1e-3
        ):
            raise SyntheticCTError(
                f"The {what} slices in {folder} differ in pixel spacing: give one series."
            )
        if other.orientation != first.orientation and not np.allclose(
            other.orientation, first.orientation, atol=DIRECTION_TOLERANCE
        ):
            raise SyntheticCTError(
                f"The {what} slices in {folder} differ in orientation (a localizer or several "
                "stacks): give one series of parallel slices."
            )
    across, down = np.array(first.orientation[:3]), np.array(first.orientation[3:])
    if not np.allclose([across @ across, down @ down, across @ down], [1, 1, 0], atol=0.01):
        raise SyntheticCTError(
            f"The {what} slices in {folder} have an ImageOrientationPatient that is not two "
            "directions at right angles: export the series again."
        )
    normal = np.cross(across, down)
    normal /= np.linalg.norm(normal)
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
            if missing >= 1
            and abs(gaps[at] - (missing + 1) * usual) < 0.1 * usual
            and wrong.sum() <= max(1, FEW_GAPS * len(gaps))
            else "the slice spacing is not uniform"
        )
        raise SyntheticCTError(
            f"In the {what} folder {folder} {reason}: the gap after {ordered[at].path.name} at "
            f"{along[at]:.1f} mm is {gaps[at]:.2f} mm, {len(gaps) - int(wrong.sum())} of "
            f"{len(gaps)} are {usual:.2f} mm; give a complete series of equally spaced slices."
        )
    step = (positions[-1] - positions[0]) / (len(ordered) - 1)
    beside = step - np.dot(step, normal) * normal
    shift = float(np.linalg.norm(beside))
    if shift * (len(ordered) - 1) > SHIFT_TOLERANCE_MM:
        angle = np.degrees(np.arctan2(shift, float(np.dot(step, normal))))
        raise SyntheticCTError(
            f"The {what} slices in {folder} are shifted against one another (a gantry tilted by "
            f"{angle:.1f} degrees, {shift:.2f} mm a slice): give a series that was resampled."
        )
    if abs(first.tilt) > TILT_TOLERANCE:
        raise SyntheticCTError(
            f"The {what} slices in {folder} were measured with a gantry tilted by "
            f"{abs(first.tilt):.1f} degrees (GantryDetectorTilt), and their positions do not say "
            "so: give a series that was resampled, with a tilt of 0 in its headers."
        )
    return ordered, step


def placed(image: sitk.Image, first: DicomSlice, step: np.ndarray) -> sitk.Image:
    """Give an image whose slices are in order the geometry that their headers tell."""
    row_mm, column_mm = first.layout[2:]
    along_row, along_column = np.array(first.orientation[:3]), np.array(first.orientation[3:])
    along_row = along_row / np.linalg.norm(along_row)
    along_column = along_column - np.dot(along_column, along_row) * along_row
    along_column = along_column / np.linalg.norm(along_column)
    # Slices are ordered along this normal, so that the third direction completes a right hand.
    normal = np.cross(along_row, along_column)
    told = {FRAME: first.frame, STUDY: first.study, SERIES: first.series, POSITION: first.lies}
    told[DERIVATION] = first.derivation
    for name, text in told.items():
        if text:
            image.SetMetaData(name, text)
    image.SetOrigin(first.position)
    image.SetSpacing((column_mm, row_mm, float(np.dot(step, normal))))
    image.SetDirection(np.stack([along_row, along_column, normal], axis=1).ravel().tolist())
    return image
