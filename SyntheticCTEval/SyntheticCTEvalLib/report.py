"""The report of an evaluation: one HTML file that needs nothing else, and metrics.json."""

from __future__ import annotations

import csv
import json
import math
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import SimpleITK as sitk
from SyntheticCTLib.outputs import staged_file
from SyntheticCTLib.volumes import SYNTHETIC_NOTE

from . import charts, dvh_report, pictures, planes
from .results import Evaluation
from .similarity import DEFINITIONS, TISSUES

TEMPLATE = "report.html"
LOWER, HIGHER, ZERO = "lower is better", "higher is better", "nearer to 0 is better"

_FIGURES: tuple[tuple[str, str, str, int, str], ...] = (
    ("mae_body", "MAE in the body", "HU", 1, LOWER),
    ("mae_image", "MAE of the whole image", "HU", 1, LOWER),
    ("me_body", "Mean error in the body", "HU", 1, ZERO),
    ("me_image", "Mean error of the whole image", "HU", 1, ZERO),
    ("rmse_body", "RMSE in the body", "HU", 1, LOWER),
    ("rmse_image", "RMSE of the whole image", "HU", 1, LOWER),
    ("psnr", "PSNR in the body", "dB", 2, HIGHER),
    ("psnr_image", "PSNR of the whole image", "dB", 2, HIGHER),
    ("ssim", "SSIM of the whole image", "", 4, HIGHER),
    ("ssim_body", "SSIM in the body", "", 4, HIGHER),
    ("ssim_3d", "SSIM in 3D of the whole image", "", 4, HIGHER),
    ("ssim_3d_body", "SSIM in 3D in the body", "", 4, HIGHER),
    ("ms_ssim", "MS-SSIM of the whole image", "", 4, HIGHER),
    ("ms_ssim_body", "MS-SSIM in the body", "", 4, HIGHER),
    ("dsc_body", "Dice of the body contour", "", 4, HIGHER),
    ("hd95_body", "95 % Hausdorff distance of the body contour", "mm", 1, LOWER),
    ("dsc_bone", "Dice of the bones", "", 4, HIGHER),
    ("msd_bone", "Mean surface distance of the bones", "mm", 2, LOWER),
    ("hd95_bone", "95 % Hausdorff distance of the bones", "mm", 1, LOWER),
    ("tissue_mae", "MAE in", "HU", 1, LOWER),
    ("gpr", "Gamma pass rate", "%", 2, HIGHER),
    ("coverage_body_percent", "Part of the body that was compared", "%", 1, ""),
)
_TISSUE_NAMES = {
    "air": "gas",
    "fat": "fat",
    "soft": "soft tissue",
    "spongy": "spongy bone",
    "compact": "compact bone",
}


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
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    rows = summary_rows(evaluation)
    html = environment.get_template(TEMPLATE).render(
        title=title,
        synthetic_note=SYNTHETIC_NOTE,
        colours=charts.candidate_colours(evaluation),
        rows=rows,
        facts=_facts(evaluation),
        notes=list(dict.fromkeys(evaluation.notes)),
        definitions=dict(definitions_of(evaluation, rows)),
        sections=_sections(evaluation),
        dvh_columns=dvh_report.COLUMNS,
        dvh_rows=dvh_report.dvh_rows(evaluation),
    )
    path = Path(path)
    with staged_file(path) as stage:
        stage.write_text(html, encoding="utf-8")
    return path


def write_metrics(evaluation: Evaluation, path: str | os.PathLike) -> Path:
    """Write metrics.json and return its path; figures that do not exist are null.

    Raises:
        SyntheticCTError: ``path`` cannot be written.
    """
    path = Path(path)
    text = json.dumps(_finite(evaluation.metrics()), indent=2, ensure_ascii=False, allow_nan=False)
    with staged_file(path) as stage:
        stage.write_text(text + "\n", encoding="utf-8")
    return path


def write_metrics_csv(evaluation: Evaluation, path: str | os.PathLike) -> Path:
    """Write the figures as a table, one row a candidate and figure, and return its path.

    Raises:
        SyntheticCTError: ``path`` cannot be written.
    """
    path = Path(path)
    with staged_file(path) as stage, stage.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["candidate", "metric", "value"])
        for name, candidate in evaluation.candidates.items():
            for (key, part), value in _flat(candidate.metrics).items():
                if isinstance(value, dict):
                    for inner, number in _finite(value).items():
                        empty = number is None
                        writer.writerow([name, f"{key}.{part}.{inner}", "" if empty else number])
                    continue
                if isinstance(value, list | tuple):
                    continue  # histograms are in metrics.json
                exists = not isinstance(value, float) or math.isfinite(value)
                writer.writerow([name, f"{key}.{part}" if part else key, value if exists else ""])
    return path


def summary_rows(evaluation: Evaluation) -> list[Row]:
    """Return the rows of the summary table, the best candidates of each row marked.

    Values that print alike are equally good; nothing is marked where nothing is compared.
    """
    values = [_flat(candidate.metrics) for candidate in evaluation.candidates.values()]
    present = list(dict.fromkeys(key for metrics in values for key in metrics))
    known = [figure[0] for figure in _FIGURES]
    tissues = list(TISSUES)
    order = sorted(
        present,
        key=lambda key: (
            known.index(key[0]) if key[0] in known else len(known),
            tissues.index(key[1]) if key[1] in tissues else 0,
        ),
    )
    rows = []
    for key in order:
        found = [metrics.get(key) for metrics in values]
        if not any(isinstance(v, int | float) and not isinstance(v, bool) for v in found):
            continue
        rows.append(_row(key, found))
    return rows


def definitions_of(evaluation: Evaluation, rows: list[Row]) -> list[tuple[str, str]]:
    """Return (key, definition) of every figure printed and of everything else defined."""
    keys = list(dict.fromkeys(row.key for row in rows))
    known = DEFINITIONS | evaluation.definitions
    order = dict.fromkeys([*(key for key in keys if key in known), *evaluation.definitions])
    return [(key, known[key]) for key in order]


def _row(key: tuple[str, str], values: list[Any]) -> Row:
    name, part = key
    label, unit, digits, better = name.replace("_", " "), "", 3, ""
    for figure, *described in _FIGURES:
        if figure == name:
            label, unit, digits, better = described
    if name == "tissue_mae":
        label = f"{label} {_TISSUE_NAMES.get(part, part)}"
    elif name == "gpr":
        label = f"{label}, dose above {part} %"
    elif part:
        label = f"{label}, {part}"
    row = Row(name, label, unit, better)
    cells = [_number(value, digits) for value in values]
    scores = [
        (abs(float(cell)) if better == ZERO else float(cell) * (-1 if better == HIGHER else 1))
        if _is_finite(value)
        else math.inf
        for cell, value in zip(cells, values, strict=True)
    ]
    comparable = better and sum(map(math.isfinite, scores)) > 1
    row.cells = [cell.replace("-", "\N{MINUS SIGN}") for cell in cells]
    row.best = [bool(comparable and score == min(scores)) for score in scores]
    return row


def _number(value: Any, digits: int) -> str:
    if isinstance(value, float) and value == math.inf:
        return "∞"
    return f"{value:.{digits}f}" if _is_finite(value) else "n/a"


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _flat(metrics: dict[str, Any]) -> dict[tuple[str, str], Any]:
    """Figures by (key, part); part is "" but for figures that hold several."""
    flat: dict[tuple[str, str], Any] = {}
    for key, value in metrics.items():
        if isinstance(value, dict):
            flat |= {(key, str(part)): inner for part, inner in value.items()}
        else:
            flat[key, ""] = value
    return flat


def _finite(value: Any) -> Any:
    """Return ``value`` with None for NaN and infinity, which JSON does not have."""
    if isinstance(value, dict):
        return {str(key): _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


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
        facts.append(("Prescription", f"{evaluation.prescription_gy:g} Gy"))
    target = planes.target_of(evaluation)
    shown = f"the target ({target[0]})" if target else "the body"
    facts.append(("Pictures cut through", f"the middle of {shown}"))
    return facts


def _grid(image: sitk.Image) -> str:
    size = " × ".join(map(str, image.GetSize()))
    return f"{size} voxels of {' × '.join(f'{s:.3g}' for s in image.GetSpacing())} mm"


def _sections(evaluation: Evaluation) -> list[planes.Picture]:
    cuts = planes.planes_of(evaluation)
    found: list[planes.Picture | None] = [pictures.anatomy_picture(evaluation, cuts)]
    if evaluation.candidates:
        found += [pictures.difference_picture(evaluation, cuts), charts.error_chart(evaluation)]
        found.append(charts.hu_chart(evaluation))
    found += [
        pictures.dose_picture(evaluation, cuts),
        pictures.dose_difference_picture(evaluation, cuts),
        pictures.gamma_picture(evaluation, cuts),
        charts.gamma_chart(evaluation),
        dvh_report.dvh_chart(evaluation),
        charts.mr_chart(evaluation.histograms),
    ]
    return [picture for picture in found if picture is not None]
