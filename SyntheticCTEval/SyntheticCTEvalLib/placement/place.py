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
from SyntheticCTLib.volumes.checks import filled
from SyntheticCTLib.volumes.marks import keep_marks
from SyntheticCTLib.volumes.resampling import HU_OUTSIDE, floored, reached, resample

from .mr_space import require_in_mr_space
from .ways import DEFORMABLE, MR, NONE

MR_OUTSIDE = 0
"""Value of a placed MR outside its field of view."""


@dataclass(frozen=True)
class Placed:
    """A volume on the true CT's grid.

    Attributes:
        volume: CT numbers in HU, -1024 where the candidate does not reach or holds less; an MR has
            its own values, and 0 there.
        raw: like ``volume`` with the candidate's own values, of the nearest voxels, where it holds
            less than -1024; elsewhere ``volume`` itself.
        covered: voxels (k, j, i) that the volume covers.
        original: the volume as it came, on its own grid.
        registration: how it came there; None where it was taken to lie there already.
        stiff: like ``volume``, by the rigid part alone; None where nothing was bent.
    """

    volume: sitk.Image
    raw: sitk.Image
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
        candidates: volumes in HU by name, on any grids; they do not cover what is NaN.
        way: one of :data:`ways.WAYS`; with "none" they are taken to lie there already.

    Raises:
        SyntheticCTError: a candidate and the CT do not overlap.
    """
    placed = {}
    for name, candidate in candidates.items():
        numbers = _Numbers.of(candidate)
        found = None
        if way != NONE:
            found = _register(ct, numbers.hu, name, "mse", way, progress)
        placed[name] = _place(ct, name, candidate, numbers, found)
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
    every = {name: _Numbers.of(candidate) for name, candidate in candidates.items()}
    hu = {name: numbers.hu for name, numbers in every.items()}
    require_in_mr_space(ct, mr, hu, progress)
    found, each = None, {}
    if way != NONE:
        found = _register(ct, mr, MR, "mi", way, progress)
        each = agreement_after(ct, hu, found.rigid, metric="mse")
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
            laid = resample(hu[name], ct, found.transform, fill=HU_OUTSIDE)
            own = replace(found, agreement=each[name], warped=laid)
        placed[name] = _place(ct, name, candidate, every[name], own)
    return Placement(placed, _place_mr(ct, mr, found))


def as_it_came(ct: sitk.Image, candidate: sitk.Image) -> tuple[sitk.Image, np.ndarray]:
    """Return a candidate on the CT's grid by its own frame alone, and the voxels it covers.

    Returns:
        CT numbers in HU, -1024 where it does not reach; (k, j, i; bool), all false without overlap.
    """
    numbers = _Numbers.of(candidate)
    return (
        resample(numbers.hu, ct, fill=HU_OUTSIDE),
        reached(numbers.own, numbers.known, ct),
    )


@dataclass(frozen=True)
class _Numbers:
    """A candidate's values, fit to be interpolated.

    Attributes:
        own: NaN filled up; 16-bit whole numbers stay so, as a cast to them would cut off fractions
            and wrap large values.
        hu: ``own``, -1024 where it holds less.
        known: voxels (k, j, i) that hold a number; None where all do.
    """

    own: sitk.Image
    hu: sitk.Image
    known: np.ndarray | None

    @classmethod
    def of(cls, candidate: sitk.Image) -> _Numbers:
        image, known = filled(candidate)
        whole = image.GetPixelID() == sitk.sitkInt16
        own = image if whole else sitk.Cast(image, sitk.sitkFloat32)
        return cls(own, floored(own), known)


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


def _place(
    ct: sitk.Image,
    name: str,
    candidate: sitk.Image,
    numbers: _Numbers,
    found: Registration | None,
) -> Placed:
    transform = found.transform if found else None
    volume = found.warped if found else resample(numbers.hu, ct, fill=HU_OUTSIDE)
    volume = raw = keep_marks(volume, candidate, moved=True)
    if numbers.hu is not numbers.own:
        raw = resample(numbers.own, ct, transform, fill=HU_OUTSIDE, nearest=True)
    own, known = numbers.own, numbers.known
    covered = reached(own, known, ct, transform)
    if not covered.any():
        raise SyntheticCTError(
            f"The candidate {name} and the CT do not overlap: check that they belong to the same "
            "patient and frame."
        )
    stiff = None
    if found and found.deformed:
        stiff = resample(numbers.hu, ct, found.rigid, fill=HU_OUTSIDE)
        if known is not None:  # figures of both are over one part
            covered &= reached(own, known, ct, found.rigid) | ~reached(own, None, ct, found.rigid)
    return Placed(volume, raw, covered, candidate, found, stiff)


def _place_mr(ct: sitk.Image, mr: sitk.Image, found: Registration | None) -> Placed:
    transform = found.transform if found else None
    volume = found.warped if found else resample(mr, ct, fill=MR_OUTSIDE)
    volume = keep_marks(volume, mr)
    return Placed(volume, volume, reached(mr, None, ct, transform), mr, found)
