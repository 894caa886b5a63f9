"""Every image figure against a plain implementation of the line that is printed with it."""

from __future__ import annotations

import math

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage
from SyntheticCTEvalLib.image.ms_ssim import ms_ssim
from SyntheticCTEvalLib.image.similarity import DEFINITIONS, TISSUES, compare_images
from SyntheticCTEvalLib.image.ssim import whole_windows

SHAPE = (10, 36, 32)
SPACING = (2.0, 1.5, 3.0)  # i, j, k in mm
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def image(array):
    result = sitk.GetImageFromArray(array)
    result.SetSpacing(SPACING)
    return result


@pytest.fixture(scope="module")
def pair():
    """CT, candidate (HU) and both bodies, arrays (k, j, i); the candidate's is a bit smaller."""
    random = np.random.default_rng(4)
    _, j, i = np.indices(SHAPE)
    radius = np.hypot((j - 17) / 14, (i - 15) / 12)
    texture = ndimage.gaussian_filter(random.normal(size=SHAPE), 1.5)
    ct = np.where(radius < 1, 80 + 400 * texture / texture.std(), -1000)
    ct += random.normal(0, 15, SHAPE)
    candidate = np.where(radius < 0.95, 0.9 * ct - 20, -700) + random.normal(0, 60, SHAPE)
    candidate[:, :4] = -3024
    ct, candidate = (np.rint(np.clip(v, -3024, 3500)).astype(np.int16) for v in (ct, candidate))
    return ct, candidate, radius < 1, radius < 0.95


def blob():
    """A region with a slanted edge, not in all slices, that ends inside the body."""
    k, j, i = np.indices(SHAPE)
    return (k > 1) & (i + 0.4 * j < 30) & (j > 2)


def box_means(values):
    """Means of 7 x 7 x 7 voxels at the voxels at least 3 inside, by cumulative sums."""
    for axis in range(3):
        total = np.cumsum(values, axis=axis, dtype=np.float64)
        total = np.concatenate([np.zeros_like(total.take([0], axis)), total], axis=axis)
        n = values.shape[axis]
        values = total.take(range(7, n + 1), axis) - total.take(range(n - 6), axis)
    return values / 343


def parts_3d(a, b):
    """Luminance, contrast and structure at the voxels at least 3 inside."""
    n, c1, c2 = 343, (0.01 * 4095) ** 2, (0.03 * 4095) ** 2
    ma, mb = box_means(a), box_means(b)
    va, vb = (n / (n - 1) * (box_means(x * x) - m * m) for x, m in ((a, ma), (b, mb)))
    covariance = n / (n - 1) * (box_means(a * b) - ma * mb)
    product = np.sqrt(np.maximum(va, 0) * np.maximum(vb, 0))
    return (
        (2 * ma * mb + c1) / (ma**2 + mb**2 + c1),
        (2 * product + c2) / (va + vb + c2),
        (covariance + c2 / 2) / (product + c2 / 2),
    )


def plain_ms_ssim(a, b, mask):
    a, b = (np.where(mask, np.clip(x, -1024.0, 3071.0) + 1024, 0) for x in (a, b))
    sides = [((97 - n) // 2, 97 - n - (97 - n) // 2) if n < 97 else (0, 0) for n in mask.shape]
    a, b, mask = (np.pad(x, sides, "edge") for x in (a, b, mask))
    product = 1.0
    for scale, weight in enumerate(WEIGHTS):
        if scale:
            for axis in range(3):
                shifted = [np.roll(x, 1, axis) for x in (a, b)]
                for x in shifted:
                    x[(slice(None),) * axis + (0,)] = 0
                a, b = (x + y for x, y in zip((a, b), shifted, strict=True))
            a, b, mask = a[::2, ::2, ::2] / 8, b[::2, ::2, ::2] / 8, mask[::2, ::2, ::2]
        powers = [np.maximum(part, 0) ** weight for part in parts_3d(a, b)]
        product *= np.prod(powers, axis=0)[mask[3:-3, 3:-3, 3:-3]].mean()
    return product


def plain_ssim_3d(a, b, mask, compared):
    a, b = (np.where(mask, np.clip(x, -1024.0, 3071.0) + 1024, 0) for x in (a, b))
    windows = np.lib.stride_tricks.sliding_window_view(compared, (7, 7, 7))
    counted = windows.all((3, 4, 5)) & mask[3:-3, 3:-3, 3:-3]
    return np.prod(parts_3d(a, b), axis=0)[counted].mean()


def plain_ssim(a, b, mask, compared):
    offsets = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    weights = np.outer(offsets, offsets) / offsets.sum() ** 2
    c1, c2 = (0.01 * 4095) ** 2, (0.03 * 4095) ** 2
    x, y = (
        np.lib.stride_tricks.sliding_window_view(np.clip(v, -1024.0, 3071.0), (11, 11), (1, 2))
        for v in (a, b)
    )
    mx, my = (weights * x).sum((3, 4)), (weights * y).sum((3, 4))
    vx, vy = (weights * x**2).sum((3, 4)) - mx**2, (weights * y**2).sum((3, 4)) - my**2
    both = (weights * x * y).sum((3, 4)) - mx * my
    values = (2 * mx * my + c1) * (2 * both + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))
    windows = np.lib.stride_tricks.sliding_window_view(compared, (11, 11), (1, 2))
    return values[windows.all((3, 4)) & mask[:, 5:-5, 5:-5]].mean()


def surface_points(mask, compared):
    """Places (mm) of the voxels of a mask with a neighbour that is compared and not of it."""
    points = []
    for voxel in np.argwhere(mask & compared):
        for axis in range(3):
            for step in (-1, 1):
                other = voxel.copy()
                other[axis] += step
                inside = (other >= 0).all() and (other < SHAPE).all()
                if inside and compared[tuple(other)] and not mask[tuple(other)]:
                    points.append(voxel * SPACING[::-1])
    return np.unique(points, axis=0)


def plain_surfaces(first, second, compared):
    """Mean surface distance and 95 % Hausdorff distance, every point with every point."""
    a, b = surface_points(first, compared), surface_points(second, compared)
    distances = np.sqrt(((a[:, None] - b[None]) ** 2).sum(-1))
    there, back = distances.min(axis=1), distances.min(axis=0)
    mean = np.concatenate([there, back]).mean()
    return mean, max(np.percentile(there, 95), np.percentile(back, 95))


def plain_figures(ct, candidate, ct_body, candidate_body, compared):
    """Every figure by its definition, in double precision."""
    low_ct, low_candidate = (np.maximum(v.astype(float), -1024) for v in (ct, candidate))
    error, inside = low_candidate - low_ct, ct_body & compared
    clipped = np.minimum(low_candidate, 3071) - np.minimum(low_ct, 3071)
    figures = {}
    for part, voxels in (("image", compared), ("body", inside)):
        figures[f"mae_{part}"] = np.abs(error[voxels]).mean()
        figures[f"me_{part}"] = error[voxels].mean()
        figures[f"rmse_{part}"] = np.sqrt((error[voxels] ** 2).mean())
        figures[f"psnr_{part}"] = 20 * np.log10(4095 / np.sqrt((clipped[voxels] ** 2).mean()))
    every = np.ones(SHAPE, bool)
    for end, mask in (("", every), ("_body", ct_body)):
        figures[f"ssim{end}"] = plain_ssim(ct, candidate, mask & compared, compared)
        figures[f"ssim_3d{end}"] = plain_ssim_3d(ct, candidate, mask, compared)
        figures[f"ms_ssim{end}"] = plain_ms_ssim(ct, candidate, mask & compared)
    bodies = inside, candidate_body & compared
    bones = (ct > 150) & bodies[0], (candidate > 150) & bodies[1]
    for name, (a, b) in (("body", bodies), ("bone", bones)):
        figures[f"dsc_{name}"] = 2 * (a & b).sum() / (a.sum() + b.sum())
        mean, figures[f"hd95_{name}"] = plain_surfaces(a, b, compared)
    figures["msd_bone"] = mean
    figures["tissue_mae"] = {
        name: np.abs(error[inside & (ct >= low) & (ct < high)]).mean()
        for name, (low, high) in zip(
            TISSUES,
            ((-np.inf, -200), (-200, -28.5), (-28.5, 100), (100, 575), (575, np.inf)),
            strict=True,
        )
    }
    figures["background_hu"] = np.median(candidate[compared & ~ct_body & (ct < -700)])
    bins = [(np.clip(v[inside], -1024, 3071).astype(int) + 1024) // 16 for v in (ct, candidate)]
    figures["hu_histogram"] = {
        "edges_hu": [-1024 + 16 * n for n in range(257)],
        "true_ct": [np.mean(bins[0] == n) for n in range(256)],
        "candidate": [np.mean(bins[1] == n) for n in range(256)],
    }
    return figures


@pytest.mark.parametrize("limited", [False, True])
def test_every_figure_is_what_its_definition_says(pair, limited):
    ct, candidate, *bodies = pair
    compared = blob() if limited else np.ones(SHAPE, bool)
    region = image(compared.astype(np.uint8)) if limited else None
    found = compare_images(
        image(ct), image(candidate), *(image(b.astype(np.uint8)) for b in bodies), region
    )
    plain = plain_figures(ct, candidate, *bodies, compared)
    assert set(found) == set(plain) <= set(DEFINITIONS)
    for key, value in plain.items():
        if isinstance(value, dict):
            for part, inner in value.items():
                assert found[key][part] == pytest.approx(inner, rel=1e-5, abs=1e-5), (key, part)
        else:
            assert found[key] == pytest.approx(value, rel=1e-5, abs=1e-4), key


def test_a_region_of_everything_changes_nothing(pair):
    images = [image(v if v.dtype == np.int16 else v.astype(np.uint8)) for v in pair]
    everything = image(np.ones(SHAPE, np.uint8))
    assert compare_images(*images, everything) == compare_images(*images)


def test_what_fills_the_rest_matters_to_no_figure(pair):
    """At the end of what a candidate covers windows would see the fill value."""
    ct, candidate, *bodies = pair
    region = blob()
    images = [image(ct), None, *(image(b.astype(np.uint8)) for b in bodies)]
    found = []
    for fill in (-1024, 3000):
        images[1] = image(np.where(region, candidate, fill).astype(np.int16))
        found.append(compare_images(*images, image(region.astype(np.uint8))))
    assert found[0] == found[1]


def test_where_no_window_lies_inside_there_is_no_similarity(pair):
    images = [image(v if v.dtype == np.int16 else v.astype(np.uint8)) for v in pair]
    narrow = np.zeros(SHAPE, np.uint8)
    narrow[:, :, 10:20] = 1
    found = compare_images(*images, image(narrow))
    assert math.isnan(found["ssim"]) and math.isnan(found["ssim_body"])
    assert not math.isnan(found["ssim_3d"]) and not math.isnan(found["mae_body"])


def test_windows_that_count_lie_inside():
    compared = np.ones((3, 13, 12), bool)
    compared[1, 0, 0] = False
    counted = whole_windows(compared)
    assert counted.sum() == 3 * 3 * 2 - 1 and not counted[1, 5, 5]
    assert not whole_windows(compared[:, :10]).any()


@pytest.mark.parametrize("shape", [(20, 30, 99), (101, 24, 40), (97, 98, 30)])
def test_ms_ssim_extends_short_axes_and_no_others(shape):
    random = np.random.default_rng(2)
    texture = ndimage.gaussian_filter(random.normal(size=shape), 1.2)
    ct = np.rint(40 + 300 * texture / texture.std())
    candidate = np.rint(0.8 * ct + random.normal(0, 90, shape))
    mask = np.ones(shape, bool)
    mask[:, :4], mask[:2, 5:9] = False, False
    found = ms_ssim(ct, candidate, (-1024, 3071), mask)
    assert found < 0.99
    assert found == pytest.approx(plain_ms_ssim(ct, candidate, mask), abs=1e-5)


def test_figures_of_the_body_say_so():
    """In metrics.csv stands no definition beside a name."""
    of_body = [key for key, text in DEFINITIONS.items() if "error" in text or "ratio" in text]
    of_body = [key for key in of_body if "over the voxels inside the body" in DEFINITIONS[key]]
    assert of_body == ["mae_body", "me_body", "rmse_body", "psnr_body"]
