"""A stage of a job that runs the command line in a child process."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.processors import processors

from .jobs import GRACE_S, Job, Stage
from .translation import tr as _

_BOOTSTRAP = "import sys; sys.path[:0] = {paths!r}; from SyntheticCTProgram.program import main; "
_BOOTSTRAP += "sys.exit(main())"


class CommandLine(Stage):
    """``synthetic-ct`` in a child process, with progress, log and an end that is checked.

    Args:
        arguments: of the command line, or a function of the job that returns them.
    """

    def __init__(self, arguments: Sequence[str] | Callable[[Job], Sequence[str]]) -> None:
        self._arguments = arguments
        self._process: subprocess.Popen | None = None
        self._read = {"out": 0, "err": 0}
        self._cancelled_at = 0.0

    def start(self, job: Job) -> None:
        arguments = self._arguments(job) if callable(self._arguments) else self._arguments
        command = [*python_command(), *map(str, arguments), "--progress", "json"]
        with self._file(job, "out").open("wb") as out, self._file(job, "err").open("wb") as err:
            try:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=err,
                    env=_environment(),
                    **_OWN_GROUP,
                )
                _step_back(self._process)
            except OSError as error:
                raise SyntheticCTError(
                    _("Python cannot be started ({reason}): check that {program} exists.").format(
                        reason=error.strerror, program=command[0]
                    )
                ) from error

    def done(self, job: Job) -> bool:
        code = self._process.poll()
        for line in self._lines(job, "out", code is not None):
            self._event(job, line)
        errors = self._lines(job, "err", code is not None)
        job.log += errors
        if code is None:
            return False
        if code != 0:
            raise SyntheticCTError(job.named(_reason(code, job.log)))
        return True

    def cancel(self) -> None:
        self._cancelled_at = time.monotonic()
        if self._process is not None:
            _end_group(self._process, kill=False)

    def cancelled(self) -> bool:
        if self._process is None:
            return True
        # PythonSlicer may end before the Python that it has started.
        if self._process.poll() is None or _group_lives(self._process):
            if time.monotonic() - self._cancelled_at <= GRACE_S:
                return False
            _end_group(self._process, kill=True)
        return self._process.poll() is not None

    def _file(self, job: Job, stream: str) -> Path:
        return job.folder / f"{id(self)}.{stream}"

    def _lines(self, job: Job, stream: str, ended: bool) -> list[str]:
        """Complete lines that are new in a stream; at the end the last one, too."""
        with self._file(job, stream).open("rb") as file:
            file.seek(self._read[stream])
            data = file.read()
        if not ended:
            data = data[: data.rfind(b"\n") + 1]
        self._read[stream] += len(data)
        return data.decode("utf-8", errors="replace").splitlines()

    @staticmethod
    def _event(job: Job, line: str) -> None:
        try:
            event = json.loads(line)
            kind = event.pop("event")
        except (ValueError, AttributeError, KeyError):
            job.log.append(line)
            return
        if kind == "progress":
            job.report(event.pop("step"), event.pop("fraction"), **event)
        elif kind == "warning":
            job.warn(job.named(event["message"]))


def python_command() -> list[str]:
    """Return the command that runs the command line in a Python like this one.

    The libraries are found where they are here, whether the extension is installed or its
    modules come from folders of a developer.
    """
    import SyntheticCTLib

    places = [Path(next(iter(SyntheticCTLib.__path__))).parent]
    try:
        import SyntheticCTEvalLib

        places.append(Path(next(iter(SyntheticCTEvalLib.__path__))).parent)
    except ImportError:
        pass
    paths = list(dict.fromkeys(str(place) for place in places))
    return [shutil.which("PythonSlicer") or sys.executable, "-c", _BOOTSTRAP.format(paths=paths)]


_THREADS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS",
)


def _environment() -> dict[str, str]:
    # ITK would look there for Slicer's own readers, which do not load outside Slicer.
    found = {**os.environ, "ITK_AUTOLOAD_PATH": "", "PYTHONUNBUFFERED": "1"}
    # One core is left to Slicer's window, unless somebody has chosen otherwise.
    threads = str(max(1, processors() - 1))
    return dict.fromkeys(_THREADS, threads) | found


_OWN_GROUP: dict[str, Any] = (
    {"creationflags": subprocess.CREATE_NO_WINDOW | subprocess.BELOW_NORMAL_PRIORITY_CLASS}
    if sys.platform == "win32"
    else {"start_new_session": True}
)
NICE = 10
"""How far children stand behind Slicer's own work for the processors."""


def _step_back(process: subprocess.Popen) -> None:
    """Let a child and all that it starts work when Slicer does not need the processors."""
    if sys.platform != "win32":  # there it was asked for at the start
        with contextlib.suppress(OSError):  # it may have ended
            os.setpriority(os.PRIO_PGRP, process.pid, NICE)


def _end_group(process: subprocess.Popen, kill: bool) -> None:
    """End a child and everything that it has started."""
    if sys.platform == "win32":
        subprocess.run(
            ["taskkill", "/T", "/F", "/PID", str(process.pid)],
            capture_output=True,
            check=False,
            creationflags=subprocess.CREATE_NO_WINDOW,
        )
        return
    with contextlib.suppress(OSError):  # it has ended: macOS then says that it is not permitted
        os.killpg(process.pid, signal.SIGKILL if kill else signal.SIGTERM)


def _group_lives(process: subprocess.Popen) -> bool:
    """Whether anything that a child has started is still there."""
    if sys.platform == "win32":
        return False
    try:
        os.killpg(process.pid, 0)
    except OSError:
        return False
    return True


def _reason(code: int, log: Sequence[str]) -> str:
    """The sentence for a child that failed: its own, if it said one."""
    for line in reversed(log):
        if line.startswith("synthetic-ct"):
            return line.partition(": ")[2].removeprefix("error: ")
    if code < 0:
        return _(
            "The child process was ended by signal {number}, for instance for want of memory; "
            "the log holds what it printed."
        ).format(number=-code)
    return _(
        "The child process ended with exit code {code}; the log holds what it printed."
    ).format(code=code)
