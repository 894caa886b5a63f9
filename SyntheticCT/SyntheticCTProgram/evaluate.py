"""The command ``synthetic-ct evaluate``: candidates held against the true CT."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.inputs import without_folders
from SyntheticCTLib.basics.outputs import require_writable_folder, staged_folder
from SyntheticCTLib.basics.progress import NotedProgress, Progress

from .arguments import (
    VOLUME_HELP,
    add_evaluation,
    add_structures_registration,
    evaluation_settings,
    model_folder,
    named_file,
    require_structures,
    unique,
)
from .planning import add_planning, plan_request

if TYPE_CHECKING:
    from SyntheticCTEvalLib.cohort.manifest import PatientEntry
    from SyntheticCTEvalLib.evaluation.limits import Acceptance
    from SyntheticCTEvalLib.evaluation.settings import EvaluationSettings


def evaluate(options: argparse.Namespace, progress: Progress) -> dict[str, Path]:
    """Evaluate candidates against the true CT and write metrics, maps, report and scene."""
    from SyntheticCTEvalLib.acceptance.limits import acceptance_file, read_acceptance
    from SyntheticCTEvalLib.acceptance.verdicts import judge, settings_for
    from SyntheticCTEvalLib.cohort.inputs import plan_made, read_inputs
    from SyntheticCTEvalLib.evaluation.mr_histograms import histogram_set
    from SyntheticCTEvalLib.evaluation.one_patient import evaluate as run
    from SyntheticCTEvalLib.evaluation.origin import hashes_of, model_entry, tell_origin, tell_plan
    from SyntheticCTEvalLib.evaluation.settings import NO_END_CAPS
    from SyntheticCTEvalLib.report.folder import earlier_results, require_place, write_evaluation
    from SyntheticCTEvalMRML.scene import scene_writer
    from SyntheticCTLib.bundle.folder import load_bundle

    candidates = unique(options.candidate, "--candidate")
    doses = unique(options.dose, "--dose")
    _require_whole(options, candidates, doses)
    asked = settings_asked(options)
    limits = read_acceptance(options.acceptance) if options.acceptance else None
    settings = settings_for(asked, limits)
    scene = None if options.no_scene else scene_writer(progress)
    entry = _entry(options, candidates, doses)
    named: dict[str, Path] = entry.inputs()
    named |= {"model": Path(options.model)} if options.model else {}
    named |= {"density curve": Path(options.density_curve)} if options.density_curve else {}
    named |= {"acceptance": acceptance_file(options.acceptance)} if limits else {}
    inputs = list(named.values())
    require_place(options.output, candidates, inputs, plans=bool(asked.planning.levels))
    if options.dry_run:
        return _dry_run(options, entry, asked, limits, progress)
    require_writable_folder(options.output)
    progress = NotedProgress(progress)  # what reading warns of stands in the report as well
    hashes = hashes_of(named)
    if limits:
        hashes["acceptance"] = limits.sha256  # of the file as it was read
    bundle = load_bundle(options.model) if options.model else None
    found = read_inputs(
        entry, progress, end_caps=not options.no_end_caps, mask_nan=options.mask_nan
    )
    planned = plan_made(entry, found, settings, progress)
    settings = settings.for_plan(None if options.dose_ct else found.plan)
    evaluation = run(
        found.ct,
        found.candidates,
        dose_ct=found.dose_ct,
        doses=found.doses,
        structures=found.structures,
        region=found.region,
        plan=found.plan,
        mr=found.mr,
        histograms=histogram_set(found.mr, bundle) if bundle else None,
        settings=settings,
        progress=progress,
    )
    judge(evaluation, limits)
    tell_plan(evaluation, planned)
    tell_origin(
        evaluation,
        named,
        asdict(settings) | {"dose_unit": options.dose_unit, "end_caps": not options.no_end_caps},
        hashes=hashes,
        images=found.images(),
        model=model_entry(options.model, bundle) if bundle else None,
        identified=options.identified,
    )
    evaluation.patient = options.patient or ""
    evaluation.notes[:0] = options.note
    if options.no_end_caps:
        evaluation.notes.append(NO_END_CAPS)
    notes = dict.fromkeys([*progress.warnings, *evaluation.notes])
    hidden = [] if options.identified else inputs
    evaluation.notes = [without_folders(note, hidden) for note in notes]
    with staged_folder(options.output, inputs, earlier_results(options.output)) as stage:
        write_evaluation(evaluation, stage, scene=scene, paper=options.paper, progress=progress)
    return {"report": Path(options.output) / "report.html"}


def settings_asked(options: argparse.Namespace) -> EvaluationSettings:
    """Return how the options ask for an evaluation.

    Raises:
        SyntheticCTError: options that contradict each other, or a value without meaning.
    """
    from SyntheticCTEvalLib.planning.request import split_targets

    planning = plan_request(options, split_targets(options.target)[1])
    return evaluation_settings(
        options,
        prescription_gy=options.prescription,
        planning=planning,
        target=_target(options) or planning.highest,
    )


def _entry(
    options: argparse.Namespace, candidates: dict[str, str], doses: dict[str, str]
) -> PatientEntry:
    """Return the options' inputs as a cohort's manifest names them."""
    from SyntheticCTEvalLib.cohort.manifest import PatientEntry

    reg = options.structures_registration
    if reg and not options.structures:
        raise SyntheticCTError(
            "--structures-registration brings structures over: give --structures as well."
        )
    return PatientEntry(
        patient=options.patient or "",
        ct=Path(options.ct),
        candidates={name: Path(path) for name, path in candidates.items()},
        mr=Path(options.mr) if options.mr else None,
        structures=Path(options.structures) if options.structures else None,
        registration=reg and Path(reg),
        region=Path(options.region) if options.region else None,
        dose_ct=Path(options.dose_ct) if options.dose_ct else None,
        doses={name: Path(path) for name, path in doses.items()},
        target=_target(options),
        prescription_gy=options.prescription,
        dose_unit=options.dose_unit,
        dose=not options.no_dose,
        plan=Path(options.plan) if options.plan else None,
    )


def _target(options: argparse.Namespace) -> str | None:
    """Name of the target, where it was given without a dose."""
    from SyntheticCTEvalLib.planning.request import split_targets

    names, _ = split_targets(options.target)
    if len(names) > 1:
        raise SyntheticCTError(
            f"--target names {' and '.join(names)}: the fields are shaped to one structure."
        )
    return names[0] if names else None


def _dry_run(
    options: argparse.Namespace,
    entry: PatientEntry,
    asked: EvaluationSettings,
    limits: Acceptance | None,
    progress: Progress,
) -> dict[str, Path]:
    """Tell what would be evaluated, and write nothing."""
    from SyntheticCTEvalLib.cohort.dry_run import plan_patient, require_no_faults
    from SyntheticCTEvalLib.cohort.patient import CohortSettings

    plan = plan_patient(
        entry,
        CohortSettings(
            model=Path(options.model) if options.model else None,
            evaluation=asked,
            acceptance=limits,
            end_caps=not options.no_end_caps,
        ),
        synthesized=False,
    )
    progress.tell("patient", plan.text(), **plan.entry())
    require_no_faults([plan])
    return {}


def _require_whole(
    options: argparse.Namespace, candidates: dict[str, str], doses: dict[str, str]
) -> None:
    """Raise SyntheticCTError where options ask for others that are not given."""
    from SyntheticCTEvalLib.placement.ways import BY_MR
    from SyntheticCTEvalLib.planning.request import split_targets

    unknown = [name for name in doses if name not in candidates]
    if unknown:
        raise SyntheticCTError(
            f"--dose names {unknown[0]}, which is no candidate: give --candidate {unknown[0]}=... "
            "as well."
        )
    if doses and not options.dose_ct:
        raise SyntheticCTError("--dose needs the dose on the true CT as well: give --dose-ct.")
    if options.dose_ct and not doses:
        raise SyntheticCTError(
            "--dose-ct needs the dose on a candidate as well: give --dose NAME=DOSE."
        )
    if options.no_dose and (
        options.plan or options.dose_ct or options.dose_engine != "pencil-beam"
    ):
        raise SyntheticCTError(
            "--no-dose leaves dose out, and a dose, a plan or a dose engine is given: leave one of "
            "both out."
        )
    if options.plan and options.dose_ct:
        raise SyntheticCTError(
            "--plan is the plan whose dose is calculated, and --dose-ct is a dose: give one of "
            "them."
        )
    names, plans = split_targets(options.target)
    if names and not options.structures:
        raise SyntheticCTError(f"--target {names[0]} is a structure: give --structures as well.")
    if plans and (options.plan or options.dose_ct):
        given = "--plan is one" if options.plan else "--dose-ct is a dose"
        raise SyntheticCTError(f"--target NAME=GY makes a plan, and {given}: give one of them.")
    if plans and not options.structures:
        raise SyntheticCTError(
            "--target NAME=GY makes a plan for structures: give --structures as well."
        )
    if options.dose_engine == "montecarlo" and not (options.plan or plans):
        raise SyntheticCTError(
            "--dose-engine montecarlo calculates the dose of a plan: give --plan as well, or "
            "--target NAME=GY for a plan that is made."
        )
    if (options.override or options.couch) and (options.dose_ct or options.no_dose):
        raise SyntheticCTError(
            "--override and --couch change volumes that dose is calculated in: leave it out where "
            "doses are given, or none is asked for."
        )
    require_structures(options)
    if options.model and not options.mr:
        raise SyntheticCTError("--model shows the histogram of an MR: give --mr as well.")
    if options.registration_by == BY_MR and not options.mr:
        raise SyntheticCTError(
            "--registration-by mr finds the transform between MR and CT: give --mr as well."
        )


def add_evaluate(command: Callable) -> None:
    sub = command(
        "evaluate",
        evaluate,
        "Hold synthetic CTs against the true CT",
        "Registers the candidates onto the CT, then MAE, SSIM, body DSC and gamma of dose. "
        "Without dose files the dose is recalculated on every volume with one plan.",
    )
    sub.add_argument("--ct", required=True, help=f"true CT: {VOLUME_HELP}")
    sub.add_argument(
        "--candidate",
        required=True,
        action="append",
        type=named_file,
        metavar="NAME=VOLUME",
        help="volume to judge; may be given several times",
    )
    sub.add_argument("--mr", help="the MR, shown in the report; see --registration-by")
    sub.add_argument(
        "--model",
        type=model_folder,
        metavar="BUNDLE",
        help="with --mr: shows its histogram among the model's scans; demo for the demo model",
    )
    sub.add_argument("--dose-ct", metavar="DOSE", help="dose on the true CT (RTDOSE or volume)")
    sub.add_argument(
        "--dose",
        action="append",
        default=[],
        type=named_file,
        metavar="NAME=DOSE",
        help="dose on that candidate; may be given several times",
    )
    sub.add_argument(
        "--plan",
        metavar="RTPLAN",
        help="photon plan made on the CT, whose dose is recalculated, in place of seven fields",
    )
    sub.add_argument("--dose-unit", choices=("Gy", "cGy"), help="of dose volumes that name none")
    sub.add_argument(
        "--prescription",
        type=float,
        metavar="GY",
        help="prescription dose: gamma's percentages and cutoffs refer to it "
        "(45 when dose is recalculated, the largest reference dose when it is imported)",
    )
    sub.add_argument("--structures", metavar="FILE", help="RTSTRUCT, .seg.nrrd or label map")
    add_structures_registration(sub)
    sub.add_argument(
        "--target",
        action="append",
        default=[],
        metavar="NAME[=GY]",
        help="structure that the seven fields are shaped to; with its dose of the whole course, "
        "makes a plan of arcs on the true CT instead, and may be given several times; a name that "
        "has a = ends in one more",
    )
    add_planning(sub)
    sub.add_argument("--region", metavar="MASK", help="limits every figure to this mask")
    add_evaluation(sub, "--mr")
    sub.add_argument(
        "--patient", metavar="PSEUDONYM", help="who it is, for the report; no name is taken"
    )
    sub.add_argument(
        "--identified", action="store_true", help="tell whole paths of files, which may hold names"
    )
    sub.add_argument(
        "--note",
        action="append",
        default=[],
        metavar="SENTENCE",
        help="stands among the notes of the report; may be given again",
    )
    sub.add_argument(
        "--no-scene",
        action="store_true",
        help="no scene.mrb, which needs slicer-core; instead, uncompressed, what Slicer's module "
        "makes its scene of",
    )
    sub.add_argument("--output", required=True, metavar="DIR", help="folder of the results")
