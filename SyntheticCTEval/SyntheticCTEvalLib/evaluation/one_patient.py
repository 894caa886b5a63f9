"""Evaluation of candidates against the true CT: placed, then image, dose, gamma, structures.

Source: paper, "Evaluation and implementation" and Figure 5: every candidate is registered onto
the true CT first, so that the comparison is of CT numbers and not of registrations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import SimpleITK as sitk
from SyntheticCTLib.basics.progress import SILENT, NotedProgress, Progress
from SyntheticCTLib.body.contour import body_contour
from SyntheticCTLib.volumes.grids import image_like

from SyntheticCTEvalLib.dose.doses import Doses, imported_doses, recalculated_doses
from SyntheticCTEvalLib.gamma.comparison import DoseComparison, compare_doses, gamma_definition
from SyntheticCTEvalLib.gamma.hot_spots import HOT_SPOTS_DEFINITION
from SyntheticCTEvalLib.image.difference import marked_difference
from SyntheticCTEvalLib.image.similarity import DEFINITIONS, compare_images
from SyntheticCTEvalLib.placement.coverage import Coverage, common_coverage, completed
from SyntheticCTEvalLib.placement.place import Placed, place_candidates, place_definition
from SyntheticCTEvalLib.structures.dvh import DVH_DEFINITIONS, Dvh, compare_dvhs, dvh_metrics
from SyntheticCTEvalLib.structures.target import find_target

from .results import CandidateResult, Evaluation
from .settings import DEFAULT_PRESCRIPTION_GY, EvaluationSettings


def evaluate(
    ct: sitk.Image,
    candidates: Mapping[str, sitk.Image],
    *,
    dose_ct: sitk.Image | None = None,
    doses: Mapping[str, sitk.Image] | None = None,
    structures: Mapping[str, sitk.Image] | None = None,
    region: sitk.Image | None = None,
    mr: sitk.Image | None = None,
    histograms=None,
    settings: EvaluationSettings | None = None,
    progress: Progress = SILENT,
) -> Evaluation:
    """Hold every candidate against the true CT.

    Args:
        ct: true CT, HU.
        candidates: volumes in HU by name, on any grid.
        dose_ct, doses: imported doses in Gy on any grids; without ``dose_ct`` the dose is
            recalculated on every volume with one plan (see ``settings.dose``).
        structures: masks by name in the CT's frame, on any grids; one of them is the target.
            Every one gets dose-volume histograms.
        region: mask that limits every figure.
        mr, histograms: shown in report and scene, not evaluated.

    Raises:
        SyntheticCTError: no overlap, an unknown target, an empty region.
    """
    settings = settings or EvaluationSettings()
    progress = NotedProgress(progress)
    structures = dict(structures or {})
    target = find_target(structures, settings.target)
    progress.report("Body contour", 0)
    body = body_contour(ct, "CT")
    progress.report("Body contour", 1)

    placed = place_candidates(ct, candidates, register=settings.register, progress=progress)
    coverage = common_coverage(ct, body, placed.values(), region)
    results = {name: _image(ct, body, name, p, coverage) for name, p in placed.items()}
    given, gamma, dvhs, notes = None, {}, {}, []
    if settings.dose:
        if dose_ct is None:
            mask = image_like(coverage.voxels.astype(np.uint8), ct)
            at = structures.get(target) if target else None
            given = _recalculated(ct, body, results, at, coverage, settings, progress)
        else:
            mask, names = region, list(candidates)
            given = imported_doses(
                ct, body, dose_ct, dict(doses or {}), names, settings.prescription_gy
            )
        gamma = compare_doses(
            given.reference,
            given.evaluated,
            settings.criteria(given.prescription_gy),
            mask,
            engine=settings.gamma_engine,
            progress=progress,
        )
        if structures:
            progress.report("Dose-volume histograms", 0)
            dvhs, notes = compare_dvhs(given.reference, given.evaluated, structures)
            progress.report("Dose-volume histograms", 1)
    notes = [*given.notes, *notes] if given else ["Dose was not evaluated, as asked for."]
    return Evaluation(
        ct=ct,
        body=body,
        candidates={n: _with_dose(r, given, gamma.get(n), dvhs) for n, r in results.items()},
        dose_ct=given.reference if given else None,
        mr=mr,
        histograms=histograms,
        structures=structures,
        target=target,
        dvh_ct={structure: found[""] for structure, found in dvhs.items()},
        prescription_gy=given.prescription_gy if given else None,
        definitions=_definitions(settings, coverage, given, gamma, dvhs),
        notes=notes + [warning for warning in progress.warnings if warning not in notes],
    )


def _image(
    ct: sitk.Image, body: sitk.Image, name: str, placed: Placed, coverage: Coverage
) -> CandidateResult:
    own_body = body_contour(completed(placed.volume, ct, coverage.voxels), "CT")
    evaluated = image_like(coverage.voxels.astype(np.uint8), ct)
    metrics = compare_images(ct, placed.volume, body, own_body, region=evaluated)
    metrics["coverage_body_percent"] = round(coverage.body_percent, 3)
    difference = marked_difference(placed.volume, ct, coverage.voxels)
    return CandidateResult(name, placed.volume, difference, own_body, metrics=metrics)


def _recalculated(
    ct: sitk.Image,
    body: sitk.Image,
    results: Mapping[str, CandidateResult],
    target: sitk.Image | None,
    coverage: Coverage,
    settings: EvaluationSettings,
    progress: Progress,
) -> Doses:
    doses = recalculated_doses(
        ct,
        body,
        {n: (completed(r.volume, ct, coverage.voxels), r.body) for n, r in results.items()},
        target,
        settings.prescription_gy or DEFAULT_PRESCRIPTION_GY,
        spacing_mm=settings.dose_spacing_mm,
        progress=progress,
    )
    if not coverage.whole_body:
        doses.notes.append(
            "The candidates do not cover the whole body on the CT; for dose, the true CT was "
            "taken where they do not, and gamma leaves those voxels out."
        )
    return doses


def _with_dose(
    result: CandidateResult,
    doses: Doses | None,
    compared: DoseComparison | None,
    dvhs: Mapping[str, Mapping[str, Dvh]],
) -> CandidateResult:
    """Return a candidate's image figures together with those of its dose."""
    if compared is None:
        return result
    metrics = result.metrics | {"gpr": compared.pass_rates()}
    if dvhs:
        metrics["dvh"] = {
            structure: dvh_metrics(found[result.name], found[""], doses.prescription_gy)
            for structure, found in dvhs.items()
        }
    return replace(
        result,
        dose=doses.evaluated[result.name],
        dose_difference=compared.difference,
        gamma=compared.gamma,
        hot_spots=compared.hot_spots,
        dvh={structure: found[result.name] for structure, found in dvhs.items()},
        metrics=metrics,
    )


def _definitions(
    settings: EvaluationSettings,
    coverage: Coverage,
    doses: Doses | None,
    gamma: Mapping[str, DoseComparison],
    dvhs: Mapping[str, Mapping[str, Dvh]],
) -> dict[str, str]:
    """Return one line a number, from the rooms that made the numbers."""
    lines = DEFINITIONS | {
        "registration": place_definition(settings.register),
        "region": coverage.definition,
    }
    if doses:
        lines["dose"] = doses.definition
    if gamma:
        lines |= {"gpr": gamma_definition(gamma), "hot_spots": HOT_SPOTS_DEFINITION}
    return lines | (DVH_DEFINITIONS if dvhs else {})
