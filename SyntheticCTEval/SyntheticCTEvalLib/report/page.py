"""The report of an evaluation: one HTML file that needs nothing else, and metrics.json."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import SimpleITK as sitk
from SyntheticCTLib.basics.outputs import staged_file
from SyntheticCTLib.volumes.marks import SYNTHETIC_NOTE

from SyntheticCTEvalLib.evaluation.quantities import (
    HIGHER,
    ZERO,
    Quantity,
    flat,
    is_finite,
    printed,
    quantities_of,
)
from SyntheticCTEvalLib.evaluation.results import Evaluation
from SyntheticCTEvalLib.image.similarity import DEFINITIONS
from SyntheticCTEvalLib.pictures import charts, maps, planes, registration

from . import dvh_section

TEMPLATE = "report.html"


@dataclass
class Row:
    """A row of the summary table: one figure of every candidate, ready to be printed."""

    key: str
    label: str
    unit: str
    better: str
    cells: list[str] = field(default_factory=list)
    best: list[bool] = field(default_factory=list)


def write_report(
    evaluation: Evaluation, path: str | os.PathLike, title: str = "Evaluation of synthetic CT"
) -> Path:
    """Write the report as one HTML file with its pictures inside, and return its path.

    Raises:
        SyntheticCTError: ``path`` cannot be written.
    """
    rows = summary_rows(evaluation)
    page = template_environment().get_template(TEMPLATE)
    html = page.render(
        title=title,
        synthetic_note=SYNTHETIC_NOTE,
        colours=charts.candidate_colours(evaluation),
        rows=rows,
        facts=_facts(evaluation),
        notes=list(dict.fromkeys(evaluation.notes)),
        definitions=dict(definitions_of(evaluation, rows)),
        sections=_sections(evaluation),
        dvh_columns=dvh_section.COLUMNS,
        dvh_rows=dvh_section.dvh_rows(evaluation),
    )
    path = Path(path)
    with staged_file(path) as stage:
        stage.write_text(html, encoding="utf-8")
    return path


def template_environment(*folders: Path):
    """Return jinja2's environment for templates in ``folders`` and here: everything is escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader([*folders, Path(__file__).parent]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def summary_rows(evaluation: Evaluation) -> list[Row]:
    """Return the rows of the summary table, the best candidates of each row marked.

    Values that print alike are equally good; nothing is marked where nothing is compared.
    """
    entries = [candidate.metrics for candidate in evaluation.candidates.values()]
    values = [flat(entry) for entry in entries]
    return [
        _row(key, quantity, [own.get(key) for own in values])
        for key, quantity in quantities_of(entries).items()
    ]


def definitions_of(evaluation: Evaluation, rows: list[Row]) -> list[tuple[str, str]]:
    """Return (key, definition) of every figure printed and of everything else defined."""
    keys = list(dict.fromkeys(row.key for row in rows))
    known = DEFINITIONS | evaluation.definitions
    order = dict.fromkeys([*(key for key in keys if key in known), *evaluation.definitions])
    return [(key, known[key]) for key in order]


def _row(key: tuple[str, ...], described: Quantity, values: list[Any]) -> Row:
    digits, better = described.digits, described.better
    row = Row(key[0], described.label, described.unit, better)
    cells = [printed(value, digits) for value in values]
    scores = [
        (abs(float(cell)) if better == ZERO else float(cell) * (-1 if better == HIGHER else 1))
        if is_finite(value)
        else math.inf
        for cell, value in zip(cells, values, strict=True)
    ]
    comparable = better and sum(map(math.isfinite, scores)) > 1
    row.cells = [cell.replace("-", "\N{MINUS SIGN}") for cell in cells]
    row.best = [bool(comparable and score == min(scores)) for score in scores]
    return row


def _facts(evaluation: Evaluation) -> list[tuple[str, str]]:
    """What was evaluated: grids, prescription, criteria."""
    facts = [("True CT", _grid(evaluation.ct))]
    if evaluation.mr is not None:
        facts.append(("MR", _grid(evaluation.mr)))
    if evaluation.dose_ct is not None:
        largest = float(sitk.GetArrayViewFromImage(evaluation.dose_ct).max())
        facts.append(
            ("Dose on the true CT", f"{_grid(evaluation.dose_ct)}, up to {largest:.2f} Gy")
        )
    if evaluation.prescription_gy is not None:
        origin = evaluation.definitions.get("prescription_gy", "")
        facts.append(("Prescription", f"{evaluation.prescription_gy:g} Gy. {origin}".strip()))
    target = planes.target_of(evaluation)
    shown = f"the target ({target[0]})" if target else "the body"
    facts.append(("Pictures cut through", f"the middle of {shown}"))
    return facts + origin_facts(evaluation.origin)


def origin_facts(origin: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return in words what results were made of; nothing where that is not known."""
    if not origin:
        return []
    facts = [("Computed", f"{origin['date'][:10]} by {origin['program']}")]
    for what, found in origin["inputs"].items():
        name = what[:1].upper() + what[1:]
        facts.append((f"{name}, file", f"{found['file']} (SHA-256 {found['sha256'][:16]}…)"))
    return facts


def _grid(image: sitk.Image) -> str:
    size = " × ".join(map(str, image.GetSize()))
    return f"{size} voxels of {' × '.join(f'{s:.3g}' for s in image.GetSpacing())} mm"


def _sections(evaluation: Evaluation) -> list[planes.Picture]:
    cuts = planes.planes_of(evaluation)
    found: list[planes.Picture | None] = [maps.anatomy_picture(evaluation, cuts)]
    if evaluation.candidates:
        found += [maps.difference_picture(evaluation, cuts), charts.error_chart(evaluation)]
        found.append(charts.hu_chart(evaluation))
    found += registration.registration_pictures(evaluation, cuts)
    found += [
        maps.dose_picture(evaluation, cuts),
        maps.dose_difference_picture(evaluation, cuts),
        maps.gamma_picture(evaluation, cuts),
        charts.gamma_chart(evaluation),
        dvh_section.dvh_chart(evaluation),
        charts.mr_chart(evaluation.histograms),
    ]
    return [picture for picture in found if picture is not None]
