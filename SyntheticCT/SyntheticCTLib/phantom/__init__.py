"""A seed in, a digital patient out: a female pelvis as MR, mDixon and CT see it, deformed between.

Offers: what stands in __all__ (make_phantom, planning_structures, write_phantom, write_cohort,
    grids, tissues).
Inside: case, ct, mr, mdixon, texture, deformation, grid, targets, files.
May use: basics, dicom, volumes, mrcat, anatomy.
"""

from SyntheticCTLib.anatomy.tissues import STRUCTURE_NAMES, TISSUE_NAMES, Structure, Tissue

from .case import Phantom, make_phantom
from .files import PRESCRIPTION_GY, write_cohort, write_phantom
from .grid import CLINICAL, COARSE, TINY, PhantomGrid
from .targets import LEVELS_GY, planning_structures

__all__ = [
    "CLINICAL",
    "COARSE",
    "LEVELS_GY",
    "PRESCRIPTION_GY",
    "STRUCTURE_NAMES",
    "TINY",
    "TISSUE_NAMES",
    "Phantom",
    "PhantomGrid",
    "Structure",
    "Tissue",
    "make_phantom",
    "planning_structures",
    "write_cohort",
    "write_phantom",
]
