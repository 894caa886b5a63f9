"""The module's panel: binds its parts to the scene and starts the work."""

from __future__ import annotations

from typing import Any

import qt
import slicer
import vtk
from slicer.i18n import tr as _
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleWidget
from slicer.util import VTKObservationMixin
from SyntheticCTEvalMRML.parameters import alive


class SyntheticCTEvalWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel: settings, job, results, review, export, cohort. It computes nothing."""

    def __init__(self, parent: Any = None) -> None:
        # In this order: without a parent the base class calls setup(), which adds observers.
        VTKObservationMixin.__init__(self)
        ScriptedLoadableModuleWidget.__init__(self, parent)

    def setup(self) -> None:
        ScriptedLoadableModuleWidget.setup(self)
        from SyntheticCTEvalMRML.evaluation_nodes import ANCHOR, ANCHOR_CLASS
        from SyntheticCTEvalMRML.module_logic import SyntheticCTEvalLogic
        from SyntheticCTUI.job_panel import JobPanel
        from SyntheticCTUI.narrow import narrow_all

        from .files_section import FilesSection
        from .inputs_section import InputsSection
        from .review_section import ReviewSection

        self.parameters: Any = None
        self._guiTag: Any = None
        self._updating, self._shown = False, True
        self._needsCt = _("Choose the true CT")
        widget = slicer.util.loadUI(self.resourcePath("UI/SyntheticCTEval.ui"))
        self.layout.addWidget(widget)
        self.ui = slicer.util.childWidgetVariables(widget)
        self.logic = SyntheticCTEvalLogic()
        self.jobPanel, self.cohortPanel = JobPanel(), JobPanel()
        self.inputs = InputsSection(self.ui, self._parametersNow)
        self.review = ReviewSection(self.ui, self.logic, self._parametersNow)
        self.files = FilesSection(self.ui, self.logic, self._parametersNow, self.cohortPanel)
        self.ui.evaluationJobFrame.layout().addWidget(self.jobPanel.widget)
        self.jobPanel.busyChanged = lambda busy: self.update()
        narrow_all(vars(self.ui).values())
        self.ui.evaluationSelector.addAttribute(ANCHOR_CLASS, ANCHOR)
        widget.setMRMLScene(slicer.mrmlScene)
        self.ui.evaluateButton.connect("clicked()", self.onEvaluate)
        self.ui.readRtButton.connect("clicked()", self.onReadRt)
        for event, function in (
            (slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose),
            (slicer.mrmlScene.EndCloseEvent, self.onSceneEnd),
            (slicer.mrmlScene.StartImportEvent, self.onSceneStartImport),
            (slicer.mrmlScene.EndImportEvent, self.onSceneEnd),
            (slicer.mrmlScene.NodeRemovedEvent, self.onNodeRemoved),
        ):
            self.addObserver(slicer.mrmlScene, event, function)
        self.addObserver(
            slicer.mrmlScene,
            slicer.mrmlScene.NodeAboutToBeRemovedEvent,
            self.onNodeAboutToBeRemoved,
            priority=1.0,  # before the selectors
        )
        self._connect()

    def cleanup(self) -> None:
        """Leave nothing running behind."""
        self.jobPanel.cancel(wait=True)
        self.cohortPanel.cancel(wait=True)
        self.review.useKeys(False)
        self._disconnect()
        self.removeObservers()

    def enter(self) -> None:
        self._shown = True
        self.review.useKeys(True)
        if self.parameters is None:
            self._connect()
        self.logic.guessInputs(self.parameters)

    def exit(self) -> None:
        """Leave the module; what is running goes on."""
        self._shown = False
        self.review.useKeys(False)
        self._disconnect()

    def onEvaluate(self) -> None:
        """Start the evaluation that the panel describes."""
        self.jobPanel.run(
            lambda listener: self.logic.startEvaluation(
                **self.inputs.arguments(), show=lambda: self._shown, listener=listener
            ),
            self.onEvaluated,
        )

    def onReadRt(self) -> None:
        """Read RTDOSE, RTSTRUCT and RTPLAN files that the user chooses."""
        paths = qt.QFileDialog.getOpenFileNames(
            slicer.util.mainWindow(), _("RTDOSE, RTSTRUCT and RTPLAN files"), "", "DICOM (*)"
        )
        if paths:
            self.jobPanel.run(
                lambda listener: self.logic.startReadRtFiles(
                    list(paths), self.parameters.ct, listener
                ),
                self.onRtRead,
            )

    def onRtRead(self, found: Any) -> None:
        """Choose what was read where nothing is chosen; which dose is whose, the user says."""
        parameters = self.parameters or self.logic.getParameterNode()
        if found.structures and alive(parameters.structures) is None:
            parameters.structures = found.structures[0]
        if len(found.doses) == 1 and alive(parameters.referenceDose) is None:
            parameters.referenceDose = found.doses[0]
        if found.prescription_gy and not parameters.prescription:
            parameters.prescription = found.prescription_gy
        if len(found.plans) == 1 and not parameters.plan:
            parameters.plan = found.plans[0]
            if self.parameters is not None:
                self.files.showPaths()
        self.update()

    def onEvaluated(self, result: Any) -> None:
        """Show the evaluation that has ended, also when the module was left meanwhile."""
        from SyntheticCTMRML.views import one_drawing

        self.review.quiet = not self._shown
        try:
            if self.parameters is None:
                self._connect()
            for section in ("inputs", "dose", "criteria"):
                getattr(self.ui, f"{section}CollapsibleButton").collapsed = True
            with one_drawing():
                self.review.showNew(result[1].metrics, arrange=self._shown)
                self.update()
            self.jobPanel.shownElsewhere(self.logic.warnings(result[1].metrics))
        finally:  # else the panel would show nothing any more
            self.review.quiet = False
            if not self._shown:
                self._disconnect()

    def onSceneStartClose(self, caller: Any, event: Any) -> None:
        self.jobPanel.cancel()
        self._disconnect()

    def onSceneStartImport(self, caller: Any, event: Any) -> None:
        """Keep the panel from writing into settings that are being loaded."""
        self._disconnect()
        self.inputs.candidates.clear()

    def onSceneEnd(self, caller: Any, event: Any) -> None:
        """Show a scene that has been closed or loaded, its views as they were saved."""
        if self._shown:
            self._disconnect()
            self._connect()
            if self.parameters.evaluation is not None:
                self.review.open()

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def onNodeAboutToBeRemoved(self, caller: Any, event: Any, node: Any) -> None:
        """A role whose node goes is empty, and is not the next volume in the list."""
        from SyntheticCTUI.removed_nodes import empty_settings

        if self.parameters is not None and not slicer.mrmlScene.IsClosing():
            selectors = self._boundWidgets().items()
            names = [name for name, part in selectors if hasattr(part, "setCurrentNode")]
            empty_settings(self.parameters, names, node)
            self.inputs.candidates.forget(node)

    def onNodeRemoved(self, caller: Any, event: Any) -> None:
        self.update()

    def update(self, caller: Any = None, event: Any = None) -> None:
        """Show what the parameter node says."""
        if self.parameters is None or self._updating:
            return
        from SyntheticCTUI.buttons import allow

        self._updating = True
        try:
            self.inputs.update()
            self.review.update()
            self.files.update()
            missing = self.inputs.whatIsMissing()
            ct = alive(self.parameters.ct)
            needed = "" if ct is not None else self._needsCt
            allow(self.ui.readRtButton, not needed and not self.jobPanel.busy, needed)
            self.ui.evaluateButton.enabled = not missing and not self.jobPanel.busy
            self.ui.evaluateButton.toolTip = missing or _(
                "Compare every candidate with the true CT, in a process of its own; Slicer can be "
                "used meanwhile"
            )
        finally:
            self._updating = False

    def _boundWidgets(self) -> dict[str, Any]:
        """Widgets by the parameter that the .ui file binds them to."""
        bound = {w.property("SlicerParameterName"): w for w in vars(self.ui).values()}
        return {name: widget for name, widget in bound.items() if name}

    def _parametersNow(self) -> Any:
        return self.parameters

    def _connect(self) -> None:
        """Bind the panel to the scene's parameter node."""
        self.parameters = self.logic.getParameterNode()
        if alive(self.parameters.evaluation) is None:
            self.parameters.evaluation = next(iter(self.logic.evaluations()), None)
        self.review.forget()
        # connectGui() does the same, but tells no tag by which it could be undone.
        self._guiTag = self.parameters.connectParametersToGui(self._boundWidgets())
        self.files.showPaths()
        self.addObserver(self.parameters, vtk.vtkCommand.ModifiedEvent, self.update)
        self.update()

    def _disconnect(self) -> None:
        if self.parameters is not None:
            self.parameters.disconnectGui(self._guiTag)
            self.removeObserver(self.parameters, vtk.vtkCommand.ModifiedEvent, self.update)
            self.parameters = None
