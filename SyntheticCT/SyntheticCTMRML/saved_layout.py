"""Scenes that are saved in a layout of this project's own: they open everywhere.

Slicer saves a layout's number only, and a Slicer without this extension knows nothing of ours: it
would open grey and empty. While one of them is on the screen, the scene holds a second layout
node, which is saved instead of Slicer's own, has one of Slicer's layouts, and becomes its layout
where the scene is opened. MRML tells nobody that it is about to save.
"""

from __future__ import annotations

from typing import Any

import slicer
import vtk

from .display import nodes_of_class, set_layers

FOUR_UP = 3
SLICES_AND_TABLE = 34
SLICES_AND_PLOT = 37
SLICES_PLOT_AND_TABLE = 38
_TAG = "SyntheticCTSaved"
_SLICERS_OWN = "vtkMRMLLayoutNode"


def save_as_standard(
    scene: Any,
    chart: Any = None,
    table: Any = None,
    background: Any = None,
    foreground: Any = None,
) -> None:
    """Have the scene saved in a layout of Slicer's, as long as the present one stays.

    Args:
        chart, table: nodes that are shown there; None for none.
        background, foreground: volumes for those of its slice views that show none.
    """
    layout = scene.GetFirstNodeByClass("vtkMRMLLayoutNode")
    if layout is None:
        return
    _show(scene, "vtkMRMLPlotViewNode", "PlotView1", "SetPlotChartNodeID", chart)
    _show(scene, "vtkMRMLTableViewNode", "TableView1", "SetTableNodeID", table)
    for composite in nodes_of_class(scene, "vtkMRMLSliceCompositeNode"):
        if background is not None and composite.GetBackgroundVolumeID() is None:
            set_layers(composite, background, foreground, 0.5)
    with_chart = SLICES_AND_PLOT if table is None else SLICES_PLOT_AND_TABLE
    without = FOUR_UP if table is None else SLICES_AND_TABLE
    _saved(scene, layout, without if chart is None else with_chart)


def _saved(scene: Any, layout: Any, number: int) -> None:
    deputy = scene.GetNodeByID(f"{_SLICERS_OWN}{_TAG}")
    if deputy is None:
        deputy = slicer.vtkMRMLLayoutNode()
        deputy.SetSingletonTag(_TAG)
        scene.AddNode(deputy)
        # As what it is saved as, and becomes where it is read.
        deputy.SetSingletonTag(_SLICERS_OWN)
        _leave_with(scene, layout, deputy)
    if not deputy.IsLayoutDescription(number):
        deputy.AddLayoutDescription(number, layout.GetLayoutDescription(number) or "<layout/>")
    deputy.SetViewArrangement(number)
    layout.SetSaveWithScene(False)


def _leave_with(scene: Any, layout: Any, deputy: Any) -> None:
    """Take the second node away when the layout changes or the scene is closed."""
    shown = layout.GetViewArrangement()
    tags: list[tuple[Any, int]] = []

    def leave(*_event: Any) -> None:
        while tags:
            subject, tag = tags.pop()
            subject.RemoveObserver(tag)
        layout.SetSaveWithScene(True)
        if deputy.GetScene() is scene:
            scene.RemoveNode(deputy)

    def on_layout(*_event: Any) -> None:
        # A scene that is being closed walks over its nodes: none may go meanwhile.
        if layout.GetViewArrangement() != shown and not scene.IsClosing():
            leave()

    def on_close(*_event: Any) -> None:
        # Closing resets both layout nodes; charts and tables are gone.
        _saved(scene, layout, FOUR_UP)

    tags.append((layout, layout.AddObserver(vtk.vtkCommand.ModifiedEvent, on_layout)))
    tags.append((scene, scene.AddObserver(scene.EndCloseEvent, on_close)))


def _show(scene: Any, view_class: str, name: str, setter: str, node: Any) -> None:
    """Have a view of Slicer's layouts show a node."""
    if node is None:
        return
    view = scene.GetNodeByID(f"{view_class}{name}")
    if view is None:
        view = getattr(slicer, view_class)()
        view.SetSingletonTag(name)
        view.SetLayoutName(name)
        view.SetName(name)
        view = scene.AddNode(view)
    getattr(view, setter)(node.GetID())
