"""The report's part on structures: dose-volume histograms as a chart and as a table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from SyntheticCTEvalLib.evaluation.names import shown_names
from SyntheticCTEvalLib.evaluation.quantities import MINUS, describe, printed, signed
from SyntheticCTEvalLib.evaluation.results import Evaluation
from SyntheticCTEvalLib.pictures.charts import LINE_STYLES, candidate_colours
from SyntheticCTEvalLib.pictures.normalisation import normalised
from SyntheticCTEvalLib.pictures.planes import Picture, figure_png, new_figure, short
from SyntheticCTEvalLib.structures.dvh import DIFFERENCE, DIFFERENCE_GY, Dvh
from SyntheticCTEvalLib.structures.dvh_points import told_point
from SyntheticCTEvalLib.structures.target import find_target

from .blocks import Cell, Column, Table

TABLE_CANDIDATES = 3
"""Side by side in one table, so that it is no wider than a page."""

MOST_PANELS = 12
PANELS_A_ROW = 4
ROW_INCH = 2.45
CT_COLOUR = "#BDBDBD"
"""Light and broad, so that lines over it are told from it without colour as well."""


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
    colours, called = candidate_colours(evaluation), shown_names(evaluation)
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
        lines = [axes.plot(*_curve(evaluation.dvh_ct[structure]), color=CT_COLOUR, linewidth=5)]
        names = ["true CT"]
        for n, (name, colour) in enumerate(colours.items()):
            dvh = evaluation.candidates[name].dvh.get(structure)
            if dvh is not None and dvh.doses_gy.size:
                style = LINE_STYLES[(n + 1) % len(LINE_STYLES)]
                lines.append(axes.plot(*_curve(dvh), color=colour, linewidth=1.8, linestyle=style))
                names.append(short(called[name]))
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
        "Part of each structure's volume that receives at least a dose, on the true CT (broad, "
        "grey) and on every candidate over it."
    )
    if left_out > 0:
        caption += f" {left_out} more structures are in the table only."
    return Picture(
        "Dose-volume histograms",
        caption,
        f"Cumulative dose-volume histograms of {', '.join(shown)}.",
        figure_png(figure),
    )


def dvh_tables(evaluation: Evaluation, most: int = TABLE_CANDIDATES) -> list[Table]:
    """Return the points asked for as tables of ``most`` candidates, the target first.

    A row a structure and point; differences as in metrics.json.
    """
    colours = candidate_colours(evaluation)
    names = [name for name in colours if "dvh" in evaluation.candidates[name].metrics]
    structures = _ordered(evaluation, finite=False)
    if not structures:
        return []
    parts = [names[start : start + most] for start in range(0, len(names), most)]
    reference, shown = evaluation.dvh_ct_figures(), evaluation.shown_points()
    points = {structure: (reference[structure], shown[structure]) for structure in structures}
    return [_table(evaluation, points, {n: colours[n] for n in part}) for part in parts]


def _table(
    evaluation: Evaluation,
    points: Mapping[str, tuple[Mapping[str, float], Sequence[str]]],
    colours: Mapping[str, str],
) -> Table:
    """Return the table of some candidates.

    Args:
        points: by structure, its figures on the true CT and the points that are shown.
    """
    called = shown_names(evaluation)
    prescription = f"{evaluation.prescription_gy:.4g} Gy"
    rows: list[list[Cell]] = []
    heads = {}
    for structure, (own, shown) in points.items():
        found = [evaluation.candidates[name].metrics["dvh"][structure] for name in colours]
        heads[len(rows)] = f"{structure}, {own['volume_cm3']:.1f} cm³"
        rows += [_row(structure, point, prescription, own, found) for point in shown]
    columns = [
        Column(Cell("Point"), width=1.6),
        Column(Cell("Unit"), width=0.6),
        Column(Cell("True CT"), number=True),
    ]
    for name, colour in colours.items():
        columns.append(Column(Cell(called[name], colour=colour), number=True, width=1.2))
        columns += [Column(Cell(f"{MINUS} CT{end}"), number=True) for end in ("", ", %")]
    caption = (
        f"Doses and volumes on the true CT and on each candidate. {MINUS} CT: candidate minus true "
        f"CT, in the row's unit, of percents in percentage points; {MINUS} CT, %: differences of "
        f"doses in percent of the {normalised(evaluation)}."
    )
    return Table(caption, columns, rows, "dense", heads=heads)


def _row(
    structure: str,
    point: str,
    prescription: str,
    own: Mapping[str, float],
    found: Sequence[Mapping[str, float]],
) -> list[Cell]:
    unit = describe(("dvh", structure, point)).unit
    is_dose = unit == "Gy"
    digits = 2 if is_dose else 1
    cells = [Cell(told_point(point, prescription)), Cell(unit), Cell(printed(own[point], digits))]
    for figures in found:
        difference = figures[point + (DIFFERENCE_GY if is_dose else DIFFERENCE)]
        percent = signed(figures[point + DIFFERENCE]) if is_dose else ""
        cells += [Cell(printed(figures[point], digits)), Cell(signed(difference, digits))]
        cells.append(Cell(percent))
    return cells


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


def plan_table(evaluation: Evaluation) -> Table | None:
    """Return coverage of the plan that was made for the evaluation; None where none was."""
    if evaluation.planned is None:
        return None
    made = evaluation.planned.table
    points = ("D95", "D98", "D50", "D2", "V95%")
    rows = [
        [
            Cell(name, small="" if own["covered"] else "▲ not covered"),
            *(Cell(printed(own[key], 1)) for key in ("level_gy", *points)),
        ]
        for name, own in made["targets"].items()
    ]
    titles = ["Level in Gy", *(f"{point} in Gy" for point in points[:-1])]
    titles.append(f"{told_point(points[-1], 'level')} in %")
    columns = [Column(Cell("Target"), width=1.5)]
    columns += [Column(Cell(title), number=True) for title in titles]
    caption = (
        f"Plan that was made on the true CT: {made['plan']}. Largest dose "
        f"{made['Dmax_gy']:.1f} Gy, {made['Dmax_percent']:.0f} % of the highest level; "
        f"{made['MU']:.0f} MU a fraction. By the pencil beam, on the grid that was planned on; of "
        "targets, the part in the body."
    )
    return Table(caption, columns, rows)
