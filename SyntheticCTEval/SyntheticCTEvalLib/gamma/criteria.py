"""What gamma is asked for, and what it answers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from SyntheticCTLib.basics.errors import SyntheticCTError

NOT_EVALUATED = -1.0
"""Gamma of voxels that were not evaluated."""


@dataclass(frozen=True)
class GammaCriteria:
    """What a gamma comparison is made with.

    Attributes:
        dose_percent: dose difference in percent of ``normalization_gy`` (global) or of the
            reference dose of the voxel (local).
        distance_mm: distance to agreement.
        local: whether the dose difference is local.
        normalization_gy: dose that is 100 %, such as the prescription; the maximum of the
            reference dose when None.
        cutoffs_percent: voxels count whose reference dose is at least this part of the
            normalisation dose; one pass rate each, from one gamma map.
        cap: gamma is searched up to this value and reported as it where it is larger (as 1.0005
            where it is 1, so that what fails can be told from what passes).

    Raises:
        SyntheticCTError: a value without meaning.
    """

    dose_percent: float = 1
    distance_mm: float = 1
    local: bool = False
    normalization_gy: float | None = None
    cutoffs_percent: tuple[float, ...] = (10,)
    cap: float = 2

    def __post_init__(self) -> None:
        cutoffs = self.cutoffs_percent
        cutoffs = tuple(cutoffs) if isinstance(cutoffs, Sequence | np.ndarray) else (cutoffs,)
        object.__setattr__(self, "cutoffs_percent", cutoffs)
        for name, value in (
            ("dose difference in percent", self.dose_percent),
            ("distance in mm", self.distance_mm),
            ("normalisation dose in Gy", self.normalization_gy),
        ):
            if value is not None and not (math.isfinite(value) and value > 0):
                raise SyntheticCTError(
                    f"The {name} of a gamma comparison is {value:g}: give a number above 0."
                )
        if not (math.isfinite(self.cap) and self.cap >= 1):
            raise SyntheticCTError(
                f"The largest gamma to search for is {self.cap:g}: give a number of at least 1, "
                "or passing voxels cannot be told from failing ones."
            )
        if not cutoffs or not all(0 <= cutoff <= 100 for cutoff in cutoffs):
            raise SyntheticCTError(
                f"The dose cutoffs of a gamma comparison are {cutoffs}: give one or more percents "
                "from 0 to 100."
            )


@dataclass(frozen=True)
class GammaResult:
    """A gamma comparison.

    Attributes:
        gamma: gamma (float32) on the reference grid; at most the cap, -1 where not evaluated,
            which includes voxels that the end of the evaluated dose leaves undecided.
        evaluated: voxels that were evaluated (uint8, 0 or 1) on the reference grid.
        pass_rates: by cutoff in percent, percent of the evaluated voxels at or above it whose
            gamma is at most 1; NaN where there is no such voxel.
        criteria: what was asked for, with ``normalization_gy`` filled in.
        engine: one of :data:`ENGINES`.
        definition: one line for reports.
    """

    gamma: sitk.Image
    evaluated: sitk.Image
    pass_rates: dict[float, float]
    criteria: GammaCriteria
    engine: str
    definition: str
