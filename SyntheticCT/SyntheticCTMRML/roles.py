"""Which volume of a scene is probably MR, CT or MRCAT: a proposal that people can change."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from SyntheticCTLib.basics.errors import SyntheticCTError

from .display import nodes_of_class
from .nodes import MARKS, RESULT
from .translation import tr as _

PATIENT_ID = "DICOM.PatientID"
_WORDS = {
    "mrcat": ("mrcat",),
    "mr": ("mr", "mri", "t2", "t2w", "tse"),
    "ct": ("ct", "pct", "planning ct"),
}


def guess_roles(scene: Any) -> dict[str, Any]:
    """Return the volume nodes that are probably "mr", "ct" and "mrcat", by role.

    By the DICOM modality where Slicer's subject hierarchy knows it, else by words of the name.
    Synthetic CTs and results are none of them. All are of one patient: the first that has an
    MR, else the first of all.
    """
    found: dict[str, dict[str, Any]] = {}
    for node in nodes_of_class(scene, "vtkMRMLScalarVolumeNode"):
        role = guess_role(node)
        if role:
            found.setdefault(patient_of(node), {}).setdefault(role, node)
    # What no patient is known of may belong to the only one that is known.
    alone = found.pop("", {}) if len([patient for patient in found if patient]) == 1 else {}
    every = [alone | roles for roles in found.values()]
    return next((roles for roles in every if "mr" in roles), next(iter(every), {}))


def patient_of(node: Any) -> str:
    """Return what tells a node's patient from others, "" where none is known.

    The DICOM patient ID of the patient above it in the subject hierarchy, else that item.
    """
    patient = _patient_item(node)
    return patient_id_of(node) or (f"item {patient}" if patient else "")


def patient_id_of(node: Any) -> str:
    """Return the DICOM patient ID of the patient above a node, "" where none is known."""
    patient = _patient_item(node)
    tree = node.GetScene().GetSubjectHierarchyNode() if patient else None
    return tree.GetItemAttribute(patient, PATIENT_ID) if patient else ""


def patient_of_file(path: str) -> str:
    """Return the patient ID of a DICOM file, "" where it says none or is no DICOM."""
    from SyntheticCTLib.dicom.headers import read_header

    header = read_header(Path(path), tags=("PatientID",))
    return str((header or {}).get("PatientID") or "").strip()


def _patient_item(node: Any) -> int:
    scene = node.GetScene() if node is not None else None
    tree = scene.GetSubjectHierarchyNode() if scene is not None else None
    item = tree.GetItemByDataNode(node) if tree is not None else 0
    return tree.GetItemAncestorAtLevel(item, "Patient") if item else 0


def of_one_patient(*nodes: Any) -> bool:
    """Whether the patients of ``nodes`` (None counts for nothing), where known, are one."""
    return len({patient_of(node) for node in nodes if node is not None} - {""}) <= 1


def other_patients(nodes: Mapping[str, Any]) -> str:
    """Return a warning where nodes, by what they are, belong to different patients, else ""."""
    given = {what: node for what, node in nodes.items() if node is not None}
    if of_one_patient(*given.values()):
        return ""
    groups: dict[str, list[str]] = {}
    for what, node in given.items():
        groups.setdefault(patient_of(node), []).append(what)
    groups.pop("", None)
    told = _("; ").join(_(" and ").join(names) for names in groups.values())
    return _(
        "These belong to different patients by Slicer's subject hierarchy: {groups}. Check that "
        "they are of one patient."
    ).format(groups=told)


def taken_twice(roles: Iterable[tuple[str, Any]]) -> str:
    """Return in a sentence that one node has two of these roles, "" where none has."""
    for (what, node), (other, same) in itertools.combinations(roles, 2):
        if node is not None and node is same:
            return _("{name} is chosen as {what} and as {other}: choose another volume.").format(
                name=node.GetName(), what=what, other=other
            )
    return ""


def role_fault(mr: Any, ct: Any = None, mrcat: Any = None) -> str:
    """Return in a sentence why these nodes cannot have these roles, "" where they can."""
    if fault := taken_twice([("MR", mr), ("CT", ct), ("MRCAT", mrcat)]):
        return fault
    if mr is not None and (mr.GetAttribute(MARKS[0]) or modality_of(mr) == "CT"):
        return _("{name} is a CT and no MR: choose the MR.").format(name=mr.GetName())
    if ct is not None and modality_of(ct) == "MR":
        return _("{name} is an MR and no CT: choose the CT.").format(name=ct.GetName())
    return ""


def require_roles(mr: Any, ct: Any = None, mrcat: Any = None) -> None:
    """Raise SyntheticCTError where these nodes cannot have these roles (:func:`role_fault`)."""
    if fault := role_fault(mr, ct, mrcat):
        raise SyntheticCTError(fault)


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
    modality = modality_of(node)
    if modality in ("MR", "CT"):
        return modality.lower()
    return next((role for role, known in _WORDS.items() if words & set(known)), "")


def modality_of(node: Any) -> str:
    """Return the DICOM modality that Slicer's subject hierarchy knows of a node, else ""."""
    scene = node.GetScene()
    tree = scene.GetSubjectHierarchyNode() if scene is not None else None
    item = tree.GetItemByDataNode(node) if tree is not None else 0
    return tree.GetItemAttribute(item, "DICOM.Modality") if item else ""
