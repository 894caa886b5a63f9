"""What CMake installs is all that the modules need: their panels' tests pass on a copy of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from places import REPOSITORY
from test_cmake_lists import MODULES, listed


def installed(folder: Path) -> Path:
    """Copy just the listed files of both modules into one folder, as Slicer's install does."""
    for module in MODULES:
        files = listed(module, "MODULE_PYTHON_SCRIPTS") + listed(module, "MODULE_PYTHON_RESOURCES")
        for name in files:
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(REPOSITORY / module / name, target)
    model = folder / "SyntheticCTLib" / "Resources" / "DemoModel"
    model.mkdir(parents=True)
    for name in listed("SyntheticCT", "DEMO_MODEL"):
        shutil.copyfile(REPOSITORY / "Resources" / "DemoModel" / name, model / name)
    return folder


@pytest.mark.parametrize(
    ("tests", "chosen"),
    [
        (
            ("repository/on_what_is_installed.py", "panels/test_synthetic_ct_panel.py"),
            "own_test or card",
        ),
        (("panels/test_evaluation_panel.py",), "click or export"),
    ],
)
def test_the_panels_run_from_what_cmake_installs(tests, chosen, tmp_path):
    folder = installed(tmp_path / "qt-scripted-modules")
    environment = os.environ | {"SYNTHETIC_CT_INSTALLED": str(folder), "PYTHONPATH": str(folder)}
    place = [sys.executable, "-c", "import SyntheticCTLib; print(SyntheticCTLib.__file__)"]
    found = subprocess.run(place, env=environment, capture_output=True, text=True, check=True)
    assert Path(found.stdout.strip()).is_relative_to(folder)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", "-k", chosen,
         *(str(REPOSITORY / "Testing" / "Python" / file) for file in tests)],
        env=environment, capture_output=True, text=True, cwd=REPOSITORY,
    )  # fmt: skip
    if "skipped" in done.stdout and "passed" not in done.stdout:
        pytest.skip("slicer-core, PySide6 or an OpenGL library is not here")
    assert done.returncode == 0, done.stdout[-3000:]
