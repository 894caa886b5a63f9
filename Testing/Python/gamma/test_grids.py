"""Gamma on any grids: permuted, flipped, oblique, planes, fields of view that end, masks."""

from __future__ import annotations

import math

import numpy as np
import pytest
import SimpleITK as sitk
from doses import dose_image, gamma_of, slope_dose, smooth_dose
from scipy.spatial.transform import Rotation
from SyntheticCTEvalLib.gamma.criteria import GammaCriteria
from SyntheticCTEvalLib.gamma.engines import ENGINES, compute_gamma
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.volumes.grids import image_like


@pytest.mark.parametrize("order", [(1, 0, 2), (2, 0, 1), (2, 1, 0)])
def test_axis_permutation_permutes_gamma(order):
    first, second = smooth_dose(0), smooth_dose(0) * 1.01 + smooth_dose(1) / 30
    spacing = (2.0, 2.5, 3.0)
    gamma = gamma_of(dose_image(first, spacing), dose_image(second, spacing))
    moved = [spacing[::-1][axis] for axis in order][::-1]
    permuted = gamma_of(
        *(dose_image(np.transpose(values, order), moved) for values in (first, second))
    )
    assert permuted == pytest.approx(np.transpose(gamma, order), abs=1e-3)


@pytest.mark.parametrize("axes", [(0,), (1,), (2,), (0, 1, 2)])
def test_flip_flips_gamma(axes):
    first, second = smooth_dose(2), smooth_dose(2) * 1.01 + smooth_dose(3) / 30
    gamma = gamma_of(dose_image(first), dose_image(second))
    flipped = gamma_of(*(dose_image(np.flip(values, axes)) for values in (first, second)))
    assert flipped == pytest.approx(np.flip(gamma, axes), abs=1e-3)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("flips", [(True, False, False), (True, True, True)])
def test_storage_order_of_the_evaluated_dose_does_not_matter(engine, flips):
    reference = dose_image(smooth_dose(2))
    evaluated = dose_image(smooth_dose(2) * 1.01 + smooth_dose(3, (9, 10, 11)) / 30)
    stored = sitk.Flip(sitk.PermuteAxes(evaluated, (2, 0, 1)), flips)
    assert stored.GetDirection() != evaluated.GetDirection()
    gamma = gamma_of(reference, evaluated, engine=engine)
    assert gamma_of(reference, stored, engine=engine) == pytest.approx(gamma, abs=1e-3)


def test_voxels_at_the_edge_of_the_dose_are_compared_with_what_is_inside():
    reference = slope_dose(1.0)
    evaluated = slope_dose(1.0, shift_mm=1.0)
    criteria = GammaCriteria(1, 1, normalization_gy=100, cutoffs_percent=(0,))
    gamma = gamma_of(reference, evaluated, criteria)
    # The dose wanted lies beyond the last column: 1 Gy too little, and nowhere to go.
    assert gamma[:, :, -1] == pytest.approx(1.0)
    assert gamma[:, :, 0] == pytest.approx(1 / math.sqrt(2), abs=6e-4)


def test_finer_shifted_oblique_grid_of_the_same_distribution_agrees():
    def distribution(points):
        centre = np.array([15.0, 14.0, 12.0])[:, None]
        return 60 * np.exp(-(((points - centre) / [[14.0], [11.0], [9.0]]) ** 2).sum(axis=0))

    def sampled(size, spacing, origin, direction):
        index = np.stack(np.meshgrid(*map(np.arange, size), indexing="ij")).reshape(3, -1)
        axes = np.reshape(direction, (3, 3)) * spacing
        values = distribution(axes @ index + np.reshape(origin, (3, 1)))
        return dose_image(values.reshape(size).T, spacing, origin, direction)

    reference = sampled((12, 11, 9), (2.5, 2.5, 2.5), (1, 0, 2), np.eye(3))
    turned = Rotation.from_euler("zyx", (20, -15, 10), degrees=True).as_matrix()
    corner = np.array([15.0, 14.0, 12.0]) - turned @ (24.0, 22.0, 26.0)
    evaluated = sampled((41, 41, 41), (1.2, 1.1, 1.3), corner, turned)
    result = compute_gamma(reference, evaluated, GammaCriteria(2, 2))
    gamma = sitk.GetArrayFromImage(result.gamma)
    assert (gamma >= 0).sum() > 300
    # Only the curvature of the distribution inside the fine cells is left.
    assert gamma.max() < 0.25
    shifted = sitk.Image(evaluated)
    shifted.SetOrigin(np.add(evaluated.GetOrigin(), (4.0, 0, 0)))
    assert compute_gamma(reference, shifted, GammaCriteria(2, 2)).pass_rates[10] < 70


def test_both_engines_evaluate_the_same_voxels_of_grids_at_an_angle():
    turned = Rotation.from_euler("z", 10, degrees=True).as_matrix()
    reference = dose_image(smooth_dose(3, (6, 20, 20)) + 30, (2, 2, 2), (0, 0, 0))
    evaluated = dose_image(smooth_dose(4, (6, 16, 16)) + 30, (2, 2, 2), (12, -4, 0), turned)
    exact, sampled = (
        compute_gamma(reference, evaluated, GammaCriteria(3, 3), engine=engine)
        for engine in ENGINES
    )
    left_out, left_out_sampled = (
        sitk.GetArrayFromImage(result.evaluated) == 0 for result in (exact, sampled)
    )
    assert 0 < np.count_nonzero(left_out) < left_out.size
    # All but voxels of gamma about 1, which sampling and resampling bring to the other side.
    assert np.count_nonzero(left_out != left_out_sampled) < 0.04 * np.count_nonzero(left_out)


def test_single_slice_is_compared_in_its_plane():
    volume = np.stack([smooth_dose(6, (20, 22))] * 3)
    other = np.roll(volume, 1, axis=2) * 1.005
    flat = gamma_of(dose_image(volume[:1]), dose_image(other[:1]), GammaCriteria(2, 2))
    # Doses that do not change across slices gain nothing by leaving the slice.
    solid = gamma_of(dose_image(volume), dose_image(other), GammaCriteria(2, 2))
    assert flat[0] == pytest.approx(solid[1], abs=1e-3)
    assert (flat > 0.5).any()


@pytest.mark.parametrize("shape", [(1, 9, 10), (9, 1, 10), (9, 10, 1)])
def test_slice_along_any_axis_agrees_with_pymedphys(shape):
    reference = smooth_dose(6, shape)
    doses = dose_image(reference), dose_image(reference * 1.01 + 0.5)
    exact, sampled = (gamma_of(*doses, GammaCriteria(2, 2), engine=engine) for engine in ENGINES)
    assert ((exact >= 0) == (sampled >= 0)).all()
    assert (exact - sampled).max() < 1e-3
    assert np.median(sampled - exact) < 0.05


def test_planes_are_compared_as_volumes_of_one_slice():
    volumes = [
        dose_image(values, (2, 3, 1), (4, 5, 0))
        for values in (smooth_dose(6, (1, 20, 22)), smooth_dose(7, (1, 20, 22)))
    ]
    inside = np.zeros((1, 20, 22), dtype=np.uint8)
    inside[:, 4:15] = 1
    mask = image_like(inside, volumes[0])
    solid = compute_gamma(*volumes, GammaCriteria(2, 2), mask)
    planes = [volume[:, :, 0] for volume in volumes]
    flat = compute_gamma(*planes, GammaCriteria(2, 2), mask[:, :, 0])
    assert flat.pass_rates == solid.pass_rates and flat.definition == solid.definition
    for name in ("gamma", "evaluated"):
        expected, found = getattr(solid, name)[:, :, 0], getattr(flat, name)
        assert (sitk.GetArrayFromImage(found) == sitk.GetArrayFromImage(expected)).all()
        assert found.GetDimension() == 2 and found.GetOrigin() == planes[0].GetOrigin()
        assert found.GetSpacing() == planes[0].GetSpacing()
    with pytest.raises(SyntheticCTError, match="or two planes"):
        compute_gamma(planes[0], volumes[1])


def test_slice_off_the_plane_counts_the_distance_to_it():
    reference = dose_image(np.full((1, 6, 6), 30.0), origin=(0, 0, 1.5))
    evaluated = dose_image(np.full((1, 6, 6), 30.0), origin=(0, 0, 0))
    assert gamma_of(reference, evaluated, GammaCriteria(1, 3)) == pytest.approx(0.5)


def test_mask_on_another_grid_restricts_the_evaluation():
    dose = dose_image(np.full((6, 8, 10), 30.0), (2, 2, 2), (0, 0, 0))
    mask = dose_image(np.ones((20, 20, 8)), (1, 1, 1), (0, 0, 0))
    result = compute_gamma(dose, dose, mask=sitk.Cast(mask, sitk.sitkUInt8))
    evaluated = sitk.GetArrayFromImage(result.evaluated)
    expected = np.zeros_like(evaluated)
    expected[:, :, :4] = 1
    assert (evaluated == expected).all()
    assert ((sitk.GetArrayFromImage(result.gamma) >= 0) == expected).all()
    assert "inside the mask" in result.definition
