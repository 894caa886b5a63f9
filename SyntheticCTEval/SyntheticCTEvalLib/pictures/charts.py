"""The report's charts: errors, CT numbers and gamma by candidate, MR before and after Nyul."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import SimpleITK as sitk

from SyntheticCTEvalLib.evaluation.mr_histograms import HistogramSet
from SyntheticCTEvalLib.evaluation.names import shown_names
from SyntheticCTEvalLib.evaluation.results import Evaluation

from .maps import FAILS_COLOUR, with_gamma
from .normalisation import reference_dose
from .planes import Picture, figure_png, new_figure, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CANDIDATE_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
"""Okabe and Ito's palette, told apart with any kind of colour vision."""

LINE_STYLES = ("-", "--", "-.", ":")
ERROR_HU = 500
HU_SHOWN = 1600
GAMMA_TOP = 2.0


def candidate_colours(evaluation: Evaluation) -> dict[str, str]:
    """Return one colour a candidate, the same in every chart and table."""
    return colours_of(evaluation.candidates)


def shown_colours(evaluation: Evaluation) -> dict[str, str]:
    """Return the colours by what reports call the candidates."""
    shown = shown_names(evaluation)
    return {shown[name]: colour for name, colour in candidate_colours(evaluation).items()}


def colours_of(candidates: Iterable[str]) -> dict[str, str]:
    """Return one colour a candidate; patient's and cohort's reports give the same order."""
    return dict(zip(candidates, itertools.cycle(CANDIDATE_COLOURS), strict=False))


def error_chart(evaluation: Evaluation) -> Picture:
    """Return the histogram of candidate minus true CT inside the body."""
    figure = new_figure(3.4)
    axes = figure.add_axes((0.07, 0.17, 0.7, 0.76))
    inside = sitk.GetArrayViewFromImage(evaluation.body) != 0
    shown = shown_names(evaluation)
    edges = np.linspace(-ERROR_HU, ERROR_HU, 101)
    for index, (name, colour) in enumerate(candidate_colours(evaluation).items()):
        values = sitk.GetArrayViewFromImage(evaluation.candidates[name].difference)[inside]
        values = values[np.isfinite(values)]
        share = np.histogram(np.clip(values, -ERROR_HU, ERROR_HU), edges)[0] / max(values.size, 1)
        _steps(axes, share, edges, short(shown[name]), colour, index)
    axes.axvline(0, color="#555555", linewidth=0.8)
    axes.set_yscale("log")
    axes.set_xlim(-ERROR_HU, ERROR_HU)
    _label(axes, "Candidate minus true CT in HU", "Voxels in % per 10 HU")
    _legend(axes)
    return Picture(
        "Errors in CT number",
        "Distribution of candidate minus true CT over the voxels inside the body contour of the "
        f"true CT; the outermost bins hold all errors beyond {ERROR_HU} HU. Logarithmic scale.",
        f"Histogram of CT number errors for {', '.join(shown.values())}.",
        figure_png(figure),
    )


def hu_chart(evaluation: Evaluation) -> Picture | None:
    """Return the HU histograms of true CT and candidates; None where none was computed."""
    measured = {
        name: result.metrics["hu_histogram"]
        for name, result in evaluation.candidates.items()
        if "hu_histogram" in result.metrics
    }
    if not measured:
        return None
    shown = shown_names(evaluation)
    figure = new_figure(3.4)
    axes = figure.add_axes((0.07, 0.17, 0.7, 0.76))
    histogram = next(iter(measured.values()))
    edges = np.asarray(histogram["edges_hu"], dtype=float)
    true = np.asarray(histogram["true_ct"]) * 100
    axes.stairs(true, edges, fill=True, color="#BBBBBB", label="true CT")
    for index, (name, colour) in enumerate(candidate_colours(evaluation).items()):
        if name in measured:
            share = np.asarray(measured[name]["candidate"])
            _steps(axes, share, edges, short(shown[name]), colour, index)
    axes.set_yscale("log")
    axes.set_ylim(bottom=1e-3)
    axes.set_xlim(edges[0], HU_SHOWN)
    _label(axes, "CT number in HU", f"Voxels in % per {edges[1] - edges[0]:g} HU")
    _legend(axes)
    return Picture(
        "CT numbers",
        "Histogram of the CT numbers inside the body contour of the true CT, of the true CT and "
        f"of every candidate there, shown to {HU_SHOWN} HU (metrics.json holds all of it). "
        "Logarithmic scale.",
        f"Histogram of CT numbers of the true CT and of {', '.join(map(shown.get, measured))}.",
        figure_png(figure),
    )


def gamma_chart(evaluation: Evaluation) -> Picture | None:
    """Return the histogram of gamma over the evaluated voxels; None without gamma."""
    candidates = with_gamma(evaluation)
    if not candidates:
        return None
    criterion = candidates[0].gamma.criteria.criterion
    figure = new_figure(3.4)
    axes = figure.add_axes((0.07, 0.17, 0.7, 0.76))
    edges = np.linspace(0, GAMMA_TOP, 41)
    shown = shown_names(evaluation)
    colours = candidate_colours(evaluation)
    most = 1
    for index, name in enumerate(colours):
        gamma = evaluation.candidates[name].gamma
        if gamma is None:
            continue
        values = sitk.GetArrayViewFromImage(gamma.gamma)
        values = values[(sitk.GetArrayViewFromImage(gamma.evaluated) != 0) & (values >= 0)]
        most = max(most, values.size)
        share = np.histogram(np.clip(values, 0, GAMMA_TOP), edges)[0] / max(values.size, 1)
        rates = "".join(
            f"\n{rate:.2f} % pass above {cutoff:g} %"
            for cutoff, rate in gamma.pass_rates.items()
            if np.isfinite(rate)
        )
        _steps(axes, share, edges, short(shown[name]) + rates, colours[name], index)
    axes.axvspan(1, GAMMA_TOP, color=FAILS_COLOUR, alpha=0.08, linewidth=0)
    axes.axvline(1, color=FAILS_COLOUR, linewidth=1.2)
    axes.text(1.02, 0.97, "limit 1: above it fails", transform=axes.get_xaxis_transform(),
              va="top", fontsize=9, color=FAILS_COLOUR)  # fmt: skip
    axes.set_xlim(0, GAMMA_TOP)
    axes.set_yscale("log")
    axes.set_ylim(bottom=10 ** np.floor(np.log10(100 / most)))  # a single voxel is seen
    _label(axes, "Gamma", "Voxels in % per 0.05")
    _legend(axes)
    return Picture(
        "Distribution of gamma",
        f"Gamma {criterion.told} over all evaluated voxels, which are those above the lowest "
        f"cutoff; the last bin holds everything from {GAMMA_TOP - 0.05:g} up. Logarithmic scale. "
        "The pass rates are those of the table, their cutoffs in percent "
        f"of {reference_dose(evaluation)[1]}.",
        f"Histogram of gamma for {', '.join(shown[c.name] for c in candidates)}.",
        figure_png(figure),
    )


def mr_chart(histograms: HistogramSet | None) -> Picture | None:
    """Return the MR histograms before and after Nyul normalization (paper, Figure 3)."""
    if histograms is None:
        return None
    figure = new_figure(3.6)
    sides = (
        ("Before Nyul normalization", histograms.raw_edges, histograms.raw),
        ("After Nyul normalization", histograms.normalized_edges, histograms.normalized),
    )
    for column, (title, edges, rows) in enumerate(sides):
        axes = figure.add_axes((0.07 + 0.48 * column, 0.16, 0.43, 0.73))
        edges = np.asarray(edges, dtype=float)
        shares = [np.asarray(row, dtype=float) for row in rows]
        for index, share in enumerate(shares[:-1]):
            label = f"training scans ({len(shares) - 1})" if index == 0 else None
            axes.stairs(share * 100, edges, color="#8C8C8C", alpha=0.6, linewidth=0.7, label=label)
        axes.stairs(shares[-1] * 100, edges, color="#0072B2", linewidth=2, label="this scan")
        # The lowest bins can hold most voxels of a scan and would flatten the rest.
        top = max(float(np.sort(share)[-min(3, share.size)]) for share in shares)
        axes.set_ylim(0, max(top, 1e-6) * 125)
        axes.set_xlim(edges[0], edges[-1])
        axes.set_title(title, fontsize=11)
        _label(axes, "Intensity" if column == 0 else "Intensity on the standard scale",
               "Foreground voxels in % per bin" if column == 0 else "")  # fmt: skip
        axes.legend(fontsize=9, frameon=False, loc="upper right")
    others = len(histograms.raw) - 1
    compared = (
        f"Histograms of the foreground of this scan and of the {others} scans that the model was "
        "trained on. After normalization this scan should lie among the training scans; where it "
        "does not, the synthetic CT is not to be relied on."
        if others
        else "Histograms of the foreground of this scan; those of the training scans are unknown."
    )
    return Picture(
        "MR intensities before and after Nyul normalization",
        compared,
        "MR intensity histograms before and after Nyul normalization, this scan against the "
        "training scans.",
        figure_png(figure),
    )


def _steps(
    axes: Axes, share: np.ndarray, edges: np.ndarray, name: str, colour: str, index: int
) -> None:
    axes.stairs(
        share * 100,
        edges,
        color=colour,
        linewidth=2,
        linestyle=LINE_STYLES[index % len(LINE_STYLES)],
        label=name,
    )


def _label(axes: Axes, x: str, y: str) -> None:
    axes.set_xlabel(x, fontsize=10)
    axes.set_ylabel(y, fontsize=10)
    axes.tick_params(labelsize=9)
    axes.spines[["top", "right"]].set_visible(False)


def _legend(axes: Axes) -> None:
    legend = axes.legend(
        fontsize=9, frameon=False, loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0
    )
    for text in legend.get_texts():
        text.set_parse_math(False)
