"""Values of DICOM pixels as the headers mean them, and damaged files by their names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from dicom_files import edit, save_dicom, write_series
from pydicom.uid import RLELossless
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import NotedProgress, Progress
from SyntheticCTLib.volumes.reading import read_volume

STORED = np.random.default_rng(0).integers(0, 2000, (5, 6, 8)).astype(np.uint16)
HU = STORED.astype(int) - 1024
RESCALE = [(1.0, -1024.0), (2.0, -1024.0), (0.5, 0.0), (1.0, 10.0), (1.25, -3.5)]


def values(path: Path, what: str = "CT") -> np.ndarray:
    return sitk.GetArrayFromImage(read_volume(path, what))


def test_monochrome1_holds_the_same_hu(tmp_path):
    for path in write_series(tmp_path, STORED)[::2]:
        edit(path, PhotometricInterpretation="MONOCHROME1", BitsStored=12, HighBit=11)
    np.testing.assert_array_equal(values(tmp_path), HU)


def test_bits_beside_the_stored_ones_do_not_count(tmp_path):
    for path in write_series(tmp_path, STORED | 0xF000):
        edit(path, BitsStored=12, HighBit=11)
    np.testing.assert_array_equal(values(tmp_path), HU)


def test_slices_may_be_signed_or_not(tmp_path):
    for path, plane in list(zip(write_series(tmp_path, STORED), HU, strict=True))[::2]:
        edit(path, PixelRepresentation=1, RescaleIntercept=0)
        edit(path, PixelData=plane.astype("<i2").tobytes())
    np.testing.assert_array_equal(values(tmp_path), HU)


@pytest.mark.parametrize("compressed", ["RLE", "JPEG 2000"])
@pytest.mark.parametrize("shown", ["MONOCHROME1", "MONOCHROME2"])
def test_compressed_slices_are_rescaled_each_by_its_own_header(tmp_path, compressed, shown):
    stored = np.kron(STORED, np.ones((1, 8, 8), np.uint16))  # the coder fails of smaller ones
    for path in write_series(tmp_path, stored, rescale=RESCALE):
        file = pydicom.dcmread(path)
        if compressed == "RLE":
            file.compress(RLELossless)
        else:
            plane = sitk.GetImageFromArray(file.pixel_array)
            sitk.WriteImage(plane, str(tmp_path / "whole.dcm"), useCompression=True)
            other = pydicom.dcmread(tmp_path / "whole.dcm")
            file.file_meta.TransferSyntaxUID = other.file_meta.TransferSyntaxUID
            file.PixelData = other.PixelData
            file["PixelData"].VR = "OB"
            (tmp_path / "whole.dcm").unlink()
        file.PhotometricInterpretation = shown
        save_dicom(file, path)
    expected = np.stack([s * plane + i for plane, (s, i) in zip(stored, RESCALE, strict=True)])
    np.testing.assert_allclose(values(tmp_path), expected, rtol=1e-6)


@pytest.mark.parametrize("keep_meta", [True, False])
def test_slices_without_preamble_are_read(tmp_path, keep_meta):
    for path in write_series(tmp_path, STORED):
        content = path.read_bytes()[132:]
        if not keep_meta:  # group 2 begins with its own length
            length = int.from_bytes(content[8:12], "little")
            content = content[12 + length :]
        path.write_bytes(content)
    np.testing.assert_array_equal(values(tmp_path), HU)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"RescaleSlope": 0}, r"pelvis002\.dcm has a rescale slope or intercept that cannot be"),
        ({"RescaleType": "ED"}, r"pelvis002\.dcm holds ED and not Hounsfield units"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, r"pelvis002\.dcm holds colours"),
        ({"ImageOrientationPatient": [1, 0, 0, 0.3, 1, 0]}, "differ in orientation"),
    ],
)
def test_values_that_mean_something_else_are_refused_by_the_file(tmp_path, change, sentence):
    edit(write_series(tmp_path, STORED)[2], **change)
    with pytest.raises(SyntheticCTError, match=sentence):
        values(tmp_path)


def test_orientations_that_are_not_at_right_angles_are_refused(tmp_path):
    for path in write_series(tmp_path, STORED):
        edit(path, ImageOrientationPatient=[1, 0, 0, 0.3, 1, 0])
    with pytest.raises(SyntheticCTError, match="not two directions at right angles"):
        values(tmp_path)


@pytest.mark.parametrize("empty", [False, True])
def test_a_ct_that_does_not_say_how_values_become_hu_is_told(tmp_path, empty):
    paths = write_series(tmp_path, STORED)
    for path in paths:
        file = pydicom.dcmread(path)
        file.RescaleSlope = file.RescaleIntercept = None
        if not empty:
            del file.RescaleSlope, file.RescaleIntercept
        file.save_as(path)
    progress = NotedProgress(Progress())
    read_volume(tmp_path, "CT", progress)
    assert any("does not say how its stored values become HU" in w for w in progress.warnings)


def test_a_ct_of_which_some_slices_say_how_values_become_hu_is_refused(tmp_path):
    path = write_series(tmp_path, STORED)[1]
    file = pydicom.dcmread(path)
    del file.RescaleSlope, file.RescaleIntercept
    file.save_as(path)
    said = rf"only for {len(STORED) - 1} of its {len(STORED)} slices .* missing in {path.name}"
    with pytest.raises(SyntheticCTError, match=said):
        read_volume(tmp_path, "CT")


@pytest.mark.parametrize("length", [0, 100, 200, 400, 700, 900, -50, -1])
@pytest.mark.parametrize("name", ["pelvis004.dcm", "I0004"])
def test_a_damaged_slice_is_refused_by_its_name_wherever_it_breaks_off(tmp_path, length, name):
    for k, path in enumerate(write_series(tmp_path, STORED)):
        path.rename(tmp_path / (name[:-5] + f"{k}.dcm" if "." in name else f"I000{k}"))
    path = tmp_path / name
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(SyntheticCTError, match=name):
        values(tmp_path)


def test_zeros_in_the_place_of_a_slice_are_no_other_file(tmp_path):
    path = write_series(tmp_path, STORED)[4]
    path.write_bytes(bytes(path.stat().st_size))
    with pytest.raises(SyntheticCTError, match=f"{path.name} among the CT slices"):
        values(tmp_path)


def test_a_single_slice_a_dose_and_a_directory_are_named_for_what_they_are(tmp_path):
    path = write_series(tmp_path, STORED)[0]
    with pytest.raises(SyntheticCTError, match="is a single slice of a series: give the folder"):
        values(path)
    edit(path, Modality="RTDOSE")
    with pytest.raises(SyntheticCTError, match="is of modality RTDOSE, which holds no image"):
        values(path)
    path.rename(tmp_path / "DICOMDIR")
    with pytest.raises(SyntheticCTError, match="is the directory of a DICOM medium"):
        values(tmp_path / "DICOMDIR")
