"""The way from an MR's grid to the network's and back loses no place and no voxel."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from SyntheticCTLib.network.slabs import (
    Padding,
    SlabBlend,
    from_network,
    network_grid,
    to_network,
)
from SyntheticCTLib.volumes.grids import same_grid

SPACING = (1.1, 1.1, 3.0)


def oblique(angles=(0.2, -0.1, 0.3)) -> tuple[float, ...]:
    return tuple(sitk.Euler3DTransform((0, 0, 0), *angles).GetMatrix())


def volume(size, spacing, direction, seed=0) -> sitk.Image:
    array = np.random.default_rng(seed).normal(size=size[::-1]).astype(np.float32)
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(spacing)
    image.SetOrigin((-31.5, 12.25, 400.0))
    image.SetDirection(direction)
    return image


AXES = [
    tuple(np.asarray(np.eye(3)[list(order)] * np.asarray(signs)[:, None]).T.ravel())
    for order in itertools.permutations(range(3))
    for signs in ((1, 1, 1), (-1, 1, -1), (-1, -1, 1))
]


@pytest.mark.parametrize("axes", AXES)
@pytest.mark.parametrize("tilted", [False, True])
def test_a_grid_of_trained_spacing_goes_there_and_back_to_the_last_digit(axes, tilted):
    matrix = np.reshape(axes, (3, 3))
    if tilted:
        matrix = np.reshape(oblique(), (3, 3)) @ matrix
    index_of_world = [int(np.abs(matrix[world]).argmax()) for world in range(3)]
    spacing = [0.0] * 3
    for world, index in enumerate(index_of_world):
        spacing[index] = SPACING[world]
    image = volume((9, 7, 5), spacing, tuple(matrix.ravel()))
    grid = network_grid(image, SPACING)
    back = from_network(to_network(image, grid, 0), grid, image)
    assert back.GetOrigin() == image.GetOrigin()
    assert back.GetDirection() == image.GetDirection()
    assert back.GetSpacing() == image.GetSpacing()
    np.testing.assert_array_equal(sitk.GetArrayFromImage(back), sitk.GetArrayFromImage(image))


@settings(max_examples=30, deadline=None)
@given(
    st.tuples(*[st.integers(4, 15)] * 3),
    st.tuples(*[st.floats(0.4, 6.0)] * 3),
    st.tuples(*[st.floats(-0.6, 0.6).map(lambda angle: round(angle, 9))] * 3),
    st.sampled_from(AXES),
)
def test_any_grid_is_covered_and_a_linear_image_keeps_its_places(size, spacing, angles, axes):
    direction = tuple((np.reshape(oblique(angles), (3, 3)) @ np.reshape(axes, (3, 3))).ravel())
    image = volume(size, spacing, direction)
    grid = network_grid(image, SPACING)
    slope = np.array([0.7, -1.3, 2.1])
    indices = np.stack(np.meshgrid(*map(np.arange, grid.GetSize()), indexing="ij"), -1)
    points = indices * grid.GetSpacing() @ np.reshape(grid.GetDirection(), (3, 3)).T
    ramp = ((points + grid.GetOrigin()) @ slope).T.astype(np.float32)
    back = from_network(ramp, grid, image)
    assert same_grid(back, image, 1e-9)
    for corner in itertools.product(*[(0, n - 1) for n in size]):
        place = np.array(image.TransformIndexToPhysicalPoint(corner))
        assert back.GetPixel(corner) == pytest.approx(place @ slope, abs=5e-3)


def test_slices_of_a_slightly_different_distance_are_not_interpolated():
    image = volume((8, 8, 6), (1.1, 1.1, 3.3), (1, 0, 0, 0, 1, 0, 0, 0, 1))
    assert network_grid(image, SPACING).GetSpacing() == pytest.approx((1.1, 1.1, 3.3))


def test_padding_is_undone():
    array = np.random.default_rng(0).normal(size=(2, 13, 18))
    padding = Padding.to_multiple(array.shape, 8, 3)
    padded = padding.add(array, -1)
    assert padded.shape == (3, 16, 24)
    assert (padded[:, 13:] == -1).all()
    np.testing.assert_array_equal(padding.remove(padded), array)


def test_blend_is_mean_and_spread_over_the_slabs_of_a_slice():
    blend = SlabBlend((4, 1, 1))
    blend.add(0, np.full((3, 1, 1), 2.0, np.float32))
    blend.add(1, np.full((3, 1, 1), 4.0, np.float32))
    assert blend.mean().ravel() == pytest.approx([2, 3, 3, 4])
    assert blend.spread().ravel() == pytest.approx([-1, 1, 1, -1])
