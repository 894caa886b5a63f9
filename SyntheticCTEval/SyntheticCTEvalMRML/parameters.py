"""What the panel's settings are and how they are kept in the scene."""

from __future__ import annotations

import enum
from typing import Annotated, Any

from slicer import vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode, vtkMRMLTableNode
from slicer.i18n import tr as _
from slicer.parameterNodeWrapper import Default, WithinRange, parameterNodeWrapper


class DoseSource(enum.Enum):
    """Where doses come from."""

    IMPORTED = "imported"
    RECALCULATED = "recalculated"
    NONE = "none"

    def label(self) -> str:
        return {
            DoseSource.IMPORTED: _("Imported"),
            DoseSource.RECALCULATED: _("Recalculate"),
            DoseSource.NONE: _("None, images only"),
        }[self]


class DoseEngine(enum.Enum):
    """What recalculates dose; the value is that of the command line's --dose-engine."""

    PENCIL_BEAM = "pencil-beam"
    MONTE_CARLO = "montecarlo"

    def label(self) -> str:
        if self is DoseEngine.MONTE_CARLO:
            return _("Monte Carlo of the plan")
        return _("Pencil beam (needs PyTorch)")


class DoseUnit(enum.Enum):
    """Unit of volumes that hold dose and do not say in which unit."""

    GY = "Gy"
    CGY = "cGy"

    def label(self) -> str:
        return self.value


class Preset(enum.Enum):
    """Gamma criteria; the value is percent and mm."""

    STUDY = (1.0, 1.0)
    CLINICAL = (2.0, 2.0)
    TOLERANT = (3.0, 3.0)
    CUSTOM = (0.0, 0.0)

    def label(self) -> str:
        if self is Preset.CUSTOM:
            return _("Custom")
        return _("{percent:g} % / {distance:g} mm").format(
            percent=self.value[0], distance=self.value[1]
        )


class Normalization(enum.Enum):
    """What gamma's dose difference is a percentage of."""

    GLOBAL = "global"
    LOCAL = "local"

    def label(self) -> str:
        if self is Normalization.GLOBAL:
            return _("Global, of the prescription")
        return _("Local, of the dose in the voxel")


class RegistrationWay(enum.Enum):
    """How candidates are laid on the true CT."""

    DEFORMABLE = "deformable"
    RIGID = "rigid"
    NONE = "none"

    def label(self) -> str:
        return {
            RegistrationWay.DEFORMABLE: _("Rigid, then deformable"),
            RegistrationWay.RIGID: _("Rigid"),
            RegistrationWay.NONE: _("None, candidates already lie on the CT"),
        }[self]


class RegistrationBy(enum.Enum):
    """Between which images the transform is found."""

    CANDIDATE = "candidate"
    MR = "mr"

    def label(self) -> str:
        if self is RegistrationBy.MR:
            return _("By the MR, one transform for all")
        return _("Each candidate by itself")


class Engine(enum.Enum):
    """What computes gamma."""

    EXACT = "exact"
    PYMEDPHYS = "pymedphys"

    def label(self) -> str:
        return _("Exact") if self is Engine.EXACT else _("pymedphys")


class Chart(enum.Enum):
    """Chart in the plot view."""

    GAMMA = "histogram"
    DVH = "dvh"

    def label(self) -> str:
        return _("Gamma histogram") if self is Chart.GAMMA else _("Dose-volume histograms")


class OverlayKind(enum.Enum):
    """What is laid over the CT."""

    GAMMA = "gamma"
    DIFFERENCE = "difference"
    DOSE_DIFFERENCE = "dose_difference"
    DOSE = "dose"
    CANDIDATE = "candidate"
    NONE = "none"

    def label(self) -> str:
        return {
            OverlayKind.GAMMA: _("Gamma"),
            OverlayKind.DIFFERENCE: _("Difference of CT numbers"),
            OverlayKind.DOSE_DIFFERENCE: _("Difference of dose"),
            OverlayKind.DOSE: _("Dose on the candidate"),
            OverlayKind.CANDIDATE: _("The candidate itself"),
            OverlayKind.NONE: _("Nothing"),
        }[self]


class GammaView(enum.Enum):
    """Colours of gamma; the value is the name in SyntheticCTMRML.display."""

    TWICE = "twice"
    ONE = "one"
    PASS = "pass"

    def label(self) -> str:
        return {
            GammaView.TWICE: _("0 to 2, with a step at 1"),
            GammaView.ONE: _("0 to 1, as in the study"),
            GammaView.PASS: _("Pass and fail"),
        }[self]


@parameterNodeWrapper
class SyntheticCTEvalParameterNode:
    """The panel's settings; see the tooltips in SyntheticCTEval.ui.

    candidateNames, candidateVolumes and candidateDoses are the columns of the candidates' table;
    plan is the path of an RTPLAN file, planLevels what one is made for; overrides and couch are
    structures and their CT numbers where dose is recalculated; evaluation is the metrics table of
    the evaluation that is shown, spot the hot spot that the slice views are at (0 before the
    first).
    """

    ct: vtkMRMLScalarVolumeNode
    candidateNames: list[str]
    candidateVolumes: list[vtkMRMLScalarVolumeNode]
    candidateDoses: list[vtkMRMLScalarVolumeNode]
    registration: RegistrationWay
    registrationBy: RegistrationBy
    structures: vtkMRMLSegmentationNode
    target: str
    mr: vtkMRMLScalarVolumeNode
    region: vtkMRMLScalarVolumeNode
    doseSource: DoseSource
    plan: str
    planLevels: str
    doseEngine: DoseEngine
    doseNoise: Annotated[float, WithinRange(0.05, 20), Default(0.15)]
    doseMinutes: Annotated[float, WithinRange(0.5, 1440), Default(15.0)]
    overrides: str
    couch: str
    referenceDose: vtkMRMLScalarVolumeNode
    doseUnit: DoseUnit
    prescription: Annotated[float, WithinRange(0, 500)]
    preset: Preset
    dosePercent: Annotated[float, WithinRange(0.1, 100), Default(1.0)]
    distance: Annotated[float, WithinRange(0.1, 50), Default(1.0)]
    normalization: Normalization
    furtherCriteria: str
    dvhPoints: str
    limits: str
    pseudonym: str
    cutoffs: Annotated[str, Default("10, 60")]
    cap: Annotated[float, WithinRange(1, 10), Default(2.0)]
    engine: Engine
    evaluation: vtkMRMLTableNode
    chart: Chart
    structureShown: str
    candidateShown: str
    overlay: OverlayKind
    gammaView: GammaView
    opacity: Annotated[float, WithinRange(0, 1), Default(0.5)]
    threshold: Annotated[float, WithinRange(0, 10), Default(0.0)]
    spot: int
    exportFolder: str
    exportReport: Annotated[bool, Default(True)]
    exportTables: Annotated[bool, Default(True)]
    exportScene: Annotated[bool, Default(True)]
    manifest: str
    model: str
    cohortFolder: str
    cohortRegistration: RegistrationWay
    cohortRegistrationBy: RegistrationBy
    cohortEngine: DoseEngine
    cohortImagesOnly: bool


def candidates_of(parameters: Any) -> list[tuple[str, Any, Any]]:
    """Return name, volume and dose of every row of the candidates' table; deleted nodes as None."""
    return [
        (name, alive(volume), alive(dose))
        for name, volume, dose in zip(
            parameters.candidateNames,
            parameters.candidateVolumes,
            parameters.candidateDoses,
            strict=False,
        )
    ]


def alive(node: Any) -> Any:
    """Return a node that is in a scene, else None."""
    return node if node is not None and node.GetScene() is not None else None
