"""The parts of the panel that deal with files: the plan, export of results, and cohorts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import slicer
from slicer.i18n import tr as _
from SyntheticCTEvalMRML.parameters import alive
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTUI.buttons import allow


class FilesSection:
    """The plan's file, export and cohort.

    Args:
        ui: the panel's widgets by name.
        logic: SyntheticCTEvalLogic.
        parameters: returns the panel's parameter node, None where it has none at the moment.
        jobs: SyntheticCTUI.job_panel.JobPanel for cohorts.
    """

    def __init__(self, ui: Any, logic: Any, parameters: Callable[[], Any], jobs: Any) -> None:
        self._ui, self._logic, self._parameters, self._jobs = ui, logic, parameters, jobs
        # Once, not at every change of a setting.
        self._reasons = {
            "evaluation": _("There is no evaluation in the scene"),
            "report": _("The evaluation has no report"),
            "folder": _("Choose a folder"),
            "chosen": _("Choose what to export"),
            "manifest": _("Choose a manifest file"),
            "results": _("Choose a folder for the results"),
            "busy": _("A cohort is being evaluated"),
            "cohort": _("There is no report in the results folder"),
        }
        jobs.busyChanged = self._onBusy
        ui.cohortJobFrame.layout().addWidget(jobs.widget)
        for name, selector in self._paths().items():
            # Not bound to a parameter by its name: an empty path would be shown as ".".
            selector.connect(
                "currentPathChanged(QString)", lambda path, name=name: self._onPath(name, path)
            )
        ui.exportButton.connect("clicked()", self._onExport)
        ui.openReportButton.connect("clicked()", self._onOpenReport)
        ui.cohortButton.connect("clicked()", self._onCohort)
        ui.openCohortReportButton.connect("clicked()", self._onOpenCohortReport)

    def showPaths(self) -> None:
        """Show the paths of the parameter node; not while somebody is typing one."""
        for name, selector in self._paths().items():
            selector.currentPath = getattr(self._parameters(), name)

    def update(self) -> None:
        """Enable what can be done now."""
        parameters, ui = self._parameters(), self._ui
        node = alive(parameters.evaluation)
        nodes = self._logic.evaluationNodes(node)
        chosen = parameters.exportReport or parameters.exportTables or parameters.exportScene
        texts = self._reasons
        report = nodes is not None and bool(nodes.document("report.html"))
        allow(ui.openReportButton, report, texts["evaluation" if nodes is None else "report"])
        _allow_unless(
            ui.exportButton,
            (nodes is None, texts["evaluation"]),
            (not parameters.exportFolder, texts["folder"]),
            (not chosen, texts["chosen"]),
        )
        ui.cohortEngineComboBox.enabled = not parameters.cohortImagesOnly
        _allow_unless(
            ui.cohortButton,
            (not parameters.manifest, texts["manifest"]),
            (not parameters.cohortFolder, texts["results"]),
            (self._jobs.busy, texts["busy"]),
        )
        allow(ui.openCohortReportButton, self._cohortReport() is not None, texts["cohort"])

    def _onExport(self) -> None:
        parameters = self._parameters()
        try:
            with slicer.util.WaitCursor():
                paths = self._logic.exportResults(
                    alive(parameters.evaluation),
                    parameters.exportFolder,
                    report=parameters.exportReport,
                    tables=parameters.exportTables,
                    scene=parameters.exportScene,
                )
        except SyntheticCTError as error:
            slicer.util.errorDisplay(str(error))
            return
        slicer.util.showStatusMessage(
            _("Written: {files}").format(files=", ".join(path.name for path in paths)), 5000
        )

    def _onOpenReport(self) -> None:
        try:
            self._logic.openReport(alive(self._parameters().evaluation))
        except SyntheticCTError as error:
            slicer.util.errorDisplay(str(error))

    def _onCohort(self) -> None:
        parameters = self._parameters()
        manifest, folder = parameters.manifest, parameters.cohortFolder
        options = {
            "modelPath": parameters.model or None,
            "registration": parameters.cohortRegistration.value,
            "registrationBy": parameters.cohortRegistrationBy.value,
            "dose": not parameters.cohortImagesOnly,
            "doseEngine": parameters.cohortEngine.value,
            "doseNoise": parameters.doseNoise,
            "doseMinutes": parameters.doseMinutes,
        }
        self._jobs.run(
            lambda listener: self._logic.startCohort(manifest, folder, listener=listener, **options)
        )

    def _onOpenCohortReport(self) -> None:
        report = self._cohortReport()
        if report is not None:
            self._logic.openFile(report)

    def _onBusy(self, _busy: bool) -> None:
        if self._parameters() is not None:
            self.update()

    def _cohortReport(self) -> Path | None:
        folder = self._parameters().cohortFolder
        path = Path(folder) / self._logic.COHORT_REPORT
        return path if folder and path.is_file() else None

    def _paths(self) -> dict[str, Any]:
        return {
            "plan": self._ui.planPath,
            "exportFolder": self._ui.exportFolderPath,
            "manifest": self._ui.manifestPath,
            "model": self._ui.modelPath,
            "cohortFolder": self._ui.cohortFolderPath,
        }

    def _onPath(self, name: str, path: str) -> None:
        if self._parameters() is not None:
            setattr(self._parameters(), name, path)


def _allow_unless(button: Any, *obstacles: tuple[bool, str]) -> None:
    """Enable a button unless something is in its way: the first reason is told."""
    reason = next((text for there, text in obstacles if there), "")
    allow(button, not reason, reason)
