"""The slices of one patient that the cohort's pictures are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import SimpleITK as sitk
from SyntheticCTLib.volumes.grids import grid_of

from SyntheticCTEvalLib.evaluation.results import CandidateResult, Evaluation
from SyntheticCTEvalLib.pictures.planes import Plane, planes_of

from .records import CohortPictures

STEP_MM = 1.5


def cohort_pictures(
    evaluation: Evaluation,
    originals: Mapping[str, sitk.Image],
    mr_body: sitk.Image | None = None,
) -> CohortPictures:
    """Return the slices of ``evaluation`` through its target, else its body.

    Args:
        originals: the candidates as they came, before registration, HU.
        mr_body: body contour of the evaluation's MR on its grid; None without MR.
    """
    axial, coronal, _ = planes_of(evaluation, step_mm=STEP_MM)
    found = CohortPictures(
        step_mm=STEP_MM,
        axial_ct=_hu(axial, evaluation.ct),
        axial_before={name: _hu(axial, image) for name, image in originals.items()},
        axial_after={name: _after(axial, c) for name, c in evaluation.candidates.items()},
        coronal_ct=_hu(coronal, evaluation.ct),
    )
    if evaluation.dose_ct is not None:
        found.coronal_dose = coronal.sample(evaluation.dose_ct, np.nan)
    for name, candidate in evaluation.candidates.items():
        if candidate.gamma is not None:
            # The nearest voxel: nothing lies between gamma and -1, which is "not evaluated".
            gamma = coronal.sample(candidate.gamma.gamma, -1, nearest=True)
            found.coronal_gamma[name] = np.where(gamma < 0, np.float32(np.nan), gamma)
    if evaluation.mr is not None and mr_body is not None:
        found.axial_mr = axial.sample(evaluation.mr, np.nan)
        own = _mr_plane(evaluation, mr_body, axial)
        found.mr_axial = own.sample(evaluation.mr, np.nan)
        found.mr_candidates = {name: _hu(own, image) for name, image in originals.items()}
    if evaluation.histograms is not None:
        histograms = evaluation.histograms
        found.raw_edges = np.asarray(histograms.raw_edges)
        found.normalized_edges = np.asarray(histograms.normalized_edges)
        found.raw = np.asarray(histograms.raw[-1])
        found.normalized = np.asarray(histograms.normalized[-1])
    return found


def _hu(plane: Plane, image: sitk.Image) -> np.ndarray:
    """Return CT numbers on a plane, rounded so that they take little room; NaN outside."""
    return np.round(plane.sample(image, np.nan))


def _after(plane: Plane, candidate: CandidateResult) -> np.ndarray:
    """Return a registered candidate on a plane; NaN where it was not evaluated."""
    values = _hu(plane, candidate.volume)
    values[np.isnan(plane.sample(candidate.difference, np.nan, nearest=True))] = np.nan
    return values


def _mr_plane(evaluation: Evaluation, mr_body: sitk.Image, axial: Plane) -> Plane:
    """Return the axial plane in the MR's own frame, as large as ``axial``, in its body's middle."""
    scan = replace(evaluation, ct=evaluation.mr, body=mr_body)
    plane = planes_of(scan, step_mm=STEP_MM)[0]
    spare = [
        (own - wanted) * STEP_MM / 2
        for own, wanted in zip(plane.grid.GetSize(), axial.grid.GetSize(), strict=True)
    ]
    origin = [at + shift for at, shift in zip(plane.grid.GetOrigin(), spare, strict=True)]
    plane.grid = grid_of(
        axial.grid.GetSize(), axial.grid.GetSpacing(), tuple(origin), axial.grid.GetDirection()
    )
    return plane
