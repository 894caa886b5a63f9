"""Imports go downwards only: the core needs no Slicer and no Qt, and knows no layer above it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
SLICER = {"slicer", "qt", "ctk", "PyTorchUtils", "SampleData"}
WIDGETS = {"SyntheticCTUI", "SyntheticCTEvalUI", "SyntheticCT", "SyntheticCTEval"}
ABOVE = {
    "SyntheticCT/SyntheticCTLib": SLICER | WIDGETS | {"SyntheticCTMRML", "SyntheticCTEvalMRML"},
    "SyntheticCTEval/SyntheticCTEvalLib": SLICER
    | WIDGETS
    | {"SyntheticCTMRML", "SyntheticCTEvalMRML"},
    "SyntheticCT/SyntheticCTMRML": WIDGETS | {"ctk", "SyntheticCTEvalMRML"},
    "SyntheticCTEval/SyntheticCTEvalMRML": WIDGETS | {"ctk"},
}
SCENES = {"commands.py", "files.py", "cohort_patient.py"}
"""Write scene.mrb on request, and so reach for the layer above inside a function."""
LIGHT = {"numpy", "scipy", "SimpleITK", "pydicom", "vtk"}


def imports(path: Path, everywhere: bool) -> set[str]:
    """The top-level names that a file imports, at file scope or everywhere."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = list(ast.walk(tree)) if everywhere else list(tree.body)
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add(node.module.partition(".")[0])
    return found


@pytest.mark.parametrize("folder", ABOVE)
def test_no_layer_imports_one_above_it(folder):
    wrong = {
        path.name: names
        for path in (REPOSITORY / folder).rglob("*.py")
        if (
            names := imports(path, True)
            & (ABOVE[folder] - ({"SyntheticCTEvalMRML"} if path.name in SCENES else set()))
        )
    }
    assert not wrong


@pytest.mark.parametrize("folder", [name for name in ABOVE if name.endswith("Lib")])
def test_heavy_packages_are_imported_where_they_are_used(folder):
    import sys

    here = {"SyntheticCTLib", "SyntheticCTEvalLib"}
    wrong = {
        path.name: names
        for path in (REPOSITORY / folder).rglob("*.py")
        if path.name != "networks.py"  # itself imported only where a network is used
        and (names := imports(path, False) - LIGHT - here - set(sys.stdlib_module_names))
    }
    assert not wrong
