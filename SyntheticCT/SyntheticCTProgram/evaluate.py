"""The command ``synthetic-ct evaluate``: candidates held against the true CT."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.fingerprint import origin
from SyntheticCTLib.basics.outputs import require_writable_folder, staged_folder
from SyntheticCTLib.basics.progress import NotedProgress, Progress
from SyntheticCTLib.volumes.reading import read_mask, read_volume

from .arguments import VOLUME_HELP, add_end_caps, add_gamma, add_mask_nan, model_folder, named_file

if TYPE_CHECKING:
    from SyntheticCTEvalLib.evaluation.settings import EvaluationSettings

_OPTIONS = (
    "no_registration", "no_dose", "prescription", "dose_unit", "target", "no_end_caps", "cutoffs",
    "dose_percent", "distance_mm", "local", "gamma_cap", "gamma_engine", "mask_nan",
)  # fmt: skip
"""Options that change the figures; they are told with them."""


def evaluate(options: argparse.Namespace, progress: Progress) -> dict[str, Path]:
    """Evaluate candidates against the true CT and write metrics, maps, report and scene."""
    from SyntheticCTEvalLib.dose.reading import read_dose
    from SyntheticCTEvalLib.evaluation.mr_histograms import histogram_set
    from SyntheticCTEvalLib.evaluation.one_patient import evaluate as run
    from SyntheticCTEvalLib.evaluation.settings import NO_END_CAPS
    from SyntheticCTEvalLib.report.folder import earlier_results, require_place, write_evaluation
    from SyntheticCTEvalLib.structures.reading import read_structures
    from SyntheticCTEvalMRML.scene import MrbWriter
    from SyntheticCTLib.bundle.folder import load_bundle

    candidates = _unique(options.candidate, "--candidate")
    doses = _unique(options.dose, "--dose")
    _require_whole(options, candidates, doses)
    scene = None if options.no_scene else MrbWriter()
    if scene and (reason := scene.missing()):
        progress.warn(f"No scene.mrb is written: {reason}")
        scene = None
    named = {"CT": options.ct, "MR": options.mr, "model": options.model}
    named |= {f"candidate {name}": path for name, path in candidates.items()}
    named |= {"dose on the CT": options.dose_ct, "structures": options.structures}
    named |= {f"dose on {name}": path for name, path in doses.items()} | {"region": options.region}
    named = {what: path for what, path in named.items() if path}
    inputs = list(named.values())
    require_place(options.output, candidates, inputs)
    require_writable_folder(options.output)
    progress = NotedProgress(progress)  # what reading warns of stands in the report as well
    made_of = origin(named, {name: getattr(options, name) for name in _OPTIONS})
    mr = read_volume(options.mr, "MR", progress) if options.mr else None
    bundle = load_bundle(options.model) if options.model else None
    ct = read_volume(options.ct, "CT", progress, mask_nan=options.mask_nan)
    dose = partial(read_dose, unit=options.dose_unit, progress=progress)
    evaluation = run(
        ct,
        {
            name: read_volume(path, f"candidate {name}", progress, mask_nan=options.mask_nan)
            for name, path in candidates.items()
        },
        dose_ct=dose(options.dose_ct) if options.dose_ct else None,
        doses={name: dose(path) for name, path in doses.items()},
        structures=(
            read_structures(options.structures, ct, progress, end_caps=not options.no_end_caps)
            if options.structures
            else {}
        ),
        region=read_mask(options.region, "region", progress) if options.region else None,
        mr=mr,
        histograms=histogram_set(mr, bundle) if bundle else None,
        settings=_settings(options),
        progress=progress,
    )
    evaluation.origin = made_of
    if options.no_end_caps:
        evaluation.notes.append(NO_END_CAPS)
    evaluation.notes = list(dict.fromkeys([*progress.warnings, *evaluation.notes]))
    with staged_folder(options.output, inputs, earlier_results(options.output)) as stage:
        write_evaluation(evaluation, stage, scene=scene, progress=progress)
    return {"report": Path(options.output) / "report.html"}


def _require_whole(
    options: argparse.Namespace, candidates: dict[str, str], doses: dict[str, str]
) -> None:
    """Raise SyntheticCTError where options ask for others that are not given."""
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
    if options.model and not options.mr:
        raise SyntheticCTError("--model shows the histogram of an MR: give --mr as well.")


def _settings(options: argparse.Namespace) -> EvaluationSettings:
    from SyntheticCTEvalLib.evaluation.settings import EvaluationSettings

    return EvaluationSettings(
        prescription_gy=options.prescription,
        register=not options.no_registration,
        dose=not options.no_dose,
        target=options.target,
        cutoffs_percent=options.cutoffs,
        dose_percent=options.dose_percent,
        distance_mm=options.distance_mm,
        gamma_local=options.local,
        gamma_cap=options.gamma_cap,
        gamma_engine=options.gamma_engine,
        mask_nan=options.mask_nan,
    )


def _unique(pairs: list[tuple[str, str]], option: str) -> dict[str, str]:
    names = [name.casefold() for name, _ in pairs]  # files of some systems know no case
    twice = [name for name, _ in pairs if names.count(name.casefold()) > 1]
    if twice:
        raise SyntheticCTError(f"{option} names {twice[0]} twice: give every one its own name.")
    return dict(pairs)


def add_evaluate(command: Callable) -> None:
    sub = command(
        "evaluate",
        evaluate,
        "Hold synthetic CTs against the true CT",
        "Registers every candidate onto the CT, then MAE, SSIM, body DSC and gamma of dose. "
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
    sub.add_argument("--mr", help="the MR, shown in the report")
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
    sub.add_argument("--dose-unit", choices=("Gy", "cGy"), help="of dose volumes that name none")
    sub.add_argument("--no-dose", action="store_true", help="images only")
    sub.add_argument(
        "--prescription",
        type=float,
        metavar="GY",
        help="prescription dose: gamma's percentages and cutoffs refer to it "
        "(45 when dose is recalculated, the largest reference dose when it is imported)",
    )
    sub.add_argument("--structures", metavar="FILE", help="RTSTRUCT, .seg.nrrd or label map")
    add_end_caps(sub)
    sub.add_argument("--target", metavar="NAME", help="structure that the fields are shaped to")
    sub.add_argument("--region", metavar="MASK", help="limits every figure to this mask")
    sub.add_argument(
        "--no-registration", action="store_true", help="the candidates already lie on the CT"
    )
    add_mask_nan(sub)
    add_gamma(sub)
    sub.add_argument(
        "--no-scene",
        action="store_true",
        help="no scene.mrb, which needs slicer-core; instead, uncompressed, what Slicer's module "
        "makes its scene of",
    )
    sub.add_argument("--output", required=True, metavar="DIR", help="folder of the results")
