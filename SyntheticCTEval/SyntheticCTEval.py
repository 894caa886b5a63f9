"""Slicer module: evaluation of synthetic CTs against the true CT. Class, logic, self test."""

from __future__ import annotations

from typing import Any

import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleTest,
)
from SyntheticCTEvalMRML.module_logic import SyntheticCTEvalLogic
from SyntheticCTEvalUI.widget import SyntheticCTEvalWidget

__all__ = [
    "SyntheticCTEval",
    "SyntheticCTEvalLogic",
    "SyntheticCTEvalTest",
    "SyntheticCTEvalWidget",
]

README = "https://github.com/SyntheticCT/SyntheticCT#synthetic-ct-evaluation"


class SyntheticCTEval(ScriptedLoadableModule):
    """What Slicer shows about the module."""

    def __init__(self, parent: Any) -> None:
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("Synthetic CT Evaluation")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Radiotherapy")]
        self.parent.dependencies = ["SyntheticCT"]  # whose libraries it uses
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
        slicer.app.connect("startupCompleted()", self.onStartupCompleted)

    def onStartupCompleted(self) -> None:
        """Make the view layouts known to Slicer's window."""
        from SyntheticCTEvalMRML.review import register_layouts

        manager = slicer.app.layoutManager()
        if manager is not None:
            register_layouts(manager.layoutLogic().GetLayoutNode())


class SyntheticCTEvalTest(ScriptedLoadableModuleTest):
    """The whole workflow on a small digital patient: through the panel, and by one logic call."""

    def setUp(self) -> None:
        slicer.mrmlScene.Clear(0)

    def runTest(self) -> None:
        self.setUp()
        self.test_FromInputsToReport()

    def test_FromInputsToReport(self) -> None:
        """Click through the panel; a script that does the same must find the same figures."""
        import tempfile
        import time
        from pathlib import Path

        from SyntheticCTEvalLib.evaluation.settings import EvaluationSettings
        from SyntheticCTEvalLib.gamma.criteria import Criterion
        from SyntheticCTEvalMRML.parameters import DoseSource, OverlayKind, Preset, RegistrationWay
        from SyntheticCTMRML.packages import missing

        absent = missing("evaluation")
        if absent:
            self.delayDisplay(f"Not tested: {', '.join(absent)} is not installed.")
            return
        panel = slicer.util.getModuleWidget("SyntheticCTEval")
        panel.enter()  # now, so that no inputs are guessed
        ct, candidate, dose, candidateDose, structures = _small_patient()
        self.delayDisplay("Choose the inputs")
        panel.ui.ctSelector.setCurrentNode(ct)
        panel.ui.addCandidateButton.click()
        panel.inputs.candidates.selector(0, 1).setCurrentNode(candidate)
        panel.inputs.candidates.selector(0, 2).setCurrentNode(candidateDose)
        panel.ui.referenceDoseSelector.setCurrentNode(dose)
        panel.ui.structuresSelector.setCurrentNode(structures)
        panel.parameters.registration = RegistrationWay.NONE
        panel.parameters.doseSource = DoseSource.IMPORTED
        panel.parameters.preset = Preset.CLINICAL
        panel.parameters.prescription = 50.0
        self.delayDisplay("Evaluate")
        panel.ui.evaluateButton.click()
        while panel.jobPanel.busy:
            slicer.app.processEvents()
            time.sleep(0.01)
        self.assertEqual(panel.jobPanel.error, "")
        node = panel.parameters.evaluation
        self.assertIsNotNone(node)
        name = candidate.GetName()
        nodes = panel.logic.evaluationNodes(node)
        self.assertEqual(nodes.names, [name])

        self.delayDisplay("Review")
        panel.ui.nextSpotButton.click()
        self.assertEqual(panel.parameters.spot, 1)
        panel.parameters.overlay = OverlayKind.DIFFERENCE
        panel.ui.sideBySideButton.click()
        panel.ui.chartLayoutButton.click()

        self.delayDisplay("Export")
        with tempfile.TemporaryDirectory() as folder:
            paths = panel.logic.exportResults(node, folder)
            self.assertTrue(all(Path(path).stat().st_size for path in paths))
            self.assertEqual(paths[0].name, "report.html")

        self.delayDisplay("The same by script")
        evaluation, _nodes = panel.logic.startEvaluation(
            ct,
            {name: candidate},
            doseNode=dose,
            candidateDoses={name: candidateDose},
            settings=EvaluationSettings(
                prescription_gy=50, registration="none", criteria=(Criterion(2, 2),)
            ),
        ).wait()
        figures = evaluation.candidates[name].metrics
        table = nodes.metrics.GetTable()
        self.assertEqual(table.GetValue(0, 0).ToString(), "MAE in the body (HU)")
        self.assertAlmostEqual(table.GetValue(0, 1).ToDouble(), figures["mae_image"], places=3)
        self.assertEqual(evaluation.candidates[name].gamma.criteria.distance_mm, 2)
        self.delayDisplay("Test passed")


def _small_patient() -> tuple[Any, Any, Any, Any, Any]:
    """Add CT, candidate, dose on each, and structures of a digital patient to the scene."""
    import numpy as np
    import SimpleITK as sitk
    from SyntheticCTLib.phantom import STRUCTURE_NAMES, TINY, make_phantom
    from SyntheticCTMRML.nodes import add_volume
    from SyntheticCTMRML.segments import add_segmentation

    patient = make_phantom(7, TINY)
    ct = add_volume(slicer.mrmlScene, patient.ct, "CT of a digital patient")
    candidate = add_volume(slicer.mrmlScene, patient.ct + 20, "Denser CT")
    names = list(STRUCTURE_NAMES.items())[:2]
    masks = {name: patient.structures_ct == label for label, name in names}
    # A ball of dose around the middle, on a coarser grid.
    middle = np.array(patient.ct.GetSize()) / 2
    grid = patient.ct[::2, ::2, ::2]
    distance = np.linalg.norm(
        np.moveaxis(np.indices(grid.GetSize()), 0, -1) * 2 - middle, axis=-1
    ).T
    dose = sitk.GetImageFromArray((50 / (1 + np.exp((distance - 12) / 2))).astype(np.float32))
    dose.CopyInformation(grid)
    return (
        ct,
        candidate,
        add_volume(slicer.mrmlScene, dose, "Dose"),
        add_volume(slicer.mrmlScene, dose * 0.97, "Dose on the denser CT"),
        add_segmentation(slicer.mrmlScene, "Structures", masks, ct),
    )
