"""Structural similarity in three dimensions: at one scale, and at five as SynthRAD2025 has it.

Sources: Z. Wang et al., Image quality assessment: from error visibility to structural
similarity, 2004 (equations 6 to 13), and Multi-scale structural similarity for image quality
assessment, 2003 (the weights of its section 3.2); masks, edges, scales and the order of mean and
power as the description of the SynthRAD2025 challenge's evaluation has them.
"""

from __future__ import annotations

import numpy as np
import scipy

from .ssim import whole_windows

WINDOW = 7
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
SMALLEST = (WINDOW - 1) * 2 ** (len(WEIGHTS) - 1) + 1
"""Voxels of an axis that leave one window at the coarsest scale; shorter ones are extended."""

K1, K2 = 0.01, 0.03

_REACH = WINDOW // 2
_SLAB = 32


def ssim_3d(
    first: np.ndarray,
    second: np.ndarray,
    value_range: tuple[float, float],
    mask: np.ndarray | None = None,
    compared: np.ndarray | None = None,
) -> float:
    """Return the mean structural similarity of two images (k, j, i) of one shape.

    Both are clipped to ``value_range`` and counted from its lower end, to which everything
    outside ``mask`` is set in both. Statistics are those of a uniform window of 7 x 7 x 7 voxels
    (n - 1 in variances); the mean is over the voxels of ``mask`` whose window lies wholly inside
    ``compared`` and the image. NaN without any.
    """
    a, b = _prepared(first, second, value_range, mask)
    whole = np.ones(a.shape, bool) if compared is None else compared
    counted = whole_windows(whole, (WINDOW,) * 3)
    if mask is not None:
        counted &= mask != 0
    return _mean(a, b, counted, value_range[1] - value_range[0], 1.0)


def ms_ssim(
    first: np.ndarray,
    second: np.ndarray,
    value_range: tuple[float, float],
    mask: np.ndarray | None = None,
) -> float:
    """Return the multi-scale structural similarity of two images (k, j, i) by SynthRAD2025.

    Values and windows as for :func:`ssim_3d`. An axis of fewer than :data:`SMALLEST` voxels is
    extended on both sides by its outermost ones, the mask too. At each of five scales luminance
    times contrast and structure, not below 0, to the power of the scale's weight, is averaged
    over the voxels of ``mask`` whose window lies inside the extended image; the result is the
    product of these means. To the next scale a voxel becomes the mean of itself and its
    predecessors (2 x 2 x 2, 0 before the first) and every other voxel is kept; of the mask every
    other voxel as it is. NaN where a scale has no voxel left.
    """
    a, b = _prepared(first, second, value_range, mask)
    inside = np.ones(a.shape, bool) if mask is None else mask != 0
    missing = [max(0, SMALLEST - size) for size in a.shape]
    sides = [(more // 2, more - more // 2) for more in missing]
    a, b, inside = (np.pad(values, sides, mode="edge") for values in (a, b, inside))
    result = 1.0
    for scale, weight in enumerate(WEIGHTS):
        if scale:
            a, b, inside = _halved(a), _halved(b), inside[::2, ::2, ::2]
        counted = np.zeros_like(inside)
        inner = (slice(_REACH, -_REACH),) * 3
        counted[inner] = inside[inner]
        result *= _mean(a, b, counted, value_range[1] - value_range[0], weight)
    return result


def _prepared(
    first: np.ndarray, second: np.ndarray, value_range: tuple[float, float], mask: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    low, high = value_range
    both = [np.clip(v, low, high).astype(np.float32) - np.float32(low) for v in (first, second)]
    if mask is not None:
        for values in both:
            values[mask == 0] = 0
    return both[0], both[1]


def _mean(
    a: np.ndarray, b: np.ndarray, counted: np.ndarray, data_range: float, power: float
) -> float:
    """Return the mean similarity, to a power, of the counted voxels, slab by slab."""
    boxes = scipy.ndimage.find_objects(counted.view(np.uint8))
    if not boxes:
        return float("nan")
    box = tuple(slice(max(0, s.start - _REACH), s.stop + _REACH) for s in boxes[0])
    a, b, counted = a[box], b[box], counted[box]
    total = 0.0
    for start in range(0, a.shape[0], _SLAB):
        stop = min(start + _SLAB, a.shape[0])
        chosen = counted[start:stop]
        if not chosen.any():
            continue
        before = max(0, start - _REACH)
        around = slice(before, min(stop + _REACH, a.shape[0]))
        inner = slice(start - before, stop - before)
        similarity = _similarity(a[around], b[around], data_range)[inner][chosen]
        if power != 1:
            similarity = np.maximum(similarity, 0) ** np.float32(power)
        total += float(similarity.sum(dtype=np.float64))
    return total / int(np.count_nonzero(counted))


def _similarity(a: np.ndarray, b: np.ndarray, data_range: float) -> np.ndarray:
    """Luminance times contrast times structure; of the last two sqrt(var a var b) cancels."""
    c1, c2 = np.float32((K1 * data_range) ** 2), np.float32((K2 * data_range) ** 2)
    sample = np.float32(WINDOW**3 / (WINDOW**3 - 1))
    mean_a, mean_b = _smoothed(a), _smoothed(b)
    product = mean_a * mean_b
    squares = mean_a * mean_a + mean_b * mean_b
    # var(a) + var(b) needs the sum of the squares alone: one filter less.
    spread = np.maximum(sample * (_smoothed(a * a + b * b) - squares), 0)
    contrast = (2 * sample * (_smoothed(a * b) - product) + c2) / (spread + c2)
    return (2 * product + c1) / (squares + c1) * contrast


def _smoothed(values: np.ndarray) -> np.ndarray:
    # How the filter goes on beyond an image matters to no voxel that is counted.
    return scipy.ndimage.uniform_filter(values, WINDOW, mode="reflect")


def _halved(values: np.ndarray) -> np.ndarray:
    """Every other mean of a voxel and its predecessors, 2 x 2 x 2, 0 before the first."""
    for axis in range(values.ndim):
        even, odd = [slice(None)] * values.ndim, [slice(None)] * values.ndim
        even[axis], odd[axis] = slice(0, None, 2), slice(1, None, 2)
        halved = values[tuple(even)].copy()
        later = [slice(None)] * values.ndim
        later[axis] = slice(1, None)
        earlier = [slice(None)] * values.ndim
        earlier[axis] = slice(0, halved.shape[axis] - 1)
        halved[tuple(later)] += values[tuple(odd)][tuple(earlier)]
        halved *= np.float32(0.5)
        values = halved
    return values
