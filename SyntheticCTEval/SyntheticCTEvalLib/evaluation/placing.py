"""Candidates laid on the true CT as the settings say, and what a result tells of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import SimpleITK as sitk
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import Progress
from SyntheticCTLib.volumes.grids import image_like

from SyntheticCTEvalLib.image.mirrored import mirror_warning
from SyntheticCTEvalLib.placement.place import (
    Placed,
    Placement,
    as_it_came,
    place_by_mr,
    place_candidates,
)
from SyntheticCTEvalLib.placement.ways import BY_MR, MR, told_way

from .results import Moved
from .settings import EvaluationSettings


def laid_on_ct(
    ct: sitk.Image,
    candidates: Mapping[str, sitk.Image],
    mr: sitk.Image | None,
    settings: EvaluationSettings,
    progress: Progress,
) -> Placement:
    """Return the candidates on the true CT, and the MR where it carries them.

    Raises:
        SyntheticCTError: no overlap; by the MR, without an MR, a candidate that takes its name or
            one that does not lie in its space.
    """
    way = settings.registration
    if settings.registration_by != BY_MR:
        return place_candidates(ct, candidates, way=way, progress=progress)
    if mr is None:
        raise SyntheticCTError(
            "The registration is to be found between MR and CT, but there is no MR: give the MR, "
            "or register each candidate by itself (registration by candidate)."
        )
    for name in candidates:
        if name.lower() == MR.lower():
            raise SyntheticCTError(
                f"A candidate is called {name}, as the registered MR is among the results: give it "
                "another name."
            )
    return place_by_mr(ct, mr, candidates, way=way, progress=progress)


def registration_of(
    placement: Placement, settings: EvaluationSettings, bent: Mapping[str, dict[str, float]]
) -> dict[str, Any]:
    """Return the fields of an Evaluation that tell of its registration.

    Args:
        bent: see placement.bending.bending_figures.
    """
    told = told_way(settings.registration, settings.registration_by)
    fields: dict[str, Any] = {"registration": told}
    if mr := placement.mr:
        told["mr"] = bent[MR]
        fields |= {"mr_registered": mr.volume, "mr_moved": Moved(mr.original, mr.registration)}
    return fields


def mirrored(name: str, ct: sitk.Image, body: sitk.Image, placed: Placed) -> str:
    """Return a sentence where left and right of a candidate seem to be exchanged, else "".

    A registration turns a mirror image until it fits better, and worse mirrored back: so the
    candidate is looked at as it came as well.
    """
    stiff = placed.volume if placed.stiff is None else placed.stiff
    told = mirror_warning(name, ct, stiff, body, image_like(placed.covered.astype(np.uint8), ct))
    if told or placed.registration is None:
        return told
    volume, covered = as_it_came(ct, placed.original)
    return mirror_warning(name, ct, volume, body, image_like(covered.astype(np.uint8), ct))
