"""Looking at an evaluation: overlays on the CT, side by side, from hot spot to hot spot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from SyntheticCTMRML import display
from SyntheticCTMRML.display import GREY, nodes_of_class
from SyntheticCTMRML.saved_layout import (
    SLICES_AND_PLOT,
    SLICES_AND_TABLE,
    SLICES_PLOT_AND_TABLE,
    save_as_standard,
)

from .evaluation_nodes import EvaluationNodes
from .plots import show_structure

if TYPE_CHECKING:
    from SyntheticCTEvalLib.gamma.hot_spots import HotSpot

OVERLAYS = {
    "gamma": "gammas",
    "difference": "differences",
    "dose_difference": "dose_differences",
    "dose": "doses",
    "candidate": "candidates",
}
"""What can be laid over the CT, with the name of the group of nodes."""

SIDE_BY_SIDE = 5870
"""Of this project: the number of the layout with no candidate; one more for each of them."""
MOST_COLUMNS = 4

_VIEW = "Evaluation"
_OTHERS = "SyntheticCT"  # views of the module that makes synthetic CTs
_GROUPS = {"Axial": 587, "Coronal": 588}
"""Of views that are linked with each other: not with Slicer's own, which show something else, and
row by row, since views also draw anew where the planes of their group move."""
_LABEL = 8  # letters that a view's label has room for: longer ones would widen its column
_PLANES = ("Axial", "Coronal")
_COLORS = ("#4A8FC7", "#D98A3D", "#7A9E4B", "#9A75B5")


@dataclass(frozen=True)
class Overlay:
    """What is laid over the CT, and how.

    Attributes:
        candidate: its name; the first one when empty.
        kind: one of :data:`OVERLAYS`, or "none".
        gamma_view: one of SyntheticCTMRML.display.GAMMA_VIEWS.
        opacity: from 0 to 1.
        above: gamma below this is transparent.
    """

    candidate: str = ""
    kind: str = "gamma"
    gamma_view: str = "twice"
    opacity: float = 0.5
    above: float = 0.0


def show_overlay(scene: Any, nodes: EvaluationNodes, overlay: Overlay) -> Any:
    """Show an overlay in the slice views and return its volume node; None where there is none.

    In the side-by-side layout every candidate has its own overlay, and the CT has none.
    """
    shown = _node_of(nodes, overlay, overlay.candidate or next(iter(nodes.names), ""))
    if overlay.kind == "gamma":
        for node in nodes.gammas.values():
            display.show_gamma(node, overlay.gamma_view, overlay.above)
    if overlay.kind == "dose":
        for node in nodes.doses.values():
            # As it was loaded it may be grey, which is nothing to lay over a CT.
            if node.GetDisplayNode() is None or node.GetDisplayNode().GetColorNodeID() == GREY:
                display.show_dose(node, 1.1 * nodes.prescription_gy or display.highest(node))
    for composite in _composites(scene):
        background, foreground = nodes.ct, shown
        column = _column_of(composite.GetLayoutName())
        if column is not None:
            name = nodes.names[column - 1] if 0 < column <= len(nodes.names) else ""
            background = nodes.candidates.get(name, nodes.ct)
            foreground = _node_of(nodes, overlay, name) if name else None
            if foreground is background:
                foreground = None
        display.set_layers(composite, background, foreground, overlay.opacity)
    return shown


def register_layouts(layout: Any) -> None:
    """Make the layouts with columns known: a scene that was saved in one has its number only.

    Args:
        layout: vtkMRMLLayoutNode.
    """
    for columns in range(1, MOST_COLUMNS + 1):
        number = SIDE_BY_SIDE + columns - 1
        if not layout.IsLayoutDescription(number):
            layout.AddLayoutDescription(number, side_by_side_description(columns))


def arrange(scene: Any, nodes: EvaluationNodes, layout: str) -> None:
    """Switch to a view layout and fill its views, in a scene that has a layout node.

    Args:
        layout: "chart", "table" or "side by side".
    """
    node = scene.GetFirstNodeByClass("vtkMRMLLayoutNode")
    if layout == "side by side":
        _arrange_columns(scene, node, nodes)
    else:
        with_chart = SLICES_AND_PLOT if layout == "chart" else SLICES_PLOT_AND_TABLE
        node.SetViewArrangement(with_chart if nodes.charts() else SLICES_AND_TABLE)
    for view in nodes_of_class(scene, "vtkMRMLTableViewNode"):
        view.SetTableNodeID(nodes.metrics.GetID())


def _arrange_columns(scene: Any, layout: Any, nodes: EvaluationNodes) -> None:
    """Show the CT and the first three candidates in columns."""
    columns = ["CT", *nodes.names][:MOST_COLUMNS]
    register_layouts(layout)
    layout.SetViewArrangement(SIDE_BY_SIDE + len(columns) - 1)
    for view in nodes_of_class(scene, "vtkMRMLSliceNode"):
        column = _column_of(view.GetLayoutName())
        if column is not None and column < len(columns):
            view.SetLayoutLabel(columns[column][:_LABEL])
            view.SetOrientation(view.GetLayoutName().rstrip("0123456789").removeprefix(_VIEW))
    for composite in _composites(scene):
        column = _column_of(composite.GetLayoutName())
        if column is not None and column < len(columns):
            volume = nodes.candidates.get(columns[column]) if column else nodes.ct
            display.set_layers(composite, volume, None, 0.0)
            composite.SetHotLinkedControl(True)  # the others follow while one is dragged
    save_as_standard(scene, next(iter(nodes.charts()), None), nodes.metrics)


def side_by_side_description(columns: int) -> str:
    """Return the layout's XML: a column a volume, axial above coronal."""
    rows = []
    for plane in _PLANES:
        views = []
        for column in range(columns):
            views.append(
                f'<item><view class="vtkMRMLSliceNode" singletontag="{_VIEW}{plane}{column}">'
                f'<property name="orientation" action="default">{plane}</property>'
                f'<property name="viewcolor" action="default">{_COLORS[column]}</property>'
                f'<property name="viewgroup" action="default">{_GROUPS[plane]}</property>'
                "</view></item>"
            )
        rows.append(f'<item><layout type="horizontal">{"".join(views)}</layout></item>')
    return f'<layout type="vertical" split="true">{"".join(rows)}</layout>'


def go_to(scene: Any, spot: HotSpot) -> None:
    """Move every slice view to a hot spot and mark it with the crosshair."""
    display.center_slices(scene, spot.point_mm)
    crosshair = scene.GetFirstNodeByClass("vtkMRMLCrosshairNode")
    if crosshair is not None:
        x, y, z = spot.point_mm
        crosshair.SetCrosshairRAS(-x, -y, z)
        if crosshair.GetCrosshairMode() == crosshair.NoCrosshair:
            crosshair.SetCrosshairMode(crosshair.ShowSmallBasic)


def show_chart(scene: Any, chart: Any) -> None:
    """Show a chart in every plot view."""
    for view in nodes_of_class(scene, "vtkMRMLPlotViewNode"):
        if not view.GetLayoutName().startswith(_OTHERS):
            view.SetPlotChartNodeID(chart.GetID() if chart is not None else None)


def show_dvh(scene: Any, nodes: EvaluationNodes, structure: str = "") -> None:
    """Show the dose-volume histograms of one structure, of all when ``structure`` is empty."""
    show_structure(nodes.dvh, nodes.dvh_series, structure)
    show_chart(scene, nodes.dvh)


def _composites(scene: Any) -> list[Any]:
    """The slice views that evaluations are shown in."""
    found = nodes_of_class(scene, "vtkMRMLSliceCompositeNode")
    return [one for one in found if not (one.GetLayoutName() or "").startswith(_OTHERS)]


def _node_of(nodes: EvaluationNodes, overlay: Overlay, candidate: str) -> Any:
    group = OVERLAYS.get(overlay.kind)
    return getattr(nodes, group).get(candidate) if group else None


def _column_of(view_name: str | None) -> int | None:
    """The column of a view of the side-by-side layout; None for other views."""
    for plane in _PLANES:
        number = (view_name or "").removeprefix(f"{_VIEW}{plane}")
        if number != view_name and number.isdigit():
            return int(number)
    return None
