"""Structures whose CT numbers are laid into the volumes that dose is calculated in."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple, TypeVar

import numpy as np
import SimpleITK as sitk
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.named_numbers import NamedNumbers
from SyntheticCTLib.basics.progress import SILENT, Progress
from SyntheticCTLib.body.labels import (
    COUCH,
    MUCH_OUTSIDE_PERCENT,
    left_outside,
    part_in_body,
    patient_on,
)
from SyntheticCTLib.volumes.grids import (
    corners_of,
    grid_of,
    image_like,
    same_grid,
    with_values,
)
from SyntheticCTLib.volumes.resampling import mask_on, resample

from .electron_density import AIR, ELECTRON_DENSITY, electron_density

_NUMBERS = NamedNumbers("structure", "CT number", "HU", ("rectum", 0))
_WORTH_TELLING_CM3 = 0.1
_OVERLAP_WORTH_TELLING = 0.05
_FARTHEST_MM = 300.0
"""How far a couch may reach beyond a CT's edges."""
_PARTS = 8
"""Of a voxel's edge, at most, where it is looked up how much of the voxel a couch fills."""
_EDGE = 1e-6
_AIR_BEHIND_MM = 12.0
"""Around a couch, so that what is sampled at its edges finds air."""


_Grid = tuple[tuple, tuple, tuple, tuple]
_Doses = TypeVar("_Doses")
"""A dataclass with definition and notes."""


class Override(NamedTuple):
    """A structure and its CT number where dose is calculated.

    Attributes:
        name: of the structure.
        hu: its CT number.
        couch: it is laid in outside the bodies, where all is air otherwise, and not inside: the
            treatment couch, or what immobilises. Voxels that it fills in part count in part.
    """

    name: str
    hu: float
    couch: bool = False


def parse_overrides(texts: str | Iterable[str], *, couch: bool = False) -> tuple[Override, ...]:
    """Return the overrides of "rectum=0; bladder=10", or of one text a structure.

    Raises:
        SyntheticCTError: one of them names no structure, or no CT number, or one twice.
    """
    return tuple(Override(name, hu, couch) for name, hu in _NUMBERS.read(texts))


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

    def told_of(self, doses: _Doses) -> _Doses:
        """Return doses on these volumes with the line in their definition and their notes."""
        if not self.told:
            return doses
        definition = f"{doses.definition}; {self.told}"
        return replace(doses, definition=definition, notes=[*doses.notes, f"{self.told}."])


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
    for a couch, which is the same in all volumes: never inside the true CT's body, so that it takes
    the place of no tissue that a candidate lacks. Volumes are widened beside the patient where
    their couch needs it, and keep their metadata: a plan is held against the CT's frame of
    reference and patient position.

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
    _tell_what_is_not_laid(asked, structures, ct, body, candidates, progress)
    how = (asked, structures, body, curve, {})
    laid = {name: _laid(volume, own, *how) for name, (volume, own) in candidates.items()}
    where = "in the true CT and all candidates alike" if candidates else "in the CT"
    lines = [_line(asked, False, where), _line(asked, True, where)]
    return Laid(*_laid(ct, body, *how), laid, "; ".join(filter(None, lines)))


def require_numbers(
    asked: Sequence[Override],
    structures: Iterable[str],
    curve: Sequence[tuple[float, float]] = ELECTRON_DENSITY,
) -> None:
    """Refuse overrides of structures that are not there, or beyond the curve.

    Raises:
        SyntheticCTError: such a one, by its name.
    """
    known = ", ".join(structures)
    for one in asked:
        (name, hu, _), what = one, _what(one)
        if name not in structures:
            those = f"one of these ({known}), or other structures" if known else "structures"
            raise SyntheticCTError(
                f"The {what} names the structure {name}, and there is none of that name: give "
                f"{those}."
            )
        if not curve[0][0] <= hu <= curve[-1][0]:
            raise SyntheticCTError(
                f"The {what} {name} is to have {hu:g} HU, and the density curve goes from "
                f"{curve[0][0]:g} to {curve[-1][0]:g} HU: give a number in between."
            )


def require_overrides(
    asked: Sequence[Override],
    structures: Mapping[str, sitk.Image],
    ct: sitk.Image,
    body: sitk.Image,
    curve: Sequence[tuple[float, float]] = ELECTRON_DENSITY,
) -> None:
    """Refuse overrides that :func:`overridden` cannot lay in; arguments as there.

    Raises:
        SyntheticCTError: see :func:`require_numbers`; a structure that is empty or lies outside the
            body (a couch: inside it, or far from the CT).
    """
    require_numbers(asked, structures, curve)
    for one in asked:
        mask = structures[one.name]
        room = _widened(ct, [mask]) if one.couch else ct
        own, inside = _shares([mask], room, one.couch)[0] > 0, patient_on(body, room)
        if one.couch and own.any() and not (own & ~inside).any():
            raise SyntheticCTError(
                f"The structure {one.name}, given as the couch, lies inside the body, and a couch "
                "is laid in outside: give another one, or replace its CT number as an override."
            )
        if not own.any():
            raise SyntheticCTError(
                f"The structure {one.name}, whose CT number is asked for, has no voxel within "
                f"the length of the CT: give another one, or leave the {_what(one)} out."
            )
        if not one.couch and not (own & inside).any():
            raise SyntheticCTError(
                f"The structure {one.name}, whose CT number is to be replaced, lies outside the "
                "body, where all is air: leave the override out, or give it as the couch."
            )


def dosed_structures(
    asked: Sequence[Override],
    structures: Mapping[str, sitk.Image],
    body: sitk.Image,
    progress: Progress = SILENT,
) -> dict[str, sitk.Image]:
    """Return the parts of the structures that a calculated dose is told of: those in the body.

    Couches, and what lies outside the body, are left out; ``progress`` is warned of these, and of
    what lies outside in part.
    """
    couches = {one.name for one in asked if one.couch}
    found, without = {}, []
    for name, mask in structures.items():
        part = part_in_body(mask, body)
        if name in couches or not sitk.GetArrayViewFromImage(part).any():
            without.append(name)
            continue
        outside, _ = left_outside(mask, part)
        found[name] = part if outside else mask
        if outside > MUCH_OUTSIDE_PERCENT:
            progress.warn(
                f"{outside:.1f} % of {name} lie outside the body, where no dose is "
                "calculated: its dose-volume figures are of the part inside."
            )
    if without:
        progress.warn(
            f"No dose is calculated outside the body, where {', '.join(without)} lie: they have "
            "no dose-volume figures."
        )
    return found


def _what(one: Override) -> str:
    return "couch" if one.couch else "override"


def _shares(
    masks: Sequence[sitk.Image], grid: sitk.Image, in_part: bool = True
) -> list[np.ndarray]:
    """The part (0 to 1, k j i) of every voxel that each structure fills, where no later one does.

    Args:
        in_part: by parts of voxels; else 0 or 1, by their centres.
    """
    shares = [np.zeros(grid.GetSize()[::-1], np.float32) for _ in masks]
    reaches = [reach for mask in masks if (reach := _reach(mask, grid)) is not None]
    if not reaches:
        return shares
    size = np.array(grid.GetSize())
    low = np.min([first for first, _ in reaches], axis=0)
    high = np.max([last for _, last in reaches], axis=0)
    low = np.clip(np.floor(low + 0.5), 0, size).astype(int)
    high = np.clip(np.floor(high + 0.5) + 1, 0, size).astype(int)
    if (high <= low).any():
        return shares
    parts = np.ones(3, int)
    if in_part and not all(same_grid(mask, grid) for mask in masks):
        finest = min(min(mask.GetSpacing()) for mask in masks)
        parts = np.minimum(2 * np.ceil(np.array(grid.GetSpacing()) / finest), _PARTS).astype(int)
    spacing = np.array(grid.GetSpacing()) / parts
    masks = [sitk.Cast(mask != 0, sitk.sitkUInt8) for mask in masks]
    for k in range(low[2], high[2]):
        first = np.array([*low[:2], k]) - 0.5 + 0.5 / parts
        origin = grid.TransformContinuousIndexToPhysicalPoint(first.tolist())
        fine = np.array([*(high - low)[:2], 1]) * parts
        within = grid_of(fine.tolist(), spacing.tolist(), origin, grid.GetDirection())
        free = np.ones(within.GetSize()[::-1], bool)
        for mask, share in reversed(list(zip(masks, shares, strict=True))):
            on_part = resample(mask, within, fill=0, nearest=True)
            own = (sitk.GetArrayViewFromImage(on_part) != 0) & free
            free &= ~own
            split = own.reshape(parts[2], -1, parts[1], high[0] - low[0], parts[0])
            share[k, low[1] : high[1], low[0] : high[0]] = split.mean(axis=(0, 2, 4))
    return shares


def _reach(mask: sitk.Image, grid: sitk.Image) -> tuple[np.ndarray, np.ndarray] | None:
    """The ends of what a mask holds, as continuous indices of a grid; None where it is empty."""
    corners = corners_of(mask)
    if corners is None:
        return None
    places = [grid.TransformPhysicalPointToContinuousIndex(one) for one in corners.tolist()]
    return np.min(places, axis=0), np.max(places, axis=0)


def _tell_what_is_not_laid(
    asked: Sequence[Override],
    structures: Mapping[str, sitk.Image],
    ct: sitk.Image,
    body: sitk.Image,
    candidates: Mapping[str, tuple[sitk.Image, sitk.Image]],
    progress: Progress,
) -> None:
    inside, voxel_cm3 = patient_on(body, ct), math.prod(ct.GetSpacing()) / 1000
    bodies = {"the true CT": inside}
    bodies |= {name: patient_on(own, ct) for name, (_, own) in candidates.items()}
    for one in asked:
        own = _shares([structures[one.name]], ct, one.couch)[0]
        if not one.couch and (left := own[~inside].sum() * voxel_cm3) > _WORTH_TELLING_CM3:
            progress.warn(
                f"{left:.2g} cm3 of {one.name}, whose CT number is replaced, lie outside the "
                "body of the CT and stay air."
            )
        for whose, there in bodies.items() if one.couch else ():
            if (left := own[there].sum()) > _OVERLAP_WORTH_TELLING * own.sum():
                progress.warn(
                    f"{left * voxel_cm3:.2g} cm3 of the couch {one.name} lie inside the body of "
                    f"{whose}, which keeps its own CT numbers there: check that the couch lies "
                    "where the patient does."
                )


def _line(asked: Sequence[Override], couch: bool, where: str) -> str:
    names = [f"{one.name} {one.hu:g} HU" for one in asked if one.couch == couch]
    if not names:
        return ""
    last = ", the later one where two overlap" if len(names) > 1 else ""
    if couch:
        how = (
            f"Couch added for the dose {where}, outside each volume's body and the true CT's, and "
            "without a dose of its own"
        )
    else:
        how = (
            f"CT numbers replaced for the dose {where}, where the structure lies on the CT inside "
            "each volume's body"
        )
    return f"{how}: {', '.join(names)}{last}"


def _laid(
    volume: sitk.Image,
    own_body: sitk.Image,
    asked: Sequence[Override],
    structures: Mapping[str, sitk.Image],
    ct_body: sitk.Image,
    curve: Sequence[tuple[float, float]],
    couch_on: dict[_Grid, list[np.ndarray]],
) -> tuple[sitk.Image, sitk.Image]:
    """A volume with the CT numbers, and its body's mask with the couch.

    Args:
        couch_on: what the couches fill by grid, which most volumes share; filled here.
    """
    couches = [one for one in asked if one.couch]
    volume = _widened(volume, [structures[one.name] for one in couches])
    numbers = sitk.GetArrayFromImage(volume).astype(np.float32)
    for one in asked:
        if not one.couch:
            numbers[mask_on(structures[one.name], volume)] = one.hu
    if not couches:
        return with_values(volume, numbers), own_body
    inside = patient_on(own_body, volume)
    free = ~inside & ~patient_on(ct_body, volume)
    density = np.full(numbers.shape, AIR, np.float32)
    filled = np.zeros(numbers.shape, bool)
    if _grid(volume) not in couch_on:
        couch_on[_grid(volume)] = _shares([structures[one.name] for one in couches], volume)
    for one, share in zip(couches, couch_on[_grid(volume)], strict=True):
        density += share * free * (electron_density(np.float32(one.hu), curve) - AIR)
        filled |= free & (share > 0)
    labels = inside.astype(np.uint8)
    labels[filled] = COUCH
    known, densities = zip(*curve, strict=True)
    numbers[filled] = np.interp(density[filled], densities, known)
    return with_values(volume, numbers), image_like(labels, volume)


def _grid(image: sitk.Image) -> _Grid:
    return image.GetSize(), image.GetOrigin(), image.GetSpacing(), image.GetDirection()


def _widened(volume: sitk.Image, masks: Sequence[sitk.Image]) -> sitk.Image:
    """A volume with air added beside the patient, as far as the masks reach and somewhat further.

    Raises:
        SyntheticCTError: a mask that reaches far beyond the volume.
    """
    size, margin = np.array(volume.GetSize()), _AIR_BEHIND_MM / np.array(volume.GetSpacing())
    before, after = np.zeros(3, int), np.zeros(3, int)
    for mask in masks:
        if (reach := _reach(mask, volume)) is None:
            continue
        before = np.maximum(before, np.ceil(margin - 0.5 - reach[0] - _EDGE).astype(int))
        after = np.maximum(after, np.ceil(margin + reach[1] - size + 0.5 - _EDGE).astype(int))
    along = np.abs(np.reshape(volume.GetDirection(), (3, 3))[2]).argmax()
    before[along] = after[along] = 0  # beyond the patient's length the patient is missing, too
    if not (before.any() or after.any()):
        return volume
    farthest = (np.maximum(before, after) * np.array(volume.GetSpacing())).max()
    if farthest > _FARTHEST_MM:
        raise SyntheticCTError(
            f"The couch reaches {farthest / 10:.0f} cm beyond the edge of the CT: check that "
            "structures and CT belong together."
        )
    wide = sitk.ConstantPad(volume, before.tolist(), after.tolist(), -1000)
    for key in volume.GetMetaDataKeys():
        wide.SetMetaData(key, volume.GetMetaData(key))
    return wide
