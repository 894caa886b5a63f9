"""The digital cohort: female pelves as MR, mDixon and CT see them, each from a seed."""

from .case import Phantom, make_phantom
from .files import PRESCRIPTION_GY, write_cohort, write_phantom
from .grid import CLINICAL, COARSE, TINY, PhantomGrid
from .tissues import STRUCTURE_NAMES, TISSUE_NAMES, Structure, Tissue

__all__ = [
    "CLINICAL",
    "COARSE",
    "PRESCRIPTION_GY",
    "STRUCTURE_NAMES",
    "TINY",
    "TISSUE_NAMES",
    "Phantom",
    "PhantomGrid",
    "Structure",
    "Tissue",
    "make_phantom",
    "write_cohort",
    "write_phantom",
]
