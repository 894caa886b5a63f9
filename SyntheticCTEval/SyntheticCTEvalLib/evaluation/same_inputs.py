"""Volumes that were given twice, or in each other's place: their figures prove nothing."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import SimpleITK as sitk
from SyntheticCTLib.basics.progress import Progress
from SyntheticCTLib.volumes.sameness import SAME_SHARE, equal_share


def warn_of_same_inputs(
    ct: sitk.Image,
    body: sitk.Image,
    candidates: Mapping[str, sitk.Image],
    mr: sitk.Image | None,
    progress: Progress,
) -> None:
    """Warn of candidates that are the true CT, each other or the MR, by their voxels in the body.

    Args:
        body: mask of the body in ``ct``.
        candidates: as they were given, not yet registered.
    """
    if ct.HasMetaDataKey("SyntheticCT"):
        progress.warn(
            "The true CT is marked as a synthetic CT: check that CT and candidate were not given "
            "in each other's place."
        )
    copies = set()
    for name, volume in candidates.items():
        share = equal_share(ct, volume, body, tolerance=0.5)
        if share >= SAME_SHARE:
            copies.add(name)
            progress.warn(
                f"The candidate {name} is the true CT itself (the same in {100 * share:.4g} % of "
                "the body's voxels): its figures are perfect by construction; check which files "
                "were given."
            )
    for one, other in combinations(candidates, 2):
        both_known = one in copies and other in copies
        if not both_known and (
            equal_share(candidates[one], candidates[other], body, tolerance=0.5) >= SAME_SHARE
        ):
            progress.warn(
                f"The candidates {one} and {other} are the same volume: check which files were "
                "given."
            )
    if mr is not None:
        for what, volume in {"true CT": ct, **candidates}.items():
            if equal_share(volume, mr, body, tolerance=0.5) >= SAME_SHARE:
                what = what if volume is ct else f"candidate {what}"
                progress.warn(f"The MR and the {what} are the same volume: give the MR itself.")
