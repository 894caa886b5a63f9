"""Nested targets of a phantom, for a plan with a simultaneous integrated boost."""

from __future__ import annotations

import SimpleITK as sitk

from SyntheticCTLib.anatomy.tissues import STRUCTURE_NAMES, Structure, Tissue

from .case import Phantom

LEVELS_GY = {"PTV45": 45.0, "PTV50": 50.0, "PTV55": 55.0}
"""The study's levels, in 25 fractions (1.8, 2.0 and 2.2 Gy), the outer target first."""
_BOOSTS_MM = {"PTV50": 15.0, "PTV55": 5.0}
"""How far a boost reaches from the tumour, within the target."""


def planning_structures(phantom: Phantom) -> dict[str, sitk.Image]:
    """Return masks (uint8, on the CT's grid) of nested targets and of organs, by name.

    PTV45 is the whole target; PTV50 and PTV55 are what of it lies within 15 and 5 mm of the tumour.
    """
    target = phantom.structures_ct == int(Structure.TARGET)
    tumour = phantom.labels_ct == int(Tissue.TUMOUR)
    away = sitk.SignedMaurerDistanceMap(tumour, squaredDistance=False, useImageSpacing=True)
    boosts = {name: (away <= reach) & target for name, reach in _BOOSTS_MM.items()}
    organs = {
        name: phantom.structures_ct == label
        for label, name in STRUCTURE_NAMES.items()
        if label != Structure.TARGET
    }
    return {"PTV45": target, **boosts, **organs}
