"""Which voxels of the true CT figures are over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import SILENT, Progress
from SyntheticCTLib.volumes.grids import image_like
from SyntheticCTLib.volumes.resampling import mask_on

from .place import Placed

WARNED_BELOW_PERCENT = 95.0
REFUSED_BELOW_PERCENT = 10.0
"""Of the body on the true CT (inside the region), what a candidate must cover."""
COMMON_DIFFERS_PERCENT = 0.1
"""Of the body: from here on, what all candidates cover is another region than what one covers."""

COVERAGE_DEFINITIONS = {
    "coverage_body_percent": (
        "Share of the body on the true CT (inside the region, where one is given) that this "
        "candidate covers; every figure is over that part. Below "
        f"{WARNED_BELOW_PERCENT:g} % a note says so first, below {REFUSED_BELOW_PERCENT:g} % the "
        "candidate is refused."
    ),
    "common": (
        "The same figures over the voxels that all candidates cover, so that candidates can be "
        "compared; there where candidates cover different parts of the body."
    ),
}


@dataclass(frozen=True)
class Coverage:
    """What figures are over.

    Attributes:
        each: by candidate, voxels (k, j, i) on the true CT's grid that it covers in the region.
        percent: by candidate, share of the body (in the region) that it covers.
        common: voxels that all candidates cover in the region.
        differs: whether ``common`` is another part of the body than one of ``each``.
        definition: the line that says so.
    """

    each: dict[str, np.ndarray]
    percent: dict[str, float]
    common: np.ndarray
    differs: bool
    definition: str


def coverage_of(
    ct: sitk.Image,
    body: sitk.Image,
    placed: Mapping[str, Placed],
    region: sitk.Image | None,
    progress: Progress = SILENT,
    known: np.ndarray | None = None,
) -> Coverage:
    """Return what each candidate covers, and what all do, inside ``region`` (mask on any grid).

    Args:
        known: voxels of the true CT that are numbers; None for all.

    Raises:
        SyntheticCTError: a candidate covers next to nothing of the body, or the region holds no
            voxel of the CT or of the body.
    """
    counted = _counted(region, ct)
    if known is not None:
        counted &= known
    inside = counted & (sitk.GetArrayViewFromImage(body) > 0)
    size = int(inside.sum())
    if not size:
        raise SyntheticCTError(
            "No voxel is left to evaluate: the region holds nothing of the body on the CT; check "
            "that both belong to the same patient and frame."
        )
    where = "the body on the true CT" + (" inside the region" if region is not None else "")
    each, percent, common = {}, {}, counted.copy()
    for name, candidate in placed.items():
        each[name] = counted & candidate.covered
        common &= candidate.covered
        share = percent[name] = 100 * int((each[name] & inside).sum()) / size
        if share < REFUSED_BELOW_PERCENT:
            raise SyntheticCTError(
                f"The candidate {name} covers {share:.1f} % of {where}, too little to be judged: "
                "check that both belong to the same patient and frame, and that it is whole."
            )
        if share < WARNED_BELOW_PERCENT:
            progress.warn(
                f"{name} covers only {share:.1f} % of {where}: its figures say nothing of the rest."
            )
    all_cover = 100 * int((common & inside).sum()) / size
    if not all_cover:
        raise SyntheticCTError(
            "No part of the body on the CT is covered by all candidates: evaluate them one by one."
        )
    parts = ", ".join(f"{name} {share:.1f} %" for name, share in percent.items())
    return Coverage(
        each=each,
        percent=percent,
        common=common,
        differs=max(percent.values()) - all_cover > COMMON_DIFFERS_PERCENT,
        definition=f"Each candidate's figures are over what it covers of {where}: {parts}; all "
        f"candidates cover {all_cover:.1f} %.",
    )


def completed(volume: sitk.Image, ct: sitk.Image, covered: np.ndarray) -> sitk.Image:
    """Return ``volume`` (on the CT's grid) with the true CT where it was not ``covered``."""
    if covered.all():
        return volume
    hu, own = sitk.GetArrayViewFromImage(ct), sitk.GetArrayViewFromImage(volume)
    return image_like(np.where(covered, own, hu).astype(np.float32), ct)


def _counted(region: sitk.Image | None, ct: sitk.Image) -> np.ndarray:
    if region is None:
        return np.ones(ct.GetSize()[::-1], bool)
    array = mask_on(region, ct)
    if not array.any():
        raise SyntheticCTError("The region holds no voxel of the CT: check its frame.")
    return array
