"""How like the true CT a candidate is: MAE, ME, RMSE, PSNR, SSIM, MS-SSIM, bones, HU histogram."""

from __future__ import annotations

from typing import Any

import numpy as np
import SimpleITK as sitk
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.volumes.grids import image_like, same_grid
from SyntheticCTLib.volumes.resampling import HU_OUTSIDE

from . import background, body_agreement
from .ms_ssim import K1, K2, SMALLEST, WEIGHTS, WINDOW, ms_ssim, ssim_3d
from .ssim import SSIM_SIGMA, SSIM_WINDOW, slice_ssim, whole_windows
from .surfaces import SURFACE_DEFINITION, surface_distances

HU_RANGE = (-1024, 3071)
"""CT numbers of a 12-bit scanner, the range that SynthRAD evaluates with."""

TISSUES: dict[str, tuple[float, float]] = {
    "air": (-np.inf, -200),
    "fat": (-200, -28.5),
    "soft": (-28.5, 100),
    "spongy": (100, 575),
    "compact": (575, np.inf),
}
"""Tissue classes of the true CT: lower limit (included) and upper limit (excluded) in HU.

The thresholds are those published for building an MRCAT look-alike from CT.
"""

BONE_HU = 150.0
"""Above this CT number a voxel of the body counts as bone.

It lies between the values that MRCAT gives to water-rich tissue (42 HU) and to spongy bone
(198 HU), so that bulk values are held against the true CT by their geometry.
"""

HISTOGRAM_EDGES = tuple(range(HU_RANGE[0], HU_RANGE[1] + 17, 16))
"""Edges in HU of the 256 bins of the HU histograms."""

_BODY = "over the voxels inside the body contour of the true CT"
_IMAGE = "over every voxel of the true CT's grid, the air and the couch around the patient included"
_FLOOR = f"values below {HU_OUTSIDE} HU count as {HU_OUTSIDE} HU"
_CLIPPED = f"both images clipped to {HU_RANGE[0]} to {HU_RANGE[1]} HU"
_WHOLE = "whose window lies wholly inside what is compared (see region) and inside the"
_SSIM_2D = (
    f"Structural similarity (Wang 2004, by scikit-image), {_CLIPPED}: 2D, slice by slice, "
    f"Gaussian window of {SSIM_WINDOW} x {SSIM_WINDOW} voxels (sigma {SSIM_SIGMA} voxels), data "
    f"range {HU_RANGE[1] - HU_RANGE[0]} HU, K1 = {K1}, K2 = {K2}"
)
_SSIM_3D = (
    f"Structural similarity (Wang 2004) in 3D, {_CLIPPED} and counted from {HU_RANGE[0]} HU: "
    f"uniform window of {WINDOW} x {WINDOW} x {WINDOW} voxels (variances over n - 1), data range "
    f"{HU_RANGE[1] - HU_RANGE[0]} HU, K1 = {K1}, K2 = {K2}"
)
_BONE = f"bone: voxels of the body contour above {BONE_HU:g} HU, the body that of the same image"

DEFINITIONS: dict[str, str] = {
    "mae_image": f"Mean absolute error in HU, |candidate - true CT|, {_IMAGE}; {_FLOOR}.",
    "mae_body": f"Mean absolute error in HU, |candidate - true CT|, {_BODY}; {_FLOOR}.",
    "me_image": (
        f"Mean error in HU, candidate - true CT, {_IMAGE}: above 0 the candidate is too dense; "
        f"{_FLOOR}."
    ),
    "me_body": (
        f"Mean error in HU, candidate - true CT, {_BODY}: above 0 the candidate is too dense; "
        f"{_FLOOR}."
    ),
    "rmse_image": f"Root of the mean squared error in HU {_IMAGE}; {_FLOOR}.",
    "rmse_body": f"Root of the mean squared error in HU {_BODY}; {_FLOOR}.",
    "psnr_image": (
        f"Peak signal-to-noise ratio in dB, 20 log10(4095 HU / RMSE), {_IMAGE}; {_CLIPPED}."
    ),
    "psnr_body": (
        f"Peak signal-to-noise ratio in dB, 20 log10(4095 HU / RMSE), {_BODY}; {_CLIPPED}."
    ),
    "ssim": (
        f"{_SSIM_2D}; mean over all voxels {_WHOLE} slice, the {SSIM_WINDOW // 2} voxels at its "
        "edges left out; n/a where there is none."
    ),
    "ssim_body": (
        f"{_SSIM_2D}; mean over the voxels inside the body contour of the true CT {_WHOLE} slice, "
        f"the {SSIM_WINDOW // 2} voxels at its edges left out; n/a where there is none."
    ),
    "ssim_3d": (
        f"{_SSIM_3D}; mean over all voxels {_WHOLE} image, the {WINDOW // 2} voxels and slices at "
        "its ends left out; n/a where there is none."
    ),
    "ssim_3d_body": (
        f"{_SSIM_3D}; everything outside the body contour of the true CT set to {HU_RANGE[0]} HU "
        f"in both; mean over the voxels inside it {_WHOLE} image, the {WINDOW // 2} voxels and "
        "slices at its ends left out; n/a where there is none."
    ),
    "ms_ssim": (
        "Multi-scale structural similarity (Wang 2003) in 3D, computed as ms_ssim_body is, "
        f"{_IMAGE}."
    ),
    "ms_ssim_body": (
        "Multi-scale structural similarity as SynthRAD2025 computes it, "
        f"{_BODY} (the mask, not dilated): {_CLIPPED}, set to {HU_RANGE[0]} HU outside the mask "
        f"and counted from there; axes of fewer than {SMALLEST} voxels extended by their outermost "
        f"ones, the mask too; at each of five scales (weights {', '.join(map(str, WEIGHTS))}) "
        "luminance x contrast x structure to the power of the weight, not below 0, uniform "
        f"window of {WINDOW} x {WINDOW} x {WINDOW} voxels (variances over n - 1), K1 = {K1}, "
        f"K2 = {K2}, then the mean over the voxels of the mask at least {WINDOW // 2} inside the "
        "image; the product of the means. To the next scale the mean of a voxel and its "
        "predecessors (2 x 2 x 2, 0 before the first), every other voxel kept, and every other of "
        "the mask; n/a where a scale has none left. Where only a part is compared (see region) "
        "nothing else is in the mask."
    ),
    "dsc_body": body_agreement.DEFINITIONS["dsc_body"],
    "hd95_body": body_agreement.DEFINITIONS["hd95_body"],
    "dsc_bone": (
        "Dice similarity coefficient of the bones of candidate and true CT, "
        f"2 |A and B| / (|A| + |B|); {_BONE}; n/a where neither has bone."
    ),
    "msd_bone": (
        "Mean surface distance in mm of the bones of candidate and true CT: the mean of the "
        "distances of all points of either surface to the other; "
        f"{_BONE}; {SURFACE_DEFINITION}."
    ),
    "hd95_bone": (
        "95 % Hausdorff distance in mm of the bones of candidate and true CT: the larger of the "
        "95th percentiles of the distances from either surface to the other; "
        f"{_BONE}; {SURFACE_DEFINITION}."
    ),
    "hu_histogram": (
        f"Fractions of the voxels in bins of 16 HU (edges_hu, lower edge included) {_BODY}, for "
        f"true CT and candidate; {_CLIPPED}."
    ),
    "body": body_agreement.DEFINITIONS["body_ct"],
    "tissue_mae": (
        "Mean absolute error in HU by tissue, inside the body contour, the tissue taken from the "
        "true CT: air below -200 HU, fat -200 to -28.5, soft tissue -28.5 to 100, spongy bone "
        f"100 to 575, compact bone from 575 HU; {_FLOOR}."
    ),
    **background.DEFINITIONS,
    "coverage_body_percent": (
        "Part of the true CT's body contour, in percent, that all candidates cover; the figures "
        "are taken over this part."
    ),
}
"""One line for each number, to be printed wherever the number is."""


def mae(ct: sitk.Image, candidate: sitk.Image, mask: sitk.Image | None = None) -> float:
    """Return the mean absolute error in HU over ``mask``, or the whole image.

    Args:
        ct: true CT in HU.
        candidate: CT-like image in HU on the same grid.
        mask: voxels that are not 0 count; NaN is returned where there are none.

    Raises:
        SyntheticCTError: the grids differ.
    """
    return _mean(np.abs(_error(ct, candidate, mask)))


def me(ct: sitk.Image, candidate: sitk.Image, mask: sitk.Image | None = None) -> float:
    """Return the mean error, candidate minus true CT, in HU; arguments as for :func:`mae`."""
    return _mean(_error(ct, candidate, mask))


def rmse(ct: sitk.Image, candidate: sitk.Image, mask: sitk.Image | None = None) -> float:
    """Return the root mean squared error in HU; arguments as for :func:`mae`."""
    return float(np.sqrt(_mean(np.square(_error(ct, candidate, mask)))))


def psnr(ct: sitk.Image, candidate: sitk.Image, mask: sitk.Image | None = None) -> float:
    """Return the peak signal-to-noise ratio in dB for a peak of 4095 HU; infinite when equal.

    Both images are clipped to :data:`HU_RANGE` first; arguments as for :func:`mae`.
    """
    mean_square = _mean(np.square(_error(ct, candidate, mask, HU_RANGE[1])))
    if mean_square == 0:
        return float("inf")
    return float(20 * np.log10(HU_RANGE[1] - HU_RANGE[0]) - 10 * np.log10(mean_square))


def ssim_map(ct: sitk.Image, candidate: sitk.Image) -> sitk.Image:
    """Return the structural similarity at every voxel (float32) on the grid of ``ct``.

    As in ``DEFINITIONS["ssim"]``: scikit-image's structural_similarity in each slice (k).

    Raises:
        SyntheticCTError: the grids differ, or the slices are smaller than the window.
    """
    _require_same_grid(ct, candidate, "candidate")
    clipped = (np.clip(_view(image), *HU_RANGE).astype(np.float32) for image in (ct, candidate))
    return image_like(slice_ssim(*clipped, HU_RANGE[1] - HU_RANGE[0]), ct)


def bone_mask(image: sitk.Image, body: sitk.Image, threshold: float = BONE_HU) -> sitk.Image:
    """Return the voxels of ``body`` above ``threshold`` HU (uint8, 0 or 1)."""
    return sitk.And(sitk.Cast(image > threshold, sitk.sitkUInt8), body != 0)


def hu_histogram(image: sitk.Image, mask: sitk.Image) -> list[float]:
    """Return the fractions of the voxels of ``mask`` in the bins of :data:`HISTOGRAM_EDGES`.

    Values beyond :data:`HU_RANGE` count in the first and the last bin.
    """
    values = np.clip(_view(image)[_view(mask) != 0], *HU_RANGE)
    counts = np.histogram(values, HISTOGRAM_EDGES)[0]
    return (counts / max(values.size, 1)).tolist()


def compare_images(
    ct: sitk.Image,
    candidate: sitk.Image,
    ct_body: sitk.Image,
    candidate_body: sitk.Image,
    region: sitk.Image | None = None,
) -> dict[str, Any]:
    """Return the image figures of one candidate for metrics.json; see :data:`DEFINITIONS`.

    Args:
        ct: true CT in HU.
        candidate: CT-like image in HU on the grid of ``ct``.
        ct_body, candidate_body: body contours (0 or 1) on that grid.
        region: mask on that grid to which every figure is limited.

    Returns:
        mae, me, rmse (HU), psnr (dB) with _image and _body; ssim, ssim_3d, ms_ssim of the image
        and with _body; dsc_body, dsc_bone; hd95_body, msd_bone, hd95_bone (mm); tissue_mae (HU by
        the names of :data:`TISSUES`); background_hu; hu_histogram (edges_hu, true_ct, candidate:
        lists). NaN where a figure has no voxel.

    Raises:
        SyntheticCTError: the grids differ, or no voxel is left to be compared.
    """
    for image, what in (
        (candidate, "candidate"),
        (candidate_body, "body contour"),
        (region, "region"),
        (ct_body, "body"),
    ):
        if image is not None:
            _require_same_grid(ct, image, what)
    body = ct_body != 0
    found_body = candidate_body != 0
    if region is not None:
        inside = region != 0
        body, found_body = body & inside, found_body & inside
    if not _view(body).any():
        raise SyntheticCTError(
            "No voxel of the patient is left to be compared: check that the true CT is in HU and "
            "shows the patient, and that the region lies inside."
        )
    bone = bone_mask(ct, body), bone_mask(candidate, found_body)
    bone_distances = surface_distances(*bone, region)
    return {
        "mae_image": mae(ct, candidate, region),
        "mae_body": mae(ct, candidate, body),
        "me_image": me(ct, candidate, region),
        "me_body": me(ct, candidate, body),
        "rmse_image": rmse(ct, candidate, region),
        "rmse_body": rmse(ct, candidate, body),
        "psnr_image": psnr(ct, candidate, region),
        "psnr_body": psnr(ct, candidate, body),
        **_similarities(ct, candidate, ct_body, region),
        "dsc_body": body_agreement.dice(body, found_body),
        "hd95_body": body_agreement.hd95(body, found_body, region),
        "dsc_bone": body_agreement.dice(*bone),
        "msd_bone": bone_distances.mean,
        "hd95_bone": bone_distances.hd95,
        "tissue_mae": _tissue_mae(ct, candidate, body),
        "background_hu": background.background_hu(ct, candidate, ct_body, region),
        "hu_histogram": {
            "edges_hu": list(HISTOGRAM_EDGES),
            "true_ct": hu_histogram(ct, body),
            "candidate": hu_histogram(candidate, body),
        },
    }


def _similarities(
    ct: sitk.Image, candidate: sitk.Image, ct_body: sitk.Image, region: sitk.Image | None
) -> dict[str, float]:
    """Structural similarities of the image and of the body, inside ``region``."""
    similarity = sitk.GetArrayFromImage(ssim_map(ct, candidate))
    body = _view(ct_body) != 0
    compared = np.ones_like(body) if region is None else _view(region) != 0
    counted = whole_windows(compared)
    volumes = _view(ct), _view(candidate), HU_RANGE
    return {
        "ssim": _mean(similarity[counted]),
        "ssim_body": _mean(similarity[counted & body]),
        "ssim_3d": ssim_3d(*volumes, compared=compared),
        "ssim_3d_body": ssim_3d(*volumes, mask=body, compared=compared),
        "ms_ssim": ms_ssim(*volumes, mask=compared),
        "ms_ssim_body": ms_ssim(*volumes, mask=compared & body),
    }


def _tissue_mae(ct: sitk.Image, candidate: sitk.Image, body: sitk.Image) -> dict[str, float]:
    error = np.abs(_error(ct, candidate, body))
    true = _view(ct)[_view(body) != 0]
    return {
        name: _mean(error[(true >= low) & (true < high)]) for name, (low, high) in TISSUES.items()
    }


def _error(
    ct: sitk.Image, candidate: sitk.Image, mask: sitk.Image | None, highest: float = np.inf
) -> np.ndarray:
    """Candidate minus true CT in HU (float32, flat) at the voxels of ``mask``."""
    _require_same_grid(ct, candidate, "candidate")
    true, found = _view(ct), _view(candidate)
    if mask is not None:
        _require_same_grid(ct, mask, "mask")
        inside = _view(mask) != 0
        true, found = true[inside], found[inside]
    low = HU_RANGE[0]
    error = np.clip(found.astype(np.float32), low, highest)
    error -= np.clip(true.astype(np.float32), low, highest)
    return error.ravel()


def _mean(values: np.ndarray) -> float:
    """Mean in double precision; NaN without values."""
    return float(values.mean(dtype=np.float64)) if values.size else float("nan")


def _view(image: sitk.Image) -> np.ndarray:
    return sitk.GetArrayViewFromImage(image)


def _require_same_grid(ct: sitk.Image, image: sitk.Image, what: str) -> None:
    if not same_grid(ct, image):
        raise SyntheticCTError(
            f"The {what} does not lie on the true CT's grid: resample it onto that grid first."
        )
