"""One export: CT slices, and with them structures and dose, in a folder."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import SimpleITK as sitk

from SyntheticCTLib import __version__
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import SILENT, Progress
from SyntheticCTLib.volumes.grids import told_grid
from SyntheticCTLib.volumes.marks import (
    MODEL_NAME_KEY,
    OUTSIDE_KEY,
    OUTSIDE_SAID,
    PHANTOM_KEY,
    SYNTHETIC_NOTE,
    VERSION_KEY,
    is_synthetic,
    outside_domain_note,
)
from SyntheticCTLib.volumes.resampling import HU_OUTSIDE

from .axial import LARGEST, axial
from .ct import CtSeries, write_ct
from .dose import write_dose
from .dose_plan import DosePlan
from .objects import PROGRAM
from .registration import RegisteredCt, require_registered, write_registration
from .source import SourceSeries, require_in_frame
from .structure_set import write_structure_set

BODY = "BODY"
"""Name of the body contour in the structure set."""
SUBJECT = "The synthetic CT"
"""Begins what is told of it."""


@dataclass(frozen=True, kw_only=True)
class ExportSettings:
    """What an export is to be like.

    Attributes:
        spacing_mm: of pixels and of slices; None keeps those of the volume.
        largest: rows and columns of a slice at most.
        kvp: tube voltage to be told, for systems that choose their CT calibration by it; None
            leaves it empty, as no X-rays were used.
        seed_uids: UIDs that depend on the content alone, and no date of the export.
        not_synthetic: take a volume that is not marked as a synthetic CT.
    """

    spacing_mm: tuple[float, float] | None = None
    largest: int = LARGEST
    kvp: float | None = None
    seed_uids: bool = False
    not_synthetic: bool = False


def export_dicom(
    ct: sitk.Image,
    mr: sitk.Image,
    source: SourceSeries,
    folder: Path,
    settings: ExportSettings | None = None,
    *,
    body: sitk.Image | None = None,
    structures: Mapping[str, sitk.Image] | None = None,
    dose: sitk.Image | None = None,
    plan: DosePlan | None = None,
    registered: RegisteredCt | None = None,
    progress: Progress = SILENT,
) -> CtSeries:
    """Write DICOM of a synthetic CT into ``folder``, which exists, and return the CT series.

    Args:
        ct: synthetic CT, HU, any grid in the MR's frame of reference.
        mr: the MR that it was made of, and ``source`` what its headers say.
        body: mask of the patient's outline; structures: masks by name; dose: Gy. Any grids.
        plan: what the dose is the sum of; None: of a plan that is not known.
        registered: the CT that the MR is registered with.

    Raises:
        SyntheticCTError: not marked as synthetic, not in the MR's frame, more pixels than are
            allowed, values that a CT cannot hold, structures or a dose beside it, a registration
            that cannot be.
    """
    settings = settings or ExportSettings()
    if not is_synthetic(ct) and not settings.not_synthetic:
        raise SyntheticCTError(
            "The volume is not marked as a synthetic CT (files of other programs and DICOM carry "
            "no mark): give the file that this program wrote, or say --not-synthetic."
        )
    require_in_frame(ct, mr, source, progress)
    if note := outside_domain_note(SUBJECT, ct):
        progress.warn(note)
    if registered is not None:
        require_registered(registered, ct, source, progress)
    for name in source.invalid():
        progress.warn(f"The MR's {name} is no valid DICOM and is left out of the export.")
    if not source.position:
        progress.warn(
            "The MR does not say how the patient lay (PatientPosition), nor does the export: "
            "planning systems ask for it or refuse it."
        )
    slices, resampled = axial(
        ct,
        source.position,
        fill=HU_OUTSIDE,
        spacing_mm=settings.spacing_mm,
        largest=settings.largest,
    )
    told = told_grid(slices.GetSize(), slices.GetSpacing(), "x")
    if resampled:
        progress.warn(f"The synthetic CT was resampled to axial slices, {told}.")
    series = write_ct(
        slices,
        source,
        folder,
        description=_description(ct),
        derivation=_derivation(ct, f"Resampled to axial slices, {told}. " if resampled else ""),
        resampled=resampled,
        kvp=settings.kvp,
        when=None if settings.seed_uids else datetime.datetime.now(),
        progress=progress,
    )
    masks = ({BODY: body} if body is not None else {}) | _others(structures or {}, body)
    if masks:
        name = None if body is None else BODY
        write_structure_set(masks, name, series, source, folder, progress)
    if dose is not None:
        write_dose(dose, series, source, folder, plan=plan or DosePlan(), progress=progress)
    if registered is not None:
        write_registration(registered, series, source, folder, progress)
    return series


def _others(structures: Mapping[str, sitk.Image], body: sitk.Image | None) -> dict[str, sitk.Image]:
    """Structures by names that the body contour does not have."""
    if body is None:
        return dict(structures)
    return {f"{name} (given)" if name == BODY else name: m for name, m in structures.items()}


def _description(ct: sitk.Image) -> str:
    if ct.HasMetaDataKey(OUTSIDE_KEY):
        return "SYNTHETIC CT, OUTSIDE MODEL'S DOMAIN (research use)"
    if is_synthetic(ct):
        return "SYNTHETIC CT (research use)"
    return "CT-LIKE VOLUME, NOT MARKED AS SYNTHETIC (research use)"


def _derivation(ct: sitk.Image, resampled: str) -> str:
    """How the pixels came to be, from the marks that the volume carries."""

    def mark(name: str) -> str:
        return ct.GetMetaData(name) if ct.HasMetaDataKey(name) else ""

    if not is_synthetic(ct):
        made = "Volume of unknown origin, brought into the MR's study. "
    else:
        version, sha256 = mark(VERSION_KEY), mark("SyntheticCTModel")
        model = (
            f"Model {mark(MODEL_NAME_KEY) or 'without a name'}, SHA-256 {sha256}. "
            if sha256
            else "The file does not name its model. "
        )
        made = f"{SYNTHETIC_NOTE}. {model}" + (f"Made by {PROGRAM} {version}. " if version else "")
    if mark(PHANTOM_KEY):
        made += "Of a digital phantom. "
    outside = mark(OUTSIDE_KEY)
    outside = f" {OUTSIDE_SAID}{outside}" if outside else ""
    return f"{made}{resampled}Exported by {PROGRAM} {__version__}.{outside}"
