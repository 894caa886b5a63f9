"""Volumes that cannot be of a patient, or not the MR: refused or told, with the right cause."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import NotedProgress, Progress
from SyntheticCTLib.volumes.marks import label_synthetic
from SyntheticCTLib.volumes.reading import read_mask, read_volume
from SyntheticCTLib.volumes.writing import write_volume

SHAPE = (20, 24, 28)
K, J, I = np.indices(SHAPE)  # noqa: E741
BODY = ((J - 12) / 9) ** 2 + ((I - 14) / 11) ** 2 < 1
RNG = np.random.default_rng(0)
MR = (np.where(BODY, 300 + 4 * K, 6) + RNG.rayleigh(4, SHAPE)).astype(np.float32)
CT = np.where(BODY, 40, -1000).astype(np.int16)


def read(folder, values, what="MR", spacing=(10.0, 10.0, 6.0), suffix=".nrrd"):
    image = sitk.GetImageFromArray(values)
    image.SetSpacing(spacing)
    sitk.WriteImage(image, str(folder / f"scan{suffix}"))
    progress = NotedProgress(Progress())
    read_volume(folder / f"scan{suffix}", what, progress)
    return progress.warnings


def test_an_mr_and_a_ct_are_taken_without_a_word(tmp_path):
    assert read(tmp_path, MR) == []
    assert read(tmp_path, CT, "CT") == []
    # Interpolation by splines and reconstruction leave a little below 0.
    assert read(tmp_path, MR - 9) == []


@pytest.mark.parametrize(
    ("spacing", "sentence"),
    [
        ((56, 56, 60), r"has voxels of 56 x 56 x 60 mm, which no scan"),
        ((5.6, 5.6, 30), r"has voxels of 5\.6 x 5\.6 x 30 mm"),
        ((0.01, 0.01, 0.02), r"has voxels of 0\.01 x 0\.01 x 0\.02 mm"),
        ((0.0008, 1, 1), r"has voxels of 0\.0008 x 1 x 1 mm"),
    ],
)
@pytest.mark.parametrize("what", ["MR", "CT", "dose"])
def test_voxels_of_another_unit_are_refused(tmp_path, spacing, sentence, what):
    with pytest.raises(SyntheticCTError, match=sentence):
        read(tmp_path, MR, what, spacing)


@pytest.mark.parametrize("shape", [(8, 90, 90), (8, 200, 64), (160, 20, 20)])
def test_fields_of_view_of_metres_are_refused(tmp_path, shape):
    values = np.zeros(shape, np.int16)
    values[0, 0, 0] = 1
    with pytest.raises(SyntheticCTError, match=r"field of view of .* m \(voxels of 16 x 16 x 16"):
        read(tmp_path, values, "CT", (16, 16, 16))


def test_a_few_voxels_are_no_patient_and_a_small_field_is_told(tmp_path):
    with pytest.raises(SyntheticCTError, match=r"scan\.nrrd has only 3 x 3 x 3 voxels"):
        read(tmp_path, MR[:3, 9:12, 4:7])
    (warning,) = read(tmp_path, MR, spacing=(0.6, 0.6, 0.3))
    assert "only 16.8 x 14.4 x 6 mm large (28 x 24 x 20 voxels): check its voxel size" in warning


@pytest.mark.parametrize("what", ["MR", "CT", "candidate sCT"])
def test_noise_is_refused_for_what_it_is(tmp_path, what):
    for noise in (RNG.rayleigh(20, SHAPE), RNG.normal(0, 20, SHAPE)):
        with pytest.raises(SyntheticCTError, match=r"scan\.nrrd holds noise only"):
            read(tmp_path, noise.astype(np.float32), what)


def test_ct_numbers_are_no_mr(tmp_path):
    with pytest.raises(SyntheticCTError, match=r"holds CT numbers .* and is no MR"):
        read(tmp_path, CT)


@pytest.mark.parametrize("values", [MR - 200, -MR, MR * np.where(I > 13, 1, -1)])
def test_negative_values_of_an_mr_are_told(tmp_path, values):
    (warning,) = read(tmp_path, values.astype(np.float32))
    assert "holds negative values (down to -" in warning


@pytest.mark.parametrize("suffix", [".nrrd", ".nii.gz"])
def test_a_synthetic_ct_is_neither_mr_nor_true_ct(tmp_path, suffix):
    image = sitk.GetImageFromArray(CT)
    image.SetSpacing((10, 10, 6))
    path = write_volume(label_synthetic(image), tmp_path / f"sct{suffix}")
    with pytest.raises(SyntheticCTError, match="marked as a synthetic CT, and not a measured MR"):
        read_volume(path, "MR")
    progress = NotedProgress(Progress())
    read_volume(path, "candidate sCT", progress)
    assert progress.warnings == []
    read_volume(path, "CT", progress)
    assert "marked as a synthetic CT" in progress.warnings[0]


def test_an_image_is_no_mask(tmp_path):
    sitk.WriteImage(sitk.GetImageFromArray(CT), str(tmp_path / "ct.nrrd"))
    with pytest.raises(SyntheticCTError, match=r"holds negative values .* not a mask"):
        read_mask(tmp_path / "ct.nrrd", "region")


@pytest.mark.parametrize("spike", [-47465, 1e6])
def test_spikes_are_told_and_not_taken_for_noise(tmp_path, spike):
    values = MR.copy()
    values.flat[RNG.integers(0, MR.size, 3)] = spike
    (warning,) = read(tmp_path, values)
    assert "holds 3 voxels far beyond all others" in warning and f"{spike:g}" in warning


def test_an_mr_of_a_few_greys_is_told(tmp_path):
    (warning,) = read(tmp_path, np.round(MR / 20).astype(np.uint8))
    assert "different values, as a picture for display does" in warning
