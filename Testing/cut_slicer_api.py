"""Cut Testing/slicer-api.json, the names that the tests need, from a full list of a real Slicer's.

    python Testing/cut_slicer_api.py FULL.json

The full list is what ``dir`` gives in a running Slicer for its Python modules, and for every
widget class its names, properties, signals and slots.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

LISTS = (
    "ctk",
    "qt",
    "sitkUtils",
    "slicer",
    "slicer.ScriptedLoadableModule",
    "slicer.app",
    "slicer.cli",
    "slicer.i18n",
    "slicer.logic",
    "slicer.modules",
    "slicer.packaging",
    "slicer.parameterNodeWrapper",
    "slicer.testing",
    "slicer.util",
)
CTK = (
    "ctkCheckBox",
    "ctkCheckableComboBox",
    "ctkCollapsibleButton",
    "ctkCollapsibleGroupBox",
    "ctkComboBox",
    "ctkDirectoryButton",
    "ctkDoubleRangeSlider",
    "ctkDoubleSlider",
    "ctkDoubleSpinBox",
    "ctkExpandableWidget",
    "ctkFittedTextBrowser",
    "ctkMenuButton",
    "ctkMessageBox",
    "ctkPathLineEdit",
    "ctkPushButton",
    "ctkRangeSlider",
    "ctkRangeWidget",
    "ctkSearchBox",
    "ctkSliderWidget",
)
MRML = (
    "qMRMLCheckableNodeComboBox",
    "qMRMLCollapsibleButton",
    "qMRMLNodeComboBox",
    "qMRMLPlotView",
    "qMRMLRangeWidget",
    "qMRMLSegmentSelectorWidget",
    "qMRMLSegmentsTableView",
    "qMRMLSliceView",
    "qMRMLSliceWidget",
    "qMRMLSliderWidget",
    "qMRMLSpinBox",
    "qMRMLSubjectHierarchyComboBox",
    "qMRMLTableView",
    "qMRMLTableWidget",
    "qMRMLVolumeThresholdWidget",
    "qMRMLWidget",
    "qMRMLWindowLevelWidget",
)
COMMAND_LINE_MODULES = ("brainsfit",)


def cut(full: dict) -> dict:
    """Return the part of the full list that the tests use."""
    part: dict = {"about": full["about"]}
    part |= {name: full[name] for name in LISTS}
    part["commandLineModules"] = {
        name: [parameter["name"] for parameter in full["commandLineModules"][name]]
        for name in COMMAND_LINE_MODULES
    }
    chosen = {f"ctk.{name}" for name in CTK} | {f"slicer.{name}" for name in MRML}
    part["widgets"] = {
        name: _entry(entry)
        for name, entry in full["widgets"].items()
        if name in chosen or name.startswith("qt.")
    }
    return part


def _entry(entry: dict) -> dict:
    """Names, properties and signals of a class; the slots are among the names, but for a few."""
    names = set(entry["names"]) | {slot.partition("(")[0] for slot in entry.get("slots", ())}
    kept = {key: entry[key] for key in ("inherits", "properties", "signals") if key in entry}
    return {**kept, "names": sorted(name for name in names if not name.startswith("_"))}


def dump(part: dict) -> str:
    """One line a list, so that a change shows as the names that changed."""
    lines = []
    for key, value in part.items():
        if isinstance(value, dict):
            inner = [f"  {json.dumps(name)}: {json.dumps(entry)}" for name, entry in value.items()]
            lines.append(f" {json.dumps(key)}: {{\n" + ",\n".join(inner) + "\n }")
        else:
            lines.append(f" {json.dumps(key)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("full", type=Path)
    source = json.loads(parser.parse_args().full.read_text(encoding="utf-8"))
    target = Path(__file__).with_name("slicer-api.json")
    target.write_text(dump(cut(source)), encoding="utf-8")
    print(f"{target.name}: {target.stat().st_size / 1000:.0f} kB")
