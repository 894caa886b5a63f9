"""The doses that are compared, of a plan that is given: on the true CT, and on every candidate."""

from __future__ import annotations

from collections.abc import Mapping

import SimpleITK as sitk
from SyntheticCTLib.basics.progress import SILENT, Progress

from SyntheticCTEvalLib.dose.doses import Doses, dose_on_each
from SyntheticCTEvalLib.dose.electron_density import notes_beyond_curve
from SyntheticCTEvalLib.dose.plausibility import notes_of_prescription
from SyntheticCTEvalLib.dose.recalculation import dose_grid
from SyntheticCTEvalLib.plan.beams import TreatmentPlan
from SyntheticCTEvalLib.plan.prescription import prescription_of
from SyntheticCTEvalLib.plan.reading import require_frame_of

from .dose import delivery_notes, describe_plan, recalculate_plan

_SAME_SHARE = 0.005


def doses_of_plan(
    plan: TreatmentPlan,
    ct: sitk.Image,
    body: sitk.Image,
    candidates: Mapping[str, tuple[sitk.Image, sitk.Image]],
    prescription_gy: float | None,
    *,
    spacing_mm: float = 3.0,
    progress: Progress = SILENT,
) -> Doses:
    """Compute the dose of a plan on the true CT and on every candidate by the pencil beam.

    Args:
        body: body contour on the true CT.
        candidates: volume in HU and body contour by name, on the CT's grid.
        prescription_gy: the plan's highest level when None.

    Raises:
        SyntheticCTError: the plan is of another frame of reference or misses the body, or it does
            not say what is prescribed where nothing else does.
    """
    require_frame_of(plan, ct, progress)
    prescription = prescription_of(plan, prescription_gy)
    grid = dose_grid(body, spacing_mm)
    progress.report("Dose on CT", 0)
    reference = recalculate_plan(ct, plan, body, grid, progress)
    evaluated = dose_on_each(
        candidates,
        lambda volume, own_body: recalculate_plan(volume, plan, own_body, grid, progress),
        progress,
    )
    notes = delivery_notes(plan) + notes_beyond_curve({"the true CT": (ct, body), **candidates})
    return Doses(reference, evaluated, prescription, describe_plan(plan, grid), notes)


def notes_of_plan(
    plan: TreatmentPlan, body: sitk.Image, dose: sitk.Image, prescription_gy: float | None
) -> list[str]:
    """Return what makes one doubt that a plan belongs to a CT, or a prescription to the plan.

    Args:
        body: mask of the body on the true CT.
        dose: of the plan on the true CT, in Gy.
        prescription_gy: that percentages refer to; None where there are none.
    """
    notes = [
        f"The isocentre of {beams} lies outside the body on the CT, at {place} mm (LPS): what "
        "misses the body gives no dose; check that the plan was made on this CT."
        for place, beams in _outside(plan, body).items()
    ]
    if prescription_gy is None:
        return notes
    own = plan.prescription_gy
    if own and abs(own - prescription_gy) > _SAME_SHARE * own:
        notes.append(
            f"The prescription that was given is {prescription_gy:g} Gy, and the plan's highest "
            f"level is {own:g} Gy: percentages and cutoffs refer to the one that was given."
        )
    groups = {beam.fraction_group for beam in plan.beams}
    if own and own == prescription_gy and len(groups) > 1:
        notes.append(
            f"The plan has {len(groups)} fraction groups, whose doses are added up, and the "
            f"prescription is the plan's highest level, {own:g} Gy: where its levels are those of "
            "single groups, give the prescription of the whole course yourself."
        )
    return notes + notes_of_prescription(dose, prescription_gy)


def _outside(plan: TreatmentPlan, body: sitk.Image) -> dict[str, str]:
    """Beams by the isocentre that does not lie in the body."""
    inside = sitk.GetArrayViewFromImage(body)
    found: dict[str, list[str]] = {}
    for beam in plan.beams:
        index = body.TransformPhysicalPointToIndex(beam.isocentre_mm)
        there = all(0 <= n < size for n, size in zip(index, body.GetSize(), strict=True))
        if not (there and inside[index[::-1]]):
            place = ", ".join(f"{value:g}" for value in beam.isocentre_mm)
            found.setdefault(place, []).append(f"beam {beam.number} ({beam.name})")
    return {place: ", ".join(dict.fromkeys(beams)) for place, beams in found.items()}
