"""What each command of the command line does: files in, core functions, files out."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import SyntheticCTError
from .outputs import require_writable_folder, staged_folder
from .progress import Progress
from .volumes import read_mask, read_volume, write_volume

if TYPE_CHECKING:
    import SimpleITK as sitk

    from .inference import Generated

Outputs = dict[str, Path]


def phantom(options: argparse.Namespace, progress: Progress) -> Outputs:
    """Write digital patients and their manifest."""
    from .phantom import CLINICAL, COARSE, TINY, write_cohort

    if options.count < 1:
        raise SyntheticCTError("The count must be at least 1.")
    grid = {"clinical": CLINICAL, "coarse": COARSE, "tiny": TINY}[options.grid]
    require_writable_folder(options.output)
    return {"manifest": write_cohort(options.seed, options.count, options.output, grid, progress)}


def train(options: argparse.Namespace, progress: Progress) -> Outputs:
    """Train a model and write its bundle."""
    from .training import train as run
    from .training_pairs import read_sources
    from .training_settings import TrainingSettings

    settings = TrainingSettings(
        epochs=options.epochs,
        width=options.width,
        depth=options.depth,
        blocks=options.blocks,
        size=options.size,
        batch=options.batch,
        learning_rate=options.learning_rate,
        decay_epochs=options.decay_epochs,
        l1_weight=options.l1_weight,
        adversarial_weight=options.adversarial_weight,
        spacing_mm=options.spacing,
        hu_range=tuple(options.hu_range),
        seed=options.seed,
        device=options.device,
        domain=options.domain,
    )
    sources = read_sources(options.manifest)
    run(
        sources,
        options.output,
        settings,
        resume=options.resume,
        workers=max(1, options.workers),
        progress=progress,
    )
    return {"model": Path(options.output)}


def evaluate(options: argparse.Namespace, progress: Progress) -> Outputs:
    """Evaluate candidates against the true CT and write metrics, maps, report and scene."""
    from SyntheticCTEvalLib.dose import read_dose
    from SyntheticCTEvalLib.evaluation import EvaluationSettings
    from SyntheticCTEvalLib.evaluation import evaluate as run
    from SyntheticCTEvalLib.files import write_evaluation
    from SyntheticCTEvalLib.histograms import histogram_set
    from SyntheticCTEvalLib.structures import read_structures
    from SyntheticCTEvalMRML.scene import NO_MRML, has_mrml

    from .bundle import load_bundle

    candidates = _unique(options.candidate, "--candidate")
    doses = _unique(options.dose, "--dose")
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
    if not options.no_scene and not has_mrml():
        progress.warn(f"No scene.mrb is written: {NO_MRML}")
        options.no_scene = True
    others = (options.mr, options.model, options.dose_ct, options.structures, options.region)
    inputs = [options.ct, *candidates.values(), *doses.values(), *filter(None, others)]
    require_writable_folder(options.output)
    mr = read_volume(options.mr, "MR") if options.mr else None
    bundle = load_bundle(options.model) if options.model else None
    ct = read_volume(options.ct, "CT")
    evaluation = run(
        ct,
        {name: read_volume(path, f"candidate {name}") for name, path in candidates.items()},
        dose_ct=read_dose(options.dose_ct, options.dose_unit) if options.dose_ct else None,
        doses={name: read_dose(path, options.dose_unit) for name, path in doses.items()},
        structures=(
            read_structures(options.structures, ct, progress, end_caps=not options.no_end_caps)
            if options.structures
            else {}
        ),
        region=read_mask(options.region, "region") if options.region else None,
        mr=mr,
        histograms=histogram_set(mr, bundle) if bundle else None,
        settings=EvaluationSettings(
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
        ),
        progress=progress,
    )
    if options.no_end_caps:
        evaluation.notes.append(
            "Structures of an RTSTRUCT end at their last contours, as asked for, and not half a "
            "contour spacing beyond them."
        )
    with staged_folder(options.output, inputs) as stage:
        write_evaluation(evaluation, stage, scene=not options.no_scene, progress=progress)
    return {"report": Path(options.output) / "report.html"}


def demo(options: argparse.Namespace, progress: Progress) -> Outputs:
    """Make an unseen digital patient and run the whole chain on it."""
    from SyntheticCTEvalLib.evaluation import EvaluationSettings
    from SyntheticCTEvalLib.evaluation import evaluate as run
    from SyntheticCTEvalLib.files import write_evaluation
    from SyntheticCTEvalLib.histograms import histogram_set
    from SyntheticCTEvalMRML.scene import require_mrml

    from .bundle import demo_bundle_folder, load_bundle
    from .inference import generate as synthesize
    from .phantom import CLINICAL, COARSE, STRUCTURE_NAMES, make_phantom

    require_mrml()
    bundle = load_bundle(options.model or demo_bundle_folder())
    require_writable_folder(options.output)
    case = make_phantom(options.seed, CLINICAL if options.full else COARSE, progress)
    generated: Generated = synthesize(case.mr, bundle, progress=progress)
    evaluation = run(
        case.ct,
        {"sCT": generated.sct, "MRCAT": case.mrcat},
        structures={name: case.structures_ct == label for label, name in STRUCTURE_NAMES.items()},
        mr=case.mr,
        histograms=histogram_set(case.mr, bundle, generated.normalized),
        settings=EvaluationSettings(prescription_gy=45.0),
        progress=progress,
    )
    evaluation.notes[:0] = [f"Digital patient {options.seed}; not a person.", *generated.warnings]
    volumes: dict[str, sitk.Image] = {
        "mr": case.mr,
        "ct": case.ct,
        "mrcat": case.mrcat,
        "sct": generated.sct,
        "uncertainty": generated.uncertainty,
    }
    with staged_folder(options.output, [options.model] if options.model else []) as stage:
        for name, image in volumes.items():
            write_volume(image, stage / f"{name}.nrrd")
        write_evaluation(evaluation, stage, progress=progress)
    return {"report": Path(options.output) / "report.html"}


def _unique(pairs: list[tuple[str, str]], option: str) -> dict[str, str]:
    names = [name.casefold() for name, _ in pairs]  # files of some systems know no case
    twice = [name for name, _ in pairs if names.count(name.casefold()) > 1]
    if twice:
        raise SyntheticCTError(f"{option} names {twice[0]} twice: give every one its own name.")
    return dict(pairs)
