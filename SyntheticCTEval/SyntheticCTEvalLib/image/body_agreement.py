"""Body contours held against each other; the contour itself comes from SyntheticCTLib."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.body import contour
from SyntheticCTLib.body.contour import body_contour
from SyntheticCTLib.volumes.grids import same_grid

from .surfaces import SURFACE_DEFINITION, surface_distances

__all__ = ["DEFINITIONS", "body_contour", "dice", "hd95"]

DEFINITIONS = {
    **contour.DEFINITIONS,
    "dsc_body": (
        "Dice similarity coefficient of the body contours of candidate and true CT, "
        "2 |A and B| / (|A| + |B|); NaN where both are empty."
    ),
    "hd95_body": (
        "95 % Hausdorff distance in mm of the body contours of candidate and true CT: the larger "
        "of the 95th percentiles of the distances from either surface to the other; "
        f"{SURFACE_DEFINITION}."
    ),
}


def dice(first: sitk.Image, second: sitk.Image) -> float:
    """Return the Dice similarity coefficient of two masks on one grid, 2 |A ∩ B| / (|A| + |B|).

    Voxels that are not 0 belong to the mask. Two empty masks have no overlap to speak of:
    the result is NaN, never 1.

    Raises:
        SyntheticCTError: the masks lie on different grids.
    """
    if not same_grid(first, second):
        raise SyntheticCTError(
            "The masks lie on different grids: resample one onto the grid of the other first."
        )
    a = sitk.GetArrayViewFromImage(first) != 0
    b = sitk.GetArrayViewFromImage(second) != 0
    total = np.count_nonzero(a) + np.count_nonzero(b)
    return 2.0 * np.count_nonzero(a & b) / total if total else float("nan")


def hd95(first: sitk.Image, second: sitk.Image, region: sitk.Image | None = None) -> float:
    """Return the 95 % Hausdorff distance in mm of two masks on one grid, within ``region``.

    NaN where one of them has no surface, as ``DEFINITIONS["hd95_body"]`` says.

    Raises:
        SyntheticCTError: the masks lie on different grids.
    """
    return surface_distances(first, second, region).hd95
