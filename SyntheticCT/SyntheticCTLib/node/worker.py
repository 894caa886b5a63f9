"""The child process that makes synthetic CTs, one series at a time.

In a process of its own, what generating takes (memory, time, a crash of a library) does not touch
the node, which goes on receiving. The child ends with the node, however that ends, since nobody
holds the other end of its pipe any more.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from SyntheticCTLib.basics.errors import NoRoomError, SyntheticCTError
from SyntheticCTLib.basics.progress import Progress

DONE, REFUSED, NO_ROOM, FAILED, ENDED = "done", "refused", "no room", "failed", "ended"
"""How the work on a series ends; the last is that of the child itself."""
_PROGRESS = "progress"
_GRACE_S = 5.0


class Worker:
    """Starts the child when there is work, and anew after it has ended.

    Args:
        model: folder of the bundle.
        device: see inference.device.
        take: see :func:`generating.generate_series`.
    """

    def __init__(self, model: Path, device: str, take: str = "") -> None:
        self._settings = (str(model), device, take)
        self._process: multiprocessing.Process | None = None
        self._pipe: Connection | None = None
        self.folder: Path | None = None
        self.progress: tuple[str, float] = ("", 0.0)

    @property
    def busy(self) -> bool:
        return self.folder is not None

    def start(self, folder: Path, *, outside_domain: bool) -> None:
        """Begin with the series in ``folder``; only when not :attr:`busy`.

        Args:
            outside_domain: see :func:`generating.generate_series`.

        Raises:
            OSError: no process or no pipe can be made now; the next call tries again.
        """
        if self._process is None or not self._process.is_alive():
            self.close()
            context = multiprocessing.get_context("spawn")
            pipe, other = context.Pipe()
            process = context.Process(
                target=_work, args=(other, *self._settings), daemon=True, name="generate"
            )
            try:
                process.start()
            except OSError:
                pipe.close()
                raise
            finally:
                other.close()
            self._process, self._pipe = process, pipe  # one that never ran cannot be ended
        self.folder, self.progress = folder, ("", 0.0)
        with contextlib.suppress(OSError):  # ended just now; poll tells
            self._pipe.send((str(folder), outside_domain))

    def poll(self) -> tuple[str, Any] | None:
        """Return how the work on :attr:`folder` ended, with its result or reason; else None."""
        if not self.busy:
            return None
        try:
            while self._pipe.poll():
                kind, content = self._pipe.recv()
                if kind != _PROGRESS:
                    self.folder = None
                    return kind, content
                self.progress = content
        except (EOFError, OSError):
            self._process.join(_GRACE_S)
            code = self._process.exitcode
            self.close()
            return ENDED, f"the process that generates ended (exit code {code})"
        return None

    def close(self) -> None:
        """End the child, at work or not."""
        if self._process is not None:
            self._process.terminate()
            self._process.join(_GRACE_S)
            if self._process.is_alive():
                self._process.kill()
                self._process.join()
            self._process.close()
            self._pipe.close()
        self._process = self._pipe = self.folder = None


class _PipeProgress(Progress):
    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    def report(self, step: str, fraction: float, **details: Any) -> None:
        self._pipe.send((_PROGRESS, (step, float(fraction))))


def _work(pipe: Connection, model: str, device: str, take: str) -> None:
    """Of the child: make what is asked for until the node is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the node's, which ends this one
    from SyntheticCTLib.bundle.folder import load_bundle

    from .generating import generate_series
    from .log import libraries_silent

    bundle = None
    with libraries_silent(), contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            folder, outside_domain = pipe.recv()
            try:
                bundle = bundle or load_bundle(model)
                made = generate_series(
                    Path(folder),
                    bundle,
                    _PipeProgress(pipe),
                    device=device,
                    outside_domain=outside_domain,
                    take=take,
                )
                pipe.send((DONE, made.as_json()))
            except NoRoomError as error:
                pipe.send((NO_ROOM, str(error)))
            except SyntheticCTError as error:
                pipe.send((REFUSED, str(error)))
            except (EOFError, BrokenPipeError):
                raise
            except Exception as error:  # a fault of the program is told, without its values
                pipe.send((FAILED, f"the program failed ({type(error).__name__})"))
