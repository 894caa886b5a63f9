"""Nyul normalization against its definition and against the intensity-normalization package."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.normalization.foreground import foreground_mask
from SyntheticCTLib.normalization.nyul import PERCENTILES, SCALE_RANGE, NyulStandard, landmarks


def scan(seed: int, scale: float = 1.0) -> sitk.Image:
    """Air with noise around three tissues, at a scan's own intensity scale."""
    rng = np.random.default_rng(seed)
    values = np.abs(rng.normal(0, 4, (12, 30, 34)))
    values[2:10, 5:25, 5:29] = rng.normal(300, 40, (8, 20, 24))
    values[3:9, 8:20, 8:16] = rng.normal(120, 15, (6, 12, 8))
    values[4:8, 8:14, 18:26] = rng.normal(700, 60, (4, 6, 8))
    return sitk.GetImageFromArray((values * scale).astype(np.float32))


def with_foreground(image: sitk.Image) -> tuple[sitk.Image, np.ndarray]:
    return image, foreground_mask(image)


def test_standard_scale_is_the_mean_of_the_scaled_landmarks():
    scans = [with_foreground(scan(seed, scale)) for seed, scale in ((0, 1), (1, 3), (2, 0.2))]
    expected = []
    for image, mask in scans:
        found = np.percentile(sitk.GetArrayFromImage(image)[mask], PERCENTILES)
        low, high = SCALE_RANGE
        expected.append(low + (high - low) * (found - found[0]) / (found[-1] - found[0]))
    assert NyulStandard.learn(scans).scale == pytest.approx(np.mean(expected, axis=0), rel=1e-12)


def test_landmarks_of_a_scan_land_on_the_standard_scale():
    standard = NyulStandard.learn(with_foreground(scan(seed)) for seed in range(3))
    image = scan(7, scale=11)
    mask = foreground_mask(image)
    mapped = standard.apply(image, mask)
    found = landmarks(sitk.GetArrayViewFromImage(mapped)[mask])
    assert found == pytest.approx(standard.scale, rel=2e-3)


def test_agrees_with_the_intensity_normalization_package():
    from intensity_normalization.adapters.images import create_image
    from intensity_normalization.normalizers.population.nyul import NyulNormalizer

    scans = [with_foreground(scan(seed, 1 + seed)) for seed in range(3)]
    theirs = NyulNormalizer()
    pairs = [
        (create_image(sitk.GetArrayFromImage(i).astype(float)), create_image(m.astype(float)))
        for i, m in scans
    ]
    theirs.fit_population([i for i, _ in pairs], [m for _, m in pairs])
    ours = NyulStandard.learn(scans)
    assert ours.scale == pytest.approx(theirs.standard_scale, rel=1e-6)
    expected = theirs.transform(*pairs[1]).get_data()
    got = sitk.GetArrayFromImage(ours.apply(*scans[1]))
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-3)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.integers(0, 40), min_size=12, max_size=60).filter(lambda v: len(set(v)) > 1),
    st.lists(st.floats(-500, 500), min_size=2, max_size=30),
)
def test_mapping_never_decreases_even_with_repeated_percentiles(values, probes):
    standard = NyulStandard.learn(with_foreground(scan(seed)) for seed in range(2))
    array = np.array([*values, *sorted(probes)], np.float32).reshape(1, 1, -1)
    mask = np.zeros(array.shape, bool)
    mask[..., : len(values)] = True
    if len(set(landmarks(array[mask]))) < 2:
        return
    mapped = sitk.GetArrayFromImage(standard.apply(sitk.GetImageFromArray(array), mask))
    assert np.isfinite(mapped).all()
    assert (np.diff(mapped[0, 0, len(values) :]) >= -1e-3).all()


def test_outside_the_landmarks_the_end_segments_go_on():
    standard = NyulStandard(tuple(np.linspace(0, 100, 11)), 1)
    values = np.arange(0, 1001, dtype=np.float32).reshape(1, 7, 143)
    mapped = sitk.GetArrayFromImage(
        standard.apply(sitk.GetImageFromArray(values), np.ones(values.shape, bool))
    ).ravel()
    assert mapped[0] == pytest.approx(mapped[10] - (mapped[20] - mapped[10]), abs=1e-3)
    assert mapped[1000] == pytest.approx(mapped[995] + (mapped[995] - mapped[990]), abs=1e-3)


def test_normalization_keeps_the_grid_and_evens_out_the_scale():
    standard = NyulStandard.learn(with_foreground(scan(seed)) for seed in range(2))
    image, louder = scan(5), scan(5, scale=9)
    image.SetOrigin((1.5, -2, 7))
    first, second = standard.apply(image), standard.apply(louder)
    assert first.GetOrigin() == image.GetOrigin()
    np.testing.assert_allclose(
        sitk.GetArrayViewFromImage(first), sitk.GetArrayViewFromImage(second), atol=0.05
    )


def test_foreground_holds_dark_muscle_and_leaves_air_out():
    mask = foreground_mask(scan(3))
    assert mask[4:8, 9:19, 9:15].all()
    assert mask[:, :4].mean() < 0.01


@pytest.mark.parametrize("value", [-1024.0, 0.0, 200.0])
def test_padding_is_as_dark_as_air_on_the_standard_scale(value):
    image = scan(3)
    standard = NyulStandard.learn([with_foreground(image)])
    plain = sitk.GetArrayFromImage(standard.apply(image))
    padded = sitk.ConstantPad(image, [9, 9, 0], [9, 9, 0], value)
    mapped = sitk.GetArrayFromImage(standard.apply(padded))
    np.testing.assert_allclose(mapped[:, 9:-9, 9:-9], plain, rtol=1e-3, atol=1e-3)
    assert mapped[0, 0, 0] == mapped.min()


@pytest.mark.parametrize(
    ("values", "sentence"),
    [(np.zeros((2, 3, 4)), "no foreground"), (np.full((2, 3, 4), 5.0), "no foreground")],
)
def test_a_scan_without_foreground_is_refused(values, sentence):
    with pytest.raises(SyntheticCTError, match=sentence):
        foreground_mask(sitk.GetImageFromArray(values))


def test_an_empty_or_flat_foreground_is_refused():
    image = scan(0)
    standard = NyulStandard.learn([with_foreground(image)])
    empty = np.zeros(image.GetSize()[::-1], bool)
    with pytest.raises(SyntheticCTError, match="empty"):
        standard.apply(image, empty)
    flat = sitk.GetImageFromArray(np.full((2, 3, 4), 5.0))
    with pytest.raises(SyntheticCTError, match="same value"):
        standard.apply(flat, np.ones((2, 3, 4), bool))


def test_saved_standard_is_read_back_and_a_wrong_one_refused(tmp_path):
    standard = NyulStandard.learn(with_foreground(scan(seed)) for seed in range(2))
    assert NyulStandard.load(standard.save(tmp_path / "nyul.json")) == standard
    (tmp_path / "other.json").write_text('{"scale": [1, 2]}')
    with pytest.raises(SyntheticCTError, match="11 landmarks"):
        NyulStandard.load(tmp_path / "other.json")
