"""What tests need of Slicer outside Slicer: rendering a slice view, loading a module file."""

from __future__ import annotations

from typing import Any

import numpy as np


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
