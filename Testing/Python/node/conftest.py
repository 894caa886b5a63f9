"""A spool, and the images of a series that may come into it."""

from __future__ import annotations

import pydicom
import pytest
from mr_series import mr_and_sct, write_mr
from pydicom.uid import generate_uid
from SyntheticCTLib.node.spool import Spool


@pytest.fixture
def images(tmp_path):
    """Twelve images of a series, as files and with their UIDs."""
    paths = write_mr(tmp_path / "mr", mr_and_sct()[0], SeriesInstanceUID=generate_uid())
    headers = [pydicom.dcmread(path, stop_before_pixels=True) for path in paths]
    return [
        (path.read_bytes(), (h.StudyInstanceUID, h.SeriesInstanceUID, h.SOPInstanceUID))
        for path, h in zip(paths, headers, strict=True)
    ]


@pytest.fixture
def spool(tmp_path):
    with Spool(tmp_path / "spool").held() as held:
        yield held
