"""What the voxels of a body's mask are."""

from __future__ import annotations

import math

import numpy as np
import SimpleITK as sitk

from SyntheticCTLib.volumes.grids import with_values
from SyntheticCTLib.volumes.resampling import resample

COUCH = 2
"""Label of what beams pass besides the patient, and where no dose is told; any other label is the
patient, 0 is air."""
MUCH_OUTSIDE_PERCENT = 1.0
"""Of a structure outside the body: contours and masks differ by less at a body's surface."""


def patient_on(body: sitk.Image, grid: sitk.Image) -> np.ndarray:
    """Return where the patient is (bool, k j i) on ``grid``: the body's mask without its couch."""
    found = sitk.GetArrayFromImage(resample(body, grid, fill=0, nearest=True))
    return (found != 0) & (found != COUCH)


def part_in_body(mask: sitk.Image, body: sitk.Image) -> sitk.Image:
    """Return what of a structure's mask lies in the patient (uint8), on the mask's own grid and
    with its metadata."""
    own = patient_on(body, mask) & (sitk.GetArrayViewFromImage(mask) != 0)
    return with_values(mask, own.astype(np.uint8))


def left_outside(mask: sitk.Image, inside: sitk.Image) -> tuple[float, float]:
    """Return percent and cm3 of a structure (not empty) that its part in the body lacks."""
    every, there = (np.count_nonzero(sitk.GetArrayViewFromImage(one)) for one in (mask, inside))
    return 100 * (every - there) / every, (every - there) * math.prod(mask.GetSpacing()) / 1000
