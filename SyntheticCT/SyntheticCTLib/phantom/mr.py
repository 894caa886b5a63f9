"""How the anatomy looks to a T2-weighted turbo spin echo, and what every MR scan adds."""

from __future__ import annotations

import numpy as np

from SyntheticCTLib.anatomy.canvas import Look
from SyntheticCTLib.anatomy.noise import stream
from SyntheticCTLib.anatomy.patient import Patient
from SyntheticCTLib.anatomy.shapes import Points
from SyntheticCTLib.anatomy.tissues import APPEARANCE, Tissue

from .texture import Texture

_GRAIN = {
    Tissue.MUSCLE: 0.10,
    Tissue.UTERUS: 0.10,
    Tissue.TUMOUR: 0.12,
    Tissue.OVARY: 0.30,
    Tissue.BOWEL_WALL: 0.12,
    Tissue.COMPACT_BONE: 0.2,
    Tissue.SUBCUTANEOUS_FAT: 0.03,
    Tissue.INNER_FAT: 0.05,
}


def t2_look(patient: Patient, texture: Texture) -> Look:
    """Return the T2-weighted signal of the tissues as a look of one channel."""

    def look(tissue: Tissue, p: Points, marrow: np.ndarray) -> list:
        if tissue is Tissue.AIR:
            return [0.0]
        mean = APPEARANCE[tissue].t2 * (1 + patient.t2_shift[tissue])
        if tissue is Tissue.SPONGY_BONE:
            hu, fat = texture.trabeculae(p, marrow)
            # Trabeculae hold no signal and dephase what lies between them.
            return [(0.20 + 0.52 * fat) * (1 - 0.28 * np.clip(hu / 400, 0, 1))]
        if tissue is Tissue.BOWEL_CONTENT:
            return [mean * np.clip(1 + 0.28 * texture.region(p) + 0.15 * texture.stool(p), 0.3, 2)]
        grain = _GRAIN.get(tissue)
        value = mean if grain is None else mean * (1 + grain * texture.grain(p))
        if tissue is Tissue.MUSCLE:
            value = value * (1 + 0.08 * texture.region(p))
            value = value + texture.streaks(p) * (0.72 - value)
        elif tissue is Tissue.SUBCUTANEOUS_FAT:
            value = value + texture.septa(p) * 1.6 * (0.25 - value)
        elif tissue is Tissue.INNER_FAT:
            value = value + texture.strands(p) * (0.18 - value)
        return [value]

    return look


def bias_field(
    seed: int, name: str, x: np.ndarray, y: np.ndarray, z: np.ndarray, strength: float
) -> np.ndarray:
    """Return the receive sensitivity on the grid spanned by x, y, z (mm), shape (k, j, i).

    Smooth, positive, about 1: a few long waves of random direction and phase, and the brighter
    or darker middle that the standing wave makes at 3 T.
    """
    rng = stream(seed, f"bias {name}")
    x, y, z = (
        np.asarray(v, np.float32).reshape(shape)
        for v, shape in ((x, (1, 1, -1)), (y, (1, -1, 1)), (z, (-1, 1, 1)))
    )
    field = np.float32(rng.uniform(-0.16, 0.10)) * ((x / 170) ** 2 + (y / 110) ** 2)
    for _ in range(3):
        phase, length = rng.uniform(0, 2 * np.pi, 3), rng.uniform(350, 700, 3)
        waves = [
            np.cos(2 * np.pi * v / np.float32(m) + np.float32(f))
            for v, m, f in zip((x, y, z), length, phase, strict=True)
        ]
        field = field + np.float32(strength) * waves[0] * waves[1] * waves[2]
    return np.exp(field)


def rician(signal: np.ndarray, sigma: float, rng: np.random.Generator) -> np.ndarray:
    """Return the magnitude of ``signal`` with complex Gaussian noise of ``sigma`` a part."""
    real = signal + np.float32(sigma) * rng.standard_normal(signal.shape, dtype=np.float32)
    imaginary = np.float32(sigma) * rng.standard_normal(signal.shape, dtype=np.float32)
    return np.sqrt(real * real + imaginary * imaginary)


def finish_mr(signal: np.ndarray, bias: np.ndarray, seed: int) -> np.ndarray:
    """Return a T2-weighted magnitude image (int16) in this scan's own intensity scale.

    The receiver gain, and to a lesser degree the contrast (echo time), differ from scan to
    scan; voxel values have no unit.
    """
    rng = stream(seed, "mr scan")
    gain = float(np.exp(rng.uniform(np.log(350), np.log(1600))))
    contrast = float(rng.uniform(0.9, 1.12))
    image = rician(np.maximum(signal, 0) ** np.float32(contrast) * bias, 0.016, rng)
    return np.clip(np.rint(gain * image), 0, 32767).astype(np.int16)
