"""Doses of known shape for tests of gamma."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from scipy.ndimage import gaussian_filter
from SyntheticCTEvalLib.gamma.engines import compute_gamma


def dose_image(values, spacing=(2.0, 2.5, 3.0), origin=(1.0, 2.0, 3.0), direction=None):
    """Return a dose from an array (k, j, i)."""
    image = sitk.GetImageFromArray(np.asarray(values, np.float32))
    image.SetSpacing([float(v) for v in spacing])
    image.SetOrigin([float(v) for v in origin])
    if direction is not None:
        image.SetDirection([float(v) for v in np.ravel(direction)])
    return image


def gamma_of(*args, **kwargs) -> np.ndarray:
    return sitk.GetArrayFromImage(compute_gamma(*args, **kwargs).gamma)


def smooth_dose(seed, shape=(9, 10, 11)):
    values = gaussian_filter(np.random.default_rng(seed).uniform(size=shape), 1.5)
    return 60 * (values - values.min()) / np.ptp(values)


def slope_dose(gy_per_mm, shift_mm=0.0, shape=(7, 8, 30), spacing=(2.0, 2.5, 3.0)):
    """Return a dose that rises along i."""
    along = np.arange(shape[2]) * spacing[0] - shift_mm
    return dose_image(np.broadcast_to(20 + gy_per_mm * (along + 8), shape), spacing)
