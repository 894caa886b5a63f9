"""Padding: found whatever its value, and never in noise, voids or saturation."""

from __future__ import annotations

import numpy as np
import pytest
from SyntheticCTLib.normalization.padding import padding_mask


def noise(shape=(6, 30, 40), seed=0) -> np.ndarray:
    """Integer noise of air, in which 0 is common, around something brighter."""
    values = np.random.default_rng(seed).poisson(2, shape)
    values[:, 10:20, 10:30] += 300
    return values.astype(np.int16)


@pytest.mark.parametrize("value", [0, -1, -1024, 3, 150])
@pytest.mark.parametrize(
    "width", [((0, 0), (7, 7), (5, 9)), ((2, 1), (0, 0), (0, 0)), ((0, 0), (1, 0), (0, 1))]
)
def test_padded_planes_are_found_and_nothing_else(value, width):
    inner = noise()
    padded = np.pad(inner, width, constant_values=value)
    expected = np.pad(np.zeros(inner.shape, bool), width, constant_values=True)
    found = padding_mask(padded)
    # Noise of the same value beside the padding cannot be told from it at once.
    wrong = found != expected
    assert not (wrong & (padded != value)).any()
    assert wrong.sum() <= 0.03 * inner.size
    if value < 0:
        assert not wrong.any()


def test_a_masked_volume_is_measured_inside_the_mask_only():
    j, i = np.mgrid[-15:15, -20:20]
    mask = np.broadcast_to((j / 11) ** 2 + (i / 16) ** 2 < 1, (6, 30, 40))
    values = np.where(mask, noise() + 1, 0)
    np.testing.assert_array_equal(padding_mask(values), ~mask)
    framed = np.pad(values, ((0, 0), (6, 6), (6, 6)), constant_values=-1)
    outside = np.pad(~mask, ((0, 0), (6, 6), (6, 6)), constant_values=True)
    np.testing.assert_array_equal(padding_mask(framed), outside)


def test_noise_voids_and_saturation_are_no_padding():
    values = noise()
    values[:, 13:17, 15:20] = 0  # a void inside
    assert not padding_mask(values).any()
    values[:, :8] = values.max()  # saturated beside the coil
    assert not padding_mask(values).any()
    assert not padding_mask(np.random.default_rng(0).poisson(0.4, (6, 60, 80))).any()


def test_a_volume_of_one_value_has_no_padding():
    assert not padding_mask(np.zeros((3, 8, 8))).any()
    assert not padding_mask(np.arange(40.0).reshape(1, 1, 40)).any()
