"""What the voxels of a body's mask are."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from SyntheticCTLib.volumes.resampling import resample

COUCH = 2
"""Label of what beams pass besides the patient, and where no dose is told; any other label is the
patient, 0 is air."""


def patient_on(body: sitk.Image, grid: sitk.Image) -> np.ndarray:
    """Return where the patient is (bool, k j i) on ``grid``: the body's mask without its couch."""
    found = sitk.GetArrayFromImage(resample(body, grid, fill=0, nearest=True))
    return (found != 0) & (found != COUCH)
