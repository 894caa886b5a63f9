"""Long work that does not stop the window: stages run one after the other from the event loop.

A stage is a child process that runs the command line, a command line module of Slicer, or a
short piece of work on nodes. The window lives on between and during them.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any

from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.stages import IN_USE, work_folder

from .temporary import FOLDER_PREFIX
from .translation import tr as _

POLL_MS = 50
GRACE_S = 1.5
"""A cancelled child has this long to tidy up before it is killed."""
END_S = 10.0
"""A cancelled job has ended after this long, however slow the machine: its child is killed."""


_RUNNING: list[Job] = []


def cancel_all() -> None:
    """End every job, also those that no panel knows of, and wait: Slicer quits."""
    for job in list(_RUNNING):
        job.cancel(wait=True)


class JobListener:
    """Is told what happens to a job; this base class does nothing with it."""

    def onProgress(self, step: str, fraction: float, details: dict[str, Any]) -> None:
        """``step`` is done to ``fraction`` (0 to 1)."""

    def onWarning(self, message: str) -> None:
        """One sentence that must reach the user."""

    def onEnd(self, job: Job) -> None:
        """The job has ended; ``job.state`` says how."""


class Job:
    """Stages that run one after the other without stopping Slicer.

    It is cancelled where the scene is closed, and where one of ``inputs`` (nodes) is removed.

    Attributes:
        state: "ready", "running", "finished", "failed" or "cancelled".
        error: one sentence that says why it failed.
        log: everything that the stages printed or warned of.
        result: what the last :class:`Turn` that returned something returned.
        folder: working folder, which exists while the job runs.
        names: what people call the files in the folder, for messages of child processes.
    """

    def __init__(
        self,
        stages: Sequence[Stage],
        listener: JobListener | None = None,
        inputs: Sequence[Any] = (),
    ) -> None:
        self.state = "ready"
        self.error = ""
        self.log: list[str] = []
        self.result: Any = None
        self.folder = Path()
        self.names: dict[str, str] = {}
        self._kept = contextlib.ExitStack()
        self._stages = list(stages)
        self._listener = listener or JobListener()
        self._timer: Any = None
        self._stage: Stage | None = None
        self._inputs = [node for node in inputs if node is not None]
        self._observed: list[tuple[Any, int]] = []
        self._cancelling = self._asked = False
        self._turning = False

    def start(self) -> Job:
        """Begin, and return the job at once."""
        import qt

        self.folder = self._kept.enter_context(work_folder(FOLDER_PREFIX))
        self.state = "running"
        _RUNNING.append(self)
        self._observe()
        self._timer = qt.QTimer()
        self._timer.connect("timeout()", self._turn)
        self._timer.start(0)
        return self

    def wait(self) -> Any:
        """Wait until the job has ended, with the window alive, and return its result.

        Raises:
            SyntheticCTError: it failed or was cancelled.
        """
        import slicer

        while self.state == "running":
            slicer.app.processEvents()
            time.sleep(0.005)
        self._remove_folder()  # whoever waits may let no event loop run any more
        if self.state == "finished":
            return self.result
        raise SyntheticCTError(self.error or _("The work was cancelled."))

    def cancel(self, wait: bool = False) -> None:
        """End the job; its child is gone within two seconds. ``wait`` returns only then."""
        if self.state != "running" or self._cancelling:
            return
        self._cancelling = True
        self._timer.start(0)
        if self._turning:  # asked by what the stage itself does: it ends after this turn
            return
        self._ask_to_end()
        deadline = time.monotonic() + END_S
        while wait and self.state == "running" and time.monotonic() < deadline:
            self._turn()
            time.sleep(0.01)

    def add(self, stages: Sequence[Stage]) -> None:
        """Have ``stages`` run next, before those that remain."""
        self._stages[:0] = stages

    def named(self, text: str) -> str:
        """Return ``text`` with the files of the job called as people call them."""
        for path in sorted(self.names, key=len, reverse=True):  # IM10 before IM1
            text = text.replace(path, self.names[path])
        return text

    def report(self, step: str, fraction: float, **details: Any) -> None:
        """Pass progress on to the listener (the interface of SyntheticCTLib.progress)."""
        self._tell("onProgress", step, fraction, details)

    def warn(self, message: str) -> None:
        """Pass a warning on to the listener and keep it in the log."""
        self.log.append(message)
        logging.warning(message)
        self._tell("onWarning", message)

    def _tell(self, what: str, *told: Any) -> None:
        """Call the listener: a fault of who listens does not make the job fail."""
        try:
            getattr(self._listener, what)(*told)
        except Exception:
            logging.exception("A listener of a job failed in %s", what)

    def _observe(self) -> None:
        import slicer

        scene = slicer.mrmlScene
        for event, function in (
            (scene.StartCloseEvent, lambda caller, event: self.cancel(wait=True)),
            (scene.NodeRemovedEvent, lambda caller, event: self._on_removed()),
        ):
            self._observed.append((scene, scene.AddObserver(event, function)))

    def _on_removed(self) -> None:
        lost = next((node for node in self._inputs if node.GetScene() is None), None)
        if lost is not None and self.state == "running" and not self._cancelling:
            self.error = _("{name} was removed, so the work on it was stopped.").format(
                name=lost.GetName()
            )
            self.cancel()

    def _turn(self) -> None:
        # A stage may let the event loop run, which comes back here.
        if self.state != "running" or self._turning:
            return
        self._turning = True
        try:
            if self._cancelling:
                self._finish_cancel()
            elif self._stage is not None or self._stages:
                self._advance()
            else:
                self._end("finished")
        except SyntheticCTError as error:
            self._fail(str(error))
        except Exception as error:
            logging.exception("A stage of a job failed")
            self._fail(
                _("The work failed ({kind}: {reason}); see the log.").format(
                    kind=type(error).__name__, reason=error
                )
            )
        finally:
            self._turning = False

    def _advance(self) -> None:
        if self._stage is None:
            self._stage = self._stages.pop(0)
            self._stage.start(self)
        ended = self._stage.done(self)
        if ended:
            self._stage = None
        self._timer.start(0 if ended else self._stage.pause_ms)

    def _ask_to_end(self) -> None:
        self._asked = True
        if self._stage is not None:
            self._stage.cancel()

    def _finish_cancel(self) -> None:
        if not self._asked:
            self._ask_to_end()
        if self._stage is None or self._stage.cancelled():
            self._end("failed" if self.error else "cancelled")
        else:
            self._timer.start(POLL_MS)

    def _fail(self, sentence: str) -> None:
        self.error = sentence
        self.log.append(sentence)
        again, self._cancelling = self._cancelling and self._asked, True
        if again:  # it failed to end
            self._end("failed")
            return
        try:
            self._finish_cancel()  # what it has started must not outlive it
        except Exception:
            logging.exception("A stage of a job could not be ended")
            self._end("failed")

    def _end(self, state: str) -> None:
        import qt

        self._let_go_of_timer()
        for scene, tag in self._observed:
            scene.RemoveObserver(tag)
        self._observed = []
        self.state = state
        _RUNNING.remove(self)
        self._stages, self._stage, self._inputs = [], None, []
        if state == "finished":
            qt.QTimer.singleShot(0, self._remove_file)
        else:
            self._remove_folder()
        self._tell("onEnd", self)

    def _remove_file(self) -> None:
        """Remove one file of the folder in each turn: large ones take as long as may be."""
        import qt

        files = (path for path in self.folder.rglob("*") if path.is_file())
        file = next((path for path in files if path.name != IN_USE), None)
        if file is None:
            self._remove_folder()
            return
        file.unlink(missing_ok=True)
        qt.QTimer.singleShot(0, self._remove_file)

    def _remove_folder(self) -> None:
        self._kept.close()

    def _let_go_of_timer(self) -> None:
        """Qt's connection holds the job, and with it the nodes of its result."""
        import qt

        timer, self._timer = self._timer, None
        if timer is not None:
            timer.stop()
            qt.QTimer.singleShot(0, timer.deleteLater)  # it may be the one that is calling


class Stage:
    """One stage of a job.

    Attributes:
        pause_ms: how long to wait before asking again whether it is done.
    """

    pause_ms = POLL_MS

    def start(self, job: Job) -> None:
        """Begin."""

    def done(self, job: Job) -> bool:
        """Whether the stage has ended well; raises SyntheticCTError where it failed."""
        return True

    def cancel(self) -> None:
        """Ask the stage to end."""

    def cancelled(self) -> bool:
        """Whether the stage has ended after :meth:`cancel`."""
        return True


class Turn(Stage):
    """A short piece of work in Slicer itself, in one turn of the event loop.

    One volume a turn: the window is not answered while the function runs.
    """

    def __init__(self, function: Callable[[Job], Any]) -> None:
        self._function = function

    def start(self, job: Job) -> None:
        result = self._function(job)
        if result is not None:
            job.result = result


class Steps(Stage):
    """Longer work in Slicer itself, one step in each turn of the event loop.

    Args:
        function: returns a generator; the window is answered at each of its yields. What it
            returns is the job's result. It is closed where the job is cancelled.
    """

    pause_ms = 0

    def __init__(self, function: Callable[[Job], Generator[None, None, Any]]) -> None:
        self._function = function
        self._steps: Generator[None, None, Any] | None = None

    def start(self, job: Job) -> None:
        self._steps = self._function(job)

    def done(self, job: Job) -> bool:
        try:
            next(self._steps)
        except StopIteration as end:
            if end.value is not None:
                job.result = end.value
            return True
        return False

    def cancel(self) -> None:
        if self._steps is not None:
            self._steps.close()
