"""Surface distances against shapes whose distances are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from SyntheticCTEvalLib.image import body_agreement as body
from SyntheticCTEvalLib.image.surfaces import surface_distances
from SyntheticCTLib.basics.errors import SyntheticCTError


def _mask(array, spacing=(1.0, 1.0, 1.0)):
    image = sitk.GetImageFromArray(np.asarray(array, np.uint8))
    image.SetSpacing(spacing)
    return image


def _box(shape, k, j, i):
    array = np.zeros(shape, np.uint8)
    array[slice(*k), slice(*j), slice(*i)] = 1
    return array


def test_moved_plate_is_its_move_away_in_mm():
    """Plates through the whole image: their only surfaces are two planes each."""
    shape = (12, 14, 16)
    first = _box(shape, (3, 6), (0, 14), (0, 16))
    second = _box(shape, (5, 8), (0, 14), (0, 16))
    found = surface_distances(_mask(first, (1, 1, 2.5)), _mask(second, (1, 1, 2.5)))
    # planes at slices 3 and 5 against 5 and 7: 2, 0 one way and 0, 2 the other
    assert found.hd95 == pytest.approx(5)
    assert found.mean == pytest.approx(2.5)
    turned = [_mask(a.transpose(2, 1, 0), (2.5, 1, 1)) for a in (first, second)]
    assert surface_distances(*turned) == found


def test_larger_ball_is_the_difference_of_radii_away():
    k, j, i = np.ogrid[-16:17, -24:25, -24:25]
    radius = np.sqrt((1.5 * k) ** 2 + j**2 + i**2)
    balls = [_mask(radius < r, (1, 1, 1.5)) for r in (14.0, 20.0)]
    found = surface_distances(*balls)
    assert found.mean == pytest.approx(6, abs=0.4)
    assert found.hd95 == pytest.approx(6, abs=0.9)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), limited=st.booleans())
def test_distances_are_those_of_every_pair_of_surface_points(seed, limited):
    generator = np.random.default_rng(seed)
    shape, spacing = (4, 6, 5), (1.1, 0.7, 2.3)
    masks = [generator.random(shape) < 0.6 for _ in range(2)]
    region = generator.random(shape) < 0.8 if limited else np.ones(shape, bool)
    points = []
    for mask in masks:
        surface = []
        for at in np.argwhere(mask & region):
            steps = np.vstack([np.eye(3, dtype=int), -np.eye(3, dtype=int)])
            around = [tuple(n) for n in at + steps if np.all(n >= 0) and np.all(n < shape)]
            if any(region[n] and not mask[n] for n in around):
                surface.append(at * spacing[::-1])
        points.append(np.array(surface))
    apart = np.linalg.norm(points[0][:, None] - points[1][None], axis=2)
    there, back = apart.min(1), apart.min(0)
    limit = _mask(region, spacing) if limited else None
    found = surface_distances(*(_mask(mask, spacing) for mask in masks), limit)
    assert found.mean == pytest.approx(np.concatenate([there, back]).mean())
    assert found.hd95 == pytest.approx(max(np.percentile(there, 95), np.percentile(back, 95)))


def test_few_voxels_far_off_do_not_decide():
    first = _box((10, 20, 40), (2, 8), (2, 18), (2, 18))
    second = first.copy()
    second[4, 10, 36] = 1
    found = surface_distances(_mask(first), _mask(second))
    assert found.hd95 == 0
    assert 0 < found.mean < 0.1


def test_end_of_image_and_region_is_no_surface():
    first = _box((6, 12, 12), (0, 6), (3, 9), (3, 9))
    second = _box((6, 12, 12), (0, 6), (3, 9), (3, 10))
    region = _mask(_box((6, 12, 12), (1, 4), (0, 12), (0, 12)))
    whole = surface_distances(_mask(first), _mask(second))
    limited = surface_distances(_mask(first), _mask(second), region)
    # a column of one and the same cross-section has the same distances over any slices
    assert (limited.mean, limited.hd95) == pytest.approx((whole.mean, whole.hd95))
    assert math.isnan(surface_distances(region * 0 + 1, _mask(first)).mean)


def test_body_distance_and_what_cannot_be_measured():
    first = _mask(_box((4, 30, 30), (0, 4), (5, 25), (5, 25)), (2, 2, 3))
    second = _mask(_box((4, 30, 30), (0, 4), (5, 25), (8, 28)), (2, 2, 3))
    assert body.hd95(first, second) == pytest.approx(6)
    assert math.isnan(body.hd95(first, second * 0))
    second.SetOrigin((1, 0, 0))
    with pytest.raises(SyntheticCTError, match="different grids"):
        body.hd95(first, second)
