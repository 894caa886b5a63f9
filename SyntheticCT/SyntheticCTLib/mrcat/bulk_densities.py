"""MRCAT look-alike: a synthetic CT of five bulk densities.

From mDixon images the way the product is described (Kim et al., the study this project follows;
Köhler et al., Philips white paper on MRCAT): bone is extracted from the in-phase image and
split into spongy and compact, soft tissue is split into water-rich and adipose by the water
and fat images. From a CT by published thresholds, to see what five densities cost at best.
"""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.volumes.grids import image_like, same_grid
from SyntheticCTLib.volumes.marks import label_synthetic

AIR, ADIPOSE, WATER_RICH, SPONGY_BONE, COMPACT_BONE = BULK_HU = (-968, -86, 42, 198, 949)
"""CT numbers (HU) of the five classes."""

CT_THRESHOLDS = (-200.0, -28.5, 100.0, 575.0)
"""CT numbers (HU) between the five classes, the lower class below its threshold."""


def bulk_from_ct(ct: sitk.Image) -> sitk.Image:
    """Return the five bulk densities (int16 HU) that thresholds make of a CT."""
    classes = np.digitize(sitk.GetArrayViewFromImage(ct), CT_THRESHOLDS)
    return label_synthetic(image_like(np.asarray(BULK_HU, np.int16)[classes], ct))


def bulk_from_mdixon(in_phase: sitk.Image, water: sitk.Image, fat: sitk.Image) -> sitk.Image:
    """Return five bulk densities (int16 HU) on the grid of the mDixon images.

    Marrow is what holds both fat and water in a compact region that a dark shell surrounds on
    the in-phase image; the shell and what it encloses complete the bone, whose dark part is
    compact bone. Cavities without signal are air.

    Args:
        in_phase, water, fat: images of one mDixon acquisition, any intensity scale.

    Raises:
        SyntheticCTError: the images do not share a grid, or show no body.
    """
    if not (same_grid(in_phase, water) and same_grid(in_phase, fat)):
        raise SyntheticCTError(
            "The mDixon in-phase, water and fat images lie on different grids: give the three "
            "images of one acquisition."
        )
    spacing = np.array(in_phase.GetSpacing()[::-1])
    whole = sitk.GetArrayFromImage(in_phase).astype(np.float32)
    body = _body(whole, spacing)
    box = ndimage.find_objects(body.astype(np.uint8))[0]
    body = body[box]
    signal = whole[box]
    w, f = (sitk.GetArrayViewFromImage(image)[box].astype(np.float32) for image in (water, fat))
    fraction = ndimage.gaussian_filter(f, 0.4 / spacing) / np.maximum(
        ndimage.gaussian_filter(w + f, 0.4 / spacing), 1e-6
    )
    relative = signal / _reference(signal, body, spacing)
    bone = _bone(relative, fraction, body, spacing)
    bulk = np.where(fraction > 0.5, ADIPOSE, WATER_RICH).astype(np.int16)
    bulk[_cavities(relative, body, bone, spacing)] = AIR
    compact = bone & (relative < 0.52)
    bulk[bone] = SPONGY_BONE
    bulk[compact] = COMPACT_BONE
    bulk[~body] = AIR
    result = np.full(whole.shape, AIR, np.int16)
    result[box] = bulk
    return label_synthetic(image_like(result, in_phase))


def _body(signal: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """Mask of the patient: the largest bright region with what it encloses slice by slice."""
    smooth = ndimage.gaussian_filter(signal, 1.0 / spacing)
    bright = smooth > 0.2 * np.percentile(smooth, 95)
    labels, count = ndimage.label(bright)
    if not count:
        raise SyntheticCTError(
            "The mDixon in-phase image shows no body: give the in-phase image of the patient."
        )
    body = labels == 1 + np.argmax(np.bincount(labels.ravel())[1:])
    for k in range(len(body)):
        body[k] = ndimage.binary_fill_holes(body[k])
    return body


def _reference(signal: np.ndarray, body: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """Local mean of what is not dark: takes the coil's sensitivity out of thresholds."""
    bright = body & (signal > 0.5 * np.median(signal[body]))
    # A wide Gaussian on every third voxel is the same field for a fraction of the time.
    thin = tuple(slice(None, None, max(1, int(4 // s))) for s in spacing)
    sigma = 35.0 / (spacing * [t.step for t in thin])
    weight = ndimage.gaussian_filter(bright[thin].astype(np.float32), sigma) + 1e-4
    mean = ndimage.gaussian_filter((signal * bright)[thin], sigma) / weight
    grid = [
        np.minimum(np.arange(n, dtype=np.float32) / t.step, m - 1)
        for n, t, m in zip(signal.shape, thin, mean.shape, strict=True)
    ]
    for axis, place in enumerate(grid):
        low = np.minimum(place.astype(int), mean.shape[axis] - 1)
        high = np.minimum(low + 1, mean.shape[axis] - 1)
        shape = [-1 if n == axis else 1 for n in range(3)]
        share = (place - low).astype(np.float32).reshape(shape)
        mean = np.take(mean, low, axis) * (1 - share) + np.take(mean, high, axis) * share
    return np.maximum(mean, 1e-6)


def _deep(mask: np.ndarray, depth_mm: float, spacing: np.ndarray) -> np.ndarray:
    """Voxels of ``mask`` further than ``depth_mm`` from its outside."""
    return ndimage.distance_transform_edt(mask, sampling=spacing) > depth_mm


def _near(mask: np.ndarray, reach_mm: float, spacing: np.ndarray) -> np.ndarray:
    """Voxels within ``reach_mm`` of ``mask``, itself included."""
    if not mask.any():
        return mask
    return ndimage.distance_transform_edt(~mask, sampling=spacing) <= reach_mm


def _bone(
    relative: np.ndarray, fraction: np.ndarray, body: np.ndarray, spacing: np.ndarray
) -> np.ndarray:
    step = float(spacing[1:].max())
    dark = body & (relative < 0.55)
    bright = body & ~dark
    to_dark = ndimage.distance_transform_edt(~dark, sampling=spacing)
    # Marrow: both fat and water, thicker than the seams of partial volume between the two.
    depth = min(max(2.2, 1.2 * step), 3.0)
    core = _deep(bright & (fraction > 0.3) & (fraction < 0.93), depth, spacing)
    labels, count = ndimage.label(core)
    if count:
        # Bone has a dark shell on much of its surface; other mixtures of fat and water do not.
        rim = core & ~ndimage.binary_erosion(core)
        index = np.arange(1, count + 1)
        share = ndimage.mean(to_dark < depth + 1.1 * step, np.where(rim, labels, 0), index)
        volume = np.bincount(labels.ravel(), minlength=count + 1)[1:] * spacing.prod()
        core = np.concatenate([[False], (volume > 600) & (share > 0.3)])[labels]
    # From the cores along the shell, where marrow may be thin.
    mixed = bright & (fraction > 0.25) & (fraction < 0.95)
    marrow = ndimage.binary_propagation(
        core, mask=core | (mixed & (to_dark < max(2.95, 1.1 * step)))
    )
    # The shell: what is dark around marrow, unless it is fluid, which has a little signal, all
    # of it water.
    watery = dark & (relative > 0.2) & (fraction < 0.2)
    fluid = dark & _near(_deep(watery, 1.8 * step, spacing), 4.0, spacing)
    shell = dark & ~fluid & _near(marrow, 6.0, spacing)
    bone = ndimage.binary_propagation(marrow, mask=marrow | shell)
    # Yellow marrow, which looks like fat, lies within.
    disc = ndimage.generate_binary_structure(2, 1)[None]
    bone = ndimage.binary_closing(bone, disc, iterations=max(1, round(3 / step)))
    for k in range(len(bone)):
        bone[k] = ndimage.binary_fill_holes(bone[k])
    return _large(bone & body, 1500, spacing)


def _large(mask: np.ndarray, volume_mm3: float, spacing: np.ndarray) -> np.ndarray:
    """The connected regions of ``mask`` that are larger than ``volume_mm3``."""
    labels, count = ndimage.label(mask)
    volume = np.bincount(labels.ravel(), minlength=count + 1) * spacing.prod()
    volume[0] = 0
    return (volume > volume_mm3)[labels]


def _cavities(
    relative: np.ndarray, body: np.ndarray, bone: np.ndarray, spacing: np.ndarray
) -> np.ndarray:
    """Voxels without signal away from bone: gas."""
    empty = body & (relative < 0.25) & ~_near(bone, 4.0, spacing)
    return _large(empty, 100, spacing)
