"""The foreground of an MR: the voxels that its standard scale is read off."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from SyntheticCTLib.basics.errors import SyntheticCTError


def foreground_mask(mr: sitk.Image) -> np.ndarray:
    """Return the foreground of an MR as booleans (k, j, i).

    The threshold is Otsu's on the logarithm of the intensity, which separates the noise of
    air from tissue; on the plain intensity it would separate muscle from fat.

    Raises:
        SyntheticCTError: nothing, or a single value, lies above the threshold.
    """
    values = sitk.GetArrayViewFromImage(mr).astype(np.float32)
    low = float(values.min())
    logs = np.log1p((values - low) / max(float(values.mean()) - low, 1e-12) * 100)
    otsu = sitk.OtsuThresholdImageFilter()
    otsu.Execute(sitk.GetImageFromArray(logs))
    mask = logs > otsu.GetThreshold()
    inside = values[mask]
    if inside.size == 0 or inside.min() == inside.max():
        raise SyntheticCTError(
            "The MR has no foreground to normalize (air and tissue cannot be told apart): "
            "check that it is the right volume."
        )
    return mask
