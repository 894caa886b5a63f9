"""What the CMake lists install is what the modules need at run time, no more and no less."""

from __future__ import annotations

import json
import re

import pytest
from places import REPOSITORY

MODULES = ("SyntheticCT", "SyntheticCTEval")
RUN_TIME = {".py", ".ui", ".html", ".json", ".toml", ".png", ".svg", ".css", ".js"}


def listed(module: str, variable: str) -> list[str]:
    """The entries of a list that a module's CMakeLists.txt sets."""
    text = (REPOSITORY / module / "CMakeLists.txt").read_text(encoding="utf-8")
    (entries,) = re.findall(rf"set\({variable}\b(.*?)\)", text, re.DOTALL)
    return entries.replace("${MODULE_NAME}", module).split()


@pytest.mark.parametrize("module", MODULES)
def test_every_run_time_file_is_listed_once(module):
    folder = REPOSITORY / module
    there = {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.suffix in RUN_TIME and "__pycache__" not in path.parts
    }
    scripts = listed(module, "MODULE_PYTHON_SCRIPTS")
    resources = listed(module, "MODULE_PYTHON_RESOURCES")
    assert sorted(scripts) == sorted(name for name in there if name.endswith(".py"))
    assert sorted(resources) == sorted(name for name in there if not name.endswith(".py"))


@pytest.mark.parametrize("module", MODULES)
def test_nothing_else_lies_among_the_run_time_files(module):
    # A kind of file that the test above does not know would be lost on installation.
    others = {
        path.name
        for path in (REPOSITORY / module).rglob("*")
        if path.is_file() and path.suffix not in RUN_TIME and "__pycache__" not in path.parts
    }
    assert others == {"CMakeLists.txt"}


def test_the_demo_model_reaches_the_place_where_the_library_looks_for_it():
    text = (REPOSITORY / "SyntheticCT" / "CMakeLists.txt").read_text(encoding="utf-8")
    assert "set(DEMO_MODEL_DESTINATION ${MODULE_NAME}Lib/Resources/DemoModel)" in text
    from SyntheticCTLib.bundle.folder import CARD, WEIGHTS

    assert sorted(listed("SyntheticCT", "DEMO_MODEL")) == sorted([CARD, WEIGHTS])


def test_the_modules_own_tests_are_run_by_slicers_ctest():
    for module in MODULES:
        text = (REPOSITORY / module / "CMakeLists.txt").read_text(encoding="utf-8")
        assert "slicer_add_python_unittest(SCRIPT ${MODULE_NAME}.py)" in text
        assert f"class {module}Test(" in (REPOSITORY / module / f"{module}.py").read_text()


def test_no_test_is_installed():
    for module in MODULES:
        scripts = listed(module, "MODULE_PYTHON_SCRIPTS")
        assert not [name for name in scripts if "test" in name.lower()]


def test_the_extension_says_what_the_extensions_index_asks_for():
    text = (REPOSITORY / "CMakeLists.txt").read_text(encoding="utf-8")
    said = dict(re.findall(r'set\(EXTENSION_(\w+) "([^"]*)"\)', text))
    said |= dict(re.findall(r'set\(EXTENSION_(\w+) "([^"]*)"\) #', text))
    assert re.search(r"project\((\w+)\)", text)[1] == "SyntheticCT"
    assert said["CATEGORY"] == "Radiotherapy"
    assert said["DEPENDS"] == "PyTorch"
    for key in ("HOMEPAGE", "ICONURL", "SCREENSHOTURLS"):
        assert said[key].startswith("https://")
    assert said["CONTRIBUTORS"] and said["DESCRIPTION"]
    for key in ("ICONURL", "SCREENSHOTURLS"):
        for url in said[key].split():
            assert (REPOSITORY / url.split("/main/", 1)[1]).is_file()
    assert re.findall(r"add_subdirectory\((\w+)\)", text) == list(MODULES)
    assert (REPOSITORY / "LICENSE").is_file()


def test_the_catalogue_entry_agrees_with_the_extension():
    text = (REPOSITORY / "CMakeLists.txt").read_text(encoding="utf-8")
    (entry,) = (REPOSITORY / "Resources" / "ExtensionsIndex").glob("*.json")
    said = json.loads(entry.read_text(encoding="utf-8"))
    assert entry.stem == re.search(r"project\((\w+)\)", text)[1]
    assert f'set(EXTENSION_CATEGORY "{said["category"]}")' in text
    assert f'set(EXTENSION_DEPENDS "{" ".join(said["build_dependencies"])}")' in text
    assert f'set(EXTENSION_HOMEPAGE "{said["scm_url"].removesuffix(".git")}")' in text
    # The schema of the index allows nothing else.
    allowed = {"$schema", "build_dependencies", "build_subdirectory", "category"}
    assert set(said) <= allowed | {"enabled", "scm_revision", "scm_type", "scm_url", "tier"}
