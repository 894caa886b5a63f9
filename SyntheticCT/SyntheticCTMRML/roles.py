"""Which volume of a scene is probably MR, CT or MRCAT: a proposal that people can change."""

from __future__ import annotations

import re
from typing import Any

from .display import nodes_of_class
from .nodes import RESULT

_WORDS = {
    "mrcat": ("mrcat",),
    "mr": ("mr", "mri", "t2", "t2w", "tse"),
    "ct": ("ct", "pct", "planning ct"),
}


def guess_roles(scene: Any) -> dict[str, Any]:
    """Return the volume nodes that are probably "mr", "ct" and "mrcat", by role.

    By the DICOM modality where Slicer's subject hierarchy knows it, else by words of the name.
    Synthetic CTs and results are none of them.
    """
    found: dict[str, Any] = {}
    for node in nodes_of_class(scene, "vtkMRMLScalarVolumeNode"):
        role = guess_role(node)
        if role:
            found.setdefault(role, node)
    return found


def guess_role(node: Any) -> str:
    """Return "mr", "ct" or "mrcat" for what a node probably is, "" for none of them."""
    scene = node.GetScene()
    volume = node.IsA("vtkMRMLScalarVolumeNode") and not node.IsA("vtkMRMLLabelMapVolumeNode")
    if scene is None or not volume or node.GetHideFromEditors() or node.GetImageData() is None:
        return ""
    if node.GetAttribute(RESULT):
        return ""
    words = set(re.findall(r"[a-z0-9]+", node.GetName().lower()))
    if "mrcat" in words:
        return "mrcat"
    if words & {"sct", "registered", "normalized", "dose", "gamma", "uncertainty"}:
        return ""
    modality = _modality(scene, node)
    if modality in ("MR", "CT"):
        return modality.lower()
    return next((role for role, known in _WORDS.items() if words & set(known)), "")


def _modality(scene: Any, node: Any) -> str:
    tree = scene.GetSubjectHierarchyNode()
    item = tree.GetItemByDataNode(node) if tree is not None else 0
    return tree.GetItemAttribute(item, "DICOM.Modality") if item else ""
