"""Work in steps, for programs whose window must not stand still meanwhile."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any


def finished(steps: Generator[None, None, Any]) -> Any:
    """Do all steps at once and return their result."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value
