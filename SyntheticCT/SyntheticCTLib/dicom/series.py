"""Reading a folder that holds DICOM series of slices; geometry comes from their positions."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import SILENT, Progress

from .choice import (
    check_slices,
    choose_series,
    part_after,
    require_one_patient,
    require_role,
    warn_of_frames,
)
from .headers import DicomSlice, holds_images, read_header, slice_of
from .multiframe import read_dicom_file
from .order import in_order, placed
from .pixels import rescaled, stored_values


def read_dicom_folder(
    folder: Path, what: str, series: str = "", progress: Progress = SILENT
) -> sitk.Image:
    """Read one series of image slices in ``folder``.

    Files that are no DICOM are passed over, and so are DICOM files without slices (RTSTRUCT,
    RTPLAN) and RTDOSE beside an image series. Subfolders are searched only where the folder
    itself holds no DICOM file and one subfolder does.

    Args:
        folder: the folder.
        what: the role that error sentences name; as "MR" or "CT" it is also what the series
            must be (see :data:`choice.ROLES`).
        series: number, description or UID of the series to be taken of several.
        progress: receives warnings, such as which of several series was taken.

    Returns:
        The volume with rescale slope and intercept applied, slices in the order of their
        positions along the normal of the image plane; mm, LPS.

    Raises:
        SyntheticCTError: no slices; several series of which none is named; another modality;
            several patients; a damaged file; slices that differ in size, pixel spacing or
            orientation, lie on one another, beside one another or at unequal distances.
    """
    slices = series_of(folder, what, series, progress)
    folder = slices[0].path.parent
    for modality in sorted({item.modality for item in slices}):
        require_role(modality, f"folder {folder}", what, progress)
    require_one_patient(slices, folder, what)
    if len(slices) == 1 and slices[0].frames > 1:
        return read_dicom_file(slices[0].path, what, progress, part_after(slices, series))
    _require_slices(slices, folder, what)
    warn_of_frames(slices, folder, what, progress)
    check_slices(slices, folder, what, progress)
    ordered, step = in_order(slices, folder, what)
    stored = np.concatenate([stored_values(s.path, f"{what} slice") for s in ordered])
    return placed(rescaled(stored, [s.rescale for s in ordered]), ordered[0], step)


def series_of(
    folder: Path, what: str, series: str = "", progress: Progress = SILENT
) -> list[DicomSlice]:
    """Return the headers of the series that :func:`read_dicom_folder` reads.

    Raises:
        SyntheticCTError: no slices, or several series of which none is named.
    """
    slices, others = _headers(folder, what)
    if not slices and not others:
        found = [s for s in sorted(folder.iterdir()) if s.is_dir() and _holds_dicom(s)]
        if len(found) == 1:
            return series_of(found[0], what, series, progress)
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
    return choose_series(slices, folder, what, series, progress)


def _holds_dicom(folder: Path) -> bool:
    return any(path.is_file() and read_header(path) is not None for path in folder.iterdir())


def _headers(folder: Path, what: str) -> tuple[list[DicomSlice], list[str]]:
    """Return the image slices in ``folder`` and the modalities of its other DICOM files."""
    slices, others, unreadable = [], [], []
    for path in sorted(p for p in folder.iterdir() if p.is_file()):
        header = read_header(path)
        if header is None:
            unreadable.append(path)
        elif path.name.upper() == "DICOMDIR" or not holds_images(header):
            others.append(str(header.get("Modality", "DICOM")))
        else:
            slices.append(slice_of(header, path, what))
    # A slice that is missing at the end of a series leaves no gap.
    kinds = {s.path.suffix.lower() for s in slices}
    damaged = [p for p in unreadable if _is_damaged(p, kinds)]
    if damaged:
        state = "is empty" if not damaged[0].stat().st_size else "is damaged or no DICOM file"
        raise SyntheticCTError(
            f"The file {damaged[0].name} among the {what} slices in {folder} {state}: copy it "
            "again, or take it out of the folder."
        )
    return slices, others


def _is_damaged(path: Path, kinds: set[str]) -> bool:
    """Whether a file that cannot be read was a slice: it says so, or its name is like theirs.

    Args:
        kinds: suffixes of the slices; "" is that of many text files as well.
    """
    try:
        with path.open("rb") as file:
            beginning = file.read(1024)
    except OSError:
        return True
    suffix = path.suffix.lower()
    binary = not beginning or b"\0" in beginning
    return beginning[128:132] == b"DICM" or (suffix in kinds and (bool(suffix) or binary))


def _require_slices(slices: list[DicomSlice], folder: Path, what: str) -> None:
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
    if len(slices) == 1:
        raise SyntheticCTError(
            f"The {what} folder {folder} holds a single slice: give the whole series."
        )
