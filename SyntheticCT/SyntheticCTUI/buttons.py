"""Buttons that say why they are disabled."""

from __future__ import annotations

from typing import Any


def allow(button: Any, allowed: bool, reason: str) -> None:
    """Enable a button; a disabled one says in its tooltip why."""
    usual = button.property("usualToolTip")
    if not usual:
        usual = button.toolTip
        button.setProperty("usualToolTip", usual)
    button.enabled = bool(allowed)
    button.toolTip = usual if allowed or not reason else f"{usual} ({reason})"
