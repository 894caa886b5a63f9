"""Bland-Altman plots and paired plots of a cohort's main figures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from SyntheticCTEvalLib.group.outliers import FEWEST, MainFigure, differences_of, fences, outside
from SyntheticCTEvalLib.group.tolerance import Spread, spread_of
from SyntheticCTEvalLib.group.values import CohortValues
from SyntheticCTEvalLib.pictures.planes import Picture, figure_png, new_figure, short

from .charts import style_axes, wrapped
from .panels import PRINT_DPI

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ACROSS = 4
_MOST = 32
_ROW_INCH, _HEIGHT_INCH, _BOTTOM_INCH = 3.3, 2.2, 0.62
_LINE, _GREY = "#333333", "#9A9A9A"


def bland_altman_dose(values: CohortValues, figures: Sequence[MainFigure]) -> Picture | None:
    """Return target doses: candidate minus true CT against the mean of both."""
    panels = [
        (figure, name, figure.mean_gy[name], differences)
        for figure in figures
        if figure.mean_gy is not None
        for name, differences in differences_of(figure, values.baseline)
    ]
    panels = [panel for panel in panels if _enough(panel[2], panel[3])]
    if not panels:
        return None
    drawn = _figure(len(panels))
    for (figure, name, mean, differences), axes in zip(panels, drawn[1], strict=False):
        point = figure.label.removesuffix(" difference")
        _panel(axes, values, name, mean, differences, figure.least, point,
               f"Mean of true CT and {short(name)} in Gy",
               f"{short(name)} minus true CT\nin {figure.unit}")  # fmt: skip
    return Picture(
        "Dose in the target: Bland-Altman plots",
        f"A point a patient. {_LINES}{_left_out(len(panels))}",
        f"Bland-Altman plots of target doses of {', '.join(values.candidates)}.",
        figure_png(drawn[0]),
    )


def bland_altman_candidates(values: CohortValues, figures: Sequence[MainFigure]) -> Picture | None:
    """Return image figures and pass rates: candidate minus baseline against the mean of both."""
    panels = []
    for figure in figures:
        if figure.mean_gy is None:
            for name, differences in differences_of(figure, values.baseline):
                mean = figure.by_candidate[values.baseline] + differences / 2
                if _enough(mean, differences):
                    panels.append((figure, name, mean, differences))
    if not panels:
        return None
    drawn = _figure(len(panels))
    for (figure, name, mean, differences), axes in zip(panels, drawn[1], strict=False):
        unit = f" in {figure.unit}" if figure.unit else ""
        _panel(axes, values, name, mean, differences, figure.least, figure.label,
               f"Mean of both{unit}",
               f"{short(name)} minus {short(values.baseline)}{unit}")  # fmt: skip
    return Picture(
        f"Candidates against {values.baseline}: Bland-Altman plots",
        f"A point a patient. {_LINES}{_left_out(len(panels))}",
        f"Bland-Altman plots of {', '.join(figure.label for figure, *_ in panels)}.",
        figure_png(drawn[0]),
    )


def paired(values: CohortValues, figures: Sequence[MainFigure]) -> Picture | None:
    """Return every main figure with a line a patient between the candidates."""
    if len(values.candidates) < 2:
        return None
    figures = [figure for figure in figures if _shared(figure)]
    if not figures:
        return None
    drawn = _figure(len(figures))
    for figure, axes in zip(figures, drawn[1], strict=False):
        _paired_panel(axes, values, figure)
    return Picture(
        "The main figures, patient by patient",
        "A line a patient; the black bar is the mean. Target doses are candidate minus true CT. "
        "Named are patients outside Tukey's fences (1.5 interquartile ranges beyond the quartiles)."
        f"{_left_out(len(figures))}",
        f"Paired plots of {', '.join(figure.label for figure in figures)}.",
        figure_png(drawn[0]),
    )


_LINES = (
    "Solid line: mean difference; dashed: limits of agreement (mean ± 1.96 SD); shaded: their 95 % "
    "confidence intervals, cut where they leave the panel. Patients outside the limits are named."
)


def _left_out(count: int) -> str:
    if count <= _MOST:
        return ""
    return f" {count - _MOST} more are not shown; their numbers are in the files beside this one."


def _enough(mean: np.ndarray, differences: np.ndarray) -> bool:
    return int((np.isfinite(mean) & np.isfinite(differences)).sum()) > 1


def _shared(figure: MainFigure) -> bool:
    return sum(bool(np.isfinite(a).any()) for a in figure.by_candidate.values()) > 1


def _figure(count: int):
    """Return a figure with axes for ``count`` panels, no more than fit a page or two."""
    count = min(count, _MOST)
    across = min(_ACROSS, count)
    rows = math.ceil(count / across)
    height = _ROW_INCH * rows
    figure = new_figure(height, dpi=PRINT_DPI)
    slot = 0.99 / max(across, 3)  # one or two panels stay as wide as of three
    axes = []
    for index in range(count):
        row, column = divmod(index, across)
        bottom = (_BOTTOM_INCH + _ROW_INCH * (rows - 1 - row)) / height
        place = (0.065 + slot * column, bottom, slot - 0.085, _HEIGHT_INCH / height)
        axes.append(figure.add_axes(place))
    return figure, axes


def _panel(
    axes: Axes,
    values: CohortValues,
    name: str,
    mean: np.ndarray,
    differences: np.ndarray,
    least: float,
    title: str,
    across: str,
    unit: str,
) -> None:
    spread = spread_of(differences)
    span = _limits(axes, spread, differences)
    low, high = spread.limits
    for interval in (spread.lower_limit, spread.upper_limit):
        axes.axhspan(*np.clip(interval, *span), color="#000000", alpha=0.07, linewidth=0)
    axes.axhline(0, color=_GREY, linewidth=0.8)
    axes.axhline(spread.mean, color=_LINE, linewidth=1.3)
    for limit in (low, high):
        axes.axhline(limit, color=_LINE, linewidth=1.1, linestyle=(0, (5, 3)))
    there = np.isfinite(mean) & np.isfinite(differences)
    axes.scatter(mean[there], differences[there], s=22, color=values.colours[name],
                 edgecolors="white", linewidths=0.5, zorder=4)  # fmt: skip
    axes.margins(x=0.12)
    if spread.n >= FEWEST:
        for number in np.flatnonzero(there & outside(differences, low, high, least)):
            _name(axes, values.patients[number], mean[number], differences[number])
    _finish(axes, title, across, unit)


def _limits(axes: Axes, spread: Spread, differences: np.ndarray) -> tuple[float, float]:
    """Set what the panel shows of differences: all points, the limits and a margin."""
    shown = [*differences[np.isfinite(differences)], *spread.limits, 0.0]
    room = 0.12 * (max(shown) - min(shown)) or 1.0
    span = min(shown) - room, max(shown) + room
    axes.set_ylim(*span)
    return span


def _paired_panel(axes: Axes, values: CohortValues, figure: MainFigure) -> None:
    names = list(figure.by_candidate)
    found = np.array([figure.by_candidate[name] for name in names])
    places = np.arange(len(names))
    if figure.ct is not None:
        axes.axhline(0, color=_GREY, linewidth=0.8)
    for patient in range(found.shape[1]):
        axes.plot(places, found[:, patient], color=_GREY, linewidth=0.9, zorder=2)
    for place, (name, row) in enumerate(zip(names, found, strict=True)):
        axes.scatter(np.full(row.size, place), row, s=20, color=values.colours[name],
                     edgecolors="white", linewidths=0.5, zorder=4)  # fmt: skip
        if np.isfinite(row).any():
            axes.hlines(np.nanmean(row), place - 0.2, place + 0.2, color="#000000", linewidth=2.2,
                        zorder=5)  # fmt: skip
        for number in np.flatnonzero(outside(row, *fences(row), figure.least)):
            _name(axes, values.patients[number], place, row[number])
    axes.margins(y=0.1)
    axes.set_xlim(-0.5, len(names) - 0.3)
    _finish(axes, figure.label, "", figure.unit)
    labels = axes.set_xticks(places, ["\n".join(wrapped(short(name, 24), 12)) for name in names])
    for tick in labels:
        tick.label1.set_parse_math(False)
        if len(names) > 3:
            tick.label1.set(rotation=30, ha="right", rotation_mode="anchor")


def _name(axes: Axes, patient: str, x: float, y: float) -> None:
    text = axes.annotate(short(patient, 12), (x, y), xytext=(5, 3), textcoords="offset points",
                         fontsize=8.5, zorder=6)  # fmt: skip
    text.set_parse_math(False)


def _finish(axes: Axes, title: str, across: str, unit: str) -> None:
    heading = axes.set_title("\n".join(wrapped(title, 34)), fontsize=9.5)
    heading.set_parse_math(False)
    style_axes(axes, across)
    axes.xaxis.label.set_fontsize(9)
    axes.set_ylabel(unit, fontsize=9).set_parse_math(False)
    axes.xaxis.label.set_parse_math(False)
    axes.ticklabel_format(axis="y", useOffset=False)
    axes.tick_params(labelsize=8.5)
    axes.grid(axis="y", color="#EDEDED", linewidth=0.6)
    axes.set_axisbelow(True)
