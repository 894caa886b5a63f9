"""The report's part on structures: dose-volume histograms as a chart and as a table."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from SyntheticCTEvalLib.evaluation.results import Evaluation
from SyntheticCTEvalLib.pictures.charts import LINE_STYLES, candidate_colours
from SyntheticCTEvalLib.pictures.normalisation import normalised
from SyntheticCTEvalLib.pictures.planes import Picture, figure_png, new_figure, short
from SyntheticCTEvalLib.structures.dvh import DIFFERENCE, Dvh
from SyntheticCTEvalLib.structures.target import find_target

from .blocks import Cell, Column, Table

COLUMNS = ("D98", "D95", "D50", "D2", "Dmean", "V95%")
MOST_PANELS = 12
PANELS_A_ROW = 4
ROW_INCH = 2.45
CT_COLOUR = "#1A1A1A"


@dataclass
class DvhRow:
    """A row of the table: one dose in one structure; differences are empty for the true CT."""

    structure: str
    volume: str
    name: str
    colour: str
    values: list[str]
    differences: list[str]


def dvh_chart(evaluation: Evaluation) -> Picture | None:
    """Return a panel a structure, the target first; None without dose or structures."""
    shown = _ordered(evaluation)
    if not shown:
        return None
    left_out = len(shown) - MOST_PANELS
    shown = shown[:MOST_PANELS]
    rows = math.ceil(len(shown) / PANELS_A_ROW)
    height = ROW_INCH * rows + 0.35
    figure = new_figure(height)
    colours = candidate_colours(evaluation)
    top = 1.05 * max(evaluation.dvh_ct[name].max_gy for name in shown)
    for index, structure in enumerate(shown):
        row, column = divmod(index, PANELS_A_ROW)
        axes = figure.add_axes(
            (
                0.055 + 0.24 * column,
                (0.5 + ROW_INCH * (rows - 1 - row)) / height,
                0.205,
                1.65 / height,
            )
        )
        lines = [axes.plot(*_curve(evaluation.dvh_ct[structure]), color=CT_COLOUR, linewidth=2.6)]
        names = ["true CT"]
        for n, (name, colour) in enumerate(colours.items()):
            dvh = evaluation.candidates[name].dvh.get(structure)
            if dvh is not None and dvh.doses_gy.size:
                style = LINE_STYLES[(n + 1) % len(LINE_STYLES)]
                lines.append(axes.plot(*_curve(dvh), color=colour, linewidth=1.8, linestyle=style))
                names.append(short(name))
        axes.set_title(short(structure), fontsize=10).set_parse_math(False)
        axes.set_xlim(0, top)
        axes.set_ylim(0, 103)
        axes.set_xlabel("Dose in Gy", fontsize=9)
        if column == 0:
            axes.set_ylabel("Volume in %", fontsize=9)
        axes.tick_params(labelsize=8)
        axes.grid(color="#E3E3E3", linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
    handles = [line for (line,) in lines]
    legend = figure.legend(
        handles, names, loc="upper left", ncols=len(names), fontsize=9, frameon=False,
        bbox_to_anchor=(0.04, 1.0),
    )  # fmt: skip
    for text in legend.get_texts():
        text.set_parse_math(False)
    caption = (
        "Part of each structure's volume that receives at least a dose, on the true CT (black) and "
        "on every candidate."
    )
    if left_out > 0:
        caption += f" {left_out} more structures are in the table only."
    return Picture(
        "Dose-volume histograms",
        caption,
        f"Cumulative dose-volume histograms of {', '.join(shown)}.",
        figure_png(figure),
    )


def dvh_rows(evaluation: Evaluation) -> list[DvhRow]:
    """Return the table's rows, the target first; differences as in metrics.json."""
    rows = []
    colours = candidate_colours(evaluation)
    reference = evaluation.metrics()["dvh_ct"]
    for structure in _ordered(evaluation, finite=False):
        own = reference[structure]
        rows.append(
            DvhRow(structure, f"{own['volume_cm3']:.1f}", "true CT", CT_COLOUR, _values(own), [])
        )
        for name, candidate in evaluation.candidates.items():
            found = candidate.metrics.get("dvh", {}).get(structure)
            if found is not None:
                differences = [_signed(found[key + DIFFERENCE]) for key in COLUMNS]
                rows.append(DvhRow(structure, "", name, colours[name], _values(found), differences))
    return rows


def _ordered(evaluation: Evaluation, finite: bool = True) -> list[str]:
    """Structures with a histogram on the true CT, the target first."""
    names = [n for n, dvh in evaluation.dvh_ct.items() if dvh.doses_gy.size or not finite]
    target = find_target(evaluation.structures, evaluation.target)
    return sorted(names, key=lambda name: name != target)


def _curve(dvh: Dvh) -> tuple[np.ndarray, np.ndarray]:
    """Doses (Gy) and the percent of the volume that receives at least each."""
    percents = np.linspace(100, 0, 401)
    doses = np.interp(percents, dvh.volumes_percent, dvh.doses_gy)
    return np.array([0, *doses, dvh.max_gy]), np.array([100, *percents, 0])


def _values(figures: dict[str, float]) -> list[str]:
    return [_number(figures[key], 1 if key.startswith("V") else 2) for key in COLUMNS]


def _number(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if math.isfinite(value) else "n/a"


def _signed(value: float) -> str:
    if not math.isfinite(value):
        return "n/a"
    text = f"{value:+.2f}"
    return "0.00" if text in ("+0.00", "-0.00") else text.replace("-", "\N{MINUS SIGN}")


def dvh_table(evaluation: Evaluation) -> Table | None:
    """Return the dose-volume figures of every structure; None where there are none."""
    found = dvh_rows(evaluation)
    if not found:
        return None
    rows, groups = [], set()
    for row in found:
        if not row.differences:
            groups.add(len(rows))
        name = row.structure if not row.differences else ""
        cells = [Cell(name), Cell(row.volume), Cell(row.name, colour=row.colour)]
        differences = [f"({d})" for d in row.differences] or [""] * len(row.values)
        cells += [Cell(v, small=d) for v, d in zip(row.values, differences, strict=True)]
        rows.append(cells)
    columns = [Column(Cell("Structure"), width=1.6), Column(Cell("cm³"), number=True, width=0.8)]
    columns.append(Column(Cell("Dose on"), width=1.3))
    columns += [Column(Cell(name), number=True, width=1.3) for name in COLUMNS]
    caption = (
        "Doses in Gy, volumes in percent of the structure. In brackets: candidate minus true CT, "
        f"doses in percent of the {normalised(evaluation)}, volumes in percentage points."
    )
    return Table(caption, columns, rows, "dense", groups - {0})
