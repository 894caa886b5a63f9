"""What a candidate holds around the patient, where air should be."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from SyntheticCTLib.volumes.resampling import HU_AIR, HU_OUTSIDE

AIR_BELOW_HU = -700
PADDING_BELOW_HU = -1100

DEFINITIONS = {
    "background_hu": (
        "Median CT number in HU of the candidate around the patient: over the voxels outside the "
        f"body contour of the true CT where it is below {AIR_BELOW_HU} HU. About {HU_AIR} where "
        "the candidate holds air there, as it should; what else it holds is an error of its "
        "whole-image figures. n/a without such voxels."
    ),
}

_NAMED_SHARE = 0.2
_NOTHING_BELOW_HU = -300


def background_hu(
    ct: sitk.Image, candidate: sitk.Image, ct_body: sitk.Image, region: sitk.Image | None = None
) -> float:
    """Return what ``DEFINITIONS["background_hu"]`` says, inside ``region``; all on one grid."""
    values = _around(ct, candidate, ct_body, region)
    return float(np.median(values)) if values.size else float("nan")


def background_warning(
    name: str,
    ct: sitk.Image,
    candidate: sitk.Image,
    ct_body: sitk.Image,
    region: sitk.Image | None = None,
) -> str:
    """Return a sentence where the candidate holds no air around the patient; "" where it does.

    Named is one value far from air (above -700 or below -1100 HU) in a fifth of that air, or
    anything there in half of it; where there is no such air, a candidate without any at all.
    """
    values = _around(ct, candidate, ct_body, region)
    airless = float(sitk.GetArrayViewFromImage(candidate).min()) > _NOTHING_BELOW_HU
    if not values.size and airless:
        return (
            f"{name} holds no air (nothing below {_NOTHING_BELOW_HU}): check that it is a CT-like "
            "volume in HU."
        )
    far = values[(values > AIR_BELOW_HU) | (values < PADDING_BELOW_HU)]
    share = far.size / max(values.size, 1)
    if share < _NAMED_SHARE:
        return ""
    found, counts = np.unique(np.rint(far), return_counts=True)
    commonest = found[counts.argmax()]
    if counts.max() < 0.5 * far.size:
        if share < 0.5:
            return ""
        commonest = np.median(far)
    held = f"{name} holds {commonest:.0f} HU instead of air in {100 * share:.0f} % of the "
    if commonest < PADDING_BELOW_HU:
        return (
            f"{held}background around the patient; in its figures values below {HU_OUTSIDE} HU "
            f"count as {HU_OUTSIDE} HU."
        )
    return (
        f"{held}background around the patient: its whole-image figures (MAE, SSIM and others), "
        "its body contour and the beams of a recalculated dose meet that instead of air; "
        f"{'check that it is in HU, and ' if airless else ''}write {HU_AIR} HU there."
    )


def _around(
    ct: sitk.Image, candidate: sitk.Image, ct_body: sitk.Image, region: sitk.Image | None
) -> np.ndarray:
    """Values (flat) of the candidate in the air around the patient."""
    air = sitk.GetArrayViewFromImage(ct) < AIR_BELOW_HU
    air &= sitk.GetArrayViewFromImage(ct_body) == 0
    if region is not None:
        air &= sitk.GetArrayViewFromImage(region) != 0
    return sitk.GetArrayViewFromImage(candidate)[air]
