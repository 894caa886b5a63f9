"""The doses that are compared, of a plan that is given: on the true CT, and on every candidate."""

from __future__ import annotations

from collections.abc import Mapping

import SimpleITK as sitk
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import SILENT, Progress

from SyntheticCTEvalLib.dose.doses import Doses
from SyntheticCTEvalLib.dose.recalculation import dose_grid
from SyntheticCTEvalLib.plan.beams import TreatmentPlan
from SyntheticCTEvalLib.plan.reading import require_frame_of

from .dose import delivery_notes, describe_plan, recalculate_plan
from .ends import require_ct_around


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
        SyntheticCTError: the plan is of another frame of reference, misses the body or its CT
            ends inside a field, or it does not say what is prescribed where nothing else does.
    """
    require_frame_of(plan, ct, progress)
    require_ct_around(plan, body)
    prescription = prescription_gy or plan.prescription_gy
    if prescription is None:
        raise SyntheticCTError(
            "The plan does not say which dose is prescribed, and percentages refer to it: give the "
            "prescription in Gy yourself."
        )
    grid = dose_grid(body, spacing_mm)
    progress.report("Dose on CT", 0)
    reference = recalculate_plan(ct, plan, body, grid, progress)
    evaluated = {}
    for name, (volume, own_body) in candidates.items():
        progress.report(f"Dose on {name}", 0)
        evaluated[name] = recalculate_plan(volume, plan, own_body, grid, progress)
        progress.report(f"Dose on {name}", 1)
    notes = delivery_notes(plan)
    return Doses(reference, evaluated, prescription, describe_plan(plan, grid), notes)
