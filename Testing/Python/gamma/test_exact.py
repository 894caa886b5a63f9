"""Gamma: analytic cases, brute-force sampling, pass rates, agreement with pymedphys."""

from __future__ import annotations

import math

import numpy as np
import pytest
import SimpleITK as sitk
from doses import dose_image, gamma_of, slope_dose, smooth_dose
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.spatial.transform import Rotation
from SyntheticCTEvalLib.gamma.criteria import GammaCriteria
from SyntheticCTEvalLib.gamma.engines import ENGINES, compute_gamma
from SyntheticCTLib.basics.errors import SyntheticCTError


def sampled_gamma(reference, evaluated, index, dose_gy, distance_mm, cap, samples=24):
    """Return gamma of one voxel (i, j, k) by dense sampling and a fine search around the best."""
    values = sitk.GetArrayFromImage(evaluated).astype(float)
    point = np.array(
        evaluated.TransformPhysicalPointToContinuousIndex(
            reference.TransformIndexToPhysicalPoint([int(n) for n in index])
        )
    )
    reference_dose = float(reference[[int(n) for n in index]])
    spacing, last = np.array(evaluated.GetSpacing()), np.array(evaluated.GetSize()) - 1
    count = np.where(last > 0, last * samples + 1, 1)

    def squared(grid):
        found = map_coordinates(values, grid[::-1], order=1, mode="nearest")
        apart = (((grid - point[:, None]) * spacing[:, None] / distance_mm) ** 2).sum(axis=0)
        return apart + ((found - reference_dose) / dose_gy) ** 2

    axes = [np.linspace(0, b, n) for b, n in zip(last, count, strict=True)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij")).reshape(3, -1)
    coarse = squared(grid)
    starts = grid[:, np.argsort(coarse)[:60]]
    step, best = np.where(last > 0, 1 / samples, 0), float(coarse.min())
    around = np.stack(np.meshgrid(*[np.linspace(-1, 1, 7)] * 3, indexing="ij")).reshape(3, -1)
    for _ in range(4):
        grid = starts[:, :, None] + around[:, None] * step[:, None, None]
        grid = np.clip(grid, 0, last[:, None, None])
        fine = squared(grid.reshape(3, -1)).reshape(grid.shape[1:])
        starts = grid[:, np.arange(len(fine)), fine.argmin(axis=1)]
        best, step = min(best, float(fine.min())), step / 3
    return min(math.sqrt(best), cap)


@pytest.mark.parametrize("engine", ENGINES)
def test_identical_doses_give_exactly_zero(engine):
    dose = dose_image(smooth_dose(0))
    result = compute_gamma(dose, dose, engine=engine)
    gamma, evaluated = (sitk.GetArrayFromImage(v) for v in (result.gamma, result.evaluated))
    assert (gamma[evaluated == 1] == 0).all()
    assert result.pass_rates == {10: 100.0}


def test_result_lies_on_the_grid_of_the_reference():
    direction = Rotation.from_euler("xyz", (10, -20, 35), degrees=True).as_matrix()
    reference = dose_image(smooth_dose(0), direction=direction)
    result = compute_gamma(reference, dose_image(smooth_dose(1, (14, 14, 14)), origin=(0, 0, 0)))
    for image in (result.gamma, result.evaluated):
        assert image.GetSize() == reference.GetSize()
        assert image.GetOrigin() == reference.GetOrigin()
        assert image.GetSpacing() == reference.GetSpacing()
        assert image.GetDirection() == reference.GetDirection()
    assert result.gamma.GetPixelID() == sitk.sitkFloat32
    assert result.evaluated.GetPixelID() == sitk.sitkUInt8


@pytest.mark.parametrize("engine", ENGINES)
def test_uniform_difference_is_gamma_of_difference_over_tolerance(engine):
    shape = (5, 6, 7)
    reference, evaluated = (dose_image(np.full(shape, dose)) for dose in (50.0, 50.75))
    gamma = gamma_of(reference, evaluated, GammaCriteria(2, 3), engine=engine)
    assert gamma == pytest.approx(0.75)


@pytest.mark.parametrize("shift_mm", [0.4, 1.0, 1.9, 2.6, 5.3])
def test_shift_of_a_steep_dose_is_gamma_of_shift_over_distance(shift_mm):
    # 40 Gy/mm: no dose difference is worth the distance it saves.
    reference, evaluated = slope_dose(40), slope_dose(40, shift_mm)
    criteria = GammaCriteria(0.1, 3, normalization_gy=100, cutoffs_percent=(0,), cap=3)
    inner = gamma_of(reference, evaluated, criteria)[1:-1, 2:-2, 5:-5]
    assert inner == pytest.approx(shift_mm / 3, abs=2e-3)


@pytest.mark.parametrize("gy_per_mm", [0.05, 0.4, 2.0])
@pytest.mark.parametrize("cap", [2, 4])
def test_difference_on_a_slope_is_shared_between_dose_and_distance(gy_per_mm, cap):
    reference = slope_dose(gy_per_mm)
    evaluated = sitk.Cast(reference + 2.2, sitk.sitkFloat32)
    criteria = GammaCriteria(1, 2, normalization_gy=100, cutoffs_percent=(0,), cap=cap)
    # Closest point of a line: difference / sqrt(tolerance^2 + (slope distance)^2).
    expected = min(2.2 / math.hypot(1, gy_per_mm * 2), cap)
    gamma = gamma_of(reference, evaluated, criteria)[1:-1, 1:-1, 6:-6]
    assert gamma == pytest.approx(expected, abs=6e-4)


def test_local_criterion_is_percent_of_each_voxels_dose():
    reference = slope_dose(0.5)
    evaluated = sitk.Cast(reference + 0.5, sitk.sitkFloat32)
    gamma = gamma_of(reference, evaluated, GammaCriteria(2, 1, local=True))
    expected = 0.5 / np.hypot(0.02 * sitk.GetArrayFromImage(reference), 0.5)
    assert gamma[:, :, 1:] == pytest.approx(expected[:, :, 1:], abs=6e-4)


def test_local_criterion_of_a_voxel_without_dose_is_met_by_equal_dose_only():
    values = np.zeros((4, 4, 4))
    values[0] = 10
    other = values.copy()
    other[2, 2, 2] = 1
    criteria = GammaCriteria(2, 1, local=True, cutoffs_percent=(0,))
    gamma = gamma_of(dose_image(values), dose_image(other), criteria)
    assert gamma[2, 0, 0] == 0
    assert gamma[2, 2, 2] == 2


@pytest.mark.parametrize("engine", ENGINES)
def test_gamma_of_exactly_one_passes(engine):
    # Tolerances that single precision cannot hold.
    for dose in (20.0, 33.3, 61.7):
        reference = dose_image(np.full((3, 4, 5), dose))
        evaluated = dose_image(np.full((3, 4, 5), dose * 1.01))
        result = compute_gamma(reference, evaluated, engine=engine)
        assert result.pass_rates == {10: 100.0}
        assert sitk.GetArrayFromImage(result.gamma).max() <= 1
    beyond = dose_image(np.full((3, 4, 5), dose * 1.0101))
    assert compute_gamma(reference, beyond, engine=engine).pass_rates == {10: 0.0}


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**32 - 1),
    size=st.tuples(*[st.integers(1, 5)] * 3),
    same_grid=st.booleans(),
    angle=st.sampled_from([0.0, 90.0, 27.0]),
    smooth=st.sampled_from([0.0, 0.7]),
    dose_percent=st.floats(1, 40),
    distance_mm=st.floats(0.6, 4),
    cap=st.sampled_from([1.0, 2.0, 3.0]),
)
def test_random_doses_agree_with_dense_sampling(
    seed, size, same_grid, angle, smooth, dose_percent, distance_mm, cap
):
    rng = np.random.default_rng(seed)
    direction = Rotation.from_rotvec(np.deg2rad(angle) * np.array([0.6, 0, 0.8])).as_matrix()
    spacing = rng.uniform(0.8, 3, 3)
    evaluated = dose_image(
        10 + 50 * gaussian_filter(rng.uniform(size=size), smooth), spacing, (0, 0, 0), direction
    )
    if same_grid:
        reference = dose_image(10 + 50 * rng.uniform(size=size), spacing, (0, 0, 0), direction)
    else:
        centre = evaluated.TransformContinuousIndexToPhysicalPoint(
            [(n - 1) / 2 for n in evaluated.GetSize()]
        )
        reference = dose_image(
            10 + 50 * rng.uniform(size=(3, 3, 3)),
            rng.uniform(0.8, 2, 3),
            np.array(centre) - rng.uniform(0, 1.5, 3),
        )
    criteria = GammaCriteria(
        dose_percent, distance_mm, normalization_gy=60, cutoffs_percent=(0,), cap=cap
    )
    try:
        gamma = gamma_of(reference, evaluated, criteria)
    except SyntheticCTError:
        assert not same_grid
        return
    for _ in range(3):
        index = [int(rng.integers(n)) for n in reference.GetSize()]
        got = gamma[tuple(index[::-1])]
        expected = sampled_gamma(
            reference, evaluated, index, dose_percent * 0.6, distance_mm, cap, samples=12
        )
        if got >= 0:
            # Sampling can only overestimate, and by little.
            assert expected - 0.03 < got < expected + 1e-3
        else:
            assert expected > 1 - 1e-3 or cap == 1


def test_rough_dose_is_searched_to_the_minimum():
    # White noise fifty times the tolerance: no cell is near to linear or convex.
    rng = np.random.default_rng(4)
    reference = dose_image(rng.uniform(10, 60, (4, 4, 4)), (2, 2, 2), (3.4, 3.0, 3.0))
    evaluated = dose_image(rng.uniform(10, 60, (7, 7, 7)), (2.1, 1.9, 2.3), (0, 0, 0))
    criteria = GammaCriteria(1.5, 2.5, normalization_gy=60, cutoffs_percent=(0,))
    gamma = gamma_of(reference, evaluated, criteria)
    for index in [(0, 0, 0), (1, 2, 3), (2, 2, 2), (3, 0, 1), (2, 3, 1)]:
        expected = sampled_gamma(reference, evaluated, index, 0.9, 2.5, 2)
        assert expected - 0.03 < gamma[index[::-1]] < expected + 1e-3


@pytest.mark.parametrize("engine", ENGINES)
def test_one_map_gives_a_pass_rate_for_each_cutoff(engine):
    values = np.zeros((4, 4, 8))
    values[..., :2], values[..., 2:4], values[..., 4:6] = 50, 30, 6
    other = np.pad(values, 1, "edge")
    other[..., :3] += 5
    other[..., 7:] = 9
    # 5 Gy is 10 % of the 50 Gy maximum but 8.3 % of the prescription.
    criteria = GammaCriteria(3, 1, normalization_gy=60, cutoffs_percent=(10, 50, 60, 90))
    reference = dose_image(values, (9, 9, 9), (9, 9, 9))
    evaluated = dose_image(other, (9, 9, 9), (0, 0, 0))
    result = compute_gamma(reference, evaluated, criteria, engine=engine)
    gamma = sitk.GetArrayFromImage(result.gamma)
    assert (gamma[..., 6:] == -1).all()
    assert (gamma[..., :6] >= 0).all()
    # 6 Gy is at the lowest cutoff exactly, 30 Gy at the second.
    assert result.pass_rates[10] == pytest.approx(200 / 3)
    assert result.pass_rates[50] == pytest.approx(50)
    assert result.pass_rates[60] == 0
    assert math.isnan(result.pass_rates[90])
    assert "10 % and 50 % and 60 % and 90 % of 60 Gy" in result.definition


def test_definition_says_what_was_compared():
    dose = dose_image(smooth_dose(7))
    result = compute_gamma(dose, dose, GammaCriteria(2, 3, local=True, normalization_gy=45))
    for part in ("2 % of local dose / 3 mm", "45 Gy", "trilinear", "up to 2", "gamma = 1 passes"):
        assert part in result.definition
    assert str(int(sitk.GetArrayFromImage(result.evaluated).sum())) in result.definition
    assert "\n" not in result.definition
    assert compute_gamma(dose, dose).criteria.normalization_gy == pytest.approx(60)


@pytest.mark.parametrize("local", [False, True])
def test_pymedphys_is_never_lower_and_little_higher(local):
    reference, evaluated = dose_image(smooth_dose(8)), dose_image(smooth_dose(8) * 1.02 + 0.3)
    criteria = GammaCriteria(2, 2, local=local, cutoffs_percent=(10, 50))
    exact, sampled = (
        sitk.GetArrayFromImage(compute_gamma(reference, evaluated, criteria, engine=engine).gamma)
        for engine in ENGINES
    )
    assert ((exact >= 0) == (sampled >= 0)).all()
    assert (exact - sampled).max() < 1e-3
    assert (sampled - exact).max() < 0.25
    assert np.median(sampled - exact) < 0.05


def test_pymedphys_says_that_an_oblique_dose_was_resampled():
    turned = Rotation.from_euler("z", 12, degrees=True).as_matrix()
    evaluated = dose_image(np.full((14, 16, 18), 30.0), origin=(-3, -3, 0), direction=turned)
    reference = dose_image(np.full((5, 5, 5), 30.3), origin=(5, 9, 8))
    result = compute_gamma(reference, evaluated, engine="pymedphys")
    assert "resampled" in result.definition
    assert sitk.GetArrayFromImage(result.gamma) == pytest.approx(0.990, abs=1e-3)


def test_same_input_gives_the_same_bytes():
    first, second = dose_image(smooth_dose(9)), dose_image(smooth_dose(10), origin=(1.5, 2, 3))
    assert gamma_of(first, second).tobytes() == gamma_of(first, second).tobytes()
