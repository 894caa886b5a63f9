"""Which voxels of the true CT figures are over."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.volumes.grids import image_like
from SyntheticCTLib.volumes.resampling import resample

from .place import Placed


@dataclass(frozen=True)
class Coverage:
    """What figures are over.

    Attributes:
        voxels: (k, j, i) on the true CT's grid.
        body_percent: share of the body on the true CT that they hold.
        whole_body: whether that is all of it.
        definition: the line that says so.
    """

    voxels: np.ndarray
    body_percent: float
    whole_body: bool
    definition: str


def common_coverage(
    ct: sitk.Image, body: sitk.Image, placed: Iterable[Placed], region: sitk.Image | None
) -> Coverage:
    """Return the voxels that all candidates cover inside ``region`` (a mask on any grid).

    Raises:
        SyntheticCTError: none of them lies in the body, or the region holds no voxel of the CT.
    """
    covered = _mask_on(region, ct)
    for candidate in placed:
        covered &= candidate.covered
    inside = sitk.GetArrayViewFromImage(body) > 0
    counted = int((covered & inside).sum())
    if not counted:
        raise SyntheticCTError(
            "No voxel is left to evaluate: the candidates (or the region) do not cover the body "
            "on the CT; check that they belong to the same patient and frame."
        )
    share = 100 * counted / int(inside.sum())
    limited = " inside the given region" if region is not None else ""
    return Coverage(
        voxels=covered,
        body_percent=share,
        whole_body=bool(covered[inside].all()),
        definition=f"Every figure is over the voxels that all candidates cover{limited}: "
        f"{share:.1f} % of the body on the true CT.",
    )


def completed(volume: sitk.Image, ct: sitk.Image, covered: np.ndarray) -> sitk.Image:
    """Return ``volume`` (on the CT's grid) with the true CT where it was not ``covered``."""
    if covered.all():
        return volume
    hu, own = sitk.GetArrayViewFromImage(ct), sitk.GetArrayViewFromImage(volume)
    return image_like(np.where(covered, own, hu).astype(np.float32), ct)


def _mask_on(region: sitk.Image | None, ct: sitk.Image) -> np.ndarray:
    if region is None:
        return np.ones(ct.GetSize()[::-1], bool)
    binary = sitk.Cast(region != 0, sitk.sitkUInt8)
    array = sitk.GetArrayFromImage(resample(binary, ct, fill=0, nearest=True)) > 0
    if not array.any():
        raise SyntheticCTError("The region holds no voxel of the CT: check its frame.")
    return array
