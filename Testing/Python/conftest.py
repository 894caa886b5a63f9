"""What several test files share: the place of the optional real data, small images."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# CI tries the same examples every time, so that a red run speaks of the change it tests.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")

REAL_DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real files that are not part of the repository; skips where it is absent."""
    if not REAL_DATA.is_dir():
        pytest.skip(f"the real files are not here ({REAL_DATA.parent.name}/data is absent)")
    return REAL_DATA
