"""``slicer.ScriptedLoadableModule``, ``slicer.i18n``, ``slicer.cli``, ``slicer.packaging``,
``SampleData``."""

from __future__ import annotations

import importlib
import logging
import unittest
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any


class ScriptedLoadableModule:
    """Collects what a module says about itself."""

    def __init__(self, parent: Any) -> None:
        self.parent = parent
        self.moduleName = type(self).__name__

    def resourcePath(self, filename: str) -> str:
        return str(Path(self.parent.path).parent / "Resources" / filename)

    def getDefaultModuleDocumentationLink(self, docPage: str | None = None) -> str:
        return ""

    def runTest(self, msec: int = 100, **kwargs: Any) -> None:
        module = importlib.import_module(type(self).__module__)
        getattr(module, f"{self.moduleName}Test")().runTest(**kwargs)


class ScriptedLoadableModuleWidget:
    """The panel of a module: ``parent`` is the widget, ``layout`` where the panel goes."""

    def __init__(self, parent: Any = None) -> None:
        super().__init__()
        import qt
        import slicer

        self.moduleName = type(self).__name__.removesuffix("Widget")
        self.developerMode = False
        self.parent = parent
        if not parent:
            self.parent = slicer.qMRMLWidget()
            self.parent.setLayout(qt.QVBoxLayout())
            self.parent.setMRMLScene(slicer.mrmlScene)
        self.layout = self.parent.layout()
        if not parent:
            self.setup()
            self.parent.show()

    def resourcePath(self, filename: str) -> str:
        import slicer

        return str(Path(slicer.util.modulePath(self.moduleName)).parent / "Resources" / filename)

    def setup(self) -> None:
        """Derived classes build the panel here."""

    def cleanup(self) -> None:
        """Derived classes tidy up here, before the panel goes."""


class ScriptedLoadableModuleLogic:
    """The logic of a module; finds or makes its parameter node in the scene."""

    def __init__(self, parent: Any = None) -> None:
        super().__init__()
        self.moduleName = type(self).__name__.removesuffix("Logic")
        self.isSingletonParameterNode = True

    def getParameterNode(self) -> Any:
        import slicer

        if self.isSingletonParameterNode:
            kind = "vtkMRMLScriptedModuleNode"
            node = slicer.mrmlScene.GetSingletonNode(self.moduleName, kind)
            if node is not None:
                # Closing a scene takes the attribute away.
                node.SetAttribute("ModuleName", self.moduleName)
                return node
        else:
            known = self.getAllParameterNodes()
            if known:
                return known[0]
        return slicer.mrmlScene.AddNode(self.createParameterNode())

    def getAllParameterNodes(self) -> list[Any]:
        import slicer

        nodes = slicer.util.getNodesByClass("vtkMRMLScriptedModuleNode")
        return [node for node in nodes if node.GetAttribute("ModuleName") == self.moduleName]

    def createParameterNode(self) -> Any:
        import slicer

        node = slicer.vtkMRMLScriptedModuleNode()
        if self.isSingletonParameterNode:
            node.SetSingletonTag(self.moduleName)
        node.SetAttribute("ModuleName", self.moduleName)
        node.SetName(slicer.mrmlScene.GenerateUniqueName(self.moduleName))
        return node


class ScriptedLoadableModuleTest(unittest.TestCase):
    """A module's own tests."""

    def delayDisplay(self, message: str, requestedDelay: Any = None, msec: Any = None) -> None:
        import slicer

        logging.info(message)
        slicer.app.processEvents()

    def runTest(self) -> None:
        logging.warning("No test is defined in %s", type(self).__name__)


def make_scripted() -> ModuleType:
    return _module(
        "slicer.ScriptedLoadableModule",
        ScriptedLoadableModule=ScriptedLoadableModule,
        ScriptedLoadableModuleWidget=ScriptedLoadableModuleWidget,
        ScriptedLoadableModuleLogic=ScriptedLoadableModuleLogic,
        ScriptedLoadableModuleTest=ScriptedLoadableModuleTest,
    )


class Translations:
    """``slicer.i18n.tr``, counted: Slicer's own reads the caller's file at every call.

    Attributes:
        count: calls.
    """

    def __init__(self) -> None:
        self.count = 0

    def tr(self, text: str) -> str:
        self.count += 1
        return text


def make_i18n(translations: Translations) -> ModuleType:
    return _module(
        "slicer.i18n", tr=translations.tr, translate=lambda context, text: translations.tr(text)
    )


class CommandLineModules:
    """Command line modules of Slicer that a test provides, as functions.

    ``functions[module]`` is called with the node and the parameters by the event loop, and
    sets what the real program would.
    """

    def __init__(self) -> None:
        self.functions: dict[Any, Any] = {}

    def run(
        self,
        module: Any,
        node: Any = None,
        parameters: dict | None = None,
        wait_for_completion: bool = False,
        delete_temporary_files: bool = True,
        update_display: bool = True,
    ) -> Any:
        import qt
        import slicer

        assert module in self.functions, "the test has no such command line module"
        if node is None:
            node = slicer.vtkMRMLCommandLineModuleNode()
            node.SetName(module.name)
            slicer.mrmlScene.AddNode(node)
        node.SetStatus(node.Scheduled)

        def work() -> None:
            if node.GetStatus() in (node.Cancelling, node.Cancelled):
                node.SetStatus(node.Cancelled)
                return
            node.SetStatus(node.Running)
            self.functions[module](node, parameters or {})
            if node.GetStatus() == node.Running:
                node.SetStatus(node.Completed)

        if wait_for_completion:
            work()
        else:
            qt.QTimer.singleShot(0, work)
        return node

    def runSync(self, module: Any, node: Any = None, parameters: dict | None = None) -> Any:
        return self.run(module, node, parameters, wait_for_completion=True)


def make_cli(modules: CommandLineModules) -> ModuleType:
    return _module("slicer.cli", run=modules.run, runSync=modules.runSync)


class Packages:
    """Installs nothing, and records what was asked for.

    Attributes:
        installed: requirements that were to be installed, in order.
        refused: error that an install raises, None where it goes well.
    """

    def __init__(self) -> None:
        self.installed: list[str] = []
        self.refused: Exception | None = None

    def pip_install(self, requirements: Any, **_options: Any) -> None:
        wanted = [requirements] if isinstance(requirements, str) else requirements
        self.installed += [str(requirement) for requirement in wanted]
        if self.refused is not None:
            raise self.refused

    def pip_ensure(self, requirements: Any, **options: Any) -> None:
        missing = [item for item in requirements if not self.pip_check(item)]
        if missing:
            self.pip_install(missing, **options)

    def pip_check(self, requirements: Any, **_options: Any) -> bool:
        from importlib.metadata import PackageNotFoundError, version

        from packaging.requirements import Requirement

        items = requirements if isinstance(requirements, list | tuple) else [requirements]
        try:
            return all(
                Requirement(str(item)).specifier.contains(
                    version(Requirement(str(item)).name), prereleases=True
                )
                for item in items
            )
        except PackageNotFoundError:
            return False


def make_packaging(packages: Packages) -> ModuleType:
    from packaging.requirements import Requirement

    return _module(
        "slicer.packaging",
        pip_install=packages.pip_install,
        pip_ensure=packages.pip_ensure,
        pip_check=packages.pip_check,
        load_requirements=_load_requirements,
        Requirement=Requirement,
    )


def _load_requirements(path: Any) -> list[Any]:
    from packaging.requirements import Requirement

    lines = [line.partition("#")[0].strip() for line in Path(path).read_text().splitlines()]
    return [Requirement(line) for line in lines if line]


class SampleDataLogic:
    """Of the module SampleData: keeps what is offered."""

    @staticmethod
    def registerCustomSampleDataSource(
        category: str = "Custom", sampleName: str | None = None, **source: Any
    ) -> None:
        import slicer

        sources = slicer.modules.sampleDataSources.setdefault(category, [])
        sources.append(SimpleNamespace(sampleName=sampleName, **source))


def make_sample_data() -> ModuleType:
    return _module("SampleData", SampleDataLogic=SampleDataLogic)


def _module(name: str, **contents: Any) -> ModuleType:
    module = ModuleType(name)
    vars(module).update(contents)
    return module
