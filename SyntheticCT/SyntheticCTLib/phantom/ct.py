"""How the anatomy looks to a planning CT: HU, noise, couch."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from SyntheticCTLib.anatomy.canvas import Look
from SyntheticCTLib.anatomy.noise import stream
from SyntheticCTLib.anatomy.patient import Patient
from SyntheticCTLib.anatomy.shapes import Points
from SyntheticCTLib.anatomy.tissues import APPEARANCE, Tissue

from .texture import Texture

HU_MIN, HU_MAX = -1024, 3071
NOISE_HU = 13.0
"""Noise at the centre of the patient on the clinical grid (0.76 mm, 3 mm slices)."""

_FATS = (Tissue.SUBCUTANEOUS_FAT, Tissue.INNER_FAT)
_GRAIN_HU = {
    Tissue.MUSCLE: 5.0,
    Tissue.UTERUS: 5.0,
    Tissue.TUMOUR: 6.0,
    Tissue.ENDOMETRIUM: 3.0,
    Tissue.BOWEL_WALL: 5.0,
    Tissue.OVARY: 6.0,
    Tissue.SUBCUTANEOUS_FAT: 3.0,
    Tissue.INNER_FAT: 6.0,
}


def ct_look(patient: Patient, texture: Texture) -> Look:
    """Return the CT numbers of the tissues as a look of one channel."""

    def look(tissue: Tissue, p: Points, marrow: np.ndarray) -> list:
        if tissue is Tissue.AIR:
            return [-1000.0]
        mean = APPEARANCE[tissue].hu + patient.hu_shift[tissue]
        if tissue is Tissue.SPONGY_BONE:
            return [texture.trabeculae(p, marrow)[0]]
        if tissue is Tissue.COMPACT_BONE:
            return [mean * (0.85 + 0.15 * patient.cortex) + 110 * texture.grain(p)]
        if tissue is Tissue.BOWEL_CONTENT:
            # Stool holds air in fine bubbles; the small bowel is mostly fluid.
            stool = texture.stool(p)
            return [mean + 12 * stool - 160 * np.clip(stool - 1.2, 0, 1)]
        grain = _GRAIN_HU.get(tissue)
        value = mean if grain is None else mean + grain * texture.grain(p)
        if tissue is Tissue.MUSCLE:
            value = value + 4 * texture.region(p) + texture.streaks(p) * (-105 - value)
        elif tissue is Tissue.SUBCUTANEOUS_FAT:
            value = value + texture.septa(p) * (40 - value)
        elif tissue is Tissue.INNER_FAT:
            value = value + texture.strands(p) * (45 - value)
        return [value]

    return look


def add_couch(hu: np.ndarray, x: np.ndarray, y: np.ndarray, top: float, edge: float) -> None:
    """Lay a flat tabletop (carbon-fibre skin around foam) under the patient, in place.

    Args:
        hu: CT numbers, shape (k, j, i).
        x, y: coordinates of the columns and rows (mm).
        top: height of the tabletop's surface (mm, to the back).
        edge: half the blending width of surfaces (mm).
    """

    def slab(y0: float, y1: float, half: float) -> np.ndarray:
        away = np.maximum(np.maximum(y0 - y, y - y1)[:, None], np.abs(x)[None, :] - half)
        return np.clip(0.5 - away / (2 * edge), 0, 1)

    outside = hu < -900
    outside[:, y < top - 2] = False
    for fraction, value in (
        (slab(top, top + 24, 250.0), -420.0),
        (slab(top + 1.6, top + 22.4, 248.0), -945.0),
    ):
        hu[outside] += (fraction * (value - hu))[outside]


def finish_ct(
    hu: np.ndarray, seed: int, x: np.ndarray, y: np.ndarray, spacing: float
) -> np.ndarray:
    """Add noise and the round field of view, and return int16 HU, shape (k, j, i)."""
    rng = stream(seed, "ct noise")
    radius = np.sqrt((x[None, :]) ** 2 + (1.2 * y[:, None]) ** 2)
    # Most noise in the middle, where the fewest photons arrive; smoother on larger voxels.
    strength = NOISE_HU * (0.55 + 0.45 * np.exp(-((radius / 130) ** 2)))
    sigma = 0.5 / spacing * 0.76
    strength = (strength * np.sqrt(min(1.0, 0.76 / spacing) ** 1.5)).astype(np.float32)
    fov = min(np.ptp(x), np.ptp(y)) / 2 + spacing / 2
    middle = (x[0] + x[-1]) / 2, (y[0] + y[-1]) / 2
    outside = (x[None, :] - middle[0]) ** 2 + (y[:, None] - middle[1]) ** 2 > fov**2
    result = np.empty(hu.shape, np.int16)
    gain = None
    for k in range(len(hu)):
        noise = rng.standard_normal(hu.shape[1:], dtype=np.float32)
        noise = ndimage.gaussian_filter(noise, sigma)
        gain = gain or 1 / float(noise.std())
        values = np.clip(np.rint(hu[k] + gain * strength * noise), HU_MIN, HU_MAX)
        values[outside] = HU_MIN
        result[k] = values
    return result
