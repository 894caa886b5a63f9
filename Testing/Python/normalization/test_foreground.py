"""The standard scale is read off the patient, whatever lies around the scan."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.body.contour import body_contour
from SyntheticCTLib.normalization.foreground import foreground_mask
from SyntheticCTLib.normalization.nyul import NyulStandard
from SyntheticCTLib.normalization.padding import padding_mask
from SyntheticCTLib.phantom import TINY, make_phantom
from SyntheticCTLib.volumes.grids import image_like


@pytest.fixture(scope="module")
def mr() -> sitk.Image:
    return sitk.Maximum(make_phantom(7, TINY).mr, 1)


def otsu_of_the_logarithm(mr: sitk.Image) -> np.ndarray:
    values = sitk.GetArrayFromImage(mr).astype(np.float32)
    low = float(values.min())
    logs = np.log1p((values - low) / (float(values.mean()) - low) * 100)
    otsu = sitk.OtsuThresholdImageFilter()
    otsu.Execute(sitk.GetImageFromArray(logs))
    return logs > otsu.GetThreshold()


def test_of_a_scan_as_it_comes_it_is_otsus_on_the_logarithm(mr):
    found = foreground_mask(mr)
    assert np.array_equal(found, otsu_of_the_logarithm(mr))
    assert not padding_mask(sitk.GetArrayFromImage(mr)).any()


@pytest.mark.parametrize("value", [0, -1, -1024, 3, 300])
@pytest.mark.parametrize("width", [1, 20, 60])
def test_a_value_padded_around_a_scan_changes_nothing(mr, width, value):
    signed = sitk.Cast(mr, sitk.sitkInt32)
    padded = sitk.ConstantPad(signed, [width, width, 0], [width, width, 0], value)
    found = foreground_mask(padded)[:, width:-width, width:-width]
    assert (found == foreground_mask(mr)).mean() > 0.999


@pytest.mark.parametrize("value", [0, -1])
@pytest.mark.parametrize("ring", [0, 2, 6])
def test_a_scan_masked_to_the_patient_keeps_its_landmarks(mr, value, ring):
    around = sitk.GetArrayFromImage(body_contour(mr, "MR")) > 0
    if ring:
        around = ndimage.binary_dilation(around, np.ones((1, 3, 3)), iterations=ring)
    values = sitk.GetArrayFromImage(mr).astype(np.int32)
    found = foreground_mask(image_like(np.where(around, values, value), mr))
    tissue = foreground_mask(mr) & around
    # Whether a mask reaches into the air or not, the landmarks are those of the tissue.
    ours, theirs = (np.percentile(values[part], (10, 50, 90)) for part in (found, tissue))
    assert np.allclose(ours, theirs, rtol=0.12)


@pytest.mark.parametrize("value", [0, -1, -1024])
def test_a_scan_masked_with_zeros_and_then_padded_with_another_value(mr, value):
    around = sitk.GetArrayFromImage(body_contour(mr, "MR")) > 0
    around = ndimage.binary_dilation(around, np.ones((1, 3, 3)), iterations=4)
    masked = np.where(around, sitk.GetArrayFromImage(mr).astype(np.int32), 0)
    sides = ((2, 1), (20, 20), (20, 20))
    found = foreground_mask(sitk.GetImageFromArray(np.pad(masked, sides, constant_values=value)))
    assert (found != np.pad(foreground_mask(mr), sides)).sum() < 0.01 * found.sum()


def test_a_scan_in_standard_deviations_that_is_0_outside_the_patient(mr):
    body = sitk.GetArrayFromImage(body_contour(mr, "MR")) > 0
    values = sitk.GetArrayFromImage(mr).astype(np.float32)
    values = np.where(body, (values - values[body].mean()) / values[body].std(), 0)
    found = foreground_mask(sitk.GetImageFromArray(values))
    assert (found != foreground_mask(mr)).sum() < 0.05 * found.sum()


def test_zeros_inside_the_patient_are_no_padding(mr):
    values = sitk.GetArrayFromImage(mr)
    middle = tuple(n // 2 for n in values.shape)
    values[middle[0] - 4 : middle[0] + 4, middle[1] - 6 : middle[1] + 6, middle[2] : ] = np.where(
        np.arange(values.shape[2])[middle[2] :] < middle[2] + 8, 0, values[
            middle[0] - 4 : middle[0] + 4, middle[1] - 6 : middle[1] + 6, middle[2] :]
    )  # fmt: skip
    assert not padding_mask(values).any()


def test_a_given_foreground_is_taken_on_any_grid(mr):
    body = body_contour(mr, "MR")
    assert np.array_equal(foreground_mask(mr, body), sitk.GetArrayFromImage(body) > 0)
    box = body[10:40, 12:40, 4:16]
    assert np.count_nonzero(foreground_mask(mr, box)) == np.count_nonzero(
        sitk.GetArrayFromImage(box)
    )
    box.SetOrigin((9000.0, 0.0, 0.0))
    with pytest.raises(SyntheticCTError, match="foreground holds no voxel of the MR"):
        foreground_mask(mr, box)


def test_a_volume_of_one_value_has_no_foreground(mr):
    with pytest.raises(SyntheticCTError, match="has no foreground"):
        foreground_mask(mr * 0)


@pytest.mark.parametrize("spike", [-47465.0, -400.0, 1e6, 1e9])
def test_a_few_spikes_change_neither_foreground_nor_standard_scale(mr, spike):
    values = sitk.GetArrayFromImage(mr).astype(np.float32)
    at = np.random.default_rng(0).integers(0, values.size, 20)
    spiked = values.copy()
    spiked.flat[at] = spike
    spiked = image_like(spiked, mr)
    others = np.ones(values.shape, bool)
    others.flat[at] = False
    found = foreground_mask(spiked)
    assert np.mean(found[others] != foreground_mask(mr)[others]) < 1e-3
    standard = NyulStandard.learn([(mr, foreground_mask(mr))])
    expected, mapped = (sitk.GetArrayFromImage(standard.apply(m)) for m in (mr, spiked))
    np.testing.assert_allclose(mapped[others], expected[others], atol=0.5)
    assert expected.min() - 1 < mapped.min() and mapped.max() < expected.max() + 1
