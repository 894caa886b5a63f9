"""Slicer module: synthetic CT from T2-weighted MR. Class, widget, logic, test."""

from __future__ import annotations

from typing import Any

import qt
import slicer
import vtk
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin
from SyntheticCTMRML.module_logic import SyntheticCTLogic

README = "https://github.com/SyntheticCT/SyntheticCT#synthetic-ct"


class SyntheticCT(ScriptedLoadableModule):
    """What Slicer shows about the module."""

    def __init__(self, parent: Any) -> None:
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("Synthetic CT")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Radiotherapy")]
        self.parent.dependencies = []
        self.parent.contributors = ["SyntheticCT contributors"]
        self.parent.helpText = _(
            "Makes a synthetic CT from a T2-weighted MR of the pelvis, for MR-only radiotherapy: "
            "Nyul normalization, a trained network, registration onto a CT. For research use, "
            'not a medical device. <a href="{link}">How to use it</a>.'
        ).format(link=README)
        self.parent.acknowledgementText = _(
            "The method follows a published study of synthetic CT from T2-weighted MR by a "
            "generative adversarial network; the README names it."
        )
        slicer.app.connect("startupCompleted()", self.onStartupCompleted)
        slicer.app.connect("aboutToQuit()", self.onAboutToQuit)

    def onStartupCompleted(self) -> None:
        """Make the view layouts known, and offer the digital patient in Sample Data."""
        from SyntheticCTMRML.sample_data import register_sample_data
        from SyntheticCTMRML.temporary import tidy_at_start
        from SyntheticCTMRML.views import register_layouts

        tidy_at_start()
        register_layouts()
        if hasattr(slicer.modules, "sampledata"):
            register_sample_data(self.resourcePath("Icons/Phantom.png"))

    def onAboutToQuit(self) -> None:
        """Leave no child running, and no volumes of patients in temporary folders."""
        from SyntheticCTMRML.jobs import cancel_all
        from SyntheticCTMRML.temporary import tidy_at_quit

        cancel_all()
        tidy_at_quit()


class SyntheticCTWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel; every button is one call of the logic. It computes nothing."""

    def __init__(self, parent: Any = None) -> None:
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)

    def setup(self) -> None:
        ScriptedLoadableModuleWidget.setup(self)
        from SyntheticCTUI.job_panel import JobPanel
        from SyntheticCTUI.model_chooser import ModelChooser
        from SyntheticCTUI.narrow import narrow_all
        from SyntheticCTUI.synthesis_section import SynthesisSection
        from SyntheticCTUI.training_section import TrainingSection

        self.logic = SyntheticCTLogic()
        self._parameterNode: Any = None
        self._guiTag: Any = None
        self._entered = False
        self._reconnect = False
        widget = slicer.util.loadUI(self.resourcePath("UI/SyntheticCT.ui"))
        self.layout.addWidget(widget)
        self.ui = slicer.util.childWidgetVariables(widget)
        self._bound = {
            part.property("SlicerParameterName"): part
            for part in vars(self.ui).values()
            if part.property("SlicerParameterName")
        }
        self._nodeSettings = [
            name for name, part in self._bound.items() if hasattr(part, "setCurrentNode")
        ]
        self.jobPanel, self.model = JobPanel(), ModelChooser()
        self.ui.jobPlace.layout().addWidget(self.jobPanel.widget)
        self.ui.modelPlace.layout().addWidget(self.model.widget)
        parts = (self.ui, self.logic, self.jobPanel, lambda: self._parameterNode)
        self.synthesis = SynthesisSection(*parts, self.model)
        self.training = TrainingSection(*parts)
        narrow_all(vars(self.ui).values())
        widget.setMRMLScene(slicer.mrmlScene)
        self.training.table.setMRMLScene(slicer.mrmlScene)
        self.jobPanel.busyChanged = lambda busy: self.update()
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartImportEvent, self.onStartImport)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.NodeAddedEvent, self.onNodeAdded)
        self.addObserver(
            slicer.mrmlScene,
            slicer.mrmlScene.NodeAboutToBeRemovedEvent,
            self.onNodeAboutToBeRemoved,
            priority=1.0,  # before the selectors
        )
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.NodeRemovedEvent, self.update)
        for event in (slicer.mrmlScene.EndCloseEvent, slicer.mrmlScene.EndImportEvent):
            self.addObserver(slicer.mrmlScene, event, self.onSceneChanged)
        self.initializeParameterNode()

    def cleanup(self) -> None:
        """Cancel what is running and let go of the scene, before the panel goes."""
        self.jobPanel.cancel(wait=True)
        self.setParameterNode(None)
        self.removeObservers()

    def enter(self) -> None:
        self._entered = True
        self.initializeParameterNode()

    def exit(self) -> None:
        """Leave the module; what is running goes on."""
        self._entered = self._reconnect = False
        self.setParameterNode(None)

    def onStartClose(self, caller: Any = None, event: Any = None) -> None:
        self.jobPanel.cancel(wait=True)
        self._disconnect()

    def onStartImport(self, caller: Any = None, event: Any = None) -> None:
        """Keep selectors that are empty as yet from emptying the settings that are read."""
        self._disconnect()

    def _disconnect(self) -> None:
        # A panel of a script was perhaps never entered.
        self._reconnect = self._reconnect or self._parameterNode is not None
        self.setParameterNode(None)

    def onSceneChanged(self, caller: Any = None, event: Any = None) -> None:
        if self._entered or self._reconnect:
            self._reconnect = False
            self.initializeParameterNode()

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def onNodeAdded(self, caller: Any, event: Any, node: Any) -> None:
        """Propose a volume that has been loaded as an input, once it holds its voxels."""
        importing = slicer.mrmlScene.IsImporting()  # what was saved with a scene is not changed
        connected = self._parameterNode is not None
        if connected and not importing and node.IsA("vtkMRMLScalarVolumeNode"):
            qt.QTimer.singleShot(0, lambda: self._propose(node))

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def onNodeAboutToBeRemoved(self, caller: Any, event: Any, node: Any) -> None:
        """A role whose node goes is empty, and is not the next volume in the list."""
        from SyntheticCTUI.removed_nodes import empty_settings

        if not slicer.mrmlScene.IsClosing():
            empty_settings(self._parameterNode, self._nodeSettings, node)

    def _propose(self, node: Any) -> None:
        if self._parameterNode is not None and node.GetScene() is not None:
            self.logic.guessInputs(self._parameterNode, node)

    def initializeParameterNode(self) -> None:
        """Connect the panel with the scene's settings, with inputs guessed where there are none."""
        self.setParameterNode(self.logic.getParameterNode())
        self.logic.guessInputs(self._parameterNode)

    def setParameterNode(self, parameterNode: Any) -> None:
        """Connect the panel with settings; None disconnects it."""
        if self._parameterNode is not None:
            self._parameterNode.disconnectGui(self._guiTag)
            self.removeObserver(
                self._parameterNode.parameterNode, vtk.vtkCommand.ModifiedEvent, self.update
            )
        self._parameterNode = parameterNode
        if parameterNode is not None:
            # connectGui returns no tag to disconnect by.
            self._guiTag = parameterNode.connectParametersToGui(self._bound)
            self.addObserver(parameterNode.parameterNode, vtk.vtkCommand.ModifiedEvent, self.update)
        self.update()

    def update(self, caller: Any = None, event: Any = None) -> None:
        """Show what the settings and the scene allow."""
        self.synthesis.update()
        self.training.update()


class SyntheticCTTest(ScriptedLoadableModuleTest):
    """The whole workflow on a small digital patient, by the logic and by the panel's buttons."""

    def setUp(self) -> None:
        slicer.mrmlScene.Clear()

    def runTest(self) -> None:
        for test in (self.test_Logic, self.test_Panel):
            self.setUp()
            test()

    def test_Logic(self) -> None:
        """Normalize, generate and register as a script does."""
        mr, ct = self._patient()
        logic = SyntheticCTLogic()
        self._assertLiesOn(logic.startNormalize(mr).wait().normalized, mr)
        if self._canGenerate():
            some = self._someSlices(mr)
            sct = logic.startGenerate(some, device="cpu").wait().sct
            self._assertLiesOn(sct, some)
            self.assertIn("synthetic", sct.GetName())
            values = slicer.util.arrayFromVolume(sct)
            self.assertTrue(values.min() < -900 and values.max() > 200)
        results = logic.startRegister(ct, mr, deformable=False).wait()
        self._assertLiesOn(results.registered[mr.GetName()], ct)
        self.delayDisplay("The logic works.")

    def test_Panel(self) -> None:
        """The same by clicking."""
        mr, _ct = self._patient()
        panel = slicer.util.getModuleWidget("SyntheticCT")
        panel.enter()
        settings = panel.logic.getParameterNode()
        settings.ct = settings.mrcat = None
        self.assertIs(settings.mr, mr, "The MR is not proposed as an input.")
        settings.mr = self._someSlices(mr)
        self.assertEqual(settings.model, "demo")
        everything = self._canGenerate()
        panel.ui.normalizeSection.collapsed = False
        button = panel.ui.makeButton if everything else panel.ui.normalizeButton
        self.assertTrue(button.enabled, button.toolTip)
        button.click()
        while panel.jobPanel.busy:
            slicer.app.processEvents()
        self.assertEqual(panel.jobPanel.error, "")
        self._assertLiesOn(settings.normalizedVolume, settings.mr)
        if everything:
            self._assertLiesOn(settings.sctVolume, settings.mr)
        panel.exit()
        self.delayDisplay("The panel works.")

    def _patient(self) -> tuple[Any, Any]:
        """Return MR and CT of a digital patient."""
        from SyntheticCTMRML.sample_data import start_sample

        mr, ct, *_others = start_sample(grid="tiny").wait()
        return mr, ct

    def _someSlices(self, mr: Any) -> Any:
        """Return a few slices of an MR, which take the network a part of the time."""
        from SyntheticCTMRML.nodes import add_volume, image_from_node

        return add_volume(slicer.mrmlScene, image_from_node(mr)[:, :, 9:14], "Slices of the MR")

    def _canGenerate(self) -> bool:
        from SyntheticCTMRML.packages import missing

        absent = missing("generation")
        if absent:
            self.delayDisplay(f"Generate is not tested: {', '.join(absent)} is not installed.")
        return not absent

    def _assertLiesOn(self, node: Any, other: Any) -> None:
        matrices = [vtk.vtkMatrix4x4(), vtk.vtkMatrix4x4()]
        for volume, matrix in zip((node, other), matrices, strict=True):
            volume.GetIJKToRASMatrix(matrix)
        for row in range(4):
            for column in range(4):
                self.assertAlmostEqual(
                    matrices[0].GetElement(row, column), matrices[1].GetElement(row, column), 3
                )
        self.assertEqual(node.GetImageData().GetDimensions(), other.GetImageData().GetDimensions())
