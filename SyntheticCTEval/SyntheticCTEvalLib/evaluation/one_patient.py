"""Evaluation of candidates against the true CT: registration, image, dose, gamma, DVH.

Source: paper, "Evaluation and implementation" and Figure 5: every candidate is registered onto
the true CT first, so that the comparison is of CT numbers and not of registrations.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from SyntheticCTLib.errors import SyntheticCTError
from SyntheticCTLib.frames import frames_differ
from SyntheticCTLib.progress import SILENT, NotedProgress, Progress
from SyntheticCTLib.registration import register
from SyntheticCTLib.resampling import HU_OUTSIDE, resample
from SyntheticCTLib.volumes import image_like, keep_marks

from .body import body_contour
from .dose import subtract_doses
from .dvh import DVH_DEFINITIONS, compare_dvhs, dvh_metrics
from .gamma import GammaCriteria, compute_gamma
from .hot_spots import HOT_SPOTS_DEFINITION, find_hot_spots
from .recalculation import describe, dose_grid, plan_for_target, recalculate_dose
from .results import CandidateResult, Evaluation
from .similarity import DEFINITIONS, compare_images

DEFAULT_PRESCRIPTION_GY = 45.0
"""Of the study (25 fractions of 1.8 Gy), used where dose is recalculated and none is given."""

TARGET_WORDS = ("ptv", "ctv", "gtv", "target")


@dataclass(frozen=True)
class EvaluationSettings:
    """How candidates are evaluated.

    Attributes:
        prescription_gy: prescription; None for 45 Gy where dose is recalculated, and for the
            largest reference dose where it is imported.
        register: register the candidates onto the CT, rigidly and then deformably.
        dose: evaluate dose, imported or recalculated.
        target: name of the structure that the fields are shaped to; found by name when None.
        dose_spacing_mm: grid of a recalculated dose.
        cutoffs_percent: lower dose cutoffs of the gamma pass rates, of the prescription.
        dose_percent, distance_mm, gamma_local, gamma_cap: gamma criterion; global to the
            prescription unless local.
        gamma_engine: "exact" or "pymedphys".

    Raises:
        SyntheticCTError: a prescription that is not above 0, or no gamma criterion.
    """

    prescription_gy: float | None = None
    register: bool = True
    dose: bool = True
    target: str | None = None
    dose_spacing_mm: float = 3.0
    cutoffs_percent: tuple[float, ...] = (10.0, 60.0)
    dose_percent: float = 1.0
    distance_mm: float = 1.0
    gamma_local: bool = False
    gamma_cap: float = 2.0
    gamma_engine: str = "exact"

    def __post_init__(self) -> None:
        dose = self.prescription_gy
        if dose is not None and not (math.isfinite(dose) and dose > 0):
            raise SyntheticCTError(
                f"The prescription is {dose:g} Gy: give a dose above 0, or none."
            )
        self.criteria(dose)

    def criteria(self, prescription_gy: float | None) -> GammaCriteria:
        """Return the gamma criterion for a prescription."""
        return GammaCriteria(
            dose_percent=self.dose_percent,
            distance_mm=self.distance_mm,
            local=self.gamma_local,
            normalization_gy=prescription_gy,
            cutoffs_percent=self.cutoffs_percent,
            cap=self.gamma_cap,
        )

    def purposes(self, imported: bool) -> list[str]:
        """Return what packages are needed for, as SyntheticCTMRML.packages names it.

        Args:
            imported: doses are given and not recalculated.
        """
        needed = {
            "evaluation": True,
            "registration": self.register,
            "recalculation": self.dose and not imported,
            "pymedphys": self.gamma_engine == "pymedphys",
        }
        return [purpose for purpose, asked in needed.items() if asked]


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
    result = Evaluation(
        ct=ct,
        body=body,
        candidates={},
        mr=mr,
        histograms=histograms,
        structures=structures,
        target=target,
    )
    result.definitions.update(DEFINITIONS)
    result.definitions["registration"] = (
        "Candidates registered onto the true CT: rigid (Mattes mutual information, SimpleITK), "
        "then B-spline in three resolution stages (mean squared error, plastimatch); linear "
        "interpolation once, -1024 HU outside the candidate."
        if settings.register
        else "None: the candidates were taken to lie on the true CT already."
    )
    placed, covered = {}, _mask_on(region, ct, "region")
    for name, candidate in candidates.items():
        placed[name], coverage = _place(ct, name, candidate, settings, progress)
        covered &= coverage
    inside = covered & (_array(body) > 0)
    if not inside.any():
        raise SyntheticCTError(
            "No voxel is left to evaluate: the candidates (or the region) do not cover the body "
            "on the CT; check that they belong to the same patient and frame."
        )
    evaluated = image_like(covered.astype(np.uint8), ct)
    share = 100 * inside.sum() / max(int((_array(body) > 0).sum()), 1)
    result.definitions["region"] = (
        "Every figure is over the voxels that all candidates cover"
        + (" inside the given region" if region is not None else "")
        + f": {share:.1f} % of the body on the true CT."
    )
    for name, volume in placed.items():
        candidate_body = body_contour(_completed(volume, ct, covered), "CT")
        result.candidates[name] = CandidateResult(
            name=name,
            volume=volume,
            difference=_marked_difference(volume, ct, covered),
            body=candidate_body,
            metrics=compare_images(ct, volume, body, candidate_body, region=evaluated),
        )
        result.candidates[name].metrics["coverage_body_percent"] = round(float(share), 3)
    if settings.dose:
        if dose_ct is None:
            _recalculate(result, evaluated, settings, progress)
        else:
            _import(result, dose_ct, dict(doses or {}), settings)
        _gamma(result, region if dose_ct is not None else evaluated, settings, progress)
        if result.structures:
            _dose_volumes(result, progress)
    else:
        result.notes.append("Dose was not evaluated, as asked for.")
    result.notes += [warning for warning in progress.warnings if warning not in result.notes]
    return result


def _place(
    ct: sitk.Image,
    name: str,
    candidate: sitk.Image,
    settings: EvaluationSettings,
    progress: Progress,
) -> tuple[sitk.Image, np.ndarray]:
    """Return a candidate on the CT's grid in HU and the voxels that it covers."""
    transform = None
    if float(sitk.GetArrayViewFromImage(candidate).min()) > -300:
        progress.warn(
            f"{name} holds no air (nothing below -300): check that it is a CT-like volume in HU."
        )
    if settings.register:
        progress.report(f"Register {name}", 0)
        found = register(ct, candidate, metric="mse", fill=HU_OUTSIDE, progress=progress)
        transform = found.transform
        if not found.deformed:
            progress.warn(f"{name} was registered onto the CT rigidly only.")
        progress.report(f"Register {name}", 1)
    # 16-bit whole numbers stay so; a cast to them would cut off fractions and wrap large values.
    whole = candidate.GetPixelID() == sitk.sitkInt16
    hu = candidate if whole else sitk.Cast(candidate, sitk.sitkFloat32)
    volume = resample(hu, ct, transform, fill=HU_OUTSIDE)
    ones = image_like(np.ones(candidate.GetSize()[::-1], np.uint8), candidate)
    coverage = sitk.GetArrayFromImage(resample(ones, ct, transform, fill=0, nearest=True)) > 0
    if not coverage.any():
        raise SyntheticCTError(
            f"The candidate {name} and the CT do not overlap: check that they belong to the same "
            "patient and frame."
        )
    return keep_marks(volume, candidate), coverage


def _completed(volume: sitk.Image, ct: sitk.Image, covered: np.ndarray) -> sitk.Image:
    """Return ``volume`` with the true CT where it was not ``covered``."""
    if covered.all():
        return volume
    return image_like(np.where(covered, _array(volume), _array(ct)).astype(np.float32), ct)


def _marked_difference(volume: sitk.Image, ct: sitk.Image, covered: np.ndarray) -> sitk.Image:
    difference = _array(volume).astype(np.float32) - _array(ct)
    difference[~covered] = np.nan
    return image_like(difference, ct)


def find_target(structures: Mapping[str, sitk.Image], name: str | None) -> str | None:
    """Return the name of the target among ``structures``; None where there is none.

    Raises:
        SyntheticCTError: ``name`` is not there.
    """
    if name is not None:
        if name not in structures:
            raise SyntheticCTError(
                f"The structures have no {name!r}: give one of "
                f"{', '.join(structures) or 'them with --structures'}."
            )
        return name
    for word in TARGET_WORDS:
        for structure in structures:
            if word in structure.lower():
                return structure
    return None


def _recalculate(
    result: Evaluation, evaluated: sitk.Image, settings: EvaluationSettings, progress: Progress
) -> None:
    """Compute dose on the true CT and on every candidate with one plan."""
    result.prescription_gy = settings.prescription_gy or DEFAULT_PRESCRIPTION_GY
    target = result.target
    grid = dose_grid(result.body, settings.dose_spacing_mm)
    progress.report("Plan and dose on CT", 0)
    plan, result.dose_ct = plan_for_target(
        result.structures.get(target) if target else None,
        result.ct,
        result.body,
        result.prescription_gy,
        grid=grid,
    )
    progress.report("Plan and dose on CT", 1)
    result.definitions["dose"] = describe(plan, grid)
    covered = _array(evaluated) > 0
    if (~covered & (_array(result.body) > 0)).any():
        result.notes.append(
            "The candidates do not cover the whole body on the CT; for dose, the true CT was "
            "taken where they do not, and gamma leaves those voxels out."
        )
    for name, candidate in result.candidates.items():
        progress.report(f"Dose on {name}", 0)
        completed = _completed(candidate.volume, result.ct, covered)
        candidate.dose = recalculate_dose(completed, plan, candidate.body, grid)
        progress.report(f"Dose on {name}", 1)


def _import(
    result: Evaluation,
    dose_ct: sitk.Image,
    doses: dict[str, sitk.Image],
    settings: EvaluationSettings,
) -> None:
    largest = float(_array(dose_ct).max())
    result.prescription_gy = settings.prescription_gy or largest
    result.dose_ct = dose_ct
    inside = resample(result.body, dose_ct, fill=0, nearest=True)
    if not sitk.GetArrayViewFromImage(inside).any():
        raise SyntheticCTError(
            "The dose on the true CT does not reach the body in the CT: check that both belong to "
            "the same patient and frame."
        )
    if frames_differ(dose_ct, result.ct):
        result.notes.append(
            "The dose on the true CT and the CT are of different frames of reference: check that "
            "the dose lies where it should."
        )
    result.definitions["dose"] = f"Imported; largest dose on the true CT {largest:.2f} Gy." + (
        ""
        if settings.prescription_gy
        else " No prescription was given: the largest dose stands for it."
    )
    for name, candidate in result.candidates.items():
        candidate.dose = doses.get(name)
        if candidate.dose is None:
            result.notes.append(f"No dose was given for {name}, so its gamma is left out.")


def _gamma(
    result: Evaluation,
    mask: sitk.Image | None,
    settings: EvaluationSettings,
    progress: Progress,
) -> None:
    criteria = settings.criteria(result.prescription_gy)
    for name, candidate in result.candidates.items():
        if candidate.dose is None:
            continue
        progress.report(f"Gamma of {name}", 0)
        candidate.gamma = compute_gamma(
            result.dose_ct,
            candidate.dose,
            criteria,
            mask,
            engine=settings.gamma_engine,
            progress=progress,
        )
        progress.report(f"Gamma of {name}", 1)
        candidate.dose_difference = subtract_doses(candidate.dose, result.dose_ct)
        candidate.hot_spots = find_hot_spots(candidate.gamma.gamma)
        result.definitions["gpr"] = candidate.gamma.definition
        result.definitions["hot_spots"] = HOT_SPOTS_DEFINITION
        candidate.metrics["gpr"] = {
            f"{cutoff:g}": rate for cutoff, rate in candidate.gamma.pass_rates.items()
        }


def _dose_volumes(result: Evaluation, progress: Progress) -> None:
    """Compute the dose-volume histograms of every structure, on CT and candidates."""
    progress.report("Dose-volume histograms", 0)
    doses = {name: c.dose for name, c in result.candidates.items() if c.dose is not None}
    found, notes = compare_dvhs(result.dose_ct, doses, result.structures)
    result.notes += notes
    result.definitions.update(DVH_DEFINITIONS)
    result.dvh_ct = {structure: dvhs[""] for structure, dvhs in found.items()}
    for name in doses:
        candidate = result.candidates[name]
        candidate.dvh = {structure: dvhs[name] for structure, dvhs in found.items()}
        candidate.metrics["dvh"] = {
            structure: dvh_metrics(dvh, result.dvh_ct[structure], result.prescription_gy)
            for structure, dvh in candidate.dvh.items()
        }
    progress.report("Dose-volume histograms", 1)


def _mask_on(mask: sitk.Image | None, reference: sitk.Image, what: str) -> np.ndarray:
    if mask is None:
        return np.ones(reference.GetSize()[::-1], bool)
    binary = sitk.Cast(mask != 0, sitk.sitkUInt8)
    placed = resample(binary, reference, fill=0, nearest=True)
    array = _array(placed) > 0
    if not array.any():
        raise SyntheticCTError(f"The {what} holds no voxel of the CT: check its frame.")
    return array


def _array(image: sitk.Image) -> np.ndarray:
    return sitk.GetArrayViewFromImage(image)
