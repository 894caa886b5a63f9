"""The part of the panel that trains a model."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from slicer.i18n import tr as _

from .buttons import allow
from .pairs_table import PairsTable

if TYPE_CHECKING:
    from SyntheticCTMRML.synthesis import Results


class TrainingSection:
    """Pairs, settings, start and resume.

    Args:
        ui: widgets of the .ui file.
        logic: of the module.
        jobPanel: runs the job.
        parameters: returns the parameter node, None without one.
    """

    def __init__(self, ui: Any, logic: Any, jobPanel: Any, parameters: Callable[[], Any]) -> None:
        self._ui, self._logic, self._jobPanel = ui, logic, jobPanel
        self._parameters = parameters
        self._reasons = {
            "manifest": _("Choose a manifest file"),
            "pairs": _("Add pairs of MR and CT"),
            "folder": _("Choose a folder for the model"),
            "there": _("A training is in this folder: resume it, or choose another folder"),
            "resume": _("There is no training in this folder yet"),
        }
        self._used = _("used: {device}")  # not translated at every report of progress
        self.table = PairsTable()
        self.table.changed = self.update
        ui.pairsPlace.layout().addWidget(self.table.widget)
        ui.trainButton.connect("clicked()", self.onTrain)
        ui.resumeButton.connect("clicked()", self.onResume)
        ui.manifestPath.connect("currentPathChanged(QString)", self._onManifest)
        ui.modelFolderPath.connect("currentPathChanged(QString)", self._onModelFolder)

    def update(self) -> None:
        """Show the settings and what they allow."""
        ui, parameters = self._ui, self._parameters()
        self.table.setParameterNode(parameters.parameterNode if parameters is not None else None)
        if parameters is None:
            ui.trainButton.enabled = ui.resumeButton.enabled = False
            return
        if ui.manifestPath.currentPath != parameters.manifest:
            ui.manifestPath.currentPath = parameters.manifest
        if ui.modelFolderPath.currentPath != parameters.modelFolder:
            ui.modelFolderPath.currentPath = parameters.modelFolder
        from_file = parameters.pairsFrom.value == "manifest"
        ui.manifestLabel.visible = ui.manifestPath.visible = from_file
        ui.pairsPlace.visible = not from_file
        idle = not self._jobPanel.busy
        resumable = False
        if parameters.modelFolder:
            from SyntheticCTMRML.training_job import can_resume

            resumable = can_resume(parameters.modelFolder)
        reason = self._missing(parameters, from_file)
        texts = self._reasons
        allow(ui.resumeButton, idle and resumable, "" if resumable else texts["resume"])
        reason = reason or (texts["there"] if resumable else "")
        allow(ui.trainButton, idle and not reason, reason)

    def _missing(self, parameters: Any, from_file: bool) -> str:
        """Return what has to be chosen before a training can start; empty when it can."""
        if from_file and not parameters.manifest:
            return self._reasons["manifest"]
        if not from_file and not self.table.pairs():
            return self._reasons["pairs"]
        return "" if parameters.modelFolder else self._reasons["folder"]

    def onTrain(self) -> None:
        """Start a training."""
        self._run(resume=False)

    def onResume(self) -> None:
        """Go on with the training that the model folder has."""
        self._run(resume=True)

    def _run(self, resume: bool) -> None:
        parameters = self._parameters()
        from_file = parameters.pairsFrom.value == "manifest"
        pairs = parameters.manifest if from_file else self.table.pairs()
        self._jobPanel.run(
            lambda listener: self._logic.startTraining(
                pairs,
                parameters.modelFolder,
                self._logic.trainingSettings(parameters),
                resume=resume,
                listener=listener,
            ),
            self._onDone,
            self._onProgress,
        )

    def _onProgress(self, step: str, fraction: float, details: dict[str, Any]) -> None:
        device = details.get("device")
        if device:
            self._ui.usedDeviceLabel.text = self._used.format(device=device.upper())

    def _onDone(self, results: Results) -> None:
        # Where the module was left meanwhile, the settings are in the scene.
        parameters = self._parameters() or self._logic.getParameterNode()
        parameters.model = results.model

    def _onManifest(self, path: str) -> None:
        if self._parameters() is not None:
            self._parameters().manifest = path

    def _onModelFolder(self, path: str) -> None:
        if self._parameters() is not None:
            self._parameters().modelFolder = path
