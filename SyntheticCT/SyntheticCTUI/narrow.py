"""Panels that can be made narrow: long names do not set the width."""

from __future__ import annotations

from typing import Any

import qt

LEAST_WIDTH = 120


def narrow(box: Any) -> None:
    """Let a combo box, of nodes or of texts, be narrower than what it holds."""
    box.setMinimumWidth(LEAST_WIDTH)
    box.setSizePolicy(qt.QSizePolicy.Ignored, qt.QSizePolicy.Fixed)


def narrow_all(widgets: Any) -> None:
    """Let every combo box among widgets (of a .ui file) be narrow."""
    for widget in widgets:
        if widget.inherits("QComboBox") or widget.inherits("qMRMLNodeComboBox"):
            narrow(widget)
