"""How far candidates were moved and bent onto the true CT, and whether that can be."""

from __future__ import annotations

import SimpleITK as sitk
from SyntheticCTLib.basics.progress import SILENT, Progress
from SyntheticCTLib.registration.displacement import Displacement, displacement_inside
from SyntheticCTLib.registration.rigid_and_deformable import Registration

from .place import Placement
from .ways import MR

LARGEST_MM, LARGEST_MEAN_MM = 30.0, 6.0
JACOBIAN_RANGE = (0.4, 2.5)
"""What organs and posture do between an MR and a CT of one day; beyond it a note asks to look."""

BENDING_DEFINITIONS = {
    "displacement_mean_mm": (
        "Mean over the body on the true CT of the displacement of the deformable registration "
        "beyond its rigid part, in mm; 0 where nothing was bent."
    ),
    "displacement_max_mm": "Largest such displacement in the body, in mm.",
    "jacobian_min": (
        "Least Jacobian determinant of the registration in the body, from central differences "
        "between the voxels of the true CT: 1 keeps volumes, 0 and below folds."
    ),
    "jacobian_max": "Largest Jacobian determinant of the registration in the body.",
    "folding_percent": (
        "Share of the voxels of the body on the true CT at which the Jacobian determinant of the "
        "registration is 0 or below: what lies there was folded over, and no such place should be."
    ),
    "registration_dsc": (
        "The registration's check of itself, no figure of the candidate: Dice coefficient of rough "
        "outlines of candidate and true CT after the rigid part, in the field of view that both "
        "share; below 0.9 it counts as failed. The Dice of body contours is dsc_body, without "
        "bending dsc_body_rigid."
    ),
    "registration_overlap_percent": (
        "Share of the smaller body that lies in the other image's field of view after the rigid "
        "registration; below 60 % the registration counts as failed."
    ),
}


def bending_figures(
    placement: Placement, body: sitk.Image, progress: Progress = SILENT
) -> dict[str, dict[str, float]]:
    """Return the figures of :data:`BENDING_DEFINITIONS` by candidate, empty without registration.

    Those of the MR are under its name, where it carries the candidates. Warns, naming what was
    registered, where it was bent beyond what a patient does.
    """
    if placement.mr is None:
        return {
            name: _figures(found, _bent(name, found, body, progress)) if found else {}
            for name, placed in placement.candidates.items()
            for found in (placed.registration,)
        }
    everything = placement.candidates | {MR: placement.mr}
    if not (found := placement.mr.registration):
        return {name: {} for name in everything}
    bent = _bent(MR, found, body, progress)  # the transform is the same for all
    return {name: _figures(placed.registration, bent) for name, placed in everything.items()}


def _bent(name: str, found: Registration, body: sitk.Image, progress: Progress) -> Displacement:
    bent = displacement_inside(body, found.transform, found.rigid)
    low, high = JACOBIAN_RANGE
    if (
        bent.largest_mm > LARGEST_MM
        or bent.mean_mm > LARGEST_MEAN_MM
        or bent.least_jacobian < low
        or bent.largest_jacobian > high
    ):
        progress.warn(
            f"The registration bent {name} implausibly far onto the CT (mean {bent.mean_mm:.1f}, "
            f"largest {bent.largest_mm:.1f} mm in the body, volumes by {bent.least_jacobian:.2f} "
            f"to {bent.largest_jacobian:.2f}): its figures may be the registration's work; check "
            "that it is of this patient."
        )
    return bent


def _figures(found: Registration, bent: Displacement) -> dict[str, float]:
    return {
        "displacement_mean_mm": bent.mean_mm,
        "displacement_max_mm": bent.largest_mm,
        "jacobian_min": bent.least_jacobian,
        "jacobian_max": bent.largest_jacobian,
        "folding_percent": bent.folded_percent,
        "registration_dsc": found.agreement.body_dice,
        "registration_overlap_percent": 100 * found.agreement.overlap,
    }
