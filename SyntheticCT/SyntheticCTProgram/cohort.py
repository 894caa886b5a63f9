"""The command ``synthetic-ct cohort``: a study's tables from a manifest of patients."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from SyntheticCTLib.basics.errors import IncompleteError
from SyntheticCTLib.basics.manifest import read_manifest
from SyntheticCTLib.basics.progress import Progress

from .arguments import add_evaluation, evaluation_settings, model_folder, whole_count
from .given import given
from .planning import HOW, add_planning, plan_request


def add_cohort(command: Callable) -> None:
    """Add the command's options to the parser; ``command`` makes a parser of a name."""
    sub = command(
        "cohort",
        cohort,
        "Evaluate all patients of a study",
        "The manifest has a row a patient and the columns patient, ct, candidate_NAME for every "
        "candidate, and optionally mr, structures, region, plan, levels, target, prescription_gy, "
        "dose_ct, dose_NAME, dose_unit, criteria, cutoffs, local, gamma_cap, dvh_points, end_caps, "
        "registration, registration_by and acceptance (each as the option, for one patient); what "
        "it has no column or cell for is left out, which the report says. Writes the study's "
        "tables and figures, and every patient's report and maps; a second run redoes only what is "
        "missing or has changed.",
    )
    sub.add_argument("manifest", metavar="MANIFEST.csv")
    sub.add_argument("--output", required=True, metavar="DIR", help="folder of the results")
    sub.add_argument(
        "--model",
        type=model_folder,
        metavar="BUNDLE",
        help="makes a synthetic CT of every MR, the candidate sCT; demo stands for the demo model",
    )
    sub.add_argument(
        "--baseline",
        metavar="NAME",
        help="candidate that the others are compared with (MRCAT where there is one, else the "
        "last)",
    )
    add_evaluation(sub, "column mr")
    sub.add_argument(
        "--target",
        action="append",
        default=[],
        metavar="NAME=GY",
        help="makes a plan on the true CT of every patient that has none: structure and its dose "
        "of the whole course; may be given several times (column levels, PTV45=45;PTV55=55)",
    )
    add_planning(sub)
    sub.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    sub.add_argument(
        "--workers",
        type=whole_count,
        metavar="N",
        help="patients at once, each with its own memory (2, or 1 on one processor)",
    )
    sub.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="an existing dask cluster to use, which sees the same files (tcp://host:8786)",
    )
    sub.add_argument("--redo", action="store_true", help="evaluate unchanged patients again, too")


def cohort(options: argparse.Namespace, progress: Progress) -> dict[str, Path]:
    """Evaluate the patients of a manifest and write the study's tables, figures and report.

    Raises:
        SyntheticCTError: nothing can be evaluated, or nothing could.
        IncompleteError: some patients failed; the results of the others are written.
    """
    from SyntheticCTEvalLib.acceptance.limits import read_acceptance
    from SyntheticCTEvalLib.cohort.dry_run import dry_run_cohort, require_no_faults
    from SyntheticCTEvalLib.cohort.patient import CohortSettings
    from SyntheticCTEvalLib.cohort.run import run_cohort
    from SyntheticCTEvalLib.study.report import write_cohort
    from SyntheticCTEvalMRML.scene import scene_writer

    output = Path(options.output)
    made = bool(given(options, *HOW)) and not options.no_dose and _levels_given(options.manifest)
    planning = plan_request(options, options.target, elsewhere=made)
    settings = CohortSettings(
        model=Path(options.model) if options.model else None,
        evaluation=evaluation_settings(options, planning=planning),
        acceptance=read_acceptance(options.acceptance) if options.acceptance else None,
        paper=options.paper,
        end_caps=not options.no_end_caps,
        device=options.device,
        scene=scene_writer(progress),
    )
    shared = {"baseline": options.baseline, "workers": options.workers, "redo": options.redo}
    if options.dry_run:
        plans = dry_run_cohort(options.manifest, output, settings, progress=progress, **shared)
        require_no_faults(plans)
        return {}
    result = run_cohort(
        options.manifest,
        output,
        settings,
        scheduler=options.scheduler,
        progress=progress,
        **shared,
    )
    write_cohort(result, output, progress=progress)
    report = output / "report.html"
    if result.failed:
        names = list(result.failed)
        shown = ", ".join(names[:5]) + (" and others" if len(names) > 5 else "")
        total = len(names) + len(result.patients)
        raise IncompleteError(
            f"{len(names)} of {total} patients failed ({shown}): {report} holds the others, and "
            "says why; correct their inputs and run the same command again."
        )
    return {"report": report}


def _levels_given(manifest: str) -> bool:
    """Whether a plan is made for any patient by the manifest's column levels."""
    return any(row["levels"] for row in read_manifest(manifest, (), ("levels",)))
