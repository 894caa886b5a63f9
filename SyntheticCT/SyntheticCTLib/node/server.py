"""The node: it receives, generates and sends until it is stopped."""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from SyntheticCTLib.basics.progress import SILENT, Progress
from SyntheticCTLib.bundle.folder import read_card

from .log import NodeLog, libraries_silent
from .page import page
from .receiving import Listening, Receiver
from .sending import Destination, pause_after, send
from .series import SENDING, SENT, Series, flush
from .spool import Spool
from .worker import DONE, ENDED, NO_ROOM, Worker

_TICK_S = 0.2
_TIDY_S = 600.0
_MOST_ENDS = 3
"""So often may the process that generates end on a series before that is kept."""


@dataclass(frozen=True, kw_only=True)
class NodeSettings:
    """What a node does.

    Attributes:
        folder: the spool.
        model: folder of the bundle; device: see inference.device.
        listening: where and to whom it listens.
        to: where synthetic CTs are sent; None leaves them in the spool.
        quiet_s: a series is whole when no association carries it and for so long no image came.
        patience_s: so long a series whose association broke off waits for the rest.
        keep_days: patients' data is removed so long after the last image came.
        outside_domain: make and send synthetic CTs of MRs outside the model's domain.
        take: see :func:`generating.generate_series`.
        page_port: of the page on the loopback address; None without.
    """

    folder: Path
    model: Path
    listening: Listening
    to: Destination | None = None
    device: str = "auto"
    quiet_s: float = 30.0
    patience_s: float = 600.0
    keep_days: float = 7.0
    outside_domain: bool = False
    take: str = ""
    page_port: int | None = None


class Node:
    """A node in this process.

    Attributes:
        port, page_port: that it listens on, when :attr:`ready` is set.
    """

    def __init__(self, settings: NodeSettings, progress: Progress = SILENT) -> None:
        self._settings = settings
        self._progress = progress
        self._stop = threading.Event()
        self.ready = threading.Event()
        self.port = self.page_port = 0

    def stop(self) -> None:
        """Let :meth:`run` return."""
        self._stop.set()

    def run(self) -> None:
        """Serve until :meth:`stop` or Ctrl-C.

        Raises:
            SyntheticCTError: no model, a port that is taken, or a spool that another node holds.
        """
        card = read_card(self._settings.model)
        spool = Spool(self._settings.folder)
        with contextlib.ExitStack() as stack:
            stack.enter_context(libraries_silent())
            stack.enter_context(spool.held())
            self._log = NodeLog(self._settings.folder, self._progress)
            self._worker = Worker(self._settings.model, self._settings.device, self._settings.take)
            stack.callback(self._worker.close)
            receiver = Receiver(self._settings.listening, spool, self._log)
            if self._settings.page_port is not None:
                self.page_port = stack.enter_context(
                    page(self._settings.page_port, spool, self._about(card), self._running)
                )
            self.port = stack.enter_context(receiver.serving())
            if self._settings.to is not None:
                sender = threading.Thread(target=self._send, args=(spool,), daemon=True)
                sender.start()
                stack.callback(sender.join, 5.0)
            stack.callback(self._stop.set)
            where = f"{self._settings.listening.host} port {self.port}"
            self._log.write("started", f"{self._settings.listening.title} on {where}")
            self.ready.set()
            try:
                self._serve(spool)
            finally:
                self._log.write("stopped", "what is not done goes on at the next start")

    def _about(self, card: Any) -> dict[str, str]:
        settings = self._settings
        listening = settings.listening
        callers = ", ".join(map(str, listening.allowed)) or "whoever calls from this machine"
        return {
            "AE title": f"{listening.title} on {listening.host} port {listening.port}"
            + (", TLS" if listening.tls else ""),
            "Callers": callers,
            "Receiver": str(settings.to.peer) if settings.to else "none",
            "Model": f"{card.domain.text}, SHA-256 {card.sha256[:16]}",
            "Series taken": f"called {settings.take}" if settings.take else "T2 by their headers",
            "Outside the model's domain": "made and sent, with a warning"
            if settings.outside_domain
            else "kept",
            "Data kept": f"{settings.keep_days:g} days",
        }

    def _running(self) -> dict[str, Any] | None:
        folder, (step, fraction) = self._worker.folder, self._worker.progress
        if folder is None:
            return None
        return {"series": folder.name, "step": step, "percent": round(100 * fraction)}

    def _serve(self, spool: Spool) -> None:
        settings, tidied = self._settings, 0.0
        while not self._stop.wait(_TICK_S):
            try:
                for series in spool.put_back():
                    self._log.write("again", "put back by hand", series.id)
                for series in spool.settle(settings.quiet_s, settings.patience_s):
                    self._log.write(series.state, series.reason or f"{series.files} images",
                                    series.id)  # fmt: skip
                self._generate(spool)
                if time.monotonic() - tidied > _TIDY_S or not tidied:
                    tidied = time.monotonic()
                    for series in spool.remove_older(settings.keep_days):
                        self._log.write("removed", f"{settings.keep_days:g} days old", series.id)
            except OSError as error:  # for a record or a process: what is on the disk still holds
                self._log.write("no room", error.strerror or type(error).__name__)
                self._stop.wait(pause_after(0))

    def _generate(self, spool: Spool) -> None:
        """Take what the worker has made, and give it the next series."""
        folder = self._worker.folder
        outcome = self._worker.poll()
        if outcome is not None:
            series = spool.series[folder.name]
            try:
                self._made(spool, series, *outcome)
            except OSError:  # not even its record could be written
                spool.not_generated(series)
                raise
        if not self._worker.busy and (series := spool.next_waiting()):
            outside = self._settings.outside_domain or series.accepted
            try:
                self._log.write("generating", f"{series.files} images", series.id)
                self._worker.start(series.folder, outside_domain=outside)
            except OSError:  # no process can be started now
                spool.not_generated(series)
                raise

    def _made(self, spool: Spool, series: Series, kind: str, content: Any) -> None:
        if kind == NO_ROOM or (kind == ENDED and series.attempts + 1 < _MOST_ENDS):
            self._log.write(kind, content, series.id)
            spool.again_later(series, content, pause_after(series.attempts))
        elif kind != DONE:
            self._log.write("kept", content, series.id)
            spool.keep(series, content)
        else:
            for name in content["files"]:
                flush(series.result / name)
            flush(series.result)
            series.warnings, series.domain = content["warnings"], content["domain"]
            series.facts = content["facts"]
            if spool.generated(series, content["files"], self._settings.to is not None):
                told = f"{len(content['files'])} files in {content['facts']['seconds']} s"
                self._log.write("made", told, series.id)
                for sentence in (*series.domain, *series.warnings):
                    self._log.write("warning", sentence, series.id)

    def _send(self, spool: Spool) -> None:
        """Of the sending thread, which nothing ends but the node."""
        while not self._stop.wait(_TICK_S):
            with contextlib.suppress(Exception):  # it is tried again in the next turn
                self._send_due(spool)

    def _send_due(self, spool: Spool) -> None:
        """Send what is due, oldest first."""
        series = spool.next_to_send()
        if series is None:
            return
        made_from = series.made_from
        try:
            reason = self._send_one(spool, series, made_from)
        except Exception as error:  # whatever a receiver does
            reason = f"{self._settings.to.peer}: {type(error).__name__}"
        if not reason and series.state == SENT:
            self._log.write("sent", f"{len(series.made)} files", series.id)
        pause_s = pause_after(series.attempts)
        if (
            reason
            and not self._stop.is_set()
            and spool.not_sent(series, reason, pause_s, made_from)
        ):
            self._log.write("not sent", reason, series.id)

    def _send_one(self, spool: Spool, series: Series, made_from: float) -> str:
        """Send the files of the CT ``made_from`` that the receiver lacks; why not all, or ""."""

        def acknowledged(name: str) -> None:
            if not spool.has_sent(series, name, made_from):
                told = f"{name} of an earlier synthetic CT is at the receiver: remove it there"
                self._log.write("warning", told, series.id)

        def go_on() -> bool:
            this = series.state == SENDING and series.made_from == made_from
            return this and not self._stop.is_set()

        rest = [series.result / name for name in series.made if name not in series.sent]
        return send(rest, self._settings.to, acknowledged, go_on)
