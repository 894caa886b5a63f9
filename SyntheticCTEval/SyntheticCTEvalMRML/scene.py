"""An evaluation as a Slicer scene in one file (.mrb), written without Slicer."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import SimpleITK as sitk
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.outputs import staged_file
from SyntheticCTLib.basics.progress import Progress
from SyntheticCTLib.basics.stages import users_path

if TYPE_CHECKING:
    from SyntheticCTEvalLib.evaluation.results import Evaluation

LAYOUT_FOUR_UP_TABLE = 34
LAYOUT_FOUR_UP_PLOT_TABLE = 38


def write_scene(
    evaluation: Evaluation, path: str | os.PathLike, documents: Mapping[str, str] | None = None
) -> Path:
    """Write ``evaluation`` as a scene that opens in Slicer, whole or not at all.

    It opens with the CT in the background of the slice views, the first candidate's gamma map
    half-transparent over it, outlined contours, the gamma histogram and the metrics table.

    Args:
        path: file name ending in .mrb.
        documents: texts by file name (report.html, ...) that the scene keeps, too.

    Returns:
        The path.

    Raises:
        SyntheticCTError: slicer-core is not installed, the name has another ending, or the
            file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() != ".mrb":
        raise SyntheticCTError(f"The scene {path} must have a name that ends in .mrb.")
    scored = any(result.gamma is not None for result in evaluation.candidates.values())
    layout = LAYOUT_FOUR_UP_PLOT_TABLE if scored else LAYOUT_FOUR_UP_TABLE
    with open_scene(layout) as scene, staged_file(path) as stage:
        _fill(scene, evaluation, documents or {})
        # MRML writes to full paths only.
        if not scene.WriteToMRB(str(stage.absolute())) or not stage.is_file():
            raise SyntheticCTError(
                f"The scene {users_path(path)} cannot be written: make sure that there is room on "
                "the disk."
            )
    return path


NO_MRML = (
    "A Slicer scene needs the package slicer-core, which is not installed: "
    "pip install 'synthetic-ct[scene]'"
)


IN_SLICERS_PYTHON = (
    "Slicer's own Python has no scenes outside Slicer's window: load the results in the module "
    "Synthetic CT Evaluation and export the scene there"
)

_USED = (
    "vtkMRMLScene",
    "vtkSlicerApplicationLogic",
    "vtkSlicerVolumesLogic",
    "vtkSlicerSegmentationsModuleLogic",
    "vtkSlicerSubjectHierarchyModuleLogic",
    "vtkSlicerColorLogic",
    "vtkMRMLLayoutLogic",
    "vtkMRMLColorLegendDisplayNode",
    "vtkMRMLSliceNode",
)
"""What a scene needs: PythonSlicer has the first of them and the nodes, but no logics."""


def missing_mrml() -> str | None:
    """Return in a sentence why no scene can be made here; None where it can."""
    try:
        import slicer
    except ModuleNotFoundError as error:
        return NO_MRML if error.name == "slicer" else IN_SLICERS_PYTHON
    except Exception:  # the Python of a Slicer whose application is not running
        return IN_SLICERS_PYTHON
    return None if all(hasattr(slicer, name) for name in _USED) else IN_SLICERS_PYTHON


def require_mrml() -> None:
    """Raise SyntheticCTError where no scene can be made."""
    if reason := missing_mrml():
        raise SyntheticCTError(reason)


class MrbWriter:
    """Writes scenes where the core is asked for them (report.folder.SceneWriter)."""

    def missing(self) -> str | None:
        return missing_mrml()

    def write(self, evaluation: Evaluation, path: Path, documents: Mapping[str, str]) -> None:
        write_scene(evaluation, path, documents)


def scene_writer(progress: Progress) -> MrbWriter | None:
    """Return what writes scenes; where none can be made, warn and return None."""
    writer = MrbWriter()
    if reason := writer.missing():
        progress.warn(f"No scene.mrb is written: {reason}")
        return None
    return writer


@contextlib.contextmanager
def open_scene(layout: int | None = None) -> Iterator[Any]:
    """Yield a new MRML scene with what Slicer's own start provides; it is emptied at the end.

    Args:
        layout: number of the view layout whose views the scene gets; None for no views.

    Raises:
        SyntheticCTError: there is no MRML here, because slicer-core is not installed.
    """
    require_mrml()
    import slicer

    scene = slicer.vtkMRMLScene()
    application = slicer.vtkSlicerApplicationLogic()
    application.SetMRMLScene(scene)
    application.GetColorLogic().SetMRMLScene(scene)
    application.GetColorLogic().AddDefaultColorNodes()
    # A module's logic makes its node classes known to the scene.
    modules = {
        "Volumes": slicer.vtkSlicerVolumesLogic(),
        "Segmentations": slicer.vtkSlicerSegmentationsModuleLogic(),
        "SubjectHierarchy": slicer.vtkSlicerSubjectHierarchyModuleLogic(),
    }
    for name, module in modules.items():
        module.SetMRMLApplicationLogic(application)
        application.SetModuleLogic(name, module)
        module.SetMRMLScene(scene)
    # The colour module's logic would do this, but looks for Slicer's own colour files.
    scene.RegisterNodeClass(slicer.vtkMRMLColorLegendDisplayNode())
    slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene)
    views = slicer.vtkMRMLLayoutLogic()
    try:
        if layout is not None:
            views.SetMRMLScene(scene)
            views.GetLayoutNode().SetViewArrangement(layout)
        yield scene
    finally:
        # Emptying a scene under a layout logic crashes.
        views.SetMRMLScene(None)
        scene.Clear(True)


def _fill(scene: Any, evaluation: Evaluation, documents: Mapping[str, str]) -> None:
    """Prepare the views, add the nodes, which then show themselves there, and the tables."""
    import slicer
    from SyntheticCTMRML.display import nodes_of_class

    from .display import add_evaluation

    width = _extent(evaluation.body)
    for view in nodes_of_class(scene, "vtkMRMLSliceNode"):
        composite = slicer.vtkMRMLSliceCompositeNode()
        composite.SetLayoutName(view.GetLayoutName())
        scene.AddNode(composite)
        view.SetFieldOfView(width, width, view.GetFieldOfView()[2])
    nodes = add_evaluation(scene, evaluation, documents=documents)
    selection = scene.GetNodeByID("vtkMRMLSelectionNodeSingleton")
    selection.SetActiveVolumeID(nodes.ct.GetID())
    selection.SetActiveTableID(nodes.metrics.GetID())
    for view in nodes_of_class(scene, "vtkMRMLTableViewNode"):
        view.SetTableNodeID(nodes.metrics.GetID())
    for view in nodes_of_class(scene, "vtkMRMLPlotViewNode"):
        view.SetPlotChartNodeID(nodes.histogram.GetID())


def _extent(mask: sitk.Image) -> float:
    """The longest edge of what ``mask`` holds, or of its grid, with a tenth of margin, in mm."""
    statistics = sitk.LabelShapeStatisticsImageFilter()
    statistics.Execute(mask)
    size = statistics.GetBoundingBox(1)[3:] if statistics.HasLabel(1) else mask.GetSize()
    return 1.1 * max(count * mm for count, mm in zip(size, mask.GetSpacing(), strict=True))
