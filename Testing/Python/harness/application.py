"""``slicer.app`` and ``slicer.modules``: as much of Slicer's application as panels use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import slicer
import vtk
from PySide6.QtCore import QCoreApplication, QSettings
from PySide6.QtWidgets import QMainWindow

from .api import module_names
from .draws import Draws
from .qt_stand_in import application as qt_application
from .qt_stand_in import make_qt, wrap

FOUR_UP = 3


class Guarded:
    """Has only names that the real thing has, too, whatever the stand-in knows of them."""

    _where = ""

    def __getattr__(self, name: str) -> Any:
        known = name in module_names(self._where)
        what = "the test harness has no stand-in for" if known else "Slicer has no"
        raise AttributeError(f"{what} {self._where}.{name}")


class SliceWidget:
    """A slice view: its nodes and its logic, without a picture on a screen."""

    def __init__(self, logic: Any) -> None:
        self._logic = logic

    def sliceLogic(self) -> Any:
        return self._logic

    def mrmlSliceNode(self) -> Any:
        return self._logic.GetSliceNode()

    def mrmlSliceCompositeNode(self) -> Any:
        return self._logic.GetSliceCompositeNode()

    def fitSliceToBackground(self) -> None:
        """As a person's click on the button: linked views follow."""
        node = self._logic.GetSliceNode()
        self._logic.StartSliceNodeInteraction(node.ResetFieldOfViewFlag)
        self._logic.FitSliceToBackground()
        node.UpdateMatrices()
        self._logic.EndSliceNodeInteraction()


class PlotWidget:
    """A plot view, which is fitted to its chart when it gets it, and then only when asked.

    Attributes:
        rows: of the tables behind the chart that it was fitted to.
    """

    def __init__(self, node: Any) -> None:
        self._node = node
        self._chart: Any = None
        self.rows = 0
        node.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self._on_node())

    def mrmlPlotViewNode(self) -> Any:
        return self._node

    def plotView(self) -> Any:
        return self

    def fitToContent(self) -> None:
        self.rows = 0
        chart = self._node.GetPlotChartNode()
        for index in range(chart.GetNumberOfPlotSeriesNodes() if chart is not None else 0):
            table = chart.GetNthPlotSeriesNode(index).GetTableNode()
            self.rows += table.GetTable().GetNumberOfRows()

    def _on_node(self) -> None:
        if self._node.GetPlotChartNode() is not self._chart:
            self._chart = self._node.GetPlotChartNode()
            self.fitToContent()


class LayoutManager:
    """Layouts and slice views of the scene."""

    def __init__(self, app: Application) -> None:
        self._app = app
        self._logic = slicer.vtkMRMLLayoutLogic()
        self._logic.SetMRMLScene(app.scene)
        self._slices: dict[str, SliceWidget] = {}
        self._plot_widgets: dict[str, PlotWidget] = {}
        self._tag = self._logic.GetLayoutNode().AddObserver(
            vtk.vtkCommand.ModifiedEvent, lambda *_: self._arrange()
        )
        self.setLayout(FOUR_UP)

    def close(self) -> None:
        self._logic.GetLayoutNode().RemoveObserver(self._tag)
        # Emptying a scene under a layout logic crashes.
        for widget in self._slices.values():
            widget.sliceLogic().SetMRMLScene(None)
        self._slices.clear()
        self._logic.SetMRMLScene(None)

    def layoutLogic(self) -> Any:
        return self._logic

    @property
    def layout(self) -> int:
        return self._logic.GetLayoutNode().GetViewArrangement()

    def setLayout(self, layout: int) -> None:
        self._logic.GetLayoutNode().SetViewArrangement(layout)

    def _arrange(self) -> None:
        self._make_slices()
        shown = self._logic.GetViewNodes()
        names = {shown.GetItemAsObject(n).GetName() for n in range(shown.GetNumberOfItems())}
        for widget in self._slices.values():
            mapped = widget.mrmlSliceNode().GetName() in names
            widget.mrmlSliceNode().SetMappedInLayout(mapped)

    def _make_slices(self) -> None:
        for index in range(self._app.scene.GetNumberOfNodesByClass("vtkMRMLSliceNode")):
            node = self._app.scene.GetNthNodeByClass(index, "vtkMRMLSliceNode")
            name = node.GetLayoutName()
            if name in self._slices:
                continue
            logic = slicer.vtkMRMLSliceLogic()
            logic.SetMRMLApplicationLogic(self._app.applicationLogic())
            logic.SetMRMLScene(self._app.scene)
            logic.SetSliceNode(node)
            logic.ResizeSliceNode(256, 256)
            self._slices[name] = SliceWidget(logic)

    def sliceViewNames(self) -> list[str]:
        self._make_slices()
        return list(self._slices)

    def sliceWidget(self, name: str) -> Any:
        self._make_slices()
        return self._slices.get(name)

    def mrmlSliceLogics(self) -> Any:
        self._make_slices()
        logics = vtk.vtkCollection()
        for widget in self._slices.values():
            logics.AddItem(widget.sliceLogic())
        return logics

    def resetSliceViews(self) -> None:
        for widget in self._slices.values():
            widget.fitSliceToBackground()

    threeDViewCount = 0
    tableViewCount = 0

    @property
    def plotViewCount(self) -> int:
        return len(self._plots())

    def plotWidget(self, index: int) -> Any:
        return self._plots()[index]

    def _plots(self) -> list[PlotWidget]:
        count = self._app.scene.GetNumberOfNodesByClass("vtkMRMLPlotViewNode")
        for index in range(count):
            node = self._app.scene.GetNthNodeByClass(index, "vtkMRMLPlotViewNode")
            self._plot_widgets.setdefault(node.GetLayoutName(), PlotWidget(node))
        return list(self._plot_widgets.values())

    def resetThreeDViews(self) -> None:
        """There are no 3D views here."""


class Application(Guarded):
    """``slicer.app``.

    Args:
        scene: the MRML scene.
        folder: for settings, temporary files and Slicer's home.
        main_window: whether there are a main window and a layout manager.
    """

    _where = "slicer.app"
    applicationName = "Slicer"
    applicationVersion = "5.12.3"
    majorVersion = 5
    minorVersion = 12
    mainApplicationName = "Slicer"
    documentationBaseUrl = "https://slicer.readthedocs.io/en/latest"

    def __init__(self, scene: Any, application_logic: Any, folder: Path, main_window: bool) -> None:
        self.scene = scene
        self._logic = application_logic
        _settings_in(folder)
        self._settings = make_qt().QSettings()
        self._manager = ModuleManager()
        self._window = wrap(MainWindow(self._manager)) if main_window else None
        self._layouts = LayoutManager(self) if main_window else None
        self.temporaryPath = str(folder)
        self.cachePath = str(folder / "cache")
        self.slicerHome = str(folder / "home")
        self.testing = False
        self.draws = Draws(scene)
        self._at_startup: list[Any] = []
        self._at_quit: list[Any] = []

    def connect(self, signature: str, function: Any) -> bool:
        """Remember what is to be called when all modules are there, and when Slicer quits."""
        waiting = {"startupCompleted()": self._at_startup, "aboutToQuit()": self._at_quit}
        assert signature in waiting, f"the test harness does not emit {signature}"
        waiting[signature].append(function)
        return True

    def quit(self) -> None:
        """Call what waits for the signal aboutToQuit()."""
        waiting, self._at_quit = self._at_quit, []
        for function in waiting:
            function()

    def complete_startup(self) -> None:
        """Call what waits for the signal startupCompleted()."""
        waiting, self._at_startup = self._at_startup, []
        for function in waiting:
            function()

    def close(self) -> None:
        self.draws.close()
        if self._layouts is not None:
            self._layouts.close()
            self._window.delete()

    def mrmlScene(self) -> Any:
        return self.scene

    def applicationLogic(self) -> Any:
        return self._logic

    def layoutManager(self) -> Any:
        return self._layouts

    def moduleManager(self) -> Any:
        return self._manager

    def processEvents(self) -> None:
        qt_application().processEvents()

    def testingEnabled(self) -> bool:
        return self.testing

    def userSettings(self) -> Any:
        return self._settings

    def settings(self) -> Any:
        return self._settings

    def topLevelWidgets(self) -> list[Any]:
        return [self._window] if self._window is not None else []

    def setOverrideCursor(self, cursor: Any) -> None:
        qt_application().setOverrideCursor(cursor)

    def restoreOverrideCursor(self) -> None:
        qt_application().restoreOverrideCursor()

    def pauseRender(self) -> None:
        self.draws.pause()

    def resumeRender(self) -> None:
        self.draws.resume()

    def clipboard(self) -> Any:
        return wrap(qt_application().clipboard())


class Module:
    """A module of Slicer, in ``slicer.modules``."""

    def __init__(self, name: str, path: str = "", logic: Any = None) -> None:
        self.name = name
        self.title = name
        self.path = path
        self._logic = logic

    def logic(self) -> Any:
        return self._logic


class ScriptedModule(Module):
    """A module written in Python; ``parent`` of its module class.

    Args:
        open_panel: makes the widget, when it is asked for first.
    """

    def __init__(self, name: str, path: str, open_panel: Callable[[], Any]) -> None:
        super().__init__(name, path)
        self._open_panel = open_panel
        self._widget: Any = None

    def widgetRepresentation(self) -> Any:
        if self._widget is None:
            self._widget = WidgetRepresentation(self._open_panel())
        return self._widget


class WidgetRepresentation:
    """What stands for the panel of a scripted module in C++."""

    def __init__(self, panel: Any) -> None:
        self._panel = panel

    def self(self) -> Any:
        return self._panel


class ModuleManager:
    """The scripted modules that are loaded, and which one is shown."""

    def __init__(self) -> None:
        self.loaded: dict[str, Any] = {}
        self.selected = ""

    def module(self, name: str) -> Any:
        return self.loaded.get(name)

    def modulesNames(self) -> list[str]:
        return list(self.loaded)

    def selectModule(self, name: str) -> None:
        """Leave the module that is shown and enter another one."""
        left = self.loaded.get(self.selected)
        self.selected = name
        if left is not None and hasattr(left.widgetRepresentation().self(), "exit"):
            left.widgetRepresentation().self().exit()
        panel = self.loaded[name].widgetRepresentation().self()
        if hasattr(panel, "enter"):
            panel.enter()


class MainWindow(QMainWindow):
    """Slicer's main window, with nothing in it."""

    def __init__(self, manager: ModuleManager) -> None:
        super().__init__()
        self.setObjectName("qSlicerMainWindow")
        self._manager = manager

    def moduleSelector(self) -> ModuleManager:
        return self._manager


class Modules(Guarded):
    """``slicer.modules``; what is not set is not there, as without its extension."""

    _where = "slicer.modules"


def _settings_in(folder: Path) -> None:
    """Keep the settings of this Slicer away from those of whoever runs the tests."""
    QCoreApplication.setOrganizationName("NA-MIC")
    QCoreApplication.setApplicationName("Slicer")
    QSettings.setDefaultFormat(QSettings.IniFormat)
    QSettings.setPath(QSettings.IniFormat, QSettings.UserScope, str(folder))
