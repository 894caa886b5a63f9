"""Where a candidate's dose is furthest from the dose on the true CT."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy
import SimpleITK as sitk
from SyntheticCTLib.body.morphology import eroded
from SyntheticCTLib.volumes.resampling import mask_on

from SyntheticCTEvalLib.dose.difference import NO_DOSE_DIFFERENCE, subtract_doses
from SyntheticCTEvalLib.evaluation.results import CandidateResult, Evaluation
from SyntheticCTEvalLib.gamma.hot_spots import find_hot_spots

NEAR_MM = 20.0
"""Places nearer to the end of the body are said to be so."""

SKIN_MM = 5.0
"""Places so near to the end of one of both bodies, or within a voxel of it, are at the skin."""

DEEP_MM = 10.0
"""Places farther than that from the end of both bodies are inside."""

LARGEST, LARGEST_DEEP = "largest_dose_difference", "largest_dose_difference_deep"
PLACE_DEFINITIONS = {
    LARGEST: (
        "Dose on the candidate minus dose on the true CT where it is largest in size, of the "
        "voxels of the dose on the true CT that lie inside the body contour of the true CT and in "
        "which gamma was evaluated. Depths are distances from a voxel's centre to the nearest one "
        "that is not inside a body contour, at most one voxel more than to the skin itself; "
        f"{SKIN_MM:g} mm and less in either body, or one voxel where voxels are larger, is at the "
        "skin, where one body may have dose and the other none."
    ),
    LARGEST_DEEP: (
        "The same of the voxels that are deeper than "
        f"{DEEP_MM:g} mm in the body contours of both true CT and candidate."
    ),
}


@dataclass(frozen=True)
class Place:
    """A voxel of the dose on the true CT.

    Attributes:
        point_mm: its centre in mm, LPS.
        dose_gy: dose on the true CT.
        difference_gy: dose on the candidate minus that; NaN where it is not known.
        depth_mm: how far it is from where the body on the true CT ends, where that is near; else
            None; 0 outside.
        own_depth_mm: the same of the candidate's body.
        at_skin: whether it lies outside one of both bodies, or nearly so.
        gamma: gamma of the first criterion; None where it was not evaluated.
        volume_cm3: of the hot spot that it lies in; 0 where it lies in none.
    """

    point_mm: tuple[float, float, float]
    dose_gy: float
    difference_gy: float
    depth_mm: float | None
    own_depth_mm: float | None
    at_skin: bool
    gamma: float | None = None
    volume_cm3: float = 0.0

    @property
    def skin_words(self) -> str:
        """How it lies to the skin, "" where that is far: for the head of a picture, a table."""
        if self.own_depth_mm == 0:
            return "at the skin: the candidate has no body there"
        if self.depth_mm == 0:
            return "at the skin: the true CT has no body there"
        if self.at_skin:
            return "at the skin"
        near = [d for d in (self.depth_mm, self.own_depth_mm) if d is not None]
        return f"at most {min(near):.0f} mm from the edge of a body" if near else ""


def largest_dose_difference(
    evaluation: Evaluation, candidate: CandidateResult, deep: bool = False
) -> Place | None:
    """Return the voxel in the body whose dose differs most; None where nothing differs.

    See :data:`PLACE_DEFINITIONS`.

    Args:
        deep: only what is deeper than :data:`DEEP_MM` in both bodies.
    """
    if evaluation.dose_ct is None or candidate.dose is None or candidate.gamma is None:
        return None
    difference = _differences(evaluation, candidate)
    counts = sitk.GetArrayViewFromImage(candidate.gamma.evaluated) != 0
    counts &= np.isfinite(difference)
    dose = evaluation.dose_ct
    steps = list(dose.GetSpacing()[::-1])
    if deep:
        for body in (evaluation.body, candidate.body):
            counts &= eroded(mask_on(body, dose), steps, DEEP_MM)
    else:
        counts &= mask_on(evaluation.body, dose)
    size = np.where(counts, np.abs(difference), 0)
    index = np.unravel_index(int(np.argmax(size)), size.shape)
    return _place(evaluation, candidate, difference, index) if size[index] > 0 else None


def largest_places(evaluation: Evaluation, deep: bool = False) -> dict[str, Place]:
    """Return each candidate's largest difference of dose, where there is one."""
    found = {
        name: largest_dose_difference(evaluation, candidate, deep)
        for name, candidate in evaluation.candidates.items()
    }
    return {name: place for name, place in found.items() if place is not None}


def worst_gamma(evaluation: Evaluation, candidate: CandidateResult) -> Place | None:
    """Return the place of the worst hot spot, else the voxel of the largest gamma.

    None where gamma was evaluated nowhere.
    """
    if evaluation.dose_ct is None or candidate.dose is None or candidate.gamma is None:
        return None
    image = candidate.gamma.gamma
    gamma = sitk.GetArrayViewFromImage(image)
    difference = _differences(evaluation, candidate)
    spots = candidate.hot_spots or find_hot_spots(image, 1)
    if spots:
        index = image.TransformPhysicalPointToIndex(spots[0].point_mm)[::-1]
        return _place(evaluation, candidate, difference, index, spots[0].volume_cm3)
    index = np.unravel_index(int(np.argmax(gamma)), gamma.shape)
    return _place(evaluation, candidate, difference, index) if gamma[index] >= 0 else None


def _differences(evaluation: Evaluation, candidate: CandidateResult) -> np.ndarray:
    """Candidate's dose minus the dose on the true CT (k, j, i) in Gy, NaN where not known."""
    found = candidate.dose_difference
    if found is None:
        found = subtract_doses(candidate.dose, evaluation.dose_ct)
    values = sitk.GetArrayFromImage(found)
    return np.where(values == NO_DOSE_DIFFERENCE, np.float32(np.nan), values)


def _place(
    evaluation: Evaluation,
    candidate: CandidateResult,
    difference: np.ndarray,
    index: tuple[int, ...],
    volume_cm3: float = 0.0,
) -> Place:
    dose = evaluation.dose_ct
    index = tuple(int(n) for n in index)
    gamma = float(sitk.GetArrayViewFromImage(candidate.gamma.gamma)[index])
    depths = [_depth(body, dose, index) for body in (evaluation.body, candidate.body)]
    skin = max(SKIN_MM, *dose.GetSpacing())
    return Place(
        point_mm=dose.TransformIndexToPhysicalPoint(index[::-1]),
        dose_gy=float(sitk.GetArrayViewFromImage(dose)[index]),
        difference_gy=float(difference[index]),
        depth_mm=depths[0],
        own_depth_mm=depths[1],
        at_skin=any(d is not None and d <= skin for d in depths),
        gamma=gamma if gamma >= 0 else None,
        volume_cm3=volume_cm3,
    )


def _depth(body: sitk.Image, dose: sitk.Image, index: tuple[int, ...]) -> float | None:
    """Distance in mm of a voxel of the dose to the nearest one outside the body, if it is near."""
    steps = np.array(dose.GetSpacing()[::-1])
    reach = np.ceil(NEAR_MM / steps).astype(int) + 1
    size = dose.GetSize()[::-1]
    box = tuple(
        slice(max(0, i - r), min(n, i + r + 1)) for i, r, n in zip(index, reach, size, strict=True)
    )
    inside = mask_on(body, dose[tuple(box[::-1])])
    if inside.all():
        return None
    depth = scipy.ndimage.distance_transform_edt(inside, steps)
    own = float(depth[tuple(i - part.start for i, part in zip(index, box, strict=True))])
    return own if own <= NEAR_MM else None
