"""Names of the tissues and structures, and what each tissue looks like on average."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Tissue(IntEnum):
    """Values of the tissue label maps."""

    AIR = 0
    SKIN = 1
    SUBCUTANEOUS_FAT = 2
    INNER_FAT = 3
    MUSCLE = 4
    COMPACT_BONE = 5
    SPONGY_BONE = 6
    CARTILAGE = 7
    BLADDER_WALL = 8
    URINE = 9
    UTERUS = 10
    ENDOMETRIUM = 11
    TUMOUR = 12
    BOWEL_WALL = 13
    BOWEL_CONTENT = 14
    GAS = 15
    ARTERY = 16
    VEIN = 17
    OVARY = 18
    NERVE = 19
    VAGINA = 20


class Structure(IntEnum):
    """Values of the structure label maps; the target takes precedence over fat and muscle."""

    NONE = 0
    TARGET = 1
    BLADDER = 2
    RECTUM = 3
    BOWEL = 4
    FEMORAL_HEAD_LEFT = 5
    FEMORAL_HEAD_RIGHT = 6
    SACRUM = 7
    BONES = 8


TISSUE_NAMES = {int(tissue): tissue.name.lower().replace("_", " ") for tissue in Tissue if tissue}
STRUCTURE_NAMES = {
    int(structure): structure.name.lower().replace("_", " ") for structure in Structure if structure
}


@dataclass(frozen=True)
class Appearance:
    """Mean appearance of a tissue.

    Attributes:
        hu: CT number of a planning CT without contrast agent.
        t2: T2-weighted turbo spin echo signal; subcutaneous fat is 0.8.
        water, fat: T1-weighted Dixon water and fat signal; pure fat is 1.
    """

    hu: float
    t2: float
    water: float
    fat: float


APPEARANCE = {
    Tissue.AIR: Appearance(-1000, 0.0, 0.0, 0.0),
    Tissue.SKIN: Appearance(15, 0.34, 0.50, 0.15),
    Tissue.SUBCUTANEOUS_FAT: Appearance(-106, 0.80, 0.03, 0.97),
    Tissue.INNER_FAT: Appearance(-98, 0.74, 0.05, 0.93),
    Tissue.MUSCLE: Appearance(56, 0.17, 0.55, 0.03),
    Tissue.COMPACT_BONE: Appearance(1140, 0.03, 0.03, 0.02),
    Tissue.SPONGY_BONE: Appearance(150, 0.48, 0.22, 0.45),
    Tissue.CARTILAGE: Appearance(75, 0.30, 0.46, 0.03),
    Tissue.BLADDER_WALL: Appearance(36, 0.24, 0.50, 0.03),
    Tissue.URINE: Appearance(7, 1.10, 0.30, 0.00),
    Tissue.UTERUS: Appearance(48, 0.38, 0.52, 0.02),
    Tissue.ENDOMETRIUM: Appearance(36, 0.78, 0.45, 0.02),
    Tissue.TUMOUR: Appearance(44, 0.56, 0.52, 0.02),
    Tissue.BOWEL_WALL: Appearance(42, 0.30, 0.52, 0.04),
    Tissue.BOWEL_CONTENT: Appearance(28, 0.55, 0.46, 0.06),
    Tissue.GAS: Appearance(-985, 0.01, 0.01, 0.00),
    Tissue.ARTERY: Appearance(44, 0.05, 0.60, 0.01),
    Tissue.VEIN: Appearance(42, 0.26, 0.58, 0.01),
    Tissue.OVARY: Appearance(32, 0.62, 0.44, 0.02),
    Tissue.NERVE: Appearance(30, 0.62, 0.42, 0.12),
    Tissue.VAGINA: Appearance(42, 0.36, 0.52, 0.03),
}
