"""What the panels' tests share."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    """One Slicer's stand-in for all tests of a file."""
    from harness import open_slicer

    with open_slicer(tmp_path_factory.mktemp("slicer")) as session:
        yield session
