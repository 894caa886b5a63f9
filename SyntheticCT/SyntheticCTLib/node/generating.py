"""The synthetic CT of one series in the spool: role and domain checked, generated, exported."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import SimpleITK as sitk

from SyntheticCTLib.archive.mr_roles import T2, is_scout
from SyntheticCTLib.archive.persons import person_of, without_names
from SyntheticCTLib.archive.rows import FEW_SLICES, Row
from SyntheticCTLib.archive.sorting import Sorted, sort_folder
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.outputs import staged_file, staged_folder
from SyntheticCTLib.basics.progress import NotedProgress, Progress
from SyntheticCTLib.body.contour import body_contour
from SyntheticCTLib.dicom.contrast import component_of
from SyntheticCTLib.dicom.headers import read_header
from SyntheticCTLib.export.folder import SUBJECT, ExportSettings, export_dicom
from SyntheticCTLib.export.source import read_source
from SyntheticCTLib.inference.synthesis import generate
from SyntheticCTLib.volumes.marks import outside_domain_note
from SyntheticCTLib.volumes.reading import read_volume

from .series import PICTURE, RECEIVED, RESULT

if TYPE_CHECKING:
    from SyntheticCTLib.bundle.folder import ModelBundle

_MR_PERCENTILES = (1.0, 99.0)
_HU_WINDOW = (-160.0, 240.0)
"""What is black and what is white in the page's picture."""


@dataclass
class Generated:
    """What was made of a series.

    Attributes:
        files: names in the folder of the result.
        warnings: what is to be known of it, one sentence each.
        domain: reasons why the MR lies outside the model's domain.
        facts: in numbers and words, for the page.
    """

    files: list[str]
    warnings: list[str] = field(default_factory=list)
    domain: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def generate_series(
    folder: Path,
    bundle: ModelBundle,
    progress: Progress,
    *,
    device: str,
    outside_domain: bool,
    take: str = "",
) -> Generated:
    """Make the synthetic CT of the series in ``folder``, as CT slices and body contour.

    Args:
        folder: of the series in the spool.
        outside_domain: make it of an MR outside the model's domain, too.
        take: pattern of the description of series that are the model's MR, whatever weighting
            their headers tell, and no other; "" goes by the headers.

    Raises:
        SyntheticCTError: what came is no T2-weighted MR, not whole, or outside the model's
            domain; without the patient's name.
    """
    began = time.monotonic()
    progress = NotedProgress(progress)
    received = folder / RECEIVED
    nameless = _without_names_of(received)
    try:
        path = _the_mr(sort_folder(received), take)
        mr = read_volume(path, "MR", progress)
        result = generate(mr, bundle, device=device, progress=progress)
        if result.outside and not outside_domain:
            raise SyntheticCTError(f"outside the model's domain: {' '.join(result.outside)}")
        body = body_contour(result.sct, "CT")
        progress.report("Export", 0)
        with staged_folder(folder / RESULT) as stage:
            export_dicom(
                result.sct,
                mr,
                read_source(path),
                stage,
                ExportSettings(seed_uids=True),
                body=body,
                progress=progress,
            )
        progress.report("Export", 1)
        with staged_file(folder / PICTURE) as stage:
            sitk.WriteImage(_picture(mr, result.sct), str(stage))
    except SyntheticCTError as error:
        raise type(error)(nameless(str(error))) from error
    said = [nameless(sentence) for sentence in progress.warnings]
    domain = [nameless(sentence) for sentence in result.outside]
    told = [*domain, nameless(outside_domain_note(SUBJECT, result.sct))]
    return Generated(
        files=sorted(item.name for item in (folder / RESULT).glob("*.dcm")),
        warnings=[sentence for sentence in said if sentence not in told],
        domain=domain,
        facts={
            "images": len(list(received.glob("*.dcm"))),
            "size": list(mr.GetSize()),
            "spacing_mm": [round(step, 3) for step in mr.GetSpacing()],
            "seconds": round(time.monotonic() - began, 1),
            "device": result.device,
            "model": bundle.sha256,
        },
    )


def _the_mr(found: Sorted, take: str) -> str:
    """How the one series is named to the reader; ``take``: see :func:`generate_series`.

    Raises:
        SyntheticCTError: it is not one series of T2-weighted MR, all of its images whole.
    """
    rows = [row for row in found.rows if row.image]
    mr = [row for row in rows if (_named(row, take) if take else row.role == T2)]
    if len(rows) != 1 or len(mr) != 1:
        told = "; ".join(dict.fromkeys(filter(None, map(_reason, rows))))
        parts = f"{len(rows)} series or parts, " if len(rows) > 1 else ""
        wanted = f"MR called {take!r} (--take)" if take else "T2-weighted MR"
        raise SyntheticCTError(f"no series of {wanted} alone: {parts}{told or 'no images'}")
    (row,) = mr
    if row.cell is None:
        raise SyntheticCTError(f"not readable as a volume: {row.no_cell or row.problem}")
    _require_all(row, found)
    place, series = row.cell
    path = found.scan.folder / place
    return f"{path}#{series}" if series else str(path)


def _named(row: Row, take: str) -> bool:
    """Whether a series is one of those that are taken by their description, and a volume."""
    names = (row.description, row.facts.text("ProtocolName"))
    return (
        row.facts.modality == "MR"
        and any(fnmatch(name.casefold(), take.casefold()) for name in names if name)
        and row.slices >= FEW_SLICES
        and not (is_scout(row) or component_of(" ".join(row.facts.type)))
    )


def _reason(row: Row) -> str:
    ambiguous = row.ambiguous.replace(": set its role", ": name its description by --take")
    return ambiguous or row.problem or row.why


def _require_all(row: Row, found: Sorted) -> None:
    """Refuse a series whose headers say that it has more images than came."""
    for entry in row.entries:
        header = read_header(found.scan.path(entry), tags=["ImagesInAcquisition"])
        said = str(header.get("ImagesInAcquisition") or "") if header is not None else ""
        if said.isdecimal() and int(said) > row.slices:
            raise SyntheticCTError(
                f"{row.slices} of {said} images came (Images in Acquisition): send the series again"
            )


def _without_names_of(received: Path) -> Callable[[str], str]:
    """What takes out of a sentence whatever names the patient, and the spool's folder."""
    file = next(iter(sorted(received.glob("*.dcm"))), None)
    header = read_header(file, tags=["IssuerOfPatientID"]) if file is not None else None
    persons = [person_of(header)] if header is not None else []

    def nameless(sentence: str) -> str:
        sentence = sentence.replace(f"{received.parent}/", "").replace(str(received), RECEIVED)
        return without_names(sentence, persons)

    return nameless


def _picture(mr: sitk.Image, sct: sitk.Image) -> sitk.Image:
    """MR and synthetic CT in the middle axial slice, side by side, in pixels of one size."""
    shown = []
    for image, window in ((mr, None), (sct, _HU_WINDOW)):
        axial = sitk.DICOMOrient(image, "LPS")
        values = sitk.GetArrayFromImage(axial)[axial.GetDepth() // 2].astype(float)
        low, high = window or np.percentile(values, _MR_PERCENTILES)
        grey = np.clip(255 * (values - low) / max(high - low, 1e-6), 0, 255).astype(np.uint8)
        shown.append(np.pad(grey, 2))
    row, column = axial.GetSpacing()[1], axial.GetSpacing()[0]
    picture = sitk.GetImageFromArray(np.hstack(shown))
    picture.SetSpacing((column, row))
    size = (picture.GetWidth(), max(round(picture.GetHeight() * row / column), 1))
    square = sitk.Image(size, sitk.sitkUInt8)
    square.SetSpacing((column, column))
    return sitk.Resample(picture, square, sitk.Transform(), sitk.sitkLinear, 0)
