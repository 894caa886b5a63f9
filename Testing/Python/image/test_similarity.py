"""Image similarity against its plain definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from SyntheticCTEvalLib.image import similarity
from SyntheticCTEvalLib.image.similarity import DEFINITIONS, compare_images
from SyntheticCTLib.basics.errors import SyntheticCTError


def _image(array):
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((1.2, 1.2, 3.0))
    return image


def _pair(seed=0, shape=(3, 24, 20)):
    generator = np.random.default_rng(seed)
    ct = ndimage.gaussian_filter(generator.normal(0, 1, shape), 1.5)
    ct = np.clip(100 + 450 * ct / ct.std(), -1024, 3000).astype(np.int16)
    candidate = (ct + generator.normal(5, 60, shape)).astype(np.int16)
    mask = generator.random(shape) < 0.4
    return ct, candidate, mask


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), masked=st.booleans())
def test_errors_are_what_their_names_say(seed, masked):
    ct, candidate, mask = _pair(seed)
    chosen = mask if masked else np.ones_like(mask)
    error = np.maximum(candidate[chosen], -1024.0) - ct[chosen]
    arguments = _image(ct), _image(candidate), _image(mask.astype(np.uint8)) if masked else None
    assert similarity.mae(*arguments) == pytest.approx(np.abs(error).mean())
    assert similarity.me(*arguments) == pytest.approx(error.mean(), abs=1e-4)
    assert similarity.rmse(*arguments) == pytest.approx(np.sqrt((error**2).mean()))
    assert similarity.psnr(*arguments) == pytest.approx(
        20 * np.log10(4095 / np.sqrt((error**2).mean())), abs=1e-4
    )


def test_values_below_air_count_as_air():
    """Scanners fill the corners outside their round field of view with -2000 or -3024."""
    ct, candidate, _ = _pair()
    filled = ct.copy()
    filled[:, :4], ct[:, :4] = -3024, -1024
    for measure in (similarity.mae, similarity.rmse, similarity.psnr):
        assert measure(_image(filled), _image(candidate)) == measure(_image(ct), _image(candidate))


def _plain_ssim(a, b):
    """Wang's formula in one slice, window by window."""
    offsets = np.arange(-5, 6)
    weights = np.exp(-0.5 * (offsets / 1.5) ** 2)
    weights = np.outer(weights, weights) / weights.sum() ** 2
    a, b = np.pad(a, 5, mode="symmetric"), np.pad(b, 5, mode="symmetric")
    c1, c2 = (0.01 * 4095) ** 2, (0.03 * 4095) ** 2
    result = np.empty((a.shape[0] - 10, a.shape[1] - 10))
    for j, i in np.ndindex(result.shape):
        x, y = a[j : j + 11, i : i + 11], b[j : j + 11, i : i + 11]
        mx, my = (weights * x).sum(), (weights * y).sum()
        vx, vy = (weights * x**2).sum() - mx**2, (weights * y**2).sum() - my**2
        covariance = (weights * x * y).sum() - mx * my
        result[j, i] = (2 * mx * my + c1) * (2 * covariance + c2)
        result[j, i] /= (mx**2 + my**2 + c1) * (vx + vy + c2)
    return result


def test_ssim_is_wangs_formula_slice_by_slice():
    """At every voxel, also at the edges, where windows are mirrored."""
    ct, candidate, _ = _pair()
    candidate = np.clip(candidate, -1024, 3071)
    plain = np.stack(
        [_plain_ssim(a.astype(float), b.astype(float)) for a, b in zip(ct, candidate, strict=True)]
    )
    found = sitk.GetArrayFromImage(similarity.ssim_map(_image(ct), _image(candidate)))
    np.testing.assert_allclose(found, plain, atol=2e-4)


def test_histogram_holds_every_voxel_of_the_body_once():
    values = np.array([-3000, -1024, -1009, -1008, 0, 15, 16, 3071, 9000, 500], np.int16)
    ct = _image(values.reshape(1, 2, 5))
    inside = np.ones((1, 2, 5), np.uint8)
    inside[0, 1, 4] = 0
    found = np.array(similarity.hu_histogram(ct, _image(inside))) * 9
    assert found.sum() == pytest.approx(9)
    edges = similarity.HISTOGRAM_EDGES
    held = {edges[n]: round(found[n]) for n in np.flatnonzero(found)}
    assert held == {-1024: 3, -1008: 1, 0: 2, 16: 1, 3056: 2}


def _bodies(shape, cut=0):
    body = np.zeros(shape, np.uint8)
    body[:, 4:-4, 4 : -4 - cut] = 1
    return _image(body)


def test_comparison_of_an_image_with_itself_is_perfect():
    ct, _, _ = _pair(shape=(8, 24, 20))
    body = _bodies(ct.shape)
    result = compare_images(_image(ct), _image(ct), body, body)
    assert result["mae_image"] == result["mae_body"] == result["rmse_body"] == 0
    assert result["ssim"] == result["ssim_body"] == result["dsc_body"] == 1
    assert result["psnr_body"] == result["psnr_image"] == math.inf
    for key in ("ssim_3d", "ssim_3d_body", "ms_ssim", "ms_ssim_body", "dsc_bone"):
        assert result[key] == 1, key
    for key in ("me_image", "rmse_image", "hd95_body", "msd_bone", "hd95_bone"):
        assert result[key] == 0, key
    histogram = result["hu_histogram"]
    assert histogram["true_ct"] == histogram["candidate"]


def test_comparison_holds_every_figure_and_each_has_a_definition():
    ct, candidate, _ = _pair()
    result = compare_images(
        _image(ct), _image(candidate), _bodies(ct.shape), _bodies(ct.shape, cut=3)
    )
    assert set(result) <= set(DEFINITIONS)
    assert all(DEFINITIONS[key].strip() and "\n" not in DEFINITIONS[key] for key in result)
    body = np.zeros(ct.shape, bool)
    body[:, 4:-4, 4:-4] = True
    error = np.abs(np.maximum(candidate, -1024.0) - ct)
    assert result["mae_image"] == pytest.approx(error.mean())
    assert result["mae_body"] == pytest.approx(error[body].mean())
    assert result["dsc_body"] == pytest.approx(2 * 9 / (9 + 12))
    # three of twelve columns are cut off the body: 3 voxels of 1.2 mm at that side
    assert result["hd95_body"] == pytest.approx(3.6)
    signed = np.maximum(candidate, -1024.0) - ct
    assert result["me_image"] == pytest.approx(signed.mean(), abs=1e-4)
    assert result["rmse_image"] == pytest.approx(np.sqrt((signed**2).mean()))
    found_body = body.copy()
    found_body[:, :, -7:] = False
    bones = (ct > 150) & body, (candidate > 150) & found_body
    assert result["dsc_bone"] == pytest.approx(
        2 * (bones[0] & bones[1]).sum() / (bones[0].sum() + bones[1].sum())
    )
    classes = {"air": ct < -200, "fat": (ct >= -200) & (ct < -28.5)}
    for name, chosen in classes.items():
        assert result["tissue_mae"][name] == pytest.approx(error[body & chosen].mean())
    assert list(result["tissue_mae"]) == ["air", "fat", "soft", "spongy", "compact"]


def test_tissue_without_voxels_has_no_error_rather_than_none():
    ct, candidate, _ = _pair()
    ct, body = np.clip(ct, -1024, 500), _bodies(ct.shape)
    assert math.isnan(
        compare_images(_image(ct), _image(candidate), body, body)["tissue_mae"]["compact"]
    )


def test_region_limits_every_figure():
    ct, candidate, _ = _pair(shape=(8, 24, 30))
    region = np.zeros(ct.shape, np.uint8)
    region[:, :, :16] = 1
    worse = candidate.copy()
    worse[:, :, 21:] += 900  # beyond the reach of the SSIM windows of the region
    bodies = _bodies(ct.shape), _bodies(ct.shape, cut=3)
    inside = compare_images(_image(ct), _image(candidate), *bodies, _image(region))
    assert inside == compare_images(_image(ct), _image(worse), *bodies, _image(region))
    assert inside["dsc_body"] == 1
    assert (
        inside["mae_image"] != compare_images(_image(ct), _image(candidate), *bodies)["mae_image"]
    )


def test_what_cannot_be_compared_is_refused():
    ct, candidate, _ = _pair()
    body = _bodies(ct.shape)
    moved = _image(candidate)
    moved.SetOrigin((0.5, 0, 0))
    with pytest.raises(SyntheticCTError, match="candidate does not lie on the true CT's grid"):
        compare_images(_image(ct), moved, body, body)
    with pytest.raises(SyntheticCTError, match="No voxel of the patient"):
        compare_images(_image(ct), _image(candidate), body * 0, body)
    with pytest.raises(SyntheticCTError, match="at least 11 x 11 voxels"):
        similarity.ssim_map(_image(ct[:, :8]), _image(candidate[:, :8]))
