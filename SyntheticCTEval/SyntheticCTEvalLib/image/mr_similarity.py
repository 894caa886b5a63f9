"""How like the MR a candidate is without registration: SSIM and body DSC (paper, Table 3)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import SimpleITK as sitk
from SyntheticCTLib.volumes.checks import filled
from SyntheticCTLib.volumes.grids import image_like
from SyntheticCTLib.volumes.resampling import HU_OUTSIDE, floored, reached, resample

from .body_agreement import body_contour, dice
from .ssim import SSIM_SIGMA, SSIM_WINDOW, slice_ssim, whole_windows

MR_PERCENTILES = (1, 99)
HU_WINDOW = (-400, 600)
"""CT numbers that become 0 and 1: the window in which the reports show CT-like images."""

_PLACED = "candidate on the MR's grid, not registered, linear interpolation"

DEFINITIONS = {
    "ssim_mr": (
        f"Structural similarity (Wang 2004) of MR and candidate, {_PLACED}; MR from the "
        f"{MR_PERCENTILES[0]}st to the {MR_PERCENTILES[1]}th percentile of its body, candidate "
        f"from {HU_WINDOW[0]} to {HU_WINDOW[1]} HU, both scaled to 0 to 1, clipped, and 0 "
        "outside their own body contour, where an MR holds noise only; in 2D in "
        f"every slice of the MR with a Gaussian window of {SSIM_WINDOW} x {SSIM_WINDOW} voxels "
        f"(sigma {SSIM_SIGMA} voxels), data range 1, K1 = 0.01, K2 = 0.03; mean over the voxels "
        "whose window lies wholly inside what the candidate covers of the MR and inside the "
        f"slice, the {SSIM_WINDOW // 2} voxels at its edges left out; n/a where there is none. "
        "MR and CT differ in contrast, so that it compares candidates with each other and is far "
        "from 1 for any of them."
    ),
    "dsc_body_mr": (
        f"Dice similarity coefficient of the body contours of MR and candidate, {_PLACED}, "
        "2 |A and B| / (|A| + |B|), over the voxels of the MR that the candidate covers; n/a where "
        "it covers none."
    ),
}


def compare_with_mr(
    mr: sitk.Image, candidates: Mapping[str, sitk.Image], mr_body: sitk.Image
) -> dict[str, dict[str, float]]:
    """Return ssim_mr and dsc_body_mr of every candidate; see :data:`DEFINITIONS`.

    Args:
        mr: MR as acquired.
        candidates: volumes in HU by name, on any grids in the frame of the MR, not registered.
        mr_body: body contour of ``mr`` on its grid.

    Raises:
        SyntheticCTError: the MR's slices are smaller than the window of SSIM.
    """
    inside = sitk.GetArrayViewFromImage(mr_body) > 0
    values = sitk.GetArrayFromImage(mr).astype(np.float32)
    limits = np.percentile(values[inside], MR_PERCENTILES) if inside.any() else (0, values.max())
    scaled = _scaled(values, *limits) * inside
    return {
        name: _compare(mr, scaled, mr_body, candidate) for name, candidate in candidates.items()
    }


def _compare(
    mr: sitk.Image, scaled: np.ndarray, mr_body: sitk.Image, candidate: sitk.Image
) -> dict[str, float]:
    whole, known = filled(candidate)
    placed = resample(floored(whole), mr, fill=HU_OUTSIDE)
    counted = reached(whole, known, mr)
    covered = image_like(counted.astype(np.uint8), mr)
    if not counted.any():
        return {"ssim_mr": float("nan"), "dsc_body_mr": float("nan")}
    body = body_contour(placed, "CT")
    found = sitk.GetArrayViewFromImage(placed).astype(np.float32)
    similarity = slice_ssim(
        scaled, _scaled(found, *HU_WINDOW) * (sitk.GetArrayViewFromImage(body) > 0), 1.0
    )
    inside = similarity[whole_windows(counted)]
    return {
        "ssim_mr": float(inside.mean(dtype=np.float64)) if inside.size else float("nan"),
        "dsc_body_mr": dice(mr_body * covered, body * covered),
    }


def _scaled(values: np.ndarray, low: float, high: float) -> np.ndarray:
    width = high - low if high > low else 1.0
    return np.clip((values - low) / width, 0, 1).astype(np.float32)
