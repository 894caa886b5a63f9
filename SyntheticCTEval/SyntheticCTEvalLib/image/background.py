"""What a candidate holds around the patient, and what fills a part of the patient up."""

from __future__ import annotations

import numpy as np
import scipy
import SimpleITK as sitk
from SyntheticCTLib.normalization.padding import padding_mask, widened
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
_FILLED_SHARE = 0.005
_END_SHARE = 0.01
_THINNER_MM = 20.0
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


def filled_warning(
    name: str,
    ct: sitk.Image,
    candidate: sitk.Image,
    ct_body: sitk.Image,
    covered: sitk.Image,
) -> str:
    """Return a sentence where the candidate holds one value in a part of the body; "" elsewhere.

    Programs that move an image fill what lies beyond its end with one value, 0 HU (water) or
    -1024 HU, which cannot be told from a measurement voxel by voxel. Named is a value that fills
    whole slices, and one in the body that is also where the candidate ends in the air around the
    patient (bulk densities end before); air only farther inside than a thinner patient has it.

    Args:
        covered: mask of what the candidate covers; all images on one grid.
    """
    values = np.rint(sitk.GetArrayViewFromImage(candidate))
    known = sitk.GetArrayViewFromImage(covered) != 0
    inside = (sitk.GetArrayViewFromImage(ct_body) != 0) & known
    border = _border(known)
    ends = (sitk.GetArrayViewFromImage(ct) < AIR_BELOW_HU) & ~inside & border
    body = np.count_nonzero(inside)
    padding = padding_mask(values) & known
    for value, count in zip(*np.unique(values[padding & inside], return_counts=True), strict=True):
        same = padding & (values == value)
        at_end = np.count_nonzero(same & ends) > _END_SHARE * np.count_nonzero(border)
        slices = [k for k in range(len(values)) if inside[k].any() and same[k][known[k]].all()]
        part = same & inside
        if value <= AIR_BELOW_HU:
            part = _reaching(same, border) & _deep(inside, candidate)
        filled = np.count_nonzero(part) > _FILLED_SHARE * body
        if slices or (filled and at_end):
            return (
                f"{name} holds nothing but {value:.0f} HU in a part of the patient, "
                f"{100 * count / body:.1f} % of the body on the true CT, as where a program filled "
                "up what lies beyond its end: its figures take that for CT numbers; give the "
                "candidate as it was made, on its own grid, or a region without that part."
            )
    return ""


def _border(known: np.ndarray) -> np.ndarray:
    """The outermost voxels, in their slice, of what is known (k, j, i)."""
    border = widened(~known)
    border[:, [0, -1]] = border[:, :, [0, -1]] = True
    return border & known


def _reaching(same: np.ndarray, border: np.ndarray) -> np.ndarray:
    """Those areas (k, j, i) that reach the border in their slice; gas in the bowel does not."""
    in_plane = np.zeros((3, 3, 3), bool)
    in_plane[1, 1], in_plane[1, :, 1] = True, True
    areas, count = scipy.ndimage.label(same, in_plane)
    reaching = np.zeros(count + 1, bool)
    reaching[areas[border & same]] = True
    return reaching[areas]


def _deep(body: np.ndarray, image: sitk.Image) -> np.ndarray:
    """Voxels of a body (k, j, i) that lie far inside it in their slice, along rows and columns."""
    deep = body.view(np.uint8)
    for axis, spacing in ((1, image.GetSpacing()[1]), (2, image.GetSpacing()[0])):
        size = 2 * int(np.ceil(_THINNER_MM / spacing)) + 1
        deep = scipy.ndimage.minimum_filter1d(deep, size, axis=axis, mode="nearest")
    return deep != 0


def _around(
    ct: sitk.Image, candidate: sitk.Image, ct_body: sitk.Image, region: sitk.Image | None
) -> np.ndarray:
    """Values (flat) of the candidate in the air around the patient."""
    air = sitk.GetArrayViewFromImage(ct) < AIR_BELOW_HU
    air &= sitk.GetArrayViewFromImage(ct_body) == 0
    if region is not None:
        air &= sitk.GetArrayViewFromImage(region) != 0
    return sitk.GetArrayViewFromImage(candidate)[air]
