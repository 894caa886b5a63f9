"""The difference of two doses."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from SyntheticCTLib.volumes.grids import image_like
from SyntheticCTLib.volumes.resampling import resample

NO_DOSE_DIFFERENCE = -1000.0
"""Marks voxels without a difference in maps of differences of dose in Gy."""


def subtract_doses(dose: sitk.Image, reference: sitk.Image) -> sitk.Image:
    """Return ``dose`` minus ``reference`` (float32) on the grid of ``reference``.

    Linear interpolation; NO_DOSE_DIFFERENCE where ``dose`` is not known.
    """
    placed = resample(sitk.Cast(dose, sitk.sitkFloat32), reference, fill=np.nan)
    difference = sitk.GetArrayFromImage(placed)
    difference -= sitk.GetArrayViewFromImage(reference)
    np.nan_to_num(difference, copy=False, nan=NO_DOSE_DIFFERENCE)
    return image_like(difference, reference)
