"""Layouts of Slicer's window for the results; without a window only the layers are set."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import slicer

from .display import nodes_of_class, set_layers, set_slice_layers
from .transforms import array_of

FOUR_UP = 3
SIDE_BY_SIDE = 5710
HISTOGRAMS = 5711
WITHOUT_THE_USUAL_SLICES = (4, 9, 15, 39, SIDE_BY_SIDE, HISTOGRAMS)
"""3D only, tabbed or dual 3D, a plot only, and this project's own."""
_SLICES = ("SyntheticCTLeft", "SyntheticCTRight")
_PLOTS = ("SyntheticCTBefore", "SyntheticCTAfter")
_GROUP = 571
"""Of slice views that are linked with each other and not with Slicer's own."""


def register_layouts() -> None:
    """Make the layouts known to Slicer's window: a scene that was saved in one has its number."""
    manager = slicer.app.layoutManager()
    if manager is None:
        return
    node = manager.layoutLogic().GetLayoutNode()
    slices, plots = _row(map(_slice_view, _SLICES)), _row(map(_plot_view, _PLOTS))
    rows = f"<item>{slices}</item><item>{plots}</item>"
    for identifier, description in (
        (SIDE_BY_SIDE, slices),
        (HISTOGRAMS, f'<layout type="vertical" split="true">{rows}</layout>'),
    ):
        if not node.IsLayoutDescription(identifier):
            node.AddLayoutDescription(identifier, description)


def show_overlay(background: Any, foreground: Any, opacity: float) -> None:
    """Show a volume over another in every slice view, slices linked."""
    place = slice_place(background.GetScene())
    manager = slicer.app.layoutManager()
    if manager is not None and manager.layout in WITHOUT_THE_USUAL_SLICES:
        manager.setLayout(FOUR_UP)
    set_slice_layers(background.GetScene(), background, foreground, opacity)
    fit_slices(background, place)


def show_side_by_side(left: Any, right: Any) -> None:
    """Show two volumes beside each other, axial, slices linked."""
    place = slice_place(left.GetScene())
    _set_layout(SIDE_BY_SIDE)
    _fill_slices((left, right), place)


def show_histograms(left: Any, right: Any, charts: Sequence[Any]) -> None:
    """Show two volumes beside each other and a chart below each of them."""
    place = slice_place(left.GetScene())
    _set_layout(HISTOGRAMS)
    _fill_slices((left, right), place)
    for tag, chart in zip(_PLOTS, charts, strict=False):
        for view in nodes_of_class(left.GetScene(), "vtkMRMLPlotViewNode"):
            if view.GetLayoutName() == tag:
                view.SetPlotChartNodeID(chart.GetID())


def show_chart(chart: Any) -> None:
    """Show a chart in a layout with a plot view."""
    if slicer.app.layoutManager() is not None and hasattr(slicer.modules, "plots"):
        slicer.modules.plots.logic().ShowChartInLayout(chart)


def _slice_view(tag: str) -> str:
    return (
        f'<view class="vtkMRMLSliceNode" singletontag="{tag}">'
        '<property name="orientation" action="default">Axial</property>'
        f'<property name="viewlabel" action="default">{_SLICES.index(tag) + 1}</property>'
        '<property name="viewcolor" action="default">#6E4B7C</property>'
        f'<property name="viewgroup" action="default">{_GROUP}</property></view>'
    )


def _plot_view(tag: str) -> str:
    return (
        f'<view class="vtkMRMLPlotViewNode" singletontag="{tag}"><property name="viewlabel" '
        f'action="default">{_PLOTS.index(tag) + 1}</property></view>'
    )


def _row(views: Iterable[str]) -> str:
    items = "".join(f"<item>{view}</item>" for view in views)
    return f'<layout type="horizontal" split="true">{items}</layout>'


def _set_layout(identifier: int) -> None:
    manager = slicer.app.layoutManager()
    if manager is not None:
        register_layouts()
        manager.setLayout(identifier)


def _fill_slices(volumes: Sequence[Any], place: np.ndarray | None) -> None:
    for composite in nodes_of_class(volumes[0].GetScene(), "vtkMRMLSliceCompositeNode"):
        if composite.GetLayoutName() in _SLICES:
            volume = volumes[_SLICES.index(composite.GetLayoutName())]
            set_layers(composite, volume, None, 0.0)
    fit_slices(volumes[0], place)


def slice_place(scene: Any) -> np.ndarray | None:
    """Return the point (mm, RAS) that the slice views on the screen go through, None without any.

    In the directions that none of them looks along, the views of other layouts tell.
    """
    views = nodes_of_class(scene, "vtkMRMLSliceNode")
    if not any(view.IsMappedInLayout() for view in views):
        return None
    planes = np.array([array_of(view.GetSliceToRAS()) for view in views])
    points, normals = planes[:, :3, 3], planes[:, :3, 2]
    away = np.einsum("ij,ij->i", normals, points - points[0])
    weights = np.array([1.0 if view.IsMappedInLayout() else 1e-3 for view in views])
    found = np.linalg.lstsq(normals * weights[:, None], away * weights, rcond=None)[0]
    return points[0] + found


def fit_slices(volume: Any | None, place: np.ndarray | None) -> None:
    """Fit every slice view to what it shows, with slices through ``place`` (mm, RAS).

    A place outside ``volume`` is not kept. Once more in the next turn: only then do new views
    have their size.
    """
    import qt

    manager = slicer.app.layoutManager()
    if manager is None or volume is None:
        return
    bounds = [0.0] * 6
    volume.GetRASBounds(bounds)
    low, high = np.reshape(bounds, (3, 2)).T
    inside = place is not None and bool((place >= low).all() and (place <= high).all())

    def fit() -> None:
        scene = volume.GetScene()
        if scene is None:  # it was closed meanwhile
            return
        manager.resetSliceViews()
        if inside:
            for view in nodes_of_class(scene, "vtkMRMLSliceNode"):
                view.JumpSliceByOffsetting(*place)

    fit()
    qt.QTimer.singleShot(0, fit)
