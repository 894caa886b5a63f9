"""How long a patient takes, estimated from the voxels of what is evaluated.

Measured on two cores (phantoms on the coarse grid, one patient at a time); a busier or slower
machine takes longer, and a registration that must be repeated may take three times as long.
"""

from __future__ import annotations

import math

import SimpleITK as sitk

from SyntheticCTEvalLib.evaluation.settings import EvaluationSettings
from SyntheticCTEvalLib.placement.ways import BY_MR, DEFORMABLE

from .inputs import PatientInputs

# Seconds: as such, and for a million voxels of the CT.
_START = (5.0, 2.0)
_RIGID = (8.0, 1.0)
_DEFORMABLE = (15.0, 5.0)
_IMAGE = (2.0, 3.0)
_SYNTHESIS = (10.0, 10.0)
_RECALCULATION = (5.0, 1.0)
_GAMMA = (2.0, 1.0)
_WRITING = (10.0, 3.0)
_HISTOGRAMS = (0.5, 0.1)


def seconds_of(inputs: PatientInputs, asked: EvaluationSettings, makes: bool) -> float:
    """Return an estimate of how many seconds an evaluation takes.

    Args:
        makes: a model makes a synthetic CT, which is one more candidate.
    """
    millions = _voxels(inputs.ct) / 1e6
    candidates = len(inputs.candidates) + makes
    registered = 0 if not asked.registered else 1 if asked.registration_by == BY_MR else candidates
    seconds = _of(_START, millions) + _of(_IMAGE, millions) * candidates
    seconds += _of(_WRITING, millions) + (_of(_SYNTHESIS, _millions_of_mr(inputs)) if makes else 0)
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
            seconds += _of(_RECALCULATION, grid) * (candidates + 1)
        seconds += _of(_GAMMA, grid) * doses * len(set(asked.criteria))
        seconds += _of(_HISTOGRAMS, grid) * len(inputs.structures) * (doses + 1)
    return seconds


def _of(constants: tuple[float, float], millions: float) -> float:
    return constants[0] + constants[1] * millions


def _voxels(image: sitk.Image) -> int:
    return math.prod(image.GetSize())


def _millions_of_mr(inputs: PatientInputs) -> float:
    return _voxels(inputs.mr) / 1e6 if inputs.mr is not None else 0.0
