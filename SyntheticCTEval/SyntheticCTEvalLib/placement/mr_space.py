"""Whether candidates lie in the space of the MR that carries them onto the true CT."""

from __future__ import annotations

from collections.abc import Mapping

import SimpleITK as sitk
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import Progress
from SyntheticCTLib.dicom.frame_of_reference import frame_of, frames_differ
from SyntheticCTLib.registration.lying import Lying, as_they_lie
from SyntheticCTLib.volumes.grids import same_grid

WARNED_FROM_MM, REFUSED_FROM_MM = 4.0, 10.0
"""Shift at which candidate and MR are likest; on phantoms 0 mm for what lies in the MR's space."""

_OTHERWISE = (
    "give the candidate as it was made of the MR, or register each candidate by itself "
    "(registration by candidate)"
)


def require_in_mr_space(
    ct: sitk.Image,
    mr: sitk.Image,
    candidates: Mapping[str, sitk.Image],
    progress: Progress,
) -> None:
    """Refuse candidates that do not lie on the MR, and warn of those that may not.

    By their frames of reference where both are known, their grids, and by how their bodies and
    contents lie on one another.

    Raises:
        SyntheticCTError: naming the candidate.
    """
    progress.report("Candidates on the MR", 0)
    lying = as_they_lie(mr, candidates, metric="mi")
    for name, candidate in candidates.items():
        _judge(ct, mr, name, candidate, lying[name], progress)
    progress.report("Candidates on the MR", 1)


def _judge(
    ct: sitk.Image,
    mr: sitk.Image,
    name: str,
    candidate: sitk.Image,
    found: Lying,
    progress: Progress,
) -> None:
    other_frame = frames_differ(candidate, mr)
    if other_frame and frame_of(candidate) == frame_of(ct):
        raise SyntheticCTError(
            f"{name} is in the frame of reference of the true CT and not of the MR, so that the "
            f"MR's registration would move it twice: {_OTHERWISE}."
        )
    how = f"{found.agreement.told()}, likest {found.apart_mm:.0f} mm away"
    if found.agreement.failed or found.apart_mm >= REFUSED_FROM_MM:
        raise SyntheticCTError(
            f"{name} does not lie in the MR's space ({how}), so that the MR's registration cannot "
            f"carry it: {_OTHERWISE}."
        )
    if not found.agreement.sure or found.apart_mm >= WARNED_FROM_MM:
        progress.warn(
            f"{name} may not lie in the MR's space ({how}), where the registration by the MR takes "
            f"it to lie; look at both, or {_OTHERWISE}."
        )
    elif other_frame:
        progress.warn(
            f"{name} and the MR are of different frames of reference; their bodies lie on one "
            f"another ({how}), so that the MR's registration was taken to hold for it."
        )
    elif same_grid(candidate, ct) and not same_grid(mr, ct):
        progress.warn(
            f"{name} is on the grid of the true CT and not of the MR: check that it was not "
            "registered onto the CT before, as the MR's registration would move it twice."
        )
