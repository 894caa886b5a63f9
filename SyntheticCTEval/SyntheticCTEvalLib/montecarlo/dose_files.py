"""Doses by Monte Carlo as RTDOSE, where CT and plan say whose they are."""

from __future__ import annotations

import datetime
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import SILENT, Progress
from SyntheticCTLib.dicom.frame_of_reference import SERIES
from SyntheticCTLib.export.dose import DoseWords, write_rtdose
from SyntheticCTLib.export.dose_plan import DosePlan, whole_plan
from SyntheticCTLib.export.source import SourceSeries, read_source
from SyntheticCTLib.volumes.marks import MODEL_NAME_KEY, is_synthetic, outside_domain_note

from .batches import HIGH_DOSE
from .doses import MonteCarloDoses

TRUE_CT = "CT"
"""Name of the true CT in the names of files."""
_LENGTH = 64
"""Characters of a DoseComment (LO)."""


@dataclass(frozen=True)
class DoseOwner:
    """Whose doses are: patient, study and frame of the CT, and the plan's UID."""

    source: SourceSeries
    plan: DosePlan


def dose_owner(
    ct: str | os.PathLike, plan: str | os.PathLike, progress: Progress = SILENT
) -> DoseOwner | None:
    """Return whose the doses of a plan on a CT are; None, with a warning, where that is not known.

    Args:
        ct: DICOM folder (or FOLDER#SERIES) or file of the CT.
        plan: the RTPLAN, its file or a folder with one.
    """
    try:
        source = read_source(ct, "CT")
        owner = DoseOwner(source, whole_plan(plan, source, "CT"))
    except SyntheticCTError as error:
        progress.warn(f"The doses are written as volumes and not as RTDOSE. {error}")
        return None
    for name in source.invalid():
        progress.warn(f"The CT's {name} is no valid DICOM and is left out of the RTDOSE.")
    return owner


def write_dose_files(
    doses: MonteCarloDoses,
    candidates: Mapping[str, sitk.Image],
    owner: DoseOwner,
    folder: Path,
    progress: Progress = SILENT,
) -> list[Path]:
    """Write every dose as dose_NAME.dcm (RTDOSE) and return the files.

    Uncertainties are not: RTDOSE has a type for them (ERROR), but there are systems that do not
    look at it and would show them as dose.

    Args:
        candidates: the volumes as they were read, whose marks tell what they are.
        folder: exists.
    """
    when = datetime.datetime.now()
    files = []
    given = [(TRUE_CT, doses.reference, doses.reference_uncertainty)]
    given += [(n, dose, doses.evaluated_uncertainty[n]) for n, dose in doses.evaluated.items()]
    for name, dose, uncertainty in given:
        noise = noise_percent(dose, uncertainty)
        words = _words(name, candidates.get(name), noise, doses.definition)
        path = folder / f"dose_{name}.dcm"
        files.append(
            write_rtdose(
                dose, owner.source, path, plan=owner.plan, words=words, when=when, progress=progress
            )
        )
    return files


def noise_percent(dose: sitk.Image, uncertainty: sitk.Image) -> float:
    """Return the noise of one dose, in percent.

    Root mean square of the uncertainty over the voxels of at least HIGH_DOSE of the dose's own
    highest, in percent of their mean dose (as batches.NOISE_DEFINITION of one volume).
    """
    values, spread = (sitk.GetArrayFromImage(image).astype(float) for image in (dose, uncertainty))
    high = values >= HIGH_DOSE * values.max()
    return float(100 * np.sqrt((spread[high] ** 2).mean()) / values[high].mean())


def _words(name: str, volume: sitk.Image | None, noise: float, definition: str) -> DoseWords:
    told = f", noise {noise:.2f} %; research use"
    comment = f"Monte Carlo on {name}"[: _LENGTH - len(told)] + told
    subject = "the true CT" if volume is None else _subject(name, volume)
    remarks = (
        f"Dose of the whole plan on {subject}, calculated by Monte Carlo; its noise is "
        f"{noise:.2f} % (one standard deviation, root mean square over the voxels of at least "
        f"{100 * HIGH_DOSE:g} % of the highest dose, in percent of their mean dose). {definition}. "
        "For research use, not a medical device."
    )
    return DoseWords(f"MONTE CARLO DOSE ON {name}", comment, remarks)


def _subject(name: str, volume: sitk.Image) -> str:
    """What a candidate is, as far as it is marked."""
    kind = "a synthetic CT" if is_synthetic(volume) else "a volume not marked as a synthetic CT"
    marks = {MODEL_NAME_KEY: "model", "SyntheticCTModel": "SHA-256", SERIES: "series"}
    there = [key for key in marks if volume.HasMetaDataKey(key)]
    facts = [f"{marks[key]} {volume.GetMetaData(key)}" for key in there]
    outside = outside_domain_note(name, volume)
    return ", ".join([name, kind, *facts]) + (f" ({outside})" if outside else "")
