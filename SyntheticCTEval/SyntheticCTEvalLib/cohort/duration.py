"""How long a patient takes, estimated from the voxels of what is evaluated.

Measured on two busy cores (a phantom on the tiny and on the coarse grid, one candidate, five
structures); an idle or larger machine is faster, and a registration that must be repeated, as on
coarse grids, may take three times as long.
"""

from __future__ import annotations

import math

import SimpleITK as sitk

from SyntheticCTEvalLib.delivery.dose import angles_of
from SyntheticCTEvalLib.dose.plan import SEVEN_FIELDS
from SyntheticCTEvalLib.evaluation.settings import PENCIL_BEAM, EvaluationSettings
from SyntheticCTEvalLib.placement.ways import BY_MR, DEFORMABLE

from .inputs import PatientInputs

# Seconds: as such, and for a million voxels of what is worked on.
_START = (5.0, 1.5)
_RIGID = (8.0, 0.3)
_DEFORMABLE = (25.0, 3.0)
_IMAGE = (1.0, 10.0)
_RECALCULATION = (10.0, 0.0)
_PLANNING_AN_ARC = 40.0
_ANGLES_AN_ARC = 90  # of a plan that is made
_GAMMA = (1.5, 1.0)
_HISTOGRAMS = (1.5, 0.2)
_WRITING = (22.0, 3.0)
_SYNTHESIS, _SYNTHESIS_A_SLICE = 20.0, 1.0  # of the MR, without a GPU


def seconds_of(inputs: PatientInputs, asked: EvaluationSettings, makes: bool) -> float:
    """Return an estimate of how many seconds an evaluation takes.

    Args:
        makes: a model makes a synthetic CT, which is one more candidate.
    """
    millions = _voxels(inputs.ct) / 1e6
    candidates = len(inputs.candidates) + makes
    registered = 0 if not asked.registered else 1 if asked.registration_by == BY_MR else candidates
    seconds = _of(_START, millions) + _of(_IMAGE, millions) * candidates
    seconds += _of(_WRITING, millions)
    if makes and inputs.mr is not None:
        seconds += _SYNTHESIS + _SYNTHESIS_A_SLICE * inputs.mr.GetSize()[2]
    seconds += _of(_RIGID, millions) * registered
    if asked.registration == DEFORMABLE:
        seconds += _of(_DEFORMABLE, millions) * registered
    if asked.dose:
        imported = inputs.dose_ct is not None
        doses = len(inputs.doses) if imported else candidates
        if imported:
            grid = _voxels(inputs.dose_ct) / 1e6
        else:
            grid = millions * math.prod(inputs.ct.GetSpacing()) / asked.dose_spacing_mm**3
            each = _of(_RECALCULATION, grid)
            angles = angles_of(inputs.plan) if inputs.plan is not None else len(SEVEN_FIELDS)
            if asked.planning.levels:
                angles = _ANGLES_AN_ARC * asked.planning.arcs
                seconds += _PLANNING_AN_ARC * asked.planning.arcs
            if asked.dose_engine == PENCIL_BEAM:
                seconds += each * angles / len(SEVEN_FIELDS) * (candidates + 1)
            else:
                seconds += 60 * asked.dose_minutes  # at most
        seconds += _of(_GAMMA, grid) * doses * len(set(asked.criteria))
        seconds += _of(_HISTOGRAMS, grid) * len(inputs.structures) * (doses + 1)
    return seconds


def _of(constants: tuple[float, float], millions: float) -> float:
    return constants[0] + constants[1] * millions


def _voxels(image: sitk.Image) -> int:
    return math.prod(image.GetSize())
