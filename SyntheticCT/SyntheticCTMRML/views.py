"""Layouts of Slicer's window for the results; without a window only the layers are set."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import slicer
import vtk

from .display import nodes_of_class, set_layers, set_slice_layers
from .saved_layout import FOUR_UP, save_as_standard
from .transforms import array_of

SIDE_BY_SIDE = 5710
HISTOGRAMS = 5711
WITHOUT_THE_USUAL_SLICES = (4, 9, 15, 39, SIDE_BY_SIDE, HISTOGRAMS)
"""3D only, tabbed or dual 3D, a plot only, and this project's own."""
_SLICES = ("SyntheticCTLeft", "SyntheticCTRight")
_PLOTS = ("SyntheticCTBefore", "SyntheticCTAfter")
_GROUP = 571
"""Of slice views that are linked with each other and not with Slicer's own."""
_USUAL = "SyntheticCT.UsualOrientation"
"""Attribute of a slice view that was turned to an oblique volume: what it was turned from."""
_HIDDEN = "SyntheticCT.Hidden"
"""Attribute of a segmentation that is not shown because of what is below."""
_GEOMETRY = "referenceImageGeometryRef"
_STRAIGHT = 0.9999  # cosine; less than a degree is nothing to turn for


def register_layouts() -> None:
    """Make the layouts known to Slicer's window: a scene that was saved in one has its number."""
    manager = _layout_manager()
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


@contextlib.contextmanager
def one_drawing() -> Iterator[None]:
    """Have every view drawn once, at the end, whatever is changed inside; may be nested."""
    manager = _layout_manager()
    if manager is not None:
        slicer.app.pauseRender()
    try:
        yield
    finally:
        if manager is not None:
            slicer.app.resumeRender()


def show_overlay(background: Any, foreground: Any, opacity: float) -> None:
    """Show a volume over another in every slice view, slices linked."""
    place = slice_place(background.GetScene())
    manager = _layout_manager()
    with one_drawing():
        show_structures_of(background)
        new = manager is not None and manager.layout in WITHOUT_THE_USUAL_SLICES
        if new:
            manager.setLayout(FOUR_UP)
        set_slice_layers(background.GetScene(), background, foreground, opacity)
        fit_slices(background, place, new_views=new)


def show_side_by_side(left: Any, right: Any) -> None:
    """Show two volumes beside each other, axial, slices linked."""
    place = slice_place(left.GetScene())
    with one_drawing():
        show_structures_of(left)
        new = _set_layout(SIDE_BY_SIDE)
        _fill_slices((left, right))
        save_as_standard(left.GetScene(), background=left, foreground=right)
        fit_slices(left, place, new_views=new)


def show_histograms(left: Any, right: Any, charts: Sequence[Any]) -> None:
    """Show two volumes beside each other and a chart below each of them."""
    place = slice_place(left.GetScene())
    with one_drawing():
        show_structures_of(left)
        new = _set_layout(HISTOGRAMS)
        _fill_slices((left, right))
        for tag, chart in zip(_PLOTS, charts, strict=False):
            for view in nodes_of_class(left.GetScene(), "vtkMRMLPlotViewNode"):
                if view.GetLayoutName() == tag:
                    view.SetPlotChartNodeID(chart.GetID())
        after = charts[-1] if charts else None
        save_as_standard(left.GetScene(), after, background=left, foreground=right)
        fit_slices(left, place, new_views=new)


def show_structures_of(volume: Any) -> None:
    """Hide structures that were drawn on another grid than that of a volume, and say so.

    Drawn over an MR that is not registered, structures of the CT would seem to be its own. Those
    that were hidden so come back with a volume that they belong to.
    """
    hidden = []
    for node in nodes_of_class(volume.GetScene(), "vtkMRMLSegmentationNode"):
        shown, own = node.GetDisplayNode(), node.GetNodeReference(_GEOMETRY)
        if shown is None or own is None or own.GetImageData() is None:
            continue
        belongs = own is volume or _same_place(own, volume)
        if belongs and node.GetAttribute(_HIDDEN):
            node.RemoveAttribute(_HIDDEN)
            shown.SetVisibility(True)
        elif not belongs and shown.GetVisibility():
            node.SetAttribute(_HIDDEN, "1")
            shown.SetVisibility(False)
            hidden.append(node.GetName())
    if hidden and _layout_manager() is not None:
        from slicer.i18n import tr as _

        sentence = _("Hidden, because they were not drawn on {volume}: {names}")
        text = sentence.format(volume=volume.GetName(), names=", ".join(hidden))
        slicer.util.showStatusMessage(text, 10000)


def _same_place(one: Any, other: Any) -> bool:
    """Whether two volumes have one grid, in the world."""
    if other.GetImageData() is None:
        return False
    matrices = []
    for node in (one, other):
        matrix = vtk.vtkMatrix4x4()
        node.GetIJKToRASMatrix(matrix)
        parent = node.GetParentTransformNode()
        if parent is not None:
            if not parent.IsTransformToWorldLinear():
                return False
            to_world = vtk.vtkMatrix4x4()
            parent.GetMatrixTransformToWorld(to_world)
            vtk.vtkMatrix4x4.Multiply4x4(to_world, matrix, matrix)
        matrices.append(array_of(matrix))
    sizes = [node.GetImageData().GetDimensions() for node in (one, other)]
    return sizes[0] == sizes[1] and np.allclose(*matrices, atol=1e-3)


def show_chart(chart: Any) -> None:
    """Show a chart in a layout with a plot view."""
    if _layout_manager() is not None and hasattr(slicer.modules, "plots"):
        with one_drawing():
            slicer.modules.plots.logic().ShowChartInLayout(chart)


def fit_charts(chart: Any) -> None:
    """Fit the plot views that show a chart to its lines, where these have grown."""
    manager = _layout_manager()
    for index in range(manager.plotViewCount if manager is not None else 0):
        widget = manager.plotWidget(index)
        if widget.mrmlPlotViewNode().GetPlotChartNodeID() == chart.GetID():
            widget.plotView().fitToContent()


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


def _layout_manager() -> Any:
    """Of Slicer's window; None where there is no window, or no Slicer around MRML."""
    application = getattr(slicer, "app", None)
    return application.layoutManager() if application is not None else None


def _set_layout(identifier: int) -> bool:
    """Change the layout; whether it was another one."""
    manager = _layout_manager()
    if manager is None or manager.layout == identifier:
        return False
    register_layouts()
    manager.setLayout(identifier)
    return True


def _fill_slices(volumes: Sequence[Any]) -> None:
    for composite in nodes_of_class(volumes[0].GetScene(), "vtkMRMLSliceCompositeNode"):
        if composite.GetLayoutName() in _SLICES:
            volume = volumes[_SLICES.index(composite.GetLayoutName())]
            set_layers(composite, volume, None, 0.0)


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


def fit_slices(volume: Any | None, place: np.ndarray | None, new_views: bool = False) -> None:
    """Fit the slice views on the screen to what they show, with slices through ``place``.

    Views of one orientation get one field of view, and turn to the planes of ``volume`` where
    these are oblique.

    Args:
        place: point in mm, RAS; one outside ``volume`` is not kept.
        new_views: the layout has changed: views have their size in the next turn only, and are
            fitted, and drawn, then.
    """
    manager = _layout_manager()
    if manager is None or volume is None:
        return
    if not new_views:
        with one_drawing():
            _fit(manager, volume, place)
        return
    import qt

    application = slicer.app
    application.pauseRender()

    def fit() -> None:
        try:
            if volume.GetScene() is not None:  # else it was closed meanwhile
                _fit(manager, volume, place)
        finally:
            application.resumeRender()

    qt.QTimer.singleShot(0, fit)


def _fit(manager: Any, volume: Any, place: np.ndarray | None) -> None:
    bounds = [0.0] * 6
    volume.GetRASBounds(bounds)
    low, high = np.reshape(bounds, (3, 2)).T
    inside = place is not None and bool((place >= low).all() and (place <= high).all())
    rows: dict[str, list[Any]] = {}
    for name in manager.sliceViewNames():
        logic = manager.sliceWidget(name).sliceLogic()
        view = logic.GetSliceNode()
        if view.IsMappedInLayout():
            _turn(view, volume)
            # The logic's own call: with the widget's, every linked view would be fitted again.
            logic.FitSliceToBackground()
            rows.setdefault(view.GetOrientation(), []).append(view)
            if inside:
                view.JumpSliceByOffsetting(*place)
    for views in rows.values():
        _share_scale(views)


def _share_scale(views: list[Any]) -> None:
    """Show as many mm a pixel in every view as in the one that shows most."""
    scales = [
        max(mm / pixels for mm, pixels in zip(_field(view), _size(view), strict=True))
        for view in views
    ]
    for view in views:
        x, y = (max(scales) * pixels for pixels in _size(view))
        view.SetFieldOfView(x, y, view.GetFieldOfView()[2])


def _field(view: Any) -> tuple[float, ...]:
    return view.GetFieldOfView()[:2]


def _size(view: Any) -> tuple[int, ...]:
    return tuple(max(pixels, 1) for pixels in view.GetDimensions()[:2])


def _turn(view: Any, volume: Any) -> None:
    """Turn a slice view to the planes of an oblique volume, and back for others."""
    directions = vtk.vtkMatrix4x4()
    volume.GetIJKToRASDirectionMatrix(directions)
    largest = np.abs(array_of(directions)[:3, :3]).max(axis=0)
    usual = view.GetAttribute(_USUAL)
    if (largest < _STRAIGHT).any():
        if usual is None:
            view.SetAttribute(_USUAL, view.GetOrientation())
        else:
            view.SetOrientation(usual)
        view.RotateToVolumePlane(volume)
    elif usual is not None:
        view.SetOrientation(usual)
        view.SetAttribute(_USUAL, None)
