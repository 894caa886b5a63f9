"""How like the true CT a candidate is: MAE, ME, RMSE, PSNR, SSIM, MS-SSIM, bones, HU histogram."""

from __future__ import annotations

from typing import Any

import numpy as np
import SimpleITK as sitk
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.volumes.grids import image_like, same_grid
from SyntheticCTLib.volumes.resampling import HU_OUTSIDE

from . import body_agreement
from .ms_ssim import (
    K1,
    K2,
    WEIGHTS,
    WINDOW,
    StructuralSimilarity,
    structural_similarity_3d,
)
from .surfaces import SURFACE_DEFINITION, surface_distances

HU_RANGE = (-1024, 3071)
"""CT numbers of a 12-bit scanner, the range that SynthRAD evaluates with."""

SSIM_SIGMA = 1.5
SSIM_WINDOW = 11

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
_SSIM_3D = (
    f"uniform window of {WINDOW} x {WINDOW} x {WINDOW} voxels, mirrored at the image's edges, "
    f"{_CLIPPED} and counted from {HU_RANGE[0]} HU, data range {HU_RANGE[1] - HU_RANGE[0]} HU, "
    f"K1 = {K1}, K2 = {K2}"
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
    "psnr": f"Peak signal-to-noise ratio in dB, 20 log10(4095 HU / RMSE), {_BODY}; {_CLIPPED}.",
    "ssim": (
        f"Structural similarity (Wang 2004, by scikit-image), {_CLIPPED}: 2D, slice by slice, "
        f"Gaussian window of {SSIM_WINDOW} x {SSIM_WINDOW} voxels (sigma {SSIM_SIGMA} voxels), "
        "data range 4095 HU, K1 = 0.01, K2 = 0.03; mean over the whole image but the 5 voxels at "
        "the slices' edges."
    ),
    "ssim_body": f"Mean of the same SSIM map (see ssim) {_BODY}.",
    "ssim_3d": f"Structural similarity (Wang 2004) in 3D, mean {_IMAGE}; {_SSIM_3D}.",
    "ssim_3d_body": (
        f"Structural similarity (Wang 2004) in 3D, mean {_BODY}, everything outside set to "
        f"{HU_RANGE[0]} HU in both; {_SSIM_3D}."
    ),
    "ms_ssim": (
        "Multi-scale structural similarity (Wang 2003) in 3D over five scales, each of half the "
        "resolution (means of 2 x 2 x 2 voxels), contrast and structure weighted "
        f"{', '.join(map(str, WEIGHTS))}, luminance at the coarsest scale, mean {_IMAGE}; "
        f"{_SSIM_3D}."
    ),
    "ms_ssim_body": (
        "Multi-scale structural similarity by SynthRAD2025's definition: the same (see ms_ssim) "
        f"{_BODY} (not dilated), everything outside set to {HU_RANGE[0]} HU in both; at a coarser "
        "scale the voxels of which at least half lies inside count; n/a where none is left."
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
    "coverage_body_percent": (
        "Part of the true CT's body contour, in percent, that all candidates cover; the figures "
        "are taken over this part."
    ),
}
"""One line for each number, to be printed wherever the number is."""

REGION_DEFINITION = (
    "Every figure is limited to the region mask that was given: whole-image figures to the mask, "
    "body figures to its part inside the body contour."
)


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


def slice_ssim(first: np.ndarray, second: np.ndarray, data_range: float) -> np.ndarray:
    """Return scikit-image's structural similarity at every voxel (float32), slice by slice.

    Args:
        first, second: volumes (k, j, i), float32.
        data_range: distance between the smallest and the largest value that there can be.

    Raises:
        SyntheticCTError: the slices are smaller than the window.
    """
    from skimage.metrics import structural_similarity

    if min(first.shape[1:]) < SSIM_WINDOW:
        raise SyntheticCTError(
            f"SSIM needs slices of at least {SSIM_WINDOW} x {SSIM_WINDOW} voxels and these are "
            f"{first.shape[2]} x {first.shape[1]}: give images of the whole patient."
        )
    values = np.empty(first.shape, dtype=np.float32)
    for one, other, result in zip(first, second, values, strict=True):
        _, result[:] = structural_similarity(
            one,
            other,
            data_range=data_range,
            gaussian_weights=True,
            sigma=SSIM_SIGMA,
            use_sample_covariance=False,
            full=True,
        )
    return values


def ssim(ct: sitk.Image, candidate: sitk.Image, mask: sitk.Image | None = None) -> float:
    """Return the mean structural similarity over the whole image, or inside ``mask``.

    Without a mask the voxels whose window would leave the slice do not count, as in
    scikit-image; with a mask they do.

    Raises:
        SyntheticCTError: the grids differ, or the slices are smaller than the window.
    """
    return _map_mean(ssim_map(ct, candidate), mask)


def ssim_3d(
    ct: sitk.Image, candidate: sitk.Image, mask: sitk.Image | None = None
) -> StructuralSimilarity:
    """Return SSIM in 3D and MS-SSIM over the whole image, or inside ``mask``.

    As ``DEFINITIONS["ssim_3d"]`` to ``DEFINITIONS["ms_ssim_body"]`` say; with a mask everything
    outside is -1024 HU in both images.

    Raises:
        SyntheticCTError: the grids differ.
    """
    _require_same_grid(ct, candidate, "candidate")
    if mask is not None:
        _require_same_grid(ct, mask, "mask")
    inside = None if mask is None else _view(mask)
    return structural_similarity_3d(_view(ct), _view(candidate), HU_RANGE, inside)


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
        mae, me, rmse (HU) with _image and _body; psnr_image, psnr (in the body, dB); ssim,
        ssim_3d, ms_ssim of the image and with _body; dsc_body, dsc_bone; hd95_body, msd_bone,
        hd95_bone (mm); tissue_mae (HU by the names of :data:`TISSUES`; NaN where a tissue has no
        voxel); hu_histogram (edges_hu, true_ct, candidate: lists).

    Raises:
        SyntheticCTError: the grids differ, or no voxel is left to be compared.
    """
    for image, what in ((candidate_body, "body contour"), (region, "region"), (ct_body, "body")):
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
    similarity = ssim_map(ct, candidate)
    image_3d, body_3d = ssim_3d(ct, candidate, region), ssim_3d(ct, candidate, body)
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
        "psnr": psnr(ct, candidate, body),
        "ssim": _map_mean(similarity, region),
        "ssim_body": _map_mean(similarity, body),
        "ssim_3d": image_3d.ssim,
        "ssim_3d_body": body_3d.ssim,
        "ms_ssim": image_3d.ms_ssim,
        "ms_ssim_body": body_3d.ms_ssim,
        "dsc_body": body_agreement.dice(body, found_body),
        "hd95_body": body_agreement.hd95(body, found_body, region),
        "dsc_bone": body_agreement.dice(*bone),
        "msd_bone": bone_distances.mean,
        "hd95_bone": bone_distances.hd95,
        "tissue_mae": _tissue_mae(ct, candidate, body),
        "hu_histogram": {
            "edges_hu": list(HISTOGRAM_EDGES),
            "true_ct": hu_histogram(ct, body),
            "candidate": hu_histogram(candidate, body),
        },
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


def _map_mean(values: sitk.Image, mask: sitk.Image | None) -> float:
    if mask is not None:
        _require_same_grid(values, mask, "mask")
        return _mean(_view(values)[_view(mask) != 0])
    edge = SSIM_WINDOW // 2
    return _mean(_view(values)[:, edge:-edge, edge:-edge])


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
