"""What the panel of the module SyntheticCT asks for, as it is saved with the scene."""

from __future__ import annotations

import enum
from typing import Annotated

from slicer import (
    vtkMRMLScalarVolumeNode,
    vtkMRMLSegmentationNode,
    vtkMRMLTransformNode,
)
from slicer.i18n import tr as _
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper


class Device(enum.Enum):
    """Where the network runs."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"

    def label(self) -> str:
        return {"auto": _("GPU where there is one"), "cpu": _("CPU"), "cuda": _("GPU (CUDA)")}[
            self.value
        ]


class RigidEngine(enum.Enum):
    """Which program finds the rigid part of a registration."""

    auto = "auto"
    brainsfit = "brainsfit"
    library = "library"

    def label(self) -> str:
        return {
            "auto": _("BRAINSFit where Slicer has it"),
            "brainsfit": _("BRAINSFit"),
            "library": _("The library's own, always the same result"),
        }[self.value]


class DeformableEngine(enum.Enum):
    """Which program finds the deformable part of a registration."""

    plastimatch = "plastimatch"
    brainsfit = "brainsfit"

    def label(self) -> str:
        return {"plastimatch": _("plastimatch"), "brainsfit": _("BRAINSFit")}[self.value]


class PairsFrom(enum.Enum):
    """Where the pairs of a training come from."""

    manifest = "manifest"
    scene = "scene"

    def label(self) -> str:
        return {"manifest": _("a manifest file"), "scene": _("volumes of this scene")}[self.value]


@parameterNodeWrapper
class SyntheticCTParameterNode:
    """What the panel asks for; saved with the scene.

    The model is a folder, or "demo"; paths are empty where none is chosen.
    """

    mr: vtkMRMLScalarVolumeNode
    ct: vtkMRMLScalarVolumeNode
    mrcat: vtkMRMLScalarVolumeNode
    body: vtkMRMLSegmentationNode
    model: str = "demo"
    device: Device = Device.auto
    makeUncertainty: bool = False
    opacity: Annotated[float, WithinRange(0, 1)] = 0.5
    normalizedVolume: vtkMRMLScalarVolumeNode
    sctVolume: vtkMRMLScalarVolumeNode
    uncertaintyVolume: vtkMRMLScalarVolumeNode
    movingVolume: vtkMRMLScalarVolumeNode
    rigidEngine: RigidEngine = RigidEngine.auto
    deformable: bool = True
    deformableEngine: DeformableEngine = DeformableEngine.plastimatch
    registeredVolume: vtkMRMLScalarVolumeNode
    registeredTransform: vtkMRMLTransformNode
    pairsFrom: PairsFrom = PairsFrom.manifest
    manifest: str = ""
    modelFolder: str = ""
    domain: str = ""
    epochs: Annotated[int, WithinRange(1, 100000)] = 100
    width: Annotated[int, WithinRange(1, 512)] = 64
    size: Annotated[int, WithinRange(32, 2048)] = 512
    batch: Annotated[int, WithinRange(1, 256)] = 3
    learningRate: Annotated[float, WithinRange(1e-6, 0.1)] = 0.0002
    decayEpochs: Annotated[int, WithinRange(0, 100000)] = 0
    adversarialWeight: Annotated[float, WithinRange(0, 1000)] = 1.0
    spacing: Annotated[float, WithinRange(0, 20)] = 0.0
    seed: Annotated[int, WithinRange(0, 1000000)] = 0
