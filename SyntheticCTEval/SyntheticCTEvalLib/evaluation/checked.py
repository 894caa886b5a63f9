"""Inputs held against what they must be, before anything is registered or computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import SILENT, Progress
from SyntheticCTLib.body.contour import body_contour
from SyntheticCTLib.volumes.checks import MASKED, filled, not_finite
from SyntheticCTLib.volumes.hounsfield import require_hu
from SyntheticCTLib.volumes.marks import look_alike_note, outside_domain_note

from SyntheticCTEvalLib.dose.overrides import require_overrides
from SyntheticCTEvalLib.montecarlo.spectrum import require_spectra
from SyntheticCTEvalLib.plan.beams import TreatmentPlan
from SyntheticCTEvalLib.plan.field_ends import require_ct_around_fields
from SyntheticCTEvalLib.plan.prescription import prescription_of
from SyntheticCTEvalLib.plan.reading import require_frame_of
from SyntheticCTEvalLib.structures.target import find_target

from .same_inputs import warn_of_same_inputs
from .settings import MONTE_CARLO, EvaluationSettings


@dataclass(frozen=True)
class Checked:
    """Inputs that can be evaluated.

    Attributes:
        ct: true CT, without voxels that are no numbers.
        known: voxels (k, j, i) that were numbers; None where all were.
        body: body contour on it.
        target: name of the structure that is the target; None for none.
    """

    ct: sitk.Image
    known: np.ndarray | None
    body: sitk.Image
    target: str | None


def checked_inputs(
    ct: sitk.Image,
    candidates: Mapping[str, sitk.Image],
    mr: sitk.Image | None,
    structures: Mapping[str, sitk.Image],
    settings: EvaluationSettings,
    progress: Progress,
) -> Checked:
    """Return the inputs as they can be evaluated; ``progress`` is warned of what is doubtful.

    Raises:
        SyntheticCTError: voxels that are no numbers, a true CT that is not in HU or holds no
            body, an unknown target, an override of a structure that cannot be one.
    """
    ct, known = _numbers(ct, candidates, settings.mask_nan, progress)
    require_hu(ct, "true CT", progress)
    marks = (look_alike_note, outside_domain_note)
    for note in (told(name, image) for name, image in candidates.items() for told in marks):
        if note:
            progress.warn(note)
    found = find_target(structures, settings.target)
    progress.report("Body contour", 0)
    body = body_contour(ct, "CT")
    progress.report("Body contour", 1)
    curve = settings.curve
    require_overrides(settings.overrides, structures, ct, body, curve)
    warn_of_same_inputs(ct, body, candidates, mr, progress)
    return Checked(ct, known, body, found)


def require_plan(
    plan: TreatmentPlan | None,
    sound: Checked,
    settings: EvaluationSettings,
    progress: Progress = SILENT,
) -> None:
    """Refuse a plan whose dose could not be calculated on a true CT, or be judged.

    What the calculation itself refuses, asked before anything is registered.

    Args:
        plan: whose dose is to be calculated; None where none is.
        progress: is warned of what is doubtful, as by the calculation.

    Raises:
        SyntheticCTError: nothing says what is prescribed; the plan is of another frame of
            reference or position; an energy without spectrum, where that is needed; a CT that
            ends inside a field.
    """
    if plan is None or not settings.dose:
        return
    prescription_of(plan, settings.prescription_gy)
    require_frame_of(plan, sound.ct, progress)
    if settings.dose_engine == MONTE_CARLO:
        require_spectra(plan)
    require_ct_around_fields(plan, sound.body, progress)


def _numbers(
    ct: sitk.Image, candidates: Mapping[str, sitk.Image], mask_nan: bool, progress: Progress
) -> tuple[sitk.Image, np.ndarray | None]:
    """Return the true CT as checks.filled does; refuse voxels without a number, or name them."""
    for what, image in {"true CT": ct, **candidates}.items():
        count = np.count_nonzero(~np.isfinite(sitk.GetArrayViewFromImage(image)))
        if count and not mask_nan:
            raise SyntheticCTError(not_finite(what, count, offered=True))
        if count:
            what = f"The {what}" if image is ct else what
            progress.warn(MASKED.format(what=what, count=count, s="s" if count > 1 else ""))
    return filled(ct)
