"""What a run would do with a patient, by reading all that it reads; nothing is written."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import SimpleITK as sitk
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.inputs import folder_and_series
from SyntheticCTLib.basics.progress import SILENT, NotedProgress, Progress
from SyntheticCTLib.dicom.headers import read_header
from SyntheticCTLib.dicom.series import series_of
from SyntheticCTLib.volumes.grids import told_grid

from SyntheticCTEvalLib.acceptance.verdicts import settings_for
from SyntheticCTEvalLib.dose.doses import imported_doses
from SyntheticCTEvalLib.evaluation.checked import Checked, checked_inputs, require_plan
from SyntheticCTEvalLib.evaluation.settings import (
    DEFAULT_PRESCRIPTION_GY,
    MONTE_CARLO,
    EvaluationSettings,
)
from SyntheticCTEvalLib.placement.ways import EACH, place_definition
from SyntheticCTEvalLib.structures.target import describe_target

from .card import is_current
from .duration import seconds_of
from .inputs import PatientInputs, read_inputs
from .manifest import SCT, PatientEntry
from .patient import CohortSettings, end_caps_of, evaluation_settings, limits_of, made_of
from .run import PATIENTS, default_workers, prepare


@dataclass(frozen=True)
class InputLine:
    """What one input would be used as.

    Attributes:
        role: what it is of the patient, such as "candidate MRCAT".
        file: its name, without the folders before it.
        found: what was read: kind of file, series, grid, values; "" where it could not be read.
    """

    role: str
    file: str
    found: str


@dataclass
class PatientPlan:
    """What a run would do with a patient.

    Attributes:
        patient: name.
        inputs: files and what they would be used as.
        facts: what would be computed, by name.
        missing: what is left out, and why.
        warnings: what reading and checking warned of.
        faults: why the patient cannot be evaluated; none where it can.
        seconds: estimate of how long it takes; 0 where it cannot be evaluated.
    """

    patient: str
    inputs: list[InputLine] = field(default_factory=list)
    facts: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def entry(self) -> dict[str, Any]:
        """Return the plan as JSON has it."""
        return asdict(self) | {"can_be_evaluated": not self.faults}

    def text(self) -> str:
        """Return the plan as lines to be read."""
        lines = [self.patient or "The patient"]
        lines += [f"  {i.role}: {i.file}" + (f", {i.found}" if i.found else "")
                  for i in self.inputs]  # fmt: skip
        lines += [f"  {name}: {said}" for name, said in self.facts.items()]
        lines += [f"  Left out: {said}" for said in self.missing]
        lines += [f"  Warning: {said}" for said in self.warnings]
        lines += [f"  CANNOT BE EVALUATED: {said}" for said in self.faults]
        if not self.faults:
            lines.append(f"  Time: about {duration_words(self.seconds)} (an estimate)")
        return "\n".join(lines)


def plan_patient(
    entry: PatientEntry, settings: CohortSettings, *, synthesized: bool = True
) -> PatientPlan:
    """Return what a run would do with a patient; all its faults are told, and none raised.

    Reads and checks what :func:`patient.evaluate_patient` reads and checks before it registers;
    what registration and dose calculation may find is not known here.

    Args:
        synthesized: a model makes a synthetic CT of the MR, and does not just show its histogram.
    """
    plan = PatientPlan(entry.patient, missing=list(entry.notes))
    if entry.fault:
        plan.faults.append(entry.fault)
    noted = NotedProgress(SILENT)

    def attempt(work: Callable[[], Any]) -> Any:
        try:
            return work()
        except SyntheticCTError as error:
            plan.faults.append(str(error))
            return None

    asked = attempt(lambda: evaluation_settings(entry, settings))
    inputs = read_inputs(
        entry,
        noted,
        end_caps=end_caps_of(entry, settings),
        mask_nan=settings.evaluation.mask_nan,
        read=attempt,
    )
    plan.inputs = _lines(entry, inputs)
    makes = settings.model is not None and synthesized and inputs.mr is not None
    if makes:
        plan.inputs.append(InputLine(f"candidate {SCT}", settings.model.name, "made of the MR"))
    if asked is not None:
        asked = settings_for(asked, limits_of(entry, settings))
        if asked.planning.levels and inputs.structures:
            attempt(lambda: asked.planning.require_targets(inputs.structures))
        sound = attempt(lambda: _checked(inputs, asked, noted))
        if sound is not None:
            attempt(lambda: _check_doses(entry, inputs, asked, sound, noted))
            given = None if entry.dose_ct else inputs.plan
            attempt(lambda: require_plan(given, sound, asked, noted))
            _tell_structures(plan, inputs, asked, noted)
        plan.facts |= _facts(entry, inputs, asked, settings)
        if not plan.faults:
            plan.seconds = seconds_of(inputs, asked, makes)
    plan.warnings = [said for said in noted.warnings if said not in plan.missing]
    plan.faults = list(dict.fromkeys(plan.faults))
    return plan


def dry_run_cohort(
    manifest: str | os.PathLike,
    output: str | os.PathLike,
    settings: CohortSettings,
    *,
    baseline: str | None = None,
    workers: int | None = None,
    redo: bool = False,
    progress: Progress = SILENT,
) -> list[PatientPlan]:
    """Return what :func:`run.run_cohort` would do with every patient, and tell it one by one.

    Args:
        manifest, output, settings, baseline, workers, redo: as for the run.

    Raises:
        SyntheticCTError: what the run refuses before it begins with the patients.
    """
    output = Path(output).resolve()
    found = prepare(manifest, output, settings, baseline)
    for note in found.notes:
        progress.warn(note)
    plans = []
    progress.report("Dry run", 0)
    for number, entry in enumerate(found.entries, 1):
        plan = plan_patient(entry, settings)
        folder = output / PATIENTS / entry.patient
        if not plan.faults and not redo and folder.is_dir():
            if is_current(folder, made_of(entry, settings, found.model_sha256)):
                plan.seconds = 0.0
                plan.facts["Results"] = "there and unchanged: they would be taken over"
            else:
                plan.facts["Results"] = "those that are there would be replaced"
        plans.append(plan)
        progress.report("Dry run", number / len(found.entries), patient=entry.patient)
        progress.tell("patient", plan.text(), **plan.entry())
    workers = min(workers or default_workers(), max(len(plans), 1))
    seconds = sum(plan.seconds for plan in plans) / workers
    good = sum(not plan.faults for plan in plans)
    time = f" Time: about {duration_words(seconds)} with {workers} at once (an estimate)."
    progress.tell(
        "dry_run",
        f"{good} of {len(plans)} patients can be evaluated.{time if seconds else ''} "
        "Nothing was written.",
        patients=len(plans),
        can_be_evaluated=good,
        seconds=seconds,
        workers=workers,
        baseline=found.baseline,
    )
    return plans


def require_no_faults(plans: Sequence[PatientPlan]) -> None:
    """Refuse where a patient cannot be evaluated.

    Raises:
        SyntheticCTError: with all such patients and all that is wrong.
    """
    bad = [plan for plan in plans if plan.faults]
    if not bad:
        return
    named = " ".join(
        f"{plan.patient}: {' '.join(plan.faults)}" if plan.patient else " ".join(plan.faults)
        for plan in bad
    )
    if len(plans) == 1:
        raise SyntheticCTError(f"This cannot be evaluated: {named}")
    raise SyntheticCTError(f"{len(bad)} of {len(plans)} patients cannot be evaluated. {named}")


def duration_words(seconds: float) -> str:
    """Return a time as it may be promised: in minutes, or hours, never to the second."""
    if seconds < 90:
        return f"{max(10, round(seconds, -1)):.0f} seconds"
    minutes = seconds / 60
    return f"{minutes:.0f} minutes" if minutes < 100 else f"{minutes / 60:.1f} hours"


def _checked(
    inputs: PatientInputs, asked: EvaluationSettings, noted: NotedProgress
) -> Checked | None:
    if inputs.ct is None:
        return None
    candidates = {name: image for name, image in inputs.candidates.items() if image is not None}
    return checked_inputs(inputs.ct, candidates, inputs.mr, inputs.structures, asked, noted)


def _check_doses(
    entry: PatientEntry,
    inputs: PatientInputs,
    asked: EvaluationSettings,
    sound: Checked,
    noted: NotedProgress,
) -> None:
    """Check doses as a run does; those on candidates as they came, so not against the target."""
    if not asked.dose or inputs.dose_ct is None:
        return
    doses = {name: dose for name, dose in inputs.doses.items() if dose is not None}
    found = imported_doses(
        sound.ct, sound.body, inputs.dose_ct, doses, list(inputs.candidates), asked.prescription_gy
    )
    for note in found.notes:
        noted.warn(note)


def _tell_structures(
    plan: PatientPlan, inputs: PatientInputs, asked: EvaluationSettings, noted: NotedProgress
) -> None:
    if inputs.structures:
        line, notes = describe_target(inputs.structures, asked.target)
        plan.facts["Structures"] = ", ".join(inputs.structures)
        plan.facts["Target"] = line
        for note in notes:
            noted.warn(note)


def _facts(
    entry: PatientEntry,
    inputs: PatientInputs,
    asked: EvaluationSettings,
    settings: CohortSettings,
) -> dict[str, str]:
    facts = {"Registration": f"{asked.registration}, by {asked.registration_by}"}
    if not asked.registered or asked.registration_by != EACH:
        said = place_definition(asked.registration, asked.registration_by)
        facts["Registration"] += f". {said.partition('. ')[0].rstrip('.')}."
    if not asked.dose:
        return facts | {"Dose": "not evaluated"}
    imported = entry.dose_ct is not None
    asked = asked if imported else asked.for_plan(inputs.plan)
    facts["Dose"] = "imported" if imported else "recalculated on every volume with one plan"
    planned = bool(asked.planning.levels)
    if (inputs.plan is not None or planned) and not imported:
        engine = "Monte Carlo" if asked.dose_engine == MONTE_CARLO else "the pencil beam"
        which = "made" if planned else "given"
        facts["Dose"] = f"recalculated on every volume by {engine} with the plan that is {which}"
    if planned:
        facts["Plan"] = f"made on the true CT: {asked.planning.told}"
    dose = asked.prescription_gy
    if dose is None and planned:
        asked = replace(
            asked,
            prescription_gy=max(level for _, level in asked.planning.levels),
            prescription_planned=True,
        )
        dose = asked.prescription_gy
    if dose is None and not imported:
        dose = DEFAULT_PRESCRIPTION_GY
    elif dose is None and inputs.dose_ct is not None:
        dose = float(sitk.GetArrayViewFromImage(inputs.dose_ct).max())
    given = f"{dose:.4g} Gy. " if dose else ""
    if imported or entry.plan is None or asked.prescription_gy:  # none is assumed for a plan
        facts["Prescription"] = given + asked.prescription_origin(imported)
    cutoffs = " and ".join(f"{cutoff:g} %" for cutoff in asked.cutoffs_percent)
    named = ", ".join(criterion.told for criterion in dict.fromkeys(asked.criteria))
    facts["Gamma"] = f"{named}; above {cutoffs}; up to {asked.gamma_cap:g}; {asked.gamma_engine}"
    if limits := limits_of(entry, settings):
        facts["Limits"] = limits.name
    return facts


def _lines(entry: PatientEntry, inputs: PatientInputs) -> list[InputLine]:
    images = inputs.images()
    lines = []
    for role, path in entry.inputs().items():
        image, found = images.get(role), ""
        if image is not None:
            parts = [
                _kind(path, role),
                told_grid(image.GetSize(), image.GetSpacing(), "x"),
                _values(role, image, entry),
            ]
            found = ", ".join(part for part in parts if part)
        elif role == "structures" and inputs.structures:
            found = f"{len(inputs.structures)} structures"
        lines.append(InputLine(role, Path(path).name, found))
    return lines


def _kind(path: Path, role: str) -> str:
    """What kind of file was read; of a DICOM folder, which series."""
    folder, series = folder_and_series(path)
    if folder.is_dir() and not role.startswith("dose"):
        first, *others = series_of(folder, role, series)
        number = f", number {first.number}" if first.number else ""
        return (
            f"DICOM series of {1 + len(others)} files, {first.modality or 'no modality'} "
            f"'{first.description}'{number}"
        )
    header = None if folder.is_dir() else read_header(folder)
    if folder.is_dir() or header is not None:
        modality = "RTDOSE" if header is None else str(header.get("Modality") or "no modality")
        return f"DICOM {modality}"
    return "".join(folder.suffixes[-2:] if folder.suffix == ".gz" else folder.suffix).lstrip(".")


def _values(role: str, image: sitk.Image, entry: PatientEntry) -> str:
    values = sitk.GetArrayViewFromImage(image)
    if role == "region":
        return f"{int((values != 0).sum())} voxels inside"
    low, high = float(values.min()), float(values.max())
    if role.startswith("dose"):
        told = f", read as {entry.dose_unit}" if entry.dose_unit else ""
        return f"largest dose {high:.4g} Gy{told}"
    return f"values {low:.4g} to {high:.4g}"
