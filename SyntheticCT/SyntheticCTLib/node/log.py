"""The log of the node: one line an event, on the terminal and in the spool; no patient's name."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
import warnings
from collections.abc import Iterator
from logging.handlers import RotatingFileHandler
from pathlib import Path

from SyntheticCTLib.basics.progress import Progress

_BYTES, _FILES = 1_000_000, 5


class NodeLog:
    """Writes events with their time (UTC) to ``node.log`` in the spool, which is kept short."""

    def __init__(self, folder: Path, progress: Progress) -> None:
        self._progress = progress
        self._lock = threading.Lock()
        self._handler = RotatingFileHandler(
            folder / "node.log", maxBytes=_BYTES, backupCount=_FILES, encoding="utf-8", delay=True
        )
        self._handler.handleError = lambda record: None  # a full disk stops no node

    def write(self, event: str, text: str, series: str = "") -> None:
        """Tell an event.

        Args:
            series: of which series, by its name in the spool.
        """
        when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        line = " ".join(filter(None, [when, series, f"{event}:", " ".join(text.split())]))
        with self._lock:
            self._handler.emit(logging.makeLogRecord({"msg": line}))
            # Nor does a terminal that is gone (ValueError: closed), or whose output finds no room.
            with contextlib.suppress(OSError, ValueError):
                self._progress.tell("node", line, what=event, series=series, message=text)


@contextlib.contextmanager
def libraries_silent() -> Iterator[None]:
    """Let the DICOM libraries say nothing, as they would quote what names a patient."""
    loggers = [logging.getLogger(name) for name in ("pynetdicom", "pydicom")]
    before = [(one.propagate, one.level, list(one.handlers)) for one in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for one in loggers:
            one.propagate, one.handlers = False, [logging.NullHandler()]
        try:
            yield
        finally:
            for one, (propagate, level, handlers) in zip(loggers, before, strict=True):
                one.propagate, one.level, one.handlers = propagate, level, handlers
