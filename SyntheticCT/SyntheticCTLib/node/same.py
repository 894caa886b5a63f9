"""Whether an image that came again is the one that lies here."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.dicom.headers import read_header
from SyntheticCTLib.dicom.pixels import stored_values

_PIXELS = "PixelData"


def same_instance(path: Path, encoded: bytes) -> bool:
    """Whether two DICOM files say the same; how they are encoded does not matter.

    Args:
        path: one that lies here; ``encoded``: the bytes of the other.
    """
    if path.read_bytes() == encoded:
        return True
    with tempfile.TemporaryDirectory() as folder:
        other = Path(folder) / "again.dcm"
        other.write_bytes(encoded)
        headers = [read_header(file, whole=True) for file in (path, other)]
        if None in headers:
            return False
        rest = [{e.tag: str(e.value) for e in h if e.keyword != _PIXELS} for h in headers]
        try:
            values = [stored_values(file, "image") for file in (path, other)]
        except SyntheticCTError:
            return False
        return rest[0] == rest[1] and np.array_equal(*values)
