"""The difference of a candidate and the true CT."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from SyntheticCTLib.volumes.grids import image_like


def marked_difference(volume: sitk.Image, ct: sitk.Image, covered: np.ndarray) -> sitk.Image:
    """Return ``volume`` minus ``ct`` in HU (float32), NaN where ``covered`` (k, j, i) is not."""
    difference = sitk.GetArrayFromImage(volume).astype(np.float32)
    difference -= sitk.GetArrayViewFromImage(ct)
    difference[~covered] = np.nan
    return image_like(difference, ct)
