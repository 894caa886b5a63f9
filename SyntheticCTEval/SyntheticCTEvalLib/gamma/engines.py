"""Gamma comparison of two dose distributions, after Low et al. 1998 (Med. Phys. 25, 656).

Gamma of a reference voxel is the minimum over positions of the evaluated dose of
``sqrt((distance / distance criterion)^2 + (dose difference / dose criterion)^2)``.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import SimpleITK as sitk
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import SILENT, Progress
from SyntheticCTLib.dicom.frame_of_reference import FRAME, frame_of, frames_differ
from SyntheticCTLib.volumes.grids import image_like
from SyntheticCTLib.volumes.resampling import mask_on

from SyntheticCTEvalLib.dose.plausibility import require_possible

from .criteria import NOT_EVALUATED, GammaCriteria, GammaResult
from .edges import any_within_reach, mark_undecided, percent_beyond_reference
from .exact import exact_gamma

ENGINES = ("exact", "pymedphys")

_ROUNDING = 2e-5
LEAST_CAP = 1.0005


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
    ends with the outermost of them. Reference voxels that lie beyond it, or nearer to its end than
    the distance criterion, pass where a gamma of at most 1 is found in it; where none is, they are
    undecided and not evaluated (see edges). A dose of one slice is the plane of that slice's voxel
    centres.

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
        progress: is warned of what was not evaluated, and of other frames of reference.

    Raises:
        SyntheticCTError: a dose that is no 2D or 3D scalar image, holds NaN or infinite values, is
            zero everywhere or negative beyond noise; grids that do not overlap; nothing to
            evaluate; an unknown engine.
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
    _check_doses(reference, evaluated, progress)
    if criteria.normalization_gy is None:
        largest = float(sitk.GetArrayViewFromImage(reference).max())
        criteria = replace(criteria, normalization_gy=largest)
    region = wanted_voxels(reference, criteria, mask)
    _check_overlap(reference, evaluated, region, criteria.distance_mm)
    wanted = counts_by_cutoff(region, reference, criteria)
    gamma, note = searched(reference, evaluated, region, criteria, engine, progress)
    mark_undecided(gamma, reference, evaluated, criteria.distance_mm)
    for plane, planned in zip(gamma, region, strict=True):
        np.logical_and(planned, plane != NOT_EVALUATED, out=planned)
    counts = counts_by_cutoff(region, reference, criteria)
    passed = counts_by_cutoff(region & (gamma <= 1), reference, criteria)
    note += left_out(wanted, counts, passed, mask is not None, progress)
    note += _not_asked(reference, evaluated, criteria, mask, progress)
    image = image_like(gamma, reference)
    del gamma
    return GammaResult(
        gamma=image,
        evaluated=image_like(region.view(np.uint8), reference),
        pass_rates=pass_rates(passed, counts),
        criteria=criteria,
        engine=engine,
        definition=definition_of(criteria, engine, max(counts.values()), mask is not None) + note,
    )


def searched(
    reference: sitk.Image,
    evaluated: sitk.Image,
    region: np.ndarray,
    criteria: GammaCriteria,
    engine: str,
    progress: Progress,
) -> tuple[np.ndarray, str]:
    """Return gamma on the reference grid (k, j, i; float32), -1 outside ``region``, and a note.

    Voxels that the end of the evaluated dose leaves undecided are not marked yet (see edges).
    """
    comparison = (reference, evaluated, region, criteria.dose_percent, criteria.distance_mm)
    # Gamma of failing voxels is the cap: one of 1 would let them pass.
    cap = max(criteria.cap, LEAST_CAP)
    comparison = (*comparison, criteria.normalization_gy, criteria.local, cap)
    if engine == "exact":
        gamma, note = exact_gamma(*comparison, progress), ""
    else:
        from .by_pymedphys import pymedphys_gamma

        gamma, note = pymedphys_gamma(*comparison)
    for plane in gamma:
        plane[np.abs(plane - 1) < _ROUNDING] = 1
    return gamma, note


def wanted_voxels(
    reference: sitk.Image, criteria: GammaCriteria, mask: sitk.Image | None
) -> np.ndarray:
    """Return the voxels (k, j, i) that gamma is asked for: above the cutoff, inside the mask."""
    dose = sitk.GetArrayViewFromImage(reference)
    region = dose >= _threshold(criteria, min(criteria.cutoffs_percent), dose.dtype)
    if mask is not None:
        if mask.GetDimension() != 3:
            raise SyntheticCTError("The mask is no volume as the doses are: give one.")
        region &= mask_on(mask, reference)
    if not region.any():
        raise SyntheticCTError(
            f"No voxel of the reference dose reaches {min(criteria.cutoffs_percent):g} % of "
            f"{criteria.normalization_gy:g} Gy{' inside the mask' if mask is not None else ''}: "
            "lower the cutoff, or check the normalisation dose and the mask."
        )
    return region


def left_out(
    wanted: dict[float, int],
    counts: dict[float, int],
    passed: dict[float, int],
    masked: bool,
    progress: Progress,
) -> str:
    """Warn of voxels that could not be evaluated; return what the definition says of them.

    Args:
        wanted, counts, passed: voxels at or above each cutoff: all, evaluated, of gamma up to 1.
    """
    every, count = max(wanted.values()), max(counts.values())
    if count == every:
        return ""
    floor = " and ".join(
        f"{percent_of(passed[cutoff], wanted[cutoff]):.1f} % above {cutoff:g} %"
        for cutoff in wanted
        if wanted[cutoff]
    )
    share = math.floor(1000 * count / every) / 10  # never 100 % of less than all
    sentence = (
        f"gamma was evaluated for {share:g} % of what was asked for: {every - count} of the "
        f"{every} voxels above the cutoff{' inside the mask' if masked else ''} were left out, "
        "which lie beyond the evaluated dose or fail so near its end that what would let them "
        f"pass may lie beyond (if all of them failed, the pass rate would be {floor})"
    )
    progress.warn(f"{sentence[0].upper()}{sentence[1:]}: compare doses that cover the same region.")
    return f"; {sentence}"


def _not_asked(
    reference: sitk.Image,
    evaluated: sitk.Image,
    criteria: GammaCriteria,
    mask: sitk.Image | None,
    progress: Progress,
) -> str:
    """Warn of evaluated dose beyond the reference; return what the definition says of it."""
    dtype = sitk.GetArrayViewFromImage(evaluated).dtype
    least = _threshold(criteria, min(criteria.cutoffs_percent), dtype)
    percent = percent_beyond_reference(reference, evaluated, least, mask)
    if not percent:
        return ""
    sentence = (
        f"{max(percent, 0.1):.1f} % of the evaluated dose above the cutoff lies beyond the "
        "reference dose, where gamma is not computed"
    )
    progress.warn(f"{sentence}: compare doses that cover the same region.")
    return f"; {sentence}"


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
    require_possible(image, f"{what} dose")


def _check_doses(reference: sitk.Image, evaluated: sitk.Image, progress: Progress) -> None:
    _check_dose(reference, "reference")
    _check_dose(evaluated, "evaluated")
    if frames_differ(reference, evaluated):
        progress.warn(
            "The two doses name different frames of reference: make sure that they lie in the "
            "same coordinates before their gamma is believed."
        )


def _check_overlap(
    reference: sitk.Image, evaluated: sitk.Image, region: np.ndarray, distance_mm: float
) -> None:
    if not any_within_reach(region, reference, evaluated, distance_mm):
        raise SyntheticCTError(
            "The evaluated dose does not overlap the reference dose: check that both belong to "
            "the same patient and the same frame of reference."
        )


def _threshold(criteria: GammaCriteria, cutoff: float, dtype: np.dtype) -> np.generic:
    """Return the cutoff in Gy as the doses are stored, so that a dose equal to it counts.

    A dose in double precision may have been through single precision before.
    """
    threshold = cutoff / 100 * criteria.normalization_gy * (1 - 1e-7)
    return np.float32(threshold) if dtype == np.float32 else np.float64(threshold)


def counts_by_cutoff(
    region: np.ndarray, reference: sitk.Image, criteria: GammaCriteria
) -> dict[float, int]:
    """Return by cutoff how many voxels of a region (k, j, i; bool) reach it."""
    dose = sitk.GetArrayViewFromImage(reference)
    counts = dict.fromkeys(criteria.cutoffs_percent, 0)
    least = {cutoff: _threshold(criteria, cutoff, dose.dtype) for cutoff in counts}
    for k, plane in enumerate(region):
        for cutoff in counts:
            counts[cutoff] += int(np.count_nonzero(plane & (dose[k] >= least[cutoff])))
    return counts


def pass_rates(passed: dict[float, int], evaluated: dict[float, int]) -> dict[float, float]:
    """Return by cutoff how many percent of the evaluated voxels passed; NaN for none."""
    return {cutoff: percent_of(passed[cutoff], count) for cutoff, count in evaluated.items()}


def percent_of(part: int, whole: int) -> float:
    return 100 * part / whole if whole else math.nan


def definition_of(criteria: GammaCriteria, engine: str, count: int, masked: bool) -> str:
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
