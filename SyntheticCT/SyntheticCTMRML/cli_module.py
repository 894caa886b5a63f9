"""A stage of a job that runs a command line module of Slicer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from SyntheticCTLib.basics.errors import SyntheticCTError

from .jobs import Job, Stage
from .translation import tr as _


class CliModule(Stage):
    """A command line module of Slicer (BRAINSFit, ...), which runs in its own thread.

    Args:
        module: as in ``slicer.modules.brainsfit``.
        parameters: or a function of the job that returns them.
        name: for people.
    """

    def __init__(self, module: Any, parameters: dict | Callable[[Job], dict], name: str) -> None:
        self._module, self._parameters, self._name = module, parameters, name
        self._node: Any = None

    def start(self, job: Job) -> None:
        import slicer

        parameters = self._parameters(job) if callable(self._parameters) else self._parameters
        job.report(self._name, 0.0)
        self._node = slicer.cli.run(
            self._module, None, parameters, wait_for_completion=False, update_display=False
        )
        if self._node is None:
            raise SyntheticCTError(
                _("{step} cannot be started: restart Slicer.").format(step=self._name)
            )

    def done(self, job: Job) -> bool:
        # Asked once: the module's own thread may change it at any time.
        status = self._node.GetStatus()
        job.report(self._name, self._node.GetProgress() / 100)
        if status & self._node.BusyMask:
            return False
        job.log += [*self._node.GetOutputText().splitlines()]
        errors = self._node.GetErrorText().splitlines()
        job.log += errors
        failed = status & self._node.ErrorsMask or status != self._node.Completed
        self._remove()
        if failed:
            last = f" ({errors[-1]})" if errors else ""
            raise SyntheticCTError(
                _("{step} failed{reason}; the log holds what it printed.").format(
                    step=self._name, reason=last
                )
            )
        job.report(self._name, 1.0)
        return True

    def cancel(self) -> None:
        if self._node is not None:
            self._node.Cancel()

    def cancelled(self) -> bool:
        if self._node is None or not self._node.IsBusy():
            self._remove()
            return True
        return False

    def _remove(self) -> None:
        if self._node is not None and self._node.GetScene() is not None:
            self._node.GetScene().RemoveNode(self._node)
        self._node = None
