"""Charts of histograms and of a training, as nodes of Slicer's Plots module."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import vtk
from slicer.i18n import tr as _

from .display import LINE_COLORS, add_series, add_table, added_together, nodes_of_class
from .hierarchy import add_folder, place_of, put, remove, results_of
from .views import fit_charts

TRAINING = "SyntheticCT.Training"
"""Attribute of the chart of a training: the folder of its model."""
GREY = (0.6, 0.6, 0.6)
ROLES = ("SyntheticCT.HistogramBefore", "SyntheticCT.HistogramAfter")
"""References of a normalized MR to the charts of its histograms."""


def add_histogram_charts(
    normalized: Any, name: str, histograms: Mapping[str, Any]
) -> tuple[Any, Any]:
    """Add the histograms of an MR before and after Nyul among its model's training scans.

    Args:
        normalized: volume node of the normalized MR, which keeps references to the charts;
            those that it had are removed.
        name: of the MR.
        histograms: raw_edges, raw, normalized_edges, normalized; the MR is the last of each
            list of histograms (fractions of the foreground's voxels).

    Returns:
        The plot chart nodes before and after.
    """
    titles = {
        "raw": (_("Before Nyul normalization"), _("Intensity")),
        "normalized": (_("After Nyul normalization"), _("Intensity on the standard scale")),
    }
    scene = normalized.GetScene()
    with added_together(scene):
        for chart in histogram_charts(normalized):
            remove(scene, chart_nodes(chart))
        charts = []
        for key, (title, axis) in titles.items():
            edges = histograms[f"{key}_edges"]
            middle = [(low + high) / 2 for low, high in itertools.pairwise(edges)]
            *others, own = [[100 * share for share in one] for one in histograms[key]]
            chart = scene.AddNewNodeByClass("vtkMRMLPlotChartNode", f"{title}: {name}")
            if others:
                legend = _("{count} training scans").format(count=len(others))
                table = add_table(scene, f"{title}: {legend}", _in_one_line(middle, others))
                add_series(chart, table, legend, GREY, 1)
            table = add_table(scene, f"{title}: {name}", {"x": middle, "y": own})
            add_series(chart, table, name, LINE_COLORS[1], 3)
            chart.SetTitle(title)
            chart.SetXAxisTitle(axis)
            chart.SetYAxisTitle(_("Voxels of the foreground (%)"))
            charts.append(chart)
    title = _("Histograms of {name}").format(name=name)
    folder = add_folder(scene, place_of(scene, normalized), title)
    put(scene, folder, [node for chart in charts for node in chart_nodes(chart)])
    for role, chart in zip(ROLES, charts, strict=True):
        normalized.SetNodeReferenceID(role, chart.GetID())
    return charts[0], charts[1]


def histogram_charts(normalized: Any) -> list[Any]:
    """Return the charts of a normalized MR, before and after Nyul; empty where it has none."""
    charts = [normalized.GetNodeReference(role) for role in ROLES]
    return charts if None not in charts else []


class LossChart:
    """The losses of a training by epoch: a chart that grows while it runs.

    Attributes:
        chart: the plot chart node.
        table: the table node: epoch, L1 loss (HU), adversarial, discriminator, validation MAE.
    """

    COLUMNS = ("epoch", "l1_hu", "adversarial", "discriminator", "validation_mae_hu")

    def __init__(self, scene: Any, folder: Path, resume: bool = False) -> None:
        """Make the chart of the training of a model's folder.

        Args:
            resume: take the chart and the table that the training has in the scene, emptied.
        """
        self._validation = _("on validation patients")
        if resume and self._take(scene, folder):
            return
        name = folder.name
        with added_together(scene):
            self.table = add_table(
                scene,
                scene.GenerateUniqueName(_("Losses of {name}").format(name=name)),
                {column: [] for column in self.COLUMNS},
            )
            self.chart = scene.AddNewNodeByClass(
                "vtkMRMLPlotChartNode",
                scene.GenerateUniqueName(_("Training of {name}").format(name=name)),
            )
            self.chart.SetAttribute(TRAINING, str(folder.absolute()))
            self._add_line("l1_hu", _("in training"), LINE_COLORS[0])
            self.chart.SetTitle(self.chart.GetName())
            self.chart.SetXAxisTitle(_("Epoch"))
            self.chart.SetYAxisTitle(_("Mean absolute error (HU)"))
        put(
            scene,
            add_folder(scene, place_of(scene, None), self.chart.GetName()),
            chart_nodes(self.chart),
        )

    def _take(self, scene: Any, folder: Path) -> bool:
        for chart in reversed(nodes_of_class(scene, "vtkMRMLPlotChartNode")):
            if chart.GetAttribute(TRAINING) == str(folder.absolute()):
                series = chart.GetNthPlotSeriesNode(0)
                self.chart, self.table = chart, series and series.GetTableNode()
                if self.table is not None:
                    self.table.GetTable().SetNumberOfRows(0)
                    return True
        return False

    def show(self, epoch: int, losses: Mapping[str, float]) -> None:
        """Set what is known of an epoch (1, 2, ...) so far."""
        if self.table.GetScene() is None or self.chart.GetScene() is None:
            return  # removed; the training goes on
        table = self.table.GetTable()
        row = next(
            (n for n in range(table.GetNumberOfRows()) if table.GetValue(n, 0).ToInt() == epoch),
            None,
        )
        if row is None:
            row = table.GetNumberOfRows()
            table.InsertNextBlankRow()
            for column in range(1, len(self.COLUMNS)):
                table.SetValue(row, column, vtk.vtkVariant(float("nan")))
            table.SetValue(row, 0, vtk.vtkVariant(float(epoch)))
        for column, name in enumerate(self.COLUMNS):
            if name in losses and column:
                table.SetValue(row, column, vtk.vtkVariant(float(losses[name])))
        table.Modified()
        self.table.Modified()
        if "validation_mae_hu" in losses and self.chart.GetNumberOfPlotSeriesNodes() == 1:
            self._add_line("validation_mae_hu", self._validation, LINE_COLORS[1])
        fit_charts(self.chart)

    def _add_line(self, column: str, legend: str, color: tuple[float, float, float]) -> None:
        series = add_series(self.chart, self.table, legend, color, 3, "epoch", column)
        series.SetMarkerStyle(series.MarkerStyleCircle)


def chart_nodes(chart: Any) -> list[Any]:
    """Return a chart with its series and their tables."""
    count = chart.GetNumberOfPlotSeriesNodes()
    series = [one for n in range(count) if (one := chart.GetNthPlotSeriesNode(n)) is not None]
    tables = [table for one in series if (table := one.GetTableNode()) is not None]
    return [chart, *series, *tables]


def _in_one_line(
    middle: Sequence[float], curves: Sequence[Sequence[float]]
) -> dict[str, list[float]]:
    """Many curves as one line, which runs back along the axis between two of them."""
    x: list[float] = []
    y: list[float] = []
    for curve in curves:
        x += [middle[0], *middle, middle[-1]]
        y += [0.0, *curve, 0.0]
    return {"x": x, "y": y}


def remove_results(scene: Any, sources: list[Any]) -> None:
    """Remove what was made of volume nodes, and of that, with its charts."""
    made = results_of(scene, sources)
    charts = [chart for node in made for chart in histogram_charts(node)]
    remove(scene, [*made, *(one for chart in charts for one in chart_nodes(chart))])
