"""Whether a synthetic CT lies on a CT by a transform, and in which direction it takes points."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import SILENT, Progress
from SyntheticCTLib.body.contour import body_contour
from SyntheticCTLib.volumes.resampling import HU_OUTSIDE, floored, reached, resample

from .source import OTHER_BODY, SAME_BODY, coarse

_BETTER = 0.9
"""Share of the differences that another placement must leave at most to be called better."""
_HIGHEST = 300.0
"""HU above which CT-like volumes are not told apart: metal must not decide."""


def require_lying(
    ct: sitk.Image, sct: sitk.Image, transform: sitk.Transform, progress: Progress = SILENT
) -> None:
    """Refuse a transform by which a CT and a synthetic CT do not lie on one another, or warn.

    Args:
        ct, sct: HU.
        transform: points of the CT to points of the synthetic CT (mm, LPS).

    Raises:
        SyntheticCTError: the bodies do not lie on one another, or they do better where the
            transform is taken for one from the synthetic CT to the CT.
    """
    dice, apart = _compared(ct, sct, transform)
    _, other_way = _compared(sct, ct, transform)
    _, as_they_lie = _compared(ct, sct, sitk.Transform())
    if other_way < _BETTER * apart:
        raise SyntheticCTError(
            "The transform takes points of the MR to the CT, as CT and synthetic CT lie better on "
            "one another that way round: give the transform of register with the CT as --fixed."
        )
    if dice < OTHER_BODY:
        raise SyntheticCTError(
            f"By the transform the bodies in CT and synthetic CT do not lie on one another (Dice "
            f"coefficient {dice:.2f}): give the transform of register with this CT as --fixed and "
            "this MR or synthetic CT as --moving."
        )
    if dice < SAME_BODY:
        progress.warn(
            f"By the transform the bodies in CT and synthetic CT lie badly on one another (Dice "
            f"coefficient {dice:.2f}): check that it is between these two."
        )
    if as_they_lie < _BETTER * apart:
        progress.warn(
            "CT and synthetic CT lie better on one another without the transform than by it: "
            "check that it is between these two."
        )


def _compared(
    fixed: sitk.Image, moving: sitk.Image, transform: sitk.Transform
) -> tuple[float, float]:
    """Dice coefficient of the bodies, without couch, and the mean absolute difference there in HU.

    Where nothing is shared they are 0 and infinite.
    """
    grid = coarse(fixed)
    both = reached(moving, None, grid, transform)
    own = resample(floored(fixed), grid, fill=None, antialias=True)
    low = resample(floored(moving), coarse(moving), fill=None, antialias=True)
    other = resample(low, grid, transform, fill=HU_OUTSIDE)
    first, second = (sitk.GetArrayFromImage(body_contour(i, "CT")) > 0 for i in (own, other))
    first, second = first & both, second & both
    if not (first.any() and second.any()):
        return 0.0, np.inf
    dice = 2 * float((first & second).sum()) / float(first.sum() + second.sum())
    return dice, float(np.abs(_values(own) - _values(other))[first | second].mean())


def _values(image: sitk.Image) -> np.ndarray:
    return np.clip(sitk.GetArrayFromImage(image).astype(np.float32), HU_OUTSIDE, _HIGHEST)
