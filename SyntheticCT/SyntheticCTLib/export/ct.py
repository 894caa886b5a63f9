"""Slices of a CT-like image as CT Image Storage (PS3.3 A.3)."""

from __future__ import annotations

import copy
import datetime
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import SimpleITK as sitk

from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import SILENT, Progress

from .objects import begun, code, content_of, ds, new_uid, plain, reference, series_number, write
from .source import SourceSeries

if TYPE_CHECKING:
    import pydicom

INTERCEPT = -1024
"""Rescale intercept. Stored values are HU + 1024: none is negative down to -1024 HU, so that a
system that takes them for unsigned reads the same as one that takes them for signed, and up to
:data:`TWELVE_BITS` HU they fit the 12 bits of a scanner's CT. The slope of 1 keeps whole HU."""
TWELVE_BITS = 4095 + INTERCEPT
_HIGHEST = np.iinfo(np.int16).max + INTERCEPT


@dataclass(frozen=True)
class CtSeries:
    """A CT series that was written, as other files refer to it.

    Attributes:
        image: what its slices hold, axial (HU).
        uid: of the series.
        instances: SOP instance UIDs in the order of the slices.
        when: date and time; None where UIDs depend on the content alone.
    """

    image: sitk.Image
    uid: str
    instances: tuple[str, ...]
    when: datetime.datetime | None

    def reference(self, number: int) -> pydicom.Dataset:
        """Return an item that refers to slice ``number`` (from 0)."""
        from pydicom.uid import CTImageStorage

        return reference(CTImageStorage, self.instances[number])


def stored_values(ct: sitk.Image, progress: Progress = SILENT) -> np.ndarray:
    """Return HU as stored values (k, j, i; int16, none of them negative).

    Raises:
        SyntheticCTError: values that 16 bits cannot hold.
    """
    values = np.rint(sitk.GetArrayViewFromImage(ct))
    highest = float(values.max())
    if highest > _HIGHEST:
        raise SyntheticCTError(
            f"The synthetic CT holds {highest:g} HU, and CT slices hold {_HIGHEST} at most: check "
            "that it is in HU."
        )
    if highest > TWELVE_BITS:
        progress.warn(
            f"The synthetic CT holds up to {highest:g} HU; systems that read 12 bits take values "
            f"above {TWELVE_BITS} HU for others: check how yours shows them."
        )
    below = int(np.count_nonzero(values < INTERCEPT))
    if below:
        progress.warn(
            f"{below} voxels of the synthetic CT below {INTERCEPT} HU (down to {values.min():g}) "
            f"are exported as {INTERCEPT} HU."
        )
    return (np.maximum(values, INTERCEPT) - INTERCEPT).astype(np.int16)


def write_ct(
    ct: sitk.Image,
    source: SourceSeries,
    folder: Path,
    *,
    description: str,
    derivation: str,
    resampled: bool,
    kvp: float | None,
    when: datetime.datetime | None,
    progress: Progress = SILENT,
) -> CtSeries:
    """Write a CT-like image as slices CT_0001.dcm, ... and return the series.

    Args:
        ct: axial, HU.
        description, derivation: of the series, and how its pixels came to be.
        resampled: whether they lie elsewhere than the source's.
        kvp: tube voltage to be told; None leaves it empty, as no X-rays were used.
        when: date and time; None gives UIDs that depend on the content alone.

    Raises:
        SyntheticCTError: see :func:`stored_values`.
    """
    stored = stored_values(ct, progress)
    dataset = _common(ct, source, description, derivation, resampled, kvp, when)
    geometry = repr((ct.GetOrigin(), ct.GetSpacing(), ct.GetDirection(), ct.GetSize()))
    content = None if when else content_of(dataset, geometry.encode(), stored.tobytes())
    series = new_uid(content)
    dataset.SeriesInstanceUID = series
    dataset.SourceImageSequence = [reference(*instance) for instance in source.instances]
    instances = []
    for number, plane in enumerate(stored):
        dataset.SOPInstanceUID = new_uid(f"{series} {number}".encode() if content else None)
        dataset.InstanceNumber = number + 1
        position = ct.TransformIndexToPhysicalPoint((0, 0, number))
        dataset.ImagePositionPatient = ds(*position)
        dataset.SliceLocation = ds(position[2])[0]
        dataset.PixelData = plane.astype("<i2").tobytes()
        dataset["PixelData"].VR = "OW"
        write(dataset, folder / f"CT_{number + 1:04}.dcm")
        instances.append(str(dataset.SOPInstanceUID))
        progress.report("Write CT slices", (number + 1) / len(stored))
    return CtSeries(ct, series, tuple(instances), when)


def _common(
    ct: sitk.Image,
    source: SourceSeries,
    description: str,
    derivation: str,
    resampled: bool,
    kvp: float | None,
    when: datetime.datetime | None,
) -> pydicom.Dataset:
    """What all slices have in common, without UIDs of their own."""
    from pydicom.uid import CTImageStorage

    result = begun(source, CTImageStorage, "CT", when)
    result.ImageType = ["DERIVED", "SECONDARY", "AXIAL"]
    result.SeriesNumber = series_number(source, 1)
    result.SeriesDescription = plain(description, 64)
    result.DerivationDescription = plain(derivation, 1024)
    if resampled:
        result.DerivationCodeSequence = [code("113085", "DCM", "Spatial resampling")]
    result.PatientPosition = source.position
    part = str(source.header.get("BodyPartExamined") or "")
    if part:
        result["BodyPartExamined"] = copy.deepcopy(source.header["BodyPartExamined"])
    if part != "PELVIS":  # wanted, if without a value, unless the part is known to be no pair
        result.Laterality = str(source.header.get("Laterality") or "")
    result.BurnedInAnnotation = "NO"
    result.update(source.lossy)
    # No X-rays made it: what the standard wants of the acquisition is there and empty (type 2).
    result.KVP = "" if kvp is None else ds(kvp)[0]
    result.AcquisitionNumber = ""
    direction, spacing = ct.GetDirection(), ct.GetSpacing()
    columns = np.reshape(direction, (3, 3)).T
    result.ImageOrientationPatient = ds(*columns[0], *columns[1])
    result.PixelSpacing = ds(spacing[1], spacing[0])
    result.SliceThickness = ds(spacing[2])[0]
    result.SpacingBetweenSlices = ds(spacing[2])[0]
    result.SamplesPerPixel, result.PhotometricInterpretation = 1, "MONOCHROME2"
    result.Columns, result.Rows = ct.GetSize()[:2]
    result.BitsAllocated, result.BitsStored, result.HighBit = 16, 16, 15
    result.PixelRepresentation = 1
    result.RescaleSlope, result.RescaleIntercept, result.RescaleType = "1", str(INTERCEPT), "HU"
    result.WindowCenter, result.WindowWidth = "40", "400"
    return result
