"""Progress, Cancel, log and error sentence of the job that a panel has running."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import ctk
import qt
import slicer
from slicer.i18n import tr as _
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTMRML.jobs import Job, JobListener

_STYLES = {"error": "color: #c62828; font-weight: bold;", "warning": "color: #b35900;", "": ""}
_STEPS = 1000


class JobPanel(JobListener):
    """Runs one job at a time and shows what it does.

    Attributes:
        widget: to be put into the layout of a panel.
        error: sentence of the last error; "" where the last job went well.
        busyChanged: called with True when a job has begun and with False when it has ended;
            a panel disables its buttons there.
    """

    def __init__(self) -> None:
        self.busyChanged: Callable[[bool], None] = lambda busy: None
        self.error = ""
        self._job: Job | None = None
        self._starting = False
        self._onDone: Callable[[Any], None] | None = None
        self._onProgress: Callable[[str, float, dict[str, Any]], None] | None = None
        self._shown = 0
        # Once: Slicer's translation looks up the caller's file at every call.
        self._finished = _("Finished.")
        self._steps, self._counted = _step_names(), _("{step} {done} of {total}")
        self._noisy = _("{step}: noise {noise:.2f} %, {minutes:g} min left")
        self._build()

    @property
    def busy(self) -> bool:
        """Whether a job is running."""
        return self._job is not None or self._starting

    def run(
        self,
        start: Callable[[JobListener], Job],
        onDone: Callable[[Any], None] | None = None,
        onProgress: Callable[[str, float, dict[str, Any]], None] | None = None,
    ) -> None:
        """Run the job that ``start(listener)`` returns, unless one is running.

        :param start: call of a logic's start... method; what it refuses is shown as one sentence.
        :param onDone: called with the job's result when it has finished well.
        :param onProgress: called with step, fraction and details, besides what is shown here.
        """
        if self.busy:
            return
        self._onDone, self._onProgress, self._shown = onDone, onProgress, 0
        self.log.clear()
        self.error = ""
        self._say("")
        self._starting = True  # it may ask, or install, and let the event loop run meanwhile
        self.busyChanged(True)
        try:
            self._job = start(self)
        except SyntheticCTError as error:
            self._refuse(str(error))
            return
        except Exception as error:
            logging.exception("A job could not be started")
            self._refuse(
                _("The work could not be started ({error}): see Slicer's log.").format(error=error)
            )
            return
        self._starting = False
        self._show(_("Starting..."), 0.0)
        self.progressRow.visible = True
        self.cancelButton.enabled = True
        self._scrollHere()

    def cancel(self, wait: bool = False) -> None:
        """Cancel the running job, if there is one; ``wait`` returns only when it has ended."""
        if self._job is None:
            return
        if self._job.state == "finished":  # and was to be shown next
            self._letGo()
            return
        self.cancelButton.enabled = False
        self.stepLabel.text = _("Cancelling...")
        self._job.cancel(wait)

    def showError(self, sentence: str, log: str = "") -> None:
        """Show a sentence in the panel and in a dialog, which has the log behind a button."""
        self.error = sentence
        self._say(sentence, "error")
        details = {"detailedText": log} if log else {}
        slicer.util.errorDisplay(sentence, **details)

    def shownElsewhere(self, sentences: Sequence[str]) -> None:
        """Say no more what is shown in another place of the panel; the log keeps it."""
        if self.error:
            return
        lines = [line for line in self.messageLabel.text.split("\n") if line not in sentences]
        if lines:
            self._say("\n".join(lines), "warning" if lines != [self._finished] else "")
        else:
            self._say(self._finished)

    def onProgress(self, step: str, fraction: float, details: dict[str, Any]) -> None:
        self._show(step, fraction, details)
        self._showLog()
        if self._onProgress is not None:
            self._onProgress(step, fraction, details)

    def onWarning(self, message: str) -> None:
        if message not in self.messageLabel.text:
            text = "\n".join(filter(None, (self.messageLabel.text, message)))
            self._say(text, "warning")
        self._showLog()

    def onEnd(self, job: Job) -> None:
        # In a turn of its own: the first picture of large volumes takes a while.
        if job.state == "finished":
            qt.QTimer.singleShot(0, lambda: self._end(job))
        else:
            self._end(job)

    def _letGo(self) -> None:
        self._job = None
        self.progressRow.visible = False
        self.busyChanged(False)

    def _end(self, job: Job) -> None:
        if self._job is not job:
            return
        self._showLog()
        self._letGo()
        if job.state == "finished":
            if not self.messageLabel.text:
                self._say(self._finished)
            if self._onDone is not None:
                self._onDone(job.result)
        elif job.state == "cancelled":
            self._say(_("Cancelled."))
        else:
            self.logBox.collapsed = False
            self.showError(job.error, "\n".join(job.log))

    def _refuse(self, sentence: str) -> None:
        self._starting = False
        self.busyChanged(False)
        self.showError(sentence)

    def _show(self, step: str, fraction: float, details: dict[str, Any] | None = None) -> None:
        details = details or {}
        name = self._steps.get(step, step)
        if "done" in details and "total" in details:
            name = self._counted.format(step=name, done=details["done"], total=details["total"])
        noise = details.get("noise_percent")
        if isinstance(noise, float | int) and "minutes_left" in details:
            name = self._noisy.format(step=name, noise=noise, minutes=details["minutes_left"])
        self.stepLabel.text = name
        self.progressBar.value = round(_STEPS * min(max(fraction, 0.0), 1.0))

    def _showLog(self) -> None:
        if self._job is None:
            return
        lines = self._job.log[self._shown :]
        self._shown += len(lines)
        if lines:
            self.log.appendPlainText("\n".join(lines))
            self.logBox.visible = True

    def _say(self, text: str, kind: str = "") -> None:
        self.messageLabel.text = text
        self.messageLabel.styleSheet = _STYLES[kind]
        self.messageLabel.visible = bool(text)

    def _build(self) -> None:
        self.widget = qt.QWidget()
        self.widget.objectName = "JobPanel"
        column = qt.QVBoxLayout(self.widget)
        column.setContentsMargins(0, 0, 0, 0)

        self.progressRow = qt.QWidget()
        grid = qt.QGridLayout(self.progressRow)
        grid.setContentsMargins(0, 0, 0, 0)
        self.stepLabel = qt.QLabel()
        self.stepLabel.objectName = "JobStepLabel"
        self.progressBar = qt.QProgressBar()
        self.progressBar.objectName = "JobProgressBar"
        self.progressBar.setRange(0, _STEPS)
        self.progressBar.toolTip = _("How much of the current step is done")
        self.progressBar.accessibleName = _("Progress of the current step")
        self.cancelButton = qt.QPushButton(_("Cancel"))
        self.cancelButton.objectName = "JobCancelButton"
        self.cancelButton.toolTip = _("End the running work")
        self.cancelButton.connect("clicked()", self._onCancel)
        grid.addWidget(self.stepLabel, 0, 0)
        grid.addWidget(self.progressBar, 1, 0)
        grid.addWidget(self.cancelButton, 1, 1)
        self.progressRow.visible = False
        column.addWidget(self.progressRow)

        self.messageLabel = qt.QLabel()
        self.messageLabel.objectName = "JobMessageLabel"
        self.messageLabel.wordWrap = True
        self.messageLabel.setTextFormat(qt.Qt.PlainText)
        self.messageLabel.setTextInteractionFlags(qt.Qt.TextSelectableByMouse)
        self.messageLabel.visible = False
        column.addWidget(self.messageLabel)

        self.logBox = ctk.ctkCollapsibleGroupBox()
        self.logBox.objectName = "JobLogBox"
        self.logBox.title = _("Log")
        self.logBox.toolTip = _("Show what the running work printed and warned of")
        box = qt.QVBoxLayout(self.logBox)
        self.log = qt.QPlainTextEdit()
        self.log.objectName = "JobLog"
        self.log.readOnly = True
        self.log.maximumBlockCount = 2000
        self.log.setFixedHeight(120)
        self.log.toolTip = _("What the running work printed and warned of")
        self.log.accessibleName = _("Log of the work")
        box.addWidget(self.log)
        self.logBox.collapsed = True
        self.logBox.visible = False
        column.addWidget(self.logBox)

    def _scrollHere(self) -> None:
        """Bring the progress into view where the panel is longer than the window."""
        parent = self.widget.parent()
        while parent is not None and not parent.inherits("QScrollArea"):
            parent = parent.parent()
        if parent is not None:
            parent.ensureWidgetVisible(self.widget)

    def _onCancel(self) -> None:
        self.cancel()


def _step_names() -> dict[str, str]:
    """What the steps that a child process tells of are called here."""
    return {
        "Nyul normalization": _("Nyul normalization"),
        "Generate synthetic CT": _("Generate synthetic CT"),
        "rigid registration": _("Rigid registration"),
        "deformable registration": _("Deformable registration"),
        "Learn Nyul standard": _("Learn Nyul standard"),
        "Register pairs": _("Register pairs"),
        "Train": _("Train"),
        "Hand volumes over": _("Hand volumes over"),
        "Monte Carlo": _("Monte Carlo"),
        "Scattering tables (once on this machine)": _("Scattering tables (once on this machine)"),
        "Show results": _("Show results"),
        "Patients": _("Patients"),
        "Write CT slices": _("Write CT slices"),
    }
