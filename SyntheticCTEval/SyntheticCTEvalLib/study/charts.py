"""Charts of a cohort: MR histograms (paper, Figure 3), box plots, dose-volume differences."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from SyntheticCTEvalLib.cohort.records import CohortPictures
from SyntheticCTEvalLib.evaluation.quantities import HIGHER, LOWER, describe
from SyntheticCTEvalLib.group.agreement import MAIN_POINTS
from SyntheticCTEvalLib.group.comparison import CONFIRMATORY, CohortComparison, printed_p
from SyntheticCTEvalLib.group.values import TABLES, CohortValues, Key
from SyntheticCTEvalLib.pictures.planes import Picture, figure_png, new_figure, short
from SyntheticCTEvalLib.structures.dvh import DIFFERENCE

from .panels import PRINT_DPI

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_STRUCTURES = 8
_GREY, _MEAN = "#8C8C8C", "#0072B2"
_ACROSS = 4


def figure3(pictures: Mapping[str, CohortPictures]) -> Picture | None:
    """Return the MR histograms of all patients before and after Nyul (paper, Figure 3)."""
    shown = [found for found in pictures.values() if found.raw.size and found.normalized.size]
    if not shown:
        return None
    figure = new_figure(4.0, dpi=PRINT_DPI)
    sides = (
        ("Before Nyul normalization", "Intensity as acquired", "raw"),
        ("After Nyul normalization", "Intensity on the standard scale", "normalized"),
    )
    overlaps, cuts = [], []
    for column, (title, label, name) in enumerate(sides):
        edges, shares = _on_one_scale(
            [(getattr(p, f"{name}_edges"), getattr(p, name)) for p in shown]
        )
        axes = figure.add_axes((0.065 + 0.49 * column, 0.17, 0.425, 0.71))
        for index, share in enumerate(shares):
            axes.stairs(share * 100, edges, color=_GREY, alpha=0.75, linewidth=0.9,
                        label=f"each patient ({len(shares)})" if index == 0 else None)  # fmt: skip
        axes.stairs(shares.mean(axis=0) * 100, edges, color=_MEAN, linewidth=2.2, label="mean")
        top, cut = _top(shares)
        cuts.append(cut)
        axes.set_ylim(0, top * 105)
        axes.set_xlim(edges[0], edges[-1])
        axes.set_title(title, fontsize=12)
        axes.set_ylabel("Foreground voxels in % per bin" if column == 0 else "", fontsize=10)
        style_axes(axes, label)
        overlaps.append(_overlap(shares))
        if len(shares) > 1:
            axes.text(0.98, 0.72, f"overlap of pairs {overlaps[-1]:.0f} %", ha="right",
                      transform=axes.transAxes, fontsize=10)  # fmt: skip
        axes.legend(fontsize=10, frameon=False, loc="upper right")
    caption = (
        f"Histograms of the foreground of {len(shown)} MR scans before and after Nyul "
        "normalization onto the model's standard scale."
    )
    if len(shown) > 1:
        caption += (
            " Overlap of pairs: the part of the voxels that two scans' histograms share, mean over "
            f"all pairs of scans: {overlaps[0]:.0f} % before, {overlaps[1]:.0f} % after."
        )
    if any(cuts):
        caption += " Bins that reach beyond the axis hold most voxels of a scan."
    return Picture(
        "Figure 3. MR intensities before and after Nyul normalization",
        caption,
        f"MR intensity histograms of {len(shown)} patients before and after Nyul normalization.",
        figure_png(figure),
    )


def box_plots(values: CohortValues, comparisons: Sequence[CohortComparison]) -> Picture | None:
    """Return a panel for each figure of the tables: a box a candidate, a point a patient."""
    keys = [key for number in TABLES for key in values.table_keys(number)]
    keys = [
        key for key in keys if any(np.isfinite(values.of(c, key)).any() for c in values.candidates)
    ]
    if not keys:
        return None
    tests = {(t.key, t.candidate): t for t in comparisons if t.family == CONFIRMATORY}
    rows = math.ceil(len(keys) / _ACROSS)
    slot = int(24 / len(values.candidates))
    turned = any(len(name) > slot for name in values.candidates)
    row_inch, bottom = (4.0, 0.95) if turned else (3.45, 0.4)
    height = row_inch * rows
    figure = new_figure(height, dpi=PRINT_DPI)
    for index, key in enumerate(keys):
        row, column = divmod(index, _ACROSS)
        axes = figure.add_axes(
            (
                0.062 + 0.2475 * column,
                (bottom + row_inch * (rows - 1 - row)) / height,
                0.18,
                2.3 / height,
            )
        )
        _paired_boxes(axes, values, key, turned)
        quantity = describe(key)
        title = axes.set_title("\n".join(wrapped(values.label(key))), fontsize=10.5, pad=20)
        title.set_parse_math(False)
        found = [tests[key, c] for c in values.candidates if (key, c) in tests]
        if len(found) == 1:
            axes.text(0.5, 1.02, _said(found[0]), ha="center", transform=axes.transAxes,
                      fontsize=9, color="#333333")  # fmt: skip
        elif found:
            _write_above_boxes(axes, values, found)
        arrow = {HIGHER: "↑", LOWER: "↓"}.get(quantity.better, "")
        unit = f"{quantity.unit}   " if quantity.unit else ""
        axes.set_ylabel(f"{unit}{arrow} {quantity.better}", fontsize=8.5, color="#444444")
    return Picture(
        "Box plots of the figures of Tables 1 to 3",
        "Boxes: quartiles and median; whiskers: to the farthest value within 1.5 interquartile "
        "ranges. Every patient is a point, and grey lines join a patient's points."
        + (
            f" p: against {values.baseline}, corrected by Holm over the figures of Tables 1 to 3."
            if tests
            else ""
        ),
        f"Box plots of {', '.join(values.label(key) for key in keys)} by candidate.",
        figure_png(figure),
    )


def dvh_differences(values: CohortValues) -> Picture | None:
    """Return a panel a structure with the dose differences to the true CT of every candidate."""
    keys = [
        k for k in values.keys if k[0] == "dvh" and k[2].removesuffix(DIFFERENCE) in MAIN_POINTS
    ]
    keys = [k for k in keys if k[2].endswith(DIFFERENCE)]
    structures = list(dict.fromkeys(key[1] for key in keys))
    if not structures:
        return None
    left_out = len(structures) - MOST_STRUCTURES
    structures = structures[:MOST_STRUCTURES]
    across = min(2, len(structures))
    rows = math.ceil(len(structures) / across)
    height = 2.75 * rows + 0.4
    figure = new_figure(height, dpi=PRINT_DPI)
    width = 0.92 / across - 0.06
    for index, structure in enumerate(structures):
        row, column = divmod(index, across)
        axes = figure.add_axes(
            (0.07 + column * (0.92 / across), (0.4 + 2.75 * (rows - 1 - row)) / height,
             width, 2.0 / height)
        )  # fmt: skip
        _dvh_boxes(axes, values, structure)
        axes.set_title(short(structure, 40), fontsize=11).set_parse_math(False)
        if column == 0:
            axes.set_ylabel("Difference in %\nof the prescription", fontsize=10)
    handles = [_patch(values.colours[name], name) for name in values.candidates]
    legend = figure.legend(handles=handles, loc="upper left", ncols=len(handles), fontsize=10,
                           frameon=False, bbox_to_anchor=(0.06, 1.0))  # fmt: skip
    for text in legend.get_texts():
        text.set_parse_math(False)
    caption = (
        "Dose on the candidate minus dose on the true CT in percent of the prescription, a point a "
        "patient; boxes as above."
    )
    if left_out > 0:
        caption += f" {left_out} more structures are in all_figures.csv only."
    return Picture(
        "Dose-volume differences to the true CT",
        caption,
        f"Box plots of dose differences in {', '.join(structures)} by candidate.",
        figure_png(figure),
    )


def _paired_boxes(axes: Axes, values: CohortValues, key: Key, turned: bool) -> None:
    found = np.array([values.of(name, key) for name in values.candidates])
    places = np.arange(len(found))
    for patient in range(found.shape[1]):
        axes.plot(places, found[:, patient], color="#9A9A9A", linewidth=0.8, zorder=2)
    for place, (name, row) in enumerate(zip(values.candidates, found, strict=True)):
        _box(axes, row, place, 0.5, values.colours[name], 18)
    axes.set_xlim(-0.6, len(found) - 0.4)
    axes.set_xticks(places, [short(name, 18) for name in values.candidates])
    style_axes(axes, "")
    for text in axes.get_xticklabels():
        text.set_parse_math(False)
        if turned:
            text.set(rotation=35, ha="right", rotation_mode="anchor", fontsize=8)
    axes.ticklabel_format(axis="y", useOffset=False)
    axes.grid(axis="y", color="#E3E3E3", linewidth=0.6)
    axes.set_axisbelow(True)


def _dvh_boxes(axes: Axes, values: CohortValues, structure: str) -> None:
    count = len(values.candidates)
    width = 0.72 / count
    for group, figure in enumerate(MAIN_POINTS):
        for number, name in enumerate(values.candidates):
            row = values.of(name, ("dvh", structure, figure + DIFFERENCE))
            place = group + (number - (count - 1) / 2) * width
            _box(axes, row, place, width * 0.8, values.colours[name], 9)
    axes.axhline(0, color="#333333", linewidth=0.9, zorder=1)
    axes.margins(y=0.1)
    axes.set_xlim(-0.6, len(MAIN_POINTS) - 0.4)
    axes.set_xticks(range(len(MAIN_POINTS)), MAIN_POINTS)
    style_axes(axes, "")
    axes.grid(axis="y", color="#E3E3E3", linewidth=0.6)
    axes.set_axisbelow(True)


def _box(axes: Axes, row: np.ndarray, place: float, width: float, colour: str, size: float) -> None:
    row = row[np.isfinite(row)]
    if not row.size:
        return
    line = {"color": colour, "linewidth": 1.5}
    axes.boxplot(
        [row],
        positions=[place],
        widths=width,
        showfliers=False,
        patch_artist=True,
        boxprops={"facecolor": (*_rgb(colour), 0.22), "edgecolor": colour, "linewidth": 1.5},
        medianprops=line | {"linewidth": 2.4},
        whiskerprops=line,
        capprops=line,
        manage_ticks=False,
        zorder=3,
    )
    # Spread by number, not by chance: the figure is the same every time.
    spread = (np.modf((np.arange(row.size) + 1) * 0.618)[0] - 0.5) * width * 0.3
    axes.scatter(place + (spread if width < 0.4 else 0 * spread), row, s=size, color=colour,
                 edgecolors="white", linewidths=0.5, zorder=4)  # fmt: skip


def _said(test: CohortComparison) -> str:
    if test.result is None:
        return "no test (n < 3)"
    p = printed_p(test.holm_p)
    return f"p {p}, n = {test.result.n}" if p[0] in "<>" else f"p = {p}, n = {test.result.n}"


def _write_above_boxes(axes: Axes, values: CohortValues, tests: Sequence[CohortComparison]) -> None:
    texts = {t.candidate: printed_p(t.holm_p) for t in tests} | {values.baseline: "p:"}
    for place, name in enumerate(values.candidates):
        axes.text(place, 1.02, texts[name], ha="center", fontsize=8, color="#333333",
                  transform=axes.get_xaxis_transform())  # fmt: skip


def _on_one_scale(
    histograms: list[tuple[np.ndarray, np.ndarray]],
) -> tuple[np.ndarray, np.ndarray]:
    """Return common edges and every histogram (fractions) in their bins, one row each."""
    largest = max(float(edges[-1]) for edges, _ in histograms)
    lowest = min(float(edges[0]) for edges, _ in histograms)
    bins = min(fractions.size for _, fractions in histograms)
    edges = np.linspace(lowest, largest, bins + 1)
    rows = []
    for own, fractions in histograms:
        cumulative = np.concatenate([[0.0], np.cumsum(fractions)])
        rows.append(np.diff(np.interp(edges, own, cumulative)))
    return edges, np.array(rows)


def _top(shares: np.ndarray) -> tuple[float, bool]:
    """Return the largest fraction to be shown, and whether larger ones are cut off.

    Bins of air or of saturation can hold most voxels of a scan and would flatten the rest.
    """
    largest = float(shares.max())
    usual = max(float(np.sort(share)[-min(3, share.size)]) for share in shares)
    return (usual * 1.2, True) if largest > 3 * usual > 0 else (largest or 1.0, False)


def _overlap(shares: np.ndarray) -> float:
    """Percent of the voxels that two histograms share, mean over all pairs; NaN for one."""
    found = [np.minimum(shares[a], shares[b]).sum() for a in range(len(shares)) for b in range(a)]
    return 100 * float(np.mean(found)) if found else math.nan


def style_axes(axes: Axes, label: str) -> None:
    """Give axes the look that all charts of the study share."""
    axes.set_xlabel(label, fontsize=10)
    axes.tick_params(labelsize=9)
    axes.spines[["top", "right"]].set_visible(False)


def wrapped(text: str, width: int = 28) -> list[str]:
    """Return the lines of a title of at most ``width`` letters."""
    # A number stays with its unit.
    text = text.replace(" %", "\N{NO-BREAK SPACE}%").replace(" Gy", "\N{NO-BREAK SPACE}Gy")
    return textwrap.wrap(text, width, break_on_hyphens=False)


def _rgb(colour: str) -> tuple[float, ...]:
    from matplotlib.colors import to_rgb

    return to_rgb(colour)


def _patch(colour: str, name: str):
    from matplotlib.patches import Patch

    return Patch(
        facecolor=(*_rgb(colour), 0.22), edgecolor=colour, linewidth=1.5, label=short(name)
    )
