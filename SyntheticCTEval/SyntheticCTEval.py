"""Slicer module: evaluation of a synthetic CT against the true CT. The class and the logic."""

from __future__ import annotations

from typing import Any

from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import ScriptedLoadableModule, ScriptedLoadableModuleLogic

README = "https://github.com/SyntheticCT/SyntheticCT#synthetic-ct-evaluation"


class SyntheticCTEval(ScriptedLoadableModule):
    """What Slicer shows about the module."""

    def __init__(self, parent: Any) -> None:
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("Synthetic CT Evaluation")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Radiotherapy")]
        self.parent.dependencies = []
        self.parent.contributors = ["SyntheticCT contributors"]
        self.parent.helpText = _(
            "Holds synthetic CTs and other stand-ins against the true CT: image similarity, body "
            "contour, dose and gamma, with the gamma map on the anatomy. For research use, "
            'not a medical device. <a href="{link}">How to use it</a>.'
        ).format(link=README)
        self.parent.acknowledgementText = _(
            "The figures follow a published study of synthetic CT from T2-weighted MR; the README "
            "names it."
        )


class SyntheticCTEvalLogic(ScriptedLoadableModuleLogic):
    """Nodes in, nodes out; all computing is done by SyntheticCTEvalLib.

    Parent transforms of the inputs are applied. Every method raises
    SyntheticCTLib.errors.SyntheticCTError with one sentence for the user, and then has changed
    no node. ``progress`` takes a SyntheticCTLib.progress.Progress; without one, warnings go to
    the log.
    """

    def evaluate(
        self,
        ctNode: Any,
        candidates: dict[str, Any],
        *,
        doseNode: Any = None,
        candidateDoses: dict[str, Any] | None = None,
        doseUnit: str | None = None,
        structuresNode: Any = None,
        regionNode: Any = None,
        mrNode: Any = None,
        settings: Any = None,
        progress: Any = None,
    ) -> tuple[Any, Any]:
        """Hold candidates against the true CT and show the results in the CT's scene.

        :param ctNode: true CT in HU, scalar volume node.
        :param candidates: scalar volume nodes in HU by name (synthetic CT, MRCAT, ...).
        :param doseNode: dose on the true CT; without it dose is recalculated.
        :param candidateDoses: doses by candidate name, where ``doseNode`` is given.
        :param doseUnit: "Gy" (None takes it for that, too; SlicerRT loads RTDOSE so) or "cGy".
        :param structuresNode: segmentation node; one of its segments is the target.
        :param regionNode: label map or volume; voxels that are 0 are left out of every figure.
        :param mrNode: MR to be shown in the report.
        :param settings: SyntheticCTEvalLib.evaluation.EvaluationSettings.
        :return: SyntheticCTEvalLib.results.Evaluation with all figures and
          SyntheticCTEvalLib.display.EvaluationNodes with the nodes that show them.
        """
        from SyntheticCTEvalLib.display import add_evaluation
        from SyntheticCTEvalLib.evaluation import evaluate
        from SyntheticCTMRML.nodes import image_from_node
        from SyntheticCTMRML.progress import LOG
        from SyntheticCTMRML.segments import masks_from_segmentation

        doseNodes = dict(candidateDoses or {})
        structures = masks_from_segmentation(structuresNode) if structuresNode is not None else {}
        evaluation = evaluate(
            _volume(ctNode, "CT"),
            {name: _volume(node, f"candidate {name}") for name, node in candidates.items()},
            dose_ct=_dose(doseNode, doseUnit) if doseNode is not None else None,
            doses={name: _dose(node, doseUnit) for name, node in doseNodes.items()},
            structures=structures,
            region=image_from_node(regionNode, "region") if regionNode is not None else None,
            mr=_volume(mrNode, "MR") if mrNode is not None else None,
            settings=settings,
            progress=progress or LOG,
        )
        # Doses in another unit are shown anew, in Gy.
        shown = {"": doseNode, **doseNodes} if (doseUnit or "Gy").lower() == "gy" else {}
        nodes = add_evaluation(
            ctNode.GetScene(), evaluation, ct_node=ctNode, mr_node=mrNode, dose_nodes=shown
        )
        return evaluation, nodes

    def computeGamma(
        self,
        referenceNode: Any,
        evaluatedNode: Any,
        criteria: Any,
        outputNode: Any,
        maskNode: Any = None,
        doseUnit: str | None = None,
        engine: str = "exact",
        progress: Any = None,
    ) -> Any:
        """Compare two doses by gamma; the map goes to ``outputNode``, -1 where not evaluated.

        :param referenceNode: reference dose, scalar volume node.
        :param evaluatedNode: dose that is compared with it.
        :param criteria: SyntheticCTEvalLib.gamma.GammaCriteria; None for 1 %/1 mm, cutoff 10 %.
        :param outputNode: scalar volume node for the gamma map, on the reference grid.
        :param maskNode: label map or volume; only voxels that are not 0 are evaluated.
        :param doseUnit: "Gy" (None takes it for that, too; SlicerRT loads RTDOSE so) or "cGy".
        :param engine: "exact" or "pymedphys".
        :return: SyntheticCTEvalLib.gamma.GammaResult with the pass rates.
        """
        from SyntheticCTEvalLib.gamma import compute_gamma
        from SyntheticCTMRML.display import show_gamma
        from SyntheticCTMRML.nodes import (
            image_from_node,
            refuse_same_node,
            update_node_from_image,
        )
        from SyntheticCTMRML.progress import LOG

        refuse_same_node(outputNode, [referenceNode, evaluatedNode, maskNode])
        result = compute_gamma(
            _dose(referenceNode, doseUnit),
            _dose(evaluatedNode, doseUnit),
            criteria,
            image_from_node(maskNode, "mask") if maskNode is not None else None,
            engine=engine,
            progress=progress or LOG,
        )
        update_node_from_image(outputNode, result.gamma)
        show_gamma(outputNode, outputNode.GetName())
        return result

    def showGamma(self, ctNode: Any, gammaNode: Any, opacity: float = 0.5) -> None:
        """Lay a gamma map over a CT in every slice view."""
        from SyntheticCTMRML.display import set_slice_layers, show_ct, show_gamma

        show_ct(ctNode)
        show_gamma(gammaNode, gammaNode.GetName())
        set_slice_layers(ctNode.GetScene(), ctNode, gammaNode, opacity)

    def writeResults(self, evaluation: Any, folder: str, progress: Any = None) -> None:
        """Write metrics.json, maps, report.html and scene.mrb of an evaluation into ``folder``."""
        from SyntheticCTEvalLib.files import write_evaluation
        from SyntheticCTLib.outputs import staged_folder
        from SyntheticCTMRML.progress import LOG

        with staged_folder(folder) as stage:
            write_evaluation(evaluation, stage, progress=progress or LOG)


def _volume(node: Any, what: str) -> Any:
    """Return a volume node as a checked SimpleITK image."""
    from SyntheticCTLib.volumes import check_volume
    from SyntheticCTMRML.nodes import image_from_node

    image = image_from_node(node, what)
    return check_volume(image, f"{what} {node.GetName()}")


def _dose(node: Any, unit: str | None) -> Any:
    """Return a dose node as a checked SimpleITK image in Gy."""
    from SyntheticCTEvalLib.dose import in_gray
    from SyntheticCTMRML.nodes import image_from_node

    image = image_from_node(node, "dose")
    return in_gray(image, f"dose {node.GetName()}", unit)
