"""How volumes and tables are shown: windows, colour tables, overlay, legends.

Every function works on nodes of the scene that it is given, in Slicer or outside.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from .translation import tr as _

CT_WINDOW_HU = (-160.0, 240.0)
"""Soft-tissue window of the pelvis, for CT and everything that stands in for it."""
DIFFERENCE_WINDOW_HU = (-300.0, 300.0)
DOSE_DIFFERENCE_PART = 0.03
"""Differences of doses are shown up to this part of the prescription."""
GAMMA_WINDOW = (0.0, 2.0)
"""Twice the tolerance, so that gamma = 1 is the middle of the colour table."""

GREY = "vtkMRMLColorTableNodeGrey"
_COLORS = 256

# Colour tables as (position from 0 to 1, red, green, blue); a repeated position is a step.
GAMMA_COLORS = (
    "Gamma (pass up to 1, fail above)",
    (
        (0.0, 0.24, 0.29, 0.54),
        (0.17, 0.17, 0.44, 0.56),
        (0.33, 0.15, 0.68, 0.50),
        (0.42, 0.48, 0.82, 0.32),
        (0.5, 0.99, 0.91, 0.14),
        (0.5, 0.83, 0.00, 0.42),
        (1.0, 1.00, 0.15, 0.45),
    ),
)
"""Blue to yellow from 0 to 1, the range that the study shows; magenta where the dose fails.

No purple below 1: half transparent it would look like a failure.
"""
GAMMA_TO_ONE_COLORS = (
    "Gamma (0 to 1)",
    (
        (0.0, 0.24, 0.29, 0.54),
        (0.33, 0.17, 0.44, 0.56),
        (0.66, 0.15, 0.68, 0.50),
        (0.84, 0.48, 0.82, 0.32),
        (1.0, 0.99, 0.91, 0.14),
    ),
)
"""As the study shows it: everything from 1 up is the brightest colour."""
PASS_FAIL_COLORS = (
    "Gamma (pass or fail)",
    (
        (0.0, 0.15, 0.62, 0.75),
        (0.5, 0.15, 0.62, 0.75),
        (0.5, 0.90, 0.05, 0.43),
        (1.0, 0.90, 0.05, 0.43),
    ),
)
GAMMA_VIEWS = {
    "twice": (GAMMA_WINDOW, GAMMA_COLORS),
    "one": ((0.0, 1.0), GAMMA_TO_ONE_COLORS),
    "pass": (GAMMA_WINDOW, PASS_FAIL_COLORS),
}
"""Ways to show gamma: to twice the tolerance with a step at 1, 0 to 1, pass or fail."""
DOSE_COLORS = (
    "Dose (Gy)",
    (
        (0.0, 0.05, 0.05, 0.55),
        (0.25, 0.00, 0.55, 1.00),
        (0.5, 0.00, 0.80, 0.35),
        (0.75, 1.00, 0.90, 0.00),
        (1.0, 0.90, 0.05, 0.05),
    ),
)
DIFFERENCE_COLORS = (
    "Difference",
    (
        (0.0, 0.62, 0.88, 1.00),
        (0.25, 0.10, 0.42, 0.88),
        (0.5, 0.02, 0.02, 0.02),
        (0.75, 0.86, 0.20, 0.10),
        (1.0, 1.00, 0.82, 0.55),
    ),
)
"""Black where there is no difference: laid over a CT, white would veil the anatomy."""

LEGEND_SIZE = (0.08, 0.35)
"""Width and height as parts of the view: Slicer takes the size of the labels from them."""
LEGEND_POSITION = (0.95, 0.05)

LINE_COLORS = (
    (0.12, 0.47, 0.71),
    (0.85, 0.37, 0.01),
    (0.46, 0.44, 0.70),
    (0.40, 0.65, 0.12),
    (0.80, 0.20, 0.50),
    (0.10, 0.62, 0.60),
    (0.55, 0.40, 0.20),
)


def color_table(scene: Any, colors: tuple[str, Sequence[tuple[float, ...]]]) -> Any:
    """Return the colour table node of ``scene`` for one of the tables above, made if missing.

    The node is saved with the scene, unlike Slicer's built-in tables.
    """
    name, points = colors
    found = scene.GetFirstNode(name, "vtkMRMLColorTableNode", None, True)
    if found is not None:
        return found
    node = scene.AddNewNodeByClass("vtkMRMLColorTableNode", name)
    node.SetTypeToUser()
    node.SetHideFromEditors(False)
    node.SetNumberOfColors(_COLORS)
    position = np.linspace(0.0, 1.0, _COLORS)
    stops = np.array(points)
    # interp takes the later of two equal positions: a step belongs to the colours above it.
    channels = [np.interp(position, stops[:, 0], stops[:, channel]) for channel in (1, 2, 3)]
    for index, (red, green, blue) in enumerate(zip(*channels, strict=True)):
        node.SetColor(index, f"{index}", red, green, blue, 1.0)
    node.GetLookupTable().SetRange(0, _COLORS - 1)
    # The table format that every Slicer reads; newer ones would write their own.
    node.AddDefaultStorageNode()
    node.GetStorageNode().SetDefaultWriteFileExtension("ctbl")
    return node


def show_volume(
    node: Any,
    window: tuple[float, float],
    colors: str = GREY,
    threshold: tuple[float, float] | None = None,
    interpolate: bool = True,
) -> Any:
    """Set how a volume node is shown and return its display node.

    A new display node never looks at the voxels to find a window, which takes long.

    Args:
        node: scalar volume node in a scene.
        window: lowest and highest value of the colour scale.
        colors: ID of the colour node.
        threshold: values outside it are transparent; None shows all.
        interpolate: False shows each voxel as it is, needed where a value marks "none".
    """
    import slicer

    display = node.GetDisplayNode()
    if display is None:
        display = slicer.vtkMRMLScalarVolumeDisplayNode()
        display.AutoWindowLevelOff()
        display.AutoThresholdOff()
        display.SetWindowLevelMinMax(*window)
        node.GetScene().AddNode(display)
        node.SetAndObserveDisplayNodeID(display.GetID())
    display.AutoWindowLevelOff()
    display.SetWindowLevelMinMax(*window)
    display.SetAndObserveColorNodeID(colors)
    display.SetInterpolate(interpolate)
    if threshold is None:
        display.SetApplyThreshold(False)
    else:
        display.AutoThresholdOff()
        display.SetThreshold(*threshold)
        display.SetApplyThreshold(True)
    return display


def show_ct(node: Any) -> Any:
    """Show a CT or what stands in for it in grey, in :data:`CT_WINDOW_HU`."""
    return show_volume(node, CT_WINDOW_HU)


def show_mr(node: Any) -> Any:
    """Show an MR in grey, between its 1st and 99.5th percentile."""
    values = vtk_to_numpy(node.GetImageData().GetPointData().GetScalars())
    low, high = np.percentile(values[:: max(1, values.size // 1_000_000)], [1, 99.5])
    return show_volume(node, (float(low), float(max(high, low + 1))))


def show_uncertainty(node: Any) -> Any:
    """Show an uncertainty in HU in grey from 0 to 100; -1 (not known) is transparent."""
    return show_volume(node, (0, 100), threshold=(0, max(100.0, highest(node))), interpolate=False)


def show_difference(node: Any) -> Any:
    """Show a difference of CT numbers (int16) from blue (too low) to red (too high).

    Voxels of -32768, which mark that there is no difference, are transparent.
    """
    table = color_table(node.GetScene(), DIFFERENCE_COLORS)
    limits = np.iinfo(np.int16)
    shown = (limits.min + 1, limits.max)
    display = show_volume(node, DIFFERENCE_WINDOW_HU, table.GetID(), shown, interpolate=False)
    add_legend(node, "HU", "%.0f")
    return display


def show_dose_difference(node: Any, maximum_gy: float) -> Any:
    """Show a difference of doses in Gy up to 3 % of ``maximum_gy``, blue too low, red too high.

    Voxels of -1000, which mark that there is no difference, are transparent.
    """
    table = color_table(node.GetScene(), DIFFERENCE_COLORS)
    limit = DOSE_DIFFERENCE_PART * maximum_gy
    display = show_volume(node, (-limit, limit), table.GetID(), (-999, 999), interpolate=False)
    add_legend(node, "Gy", "%.2f")
    return display


def show_dose(node: Any, maximum_gy: float) -> Any:
    """Show a dose from 0 to ``maximum_gy``, transparent below a tenth of it."""
    table = color_table(node.GetScene(), DOSE_COLORS)
    shown = (0.1 * maximum_gy, max(maximum_gy, highest(node)))
    display = show_volume(node, (0, maximum_gy), table.GetID(), shown)
    add_legend(node, "Gy")
    return display


def show_gamma(node: Any, view: str = "twice", above: float = 0.0) -> Any:
    """Show a gamma map: -1 (not evaluated) transparent, a colour step at 1, a colour legend.

    Not interpolated: between -1 and a high gamma an interpolated value would look like a pass.

    Args:
        view: one of :data:`GAMMA_VIEWS`.
        above: lower gamma is transparent.
    """
    window, colors = GAMMA_VIEWS[view]
    table = color_table(node.GetScene(), colors)
    shown = (max(above, 0.0), max(window[1], above, highest(node)))
    display = show_volume(node, window, table.GetID(), shown, interpolate=False)
    add_legend(node, _("Gamma"))
    return display


def highest(node: Any) -> float:
    """Return the largest value of a volume node."""
    return float(vtk_to_numpy(node.GetImageData().GetPointData().GetScalars()).max())


def add_legend(node: Any, title: str, number_format: str = "%.1f") -> Any:
    """Give a volume node a colour legend with five labels and return its display node.

    Args:
        title: one short word: it is as large as the labels, however long. What is shown stands
            in the corner of the view.
    """
    import slicer

    legend = slicer.vtkSlicerColorLogic.GetColorLegendDisplayNode(node)
    if legend is None:
        legend = slicer.vtkSlicerColorLogic.AddDefaultColorLegendDisplayNode(node)
    legend.SetTitleText(title)
    legend.SetLabelFormat(number_format)
    legend.SetNumberOfLabels(5)
    legend.SetSize(*LEGEND_SIZE)
    legend.SetPosition(*LEGEND_POSITION)
    return legend


def set_slice_layers(
    scene: Any, background: Any, foreground: Any = None, opacity: float = 0.5
) -> None:
    """Show ``background``, and ``foreground`` over it, in every slice view of ``scene``."""
    for composite in nodes_of_class(scene, "vtkMRMLSliceCompositeNode"):
        set_layers(composite, background, foreground, opacity)


def set_layers(composite: Any, background: Any, foreground: Any, opacity: float) -> None:
    """Show ``background``, and ``foreground`` over it, in the slice view of a composite node."""
    composite.SetBackgroundVolumeID(background.GetID() if background is not None else None)
    composite.SetForegroundVolumeID(foreground.GetID() if foreground is not None else None)
    composite.SetForegroundOpacity(opacity)
    composite.SetLinkedControl(True)
    # Slicer's colour legends follow layers only where the change is flagged as a person's.
    composite.SetInteractionFlags(composite.BackgroundVolumeFlag | composite.ForegroundVolumeFlag)
    composite.Modified()
    composite.SetInteractionFlags(0)


def center_slices(scene: Any, point: Sequence[float]) -> None:
    """Move every slice view of ``scene`` so that a point (mm, LPS) is in its middle."""
    for view in nodes_of_class(scene, "vtkMRMLSliceNode"):
        view.JumpSliceByCentering(-point[0], -point[1], point[2])


def nodes_of_class(scene: Any, class_name: str) -> list[Any]:
    """Return the nodes of one class (and of classes derived from it) in ``scene``."""
    count = scene.GetNumberOfNodesByClass(class_name)
    return [scene.GetNthNodeByClass(index, class_name) for index in range(count)]


@contextlib.contextmanager
def added_together(scene: Any) -> Iterator[None]:
    """Have Slicer's selectors and trees hear of all nodes that are added or removed at the end."""
    scene.StartState(scene.BatchProcessState)
    try:
        yield
    finally:
        scene.EndState(scene.BatchProcessState)


def add_table(
    scene: Any,
    name: str,
    columns: Mapping[str, Sequence[str] | Sequence[float]],
    attributes: Mapping[str, str] | None = None,
) -> Any:
    """Add a table node; a column of numbers becomes a column of doubles, others of text.

    ``attributes`` are there from the beginning, as selectors that filter by them need it.
    """
    import slicer

    node = slicer.vtkMRMLTableNode()
    node.SetName(name)
    for key, value in (attributes or {}).items():
        node.SetAttribute(key, value)
    for title, values in columns.items():
        numeric = all(isinstance(value, (int, float)) for value in values)
        if numeric:
            column = numpy_to_vtk(np.array(values, np.float64), deep=True)
        else:
            column = vtk.vtkStringArray()
            for value in values:
                column.InsertNextValue(str(value))
        column.SetName(title)
        node.AddColumn(column)
    node.SetUseColumnTitleAsColumnHeader(True)
    node.SetLocked(True)
    return scene.AddNode(node)


def add_series(
    chart: Any,
    table: Any,
    name: str,
    color: Sequence[float],
    width: int = 3,
    x: str = "x",
    y: str = "y",
) -> Any:
    """Add a line to a plot chart node, of two columns of a table node, and return the series."""
    series = chart.GetScene().AddNewNodeByClass("vtkMRMLPlotSeriesNode", name)
    series.SetAndObserveTableNodeID(table.GetID())
    series.SetXColumnName(x)
    series.SetYColumnName(y)
    series.SetPlotType(series.PlotTypeScatter)
    series.SetMarkerStyle(series.MarkerStyleNone)
    series.SetLineWidth(width)
    series.SetColor(*color)
    chart.AddAndObservePlotSeriesNodeID(series.GetID())
    return series
