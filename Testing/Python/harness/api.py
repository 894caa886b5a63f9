"""What a real Slicer offers: names, properties, signals and slots, from Testing/slicer-api.json."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

API_FILE = Path(__file__).resolve().parents[2] / "slicer-api.json"


@functools.cache
def slicer_api() -> dict[str, Any]:
    """Return the names that Testing/cut_slicer_api.py has taken from a running Slicer."""
    return json.loads(API_FILE.read_text(encoding="utf-8"))


@functools.cache
def module_names(module: str) -> frozenset[str]:
    """Names in a Python module of Slicer ("slicer.util", "qt", ...); empty where not recorded."""
    return frozenset(slicer_api().get(module, ()))


def class_key(class_name: str) -> str:
    """The place of a Qt class in Slicer's Python, such as "ctk.ctkCheckBox"."""
    if class_name.startswith("ctk"):
        return f"ctk.{class_name}"
    return f"{'slicer' if class_name.startswith('q') else 'qt'}.{class_name}"


@functools.cache
def class_names(class_name: str, kind: str = "names") -> frozenset[str] | None:
    """What instances of a Qt class have; None where Slicer's dump has no such class.

    Args:
        kind: "names" for all, slots among them, or "properties", or "signals" (signatures).
    """
    widgets = slicer_api()["widgets"]
    entry = widgets.get(class_key(class_name))
    if entry is None:
        return None
    found = set(entry.get(kind, ()))
    if "inherits" in entry:
        found |= set(widgets[entry["inherits"]].get(kind, ()))
    return frozenset(found)
