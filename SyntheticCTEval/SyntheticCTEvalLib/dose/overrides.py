"""Structures whose CT numbers are replaced in the volumes that dose is calculated in."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import SimpleITK as sitk
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import SILENT, Progress
from SyntheticCTLib.volumes.grids import with_values
from SyntheticCTLib.volumes.resampling import resample

from .electron_density import ELECTRON_DENSITY

_WORTH_TELLING_CM3 = 0.1


def overridden(
    asked: Sequence[tuple[str, float]],
    structures: Mapping[str, sitk.Image],
    ct: sitk.Image,
    body: sitk.Image,
    candidates: Mapping[str, tuple[sitk.Image, sitk.Image]],
    *,
    curve: Sequence[tuple[float, float]] = ELECTRON_DENSITY,
    progress: Progress = SILENT,
) -> tuple[sitk.Image, dict[str, tuple[sitk.Image, sitk.Image]], str]:
    """Return the true CT and the candidates with the CT numbers that were asked for, and a line.

    Bodies stay those of the volumes as they came; what is outside them stays air. Volumes keep
    their metadata: a plan is held against the CT's frame of reference and patient position.

    Args:
        asked: name of a structure and HU, in the order in which they are laid in.
        structures: masks by name in the CT's frame, on any grids.
        body: mask of the body in ``ct``.
        candidates: volume in HU and body by name, as they lie on the CT.
        curve: CT number to density, which a number must have a place on.
        progress: receives a warning of what lies outside the body.

    Returns:
        CT and candidates, and the line that says what was replaced and where; "" for nothing.

    Raises:
        SyntheticCTError: see :func:`require_overrides`.
    """
    require_overrides(asked, structures, ct, body, curve)
    if not asked:
        return ct, dict(candidates), ""
    masks = [(mask, hu) for (_, hu), mask in zip(asked, _masks(asked, structures, ct), strict=True)]
    inside = sitk.GetArrayFromImage(resample(body, ct, fill=0, nearest=True)) != 0
    for (name, _), (mask, _) in zip(asked, masks, strict=True):
        outside = (sitk.GetArrayViewFromImage(mask) != 0) & ~inside
        outside_cm3 = np.count_nonzero(outside) * math.prod(ct.GetSpacing()) / 1000
        if outside_cm3 > _WORTH_TELLING_CM3:
            progress.warn(
                f"{outside_cm3:.2g} cm3 of {name}, whose CT number is replaced, lie outside the "
                "body of the CT and stay air."
            )
    laid = {n: (_replaced(volume, masks), own) for n, (volume, own) in candidates.items()}
    told = ", ".join(f"{name} {hu:g} HU" for name, hu in asked)
    where = "the true CT and all candidates alike" if candidates else "the CT"
    last = ", the later one where two overlap" if len(asked) > 1 else ""
    line = (
        f"CT numbers replaced for the dose in {where}, where the structure lies on the CT inside "
        f"each volume's body: {told}{last}"
    )
    return _replaced(ct, masks), laid, line


def require_overrides(
    asked: Sequence[tuple[str, float]],
    structures: Mapping[str, sitk.Image],
    ct: sitk.Image,
    body: sitk.Image,
    curve: Sequence[tuple[float, float]] = ELECTRON_DENSITY,
) -> None:
    """Refuse overrides that :func:`overridden` cannot lay in; arguments as there.

    Raises:
        SyntheticCTError: a structure that is not there, is empty or lies outside the body, or a
            number beyond the curve.
    """
    for name, hu in asked:
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
    for (name, _), mask in zip(asked, _masks(asked, structures, ct), strict=True):
        own = sitk.GetArrayViewFromImage(mask) != 0
        if not own.any():
            raise SyntheticCTError(
                f"The structure {name}, whose CT number is to be replaced, has no voxel on the "
                "CT: give another one, or leave the override out."
            )
        inside = sitk.GetArrayFromImage(resample(body, ct, fill=0, nearest=True)) != 0
        if not (own & inside).any():
            raise SyntheticCTError(
                f"The structure {name}, whose CT number is to be replaced, lies outside the body, "
                "where all is air: leave the override out."
            )


def _masks(
    asked: Sequence[tuple[str, float]], structures: Mapping[str, sitk.Image], ct: sitk.Image
) -> list[sitk.Image]:
    """The structures on the CT's grid."""
    return [resample(structures[name], ct, fill=0, nearest=True) for name, _ in asked]


def _replaced(volume: sitk.Image, masks: Sequence[tuple[sitk.Image, float]]) -> sitk.Image:
    numbers = sitk.GetArrayFromImage(volume).astype(np.float32)
    for mask, hu in masks:
        own = resample(mask, volume, fill=0, nearest=True)
        numbers[sitk.GetArrayViewFromImage(own) != 0] = hu
    return with_values(volume, numbers)
