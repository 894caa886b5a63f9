"""A read-only page of the queue, for a browser on this machine."""

from __future__ import annotations

import contextlib
import http.server
import re
import threading
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

from SyntheticCTLib.basics.errors import SyntheticCTError

from .series import STATES
from .spool import Spool
from .status import moment, notes

_LOOPBACK = "127.0.0.1"
_PICTURE = re.compile(r"/picture/([0-9a-f]{16})\.png")
_SHOWN = 200
"""Series on the page at most, the latest first; --status tells all."""
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self'; style-src 'unsafe-inline'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


@contextlib.contextmanager
def page(
    port: int, spool: Spool, about: dict[str, str], running: Callable[[], dict[str, Any] | None]
) -> Iterator[int]:
    """Serve the page on the loopback address; yields its port.

    Args:
        about: what the node is set to, by name.
        running: what is being generated: "series", "step", "percent"; None when nothing is.

    Raises:
        SyntheticCTError: the port is taken.
    """

    class Handler(http.server.BaseHTTPRequestHandler):
        server_version, sys_version = "SyntheticCT", ""

        def do_GET(self) -> None:
            name = self.headers.get("Host", "").rpartition(":")[0] or self.headers.get("Host", "")
            if name not in (_LOOPBACK, "localhost"):  # a page elsewhere that points here by name
                self._answer(HTTPStatus.FORBIDDEN, b"Call this page by 127.0.0.1.\n", "text/plain")
            elif self.path == "/":
                text = render(spool, about, running())
                self._answer(HTTPStatus.OK, text.encode(), "text/html; charset=utf-8")
            elif match := _PICTURE.fullmatch(self.path):
                series = spool.series.get(match[1])
                content = b""
                if series is not None:
                    with contextlib.suppress(OSError):
                        content = series.picture.read_bytes()
                status = HTTPStatus.OK if content else HTTPStatus.NOT_FOUND
                self._answer(status, content, "image/png" if content else "text/plain")
            else:
                self._answer(HTTPStatus.NOT_FOUND, b"There is nothing here.\n", "text/plain")

        def _answer(self, status: HTTPStatus, content: bytes, kind: str) -> None:
            self.send_response(status)
            for name, value in {"Content-Type": kind, **_HEADERS}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *arguments: Any) -> None:
            """Say nothing of who looks."""

    try:
        server = http.server.ThreadingHTTPServer((_LOOPBACK, port), Handler)
    except OSError as error:
        raise SyntheticCTError(
            f"The page cannot be served on port {port} ({error.strerror}): give another by --page."
        ) from error
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


def render(spool: Spool, about: dict[str, str], running: dict[str, Any] | None) -> str:
    """Return the page as HTML; everything in it is escaped."""
    from jinja2 import Environment

    with spool.lock:
        series = sorted(spool.series.values(), key=lambda one: one.since, reverse=True)
        counts = {state: sum(one.state == state for one in series) for state in STATES}
        rows = [
            {
                "id": one.id,
                "state": one.state,
                "meaning": STATES[one.state],
                "since": moment(one.since),
                "images": one.files,
                "sent": f"{len(one.sent)} of {len(one.made)}" if one.made else "",
                "notes": notes(one),
                "domain": one.domain,
                "facts": one.facts,
                "removed": one.removed,
                "picture": one.picture.exists(),
            }
            for one in series[:_SHOWN]
        ]
    text = (Path(__file__).parent / "page.html").read_text(encoding="utf-8")
    template = Environment(autoescape=True).from_string(text)
    return template.render(
        about=about, running=running, rows=rows, counts=counts, more=max(len(series) - _SHOWN, 0)
    )
