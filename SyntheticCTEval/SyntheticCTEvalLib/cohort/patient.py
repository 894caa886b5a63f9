"""One patient of a cohort, from the files in the manifest to a folder of results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import SimpleITK as sitk
from SyntheticCTLib import __version__
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.inputs import without_folders
from SyntheticCTLib.basics.progress import SILENT, NotedProgress, Progress
from SyntheticCTLib.bundle.folder import read_card
from SyntheticCTLib.volumes.sameness import voxel_hash
from SyntheticCTLib.volumes.writing import write_volume

from SyntheticCTEvalLib.acceptance.verdicts import judge, needs_of, settings_for
from SyntheticCTEvalLib.evaluation.limits import Acceptance
from SyntheticCTEvalLib.evaluation.one_patient import evaluate
from SyntheticCTEvalLib.evaluation.origin import hashes_of, model_entry, tell_origin, tell_plan
from SyntheticCTEvalLib.evaluation.results import Evaluation
from SyntheticCTEvalLib.evaluation.settings import (
    MONTE_CARLO,
    NO_END_CAPS,
    EvaluationSettings,
)
from SyntheticCTEvalLib.image import mr_similarity
from SyntheticCTEvalLib.image.body_agreement import body_contour
from SyntheticCTEvalLib.placement.ways import BY_MR
from SyntheticCTEvalLib.report.folder import SceneWriter, add_scene, write_results

from .card import FOR_LIMITS, write_card
from .inputs import plan_made, read_inputs
from .manifest import SCT, PatientEntry
from .records import PICTURES
from .report_document import REPORT_DOCUMENT, write_document
from .slices import cohort_pictures


@dataclass(frozen=True)
class CohortSettings:
    """What holds for every patient of a cohort.

    Attributes:
        model: folder of the model that makes a synthetic CT of every MR; None for none.
        evaluation: how patients are evaluated where the manifest says nothing of them.
        acceptance: limits that candidates are held against; None for none.
        end_caps: structures of an RTSTRUCT end half a contour spacing beyond their last contours.
        paper: of report.pdf, "a4" or "letter".
        device: where the model runs: "auto", "cpu" or "cuda".
        scene: writes scene.mrb where it can; None for no scenes.
    """

    model: Path | None = None
    evaluation: EvaluationSettings = field(default_factory=EvaluationSettings)
    acceptance: Acceptance | None = None
    end_caps: bool = True
    paper: str = "a4"
    device: str = "auto"
    scene: SceneWriter | None = None


@dataclass(frozen=True)
class PatientTask:
    """A patient that is to be evaluated; everything another process needs to know.

    Attributes:
        folder: where the results are written; does not exist yet.
        made_of: see :func:`made_of`.
        earlier: folder of earlier results, whose plan is taken where it was made of the same.
    """

    entry: PatientEntry
    settings: CohortSettings
    folder: Path
    made_of: dict[str, Any]
    earlier: Path | None = None


def made_of(entry: PatientEntry, settings: CohortSettings, model_sha256: str) -> dict[str, Any]:
    """Return all that the results of a patient depend on, files by their content.

    Raises:
        SyntheticCTError: an input does not exist or cannot be read.
    """
    asked = evaluation_settings(entry, settings)
    return {
        "program": __version__,
        "inputs": hashes_of(entry.inputs()),
        "model": model_sha256 if entry.mr else "",
        "settings": asdict(asked),
        FOR_LIMITS: needs_of(asked, limits_of(entry, settings)),
        "end_caps": end_caps_of(entry, settings),
        "paper": settings.paper,
        "dose_unit": entry.dose_unit,
        "scene": settings.scene is not None,
    }


def evaluate_patient(task: PatientTask, progress: Progress = SILENT) -> None:
    """Evaluate a patient and write the results into ``task.folder``.

    They are those of files.write_results, scene.mrb, cohort.npz, sct.nrrd and uncertainty.nrrd
    where a model made them, and patient.json with what they were made of.

    Raises:
        SyntheticCTError: an input cannot be used; the folder is incomplete then.
    """
    entry, settings = task.entry, task.settings
    if task.made_of["program"] != __version__:
        raise SyntheticCTError(
            f"This worker has version {__version__} of the program, the cohort was started by "
            f"{task.made_of['program']}: install the same version on all machines."
        )
    progress = NotedProgress(progress)
    limits = limits_of(entry, settings)
    # A patient may have waited for hours: the results are of the files as they are now.
    made_of = task.made_of | {"inputs": hashes_of(entry.inputs())}
    inputs = read_inputs(
        entry,
        progress,
        end_caps=end_caps_of(entry, settings),
        mask_nan=settings.evaluation.mask_nan,
    )
    asked = evaluation_settings(entry, settings)
    planned = plan_made(entry, inputs, asked, progress, task.earlier)
    ct, mr = inputs.ct, inputs.mr
    made, histograms = {}, None
    if settings.model and mr is not None:
        made, histograms = _synthesize(mr, settings, progress)
    candidates = ({SCT: made["sct"]} if made else {}) | inputs.candidates
    evaluation = evaluate(
        ct,
        candidates,
        dose_ct=inputs.dose_ct,
        doses=inputs.doses,
        structures=inputs.structures,
        region=inputs.region,
        plan=inputs.plan,
        mr=mr,
        histograms=histograms,
        settings=settings_for(asked, limits),
        progress=progress,
    )
    tell_plan(evaluation, planned)
    mr_body = _compare_with_mr(evaluation, mr, candidates, progress)
    judge(evaluation, limits)
    notes = [*entry.notes, *evaluation.notes, *progress.warnings]
    if entry.structures and not end_caps_of(entry, settings):
        notes.append(NO_END_CAPS)
    evaluation.notes = _told(notes, entry)
    images = {"CT": ct, "MR": mr} | {f"candidate {n}": image for n, image in candidates.items()}
    tell_origin(
        evaluation,
        entry.inputs(),
        _told_options(task),
        hashes=made_of["inputs"],
        images={what: image for what, image in images.items() if image is not None},
        model=_model(task),
    )
    task.folder.mkdir()
    for name, image in made.items():
        write_volume(image, task.folder / f"{name}.nrrd")
    cohort_pictures(evaluation, candidates, mr_body).write(task.folder / PICTURES)
    title = f"Evaluation of synthetic CT: {entry.patient}"
    evaluation.patient = entry.patient
    report = write_results(
        evaluation, task.folder, title=title, paper=settings.paper, progress=progress
    )
    write_document(report, task.folder / REPORT_DOCUMENT)
    # After the notes: what is not written says nothing about the figures.
    scene = settings.scene
    if scene and (reason := scene.missing()):
        progress.warn(f"scene.mrb was left out: {reason}")
    elif scene:
        add_scene(evaluation, task.folder, scene, progress=progress)
    scans = {"CT": ct} | ({"MR": mr} if mr is not None else {})
    scans |= {f"candidate {name}": candidates[name] for name in entry.candidates}
    write_card(task.folder, made_of, {what: voxel_hash(scans[what]) for what in scans})


def _told(notes: list[str], entry: PatientEntry) -> list[str]:
    """Return notes, each once and without the folders that inputs lie in."""
    inputs = entry.inputs().values()
    return [without_folders(note, inputs) for note in dict.fromkeys(notes)]


def _compare_with_mr(
    evaluation: Evaluation,
    mr: sitk.Image | None,
    candidates: Mapping[str, sitk.Image],
    progress: Progress,
) -> sitk.Image | None:
    """Add the figures against the MR to ``evaluation``; return the MR's body contour.

    Args:
        candidates: as they came, before registration.
    """
    if mr is None:
        return None
    progress.report("Compare with the MR", 0)
    mr_body = body_contour(mr, "MR")
    if sitk.GetArrayViewFromImage(mr_body).all():
        progress.warn(
            "No air was found around the patient in the MR, so all of it counts as body: the "
            "figures against the MR are not those of its body contour."
        )
    for name, figures in mr_similarity.compare_with_mr(mr, candidates, mr_body).items():
        evaluation.candidates[name].metrics.update(figures)
    evaluation.definitions.update(mr_similarity.DEFINITIONS)
    progress.report("Compare with the MR", 1)
    return mr_body


def _told_options(task: PatientTask) -> dict[str, Any]:
    options = task.made_of["settings"] | {FOR_LIMITS: task.made_of[FOR_LIMITS]}
    return options | {"model_sha256": task.made_of["model"]}


def _model(task: PatientTask) -> dict[str, Any] | None:
    if not task.made_of["model"]:
        return None
    return model_entry(task.settings.model, read_card(task.settings.model))


def evaluation_settings(entry: PatientEntry, settings: CohortSettings) -> EvaluationSettings:
    """Return how a patient is evaluated, before what limits need is added."""
    planning = settings.evaluation.planning
    planning = replace(planning, levels=_levels_of(entry, planning.levels))
    own = {"prescription_gy": entry.prescription_gy, "dose": entry.dose, "planning": planning}
    own |= {"target": entry.target or planning.highest}
    found = replace(settings.evaluation, **own, **entry.options)
    if entry.local is None:
        return found
    return replace(found, criteria=tuple(replace(c, local=entry.local) for c in found.criteria))


def _levels_of(
    entry: PatientEntry, of_all: tuple[tuple[str, float], ...]
) -> tuple[tuple[str, float], ...]:
    """Return what a plan is to be made for; nothing where there is one, or dose, or none is."""
    if entry.plan or entry.dose_ct or not entry.dose:
        return ()
    return entry.levels or of_all


def needing_plan(entry: PatientEntry, settings: CohortSettings) -> PatientEntry:
    """Return ``entry``, with its fault where a plan cannot be made, or is needed and absent."""
    if entry.fault or not entry.dose:
        return entry
    fault = ""
    levels = _levels_of(entry, settings.evaluation.planning.levels)
    if entry.levels and (entry.plan or entry.dose_ct):
        given = "a plan" if entry.plan else "a dose"
        fault = (
            f"Levels are given to make a plan for, and {given} as well: leave one of them empty."
        )
    elif levels and entry.structures is None:
        fault = (
            "A plan is to be made, and no structures are given for this patient: fill in the "
            "column structures."
        )
    elif settings.evaluation.dose_engine == MONTE_CARLO and not (
        levels or entry.plan or entry.dose_ct
    ):
        fault = (
            "Monte Carlo calculates the dose of a plan, and none is given for this patient: fill "
            "in the column plan, or the column levels for a plan that is made."
        )
    return replace(entry, fault=fault)


def needing_mr(entry: PatientEntry, settings: CohortSettings) -> PatientEntry:
    """Return ``entry``, with its fault where the MR that is to carry the candidates is absent."""
    by = entry.options.get("registration_by", settings.evaluation.registration_by)
    if by != BY_MR or entry.mr is not None or entry.fault:
        return entry
    return replace(
        entry,
        fault="The registration is by the MR, and no MR is given for this patient: fill in the "
        "column mr, or register each candidate by itself.",
    )


def limits_of(entry: PatientEntry, settings: CohortSettings) -> Acceptance | None:
    """Return the limits that a patient is held against: its own, else those of all."""
    return entry.acceptance or settings.acceptance


def end_caps_of(entry: PatientEntry, settings: CohortSettings) -> bool:
    """Return whether a patient's structures end beyond their last contours."""
    return settings.end_caps if entry.end_caps is None else entry.end_caps


def _synthesize(mr: sitk.Image, settings: CohortSettings, progress: Progress):
    """Return the volumes that the model makes of an MR by file name, and the MR's histograms."""
    from SyntheticCTLib.bundle.folder import load_bundle
    from SyntheticCTLib.inference.synthesis import generate

    from SyntheticCTEvalLib.evaluation.mr_histograms import histogram_set

    bundle = load_bundle(settings.model)
    generated = generate(mr, bundle, device=settings.device, progress=progress)
    volumes = {"sct": generated.sct, "uncertainty": generated.uncertainty}
    return volumes, histogram_set(mr, bundle, generated.normalized)
