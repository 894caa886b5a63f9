"""Reading a folder that holds one DICOM image series, with its geometry from the positions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from .errors import SyntheticCTError

_TAGS = [
    "SOPClassUID",
    "SeriesInstanceUID",
    "SeriesDescription",
    "Modality",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
    "Rows",
    "Columns",
]

SPACING_TOLERANCE = 0.02
"""Part of the slice distance by which a slice may lie off its place."""


def read_dicom_folder(folder: Path, what: str = "image") -> sitk.Image:
    """Read the one image series in ``folder`` (not its subfolders) as a volume.

    Files that are not DICOM, and DICOM objects without slices (RTSTRUCT, RTPLAN, RTDOSE), are
    passed over. Slices are ordered by their positions along the normal, and the slice distance
    comes from the positions, never from SliceThickness. Rescale slope and intercept are applied.

    Returns:
        The volume, mm, LPS.

    Raises:
        SyntheticCTError: no slices, several series, slices of different size or direction, two
            slices at one place, or non-uniform slice spacing. Patients are never named.
    """
    slices = _slices(folder)
    if not slices:
        raise SyntheticCTError(
            f"The folder {folder} holds no DICOM slices of the {what}: give the folder in which "
            "the slices themselves lie."
        )
    _require_one_series(slices, folder)
    headers = list(slices.values())
    _require_alike(headers, folder)
    normal = np.cross(*np.reshape(np.array(headers[0].ImageOrientationPatient, float), (2, 3)))
    depth = {path: float(normal @ np.array(h.ImagePositionPatient)) for path, h in slices.items()}
    ordered = sorted(slices, key=depth.__getitem__)
    step = _slice_distance(np.array([depth[path] for path in ordered]), folder)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames([str(path) for path in ordered])
    try:
        image = reader.Execute()
    except RuntimeError as error:
        raise SyntheticCTError(
            f"The DICOM slices in {folder} cannot be read: copy or export the series again."
        ) from error
    first = slices[ordered[0]]
    across, down = np.reshape(np.array(first.ImageOrientationPatient, float), (2, 3))
    image.SetOrigin([float(v) for v in first.ImagePositionPatient])
    image.SetSpacing((float(first.PixelSpacing[1]), float(first.PixelSpacing[0]), step))
    image.SetDirection(np.stack([across, down, normal / np.linalg.norm(normal)], axis=1).ravel())
    return image


def _slices(folder: Path) -> dict[Path, Dataset]:
    """Return the headers of the single slices in ``folder``."""
    found = {}
    for path in sorted(folder.iterdir()):
        if not path.is_file():
            continue
        try:
            header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=_TAGS)
        except (InvalidDicomError, OSError, EOFError):
            continue
        if {"ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"} <= set(
            header.dir()
        ) and header.get("Modality") != "RTDOSE":
            found[path] = header
    return found


def _require_one_series(slices: dict[Path, Dataset], folder: Path) -> None:
    series: dict[str, list[Dataset]] = {}
    for header in slices.values():
        series.setdefault(str(header.get("SeriesInstanceUID", "")), []).append(header)
    if len(series) > 1:
        listed = ", ".join(
            f"{headers[0].get('Modality', 'unknown')} of {len(headers)} slices"
            for headers in series.values()
        )
        raise SyntheticCTError(
            f"The folder {folder} holds {len(series)} series ({listed}): put each series into a "
            "folder of its own."
        )


def _require_alike(headers: list[Dataset], folder: Path) -> None:
    first = headers[0]
    for header in headers[1:]:
        if (header.Rows, header.Columns) != (first.Rows, first.Columns):
            raise SyntheticCTError(
                f"The slices in {folder} differ in size: give a folder with one volume."
            )
        for name, tolerance in (("ImageOrientationPatient", 1e-3), ("PixelSpacing", 1e-3)):
            if not np.allclose(header[name].value, first[name].value, atol=tolerance):
                raise SyntheticCTError(
                    f"The slices in {folder} differ in direction or pixel size: a localizer may "
                    "be among them; give a folder with one volume."
                )


def _slice_distance(depths: np.ndarray, folder: Path) -> float:
    """Return the distance of the ordered slices in mm."""
    if depths.size < 2:
        raise SyntheticCTError(
            f"The folder {folder} holds a single slice: give all slices of the volume."
        )
    steps = np.diff(depths)
    typical = float(np.median(steps))
    if steps.min() <= 1e-3:
        raise SyntheticCTError(
            f"The folder {folder} holds two slices at the same place: several phases or echoes "
            "may be mixed; give a folder with one volume."
        )
    off = np.abs(steps - typical)
    if off.max() > SPACING_TOLERANCE * typical:
        worst = int(off.argmax())
        raise SyntheticCTError(
            f"The slice spacing in {folder} is not uniform ({steps[worst]:.2f} mm between slices "
            f"{worst + 1} and {worst + 2}, {typical:.2f} mm elsewhere): a slice may be missing; "
            "export the series again."
        )
    return float((depths[-1] - depths[0]) / (depths.size - 1))
