"""The command ``synthetic-ct plan``: arcs for targets with doses of their own, as an RTPLAN."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.outputs import refuse_overwrite, require_place, staged_file
from SyntheticCTLib.basics.progress import Progress
from SyntheticCTLib.dicom.frame_of_reference import frame_of
from SyntheticCTLib.dicom.headers import is_of, read_header
from SyntheticCTLib.volumes.reading import read_volume

from .arguments import VOLUME_HELP, named_file, number

if TYPE_CHECKING:
    from SyntheticCTLib.export.source import SourceSeries


def plan(options: argparse.Namespace, progress: Progress) -> dict[str, Path]:
    """Write a plan that gives targets their doses, and the table of coverage and organ doses."""
    from SyntheticCTEvalLib.delivery.dose import describe_plan
    from SyntheticCTEvalLib.plan.reading import read_plan
    from SyntheticCTEvalLib.plan.writing import write_plan
    from SyntheticCTEvalLib.planning.linac import seconds_of
    from SyntheticCTEvalLib.planning.objectives import SHIPPED, read_objectives
    from SyntheticCTEvalLib.planning.planner import Effort, make_plan
    from SyntheticCTEvalLib.planning.table import doubts_of, table_of, told_table
    from SyntheticCTEvalLib.structures.reading import read_structures
    from SyntheticCTLib.body.contour import body_contour

    levels = _levels(options.target)
    output = Path(options.output)
    if output.suffix.lower() != ".dcm":
        raise SyntheticCTError(f"The plan {output} must end in .dcm: give such a name.")
    figures = output.with_suffix(".json")
    given = [options.ct, options.structures]
    given += [options.objectives] if options.objectives else []
    for path in (output, figures):
        refuse_overwrite(path, given)
        require_place(path)
    objectives = read_objectives(options.objectives or SHIPPED)
    ct = read_volume(options.ct, "CT", progress)
    source = _source(options.ct, progress)
    structures = read_structures(options.structures, ct, progress)
    planned = make_plan(
        ct,
        body_contour(ct, "CT"),
        structures,
        levels,
        objectives,
        fractions=options.fractions,
        arcs=options.arcs,
        patient_position=source.position if source and source.position else "HFS",
        effort=Effort(spacing_mm=options.spacing),
        progress=progress,
    )
    table = table_of(planned.dose, structures, levels, objectives)
    for note in doubts_of(table):
        progress.warn(note)
    table |= {"iterations": planned.iterations, "seconds": round(planned.seconds, 1)}
    table["definitions"] |= {"dose": describe_plan(planned.plan, planned.dose)}
    table["delivery_s"] = round(sum(float(seconds_of(one).sum()) for one in planned.plan.beams))
    table |= {"MU": planned.plan.total_mu / options.fractions, "plan": planned.plan.description}
    with staged_file(output) as stage, staged_file(figures) as beside:
        made = dataclasses.replace(
            planned.plan,
            frame_of_reference=frame_of(ct) or "",
            structure_set_uid=_structure_set(options.structures),
        )
        write_plan(made, stage, source)
        read_plan(stage)  # what cannot be read back is no plan
        Path(beside).write_text(json.dumps(table, indent=1, ensure_ascii=False), encoding="utf-8")
    effort = (
        f"{planned.iterations} iterations in {planned.seconds:.0f} s; {table['MU']:.0f} MU a "
        f"fraction, delivered in {table['delivery_s']} s at least"
    )
    progress.tell("plan", f"{told_table(table)}\n{effort}", **table)
    return {"plan": output, "table": figures}


def _levels(pairs: list[tuple[str, str]]) -> dict[str, float]:
    """Doses in Gy by target."""
    levels: dict[str, float] = {}
    for name, text in pairs:
        try:
            level = float(text)
        except ValueError:
            raise SyntheticCTError(
                f"The dose {text!r} of the target {name} is no number: write {name}=45."
            ) from None
        if name in levels:
            raise SyntheticCTError(f"--target names {name} twice: give every one its dose once.")
        levels[name] = level
    return levels


def _source(ct: str, progress: Progress) -> SourceSeries | None:
    """Patient, study and frame of a CT that is DICOM; None for other files."""
    from SyntheticCTLib.export.source import read_source

    try:
        return read_source(ct)  # reading the CT has told what its headers lack
    except SyntheticCTError:
        progress.warn(
            "The CT is no DICOM series that names its study and frame of reference, so the plan "
            "names no patient, and the patient is taken to lie head first, on the back."
        )
        return None


def _structure_set(path: str) -> str:
    """SOP Instance UID of an RTSTRUCT; "" of other files."""
    header = read_header(Path(path), tags=("SOPInstanceUID",)) if Path(path).is_file() else None
    drawn = header is not None and is_of(header, "RTSTRUCT")
    return str(header.get("SOPInstanceUID") or "") if drawn else ""


def _whole(text: str) -> int:
    return int(number(text, "a whole number from 1 to 100", 1, 100, int))


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
        type=named_file,
        metavar="NAME=GY",
        help="structure and its dose of the whole course; may be given several times",
    )
    sub.add_argument("--output", required=True, metavar="PLAN.dcm", help="the RTPLAN")
    sub.add_argument("--fractions", type=_whole, default=25, help="default 25")
    sub.add_argument("--arcs", type=int, choices=(1, 2, 3), default=2, help="default 2")
    sub.add_argument(
        "--objectives", metavar="TOML", help="of organs, in place of those of EMBRACE II"
    )
    sub.add_argument(
        "--spacing", type=_spacing, default=5.0, metavar="MM", help="of the dose grid; default 5"
    )
