"""What structures are: by their RTSTRUCT, else by their names (PS3.3 C.8.8.8.1)."""

from __future__ import annotations

from collections.abc import Mapping

import SimpleITK as sitk
from pydicom.dataset import Dataset
from SyntheticCTLib.dicom.roi_types import EXTERNAL, ROI_TYPE, roi_type, valid

from .target import ORGAN_WORDS, TARGET_WORDS, _words, is_target_name

_TARGETS = ("ptv", "ctv", "gtv")
"""Words that are types as well; DICOM has none for an ITV."""
_OUTLINE = frozenset(("body", "external", "patient"))
_NO_ORGANS = ("cavity", "contour", "genitalia", "haut", "nt", "oar", "oars", "organ", "organs")
_ORGANS = ORGAN_WORDS - _OUTLINE - {*_NO_ORGANS}
_SIDES = ("l", "r", "lt", "rt", "li", "re", "left", "right", "both")
_BESIDE = {*_SIDES, "and", "bag", "large", "small"}
"""Words that tell one organ from another of its kind."""
_AVOID = frozenset(("avoid", "avoidance"))


def types_of(dataset: Dataset) -> dict[int, str]:
    """Return the types that an RTSTRUCT gives its ROIs, by number."""
    return {
        int(item.ReferencedROINumber): kind
        for item in dataset.get("RTROIObservationsSequence") or []
        if item.get("ReferencedROINumber") not in (None, "") and (kind := valid(item.get(ROI_TYPE)))
    }


def type_by_name(name: str) -> str:
    """Return the type that a structure's name tells beyond doubt; "" where it does not.

    Targets as :func:`.target.find_target` knows them, organs without any other word, AVOIDANCE
    and the patient's outline.
    """
    words = _words(name)
    kinds = [word for word in words if word in TARGET_WORDS]
    if is_target_name(name) and kinds[0] in _TARGETS:
        return kinds[0].upper()
    if kinds or not words:
        return ""
    if not _AVOID.isdisjoint(words):
        return "AVOIDANCE"
    if len(words) == 1 and words[0] in _OUTLINE:
        return EXTERNAL
    organs = [word for word in words if word in _ORGANS]
    return "ORGAN" if organs and set(words) <= _ORGANS | _BESIDE else ""


def give_types(structures: Mapping[str, sitk.Image]) -> None:
    """Give masks without a type the one that their names tell (as image metadata)."""
    for name, mask in structures.items():
        if not roi_type(mask) and (kind := type_by_name(name)):
            mask.SetMetaData(ROI_TYPE, kind)
