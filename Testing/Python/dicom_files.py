"""Writing DICOM files for tests, with pydicom 3 and with pydicom 2.4 of Slicer 5.10."""

from __future__ import annotations

from pathlib import Path

import pydicom


def save_dicom(dataset: pydicom.Dataset, path: Path) -> None:
    """Write a dataset with preamble and file meta information."""
    if pydicom.__version__.startswith("2."):
        syntax = dataset.file_meta.TransferSyntaxUID
        dataset.is_little_endian = syntax.is_little_endian
        dataset.is_implicit_VR = syntax.is_implicit_VR
        dataset.save_as(path, write_like_original=False)
    else:
        dataset.save_as(path, enforce_file_format=True)
