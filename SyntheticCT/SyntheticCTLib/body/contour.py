"""The body contour of CT-like images and of MRs, as a mask exact to the voxel."""

from __future__ import annotations

from typing import Literal

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.volumes.grids import image_like

AIR_TISSUE_HU = -500
"""Half-way between air (-1000 HU) and soft tissue (about 0 HU): where a blurred skin edge lies."""

DEFINITIONS = {
    "body_ct": (
        f"Body contour of CT-like images: voxels above {AIR_TISSUE_HU} HU that belong to the "
        "patient, with couch, clothing and supports taken away and gas inside filled."
    ),
    "body_mr": (
        "Body contour of MRs: everything that is not the air around the patient, found from its "
        "signal; the edge lies at 0.45 of the signal of the nearby tissue."
    ),
}

COARSE_MM = 3.0  # in-plane size of the blocks on which patient and surroundings are told apart
OPENING_MM = 7.0  # bridges thinner than twice this (couch sheets, clothes) are cut
GAP_MM = 2.5  # air behind an opening narrower than twice this counts as inside the body
GAP_MR_MM = 5.0  # wider, because cortical bone, tendons and skin are as dark as air on MR
MR_EDGE = 0.45  # of the nearby tissue's signal; a little below half, as skin is darker than fat
SMALLEST_PART = 0.01  # of the largest part; arms beside a pelvis hold more, debris less
STEP_SHARE = 0.6  # of the slices show the couch top at one place
COUCH_FIT_MM = 3.0  # by which the couch top may leave a flat or parabolic shape
COVER_HU = -250  # covers of pads and clothes lie below, tissue above, but for the blur of the skin
SKIN_BLUR_MM = 2.5  # from the edge at half height inwards to where tissue has this number
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
    blocks = _Blocks(values.shape, spacing)
    patient = _patient_parts(blocks, tissue, values)
    if not patient.any():
        return np.zeros(values.shape, dtype=bool)
    solid = blocks.share(tissue) > 0.5
    filled = np.stack([ndimage.binary_fill_holes(plane) for plane in solid])
    closed = tissue | blocks.enlarge(filled & ~solid)
    for anterior in (False, True):  # supine, prone
        below = _couch(closed, patient, blocks, anterior)
        if below is not None:
            tissue &= ~below
            patient = _patient_parts(blocks, tissue, values)
            break
    tissue &= _near_solid(values, spacing)
    tissue &= blocks.enlarge(_dilated(patient, blocks.spacing, 0.5 * OPENING_MM + COARSE_MM))
    tissue = _largest_parts(tissue)
    outside = _outside(blocks.share(tissue) <= 0.5, blocks.spacing, GAP_MM)
    return tissue | ~blocks.enlarge(outside)


def _near_solid(values: np.ndarray, spacing: tuple[float, ...]) -> np.ndarray:
    """Voxels no farther from solid tissue than the skin is blurred.

    The cover of a pad that follows the back is a layer of its own: where it hangs off, nothing
    solid is near; where it touches, no more of it than a blurred skin has is kept.
    """
    steps = max(1, round(SKIN_BLUR_MM / min(spacing[1:])))
    cross = ndimage.generate_binary_structure(2, 1)[None]
    return ndimage.binary_dilation(values > COVER_HU, cross, iterations=steps)


def _mr_body(values: np.ndarray, spacing: tuple[float, ...]) -> np.ndarray:
    """Body mask (k, j, i) of an MR in LPS orientation."""
    blocks = _Blocks(values.shape, spacing)
    signal = np.maximum(values, 0).astype(np.float32)
    # At least 3 x 3 voxels, however large a voxel is, so that noise does not matter.
    window = [1, *(max(3, f) for f in blocks.factor[1:])]
    mean = blocks.share(ndimage.uniform_filter(signal, window))
    level = _air_level(mean)
    if level is None:
        return np.ones(values.shape, dtype=bool)
    air = _outside(mean <= level, blocks.spacing, GAP_MR_MM, open_sides=False)
    tissue = _largest_parts(_opened(~air, blocks.spacing, OPENING_MM), SMALLEST_PART)
    # The edge is where the signal falls to about half of what tissue has thereabouts.
    sigma = [10.0 / s for s in blocks.spacing]
    weight = ndimage.gaussian_filter(tissue.astype(np.float32), sigma)
    nearby = ndimage.gaussian_filter(mean * tissue, sigma) / np.maximum(weight, 1e-3)
    edge = blocks.enlarge(np.maximum(MR_EDGE * nearby, level))
    smooth = ndimage.gaussian_filter(signal, [0, 0.6, 0.6])
    reach = blocks.enlarge(_dilated(tissue, blocks.spacing, 3 * max(blocks.spacing[1:])))
    inside = _largest_parts((smooth > edge) & reach, SMALLEST_PART)
    return inside | ~blocks.enlarge(air)


def _air_level(mean: np.ndarray) -> float | None:
    """Signal below which a block is air; None where no air touches the sides of the image.

    ``mean``: local means, which noise hardly spreads. Air is one narrow level, the lowest at
    the sides, with little between it and the tissues; dark tissue has no such gap above it.
    """
    tissue = float(np.percentile(mean, 95))
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


class _Blocks:
    """In-plane blocks of about 3 mm: the coarse grid, and the way back to the voxels."""

    def __init__(self, shape: tuple[int, ...], spacing: tuple[float, ...]) -> None:
        self.shape = shape
        self.factor = [1, *(max(1, round(COARSE_MM / s)) for s in spacing[1:])]
        self.spacing = [s * f for s, f in zip(spacing, self.factor, strict=True)]

    def share(self, values: np.ndarray) -> np.ndarray:
        """Mean of ``values`` in each block; the last block of a row may be smaller."""
        total = values.astype(np.float32)
        for axis in (1, 2):
            starts = np.arange(0, self.shape[axis], self.factor[axis])
            total = np.add.reduceat(total, starts, axis=axis)
            sizes = np.diff([*starts, self.shape[axis]]).astype(np.float32)
            total /= sizes[:, None] if axis == 1 else sizes
        return total

    def enlarge(self, coarse: np.ndarray) -> np.ndarray:
        """Give every voxel the value of its block."""
        full = coarse.repeat(self.factor[1], axis=1).repeat(self.factor[2], axis=2)
        return full[:, : self.shape[1], : self.shape[2]]


def _box(mask: np.ndarray, spacing: list[float], margin: float) -> tuple[slice, ...]:
    """Smallest box around a mask that is not empty, wider by ``margin`` mm."""
    box = []
    for axis, step in enumerate(spacing):
        others = tuple(a for a in range(mask.ndim) if a != axis)
        found = np.nonzero(mask.any(axis=others))[0]
        extra = int(np.ceil(margin / step)) + 1
        box.append(slice(max(found[0] - extra, 0), found[-1] + extra + 1))
    return tuple(box)


def _dilated(mask: np.ndarray, spacing: list[float], radius: float) -> np.ndarray:
    """Dilation by a ball of ``radius`` mm."""
    result = np.zeros_like(mask)
    if mask.any():
        box = _box(mask, spacing, radius)
        result[box] = ndimage.distance_transform_edt(~mask[box], sampling=spacing) <= radius
    return result


def _eroded(mask: np.ndarray, spacing: list[float], radius: float) -> np.ndarray:
    """Erosion by a ball of ``radius`` mm; the mask goes on beyond the borders of the image."""
    if mask.all() or not mask.any():
        return mask
    result = np.zeros_like(mask)
    box = _box(mask, spacing, 0)
    result[box] = ndimage.distance_transform_edt(mask[box], sampling=spacing) > radius
    return result


def _opened(mask: np.ndarray, spacing: list[float], radius: float) -> np.ndarray:
    """Opening by a ball of ``radius`` mm; the mask goes on beyond the borders of the image."""
    return mask & _dilated(_eroded(mask, spacing, radius), spacing, radius)


def _outside(
    air: np.ndarray, spacing: list[float], gap: float, open_sides: bool = True
) -> np.ndarray:
    """Air (coarse) that reaches a side of the image through openings wider than twice ``gap``.

    The result is a few millimetres larger than that air, so that it covers the voxels of the
    patient's edge; the first and last slice do not count as sides. ``open_sides``: air at a
    side goes on beyond it; otherwise it must be wide enough inside the image, as MRs are
    often framed by a few dark voxels.
    """
    sides = ((0, 0), (1, 1), (1, 1))
    padded = (
        np.pad(air, sides, mode="edge")
        if open_sides
        else np.pad(air, sides, mode="constant", constant_values=False)
    )
    wide = _eroded(padded, spacing, gap)
    inner = (slice(None), slice(2, -2), slice(2, -2))
    labels, _ = ndimage.label(_dilated(wide, spacing, gap) & padded)
    rim = np.ones(labels.shape, dtype=bool)
    rim[inner] = False
    if open_sides:
        # Air around a patient reaches the front or the back; what the left or right side alone
        # cuts through is gas.
        rim[:, 2:-2] = False
    seen = np.unique(labels[rim])
    reached = wide & np.isin(labels, seen[seen > 0])
    return _dilated(reached, spacing, gap + 1.5 * max(spacing[1:]))[:, 1:-1, 1:-1]


def _largest_parts(mask: np.ndarray, smallest: float = SMALLEST_PART) -> np.ndarray:
    """Connected parts of at least ``smallest`` times the volume of the largest one."""
    labels, count = ndimage.label(mask)
    if count <= 1:
        return mask
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return (sizes >= smallest * sizes.max())[labels]


def _patient_parts(blocks: _Blocks, tissue: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Blocks of the thick connected parts whose CT numbers are those of soft tissue."""
    parts = _largest_parts(_opened(blocks.share(tissue) > 0.5, blocks.spacing, OPENING_MM))
    labels, count = ndimage.label(parts)
    if count > 1:
        mean = blocks.share(np.clip(values, -1024, 1000))
        for label in range(1, count + 1):
            here = labels == label
            if np.median(mean[here]) < PART_HU:
                parts[here] = False
    return parts


def _couch(
    tissue: np.ndarray, patient: np.ndarray, blocks: _Blocks, anterior: bool
) -> np.ndarray | None:
    """Voxels at and below the couch top, (1, j, i); None where no couch is seen.

    A couch is the same in every slice, so its top shows as steps from air to material at one
    place in most slices, beside the patient; a flat or concave curve through them gives the
    top where the patient lies on it. ``tissue``: with enclosed air filled, as the floor of gas
    and the lower shell of a couch do not count. ``anterior``: the couch is on that side (prone).
    """
    if anterior:
        tissue, patient = tissue[:, ::-1], blocks.enlarge(patient)[:, ::-1]
    else:
        patient = blocks.enlarge(patient)
    _, rows, columns = tissue.shape
    row_mm, column_mm = (s / f for s, f in zip(blocks.spacing[1:], blocks.factor[1:], strict=True))
    middle = int(np.average(np.arange(rows), weights=patient.sum(axis=(0, 2))))
    steps = np.zeros((rows + 1, columns))
    steps[1:-1] = (tissue[:, 1:] & ~tissue[:, :-1]).mean(axis=0)
    steps[: middle + 1] = 0
    # Noise moves a step between two neighbouring rows.
    found = steps[:-1] + steps[1:] >= STEP_SHARE
    x = np.nonzero(found.any(axis=0))[0]
    y = found.argmax(axis=0)[x]
    y += steps[y, x] < 0.1
    curve = _couch_curve(x * column_mm, y * row_mm)
    if curve is None:
        return None
    top = np.rint(np.polyval(curve, np.arange(columns) * column_mm) / row_mm)
    near = np.abs(y - top[x]) * row_mm <= COUCH_FIT_MM
    top[x[near]] = y[near]
    below = np.arange(rows)[:, None] >= top
    if np.count_nonzero(patient & below) > 0.5 * np.count_nonzero(patient):
        return None
    return (below[::-1] if anterior else below)[None]


def _couch_curve(x: np.ndarray, y: np.ndarray) -> np.ndarray | None:
    """Polynomial (mm) of the flat or concave couch top through most of the steps, or None.

    Consensus over lines and parabolas through triples of steps; y grows downwards, so that a
    concave couch, whose sides are higher, has a negative leading coefficient. A couch holds
    at least 100 mm of steps; arms and supports bend the other way or hold less.
    """
    if len(x) < 3:
        return None
    column_mm = float(np.min(np.diff(x)))
    generator = np.random.default_rng(0)
    best, best_count = None, 0
    for trial in range(300):
        degree = (0, 2)[trial % 2]
        picked = generator.choice(len(x), size=degree + 1, replace=False)
        curve = np.polyfit(x[picked], y[picked], degree) if degree else y[picked].astype(float)
        if degree and not -1 / 400 <= curve[0] <= 0:
            continue
        count = np.count_nonzero(np.abs(np.polyval(curve, x) - y) <= COUCH_FIT_MM)
        if count > best_count * (1.1 if degree else 1.0):
            best, best_count = curve, count
    if best is None or best_count * column_mm < 100 or best_count < 0.4 * len(x):
        return None
    agree = np.abs(np.polyval(best, x) - y) <= COUCH_FIT_MM
    return np.polyfit(x[agree], y[agree], len(best) - 1)
