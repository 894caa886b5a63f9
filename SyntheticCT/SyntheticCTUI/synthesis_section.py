"""The part of the panel that makes, shows and registers a synthetic CT."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import qt
import slicer
from slicer.i18n import tr as _
from SyntheticCTMRML.charts import histogram_charts
from SyntheticCTMRML.export_job import mr_series
from SyntheticCTMRML.roles import role_fault

from .buttons import allow

if TYPE_CHECKING:
    from SyntheticCTMRML.synthesis import Results

_INPUTS = ("mr", "ct", "mrcat")
_OUTPUTS = ("normalizedVolume", "sctVolume", "uncertaintyVolume", "registeredVolume")


class SynthesisSection:
    """Inputs, model, the steps and the view.

    Args:
        ui: widgets of the .ui file.
        logic: of the module.
        jobPanel: runs the jobs.
        parameters: returns the parameter node, None without one.
        model: chooser of the model.
    """

    def __init__(
        self, ui: Any, logic: Any, jobPanel: Any, parameters: Callable[[], Any], model: Any
    ) -> None:
        self._ui, self._logic, self._jobPanel = ui, logic, jobPanel
        self._parameters, self._model = parameters, model
        self._used = _("used: {device}")  # not translated at every report of progress
        model.changed = self._onModel
        for button, function in (
            (ui.makeButton, self.onMake),
            (ui.normalizeButton, self.onNormalize),
            (ui.generateButton, self.onGenerate),
            (ui.registerButton, self.onRegister),
            (ui.sideBySideButton, self.onSideBySide),
            (ui.overlayButton, self.onOverlay),
            (ui.uncertaintyButton, self.onUncertainty),
            (ui.histogramsButton, self.onHistograms),
            (ui.removeResultsButton, self.onRemoveResults),
            (ui.exportButton, self.onExport),
        ):
            button.connect("clicked()", function)
        ui.opacitySlider.connect("valueChanged(double)", self.onOpacity)

    def update(self) -> None:
        """Show what the settings allow, and the card of the model."""
        ui, parameters, idle = self._ui, self._parameters(), not self._jobPanel.busy
        ready = parameters is not None and idle
        mr = self._get("mr")
        if parameters is not None:
            self._refuseInputs(parameters)
            self._model.setModel(parameters.model)
            self._model.showCard(mr)
        unfit = role_fault(mr, self._get("ct"), self._get("mrcat")) if parameters else ""
        needs = unfit or ("" if mr else _("Choose an MR first"))
        for button, sentence in (
            (ui.makeButton, needs),
            (ui.normalizeButton, needs),
            (ui.generateButton, needs),
            (ui.registerButton, self._registerNeeds()),
        ):
            allow(button, ready and not sentence, sentence)
        shown = mr is not None and self._get("sctVolume") is not None
        for button in (ui.sideBySideButton, ui.overlayButton):
            allow(button, shown, _("Make a synthetic CT first"))
        made = self._get("sctVolume") is not None
        allow(ui.exportButton, ready and made, _("Make a synthetic CT first"))
        uncertain = mr is not None and self._get("uncertaintyVolume") is not None
        allow(ui.uncertaintyButton, uncertain, _("Make an uncertainty map first"))
        normalized = self._get("normalizedVolume")
        charts = histogram_charts(normalized) if normalized is not None else []
        allow(ui.histogramsButton, mr is not None and charts, _("Normalize the MR first"))
        allow(ui.removeResultsButton, ready and bool(mr), _("Choose an MR first"))
        ui.deformableEngineComboBox.enabled = bool(parameters and parameters.deformable)
        ui.uncertaintySelector.enabled = bool(parameters and parameters.makeUncertainty)

    def onMake(self) -> None:
        """Run all steps."""
        parameters = self._parameters()
        self._run(
            lambda listener: self._logic.startWorkflow(
                self._get("mr"),
                parameters.model,
                ctNode=self._get("ct"),
                mrcatNode=self._get("mrcat"),
                bodyNode=self._get("body"),
                normalizedNode=self._get("normalizedVolume"),
                outputNode=self._get("sctVolume"),
                uncertaintyNode=self._uncertaintyNode(parameters),
                uncertainty=parameters.makeUncertainty,
                device=parameters.device.value,
                rigid=parameters.rigidEngine.value,
                deformable=parameters.deformable,
                deformableBy=parameters.deformableEngine.value,
                listener=listener,
            )
        )

    def onNormalize(self) -> None:
        """Run the normalization alone."""
        parameters = self._parameters()
        self._run(
            lambda listener: self._logic.startNormalize(
                self._get("mr"), parameters.model, self._get("normalizedVolume"), listener
            )
        )

    def onGenerate(self) -> None:
        """Make the synthetic CT alone."""
        parameters = self._parameters()
        self._run(
            lambda listener: self._logic.startGenerate(
                self._get("mr"),
                parameters.model,
                self._get("sctVolume"),
                self._uncertaintyNode(parameters),
                uncertainty=parameters.makeUncertainty,
                bodyNode=self._get("body"),
                device=parameters.device.value,
                listener=listener,
            )
        )

    def onRegister(self) -> None:
        """Register one volume onto the CT."""
        parameters = self._parameters()
        self._run(
            lambda listener: self._logic.startRegister(
                self._get("ct"),
                self._get("movingVolume"),
                self._get("registeredVolume"),
                self._get("registeredTransform"),
                deformable=parameters.deformable,
                deformableBy=parameters.deformableEngine.value,
                rigid=parameters.rigidEngine.value,
                listener=listener,
            )
        )

    def onSideBySide(self) -> None:
        """Show MR and synthetic CT beside each other."""
        self._logic.showSideBySide(self._get("mr"), self._get("sctVolume"))

    def onOverlay(self) -> None:
        """Show the synthetic CT over the MR."""
        opacity = self._parameters().opacity
        self._logic.showOverlay(self._get("mr"), self._get("sctVolume"), opacity)

    def onUncertainty(self) -> None:
        """Show the uncertainty over the MR."""
        opacity = self._parameters().opacity
        self._logic.showOverlay(self._get("mr"), self._get("uncertaintyVolume"), opacity)

    def onOpacity(self, value: float) -> None:
        """Fade what lies over the MR in or out."""
        for name in ("sctVolume", "uncertaintyVolume"):
            if self._get(name) is not None:
                self._logic.setOverlayOpacity(self._get(name), value)

    def onHistograms(self) -> None:
        """Show the histograms before and after Nyul."""
        self._logic.showHistograms(self._get("mr"), self._get("normalizedVolume"))

    def onRemoveResults(self) -> None:
        """Remove what was made of the MR and of the MRCAT."""
        mr = self._get("mr")
        question = _("Remove everything that was made of {name}?").format(name=mr.GetName())
        if slicer.util.confirmOkCancelDisplay(question):
            self._logic.removeResults([mr, self._get("mrcat")])

    def onExport(self) -> None:
        """Write the synthetic CT as DICOM, in the study of its MR.

        Where Slicer's DICOM database does not know that, the user chooses its folder.
        """
        window, choose = slicer.util.mainWindow(), qt.QFileDialog.getExistingDirectory
        mrFolder = mr_series(self._get("sctVolume")) or choose(
            window, _("DICOM folder of the MR that the synthetic CT was made of")
        )
        folder = choose(window, _("Folder for the DICOM files")) if mrFolder else ""
        if folder:
            self._jobPanel.run(
                lambda listener: self._logic.startExportDicom(
                    self._get("sctVolume"), mrFolder, folder, body=True, listener=listener
                )
            )

    def _run(self, start: Callable[[Any], Any]) -> None:
        self._jobPanel.run(start, self._onDone, self._onProgress)

    def _onProgress(self, step: str, fraction: float, details: dict[str, Any]) -> None:
        device = details.get("device")
        if device:
            self._ui.usedDeviceLabel.text = self._used.format(device=device.upper())

    def _onDone(self, results: Results) -> None:
        parameters = self._parameters()
        left = parameters is None  # the module, meanwhile; the settings are in the scene
        if left:
            parameters = self._logic.getParameterNode()
        moved, transforms = [*results.registered.values()], [*results.transforms.values()]
        alone = len(moved) == 1 and results.sct is None
        with slicer.util.NodeModify(parameters.parameterNode):
            for name, node in (
                ("normalizedVolume", results.normalized),
                ("sctVolume", results.sct),
                ("uncertaintyVolume", results.uncertainty),
                ("registeredVolume", moved[0] if alone else None),
                ("registeredTransform", transforms[0] if alone else None),
            ):
                if node is not None:
                    parameters.setValue(name, node)
            if results.sct is not None and parameters.movingVolume is None:
                parameters.movingVolume = results.sct
        if not left:  # another module's views are not ours to change
            self._show(parameters.opacity, results)

    def _show(self, opacity: float, results: Results) -> None:
        """Show what was made over what it was made of, unless that was removed meanwhile."""
        moved = next(iter(results.registered.values()), None)
        mr, ct = (
            node if node is not None and node.GetScene() is not None else None
            for node in (results.mr, results.ct)
        )
        if results.sct is not None and mr is not None:
            self._logic.showOverlay(mr, results.sct, opacity)
        elif moved is not None and ct is not None:
            self._logic.showOverlay(ct, moved, opacity)
        elif results.normalized is not None and mr is not None:
            self._logic.showHistograms(mr, results.normalized)

    def _onModel(self, model: str) -> None:
        if self._parameters() is not None:
            self._parameters().model = model

    def _uncertaintyNode(self, parameters: Any) -> Any:
        return self._get("uncertaintyVolume") if parameters.makeUncertainty else None

    def _registerNeeds(self) -> str:
        if self._get("ct") is None:
            return _("Choose the true CT among the inputs first")
        return "" if self._get("movingVolume") is not None else _("Choose a volume to register")

    def _refuseInputs(self, parameters: Any) -> None:
        """Empty output selectors that hold an input; the sentence says why."""
        inputs = [parameters.getValue(name) for name in _INPUTS]
        for name in _OUTPUTS:
            node = parameters.getValue(name)
            taken = [*inputs, parameters.movingVolume] if name == "registeredVolume" else inputs
            if node is not None and any(node is one for one in taken):
                parameters.setValue(name, None)
                sentence = _(
                    "The output {name} is also an input and would be overwritten: choose or "
                    "create another output."
                ).format(name=node.GetName())
                # Not now: the settings are just being changed.
                qt.QTimer.singleShot(0, lambda text=sentence: self._jobPanel.showError(text))

    def _get(self, name: str) -> Any:
        """A node of the settings, None where it has been removed from the scene."""
        parameters = self._parameters()
        node = parameters.getValue(name) if parameters is not None else None
        return node if node is not None and node.GetScene() is not None else None
