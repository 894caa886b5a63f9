"""What several test files share: the place of the optional real data, small images."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings
from places import REAL_DATA

# Two test processes share the cores; said before numpy and torch are imported and count them.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# CI tries the same examples every time, so that a red run speaks of the change it tests.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")


SLOW = (
    "test_demo.py",
    "test_repeatable.py",
    "test_batch_script.py",
    "test_installed_tree.py",
    "test_run.py",
    "test_training.py",
    "test_registration.py",
    "test_one_patient.py",
    "test_report.py",
)
"""Files that take longest: begun first, so that neither process waits for the other at the end."""


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.path.name not in SLOW)


PAINTED = ("report", "pictures", "study")
"""Rooms whose tests look at pictures."""


@pytest.fixture(scope="module", autouse=True)
def unpainted(request):
    """Leave matplotlib's figures blank where no test looks at them: a report is mostly painting.

    They are laid out and have their size all the same. Processes that a test starts paint theirs.
    """
    if request.path.parent.name in PAINTED:
        yield
        return
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    def leave_blank(canvas):
        canvas.renderer = canvas.get_renderer()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FigureCanvasAgg, "draw", leave_blank)
        yield


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real files that are not part of the repository; skips where it is absent."""
    if not REAL_DATA.is_dir():
        pytest.skip(f"the real files are not here ({REAL_DATA.parent.name}/data is absent)")
    return REAL_DATA


@pytest.fixture
def harness(tmp_path):
    """Slicer's stand-in with its main window: loads module files, opens panels, clicks."""
    with _open_slicer(tmp_path, main_window=True) as slicer:
        yield slicer


@pytest.fixture
def harness_without_window(tmp_path):
    """The same as ``Slicer --no-main-window --disable-cli-modules``."""
    with _open_slicer(tmp_path, main_window=False) as slicer:
        yield slicer


def _open_slicer(folder: Path, main_window: bool):
    pytest.importorskip("slicer", reason="slicer-core is not installed")
    pytest.importorskip(
        "PySide6.QtUiTools",
        reason="PySide6, or an OpenGL library that it needs, is not installed",
        exc_type=ImportError,
    )
    from harness import open_slicer

    return open_slicer(folder, main_window)
