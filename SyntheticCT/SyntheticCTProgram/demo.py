"""The command ``synthetic-ct demo``: the whole chain on a digital patient."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from SyntheticCTLib.basics.outputs import require_writable_folder, staged_folder
from SyntheticCTLib.basics.progress import NotedProgress, Progress
from SyntheticCTLib.volumes.writing import write_volume

if TYPE_CHECKING:
    import SimpleITK as sitk
    from SyntheticCTEvalLib.evaluation.settings import EvaluationSettings
    from SyntheticCTEvalLib.planning.treatment import PlannedTreatment
    from SyntheticCTLib.inference.synthesis import Generated
    from SyntheticCTLib.phantom import Phantom

from collections.abc import Callable

from .arguments import model_folder, seed_number

QUICK_DOSE = (
    "The dose is the pencil beam's of seven fields, whose flat gradients are easier to agree in "
    "than the study's: demo --full plans arcs and calculates by Monte Carlo."
)


def demo(options: argparse.Namespace, progress: Progress) -> dict[str, Path]:
    """Make an unseen digital patient and run the whole chain on it."""
    from SyntheticCTEvalLib.evaluation.mr_histograms import histogram_set
    from SyntheticCTEvalLib.evaluation.one_patient import evaluate as run
    from SyntheticCTEvalLib.evaluation.origin import (
        hashes_of,
        model_entry,
        tell_origin,
        tell_plan,
    )
    from SyntheticCTEvalLib.report.folder import earlier_results, require_place, write_evaluation
    from SyntheticCTEvalMRML.scene import scene_writer
    from SyntheticCTLib.bundle.folder import demo_bundle_folder, load_bundle
    from SyntheticCTLib.inference.synthesis import generate as synthesize
    from SyntheticCTLib.phantom import CLINICAL, COARSE, make_phantom

    scene = scene_writer(progress)
    made_by = options.model or demo_bundle_folder()
    hashes = hashes_of({"model": made_by})
    bundle = load_bundle(made_by)
    inputs = [options.model] if options.model else []
    require_place(options.output, ("sCT", "MRCAT"), inputs, plans=options.full)
    require_writable_folder(options.output)
    case = make_phantom(options.seed, CLINICAL if options.full else COARSE, progress)
    progress = NotedProgress(progress)
    structures, settings, planned = _dose(case, options.full, progress)
    generated: Generated = synthesize(case.mr, bundle, progress=progress)
    evaluation = run(
        case.ct,
        {"sCT": generated.sct, "MRCAT": case.mrcat},
        structures=structures,
        plan=planned and planned.plan,
        mr=case.mr,
        histograms=histogram_set(case.mr, bundle, generated.normalized),
        settings=settings,
        progress=progress,
    )
    tell_plan(evaluation, planned)
    first = [f"Digital patient {options.seed}; not a person.", *generated.warnings]
    evaluation.notes = list(dict.fromkeys([*first, *progress.warnings, *evaluation.notes]))
    evaluation.patient = f"digital patient {options.seed}"
    tell_origin(
        evaluation,
        {"model": made_by},
        {"seed": options.seed, "full": options.full},
        hashes=hashes,
        images={
            "CT": case.ct, "MR": case.mr, "candidate sCT": generated.sct,
            "candidate MRCAT": case.mrcat,
        },
        model=model_entry(made_by, bundle),
    )  # fmt: skip
    volumes: dict[str, sitk.Image] = {
        "mr": case.mr,
        "ct": case.ct,
        "mrcat": case.mrcat,
        "sct": generated.sct,
        "uncertainty": generated.uncertainty,
    }
    with staged_folder(options.output, inputs, earlier_results(options.output)) as stage:
        for name, image in volumes.items():
            write_volume(image, stage / f"{name}.nrrd")
        write_evaluation(evaluation, stage, scene=scene, progress=progress)
    return {"report": Path(options.output) / "report.html"}


def _dose(
    case: Phantom, full: bool, progress: Progress
) -> tuple[dict[str, sitk.Image], EvaluationSettings, PlannedTreatment | None]:
    """Structures, how they are evaluated, and the plan that is made for the full demo."""
    from SyntheticCTEvalLib.evaluation.settings import MONTE_CARLO, EvaluationSettings
    from SyntheticCTEvalLib.planning.request import PlanRequest
    from SyntheticCTEvalLib.planning.treatment import planned_treatment
    from SyntheticCTLib.phantom import (
        LEVELS_GY,
        PRESCRIPTION_GY,
        STRUCTURE_NAMES,
        planning_structures,
    )

    settings = EvaluationSettings(prescription_gy=PRESCRIPTION_GY)
    if not full:
        progress.warn(QUICK_DOSE)
        masks = {name: case.structures_ct == label for label, name in STRUCTURE_NAMES.items()}
        return masks, settings, None
    request = PlanRequest(tuple(LEVELS_GY.items()))
    masks = planning_structures(case)
    planned = planned_treatment(case.ct, masks, request, progress=progress)
    asked = replace(settings, dose_engine=MONTE_CARLO, planning=request, target=request.highest)
    return masks, asked, planned


def add_demo(command: Callable) -> None:
    sub = command(
        "demo",
        demo,
        "Run the whole chain on a digital patient",
        "Makes a phantom that the demo model has not seen, its synthetic CT and an MRCAT "
        "look-alike, registers both onto the CT, recalculates dose, and writes report.html, "
        "scene.mrb and metrics.json.",
    )
    sub.add_argument("--output", required=True, metavar="DIR", help="folder of the results")
    sub.add_argument(
        "--seed", type=seed_number, default=1001, help="of the digital patient (%(default)s)"
    )
    sub.add_argument(
        "--full",
        action="store_true",
        help="the clinical grid (512 x 512), a plan of arcs with three levels and Monte Carlo, in "
        "place of seven fields and the pencil beam, which takes longer",
    )
    sub.add_argument(
        "--model", type=model_folder, metavar="BUNDLE", help="another model than the demo model"
    )
