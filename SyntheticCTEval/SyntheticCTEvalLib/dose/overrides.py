"""Structures whose CT numbers are laid into the volumes that dose is calculated in."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import SimpleITK as sitk
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import SILENT, Progress
from SyntheticCTLib.body.labels import COUCH, patient_on
from SyntheticCTLib.volumes.grids import image_like, with_values
from SyntheticCTLib.volumes.resampling import resample

from .electron_density import ELECTRON_DENSITY

_WORTH_TELLING_CM3 = 0.1
_OVERLAP_WORTH_TELLING = 0.05


class Override(NamedTuple):
    """A structure and its CT number where dose is calculated.

    Attributes:
        name: of the structure.
        hu: its CT number.
        couch: it is laid in outside the bodies, where all is air otherwise, and not inside: the
            treatment couch, or what immobilises.
    """

    name: str
    hu: float
    couch: bool = False


class Laid(NamedTuple):
    """Volumes that dose is calculated in.

    Attributes:
        ct, body: true CT in HU and its body's mask, with its couch (body.labels).
        candidates: the same of the candidates, by name.
        told: the line that says what was laid in and where; "" for nothing.
    """

    ct: sitk.Image
    body: sitk.Image
    candidates: dict[str, tuple[sitk.Image, sitk.Image]]
    told: str = ""


def overridden(
    asked: Sequence[Override],
    structures: Mapping[str, sitk.Image],
    ct: sitk.Image,
    body: sitk.Image,
    candidates: Mapping[str, tuple[sitk.Image, sitk.Image]],
    *,
    curve: Sequence[tuple[float, float]] = ELECTRON_DENSITY,
    progress: Progress = SILENT,
) -> Laid:
    """Return the true CT and the candidates with the CT numbers that were asked for, and a line.

    The patient's outlines stay those of the volumes as they came; what is outside them is air but
    for a couch, which is the same in all volumes. Volumes keep their metadata: a plan is held
    against the CT's frame of reference and patient position.

    Args:
        asked: in the order in which they are laid in.
        structures: masks by name in the CT's frame, on any grids.
        body: mask of the body in ``ct``.
        candidates: volume in HU and body by name, as they lie on the CT.
        curve: CT number to density, which a number must have a place on.
        progress: receives a warning of what is not laid in.

    Raises:
        SyntheticCTError: see :func:`require_overrides`.
    """
    require_overrides(asked, structures, ct, body, curve)
    if not asked:
        return Laid(ct, body, dict(candidates))
    masks = [(one, mask) for one, mask in zip(asked, _masks(asked, structures, ct), strict=True)]
    _tell_what_is_not_laid(masks, ct, body, progress)
    laid = {name: _laid(volume, own, masks) for name, (volume, own) in candidates.items()}
    where = "in the true CT and all candidates alike" if candidates else "in the CT"
    lines = [_line(asked, False, where), _line(asked, True, where)]
    return Laid(*_laid(ct, body, masks), laid, "; ".join(filter(None, lines)))


def require_overrides(
    asked: Sequence[Override],
    structures: Mapping[str, sitk.Image],
    ct: sitk.Image,
    body: sitk.Image,
    curve: Sequence[tuple[float, float]] = ELECTRON_DENSITY,
) -> None:
    """Refuse overrides that :func:`overridden` cannot lay in; arguments as there.

    Raises:
        SyntheticCTError: a structure that is not there, is empty or lies outside the body (a couch:
            inside it), or a number beyond the curve.
    """
    for name, hu, _ in asked:
        if name not in structures:
            known = ", ".join(structures) or "none"
            raise SyntheticCTError(
                f"The override names the structure {name}, and there is none of that name: give "
                f"one of these ({known}), or other structures."
            )
        if not curve[0][0] <= hu <= curve[-1][0]:
            raise SyntheticCTError(
                f"The override of {name} is {hu:g} HU, and the density curve goes from "
                f"{curve[0][0]:g} to {curve[-1][0]:g} HU: give a number in between."
            )
    if not asked:
        return
    inside = patient_on(body, ct)
    for (name, _, couch), mask in zip(asked, _masks(asked, structures, ct), strict=True):
        own = sitk.GetArrayViewFromImage(mask) != 0
        if not own.any():
            raise SyntheticCTError(
                f"The structure {name}, whose CT number is to be replaced, has no voxel on the "
                "CT: give another one, or leave the override out."
            )
        if couch and not (own & ~inside).any():
            raise SyntheticCTError(
                f"The structure {name}, given as the couch, lies inside the body, and a couch is "
                "laid in outside: give another one, or replace its CT number as an override."
            )
        if not couch and not (own & inside).any():
            raise SyntheticCTError(
                f"The structure {name}, whose CT number is to be replaced, lies outside the body, "
                "where all is air: leave the override out, or give it as the couch."
            )


def _tell_what_is_not_laid(
    masks: Iterable[tuple[Override, sitk.Image]],
    ct: sitk.Image,
    body: sitk.Image,
    progress: Progress,
) -> None:
    inside, voxel_cm3 = patient_on(body, ct), math.prod(ct.GetSpacing()) / 1000
    for one, mask in masks:
        own = sitk.GetArrayViewFromImage(mask) != 0
        left = own & (inside if one.couch else ~inside)
        left_cm3 = np.count_nonzero(left) * voxel_cm3
        if one.couch and left.sum() > _OVERLAP_WORTH_TELLING * own.sum():
            progress.warn(
                f"{left_cm3:.2g} cm3 of the couch {one.name} lie inside the body of the CT, which "
                "keeps its own CT numbers there: check that the couch lies where the patient does."
            )
        if not one.couch and left_cm3 > _WORTH_TELLING_CM3:
            progress.warn(
                f"{left_cm3:.2g} cm3 of {one.name}, whose CT number is replaced, lie outside the "
                "body of the CT and stay air."
            )


def _line(asked: Sequence[Override], couch: bool, where: str) -> str:
    names = [f"{one.name} {one.hu:g} HU" for one in asked if one.couch == couch]
    if not names:
        return ""
    last = ", the later one where two overlap" if len(names) > 1 else ""
    if couch:
        how = (
            f"Couch added for the dose {where}, outside each volume's body and without a dose of "
            "its own"
        )
    else:
        how = (
            f"CT numbers replaced for the dose {where}, where the structure lies on the CT inside "
            "each volume's body"
        )
    return f"{how}: {', '.join(names)}{last}"


def _masks(
    asked: Sequence[Override], structures: Mapping[str, sitk.Image], ct: sitk.Image
) -> list[sitk.Image]:
    """The structures on the CT's grid."""
    return [resample(structures[one.name], ct, fill=0, nearest=True) for one in asked]


def _laid(
    volume: sitk.Image, body: sitk.Image, masks: Sequence[tuple[Override, sitk.Image]]
) -> tuple[sitk.Image, sitk.Image]:
    """A volume with the CT numbers, and its body's mask with the couch."""
    numbers = sitk.GetArrayFromImage(volume).astype(np.float32)
    inside = patient_on(body, volume)
    couch = np.zeros_like(inside)
    for one, mask in masks:
        on_volume = resample(mask, volume, fill=0, nearest=True)
        own = sitk.GetArrayViewFromImage(on_volume) != 0
        if one.couch:
            own = own & ~inside
            couch |= own
        numbers[own] = one.hu
    labels = inside.astype(np.uint8)
    labels[couch] = COUCH
    return with_values(volume, numbers), image_like(labels, volume) if couch.any() else body
