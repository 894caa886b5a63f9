"""Slicer module: synthetic CT from T2-weighted MR. The class and the logic."""

from __future__ import annotations

from typing import Any

from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import ScriptedLoadableModule, ScriptedLoadableModuleLogic

README = "https://github.com/SyntheticCT/SyntheticCT#synthetic-ct"


class SyntheticCT(ScriptedLoadableModule):
    """What Slicer shows about the module."""

    def __init__(self, parent: Any) -> None:
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("Synthetic CT")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Radiotherapy")]
        self.parent.dependencies = []
        self.parent.contributors = ["SyntheticCT contributors"]
        self.parent.helpText = _(
            "Makes a synthetic CT from a T2-weighted MR of the pelvis, for MR-only radiotherapy: "
            "Nyul normalization, a trained network, registration onto a CT. For research use, "
            'not a medical device. <a href="{link}">How to use it</a>.'
        ).format(link=README)
        self.parent.acknowledgementText = _(
            "The method follows a published study of synthetic CT from T2-weighted MR by a "
            "generative adversarial network; the README names it."
        )


class SyntheticCTLogic(ScriptedLoadableModuleLogic):
    """Volume nodes in, volume nodes out; all computing is done by SyntheticCTLib.

    A result lies exactly where its input lies, with the input's parent transforms applied.
    Every method raises SyntheticCTLib.errors.SyntheticCTError with one sentence for the user,
    and then has changed no node. ``progress`` takes a SyntheticCTLib.progress.Progress;
    without one, warnings go to the log.
    """

    def normalize(self, mrNode: Any, bundlePath: str, outputNode: Any) -> Any:
        """Map an MR to the standard scale of a model (Nyul) and return ``outputNode``.

        :param mrNode: MR, scalar volume node.
        :param bundlePath: folder of the model bundle.
        :param outputNode: scalar volume node for the result (float32).
        """
        from SyntheticCTLib.bundle import load_bundle
        from SyntheticCTMRML.display import show_mr
        from SyntheticCTMRML.nodes import refuse_same_node, update_node_from_image

        refuse_same_node(outputNode, [mrNode])
        normalized = load_bundle(bundlePath).nyul.apply(_volume(mrNode, "MR"))
        update_node_from_image(outputNode, normalized)
        show_mr(outputNode)
        return outputNode

    def generate(
        self,
        mrNode: Any,
        bundlePath: str,
        outputNode: Any,
        uncertaintyNode: Any = None,
        device: str = "auto",
        progress: Any = None,
    ) -> Any:
        """Make the synthetic CT of an MR and return ``outputNode``.

        :param mrNode: MR, scalar volume node.
        :param bundlePath: folder of the model bundle.
        :param outputNode: scalar volume node for the synthetic CT (int16 HU).
        :param uncertaintyNode: scalar volume node for the standard deviation in HU over the
          slabs that predicted a slice (float32, -1 where only one did).
        :param device: "auto", "cpu" or "cuda".
        """
        from SyntheticCTLib.bundle import load_bundle
        from SyntheticCTLib.inference import generate
        from SyntheticCTMRML.display import show_ct, show_uncertainty
        from SyntheticCTMRML.nodes import refuse_same_node, update_node_from_image
        from SyntheticCTMRML.progress import LOG

        refuse_same_node(outputNode, [mrNode, uncertaintyNode])
        refuse_same_node(uncertaintyNode, [mrNode])
        mr = _volume(mrNode, "MR")
        bundle = load_bundle(bundlePath)
        result = generate(mr, bundle, device=device, progress=progress or LOG)
        update_node_from_image(outputNode, result.sct)
        show_ct(outputNode)
        if uncertaintyNode is not None:
            update_node_from_image(uncertaintyNode, result.uncertainty)
            show_uncertainty(uncertaintyNode)
        return outputNode

    def register(
        self,
        fixedNode: Any,
        movingNode: Any,
        outputNode: Any,
        *,
        metric: str,
        fill: float,
        progress: Any = None,
    ) -> Any:
        """Register a volume onto another, rigidly and then deformably; return ``outputNode``.

        :param fixedNode: volume that stays, usually the CT.
        :param movingNode: volume that is moved.
        :param outputNode: scalar volume node for the moved volume, on the grid of the fixed one.
        :param metric: "mse" between CT-like volumes, "mi" between MR and CT.
        :param fill: value outside the moving volume's field of view: -1024 for CT, 0 for MR.
        """
        from SyntheticCTLib.registration import register
        from SyntheticCTMRML.nodes import refuse_same_node, update_node_from_image
        from SyntheticCTMRML.progress import LOG

        refuse_same_node(outputNode, [fixedNode, movingNode])
        result = register(
            _volume(fixedNode, "fixed volume"),
            _volume(movingNode, "moving volume"),
            metric=metric,
            fill=fill,
            progress=progress or LOG,
        )
        update_node_from_image(outputNode, result.warped)
        return outputNode

    def outputName(self, mrNode: Any) -> str:
        """Return the name for the synthetic CT of an MR."""
        return _("sCT of {name} (synthetic, research use)").format(name=mrNode.GetName())


def _volume(node: Any, what: str) -> Any:
    """Return a volume node as a checked SimpleITK image."""
    from SyntheticCTLib.volumes import check_volume
    from SyntheticCTMRML.nodes import image_from_node

    image = image_from_node(node, what)
    return check_volume(image, f"{what} {node.GetName()}")
