"""Candidates held against the MR without registration (paper, Table 3)."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from skimage.metrics import structural_similarity
from SyntheticCTEvalLib.image.mr_similarity import DEFINITIONS, HU_WINDOW, compare_with_mr
from SyntheticCTLib.body.contour import body_contour
from SyntheticCTLib.volumes.grids import image_like
from SyntheticCTLib.volumes.resampling import HU_OUTSIDE, resample

SIZE = (48, 44, 10)


@pytest.fixture(scope="module")
def mr():
    """An elliptic pelvis of three signals with noise around it."""
    rng = np.random.default_rng(3)
    k, j, i = np.meshgrid(*[np.linspace(-1, 1, n) for n in SIZE[::-1]], indexing="ij")
    radius = np.sqrt((i / 0.85) ** 2 + (j / 0.8) ** 2)
    values = np.select([radius < 0.3, radius < 0.8, radius < 1], [500.0, 180, 420], 0)
    values = np.abs(values + rng.normal(0, 5, values.shape) + 5 * k)
    image = sitk.GetImageFromArray(values.astype(np.float32))
    image.SetSpacing((6.0, 6.0, 5.0))
    image.SetOrigin((-140.0, -130.0, 20.0))
    return image


@pytest.fixture(scope="module")
def candidate(mr):
    values = sitk.GetArrayFromImage(mr)
    hu = np.select([values > 460, values > 300, values > 100], [10.0, -100, 60], -1000)
    return image_like(hu.astype(np.int16), mr)


def test_figures_are_those_of_the_definition(mr, candidate):
    body = body_contour(mr, "MR")
    found = compare_with_mr(mr, {"sCT": candidate}, body)["sCT"]
    values, hu = (sitk.GetArrayFromImage(image).astype(np.float64) for image in (mr, candidate))
    inside = sitk.GetArrayFromImage(body) > 0
    low, high = np.percentile(values[inside], (1, 99))
    scaled = np.clip((values - low) / (high - low), 0, 1)
    windowed = np.clip((hu - HU_WINDOW[0]) / (HU_WINDOW[1] - HU_WINDOW[0]), 0, 1)
    expected = [
        structural_similarity(
            one, other, data_range=1, gaussian_weights=True, use_sample_covariance=False
        )
        for one, other in zip(scaled, windowed, strict=True)
    ]
    assert found["ssim_mr"] == pytest.approx(np.mean(expected), abs=1e-4)
    other = sitk.GetArrayFromImage(body_contour(candidate, "CT")) > 0
    dice = 2 * (inside & other).sum() / (inside.sum() + other.sum())
    assert found["dsc_body_mr"] == pytest.approx(dice)
    assert set(found) == set(DEFINITIONS)


def test_a_shifted_candidate_is_less_like_the_mr(mr, candidate):
    shifted = sitk.Image(candidate)
    shifted.SetOrigin((-122.0, -130.0, 20.0))
    found = compare_with_mr(mr, {"here": candidate, "shifted": shifted}, body_contour(mr, "MR"))
    assert found["shifted"]["ssim_mr"] < found["here"]["ssim_mr"] - 0.03
    assert found["shifted"]["dsc_body_mr"] < found["here"]["dsc_body_mr"] - 0.05


def test_only_what_the_candidate_covers_counts(mr, candidate):
    half = candidate[:, :, :5]
    body = body_contour(mr, "MR")
    found = compare_with_mr(mr, {"half": half, "whole": candidate}, body)
    assert found["half"]["dsc_body_mr"] == pytest.approx(found["whole"]["dsc_body_mr"], abs=0.01)
    assert found["half"]["ssim_mr"] == pytest.approx(found["whole"]["ssim_mr"], abs=0.02)
    away = sitk.Image(candidate)
    away.SetOrigin((5000.0, 0.0, 0.0))
    assert all(np.isnan(v) for v in compare_with_mr(mr, {"a": away}, body)["a"].values())


def test_windows_at_the_end_of_the_cover_do_not_count(mr, candidate):
    """They see the fill value beside the patient; cut through the middle of the patient here."""
    body = body_contour(mr, "MR")
    part = compare_with_mr(mr, {"part": candidate[:24]}, body)["part"]["ssim_mr"]
    values, inside = (sitk.GetArrayFromImage(image) for image in (mr, body))
    hu = sitk.GetArrayFromImage(candidate)
    low, high = np.percentile(values[inside > 0], (1, 99))
    scaled = np.clip((values - low) / (high - low), 0, 1) * inside
    windowed = np.clip((hu - HU_WINDOW[0]) / (HU_WINDOW[1] - HU_WINDOW[0]), 0, 1)
    expected = [
        structural_similarity(
            one, other, data_range=1, gaussian_weights=True, use_sample_covariance=False, full=True
        )[1][5:-5, 5:19]
        for one, other in zip(scaled, windowed, strict=True)
    ]
    assert part == pytest.approx(np.mean(expected), abs=2e-3)


def test_the_grid_of_the_candidate_does_not_matter(mr, candidate):
    reference = sitk.Image(candidate[::-1, :, ::-1])
    turned = resample(candidate, reference, fill=HU_OUTSIDE)
    body = body_contour(mr, "MR")
    found = compare_with_mr(mr, {"turned": turned, "as it was": candidate}, body)
    assert found["turned"] == pytest.approx(found["as it was"], abs=1e-6)


def test_padding_is_not_interpolated_into_the_body(mr, candidate):
    body = body_contour(mr, "MR")
    moved = sitk.Image(candidate)
    moved.SetOrigin([o + 2.5 for o in candidate.GetOrigin()])
    hu = sitk.GetArrayFromImage(moved)
    one, other = (
        compare_with_mr(mr, {"sCT": image_like(np.where(hu > -500, hu, v), moved)}, body)
        for v in (HU_OUTSIDE, -3024)
    )
    assert one == other
