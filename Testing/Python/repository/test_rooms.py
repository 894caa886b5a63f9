"""The order of the rooms (Testing/rooms.txt) is the law of imports, in functions too."""

from __future__ import annotations

import ast
import functools
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from places import REPOSITORY

ROOTS = {
    "SyntheticCTLib": "SyntheticCT",
    "SyntheticCTMRML": "SyntheticCT",
    "SyntheticCTProgram": "SyntheticCT",
    "SyntheticCTUI": "SyntheticCT",
    "SyntheticCTEvalLib": "SyntheticCTEval",
    "SyntheticCTEvalMRML": "SyntheticCTEval",
    "SyntheticCTEvalUI": "SyntheticCTEval",
}
"""Top-level packages and the folders that they lie in."""
MODULES = ("SyntheticCT", "SyntheticCTEval")
"""Slicer's modules, a file each in a folder of the same name."""
LIBRARIES = ("SyntheticCTLib", "SyntheticCTEvalLib")
SLICER = {"slicer", "qt", "ctk", "PyTorchUtils", "SampleData"}
LIGHT = {"numpy", "scipy", "SimpleITK", "pydicom", "vtk"}
ORDER = [
    line
    for line in (REPOSITORY / "Testing" / "rooms.txt").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
]


@dataclass(frozen=True)
class Import:
    """One name that a file imports: ``from module import name``, the module in full."""

    file: Path
    module: str
    name: str
    in_function: bool


def dotted(file: Path) -> str:
    """The name by which a file is imported."""
    parts = file.relative_to(REPOSITORY).with_suffix("").parts[1:]
    return ".".join(parts).removesuffix(".__init__")


def package_of(file: Path) -> str:
    name = dotted(file)
    return name if file.name == "__init__.py" else name.rpartition(".")[0]


def room_of(module: str) -> str:
    """The longest entry of the order that ``module`` lies in; "" for none of the project's."""
    parts = module.split(".")
    names = [".".join(parts[:count]) for count in range(len(parts), 0, -1)]
    return next((name for name in names if name in ORDER), "")


def files() -> Iterator[Path]:
    for name, folder in ROOTS.items():
        yield from sorted((REPOSITORY / folder / name).rglob("*.py"))
    for name in MODULES:
        yield REPOSITORY / name / f"{name}.py"


def imports(file: Path) -> Iterator[Import]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    top = set(map(id, tree.body))
    for node in ast.walk(tree):
        inner = id(node) not in top
        if isinstance(node, ast.Import):
            yield from (Import(file, alias.name, "", inner) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if node.level:
                base = package_of(file).split(".")
                base = base[: len(base) - node.level + 1]
                module = ".".join([*base, *filter(None, [module])])
            yield from (Import(file, module, alias.name, inner) for alias in node.names)


@functools.cache
def every_import() -> list[Import]:
    return [found for file in files() for found in imports(file)]


def test_the_order_names_every_room_once():
    rooms = {
        dotted(file)
        for file in files()
        if file.name == "__init__.py" and dotted(file).count(".") <= 1
    }
    assert rooms | {"SyntheticCTLib.__main__", *MODULES} == set(ORDER)
    assert len(ORDER) == len(set(ORDER))


def test_no_room_imports_one_that_stands_after_it():
    place = {room: number for number, room in enumerate(ORDER)}
    wrong = [
        f"{dotted(found.file)} imports {found.module}.{found.name}"
        for found in every_import()
        if (there := room_of(found.module) and room_of(f"{found.module}.{found.name}"))
        and place[there] > place[room_of(dotted(found.file))]
    ]
    assert not wrong


def test_the_core_knows_neither_slicer_nor_qt():
    wrong = [
        f"{dotted(found.file)} imports {found.module}"
        for found in every_import()
        if dotted(found.file).startswith(LIBRARIES) and found.module.partition(".")[0] in SLICER
    ]
    assert not wrong


WITHOUT_WINDOW = {"ctkDICOMIndexer"}
"""Of CTK's DICOM library, no widgets."""


def test_no_computing_layer_knows_widgets():
    wrong = [
        dotted(found.file)
        for found in every_import()
        if "MRML" in dotted(found.file)
        and found.module.partition(".")[0] == "ctk"
        and found.name not in WITHOUT_WINDOW
    ]
    assert not wrong


def test_a_room_gives_others_only_what_its_docstring_names():
    wrong = set()
    for found in every_import():
        here, there = room_of(dotted(found.file)), room_of(found.module)
        if here == there or there.count(".") != 1 or not there.startswith(LIBRARIES):
            continue
        inner = found.module.removeprefix(there).lstrip(".") or found.name
        init = REPOSITORY / ROOTS[there.partition(".")[0]] / there.replace(".", "/") / "__init__.py"
        text = ast.get_docstring(ast.parse(init.read_text(encoding="utf-8"))) or ""
        offers = text.partition("Offers:")[2].partition("May use:")[0]
        listed = "__all__" in offers and found.module == there
        if inner.partition(".")[0] not in re.findall(r"\w+", offers) and not listed:
            wrong.add(f"{dotted(found.file)} takes {inner} of {there}")
    assert not wrong


def test_nothing_private_crosses_the_border_of_a_room():
    wrong = [
        f"{dotted(found.file)} takes {found.name} of {found.module}"
        for found in every_import()
        if room_of(found.module)
        and room_of(found.module) != room_of(dotted(found.file))
        and any(
            part.startswith("_") and not part.startswith("__")
            for part in [*found.module.split("."), found.name]
        )
    ]
    assert not wrong


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_room_holds_about_a_dozen_files_and_repeats_its_name_in_none(library):
    for room in (REPOSITORY / ROOTS[library] / library).iterdir():
        if not (room / "__init__.py").is_file():
            continue
        names = [file.stem for file in room.glob("*.py") if file.stem != "__init__"]
        assert len(names) <= 13, room.name
        assert not [name for name in names if name.startswith(f"{room.name}_")]


WHERE_USED = ("gan.py", "compiled.py", "physics.py", "transport.py", "__main__.py")
"""Files that are themselves imported only where they are used."""


@pytest.mark.parametrize("library", LIBRARIES)
def test_heavy_packages_are_imported_where_they_are_used(library):
    wrong = {
        f"{dotted(found.file)}: {found.module}"
        for found in every_import()
        if dotted(found.file).startswith(library)
        and not found.in_function
        and found.file.name not in WHERE_USED
        and found.module.partition(".")[0] not in {*LIGHT, *LIBRARIES, *sys.stdlib_module_names, ""}
    }
    assert not wrong


def test_no_file_is_over_400_lines_and_no_function_over_80():
    wrong = []
    for file in files():
        text = file.read_text(encoding="utf-8")
        if text.count("\n") > 400:
            wrong.append(dotted(file))
        wrong += [
            f"{dotted(file)}.{node.name}"
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.FunctionDef) and node.end_lineno - node.lineno >= 80
        ]
    assert not wrong


def test_every_package_is_in_the_wheel():
    text = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    listed = text.partition("packages = [")[2].partition("]")[0]
    for file in files():
        if file.name == "__init__.py" and "EvalUI" not in dotted(file):
            assert f'"{dotted(file)}"' in listed
