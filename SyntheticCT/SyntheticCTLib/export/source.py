"""The MR that a synthetic CT belongs to: what its DICOM headers hand on, and whether it fits."""

from __future__ import annotations

import copy
import os
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import SimpleITK as sitk

from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.inputs import folder_and_series
from SyntheticCTLib.basics.progress import SILENT, Progress
from SyntheticCTLib.body.contour import AIR_TISSUE_HU, body_contour
from SyntheticCTLib.dicom.frame_of_reference import FRAME, frame_of
from SyntheticCTLib.dicom.headers import read_header
from SyntheticCTLib.dicom.series import series_of
from SyntheticCTLib.volumes.grids import grid_of, same_grid
from SyntheticCTLib.volumes.marks import FRAME_KEY, frame_mark
from SyntheticCTLib.volumes.resampling import floored, reached, resample

if TYPE_CHECKING:
    from pathlib import Path

    import pydicom

EMPTY = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "ReferringPhysicianName",
    "StudyID",
    "AccessionNumber",
)
"""Elements of patient and study that must be there, if without a value (type 2)."""
HANDED_ON = (
    "SpecificCharacterSet",
    "TimezoneOffsetFromUTC",
    *EMPTY,
    "StudyInstanceUID",
    "StudyDescription",
    "IssuerOfPatientID",
    "IssuerOfPatientIDQualifiersSequence",
    "OtherPatientIDs",
    "OtherPatientIDsSequence",
    "PatientAge",
    "PatientSize",
    "PatientWeight",
    "PatientIdentityRemoved",
    "DeidentificationMethod",
    "DeidentificationMethodCodeSequence",
    "LongitudinalTemporalInformationModified",
)
"""Elements of patient and study that every file of an export takes from the MR."""
_LOSSY = "LossyImageCompression"
_LOSSY_TAGS = (_LOSSY, f"{_LOSSY}Ratio", f"{_LOSSY}Method")
_COARSE_MM = 3.0
"""Voxels on which bodies are compared."""
_KEPT = ("LO", "PN", "SH", "UI")
"""Value representations of names and numbers, which are handed on whatever they are."""
_LEAST_COVERED = 0.5
"""Share of a CT's tissue that must lie in the MR's field of view."""
SAME_BODY, OTHER_BODY = 0.95, 0.7
"""Dice coefficients of the bodies in MR and CT: below the first it is doubted that they are one,
below the second they are two."""


@dataclass(frozen=True)
class SourceSeries:
    """What the headers of an MR series say.

    Attributes:
        header: of one slice, without its pixels.
        instances: SOP class and SOP instance UID of every file.
        lossy: elements that tell of lossy compression in any of them.
    """

    header: pydicom.Dataset
    instances: tuple[tuple[str, str], ...]
    lossy: pydicom.Dataset

    @property
    def frame(self) -> str:
        """UID of the frame of reference."""
        return str(self.header[FRAME].value)

    @property
    def position(self) -> str:
        """How the patient lay ("HFS"); "" where it is not told."""
        return str(self.header.get("PatientPosition") or "")

    def handed_on(self) -> pydicom.Dataset:
        """Return patient and study, as a dataset of its own; what is no valid DICOM is left out.

        Names and numbers of the patient are kept as they are: they tell whose the files are.
        """
        from pydicom import Dataset

        result = Dataset()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they would show what names a patient
            for name in HANDED_ON:
                if name in self.header and _usable(self.header[name]):
                    result[name] = copy.deepcopy(self.header[name])
                elif name in EMPTY:
                    setattr(result, name, "")
        return result

    def invalid(self) -> list[str]:
        """Return the names of the elements that :meth:`handed_on` leaves out."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            there = [self.header[name] for name in HANDED_ON if name in self.header]
            return [element.keyword for element in there if not _usable(element)]


def read_source(path: str | os.PathLike, what: str = "MR") -> SourceSeries:
    """Read the headers of an MR: a DICOM folder, FOLDER#SERIES, or a multi-frame file.

    It warns of nothing: whoever reads the volume itself is told which series was taken.

    Args:
        what: "MR", or "CT" for the headers of one.

    Raises:
        SyntheticCTError: no DICOM; the headers name no study or frame of reference, or several.
    """
    path, series = folder_and_series(path)
    if not path.exists():
        raise SyntheticCTError(f"The {what} {path} does not exist: check the path.")
    files = [one.path for one in series_of(path, what, series)] if path.is_dir() else [path]
    headers = [_header(file, what) for file in files]
    for element, kind in (("StudyInstanceUID", "study"), (FRAME, "frame of reference")):
        values = {str(header.get(element) or "") for header in headers}
        if values == {""} or "" in values:
            raise SyntheticCTError(
                f"The {what} {path} does not name its {kind} ({element}), which a planning system "
                f"needs to lay CT and MR on one another: export the {what} series again."
            )
        if len(values) > 1:
            raise SyntheticCTError(
                f"The slices of the {what} {path} are of more than one {kind} ({element}), and "
                "what is exported can be of one only: give the slices of one."
            )
    lossy = [header for header in headers if header.get(_LOSSY) == "01"]
    first = _header(files[0], what, whole=True)
    first.pop("PixelData", None)
    return SourceSeries(
        header=first,
        instances=tuple((str(h.SOPClassUID), str(h.SOPInstanceUID)) for h in headers),
        lossy=_lossy((lossy or headers)[0]),
    )


def _usable(element: pydicom.DataElement) -> bool:
    """Whether an element is handed on: its values are such as its representation has."""
    from pydicom import config
    from pydicom.valuerep import validate_value

    if element.VR in _KEPT:
        return True
    value = element.value
    values = value if element.VM > 1 else [value]
    try:
        for one in values if element.VR != "SQ" else []:
            validate_value(element.VR, str(one), config.RAISE)
    except ValueError:
        return False
    return True


def _header(path: Path, what: str, *, whole: bool = False) -> pydicom.Dataset:
    header = read_header(path, whole=whole, tags=("SOPInstanceUID", *_LOSSY_TAGS))
    if header is None or "SOPInstanceUID" not in header:
        raise SyntheticCTError(
            f"The {what} {path} is no DICOM, and only its headers tell whose it is: give the "
            f"DICOM folder of the {what}."
        )
    return header


def _lossy(header: pydicom.Dataset) -> pydicom.Dataset:
    from pydicom import Dataset

    result = Dataset()
    for name in _LOSSY_TAGS:
        if header.get(name) not in (None, ""):
            result[name] = copy.deepcopy(header[name])
    return result


def require_in_frame(
    ct: sitk.Image, mr: sitk.Image, source: SourceSeries, progress: Progress = SILENT
) -> None:
    """Refuse a CT-like image that cannot lie in the MR's frame of reference, or warn.

    Args:
        ct: HU.
        mr: the MR itself.

    Raises:
        SyntheticCTError: it names another frame, lies beside the MR, or is of another body.
    """
    own = frame_of(ct)
    made_in = ct.GetMetaData(FRAME_KEY) if ct.HasMetaDataKey(FRAME_KEY) else ""
    if own not in ("", source.frame) or made_in not in ("", frame_mark(source.frame)):
        raise SyntheticCTError(
            "The synthetic CT names another frame of reference than the MR: give the MR that it "
            "was made of."
        )
    values = sitk.GetArrayViewFromImage(ct)
    if not same_grid(ct, mr):
        covered = reached(mr, None, ct)
        tissue = values > AIR_TISSUE_HU
        share = float(covered[tissue].mean()) if tissue.any() else float(covered.mean())
        if share < _LEAST_COVERED:
            raise SyntheticCTError(
                f"Only {100 * share:.0f} % of the synthetic CT lie in the MR's field of view, so "
                "that they are not of one frame of reference: give the MR that it was made of."
            )
        progress.warn(
            "The synthetic CT lies on another grid than the MR, so that nothing shows that it "
            "lies in its frame of reference: check that it was made of this MR, and that it was "
            "not registered onto a CT."
        )
    dice = _dice(ct, mr)
    if dice < OTHER_BODY:
        raise SyntheticCTError(
            f"The bodies in the synthetic CT and in the MR do not lie on one another (Dice "
            f"coefficient {dice:.2f}): give the MR that the synthetic CT was made of."
        )
    if dice < SAME_BODY:
        progress.warn(
            f"The bodies in the synthetic CT and in the MR lie badly on one another (Dice "
            f"coefficient {dice:.2f}): check that it was made of this MR."
        )


def _dice(ct: sitk.Image, mr: sitk.Image) -> float:
    """Dice coefficient of the bodies where both images reach; 1 where one shows none.

    On coarse voxels: it is to tell one patient from another.
    """
    grid = coarse(ct)
    both = reached(mr, None, grid)
    own = resample(floored(ct), grid, fill=None, antialias=True)
    other = resample(mr, grid, fill=0, antialias=True)
    first = sitk.GetArrayFromImage(body_contour(own, "CT"))[both] > 0
    second = sitk.GetArrayFromImage(body_contour(other, "MR"))[both] > 0
    if not first.any() or not second.any():
        return 1.0
    return 2 * float((first & second).sum()) / float(first.sum() + second.sum())


def coarse(image: sitk.Image) -> sitk.Image:
    """Return the grid of an image with voxels of at least :data:`_COARSE_MM`."""
    times = [max(1, round(_COARSE_MM / step)) for step in image.GetSpacing()]
    size = [max(1, n // step) for n, step in zip(image.GetSize(), times, strict=True)]
    first = [(step - 1) / 2 for step in times]
    return grid_of(
        tuple(size),
        tuple(s * step for s, step in zip(image.GetSpacing(), times, strict=True)),
        image.TransformContinuousIndexToPhysicalPoint(first),
        image.GetDirection(),
    )
