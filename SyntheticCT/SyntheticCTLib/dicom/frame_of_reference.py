"""Frames of reference, studies and series (DICOM) that images were read from, and how the patient
lay."""

from __future__ import annotations

import SimpleITK as sitk

FRAME = "FrameOfReferenceUID"
"""Image metadata: kept where a volume, a dose or structures are read from DICOM."""
STUDY, SERIES = "StudyInstanceUID", "SeriesInstanceUID"
"""Image metadata of a volume read from DICOM; files keep their hashes (volumes.marks)."""
POSITION = "ScanPosition"
"""Image metadata: how the patient lay (DICOM's Patient Position, such as "HFS"), of a volume read
from DICOM. Its name has no "patient" in it: such keys of files are not taken over."""

DERIVATION = "DerivationDescription"
"""Image metadata: how the pixels came to be, of a volume read from DICOM that tells it."""


def frame_of(image: sitk.Image) -> str:
    """Return the UID of the frame of reference of an image; "" where it is not known."""
    return image.GetMetaData(FRAME).strip("\0 ") if image.HasMetaDataKey(FRAME) else ""


def position_of(image: sitk.Image) -> str:
    """Return how the patient lay ("HFS": DICOM's Patient Position); "" where it is not known."""
    text = image.GetMetaData(POSITION) if image.HasMetaDataKey(POSITION) else ""
    return text.strip("\0 ").upper()


def frames_differ(one: sitk.Image, other: sitk.Image) -> bool:
    """Whether both name a frame of reference, and not the same."""
    frames = frame_of(one), frame_of(other)
    return all(frames) and frames[0] != frames[1]
