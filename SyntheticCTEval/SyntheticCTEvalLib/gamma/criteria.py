"""What gamma is asked for, and what it answers."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from SyntheticCTLib.basics.errors import SyntheticCTError

NOT_EVALUATED = -1.0
"""Gamma of voxels that were not evaluated."""


@dataclass(frozen=True)
class Criterion:
    """A dose difference and a distance to agreement, as people name them.

    Attributes:
        dose_percent: of the normalisation dose (global), or of the voxel's own dose (local).
        distance_mm: distance to agreement.
        local: whether the dose difference is local.

    Raises:
        SyntheticCTError: a value that is not above 0.
    """

    dose_percent: float = 1.0
    distance_mm: float = 1.0
    local: bool = False

    def __post_init__(self) -> None:
        _require_above_zero("dose difference in percent", self.dose_percent)
        _require_above_zero("distance in mm", self.distance_mm)

    @property
    def name(self) -> str:
        """Its name in metrics.json and in files of limits: "3%/2mm" or "3%/2mm local"."""
        kind = " local" if self.local else ""
        return f"{self.dose_percent:g}%/{self.distance_mm:g}mm{kind}"

    @property
    def told(self) -> str:
        """The criterion as people read it, with its kind: "3 %/2 mm global"."""
        return spaced(self.name) + ("" if self.local else " global")

    @classmethod
    def parse(cls, text: str) -> Criterion:
        """Read "3/2", "3%/2mm", "3 % / 2 mm", "3/3local", "3%/2mm global".

        Raises:
            SyntheticCTError: it is no criterion.
        """
        found = _CRITERION.fullmatch(text.strip().lower())
        if not found:
            raise SyntheticCTError(
                f"{text.strip()!r} is no gamma criterion: write percent and mm, such as 3/2, and "
                "local behind it where the dose difference is local, such as 3/2local."
            )
        return cls(float(found["percent"]), float(found["mm"]), found["kind"] == "local")


_CRITERION = re.compile(
    r"(?P<percent>\d+(\.\d+)?)\s*%?\s*/\s*(?P<mm>\d+(\.\d+)?)\s*(mm)?\s*,?\s*(?P<kind>local|global)?"
)


def spaced(name: str) -> str:
    """Return a criterion's name as people read it: "3 %/2 mm local"."""
    return name.replace("%", " %").replace("mm", " mm")


def parse_criteria(text: str) -> tuple[Criterion, ...]:
    """Read criteria divided by commas or semicolons; those given twice are taken once.

    Raises:
        SyntheticCTError: one is no criterion, or there is none.
    """
    parts = [part for part in re.split(r"[,;]", text) if part.strip()]
    if not parts:
        raise SyntheticCTError("No gamma criterion is given: write, for example, 1/1,2/2.")
    return tuple(dict.fromkeys(map(Criterion.parse, parts)))


def parse_percents(text: str) -> tuple[float, ...]:
    """Read percents divided by commas or semicolons.

    Raises:
        SyntheticCTError: one is no number.
    """
    try:
        return tuple(float(part) for part in re.split("[,;]", text))
    except ValueError:
        raise SyntheticCTError(
            f"{text!r} is not a list of percents: write, for example, 10,60"
        ) from None


def _require_above_zero(name: str, value: float | None) -> None:
    if value is not None and not (math.isfinite(value) and value > 0):
        raise SyntheticCTError(
            f"The {name} of a gamma comparison is {value:g}: give a number above 0."
        )


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
        _require_above_zero("dose difference in percent", self.dose_percent)
        _require_above_zero("distance in mm", self.distance_mm)
        _require_above_zero("normalisation dose in Gy", self.normalization_gy)
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

    @property
    def criterion(self) -> Criterion:
        """The criterion alone."""
        return Criterion(self.dose_percent, self.distance_mm, self.local)


@dataclass(frozen=True)
class GammaPasses:
    """Which voxels pass a further criterion.

    Attributes:
        passed: voxels (k, j, i; bool) on the reference grid whose gamma is at most 1.
        evaluated: voxels (k, j, i; bool) that were evaluated.
        pass_rates, criteria, definition: as of :class:`GammaResult`.
    """

    passed: np.ndarray
    evaluated: np.ndarray
    pass_rates: dict[float, float]
    criteria: GammaCriteria
    definition: str


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
