"""Slicer's translations; outside of Slicer, sentences stay as they are."""

from __future__ import annotations

try:
    from slicer.i18n import tr
except ImportError:  # slicer-core, which writes scenes for the command line, has none

    def tr(text: str) -> str:
        """Return the sentence in the user's language."""
        return text


__all__ = ["tr"]
