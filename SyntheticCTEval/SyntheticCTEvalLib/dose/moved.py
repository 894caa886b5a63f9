"""A dose that goes with the volume that it was computed on."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from SyntheticCTLib.dicom.frame_of_reference import FRAME
from SyntheticCTLib.volumes.resampling import resample

MOVED_DEFINITION = (
    "Where a candidate was registered onto the true CT, its dose was moved by the same transform."
)


def moved_dose(
    dose: sitk.Image, rigid: sitk.Transform, bending: sitk.Transform | None = None
) -> sitk.Image:
    """Return the dose of a moving image where the registration has laid that image.

    The rigid part moves the dose's grid and leaves its values alone; what bends resamples them
    there (linear; beyond the grid its outermost values).

    Args:
        dose: Gy, on any grid, in the frame of the moving image.
        rigid: the rigid part of the registration (points of the fixed image to points of the
            moving image, mm, LPS).
        bending: the whole registration, where it bends.
    """
    back = rigid.GetInverse()
    first = np.array(back.TransformPoint(dose.GetOrigin()))
    axes = np.reshape(dose.GetDirection(), (3, 3)).T
    ends = [back.TransformPoint(tuple(dose.GetOrigin() + axis)) for axis in axes]
    moved = sitk.GetImageFromArray(sitk.GetArrayViewFromImage(dose))
    moved.SetSpacing(dose.GetSpacing())
    moved.SetOrigin(first.tolist())
    moved.SetDirection((np.array(ends) - first).T.ravel().tolist())
    moved = moved if bending is None else resample(dose, moved, bending, fill=None)
    for key in dose.GetMetaDataKeys():  # what the dose is, but no longer in which frame
        if key != FRAME:
            moved.SetMetaData(key, dose.GetMetaData(key))
    return moved
