"""What differs from patient to patient: sizes, fat, filling, bone density, positions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .noise import stream


@dataclass(frozen=True)
class Patient:
    """One patient's characteristics, in canonical millimetres where a length.

    Attributes:
        scale: size along x, y, z relative to the canonical pelvis.
        tilt_deg: pelvic tilt about the axis through both femoral heads.
        fat_front, fat_side, fat_back: thickness of subcutaneous fat.
        muscle: radius added to every muscle (negative: wasted, more fat between them).
        marrow_hu: mean CT number of spongy bone in the ilium.
        cortex: thickness of compact bone relative to the mean.
        marrow_fat: fat fraction of the iliac marrow.
        bladder: semi-axes of the bladder as the MR finds it.
        uterus_tip: fundus of the uterus (x, y, z), uterus_radius its radius.
        tumour_radius: radius of the cervical tumour.
        hu_shift, t2_shift: deviation of each tissue's mean, keyed by tissue value.
    """

    seed: int
    scale: tuple[float, float, float]
    tilt_deg: float
    fat_front: float
    fat_side: float
    fat_back: float
    muscle: float
    marrow_hu: float
    cortex: float
    marrow_fat: float
    bladder: tuple[float, float, float]
    bladder_centre: tuple[float, float, float]
    uterus_tip: tuple[float, float, float]
    uterus_radius: float
    tumour_radius: float
    rectum_radius: float
    hu_shift: tuple[float, ...]
    t2_shift: tuple[float, ...]


def draw_patient(seed: int) -> Patient:
    """Return the patient of ``seed``."""
    rng = stream(seed, "patient")

    def normal(mean: float, deviation: float, low: float, high: float) -> float:
        return float(np.clip(rng.normal(mean, deviation), low, high))

    size = normal(1.0, 0.03, 0.94, 1.06)
    adiposity = normal(0.0, 1.0, -1.6, 1.9)
    density = normal(0.0, 1.0, -1.8, 1.8)
    filling = normal(1.0, 0.14, 0.75, 1.3)
    anteverted = rng.random() < 0.75
    tip = (
        normal(0, 9, -18, 18),
        normal(-22, 8, -36, -8) if anteverted else normal(30, 5, 20, 38),
        normal(58, 7, 44, 72),
    )
    width = float(np.clip(size * normal(1.03, 0.02, 0.99, 1.07), 0.95, 1.07))
    # No wider than the CT's field of view.
    side = min(17 + 5 * adiposity + rng.normal(0, 1.5), 179 / width - 157)
    return Patient(
        seed=seed,
        scale=(
            width,
            size * normal(1.0, 0.025, 0.95, 1.05),
            size * normal(0.95, 0.025, 0.90, 1.0),
        ),
        tilt_deg=normal(0, 3.5, -7, 7),
        fat_front=float(np.exp(np.log(22) + 0.35 * adiposity + rng.normal(0, 0.08))),
        fat_side=float(max(side, 9)),
        fat_back=float(np.clip(22 + 6 * adiposity + rng.normal(0, 2), 11, 36)),
        muscle=normal(-0.5, 0.8, -2.0, 1.0),
        marrow_hu=150 + 38 * density,
        cortex=float(np.clip(1 + 0.13 * density + rng.normal(0, 0.06), 0.7, 1.35)),
        marrow_fat=float(np.clip(0.60 - 0.06 * density + rng.normal(0, 0.03), 0.42, 0.78)),
        bladder=(34 * filling, 25 * filling, 21 * filling),
        bladder_centre=(normal(0, 3, -6, 6), -28 + 10 * (filling - 1), 4 + 14 * (filling - 1)),
        uterus_tip=tip,
        uterus_radius=normal(22, 3.5, 16, 29),
        tumour_radius=normal(15, 4, 9, 23),
        rectum_radius=normal(14, 2, 11, 18),
        hu_shift=tuple(rng.normal(0, 2.5, 32)),
        t2_shift=tuple(rng.normal(0, 0.05, 32)),
    )
