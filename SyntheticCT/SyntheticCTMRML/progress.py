"""Progress of a logic call that nobody watches."""

from __future__ import annotations

import logging

from SyntheticCTLib.basics.progress import Progress


class LogProgress(Progress):
    """Silent, but writes warnings to the log, which is Slicer's Python console and error log."""

    def warn(self, message: str) -> None:
        logging.warning(message)


LOG = LogProgress()
