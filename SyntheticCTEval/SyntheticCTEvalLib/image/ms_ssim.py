"""Structural similarity in three dimensions, at one scale and at five (MS-SSIM).

Sources: Z. Wang et al., Image quality assessment: from error visibility to structural
similarity, 2004 (equation 13), and Multi-scale structural similarity for image quality
assessment, 2003 (equations 7 and 8, with the weights of its section 3.2); masked and counted
from the lower end of the range as SynthRAD2025 defines it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

WINDOW = 7
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
K1, K2 = 0.01, 0.03

_SLAB = 32


@dataclass(frozen=True)
class StructuralSimilarity:
    """Similarity of two images, 1 when equal; NaN without voxels.

    Attributes:
        ssim: mean structural similarity at full resolution.
        ms_ssim: over five scales; NaN where a coarse scale has no voxel left.
    """

    ssim: float
    ms_ssim: float


def structural_similarity_3d(
    first: np.ndarray,
    second: np.ndarray,
    value_range: tuple[float, float],
    mask: np.ndarray | None = None,
) -> StructuralSimilarity:
    """Return SSIM and MS-SSIM of two images (k, j, i) of one shape.

    Both are clipped to ``value_range`` and counted from its lower end, to which everything
    outside ``mask`` is set in both. Statistics are those of a uniform window of 7 x 7 x 7 voxels
    (mirrored at the image's edges), means those over the voxels of ``mask``. From scale to scale
    2 x 2 x 2 voxels become their mean (the last one counts twice where their number is odd), and
    the mask the blocks of which at least half lies in it. Contrast and structure count at every
    scale, luminance at the coarsest; a negative mean counts as 0.
    """
    low, high = value_range
    a = np.clip(first, low, high).astype(np.float32) - np.float32(low)
    b = np.clip(second, low, high).astype(np.float32) - np.float32(low)
    if mask is not None:
        mask = mask != 0
        a[~mask] = 0
        b[~mask] = 0
    result, single = 1.0, float("nan")
    for scale, weight in enumerate(WEIGHTS):
        if scale:
            a, b = _halved(a), _halved(b)
            mask = None if mask is None else _halved(mask.astype(np.float32)) >= 0.5
        similarity, contrast = _means(a, b, mask, high - low)
        if scale == 0:
            single = similarity
        last = scale == len(WEIGHTS) - 1
        result *= np.maximum(similarity if last else contrast, 0.0) ** weight
    return StructuralSimilarity(single, float(result))


def _means(
    a: np.ndarray, b: np.ndarray, mask: np.ndarray | None, data_range: float
) -> tuple[float, float]:
    """Return the means of SSIM and of its contrast and structure part, slab by slab."""
    reach = WINDOW // 2
    if mask is not None:
        boxes = ndimage.find_objects(mask.view(np.uint8))
        if not boxes:
            return float("nan"), float("nan")
        # No window of the mask reaches beyond, so mirroring there changes nothing.
        box = tuple(slice(max(0, s.start - reach), s.stop + reach) for s in boxes[0])
        a, b, mask = a[box], b[box], mask[box]
    similarity = contrast = 0.0
    count = 0
    for start in range(0, a.shape[0], _SLAB):
        stop = min(start + _SLAB, a.shape[0])
        before = max(0, start - reach)
        around = slice(before, min(stop + reach, a.shape[0]))
        inner = slice(start - before, stop - before)
        ssim, cs = _maps(a[around], b[around], data_range)
        ssim, cs = ssim[inner], cs[inner]
        if mask is not None:
            chosen = mask[start:stop]
            ssim, cs = ssim[chosen], cs[chosen]
        similarity += float(ssim.sum(dtype=np.float64))
        contrast += float(cs.sum(dtype=np.float64))
        count += ssim.size
    return similarity / count, contrast / count


def _maps(a: np.ndarray, b: np.ndarray, data_range: float) -> tuple[np.ndarray, np.ndarray]:
    c1, c2 = np.float32((K1 * data_range) ** 2), np.float32((K2 * data_range) ** 2)
    mean_a, mean_b = _smoothed(a), _smoothed(b)
    product = mean_a * mean_b
    squares = mean_a * mean_a + mean_b * mean_b
    # var(a) + var(b) needs the sum of the squares alone: one filter less.
    spread = _smoothed(a * a + b * b) - squares
    contrast = (2 * (_smoothed(a * b) - product) + c2) / (spread + c2)
    return (2 * product + c1) / (squares + c1) * contrast, contrast


def _smoothed(values: np.ndarray) -> np.ndarray:
    return ndimage.uniform_filter(values, WINDOW, mode="reflect")


def _halved(values: np.ndarray) -> np.ndarray:
    """Means of 2 x 2 x 2 voxels; an axis of one voxel stays."""
    for axis, size in enumerate(values.shape):
        if size == 1:
            continue
        even, odd = [slice(None)] * values.ndim, [slice(None)] * values.ndim
        even[axis], odd[axis] = slice(0, None, 2), slice(1, None, 2)
        halved = values[tuple(even)].copy()
        paired = [slice(None)] * values.ndim
        paired[axis] = slice(0, size // 2)
        halved[tuple(paired)] += values[tuple(odd)]
        halved[tuple(paired)] *= 0.5
        values = halved
    return values
