"""Gamma of two dose nodes, as a node."""

from __future__ import annotations

from typing import Any

from SyntheticCTEvalLib.gamma.comparison import GammaResult
from SyntheticCTEvalLib.gamma.criteria import GammaCriteria
from SyntheticCTEvalLib.gamma.engines import compute_gamma
from SyntheticCTLib.basics.progress import Progress
from SyntheticCTMRML.display import show_gamma
from SyntheticCTMRML.nodes import image_from_node, refuse_same_node, update_node_from_image
from SyntheticCTMRML.progress import LOG

from .evaluation_job import dose_of


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
