"""Ways in which pixels are stored or compressed, by DCMTK: read voxel for voxel, loss is told."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from dicom_files import save_dicom, write_series
from SyntheticCTLib.basics.progress import NotedProgress, Progress
from SyntheticCTLib.volumes.reading import read_volume

_ROW, _COLUMN = np.mgrid[:32, :24]
SMOOTH = np.stack([1500 + 1000 * np.sin(_COLUMN / 9 + k) * np.cos(_ROW / 7) for k in range(3)])
WHOLE = {
    "implicit": ["dcmconv", "+ti"],
    "big-endian": ["dcmconv", "+tb"],
    "deflated": ["dcmconv", "+td"],
    "RLE": ["dcmcrle"],
    "JPEG P14": ["dcmcjpeg", "+el"],
    "JPEG P14 SV1": ["dcmcjpeg", "+e1"],
    "JPEG-LS": ["dcmcjpls", "+el"],
    "JPEG-LS in fragments": ["dcmcjpls", "+el", "+fs", "1"],
}
LOSSY = {
    "JPEG baseline": (["dcmcjpeg", "+eb", "+q", "95"], 40.0),
    "JPEG extended": (["dcmcjpeg", "+ee", "+q", "95"], 10.0),
    "JPEG-LS near": (["dcmcjpls", "+en", "+md", "3"], 3.0),
}
"""Command, and how far values may lie from those that were compressed."""
BITS = {
    "8": (8, 8, 0),
    "12": (16, 12, 0),
    "16": (16, 16, 0),
    "-12": (16, 12, 1),
    "-16": (16, 16, 1),
}
"""Allocated and stored bits, and whether values have signs."""


def write(folder: Path, bits: str, command: list[str], shown: str = "MONOCHROME2") -> np.ndarray:
    """Write a compressed series; return the values that it must give back."""
    if not shutil.which(command[0]):
        pytest.skip(f"{command[0]} (Debian's dcmtk) is not installed")
    allocated, stored, signed = BITS[bits]
    values = {8: SMOOTH / 11, 12: SMOOTH, 16: SMOOTH * 12}[stored] - signed * SMOOTH.mean()
    values = np.round(values).astype(f"<{'i' if signed else 'u'}{allocated // 8}")
    for path, plane in zip(write_series(folder, SMOOTH.astype(np.uint16)), values, strict=True):
        ds = pydicom.dcmread(path)
        ds.Modality, ds.PhotometricInterpretation = "MR", shown
        ds.RescaleSlope, ds.RescaleIntercept = 1, 0
        ds.BitsAllocated, ds.BitsStored, ds.HighBit = allocated, stored, stored - 1
        ds.PixelRepresentation = signed
        kept = plane.view(f"<u{allocated // 8}") & ((1 << stored) - 1)
        ds.PixelData = kept.tobytes()
        ds["PixelData"].VR = "OB" if allocated == 8 else "OW"
        save_dicom(ds, path)
        subprocess.run([*command, str(path), str(path)], check=True, capture_output=True)
    return values


def read(folder: Path) -> tuple[np.ndarray, list[str]]:
    progress = NotedProgress(Progress())
    image = read_volume(folder, "image", progress)
    return sitk.GetArrayFromImage(image), [w for w in progress.warnings if "with loss" in w]


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("kind", WHOLE)
def test_every_voxel_comes_back(tmp_path, kind, bits):
    values = write(tmp_path, bits, WHOLE[kind])
    found, told = read(tmp_path)
    np.testing.assert_array_equal(found, values)
    assert not told


@pytest.mark.parametrize("kind", ["JPEG P14 SV1", "JPEG-LS", "big-endian"])
def test_monochrome1_is_no_inversion(tmp_path, kind):
    values = write(tmp_path, "12", WHOLE[kind], "MONOCHROME1")
    np.testing.assert_array_equal(read(tmp_path)[0], values)


@pytest.mark.parametrize("bits", ["8", "12", "-12"])
@pytest.mark.parametrize("kind", LOSSY)
def test_loss_is_within_its_error_and_told(tmp_path, kind, bits):
    command, error = LOSSY[kind]
    if kind == "JPEG-LS near" and bits == "-12":
        pytest.skip("DCMTK refuses to compress signed values in this way")
    values = write(tmp_path, bits, command)
    found, told = read(tmp_path)
    np.testing.assert_allclose(found, values, atol=error)
    assert len(told) == 1
