"""Gamma comparison of two dose distributions, after Low et al. 1998 (Med. Phys. 25, 656).

Gamma of a reference voxel is the minimum over positions of the evaluated dose of
``sqrt((distance / distance criterion)^2 + (dose difference / dose criterion)^2)``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import SimpleITK as sitk
from SyntheticCTLib.errors import SyntheticCTError
from SyntheticCTLib.frames import FRAME, frame_of, frames_differ
from SyntheticCTLib.progress import SILENT, Progress
from SyntheticCTLib.resampling import resample
from SyntheticCTLib.volumes import image_like

from .gamma_exact import exact_gamma

ENGINES = ("exact", "pymedphys")
NOT_EVALUATED = -1.0
"""Gamma of voxels that were not evaluated."""

_ROUNDING = 2e-5
_NEGATIVE = 1e-6


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
        cap: gamma is searched up to this value and reported as it where it is larger.

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
        gamma: gamma (float32) on the reference grid; at most the cap, -1 where not evaluated.
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


def compute_gamma(
    reference: sitk.Image,
    evaluated: sitk.Image,
    criteria: GammaCriteria | None = None,
    mask: sitk.Image | None = None,
    engine: str = "exact",
    progress: Progress = SILENT,
) -> GammaResult:
    """Compare the evaluated dose with the reference dose.

    Every reference voxel centre at or above the smallest cutoff is compared with the evaluated
    dose at all positions around it. The evaluated dose is linear between its voxel centres and
    ends with the outermost of them; a reference voxel farther from it than cap times distance is
    not evaluated. A dose of one slice is the plane of that slice's voxel centres.

    Values within 2e-5 of 1 are set to 1, since that is how far the rounding of doses in single
    precision moves the gamma of a difference that is exactly the criterion.

    Args:
        reference, evaluated: doses in Gy on any two grids, both 3D (one slice or more) or both
            2D; the result has their dimension.
        criteria: 1 % / 1 mm with cutoff 10 % when None.
        mask: voxels other than 0 are evaluated; any grid, taken at the nearest voxel. All when
            None.
        engine: "exact" finds the minimum inside each trilinear cell of the evaluated dose;
            "pymedphys" samples it at a tenth of the distance criterion, slower and never lower.

    Raises:
        SyntheticCTError: a dose that is no 2D or 3D scalar image, holds NaN or infinite values, is
            zero everywhere or negative anywhere; grids that do not
            overlap; nothing to evaluate; an unknown engine.
    """
    criteria = criteria or GammaCriteria()
    if engine not in ENGINES:
        raise SyntheticCTError(
            f"There is no gamma engine {engine!r}: choose one of {', '.join(ENGINES)}."
        )
    if reference.GetDimension() == evaluated.GetDimension() == 2:
        flat = (_one_slice(reference), _one_slice(evaluated))
        mask = _one_slice(mask) if mask is not None and mask.GetDimension() == 2 else mask
        result = compute_gamma(*flat, criteria, mask, engine, progress)
        return replace(result, gamma=result.gamma[:, :, 0], evaluated=result.evaluated[:, :, 0])
    _check_dose(reference, "reference")
    _check_dose(evaluated, "evaluated")
    _compare_frames(reference, evaluated, progress)
    dose = sitk.GetArrayViewFromImage(reference)
    normalization = criteria.normalization_gy
    if normalization is None:
        normalization = float(dose.max())
        criteria = replace(criteria, normalization_gy=normalization)
    region = dose >= _threshold(criteria, min(criteria.cutoffs_percent), dose.dtype)
    if mask is not None:
        if mask.GetDimension() != 3:
            raise SyntheticCTError("The mask is no volume as the doses are: give one.")
        region &= sitk.GetArrayFromImage(resample(mask, reference, fill=0, nearest=True)) != 0
    wanted = int(np.count_nonzero(region))
    if wanted == 0:
        raise SyntheticCTError(
            f"No voxel of the reference dose reaches {min(criteria.cutoffs_percent):g} % of "
            f"{normalization:g} Gy{' inside the mask' if mask is not None else ''}: lower the "
            "cutoff, or check the normalisation dose and the mask."
        )

    note = ""
    comparison = (
        reference,
        evaluated,
        region,
        criteria.dose_percent,
        criteria.distance_mm,
        normalization,
        criteria.local,
        criteria.cap,
    )
    if engine == "exact":
        gamma = exact_gamma(*comparison, progress)
    else:
        from .gamma_pymedphys import pymedphys_gamma

        gamma, note = pymedphys_gamma(*comparison)
    for plane, planned in zip(gamma, region, strict=True):
        plane[np.abs(plane - 1) < _ROUNDING] = 1
        np.logical_and(planned, plane >= 0, out=planned)
    count = int(np.count_nonzero(region))
    if count == 0:
        raise SyntheticCTError(
            "The evaluated dose does not overlap the reference dose: check that both belong to "
            "the same patient and the same frame of reference."
        )
    if count < wanted:
        missing = (
            f"{wanted - count} of the {wanted} voxels above the cutoff lie outside the evaluated "
            "dose and were not evaluated"
        )
        progress.warn(f"{missing}: compare doses that cover the same region.")
        note = f"{note}; {missing}"
    pass_rates = {
        cutoff: _pass_rate(gamma, dose, _threshold(criteria, cutoff, dose.dtype))
        for cutoff in criteria.cutoffs_percent
    }
    image = image_like(gamma, reference)
    del gamma
    return GammaResult(
        gamma=image,
        evaluated=image_like(region.view(np.uint8), reference),
        pass_rates=pass_rates,
        criteria=criteria,
        engine=engine,
        definition=_definition(criteria, engine, count, mask is not None) + note,
    )


def _one_slice(image: sitk.Image) -> sitk.Image:
    """Return a 2D image as a volume of one slice."""
    volume = sitk.JoinSeries(image)
    if frame_of(image):
        volume.SetMetaData(FRAME, frame_of(image))
    return volume


def _check_dose(image: sitk.Image, what: str) -> None:
    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
        raise SyntheticCTError(
            f"The {what} dose is not a volume with one value a voxel: give two dose grids of one "
            "slice or more, or two planes."
        )
    directions = np.array(image.GetDirection()).reshape(3, 3)
    if np.abs(directions @ directions.T - np.eye(3)).max() > 1e-3:
        raise SyntheticCTError(
            f"The axes of the {what} dose are not at right angles: resample it to a grid whose "
            "axes are."
        )
    values = sitk.GetArrayViewFromImage(image)
    low, high = float(values.min()), float(values.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise SyntheticCTError(
            f"The {what} dose holds NaN or infinite voxels: replace them before it is compared."
        )
    if high <= 0:
        raise SyntheticCTError(
            f"The {what} dose is nowhere above 0 Gy: give a dose distribution in Gy."
        )
    if low < -_NEGATIVE * high:  # more than rounding
        raise SyntheticCTError(
            f"The {what} dose is negative, {low:g} Gy in places: give a dose in Gy, not a "
            "difference of doses, and resample doses with linear interpolation."
        )


def _compare_frames(reference: sitk.Image, evaluated: sitk.Image, progress: Progress) -> None:
    if frames_differ(reference, evaluated):
        progress.warn(
            "The two doses name different frames of reference: make sure that they lie in the "
            "same coordinates before their gamma is believed."
        )


def _threshold(criteria: GammaCriteria, cutoff: float, dtype: np.dtype) -> np.generic:
    """Return the cutoff in Gy as the doses are stored, so that a dose equal to it counts.

    A dose in double precision may have been through single precision before.
    """
    threshold = cutoff / 100 * criteria.normalization_gy * (1 - 1e-7)
    return np.float32(threshold) if dtype == np.float32 else np.float64(threshold)


def _pass_rate(gamma: np.ndarray, dose: np.ndarray, threshold: np.generic) -> float:
    """Return percent of the evaluated voxels from ``threshold`` up with gamma at most 1."""
    passed = total = 0
    for plane, doses in zip(gamma, dose, strict=True):
        counted = (plane >= 0) & (doses >= threshold)
        total += int(np.count_nonzero(counted))
        passed += int(np.count_nonzero(counted & (plane <= 1)))
    return 100 * passed / total if total else math.nan


def _definition(criteria: GammaCriteria, engine: str, count: int, masked: bool) -> str:
    norm = f"{criteria.normalization_gy:g} Gy"
    kind = "local dose" if criteria.local else f"{norm} (global)"
    cutoffs = " and ".join(f"{cutoff:g} %" for cutoff in criteria.cutoffs_percent)
    how = {
        "exact": "exact minimum over position in the trilinearly interpolated evaluated dose",
        "pymedphys": "pymedphys, linear interpolation of the evaluated dose sampled at one tenth "
        "of the distance",
    }[engine]
    return (
        f"Gamma {criteria.dose_percent:g} % of {kind} / {criteria.distance_mm:g} mm; reference "
        f"dose at least {cutoffs} of {norm}{' inside the mask' if masked else ''}; {how}; "
        f"searched up to {criteria.cap:g}; gamma = 1 passes; {count} voxels"
    )
