"""Hot spots of gamma maps: where they are, how they are ranked, what they measure."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from SyntheticCTEvalLib.gamma.hot_spots import find_hot_spots

OBLIQUE = (0.8, 0.6, 0, -0.6, 0.8, 0, 0, 0, -1)


def map_of(values: np.ndarray) -> sitk.Image:
    image = sitk.GetImageFromArray(values.astype(np.float32))
    image.SetSpacing((2.0, 2.5, 4.0))
    image.SetOrigin((-10.0, 20.0, 30.0))
    image.SetDirection(OBLIQUE)
    return image


def test_no_failing_voxel_is_no_hot_spot():
    values = np.full((4, 5, 6), -1.0)
    values[1:3] = 1.0
    assert find_hot_spots(map_of(values)) == []


def test_a_spot_tells_place_size_and_maximum():
    values = np.full((6, 7, 8), -1.0)
    values[2, 3, 4:7] = (1.2, 1.8, 1.5)
    gamma = map_of(values)
    (spot,) = find_hot_spots(gamma)
    assert spot.point_mm == pytest.approx(gamma.TransformIndexToPhysicalPoint((5, 3, 2)))
    assert spot.maximum == pytest.approx(1.8)
    assert spot.volume_cm3 == pytest.approx(3 * 2 * 2.5 * 4 / 1000)
    assert spot.excess_cm3 == pytest.approx(1.5 * 0.02)


def test_a_large_failure_comes_before_a_single_hot_voxel():
    values = np.zeros((8, 8, 8))
    values[0, 0, 0] = 2.0
    values[4:7, 4:7, 4:7] = 1.3
    large, single = find_hot_spots(map_of(values))
    assert large.maximum == pytest.approx(1.3)
    assert single.maximum == 2.0
    assert find_hot_spots(map_of(values), most=1) == [large]


def test_among_equal_maxima_the_middle_one_is_the_place():
    values = np.zeros((5, 5, 9))
    values[2, 2, 1:8] = 2.0  # capped
    gamma = map_of(values)
    (spot,) = find_hot_spots(gamma)
    assert spot.point_mm == pytest.approx(gamma.TransformIndexToPhysicalPoint((4, 2, 2)))


def test_voxels_that_touch_at_a_corner_are_one_spot():
    values = np.zeros((3, 3, 3))
    values[0, 0, 0] = values[1, 1, 1] = 1.5
    assert len(find_hot_spots(map_of(values))) == 1


@settings(deadline=None)
@given(st.integers(0, 10_000))
def test_spots_are_the_connected_parts_and_cover_every_failing_voxel(seed):
    values = np.random.default_rng(seed).uniform(-1, 2, (5, 6, 7)).astype(np.float32)
    values[values < 0] = -1
    gamma = map_of(values)
    spots = find_hot_spots(gamma)
    labels, count = ndimage.label(values > 1, np.ones((3, 3, 3)))
    assert len(spots) == count
    assert sum(s.volume_cm3 for s in spots) == pytest.approx(0.02 * np.count_nonzero(values > 1))
    excess = [s.excess_cm3 for s in spots]
    assert excess == sorted(excess, reverse=True)
    parts = set()
    for spot in spots:
        i, j, k = gamma.TransformPhysicalPointToIndex(spot.point_mm)
        assert values[k, j, i] == pytest.approx(spot.maximum)
        assert values[labels == labels[k, j, i]].max() == values[k, j, i]
        parts.add(labels[k, j, i])
    assert len(parts) == count
