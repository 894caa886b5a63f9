"""The doses that are compared: one on the true CT, one on every candidate."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import SimpleITK as sitk
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import SILENT, Progress
from SyntheticCTLib.dicom.frame_of_reference import frames_differ
from SyntheticCTLib.volumes.resampling import resample

from .electron_density import notes_beyond_curve
from .plausibility import (
    notes_of,
    notes_of_pair,
    notes_of_prescription,
    notes_of_target,
    require_possible,
)
from .recalculation import describe, dose_grid, plan_for_target, recalculate_dose

_IMPORTED = "Imported"


def is_imported(definition: str) -> bool:
    """Whether a definition (:attr:`Doses.definition`) is that of doses that were given."""
    return definition.startswith(_IMPORTED)


@dataclass(frozen=True)
class Doses:
    """Doses in Gy on grids of their own.

    Attributes:
        reference: on the true CT.
        evaluated: on the candidates, by name; those without a dose are absent.
        prescription_gy: what percentages and cutoffs refer to.
        definition: the line that says where the doses come from.
        notes: what the reader must know.
        noise: of the pass rates by candidate, as metrics.json holds it, where doses have noise.
    """

    reference: sitk.Image
    evaluated: dict[str, sitk.Image]
    prescription_gy: float
    definition: str
    notes: list[str] = field(default_factory=list)
    noise: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)


def recalculated_doses(
    ct: sitk.Image,
    body: sitk.Image,
    candidates: Mapping[str, tuple[sitk.Image, sitk.Image]],
    target: sitk.Image | None,
    prescription_gy: float,
    *,
    spacing_mm: float = 3.0,
    progress: Progress = SILENT,
) -> Doses:
    """Compute dose on the true CT and on every candidate with one plan.

    Args:
        body: body contour on the true CT.
        candidates: volume in HU and body contour by name, on the CT's grid.
        target: mask that the fields are shaped to; the body's middle when None.
    """
    grid = dose_grid(body, spacing_mm)
    progress.report("Plan and dose on CT", 0)
    plan, reference = plan_for_target(target, ct, body, prescription_gy, grid=grid)
    progress.report("Plan and dose on CT", 1)
    evaluated = dose_on_each(
        candidates,
        lambda volume, own_body: recalculate_dose(volume, plan, own_body, grid),
        progress,
    )
    notes = notes_beyond_curve({"the true CT": (ct, body), **candidates})
    return Doses(reference, evaluated, prescription_gy, describe(plan, grid), notes)


def dose_on_each(
    candidates: Mapping[str, tuple[sitk.Image, sitk.Image]],
    calculate: Callable[[sitk.Image, sitk.Image], sitk.Image],
    progress: Progress,
) -> dict[str, sitk.Image]:
    """Return the dose on every candidate, by name.

    Args:
        candidates: volume in HU and body contour by name.
        calculate: of a volume and its body.
    """
    found = {}
    for name, (volume, body) in candidates.items():
        progress.report(f"Dose on {name}", 0)
        found[name] = calculate(volume, body)
        progress.report(f"Dose on {name}", 1)
    return found


def imported_doses(
    ct: sitk.Image,
    body: sitk.Image,
    reference: sitk.Image,
    doses: Mapping[str, sitk.Image],
    names: list[str],
    prescription_gy: float | None,
    target: tuple[str, sitk.Image] | None = None,
) -> Doses:
    """Return doses that were given, checked against the CT that they should lie on.

    Args:
        names: of the candidates; those without a dose are noted.
        prescription_gy: the largest reference dose when None.
        target: name and mask of the structure that should get the prescription.

    Raises:
        SyntheticCTError: the dose on the true CT does not reach the body, or a dose cannot be
            one (see plausibility.require_possible).
    """
    given = {name: doses[name] for name in names if name in doses}
    every = {"the true CT": reference, **given}
    for whose, dose in every.items():
        require_possible(dose, f"dose on {whose}")
    largest = float(sitk.GetArrayViewFromImage(reference).max())
    inside = resample(body, reference, fill=0, nearest=True)
    if not sitk.GetArrayViewFromImage(inside).any():
        raise SyntheticCTError(
            "The dose on the true CT does not reach the body in the CT: check that both belong to "
            "the same patient and frame."
        )
    notes = [note for whose, dose in every.items() for note in notes_of(dose, whose)]
    for name, dose in given.items():
        notes += notes_of_pair(reference, dose, name)
    if prescription_gy:
        notes += notes_of_prescription(reference, prescription_gy)
    if target:
        for whose, dose in every.items():
            notes += notes_of_target(dose, whose, *target, prescription_gy or largest)
    if frames_differ(reference, ct):
        notes.append(
            "The dose on the true CT and the CT are of different frames of reference: check that "
            "the dose lies where it should."
        )
    notes += [
        f"No dose was given for {name}, so its gamma is left out."
        for name in names
        if name not in doses
    ]
    definition = f"{_IMPORTED}; largest dose on the true CT {largest:.2f} Gy."
    return Doses(reference, given, prescription_gy or largest, definition, notes)
