"""The charts of an evaluation as MRML nodes: gamma histogram, dose-volume histograms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import SimpleITK as sitk
from SyntheticCTMRML import display
from SyntheticCTMRML.translation import tr as _

if TYPE_CHECKING:
    from SyntheticCTEvalLib.evaluation.results import Evaluation

HISTOGRAM_BIN = 0.05
STRUCTURE = "SyntheticCTEval.Structure"
"""Attribute of a series: the structure whose dose-volume histogram it is."""


def add_gamma_histogram(scene: Any, evaluation: Evaluation) -> Any:
    """Add a chart of the share of evaluated voxels by gamma, one line a candidate."""
    highest = display.GAMMA_WINDOW[1]
    edges = np.arange(0, highest + HISTOGRAM_BIN / 2, HISTOGRAM_BIN)
    columns = {"Gamma": ((edges[:-1] + edges[1:]) / 2).tolist()}
    for name, result in evaluation.candidates.items():
        if result.gamma is not None:
            gamma = sitk.GetArrayViewFromImage(result.gamma.gamma)
            bins = (gamma[gamma >= 0] * (1 / HISTOGRAM_BIN)).astype(np.int32)
            counts = np.bincount(np.minimum(bins, len(edges) - 2), minlength=len(edges) - 1)
            columns[name] = (100 * counts / max(bins.size, 1)).tolist()
    table = display.add_table(scene, "Gamma histogram", columns)
    chart = scene.AddNewNodeByClass("vtkMRMLPlotChartNode", "Gamma histogram")
    for index, name in enumerate(list(columns)[1:]):
        display.add_series(chart, table, f"Gamma {name}", _color(index), x="Gamma", y=name)
    chart.SetTitle(_("Gamma histogram"))
    last = f"{highest - HISTOGRAM_BIN:g}"
    chart.SetXAxisTitle(_("Gamma (last bin: {last} and above)").format(last=last))
    chart.SetYAxisTitle(_("Evaluated voxels (%)"))
    return chart


def add_dvh_chart(scene: Any, evaluation: Evaluation) -> tuple[Any, list[Any]] | None:
    """Add the chart of dose-volume histograms and return it and the series of all structures.

    A colour a structure; the true CT is solid, the candidates are dashed. The chart shows the
    structures that :func:`show_structure` is asked for. None without dose or structures.
    """
    from SyntheticCTEvalLib.report.tables import DOSE, TRUE_CT, dvh_columns

    columns = dvh_columns(evaluation)
    if not columns:
        return None
    table = display.add_table(scene, "Dose-volume histograms", columns)
    chart = scene.AddNewNodeByClass("vtkMRMLPlotChartNode", "Dose-volume histograms")
    every = []
    names = [TRUE_CT, *evaluation.candidates]
    for index, structure in enumerate(evaluation.dvh_ct):
        for number, name in enumerate(names):
            column = f"{structure}, {name}"
            if column in columns:
                series = display.add_series(chart, table, column, _color(index), x=DOSE, y=column)
                styles = (series.LineStyleDash, series.LineStyleDot, series.LineStyleDashDot)
                if number:
                    series.SetLineStyle(styles[(number - 1) % len(styles)])
                series.SetAttribute(STRUCTURE, structure)
                every.append(series)
    chart.SetXAxisTitle(_("Dose (Gy)"))
    chart.SetYAxisTitle(_("Volume (%)"))
    show_structure(chart, every)
    return chart, every


def show_structure(chart: Any, series: list[Any], structure: str = "") -> None:
    """Show one structure's histograms in the chart, all of them when ``structure`` is empty."""
    modified = chart.StartModify()
    chart.RemoveAllPlotSeriesNodeIDs()
    for node in series:
        if structure in ("", node.GetAttribute(STRUCTURE)):
            chart.AddAndObservePlotSeriesNodeID(node.GetID())
    title = _("Dose-volume histograms")
    chart.SetTitle(f"{title}: {structure}" if structure else title)
    chart.EndModify(modified)


def _color(index: int) -> tuple[float, ...]:
    return display.LINE_COLORS[index % len(display.LINE_COLORS)]


def structures_in(series: list[Any]) -> list[str]:
    """Return the structures that histograms are of, in their order."""
    return list(dict.fromkeys(node.GetAttribute(STRUCTURE) for node in series))
