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

from SyntheticCTEvalLib.delivery.doses import doses_of_plan, notes_of_plan
from SyntheticCTEvalLib.dose.doses import Doses, imported_doses, recalculated_doses
from SyntheticCTEvalLib.dose.moved import MOVED_DEFINITION, moved_dose
from SyntheticCTEvalLib.dose.overrides import dosed_structures, overridden
from SyntheticCTEvalLib.gamma.comparison import (
    DoseComparison,
    compare_doses,
    gamma_definitions,
)
from SyntheticCTEvalLib.gamma.hot_spots import HOT_SPOTS_DEFINITION
from SyntheticCTEvalLib.image.background import background_hu, background_warning, filled_warning
from SyntheticCTEvalLib.image.difference import marked_difference
from SyntheticCTEvalLib.image.rigid_alone import RIGID_DEFINITIONS, rigid_figures
from SyntheticCTEvalLib.image.similarity import DEFINITIONS, compare_images
from SyntheticCTEvalLib.montecarlo.batches import Effort
from SyntheticCTEvalLib.montecarlo.recalculation import NOISE_DEFINITIONS, doses_by_montecarlo
from SyntheticCTEvalLib.placement.bending import BENDING_DEFINITIONS, bending_figures
from SyntheticCTEvalLib.placement.coverage import (
    COVERAGE_DEFINITIONS,
    Coverage,
    completed,
    coverage_of,
)
from SyntheticCTEvalLib.placement.place import Placed
from SyntheticCTEvalLib.placement.ways import place_definition
from SyntheticCTEvalLib.plan.beams import TreatmentPlan
from SyntheticCTEvalLib.plan.field_ends import require_ct_around_fields
from SyntheticCTEvalLib.structures.dvh import (
    DVH_DEFINITIONS,
    StructureDvhs,
    compare_dvhs,
    dvh_metrics,
)
from SyntheticCTEvalLib.structures.dvh_points import DvhPoints
from SyntheticCTEvalLib.structures.target import describe_target

from .checked import checked_inputs, require_plan
from .placing import laid_on_ct, mirrored, registration_of
from .results import CandidateResult, Evaluation, Moved
from .settings import DEFAULT_PRESCRIPTION_GY, MONTE_CARLO, EvaluationSettings


def evaluate(
    ct: sitk.Image,
    candidates: Mapping[str, sitk.Image],
    *,
    dose_ct: sitk.Image | None = None,
    doses: Mapping[str, sitk.Image] | None = None,
    structures: Mapping[str, sitk.Image] | None = None,
    region: sitk.Image | None = None,
    mr: sitk.Image | None = None,
    plan: TreatmentPlan | None = None,
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
        plan: whose dose is recalculated by the engine that settings ask for; without one, the
            pencil beam has seven fields of its own.
        mr, histograms: shown, not evaluated; the MR carries candidates where settings say so.

    Raises:
        SyntheticCTError: a true CT that is not in HU, no overlap, an unknown target, an empty
            region; by the MR, no MR or a candidate that does not lie in its space.
    """
    settings = (settings or EvaluationSettings()).for_plan(None if dose_ct else plan)
    progress = NotedProgress(progress)
    structures = dict(structures or {})
    sound = checked_inputs(ct, candidates, mr, structures, settings, progress)
    ct, known, body, target = sound.ct, sound.known, sound.body, sound.target
    require_plan(None if dose_ct else plan, sound, settings)  # doubts are told with its dose
    placement = laid_on_ct(ct, candidates, mr, settings, progress)
    placed = placement.candidates
    coverage = coverage_of(ct, body, placed, region, progress, known)
    bent = bending_figures(placement, body, progress)
    results = {n: _image(ct, body, n, p, coverage, bent[n], progress) for n, p in placed.items()}
    common = _mask(coverage.common, ct) if coverage.differs else None
    given, gamma, dvhs, dosed, notes = None, {}, {}, {}, []
    if settings.dose:
        dosed = structures
        if dose_ct is None:
            dosed = dosed_structures(settings.overrides, structures, body, progress)
            masks = {name: _mask(voxels, ct) for name, voxels in coverage.each.items()}
            at = structures, dosed, target, common
            given = _recalculated(ct, body, results, placed, at, plan, masks, settings, progress)
        else:
            masks = dict.fromkeys(candidates, region)
            at = (target, structures[target]) if target else None
            given = _imported(ct, body, dose_ct, doses or {}, placed, at, settings)
        gamma = _gamma(given, masks, settings, progress)
        dvhs, notes = _histograms(given, dosed, settings.dvh_points, target, progress)
    origins, told = _origins(settings, given, structures, imported=dose_ct is not None)
    for note in [*(given.notes if given else []), *notes, *told]:
        progress.warn(note)
    return Evaluation(
        ct=ct,
        body=body,
        candidates={
            n: _with_dose(r, given, gamma.get(n), dosed, dvhs, common) for n, r in results.items()
        },
        dose_ct=given.reference if given else None,
        mr=mr,
        **registration_of(placement, settings, bent),
        histograms=histograms,
        structures=structures,
        target=target,
        dvh_ct={structure: found.ct for structure, found in dvhs.items()},
        dvh_points=settings.dvh_points,
        prescription_gy=given.prescription_gy if given else None,
        prescription_kind=settings.prescription_kind(dose_ct is not None) if given else "",
        definitions=_definitions(settings, coverage, given, gamma, dvhs) | origins,
        notes=progress.warnings,
    )


def _image(
    ct: sitk.Image,
    body: sitk.Image,
    name: str,
    placed: Placed,
    coverage: Coverage,
    bent: dict[str, float],
    progress: Progress,
) -> CandidateResult:
    covered = coverage.each[name]
    region = _mask(covered, ct)
    given = _mask(placed.covered, ct)
    told = [
        background_warning(name, ct, placed.raw, body, given),
        filled_warning(name, ct, placed.volume, body, given),
        mirrored(name, ct, body, placed),
    ]
    for sentence in filter(None, told):
        progress.warn(sentence)
    own_body = body_contour(completed(placed.volume, ct, placed.covered), "CT")
    metrics = compare_images(ct, placed.volume, body, own_body, region)
    metrics["background_hu"] = background_hu(ct, placed.raw, body, region)
    metrics["coverage_body_percent"] = round(coverage.percent[name], 3)
    if placed.stiff is not None:
        stiff_body = body_contour(completed(placed.stiff, ct, placed.covered), "CT")
        metrics |= rigid_figures(ct, placed.stiff, body, stiff_body, region)
    metrics |= bent
    if coverage.differs:
        shared = _mask(coverage.common, ct)
        common = compare_images(ct, placed.volume, body, own_body, shared)
        common["background_hu"] = background_hu(ct, placed.raw, body, shared)
        metrics["common"] = {key: value for key, value in common.items() if np.isscalar(value)}
    difference = marked_difference(placed.volume, ct, covered)
    return CandidateResult(
        name,
        placed.volume,
        difference,
        own_body,
        metrics=metrics,
        moved=Moved(placed.original, placed.registration),
    )


def _recalculated(
    ct: sitk.Image,
    body: sitk.Image,
    results: Mapping[str, CandidateResult],
    placed: Mapping[str, Placed],
    given: tuple[Mapping[str, sitk.Image], Mapping[str, sitk.Image], str | None, sitk.Image | None],
    plan: TreatmentPlan | None,
    masks: Mapping[str, sitk.Image | None],
    settings: EvaluationSettings,
    progress: Progress,
) -> Doses:
    structures, dosed, target, common = given
    volumes = {n: (completed(r.volume, ct, placed[n].covered), r.body) for n, r in results.items()}
    how = {"curve": settings.curve, "progress": progress}
    laid = overridden(settings.overrides, structures, ct, body, volumes, **how)
    how = {"spacing_mm": settings.dose_spacing_mm, "progress": progress}
    if settings.dose_engine == MONTE_CARLO:
        doses = doses_by_montecarlo(
            plan,
            *laid[:3],
            settings.prescription_gy,
            settings.gamma_criteria,
            masks,
            structures=dosed,
            common=common,
            effort=Effort(settings.dose_noise_percent, settings.dose_minutes),
            curve=settings.curve,
            leaf_transmission=settings.leaf_transmission_percent / 100,
            **how,
        )
    elif plan is not None:
        require_ct_around_fields(plan, body, progress)
        doses = doses_of_plan(plan, *laid[:3], settings.prescription_gy, **how)
    else:
        doses = recalculated_doses(
            *laid[:3],
            structures[target] if target else None,
            settings.prescription_gy or DEFAULT_PRESCRIPTION_GY,
            **how,
        )
    doses = laid.told_of(doses)
    if plan is not None:
        doses.notes.extend(notes_of_plan(plan, body, doses.reference, doses.prescription_gy))
    inside = sitk.GetArrayViewFromImage(body) > 0
    doses.notes.extend(
        f"{name} does not cover the whole body on the CT; for its dose, the true CT was taken "
        "where it does not, and gamma leaves those voxels out."
        for name, candidate in placed.items()
        if not candidate.covered[inside].all()
    )
    return doses


def _imported(
    ct: sitk.Image,
    body: sitk.Image,
    dose_ct: sitk.Image,
    doses: Mapping[str, sitk.Image],
    placed: Mapping[str, Placed],
    target: tuple[str, sitk.Image] | None,
    settings: EvaluationSettings,
) -> Doses:
    """Return given doses, those of the candidates where these have been laid."""
    own = dict(doses)
    for name in own.keys() & placed.keys():
        if found := placed[name].registration:
            bending = found.transform if found.deformed else None
            own[name] = moved_dose(own[name], found.rigid, bending)
    names, prescription = list(placed), settings.prescription_gy
    given = imported_doses(ct, body, dose_ct, own, names, prescription, target)
    if not settings.registered:
        return given
    return replace(given, definition=f"{given.definition} {MOVED_DEFINITION}")


def _gamma(
    given: Doses,
    masks: Mapping[str, sitk.Image | None],
    settings: EvaluationSettings,
    progress: Progress,
) -> dict[str, DoseComparison]:
    criteria = settings.gamma_criteria(given.prescription_gy)
    doses = given.reference, given.evaluated
    return compare_doses(*doses, criteria, masks, engine=settings.gamma_engine, progress=progress)


def _histograms(
    doses: Doses,
    structures: Mapping[str, sitk.Image],
    points: str,
    target: str | None,
    progress: Progress,
) -> tuple[dict[str, StructureDvhs], list[str]]:
    """Return the histograms of every structure, and notes on them and on the points asked for."""
    if not structures:
        return {}, []
    progress.report("Dose-volume histograms", 0)
    dvhs, notes = compare_dvhs(doses.reference, doses.evaluated, structures)
    asked, dose = DvhPoints.parse(points), doses.prescription_gy
    notes += asked.notes({name: found.ct for name, found in dvhs.items()}, dose, target)
    progress.report("Dose-volume histograms", 1)
    return {
        name: replace(found, points=asked.for_structure(name, dose, target))
        for name, found in dvhs.items()
    }, notes


def _with_dose(
    result: CandidateResult,
    doses: Doses | None,
    compared: DoseComparison | None,
    structures: Mapping[str, sitk.Image],
    dvhs: Mapping[str, StructureDvhs],
    common: sitk.Image | None,
) -> CandidateResult:
    """Return a candidate's image figures together with those of its dose.

    Args:
        common: what all candidates cover, where that is not what each covers.
    """
    if compared is None:
        return result
    metrics = result.metrics | compared.rates(doses.reference, structures)
    noise = dict(doses.noise.get(result.name, {}))
    noise_of_common = noise.pop("common", {})
    metrics |= noise
    if common is not None:
        rates = compared.rates_inside(doses.reference, common)
        metrics["common"] = metrics["common"] | rates | noise_of_common
    if dvhs:
        metrics["dvh"] = {
            structure: dvh_metrics(
                found.candidates[result.name],
                found.same_part[result.name],
                doses.prescription_gy,
                found.points,
            )
            for structure, found in dvhs.items()
        }
    return replace(
        result,
        dose=doses.evaluated[result.name],
        dose_difference=compared.difference,
        gamma=compared.gamma,
        hot_spots=compared.hot_spots,
        dvh={structure: found.candidates[result.name] for structure, found in dvhs.items()},
        metrics=metrics,
    )


def _origins(
    settings: EvaluationSettings,
    doses: Doses | None,
    structures: Mapping[str, sitk.Image],
    imported: bool,
) -> tuple[dict[str, str], list[str]]:
    """Return the lines that say where prescription and target come from, and notes."""
    lines, notes = {}, []
    if structures:
        lines["target"], notes = describe_target(structures, settings.target)
    left_out = settings.left_out(doses is not None and not imported, bool(structures and doses))
    notes += left_out
    if doses is None:
        return lines, ["Dose was not evaluated, as asked for.", *left_out]
    lines["prescription_gy"] = settings.prescription_origin(imported)
    if settings.prescription_gy is None:
        notes.append(
            f"{lines['prescription_gy']} Gamma's percentages and cutoffs, isodoses and "
            "dose-volume figures refer to it."
        )
    return lines, notes


def _definitions(
    settings: EvaluationSettings,
    coverage: Coverage,
    doses: Doses | None,
    gamma: Mapping[str, DoseComparison],
    dvhs: Mapping[str, StructureDvhs],
) -> dict[str, str]:
    """Return one line a number, from the rooms that made the numbers."""
    lines = DEFINITIONS | COVERAGE_DEFINITIONS
    lines |= {
        "registration": place_definition(settings.registration, settings.registration_by),
        "region": coverage.definition,
    }
    if settings.registered:
        lines |= BENDING_DEFINITIONS | RIGID_DEFINITIONS
    if doses:
        lines["dose"] = doses.definition
        lines |= NOISE_DEFINITIONS if doses.noise else {}
    if gamma:
        lines |= gamma_definitions(gamma) | {"hot_spots": HOT_SPOTS_DEFINITION}
    return lines | (DVH_DEFINITIONS if dvhs else {})


def _mask(voxels: np.ndarray, ct: sitk.Image) -> sitk.Image:
    return image_like(voxels.astype(np.uint8), ct)
