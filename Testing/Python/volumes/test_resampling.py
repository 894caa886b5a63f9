"""The resampling helper: where values land, what lies outside, and which grids are the same."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from SyntheticCTLib.volumes.grids import grid_of, image_like, same_grid
from SyntheticCTLib.volumes.resampling import HU_OUTSIDE, floored, resample

ANGLES = st.floats(-3.1, 3.1).map(lambda angle: round(angle, 9))


def turned(angles: tuple[float, float, float], flips: tuple[int, int, int]) -> tuple[float, ...]:
    turn = sitk.Euler3DTransform()
    turn.SetRotation(*angles)
    return tuple((np.reshape(turn.GetMatrix(), (3, 3)) @ np.diag(flips)).ravel().tolist())


def ramp_on(grid: sitk.Image, slope: np.ndarray, offset: float) -> sitk.Image:
    """A linear function of the physical point, which linear interpolation gives back."""
    k, j, i = np.indices(grid.GetSize()[::-1]).reshape(3, -1)
    index = np.stack([i, j, k]) * np.array(grid.GetSpacing())[:, None]
    points = np.reshape(grid.GetDirection(), (3, 3)) @ index + np.array(grid.GetOrigin())[:, None]
    return image_like((slope @ points + offset).reshape(grid.GetSize()[::-1]), grid)


@settings(max_examples=40, deadline=None)
@given(
    angles=st.tuples(ANGLES, ANGLES, ANGLES),
    flips=st.tuples(*[st.sampled_from([-1, 1])] * 3),
    spacing=st.tuples(*[st.floats(0.5, 3)] * 3),
    shift=st.tuples(*[st.floats(-3, 3)] * 3),
)
def test_values_land_where_they_lie_on_any_oblique_or_flipped_grid(angles, flips, spacing, shift):
    direction = turned(angles, flips)
    middle = -np.reshape(direction, (3, 3)) @ (np.array(spacing) * 7)
    source = grid_of((15, 15, 15), spacing, tuple((middle + shift).tolist()), direction)
    target = grid_of((3, 3, 3), (1.0, 1.0, 1.0), (-1, -1, -1))
    slope, offset = np.array([2.0, -3.0, 5.0]), 7.0
    values = sitk.GetArrayFromImage(resample(ramp_on(source, slope, offset), target, fill=np.nan))
    expected = sitk.GetArrayFromImage(ramp_on(target, slope, offset))
    index = np.array([source.TransformPhysicalPointToContinuousIndex(p) for p in _points(target)])
    within = ((index > 0.01) & (index < 13.99)).all(axis=1).reshape(3, 3, 3)
    np.testing.assert_allclose(values[within], expected[within], atol=1e-6)
    beyond = ((index < -0.51) | (index > 14.51)).any(axis=1).reshape(3, 3, 3)
    assert np.isnan(values[beyond]).all()


def _points(grid: sitk.Image) -> list[tuple[float, ...]]:
    return [
        grid.TransformIndexToPhysicalPoint((i, j, k))
        for k in range(3)
        for j in range(3)
        for i in range(3)
    ]


def test_transform_maps_points_of_the_reference_to_points_of_the_image():
    values = np.zeros((5, 5, 5), np.int16)
    values[2, 2, 3] = 100
    image = sitk.GetImageFromArray(values)
    moved = resample(image, image, sitk.TranslationTransform(3, (1.0, 0.0, 0.0)), fill=0)
    assert moved[2, 2, 2] == 100


@pytest.mark.parametrize("fill", [HU_OUTSIDE, 0])
def test_outside_the_field_of_view_lies_the_fill_value(fill):
    image = sitk.GetImageFromArray(np.full((4, 4, 4), 50, np.int16))
    wide = grid_of((8, 4, 4), (1, 1, 1), (-2, 0, 0))
    values = sitk.GetArrayFromImage(resample(image, wide, fill=fill))
    assert (values[..., 2:6] == 50).all()
    assert (values[..., [0, 1, 6, 7]] == fill).all()


def test_no_fill_value_repeats_the_outermost_voxels():
    image = image_like(
        np.arange(64, dtype=np.int16).reshape(4, 4, 4), grid_of((4,) * 3, (1,) * 3, (0,) * 3)
    )
    wide = grid_of((8, 4, 4), (1, 1, 1), (-2, 0, 0))
    values = sitk.GetArrayFromImage(resample(image, wide, fill=None))
    np.testing.assert_array_equal(
        values, np.pad(sitk.GetArrayFromImage(image), [(0, 0), (0, 0), (2, 2)], mode="edge")
    )


def test_whole_numbers_are_rounded():
    image = sitk.GetImageFromArray(np.array([[[0, 99], [0, 99]]] * 2, np.int16))
    fine = grid_of((4, 2, 2), (0.25, 1, 1), (0.25, 0, 0))
    values = sitk.GetArrayFromImage(resample(image, fine, fill=HU_OUTSIDE))
    assert values[0, 0].tolist() == [25, 50, 74, 99]


def test_labels_are_never_mixed():
    labels = sitk.GetImageFromArray(
        np.random.default_rng(0).choice([0, 3, 9], (6, 6, 6)).astype(np.uint8)
    )
    fine = grid_of((11, 11, 11), (0.5, 0.5, 0.5), (0.1, 0.1, 0.1))
    assert set(np.unique(sitk.GetArrayFromImage(resample(labels, fine, fill=0, nearest=True)))) <= {
        0,
        3,
        9,
    }


def test_the_same_grid_without_a_transform_gives_the_same_voxels_back():
    image = sitk.GetImageFromArray(
        np.random.default_rng(0).integers(0, 9, (3, 4, 5)).astype(np.int16)
    )
    again = resample(image, image, fill=0)
    again[0, 0, 0] = 77
    assert image[0, 0, 0] != 77


def test_antialiasing_averages_what_lies_between_coarse_voxels():
    stripes = np.zeros((4, 40, 40), np.float32)
    stripes[:, :, ::2] = 100
    image = sitk.GetImageFromArray(stripes)
    coarse = grid_of((8, 40, 4), (4.0, 1, 1), (6, 0, 0))
    plain = sitk.GetArrayFromImage(resample(image, coarse, fill=0))
    smooth = sitk.GetArrayFromImage(resample(image, coarse, fill=0, antialias=True))
    assert plain.max() == 100
    np.testing.assert_allclose(smooth, 50, atol=5)


def test_grids_differ_when_any_corner_does():
    base = grid_of((4, 5, 6), (1, 2, 3), (10, 20, 30))
    assert same_grid(base, grid_of((4, 5, 6), (1, 2, 3), (10, 20, 30.0005)))
    assert not same_grid(base, grid_of((4, 5, 7), (1, 2, 3), (10, 20, 30)))
    assert not same_grid(base, grid_of((4, 5, 6), (1, 2, 3.001), (10, 20, 30)))
    assert not same_grid(base, grid_of((4, 5, 6), (1, 2, 3), (10.01, 20, 30)))
    assert not same_grid(
        base, grid_of((4, 5, 6), (1, 2, 3), (10, 20, 30), turned((0, 0, 0.01), (1, 1, 1)))
    )
    assert not same_grid(
        base, grid_of((4, 5, 6), (1, 2, 3), (10, 20, 30), turned((0, 0, 0), (1, 1, -1)))
    )


@pytest.mark.parametrize("origin", [(-300.1, -500.1, -900.1), (7000.3, -9000.7, 12000.9)])
def test_a_grid_that_was_kept_in_single_precision_is_the_same(tmp_path, origin):
    grid = grid_of((60, 50, 40), (4.1, 4.3, 5.7), origin, turned((0.3, -0.7, 2.9), (1, 1, -1)))
    sitk.WriteImage(grid, str(tmp_path / "a.nii"))
    back = sitk.ReadImage(str(tmp_path / "a.nii"))
    assert back.GetOrigin() != grid.GetOrigin()
    assert same_grid(grid, back)
    copied = resample(back, grid, fill=0)
    assert copied.GetOrigin() == grid.GetOrigin()
    assert (copied == grid).GetSize() == grid.GetSize()


def test_padding_is_raised_to_the_value_outside_before_interpolation():
    hu = np.full((4, 6, 6), -3024, np.int16)
    hu[:, 2:4, 2:4] = 40
    ct = sitk.GetImageFromArray(hu)
    found = floored(ct)
    assert found.GetPixelID() == ct.GetPixelID() and same_grid(found, ct)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(found), np.maximum(hu, HU_OUTSIDE))
    assert floored(found) is found
