"""Candidates laid on the true CT: registered, resampled once, and what they cover told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import SILENT, Progress
from SyntheticCTLib.registration.rigid_and_deformable import Registration
from SyntheticCTLib.registration.rigid_and_deformable import register as register_onto
from SyntheticCTLib.volumes.checks import filled
from SyntheticCTLib.volumes.marks import keep_marks
from SyntheticCTLib.volumes.resampling import HU_OUTSIDE, floored, reached, resample


@dataclass(frozen=True)
class Placed:
    """A candidate on the true CT's grid.

    Attributes:
        volume: CT numbers in HU, -1024 where the candidate does not reach or holds less.
        raw: like ``volume`` with the candidate's own values, of the nearest voxels, where it holds
            less than -1024; elsewhere ``volume`` itself.
        covered: voxels (k, j, i) that the candidate covers.
        registration: how it came there; None where it was taken to lie there already.
        stiff: like ``volume``, by the rigid part alone; None where nothing was bent.
    """

    volume: sitk.Image
    raw: sitk.Image
    covered: np.ndarray
    registration: Registration | None = None
    stiff: sitk.Image | None = None


def place_definition(registered: bool) -> str:
    """Return the line that says how candidates came to lie on the true CT."""
    if not registered:
        return "None: the candidates were taken to lie on the true CT already."
    return (
        "Candidates registered onto the true CT: rigid (Mattes mutual information, SimpleITK; from "
        "turned starts too where the bodies do not agree), then B-spline in three resolution "
        "stages (mean squared error, plastimatch); values below -1024 HU set to that, then "
        "linear interpolation once, -1024 HU outside the candidate. Each candidate is bent by its "
        "own differences from the true CT, which makes the figures better than they are without: "
        "how far, and what the rigid part alone gives, stands beside them."
    )


def place_candidates(
    ct: sitk.Image,
    candidates: Mapping[str, sitk.Image],
    *,
    register: bool = True,
    progress: Progress = SILENT,
) -> dict[str, Placed]:
    """Lay every candidate on the true CT.

    Args:
        candidates: volumes in HU by name, on any grids; they do not cover what is NaN.
        register: rigidly and then deformably; otherwise they are taken to lie there already.

    Raises:
        SyntheticCTError: a candidate and the CT do not overlap.
    """
    return {name: _place(ct, name, c, register, progress) for name, c in candidates.items()}


def _place(
    ct: sitk.Image, name: str, candidate: sitk.Image, registered: bool, progress: Progress
) -> Placed:
    candidate, known = filled(candidate)
    found = None
    if registered:
        progress.report(f"Register {name}", 0)
        found = register_onto(
            ct, candidate, metric="mse", fill=HU_OUTSIDE, name=name, progress=progress
        )
        if not found.deformed and not found.agreement.failed:
            progress.warn(f"{name} was registered onto the CT rigidly only.")
        progress.report(f"Register {name}", 1)
    # 16-bit whole numbers stay so; a cast to them would cut off fractions and wrap large values.
    whole = candidate.GetPixelID() == sitk.sitkInt16
    own = candidate if whole else sitk.Cast(candidate, sitk.sitkFloat32)
    hu = floored(own)
    transform = found.transform if found else None
    volume = keep_marks(resample(hu, ct, transform, fill=HU_OUTSIDE), candidate)
    raw = volume
    if hu is not own:
        raw = resample(own, ct, transform, fill=HU_OUTSIDE, nearest=True)
    covered = reached(candidate, known, ct, transform)
    if not covered.any():
        raise SyntheticCTError(
            f"The candidate {name} and the CT do not overlap: check that they belong to the same "
            "patient and frame."
        )
    stiff = None
    if found and found.deformed:
        stiff = resample(hu, ct, found.rigid, fill=HU_OUTSIDE)
        if known is not None:  # figures of both are over one part
            covered &= reached(candidate, known, ct, found.rigid) | ~reached(
                candidate, None, ct, found.rigid
            )
    return Placed(volume, raw, covered, found, stiff)
