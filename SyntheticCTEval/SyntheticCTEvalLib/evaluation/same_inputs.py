"""Volumes that were given twice, or in each other's place: their figures prove nothing."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np
import SimpleITK as sitk
from scipy import ndimage
from SyntheticCTLib.basics.progress import Progress
from SyntheticCTLib.volumes.marks import is_synthetic
from SyntheticCTLib.volumes.sameness import SAME_SHARE, equal_share

FEW_VALUES = 16
"""Bulk densities have five; of a measured CT, noise alone makes hundreds."""
SMOOTH_HU, NOISY_HU, NOISE_RATIO = 4.0, 6.0, 2.0
"""Noise in soft tissue of a synthetic CT (0 to 3 HU), of a measured one (7 to 15), and between."""

_SLICES = 40
_SOFT_HU = 200


def warn_of_same_inputs(
    ct: sitk.Image,
    body: sitk.Image,
    candidates: Mapping[str, sitk.Image],
    mr: sitk.Image | None,
    progress: Progress,
) -> None:
    """Warn of candidates that are the true CT, each other or the MR, by their voxels in the body.

    Args:
        body: mask of the body in ``ct``.
        candidates: as they were given, not yet registered.
    """
    if is_synthetic(ct):
        progress.warn(
            "The true CT is marked as a synthetic CT: check that CT and candidate were not given "
            "in each other's place."
        )
    else:
        _warn_of_exchange(ct, candidates, progress)
    copies = set()
    for name, volume in candidates.items():
        share = equal_share(ct, volume, body, tolerance=0.5)
        if share >= SAME_SHARE:
            copies.add(name)
            progress.warn(
                f"The candidate {name} is the true CT itself (the same in {100 * share:.4g} % of "
                "the body's voxels): its figures are perfect by construction; check which files "
                "were given."
            )
    for one, other in combinations(candidates, 2):
        both_known = one in copies and other in copies
        if not both_known and (
            equal_share(candidates[one], candidates[other], body, tolerance=0.5) >= SAME_SHARE
        ):
            progress.warn(
                f"The candidates {one} and {other} are the same volume: check which files were "
                "given."
            )
    if mr is not None:
        for what, volume in {"true CT": ct, **candidates}.items():
            if equal_share(volume, mr, body, tolerance=0.5) >= SAME_SHARE:
                what = what if volume is ct else f"candidate {what}"
                progress.warn(f"The MR and the {what} are the same volume: give the MR itself.")


def _warn_of_exchange(
    ct: sitk.Image, candidates: Mapping[str, sitk.Image], progress: Progress
) -> None:
    """Warn where a candidate looks measured and the true CT computed."""
    values, noise = _texture(ct)
    for name, volume in candidates.items():
        many, noisy = _texture(volume)
        advice = "check that the two were not given in each other's place."
        if values <= FEW_VALUES and many > 10 * FEW_VALUES:
            progress.warn(
                f"The true CT holds {values} values in soft tissue, as bulk densities do, and "
                f"{name} holds {many}, as a measured CT does: {advice}"
            )
        elif noise <= SMOOTH_HU and noisy >= max(NOISY_HU, NOISE_RATIO * noise):
            progress.warn(
                f"The true CT has less noise in soft tissue ({noise:.1f} HU) than {name} "
                f"({noisy:.1f} HU), as a synthetic CT has beside a measured one: {advice}"
            )


def _texture(image: sitk.Image) -> tuple[int, float]:
    """Number of values, and noise (HU), in soft tissue of the middle slices.

    Noise by Immerkaer, Computer Vision and Image Understanding 64:300, 1996: what a kernel that
    takes edges and slopes away leaves; by the median, so that structures do not count.
    """
    first = max(0, image.GetSize()[2] // 2 - _SLICES // 2)
    hu = sitk.GetArrayFromImage(image[:, :, first : first + _SLICES]).astype(np.float32)
    soft = ndimage.maximum_filter(np.abs(hu), (1, 3, 3)) < _SOFT_HU
    if not soft.any():
        return 0, float("nan")
    left = hu
    for axis in (1, 2):
        left = ndimage.correlate1d(left, [1.0, -2.0, 1.0], axis)
    return np.unique(hu[soft]).size, float(np.median(np.abs(left[soft])) / 0.6745 / 6)
