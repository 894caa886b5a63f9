"""Panels that can be made narrow: long names do not set the width."""

from __future__ import annotations

from typing import Any

import qt

LEAST_WIDTH = 120


def narrow(box: Any, least: int = LEAST_WIDTH) -> None:
    """Let a combo box, of nodes or of texts, be narrower than what it holds."""
    box.setMinimumWidth(least)
    box.setSizePolicy(qt.QSizePolicy.Ignored, qt.QSizePolicy.Fixed)


def narrow_label(label: Any) -> None:
    """Let a label with lines that wrap be as narrow as its panel."""
    label.setSizePolicy(qt.QSizePolicy.Ignored, qt.QSizePolicy.Preferred)


def narrow_all(widgets: Any) -> None:
    """Let every combo box among widgets (of a .ui file) be narrow."""
    for widget in widgets:
        if widget.inherits("QComboBox") or widget.inherits("qMRMLNodeComboBox"):
            narrow(widget)
