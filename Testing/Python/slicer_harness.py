"""What tests need of Slicer outside Slicer: rendering a slice view, loading a module file."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
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


REPOSITORY = Path(__file__).resolve().parents[2]


class ScriptedLoadableModule:
    """As much of Slicer's class of this name as the module files use."""

    def __init__(self, parent: Any) -> None:
        self.parent = parent
        self.moduleName = type(self).__name__


class ScriptedLoadableModuleLogic:
    """As much of Slicer's class of this name as the module files use."""

    def __init__(self, parent: Any = None) -> None:
        self.moduleName = type(self).__name__.removesuffix("Logic")


def load_module(name: str, monkeypatch: Any) -> ModuleType:
    """Return the unmodified file of a scripted module, loaded as Slicer does, with stand-ins
    for the Python modules of Slicer that slicer-core has not."""
    i18n = ModuleType("slicer.i18n")
    i18n.tr = lambda text: text
    i18n.translate = lambda _context, text: text
    scripted = ModuleType("slicer.ScriptedLoadableModule")
    scripted.ScriptedLoadableModule = ScriptedLoadableModule
    scripted.ScriptedLoadableModuleLogic = ScriptedLoadableModuleLogic
    for stand_in in (i18n, scripted):
        monkeypatch.setitem(sys.modules, stand_in.__name__, stand_in)
    spec = importlib.util.spec_from_file_location(name, REPOSITORY / name / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def module_parent() -> SimpleNamespace:
    """What Slicer passes to a module class: it collects the metadata."""
    return SimpleNamespace()
