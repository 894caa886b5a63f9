"""A running stand-in of Slicer: loads module files, opens panels, clicks."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
import time
import unittest
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from places import module_folder

from .scenes import new_scene, read_bundle


class Slicer:
    """What a test does as a person would.

    Attributes:
        scene: the MRML scene, which is ``slicer.mrmlScene``.
        app: ``slicer.app``.
        modules: ``slicer.modules``; set an attribute to provide a module.
        dialogs: what was asked and shown, and the answers that wait.
        cli: command line modules that the test provides.
        packages: what was to be installed.
        translations: counts what was translated.
        draws: counts draws of slice views, and events of the scene.
        dicom_database: ``slicer.dicomDatabase``, closed at first.
    """

    def __init__(self, folder: Path, main_window: bool = True) -> None:
        from .application import Application, Module, Modules
        from .dialogs import DIALOGS
        from .dicom_database import DicomDatabase
        from .qt_stand_in import errors
        from .scripted_modules import CommandLineModules, Packages, Translations

        self.folder = folder
        self.scene, logic = new_scene()
        self.app = Application(self.scene, logic, folder, main_window)
        self.modules = Modules()
        self.modules.sampleDataSources = {}
        self.modules.sampledata = Module("SampleData")
        self.modules.colors = Module("Colors", logic=logic.GetColorLogic())
        for name in ("Volumes", "Segmentations", "SubjectHierarchy", "Tables", "Plots"):
            setattr(self.modules, name.lower(), Module(name, logic=logic.GetModuleLogic(name)))
        self.dialogs = DIALOGS
        self.dialogs.clear()
        self.cli = CommandLineModules()
        self.packages = Packages()
        self.translations = Translations()
        self.draws = self.app.draws
        self.dicom_database = DicomDatabase(folder)
        self.panels: list[Any] = []
        self.loaded: set[str] = set()
        self._closed = False
        self._errors = errors
        self._errors.clear()

    def load_module(self, name: str, folder: Path | None = None) -> ModuleType:
        """Return the unmodified file of a scripted module, loaded as Slicer does at its start.

        What the module says about itself is in ``modules``, under its name in small letters.

        Args:
            folder: where it is; by default where the repository has it.
        """
        from .application import ScriptedModule

        path = (folder or module_folder(name)) / f"{name}.py"
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        self.loaded.add(name)
        spec.loader.exec_module(module)
        parent = ScriptedModule(name, str(path), lambda: self._make_panel(module, name))
        setattr(self.modules, name.lower(), parent)
        self.app.moduleManager().loaded[name] = parent
        getattr(module, name)(parent)
        self.app.complete_startup()
        return module

    def sample(self, name: str) -> Any:
        """Load something from the Sample Data module, as a click on its button does."""
        (source,) = [
            source
            for sources in self.modules.sampleDataSources.values()
            for source in sources
            if source.sampleName == name
        ]
        return source.customDownloader(source)

    def open_panel(self, name: str, folder: Path | None = None) -> Any:
        """Return the widget of a module as after a click on it in Slicer's menu."""
        manager = self.app.moduleManager()
        if manager.module(name) is None:
            self.load_module(name, folder)
        manager.selectModule(name)
        self.process_events()
        return manager.module(name).widgetRepresentation().self()

    def _make_panel(self, module: ModuleType, name: str) -> Any:
        import qt
        import slicer

        parent = slicer.qMRMLWidget()
        parent.setLayout(qt.QVBoxLayout())
        parent.setMRMLScene(self.scene)
        panel = getattr(module, f"{name}Widget")(parent)
        panel.setup()
        setattr(self.modules, f"{name}Widget", panel)
        self.panels.append(panel)
        parent.resize(520, 900)
        parent.show()
        return panel

    def leave(self, panel: Any) -> None:
        """Go to another module."""
        self.app.moduleManager().selected = ""
        if hasattr(panel, "exit"):
            panel.exit()
        self.process_events()

    def run_self_test(self, name: str) -> None:
        """Run the tests that a module brings along, as Slicer does."""
        if name not in self.loaded:
            self.load_module(name)
        tests = unittest.defaultTestLoader.loadTestsFromTestCase(
            getattr(sys.modules[name], f"{name}Test")
        )
        assert tests.countTestCases()
        self.app.testing = True
        result = unittest.TestResult()
        tests.run(result)
        self.app.testing = False
        for _test, text in result.failures + result.errors:
            raise AssertionError(text)
        self.process_events()

    def process_events(
        self, until: Callable[[], bool] | None = None, timeout_s: float = 30.0
    ) -> float:
        """Run the event loop once, or until a condition holds; AssertionError when too late.

        Returns:
            How long the window did not answer at most, in seconds.
        """
        end = time.monotonic() + timeout_s
        longest = self._turn()
        while until is not None and not until():
            assert time.monotonic() < end, f"still waiting after {timeout_s} s"
            time.sleep(0.005)
            longest = max(longest, self._turn())
        return longest

    def _turn(self) -> float:
        begin = time.monotonic()
        self.app.processEvents()
        self.raise_errors()
        return time.monotonic() - begin

    def raise_errors(self) -> None:
        """Raise what a function that Qt has called has raised."""
        if self._errors:
            error = self._errors[0]
            self._errors.clear()
            raise error

    def click(self, button: Any) -> None:
        """Click a button that a person could click: shown and enabled."""
        name = button.name or button.text
        assert button.isVisibleTo(button.window()), f"{name} is not shown"
        assert button.enabled, f"{name} is disabled: {button.toolTip}"
        button.click()
        self.process_events()

    def screenshot(self, widget: Any, path: Any) -> Path:
        """Write what a widget, or a panel, shows as a PNG."""
        widget = getattr(widget, "parent", widget) if not hasattr(widget, "_qt") else widget
        self.process_events()
        assert widget.grab().save(str(path))
        return Path(path)

    def close_scene(self) -> None:
        """Close the scene, as File, Close Scene."""
        self.scene.Clear(0)
        self.process_events()

    def save_scene(self, path: Any) -> Path:
        """Save the scene as a bundle (.mrb)."""
        assert self.scene.WriteToMRB(str(path))
        return Path(path)

    def load_scene(self, path: Any) -> None:
        """Close the scene and load another one (.mrb)."""
        self.close_scene()
        read_bundle(self.scene, path, self.folder / "cache")
        self.process_events()

    def close(self) -> None:
        """Quit: the panels tidy up, and then the scene goes."""
        from .mrml_widgets import stop_observing

        if self._closed:
            return
        self._closed = True
        try:
            for panel in self.panels:
                panel.cleanup()
                panel.parent.delete()
            self.raise_errors()
        finally:
            self.app.quit()
            self.app.close()
            self.scene.Clear(1)
            stop_observing()
            self.scene.RemoveAllObservers()
        self.raise_errors()  # of what outlives its panel


@contextlib.contextmanager
def open_slicer(folder: Path, main_window: bool = True) -> Iterator[Slicer]:
    """Put ``qt``, ``ctk`` and what slicer-core lacks of ``slicer`` in place, and take it away.

    Args:
        folder: for settings and temporary files.
        main_window: False is ``Slicer --no-main-window``: no layout manager, no messages.
    """
    import slicer

    from . import scripted_modules as scripted
    from .application import ScriptedModule, WidgetRepresentation
    from .ctk_stand_in import make_ctk
    from .mrml_views import mrml_widgets
    from .parameter_nodes import make_parameter_node_wrapper
    from .qt_stand_in import application, make_qt, wrapper_class
    from .ui_files import Loader

    application()
    session = Slicer(folder, main_window)
    parts = {
        "ScriptedLoadableModule": scripted.make_scripted(),
        "i18n": scripted.make_i18n(session.translations),
        "cli": scripted.make_cli(session.cli),
        "packaging": scripted.make_packaging(session.packages),
        "parameterNodeWrapper": make_parameter_node_wrapper(),
    }
    modules = {f"slicer.{name}": part for name, part in parts.items()}
    modules |= {"qt": make_qt(), "ctk": make_ctk(), "SampleData": scripted.make_sample_data()}
    modules["qt"].QUiLoader = wrapper_class(Loader)
    names: dict[str, Any] = {
        **parts,
        **mrml_widgets(),
        "qSlicerScriptedLoadableModule": ScriptedModule,
        "qSlicerScriptedLoadableModuleWidget": WidgetRepresentation,
        "mrmlScene": session.scene,
        "app": session.app,
        "modules": session.modules,
        "dicomDatabase": session.dicom_database,
    }
    before = {name: sys.modules.get(name) for name in modules}
    path = list(sys.path)
    sys.path += [str(module_folder(name)) for name in ("SyntheticCT", "SyntheticCTEval")]
    for name, value in names.items():
        setattr(slicer, name, value)
    sys.modules.update(modules)
    try:
        with contextlib.closing(session):
            yield session
    finally:
        sys.path[:] = path
        _forget(session.loaded, modules)
        for name, module in before.items():
            if module is not None:
                sys.modules[name] = module
        for name in names:
            delattr(slicer, name)


def _forget(loaded: set[str], stand_ins: dict[str, ModuleType]) -> None:
    """Have the module files, the stand-ins, and what has imported them, imported anew."""
    qt_and_ctk = (stand_ins["qt"], stand_ins["ctk"])
    for name, module in list(sys.modules.items()):
        # Only of plain modules: others, such as pymedphys' aliases, import what they stand for.
        imported = type(module) is ModuleType and any(
            vars(module).get(known.__name__) is known for known in qt_and_ctk
        )
        if name in loaded or name in stand_ins or imported:
            del sys.modules[name]
