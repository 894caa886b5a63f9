"""Ctrl-C and requests to end, held back while something must not stop half-way."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator

_HELD = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)


@contextlib.contextmanager
def interrupts_wait() -> Iterator[list[int]]:
    """Hold back Ctrl-C and requests to end; the first that came takes effect at the end.

    Yields:
        The numbers of the signals that have come so far, for work that can end early.
    """
    came: list[int] = []
    if threading.current_thread() is not threading.main_thread():  # Python interrupts no other
        yield came
        return
    # A handler that is not Python's (None) could not be put back.
    before = {number: signal.getsignal(number) for number in _HELD}
    before = {number: handler for number, handler in before.items() if handler is not None}
    try:
        for number in before:
            signal.signal(number, lambda n, _: came.append(n))
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for number in came[:1]:
            signal.raise_signal(number)
