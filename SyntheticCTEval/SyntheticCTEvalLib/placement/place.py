"""Candidates laid on the true CT: registered, resampled once, and what they cover told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import SimpleITK as sitk
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import SILENT, Progress
from SyntheticCTLib.registration.lying import agreement_after
from SyntheticCTLib.registration.rigid_and_deformable import Registration
from SyntheticCTLib.registration.rigid_and_deformable import register as register_onto
from SyntheticCTLib.volumes.grids import image_like
from SyntheticCTLib.volumes.marks import keep_marks
from SyntheticCTLib.volumes.resampling import HU_OUTSIDE, resample

from .mr_space import require_in_mr_space
from .ways import DEFORMABLE, MR, NONE

NOTHING_BELOW_HU = -300
"""A volume whose least value lies above this holds no air."""

MR_OUTSIDE = 0
"""Value of a placed MR outside its field of view."""


@dataclass(frozen=True)
class Placed:
    """A volume on the true CT's grid.

    Attributes:
        volume: CT numbers in HU, -1024 where the candidate does not reach; an MR has its own
            values, and 0 there.
        covered: voxels (k, j, i) that the volume covers.
        original: the volume as it came, on its own grid.
        registration: how it came there; None where it was taken to lie there already.
        stiff: like ``volume``, by the rigid part alone; None where nothing was bent.
    """

    volume: sitk.Image
    covered: np.ndarray
    original: sitk.Image
    registration: Registration | None = None
    stiff: sitk.Image | None = None


@dataclass(frozen=True)
class Placement:
    """What was laid on the true CT.

    Attributes:
        candidates: by name.
        mr: the MR, where the transform was found between it and the true CT; its registration
            holds for all candidates then.
    """

    candidates: dict[str, Placed]
    mr: Placed | None = None


def place_candidates(
    ct: sitk.Image,
    candidates: Mapping[str, sitk.Image],
    *,
    way: str = DEFORMABLE,
    progress: Progress = SILENT,
) -> Placement:
    """Lay every candidate on the true CT by a registration of its own.

    Args:
        candidates: volumes in HU by name, on any grids.
        way: one of :data:`ways.WAYS`; with "none" they are taken to lie there already.

    Raises:
        SyntheticCTError: a candidate and the CT do not overlap.
    """
    placed = {}
    for name, candidate in candidates.items():
        _warn_without_air(name, candidate, progress)
        found = None
        if way != NONE:
            found = _register(ct, _exact(candidate), name, "mse", way, progress)
        placed[name] = _place(ct, name, candidate, found)
    return Placement(placed)


def place_by_mr(
    ct: sitk.Image,
    mr: sitk.Image,
    candidates: Mapping[str, sitk.Image],
    *,
    way: str = DEFORMABLE,
    progress: Progress = SILENT,
) -> Placement:
    """Lay the MR and every candidate on the true CT by one transform, found between MR and CT.

    Args:
        mr: in the space in which the candidates lie.
        candidates, way: as for :func:`place_candidates`.

    Raises:
        SyntheticCTError: a candidate does not lie in the MR's space, or does not overlap the CT.

    Where a candidate and the CT do not agree after the rigid part, ``progress`` is warned.
    """
    for name, candidate in candidates.items():
        _warn_without_air(name, candidate, progress)
    require_in_mr_space(ct, mr, candidates, progress)
    found, each = None, {}
    if way != NONE:
        found = _register(ct, mr, MR, "mi", way, progress)
        each = agreement_after(ct, candidates, found.rigid, metric="mse")
    for name, agreed in each.items():
        if agreed.failed and not found.agreement.failed:
            progress.warn(
                f"{name} does not lie on the true CT where the MR does ({agreed.told()}): figures "
                "that rest on it mean nothing; look at both images, and check that it is of this "
                "patient and lies in the MR's space."
            )
    placed = {}
    for name, candidate in candidates.items():
        own = found
        if found:
            laid = resample(_exact(candidate), ct, found.transform, fill=HU_OUTSIDE)
            own = replace(found, agreement=each[name], warped=laid)
        placed[name] = _place(ct, name, candidate, own)
    return Placement(placed, _place_mr(ct, mr, found))


def _warn_without_air(name: str, candidate: sitk.Image, progress: Progress) -> None:
    if float(sitk.GetArrayViewFromImage(candidate).min()) > NOTHING_BELOW_HU:
        progress.warn(
            f"{name} holds no air (nothing below -300): check that it is a CT-like volume in HU."
        )


def _register(
    ct: sitk.Image, moving: sitk.Image, name: str, metric: str, way: str, progress: Progress
) -> Registration:
    progress.report(f"Register {name}", 0)
    bent = way == DEFORMABLE
    found = register_onto(
        ct,
        moving,
        metric=metric,
        deformable=bent,
        fill=MR_OUTSIDE if metric == "mi" else HU_OUTSIDE,
        name=name,
        progress=progress,
    )
    if bent and not found.deformed and not found.agreement.failed:
        progress.warn(f"{name} was registered onto the CT rigidly only.")
    progress.report(f"Register {name}", 1)
    return found


def _place(ct: sitk.Image, name: str, candidate: sitk.Image, found: Registration | None) -> Placed:
    hu = _exact(candidate)
    volume = found.warped if found else resample(hu, ct, fill=HU_OUTSIDE)
    covered = _covered(ct, candidate, found.transform if found else None)
    if not covered.any():
        raise SyntheticCTError(
            f"The candidate {name} and the CT do not overlap: check that they belong to the same "
            "patient and frame."
        )
    stiff = None
    if found and found.deformed:
        stiff = resample(hu, ct, found.rigid, fill=HU_OUTSIDE)
    return Placed(keep_marks(volume, candidate), covered, candidate, found, stiff)


def _place_mr(ct: sitk.Image, mr: sitk.Image, found: Registration | None) -> Placed:
    volume = found.warped if found else resample(mr, ct, fill=MR_OUTSIDE)
    covered = _covered(ct, mr, found.transform if found else None)
    return Placed(keep_marks(volume, mr), covered, mr, found)


def _exact(candidate: sitk.Image) -> sitk.Image:
    """CT numbers that resampling changes no more than it must.

    16-bit whole numbers stay so; a cast to them would cut off fractions and wrap large values.
    """
    whole = candidate.GetPixelID() == sitk.sitkInt16
    return candidate if whole else sitk.Cast(candidate, sitk.sitkFloat32)


def _covered(ct: sitk.Image, image: sitk.Image, transform: sitk.Transform | None) -> np.ndarray:
    ones = image_like(np.ones(image.GetSize()[::-1], np.uint8), image)
    return sitk.GetArrayFromImage(resample(ones, ct, transform, fill=0, nearest=True)) > 0
