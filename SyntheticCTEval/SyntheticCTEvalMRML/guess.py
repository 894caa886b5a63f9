"""Which nodes of a scene are probably to be evaluated: a proposal that people can change."""

from __future__ import annotations

import re
from typing import Any

from SyntheticCTMRML.display import nodes_of_class
from SyntheticCTMRML.nodes import MARKS, RESULT
from SyntheticCTMRML.roles import guess_roles, of_one_patient


def guess_inputs(scene: Any, parameters: Any) -> None:
    """Fill in the true CT, MR, candidates and structures where the scene seems to have them.

    All of them are of one patient. Candidates are the volumes that carry the mark of a
    synthetic CT, and MRCAT. What is a result of an evaluation is no input of the next.
    """
    roles = guess_roles(scene)
    if "ct" not in roles:
        return
    from .display import FOLDER
    from .dose_nodes import DOSE_ATTRIBUTE

    ct = roles["ct"]
    parameters.ct = roles["ct"]
    parameters.mr = roles.get("mr")
    volumes = [
        node
        for node in nodes_of_class(scene, "vtkMRMLScalarVolumeNode")
        if node.GetAttribute(MARKS[0])
        and node.GetAttribute(RESULT) != FOLDER
        and not node.GetAttribute(DOSE_ATTRIBUTE)
        and "registered" not in node.GetName().lower()
        and of_one_patient(ct, node)
    ]
    mrcat = roles.get("mrcat")
    volumes = [node for node in volumes if node is not mrcat]
    if mrcat is not None:
        volumes.append(mrcat)
    parameters.candidateNames = candidate_names(volumes)
    parameters.candidateVolumes = volumes
    parameters.candidateDoses = [None] * len(volumes)
    segmentations = [
        node
        for node in nodes_of_class(scene, "vtkMRMLSegmentationNode")
        if node.GetAttribute(RESULT) is None and of_one_patient(ct, node)
    ]
    parameters.structures = next(iter(segmentations), None)


def candidate_names(nodes: list[Any]) -> list[str]:
    """Return the candidates' names, each a different one."""
    names: list[str] = []
    for node in nodes:
        name, number = candidate_name(node), 2
        while name in names:
            name, number = f"{candidate_name(node)} {number}", number + 1
        names.append(name)
    return names


def candidate_name(node: Any) -> str:
    """Return a candidate's name: short where it is clear what it is, else its volume's.

    Some characters cannot be in file names.
    """
    if node is None:
        return ""
    words = re.findall(r"[a-z0-9]+", node.GetName().lower())
    for short in SHORT:
        if short.lower() in words:
            return short
    name = node.GetName().replace(_LABEL, "")
    allowed = "".join(c if c.isalnum() or c in " -_.,()+" else "_" for c in name).strip(" .")
    return f"{allowed} candidate" if allowed.lower() == "ct" else allowed


SHORT = ("MRCAT", "sCT")
"""Names for charts, tables and views that say enough; the volume's says which one it is."""
_LABEL = " (synthetic, research use)"
