"""What a candidate's figures would be without bending."""

from __future__ import annotations

import SimpleITK as sitk

from . import body_agreement
from .similarity import mae

RIGID_DEFINITIONS = {
    "mae_body_rigid": (
        "Mean absolute error in HU over the body as above, of the candidate registered by the "
        "rigid part alone; there where it was bent."
    ),
    "dsc_body_rigid": (
        "Dice of the body contours of candidate and true CT as above (dsc_body), of the candidate "
        "registered by the rigid part alone; not the rough outlines by which the registration "
        "checks itself (registration_dsc)."
    ),
}


def rigid_figures(
    ct: sitk.Image,
    candidate: sitk.Image,
    ct_body: sitk.Image,
    candidate_body: sitk.Image,
    region: sitk.Image,
) -> dict[str, float]:
    """Return :data:`RIGID_DEFINITIONS` of a candidate that was not bent, as compare_images."""
    body, found_body = (ct_body != 0) & (region != 0), (candidate_body != 0) & (region != 0)
    return {
        "mae_body_rigid": mae(ct, candidate, body),
        "dsc_body_rigid": body_agreement.dice(body, found_body),
    }
