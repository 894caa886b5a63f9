"""How the anatomy looks to a T1-weighted Dixon sequence: water, fat and in-phase images."""

from __future__ import annotations

import numpy as np

from SyntheticCTLib.anatomy.canvas import Look
from SyntheticCTLib.anatomy.noise import stream
from SyntheticCTLib.anatomy.patient import Patient
from SyntheticCTLib.anatomy.shapes import Points
from SyntheticCTLib.anatomy.tissues import APPEARANCE, Tissue

from .mr import rician
from .texture import Texture


def dixon_look(patient: Patient, texture: Texture) -> Look:
    """Return the water and fat signal of the tissues as a look of two channels."""

    def look(tissue: Tissue, p: Points, marrow: np.ndarray) -> list:
        if tissue is Tissue.AIR:
            return [0.0, 0.0]
        mean = APPEARANCE[tissue]
        if tissue is Tissue.SPONGY_BONE:
            hu, fat = texture.trabeculae(p, marrow)
            # The gradient echo loses more signal between trabeculae than the spin echo.
            signal = 1 - 0.45 * np.clip(hu / 400, 0, 1)
            return [0.55 * (1 - fat) * signal, fat * signal]
        water, fat = mean.water, mean.fat
        if tissue is Tissue.MUSCLE:
            share = texture.streaks(p)
            return [water * (1 - share), fat + share * (0.9 - fat)]
        if tissue is Tissue.SUBCUTANEOUS_FAT:
            share = texture.septa(p)
            return [water + 0.3 * share, fat * (1 - share)]
        if tissue is Tissue.INNER_FAT:
            share = texture.strands(p)
            return [water + share * (0.5 - water), fat * (1 - share)]
        return [water, fat]

    return look


def finish_mdixon(
    water: np.ndarray, fat: np.ndarray, bias: np.ndarray, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return in-phase, water and fat images (int16) of one acquisition, one intensity scale."""
    rng = stream(seed, "mdixon scan")
    gain = float(np.exp(rng.uniform(np.log(500), np.log(1500))))
    water = rician(np.maximum(water, 0) * bias, 0.014, rng)
    fat = rician(np.maximum(fat, 0) * bias, 0.014, rng)

    def integer(image: np.ndarray) -> np.ndarray:
        return np.clip(np.rint(gain * image), 0, 32767).astype(np.int16)

    return integer(water + fat), integer(water), integer(fat)
