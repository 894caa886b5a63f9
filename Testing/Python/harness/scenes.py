"""Scenes: a new one as Slicer has it at its start, one read from a file, a picture of a slice."""

from __future__ import annotations

from typing import Any

import numpy as np


def new_scene() -> tuple[Any, Any]:
    """Return a new MRML scene with what Slicer's own start provides, and its application logic."""
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
        "Tables": slicer.vtkSlicerTablesLogic(),
        "Plots": slicer.vtkSlicerPlotsLogic(),
    }
    application.kept = modules  # it does not hold them itself
    for name, logic in modules.items():
        logic.SetMRMLApplicationLogic(application)
        application.SetModuleLogic(name, logic)
        logic.SetMRMLScene(scene)
    for node in (slicer.vtkMRMLColorLegendDisplayNode(), slicer.vtkMRMLCommandLineModuleNode()):
        scene.RegisterNodeClass(node)
    slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene)
    return scene, application


def read_bundle(scene: Any, path: Any, cache_folder: Any) -> None:
    """Load a scene bundle (.mrb) into ``scene`` as Slicer does."""
    import slicer

    cache = slicer.vtkCacheManager()
    cache.SetRemoteCacheDirectory(str(cache_folder))
    transfers = slicer.vtkDataIOManager()
    transfers.SetCacheManager(cache)
    scene.SetCacheManager(cache)
    scene.SetDataIOManager(transfers)
    assert scene.ReadFromMRB(str(path))


def render_slice(scene: Any, view_name: str, width: int, height: int) -> np.ndarray:
    """Return what a slice view shows, background and foreground blended: (row, column, RGB).

    The first row is the top of the view. No display and no OpenGL is needed.
    """
    import slicer
    from vtk.util.numpy_support import vtk_to_numpy

    application = slicer.vtkMRMLApplicationLogic()
    application.SetMRMLScene(scene)
    logic = slicer.vtkMRMLSliceLogic()
    logic.SetMRMLApplicationLogic(application)
    logic.SetMRMLScene(scene)
    logic.SetSliceNode(scene.GetNodeByID(f"vtkMRMLSliceNode{view_name}"))
    logic.ResizeSliceNode(width, height)
    port = logic.GetImageDataConnection()
    port.GetProducer().Update()
    data = port.GetProducer().GetOutputDataObject(port.GetIndex())
    values = vtk_to_numpy(data.GetPointData().GetScalars())
    image = values.reshape(*reversed(data.GetDimensions()[:2]), -1)[::-1, :, :3].copy()
    logic.SetMRMLScene(None)
    return image
