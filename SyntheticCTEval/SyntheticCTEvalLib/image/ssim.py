"""Structural similarity slice by slice, and which of its windows count."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy
from SyntheticCTLib.basics.errors import SyntheticCTError

SSIM_SIGMA = 1.5
SSIM_WINDOW = 11


def slice_ssim(first: np.ndarray, second: np.ndarray, data_range: float) -> np.ndarray:
    """Return scikit-image's structural similarity at every voxel (float32), slice by slice.

    Args:
        first, second: volumes (k, j, i), float32.
        data_range: distance between the smallest and the largest value that there can be.

    Raises:
        SyntheticCTError: the slices are smaller than the window.
    """
    from skimage.metrics import structural_similarity

    if min(first.shape[1:]) < SSIM_WINDOW:
        raise SyntheticCTError(
            f"SSIM needs slices of at least {SSIM_WINDOW} x {SSIM_WINDOW} voxels and these are "
            f"{first.shape[2]} x {first.shape[1]}: give images of the whole patient."
        )
    values = np.empty(first.shape, dtype=np.float32)
    for one, other, result in zip(first, second, values, strict=True):
        _, result[:] = structural_similarity(
            one,
            other,
            data_range=data_range,
            gaussian_weights=True,
            sigma=SSIM_SIGMA,
            use_sample_covariance=False,
            full=True,
        )
    return values


def whole_windows(
    compared: np.ndarray, window: Sequence[int] = (1, SSIM_WINDOW, SSIM_WINDOW)
) -> np.ndarray:
    """Return the voxels (k, j, i) around which a window lies wholly inside ``compared``.

    What lies beyond the array is not inside. Other windows mix what is compared with what is
    not: mirrored voxels at the edge of a slice, fill values where a candidate ends.

    Args:
        compared: voxels (k, j, i) that are compared; not 0.
        window: odd sizes of the window in voxels (k, j, i); of one slice by default.
    """
    inside = (np.asarray(compared) != 0).view(np.uint8)
    for axis, size in enumerate(window):
        if size > 1:
            inside = scipy.ndimage.minimum_filter1d(inside, size, axis, mode="constant", cval=0)
    return inside.view(bool)
