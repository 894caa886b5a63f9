"""Dose nodes: in Gy, whoever loaded them, and the gamma of two of them as a node."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import SimpleITK as sitk
from SyntheticCTEvalLib.dose.units import in_gray
from SyntheticCTEvalLib.gamma.comparison import GammaResult
from SyntheticCTEvalLib.gamma.criteria import GammaCriteria
from SyntheticCTEvalLib.gamma.engines import compute_gamma
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import Progress
from SyntheticCTLib.basics.stepwise import finished
from SyntheticCTMRML.display import show_gamma
from SyntheticCTMRML.nodes import (
    image_from_node,
    image_steps,
    refuse_same_node,
    update_node_from_image,
)
from SyntheticCTMRML.progress import LOG
from SyntheticCTMRML.roles import modality_of
from SyntheticCTMRML.translation import tr as _

DOSE_ATTRIBUTE = "DicomRtImport.DoseVolume"
DOSE_UNIT_ATTRIBUTE = "DicomRtImport.DoseUnitName"


def dose_of(node: Any, unit: str | None) -> sitk.Image:
    """Return a dose node as a checked image in Gy; what SlicerRT has loaded is in Gy already."""
    return finished(dose_steps(node, unit))


def dose_steps(node: Any, unit: str | None) -> Generator[None, None, sitk.Image]:
    """:func:`dose_of` in steps."""
    if modality_of(node) == "RTDOSE" and not node.GetAttribute(DOSE_ATTRIBUTE):
        raise SyntheticCTError(
            _(
                "The dose {name} was loaded from RTDOSE without SlicerRT: it holds stored numbers "
                "and no dose. Read its file by the button Read RT files, or install SlicerRT and "
                "load it again."
            ).format(name=node.GetName())
        )
    stated = _stated_unit(node) if node.GetAttribute(DOSE_ATTRIBUTE) else ""
    if stated not in ("", "GY"):
        raise SyntheticCTError(
            _(
                "The dose {name} is in {unit} and not in Gy (DoseUnits of its RTDOSE): export it "
                "from the planning system as an absolute dose in Gy."
            ).format(name=node.GetName(), unit=stated)
        )
    image = yield from image_steps(node, "dose")
    return in_gray(image, f"dose {node.GetName()}", unit_of(node, unit))


def _stated_unit(node: Any) -> str:
    """The unit that SlicerRT has found in a dose's RTDOSE, "" where it is not known."""
    tree = node.GetScene().GetSubjectHierarchyNode() if node.GetScene() is not None else None
    item = tree.GetItemByDataNode(node) if tree is not None else 0
    study = tree.GetItemAncestorAtLevel(item, "Study") if item else 0
    return (tree.GetItemAttribute(study, DOSE_UNIT_ATTRIBUTE) if study else "").strip().upper()


def unit_of(node: Any, unit: str | None) -> str | None:
    """Return the unit of a dose node: Gy where SlicerRT has loaded it, else ``unit``."""
    return "Gy" if node.GetAttribute(DOSE_ATTRIBUTE) else unit


def gamma_of_nodes(
    doses: tuple[Any, Any],
    criteria: GammaCriteria | None,
    output: Any,
    mask: Any,
    unit: str | None,
    engine: str,
    progress: Progress | None,
) -> GammaResult:
    """Compare two doses (reference, evaluated) and write the map to ``output``.

    See SyntheticCTEvalLogic.computeGamma.
    """
    reference, evaluated = doses
    refuse_same_node(output, [reference, evaluated, mask])
    result = compute_gamma(
        dose_of(reference, unit),
        dose_of(evaluated, unit),
        criteria,
        image_from_node(mask, "mask") if mask is not None else None,
        engine=engine,
        progress=progress or LOG,
    )
    update_node_from_image(output, result.gamma)
    show_gamma(output)
    return result
