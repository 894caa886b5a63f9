"""The command ``synthetic-ct plan``: arcs for targets with doses of their own, as an RTPLAN."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.outputs import refuse_overwrite, require_place
from SyntheticCTLib.basics.progress import Progress
from SyntheticCTLib.volumes.reading import read_volume

from .arguments import VOLUME_HELP, number
from .planning import add_planning, plan_request


def plan(options: argparse.Namespace, progress: Progress) -> dict[str, Path]:
    """Write a plan that gives targets their doses, and the table of coverage and organ doses."""
    from SyntheticCTEvalLib.planning.table import told_table
    from SyntheticCTEvalLib.planning.treatment import DrawnOn, is_table, planned_treatment
    from SyntheticCTEvalLib.structures.reading import read_structures

    output = Path(options.output)
    if output.suffix.lower() != ".dcm":
        raise SyntheticCTError(f"The plan {output} must end in .dcm: give such a name.")
    figures = output.with_suffix(".json")
    given = [options.ct, options.structures]
    given += [options.objectives] if options.objectives else []
    for path in (output, figures):
        refuse_overwrite(path, given)
        require_place(path)
    if figures.exists() and not is_table(figures):  # only the plan's own name was given
        raise SyntheticCTError(
            f"The table of the plan would replace {figures}, which is no such table: choose "
            "another name for the plan, or move that file."
        )
    request = plan_request(options, options.target, spacing_mm=options.spacing)
    ct = read_volume(options.ct, "CT", progress)
    drawn_on = DrawnOn.read(options.ct, Path(options.structures), progress)
    structures = read_structures(options.structures, ct, progress)
    made = planned_treatment(ct, structures, request, drawn_on, progress=progress)
    made.write(output, figures)
    table = made.table
    effort = (
        f"{table['iterations']} iterations in {table['seconds']:.0f} s; {table['MU']:.0f} MU a "
        f"fraction, delivered in {table['delivery_s']} s at least"
    )
    progress.tell("plan", f"{told_table(table)}\n{effort}", **table)
    return {"plan": output, "table": figures}


def _spacing(text: str) -> float:
    return number(text, "a number of mm from 2 to 10", 2, 10)


def add_plan(command: Callable) -> None:
    sub = command(
        "plan",
        plan,
        "Plan arcs for targets and organs",
        "Two arcs of a common linac, optimised on the CT, as an RTPLAN, and beside it a table "
        "(.json) of coverage and organ doses.",
    )
    sub.add_argument("--ct", required=True, help=f"true CT: {VOLUME_HELP}")
    sub.add_argument("--structures", required=True, help="RTSTRUCT, segmentation or folder")
    sub.add_argument(
        "--target",
        required=True,
        action="append",
        metavar="NAME=GY",
        help="structure and its dose of the whole course; may be given several times",
    )
    sub.add_argument("--output", required=True, metavar="PLAN.dcm", help="the RTPLAN")
    add_planning(sub)
    sub.add_argument(
        "--spacing", type=_spacing, default=5.0, metavar="MM", help="of the dose grid; default 5"
    )
