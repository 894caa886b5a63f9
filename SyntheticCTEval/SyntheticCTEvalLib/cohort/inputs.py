"""What a patient is evaluated from: read once, in one way, by a run and by a dry run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import SimpleITK as sitk
from SyntheticCTLib.basics.progress import Progress
from SyntheticCTLib.volumes.reading import read_mask, read_volume

from SyntheticCTEvalLib.dose.reading import read_dose
from SyntheticCTEvalLib.evaluation.settings import EvaluationSettings
from SyntheticCTEvalLib.plan.beams import TreatmentPlan
from SyntheticCTEvalLib.plan.reading import read_plan
from SyntheticCTEvalLib.planning.treatment import DrawnOn, PlannedTreatment, planned_treatment
from SyntheticCTEvalLib.structures.reading import read_structures

from .manifest import PatientEntry

Read = Callable[[Callable[[], Any]], Any]
"""Reads an input: calls the function, or tells why that failed and returns None."""


@dataclass
class PatientInputs:
    """What was read of a patient.

    Attributes:
        ct, mr, region, dose_ct: images; None where there is none.
        candidates, doses: images by candidate.
        structures: masks by name.
        plan: whose dose is recalculated.
    """

    ct: sitk.Image
    mr: sitk.Image | None = None
    candidates: dict[str, sitk.Image] = field(default_factory=dict)
    dose_ct: sitk.Image | None = None
    doses: dict[str, sitk.Image] = field(default_factory=dict)
    structures: dict[str, sitk.Image] = field(default_factory=dict)
    region: sitk.Image | None = None
    plan: TreatmentPlan | None = None

    def images(self) -> dict[str, sitk.Image]:
        """Return every volume by what it is, as PatientEntry.inputs names it."""
        found = {"CT": self.ct, "MR": self.mr, "region": self.region}
        found |= {"dose on the CT": self.dose_ct}
        found |= {f"candidate {name}": image for name, image in self.candidates.items()}
        found |= {f"dose on {name}": image for name, image in self.doses.items()}
        return {what: image for what, image in found.items() if image is not None}


def read_inputs(
    entry: PatientEntry,
    progress: Progress,
    *,
    end_caps: bool = True,
    mask_nan: bool = False,
    read: Read = lambda reader: reader(),
) -> PatientInputs:
    """Return all that there is of a patient.

    Args:
        end_caps: see structures.reading.read_structures.
        mask_nan: let voxels of CT and candidates be no numbers.
        read: called for every input, with what reads it.

    Raises:
        SyntheticCTError: an input cannot be used.
    """

    def volume(what: str, path: Path | None, **options: Any) -> sitk.Image | None:
        return path and read(lambda: read_volume(path, what, progress, **options))

    def dose(path: Path | None) -> sitk.Image | None:
        return path and read(lambda: read_dose(path, entry.dose_unit, progress))

    ct = volume("CT", entry.ct, mask_nan=mask_nan)
    mr = volume("MR", entry.mr)
    candidates = {
        name: volume(f"candidate {name}", path, mask_nan=mask_nan)
        for name, path in entry.candidates.items()
    }
    dose_ct = dose(entry.dose_ct)
    doses = {name: dose(path) for name, path in entry.doses.items()}
    region, structures = None, {}
    if path := entry.region:
        region = read(lambda: read_mask(path, "region", progress))
    if entry.structures and ct is not None:
        structures = read(
            lambda: dict(
                read_structures(
                    entry.structures,
                    ct,
                    progress,
                    end_caps=end_caps,
                    registration=entry.registration,
                )
            ),
        )
    plan = entry.plan and read(lambda: read_plan(entry.plan, progress))
    return PatientInputs(ct, mr, candidates, dose_ct, doses, structures or {}, region, plan)


def plan_made(
    entry: PatientEntry,
    inputs: PatientInputs,
    settings: EvaluationSettings,
    progress: Progress,
    earlier: Path | None = None,
) -> PlannedTreatment | None:
    """Make the plan that settings ask for, which becomes the inputs' plan; None where none is.

    Args:
        earlier: folder of earlier results, whose plan is taken where it was made of the same.

    Raises:
        SyntheticCTError: see planning.treatment.planned_treatment.
    """
    if not settings.planning.levels or entry.structures is None:
        return None
    drawn_on = DrawnOn.read(entry.ct, entry.structures, progress)
    made = planned_treatment(
        inputs.ct,
        inputs.structures,
        settings.planning,
        drawn_on,
        overrides=settings.overrides,
        curve=settings.curve,
        earlier=earlier,
        progress=progress,
    )
    inputs.plan = made.plan
    return made
