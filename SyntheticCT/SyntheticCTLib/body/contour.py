"""The body contour of CT-like images and of MRs, as a mask exact to the voxel."""

from __future__ import annotations

from typing import Literal

import numpy as np
import scipy
import SimpleITK as sitk

from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.volumes.grids import image_like

from .couch import couch_voxels
from .covers import without_covers
from .morphology import (
    COARSE_MM,
    SMALLEST_PART,
    Blocks,
    dilated,
    largest_parts,
    opened,
    outside_air,
)

AIR_TISSUE_HU = -500
"""Half-way between air (-1000 HU) and soft tissue (about 0 HU): where a blurred skin edge lies."""

DEFINITIONS = {
    "body_ct": (
        f"Body contour of CT-like images: voxels above {AIR_TISSUE_HU} HU that belong to the "
        "patient, with couch, mattress, covers, clothing and supports taken away and gas inside "
        "filled."
    ),
    "body_mr": (
        "Body contour of MRs: everything that is not the air around the patient, found from its "
        "signal; the edge lies at 0.45 of the signal of the nearby tissue."
    ),
}

OPENING_MM = 7.0  # bridges thinner than twice this (couch sheets, clothes) are cut
GAP_MM = 2.5  # air behind an opening narrower than twice this counts as inside the body
GAP_MR_MM = 5.0  # wider, because cortical bone, tendons and skin are as dark as air on MR
RIM_SHARES = (0.3, 0.375)  # of the brightest tissue's signal: above ghosts and below fat
RIM_GROWTH = 0.015  # of the image, by which the air outside a closed rim grows between the two
GHOST_MM = 4.5  # ghosts are wider than twice this, the blurred edge of a patient is not
SMALLEST_GHOST = 0.001  # of the image
MR_EDGE = 0.45  # of the nearby tissue's signal; a little below half, as skin is darker than fat
PART_HU = -300  # median of a part of the body; foam, straps and couch remains lie below


def body_contour(image: sitk.Image, modality: Literal["CT", "MR"]) -> sitk.Image:
    """Return the body contour of ``image`` as a mask (uint8, 0 or 1) on its grid.

    Patient and surroundings are told apart on in-plane blocks of about 3 mm; the edge comes
    from the image itself, so that it is exact to the voxel. Where the field of view cuts
    through the patient, the mask reaches the border of the image; gas that is open to the
    first or last slice is inside.

    Args:
        image: 3D scalar image; HU for CT-like images, any scale for MR.
        modality: "CT" for CT, synthetic CT and MRCAT; "MR" for magnitude images.

    Returns:
        The mask; all 0 where a CT-like image holds no patient.

    Raises:
        SyntheticCTError: another modality, or not a 3D image.
    """
    if modality not in ("CT", "MR"):
        raise SyntheticCTError(f"The modality {modality} is unknown: give CT or MR.")
    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
        raise SyntheticCTError("A body contour needs a 3D image with one value a voxel.")
    code = sitk.DICOMOrientImageFilter.GetOrientationFromDirectionCosines(image.GetDirection())
    oriented = sitk.DICOMOrient(image, "LPS")
    values = sitk.GetArrayViewFromImage(oriented)
    spacing = oriented.GetSpacing()[::-1]
    mask = _ct_body(values, spacing) if modality == "CT" else _mr_body(values, spacing)
    body = sitk.DICOMOrient(image_like(mask.astype(np.uint8), oriented), code)
    body.CopyInformation(image)
    return body


def _ct_body(values: np.ndarray, spacing: tuple[float, ...]) -> np.ndarray:
    """Body mask (k, j, i) of a CT-like image in LPS orientation."""
    tissue = values > AIR_TISSUE_HU
    blocks = Blocks(values.shape, spacing)
    patient = _patient_parts(blocks, tissue, values)
    if not patient.any():
        return np.zeros(values.shape, dtype=bool)
    couch = couch_voxels(tissue, values, patient, blocks)
    if couch is not None:
        tissue &= ~couch
    tissue = without_covers(tissue, values, blocks)
    patient = _patient_parts(blocks, tissue, values)
    tissue &= blocks.enlarge(dilated(patient, blocks.spacing, 0.5 * OPENING_MM + COARSE_MM))
    tissue = largest_parts(tissue)
    outside = outside_air(blocks.share(tissue) <= 0.5, blocks.spacing, GAP_MM)
    return tissue | ~blocks.enlarge(outside)


def _mr_body(values: np.ndarray, spacing: tuple[float, ...]) -> np.ndarray:
    """Body mask (k, j, i) of an MR in LPS orientation."""
    blocks = Blocks(values.shape, spacing)
    signal = np.maximum(values, 0).astype(np.float32)
    # At least 3 x 3 voxels, however large a voxel is, so that noise does not matter.
    window = [1, *(max(3, f) for f in blocks.factor[1:])]
    mean = blocks.share(scipy.ndimage.uniform_filter(signal, window))
    level = _above_ghosts(mean, _air_level(mean), blocks)
    if level is None:
        return np.ones(values.shape, dtype=bool)
    air = _mr_air(mean, level, blocks)
    tissue = largest_parts(opened(~air, blocks.spacing, OPENING_MM), SMALLEST_PART)
    # The edge is where the signal falls to about half of what tissue has thereabouts.
    sigma = [10.0 / s for s in blocks.spacing]
    weight = scipy.ndimage.gaussian_filter(tissue.astype(np.float32), sigma)
    nearby = scipy.ndimage.gaussian_filter(mean * tissue, sigma) / np.maximum(weight, 1e-3)
    edge = blocks.enlarge(np.maximum(MR_EDGE * nearby, level))
    smooth = scipy.ndimage.gaussian_filter(signal, [0, 0.6, 0.6])
    reach = blocks.enlarge(dilated(tissue, blocks.spacing, 3 * max(blocks.spacing[1:])))
    inside = largest_parts((smooth > edge) & reach, SMALLEST_PART)
    return inside | ~blocks.enlarge(air)


def _air_level(mean: np.ndarray) -> float | None:
    """Signal below which a block is air; None where no air touches the sides of the image.

    ``mean``: local means, which noise hardly spreads. Air is one narrow level, the lowest at
    the sides, with little between it and the tissues; dark tissue has no such gap above it.
    """
    tissue = _bright(mean)
    if tissue <= 0:
        return None
    sides = np.concatenate([a.ravel() for a in (mean[:, [0, -1]], mean[:, :, [0, -1]])])
    low = float(np.percentile(sides, 2))
    if low <= 0.01 * tissue:  # set to 0 by the scanner, or almost free of noise
        return _in_valley(mean, 0.05 * tissue, 0.12 * tissue)
    level = np.count_nonzero((mean > low) & (mean <= 3 * low))
    gap = np.count_nonzero((mean > 3 * low) & (mean <= 5 * low))
    if low > 0.15 * tissue or gap > 0.3 * level:
        return None
    return _in_valley(mean, max(3 * low, 0.05 * tissue), 0.12 * tissue)


def _bright(mean: np.ndarray) -> float:
    """Signal of bright tissue; blocks of zeros, which padding may add in any number, are none."""
    found = mean[mean > 0]
    return float(np.percentile(found, 95)) if found.size else 0.0


def _mr_air(mean: np.ndarray, level: float, blocks: Blocks) -> np.ndarray:
    return outside_air(mean <= level, blocks.spacing, GAP_MR_MM, open_sides=False)


def _above_ghosts(mean: np.ndarray, level: float | None, blocks: Blocks) -> float | None:
    """Raise the level of air above ghosts of the patient, where the patient's rim tells them.

    Around a patient with a closed rim of fat, the air outside hardly grows with the level once
    the level is above noise and ghosts and below fat. What the lower level leaves of that air
    is the blurred edge of the patient, and where it is thicker, ghosts. Where the air grows on,
    the rim is dark or cut by the field of view, and the level stays as it was.
    """
    tissue = _bright(mean)
    if tissue <= 0:
        return level
    high, higher = (_mr_air(mean, share * tissue, blocks) for share in RIM_SHARES)
    if not 0 < high.mean() < 0.98 or higher.mean() - high.mean() > RIM_GROWTH:
        return level
    left = high if level is None else high & ~_mr_air(mean, level, blocks)
    radius = max(GHOST_MM, 1.5 * max(blocks.spacing[1:]))
    thick = opened(left, blocks.spacing, radius)
    return RIM_SHARES[0] * tissue if thick.mean() > SMALLEST_GHOST else level


def _in_valley(mean: np.ndarray, level: float, highest: float) -> float:
    """Raise the level of air to the emptiest range of signals below dark tissue: over ghosts."""
    if level >= highest:
        return level
    edges = np.geomspace(level, highest, 13)
    counts = np.histogram(mean, edges)[0]
    least = int(np.argmin(counts))
    if 2 * counts[least] >= counts[0]:
        return level
    return float(np.sqrt(edges[least] * edges[least + 1]))


def _patient_parts(blocks: Blocks, tissue: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Blocks of the thick connected parts whose CT numbers are those of soft tissue."""
    parts = largest_parts(opened(blocks.share(tissue) > 0.5, blocks.spacing, OPENING_MM))
    labels, count = scipy.ndimage.label(parts)
    if count > 1:
        mean = blocks.share(np.clip(values, -1024, 1000))
        for label in range(1, count + 1):
            here = labels == label
            if np.median(mean[here]) < PART_HU:
                parts[here] = False
    return parts
