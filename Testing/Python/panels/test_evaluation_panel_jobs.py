"""What may go wrong while the evaluation's panel is at work, and does no harm."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest
import SimpleITK as sitk

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
pytest.importorskip("PySide6.QtUiTools", reason="PySide6 or its OpenGL library is not here")
from evaluation_case import NAME, add_case, dose, fill, water  # noqa: E402
from SyntheticCTEvalLib.evaluation.one_patient import evaluate  # noqa: E402
from SyntheticCTEvalLib.evaluation.settings import EvaluationSettings  # noqa: E402
from SyntheticCTEvalMRML.dose_nodes import dose_of  # noqa: E402
from SyntheticCTEvalMRML.scene import write_scene  # noqa: E402
from SyntheticCTLib.basics.errors import SyntheticCTError  # noqa: E402
from SyntheticCTMRML.child_process import CommandLine  # noqa: E402
from SyntheticCTMRML.jobs import JobListener  # noqa: E402
from SyntheticCTMRML.nodes import add_volume  # noqa: E402


@pytest.fixture
def panel(harness):
    panel = harness.open_panel("SyntheticCTEval")
    panel.case = add_case(harness.scene)
    return panel


def refused(harness, panel) -> str:
    """Click Evaluate and return the one sentence that is shown."""
    harness.click(panel.ui.evaluateButton)
    harness.process_events(until=lambda: not panel.jobPanel.busy, timeout_s=60)
    (sentence,) = harness.dialogs.messages
    harness.dialogs.messages.clear()
    assert panel.jobPanel.messageLabel.text == sentence
    assert panel.logic.evaluations() == []
    return sentence


def until_child_runs(harness, panel) -> None:
    harness.process_events(until=lambda: "Body contour" in panel.jobPanel.stepLabel.text)


def test_evaluate_waits_for_a_ct_and_a_candidate(harness, panel):
    button = panel.ui.evaluateButton
    assert not button.enabled and "true CT" in button.toolTip
    panel.ui.ctSelector.setCurrentNode(panel.case.ct)
    assert not button.enabled and "candidate" in button.toolTip
    harness.click(panel.ui.addCandidateButton)
    assert not button.enabled
    panel.inputs.candidates.selector(0, 1).setCurrentNode(panel.case.sct)
    assert button.enabled
    assert list(panel.parameters.candidateNames) == [NAME]
    panel.ui.registrationComboBox.currentIndex = 1
    panel.ui.registrationByComboBox.currentIndex = 1
    assert not button.enabled and "MR" in button.toolTip
    mr = add_volume(harness.scene, water() + 1000, "T2 MR")
    panel.ui.mrSelector.setCurrentNode(mr)
    settings = panel.inputs.arguments()["settings"]
    assert (settings.registration, settings.registration_by) == ("rigid", "mr") and button.enabled
    harness.click(panel.ui.removeCandidateButton)
    assert not button.enabled
    assert panel.case.sct.GetScene() is not None


def test_entering_proposes_what_the_scene_seems_to_hold(harness):
    panel = harness.open_panel("SyntheticCTEval")
    harness.leave(panel)
    case = add_case(harness.scene)
    case.mrcat.SetAttribute("SyntheticCT", "synthetic")
    mr = add_volume(harness.scene, water() + 1000, "T2 MR")
    panel.enter()
    harness.process_events()
    assert panel.ui.ctSelector.currentNode() is case.ct
    assert panel.ui.mrSelector.currentNode() is mr
    assert panel.ui.structuresSelector.currentNode() is case.structures
    assert list(panel.parameters.candidateNames) == [NAME, "MRCAT"]
    assert panel.inputs.candidates.selector(1, 1).currentNode() is case.mrcat
    assert panel.ui.doseNoteLabel.visible
    panel.ui.ctSelector.setCurrentNode(mr)
    panel.exit()
    panel.enter()
    assert panel.ui.ctSelector.currentNode() is mr


def test_bad_input_gets_one_sentence(harness, panel):
    fill(harness, panel, panel.case)
    panel.parameters.candidateNames = ["a/b", "MRCAT"]
    assert "cannot be called 'a/b'" in refused(harness, panel)
    panel.parameters.candidateNames = ["MRCAT", "MRCAT"]
    assert "Two candidates are called MRCAT" in refused(harness, panel)
    panel.parameters.candidateNames = [NAME, "MRCAT"]
    panel.ui.cutoffsLineEdit.text = "ten"
    assert "'ten' is not a list of percents" in refused(harness, panel)
    panel.ui.cutoffsLineEdit.text = "10; 60"
    panel.ui.referenceDoseSelector.setCurrentNode(None)
    assert "not on the true CT" in refused(harness, panel)
    panel.ui.referenceDoseSelector.setCurrentNode(panel.case.plan)
    for row in range(2):
        panel.inputs.candidates.selector(row, 2).setCurrentNode(None)
    assert "on no candidate" in refused(harness, panel)
    flat = add_volume(harness.scene, water() * 0, "Flat")
    panel.inputs.candidates.selector(0, 1).setCurrentNode(flat)
    panel.inputs.candidates.selector(0, 2).setCurrentNode(panel.case.plan_sct)
    assert "candidate Flat is empty" in refused(harness, panel)


def test_a_volume_that_is_two_things_is_refused(harness, panel):
    fill(harness, panel, panel.case)
    selector, case = panel.inputs.candidates.selector, panel.case
    name = next(iter(panel.parameters.candidateNames))
    for row, column, node, other in (
        (0, 1, case.ct, case.sct),  # would agree with itself perfectly
        (0, 2, case.plan, case.plan_sct),
        (1, 2, case.plan_sct, case.plan_mrcat),  # another candidate's dose
        (0, 1, case.plan_sct, case.sct),
    ):
        selector(row, column).setCurrentNode(node)
        panel.parameters.candidateNames = [name, "MRCAT"]
        assert f"{node.GetName()} is chosen as" in refused(harness, panel)
        selector(row, column).setCurrentNode(other)


def test_a_dose_that_slicerrt_says_is_relative_is_refused(harness, panel):
    tree, case = harness.scene.GetSubjectHierarchyNode(), panel.case
    study = tree.CreateStudyItem(tree.GetSceneItemID(), "plan")
    tree.CreateItem(study, case.plan)
    case.plan.SetAttribute("DicomRtImport.DoseVolume", "1")
    tree.SetItemAttribute(study, "DicomRtImport.DoseUnitName", "GY")
    dose_of(case.plan, None)
    tree.SetItemAttribute(study, "DicomRtImport.DoseUnitName", "RELATIVE")
    with pytest.raises(SyntheticCTError, match="in RELATIVE and not in Gy"):
        dose_of(case.plan, "Gy")


def test_a_fault_at_the_end_leaves_a_panel_that_still_shows_results(harness, panel, monkeypatch):
    panel._shown = False  # another module is open
    monkeypatch.setattr(panel.review, "showNew", lambda *what, **how: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        panel.onEvaluated((None, SimpleNamespace(metrics=None)))
    assert not panel.review.quiet


def test_a_dose_that_cannot_be_in_gray_is_refused_until_its_unit_is_said(harness, panel):
    fill(harness, panel, panel.case, candidates=1)
    centigray = add_volume(harness.scene, dose(100), "Monte Carlo")
    panel.ui.referenceDoseSelector.setCurrentNode(centigray)
    assert 'give the unit, "Gy" or "cGy"' in refused(harness, panel)
    panel.ui.doseUnitComboBox.currentIndex = 1
    assert panel.inputs.arguments()["doseUnit"] == "cGy"
    centigray.SetAttribute("DicomRtImport.DoseVolume", "1")  # SlicerRT's doses are in Gy
    assert sitk.GetArrayFromImage(dose_of(centigray, "cGy")).max() > 4400


def test_cancel_ends_the_child_in_two_seconds_and_leaves_no_node(harness, panel):
    fill(harness, panel, panel.case)
    before = harness.scene.GetNumberOfNodes()
    harness.click(panel.ui.evaluateButton)
    until_child_runs(harness, panel)
    job = panel.jobPanel._job
    process = next(p for p in _children(job))
    begin = time.monotonic()
    harness.click(panel.jobPanel.cancelButton)
    harness.process_events(until=lambda: not panel.jobPanel.busy)
    assert time.monotonic() - begin < 2
    assert process.poll() is not None
    assert not job.folder.exists()
    assert harness.scene.GetNumberOfNodes() == before
    assert panel.ui.evaluateButton.enabled
    assert "Cancelled" in panel.jobPanel.messageLabel.text


def _children(job):
    yield job._stage._process


def test_closing_the_scene_during_a_run_cancels_it(harness, panel):
    fill(harness, panel, panel.case)
    harness.click(panel.ui.evaluateButton)
    until_child_runs(harness, panel)
    process = next(_children(panel.jobPanel._job))
    harness.close_scene()
    harness.process_events(until=lambda: not panel.jobPanel.busy)
    assert process.poll() is not None
    assert panel.logic.evaluations() == []
    assert list(panel.parameters.candidateNames) == []
    assert panel.ui.candidatesTable.rowCount == 0
    assert harness.dialogs.messages == []


def test_unloading_the_module_ends_the_child(harness, panel):
    fill(harness, panel, panel.case)
    harness.click(panel.ui.evaluateButton)
    until_child_runs(harness, panel)
    process = next(_children(panel.jobPanel._job))
    panel.cleanup()
    assert process.poll() is not None
    assert not panel.jobPanel.busy


def test_a_run_survives_leaving_the_module_and_leaves_its_views_alone(harness, panel):
    fill(harness, panel, panel.case, candidates=1)
    harness.click(panel.ui.evaluateButton)
    until_child_runs(harness, panel)
    harness.leave(panel)
    red = harness.app.layoutManager().sliceWidget("Red").mrmlSliceCompositeNode()
    before = (harness.app.layoutManager().layout, red.GetForegroundVolumeID())
    harness.process_events(until=lambda: not panel.jobPanel.busy, timeout_s=120)
    harness.process_events()
    assert harness.dialogs.messages == []
    assert (harness.app.layoutManager().layout, red.GetForegroundVolumeID()) == before
    (anchor,) = panel.logic.evaluations()
    nodes = panel.logic.evaluationNodes(anchor)
    assert nodes.gammas[NAME].GetImageData() is not None
    panel.enter()
    harness.process_events()
    assert panel.parameters.evaluation is anchor
    assert panel.ui.metricsTableView.mrmlTableNode() is anchor


def test_a_job_is_told_to_its_listener_and_cancelled_in_a_script(harness):
    case = add_case(harness.scene)
    logic = harness.load_module("SyntheticCTEval").SyntheticCTEvalLogic()
    heard = SimpleNamespace(steps=set(), ended="")

    class Listener(JobListener):
        def onProgress(self, step, fraction, details):
            heard.steps.add(step)

        def onEnd(self, job):
            heard.ended = job.state

    settings = EvaluationSettings(registration="none", dose=False)
    job = logic.startEvaluation(case.ct, {NAME: case.sct}, settings=settings, listener=Listener())
    harness.process_events(until=lambda: "Body contour" in heard.steps, timeout_s=60)
    job.cancel(wait=True)
    assert heard.ended == "cancelled"
    with pytest.raises(SyntheticCTError, match="cancelled"):
        job.wait()
    with pytest.raises(SyntheticCTError, match="No true CT"):
        logic.startEvaluation(None, {NAME: case.sct})


def test_a_scene_written_by_the_command_line_is_reviewed_in_the_panel(harness, panel, tmp_path):
    evaluation = evaluate(
        water(),
        {NAME: water(52)},
        dose_ct=dose(),
        doses={NAME: dose(1.002, hot=True)},
        settings=EvaluationSettings(registration="none", prescription_gy=45),
    )
    documents = {"report.html": "<!doctype html> Übersicht"}
    harness.load_scene(write_scene(evaluation, tmp_path / "scene.mrb", documents))
    assert panel.ui.candidateComboBox.currentText == NAME
    panel.ui.resultsCollapsibleButton.collapsed = False
    panel.ui.reviewCollapsibleButton.collapsed = False
    panel.parent.resize(520, 1800)
    harness.click(panel.ui.nextSpotButton)
    assert panel.ui.spotLabel.text.startswith("Spot 1 of 2")
    harness.click(panel.ui.sideBySideButton)
    nodes = panel.logic.evaluationNodes(panel.parameters.evaluation)
    assert nodes.document("report.html") == documents["report.html"]


def test_packages_are_asked_for_at_the_first_click_only(harness, panel, monkeypatch):
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "jinja2" else find(name, *a)
    )
    fill(harness, panel, panel.case)
    harness.dialogs.answers += ["Cancel"]
    harness.click(panel.ui.evaluateButton)
    question, sentence = harness.dialogs.messages
    assert "jinja2" in question and "jinja2" in sentence
    assert harness.packages.installed == []
    assert not panel.jobPanel.busy


def test_a_cohort_runs_in_the_background(harness, panel, tmp_path):
    (tmp_path / "manifest.csv").write_text(
        "patient,ct,candidate_sCT,dose_ct\nA,none.nrrd,x.nrrd,d\n"
    )
    panel.ui.cohortCollapsibleButton.collapsed = False
    assert not panel.ui.cohortButton.enabled
    panel.ui.manifestPath.currentPath = str(tmp_path / "manifest.csv")
    panel.ui.cohortFolderPath.currentPath = str(tmp_path / "out")
    panel.ui.cohortImagesOnlyCheckBox.checked = True
    panel.parent.resize(520, 1600)
    harness.click(panel.ui.cohortButton)
    assert panel.cohortPanel.busy and not panel.ui.cohortButton.enabled
    harness.process_events(until=lambda: not panel.cohortPanel.busy, timeout_s=120)
    (sentence,) = harness.dialogs.messages
    assert "none.nrrd" in sentence or "no patient" in sentence.lower()
    assert not panel.ui.openCohortReportButton.enabled
    (tmp_path / "out").mkdir(exist_ok=True)
    (tmp_path / "out" / "report.html").write_text("<html></html>")
    panel.update()
    harness.click(panel.ui.openCohortReportButton)
    assert harness.dialogs.opened[-1].endswith("/out/report.html")


def test_the_cohorts_engine_and_its_effort_reach_the_child(harness, panel, tmp_path, monkeypatch):
    given: list[list[str]] = []

    class Kept(CommandLine):
        def start(self, job) -> None:
            given.append([str(one) for one in self._arguments])

        def done(self, job) -> bool:
            return True

    monkeypatch.setattr("SyntheticCTMRML.child_process.CommandLine", Kept)
    (tmp_path / "manifest.csv").write_text("patient,ct,candidate_sCT,plan\nA,a,b,c\n")
    panel.ui.cohortCollapsibleButton.collapsed = False
    panel.ui.manifestPath.currentPath = str(tmp_path / "manifest.csv")
    panel.ui.cohortFolderPath.currentPath = str(tmp_path / "out")
    assert not panel.ui.doseMinutesSpinBox.enabled
    panel.ui.cohortEngineComboBox.currentIndex = 1
    panel.ui.doseMinutesSpinBox.value = 7
    assert panel.ui.doseMinutesSpinBox.enabled
    panel.parent.resize(520, 1600)
    harness.click(panel.ui.cohortButton)
    harness.process_events(until=lambda: not panel.cohortPanel.busy)
    told = dict(zip(given[0], given[0][1:], strict=False))
    assert (told["--dose-engine"], told["--dose-noise"]) == ("montecarlo", "0.15")
    assert told["--dose-minutes"] == "7.0" and "--no-dose" not in given[0]


def test_the_panel_builds_without_a_window(harness_without_window):
    panel = harness_without_window.open_panel("SyntheticCTEval")
    assert not panel.ui.evaluateButton.enabled
    assert panel.ui.ctSelector.toolTip
    harness_without_window.close_scene()
    assert panel.parameters.evaluation is None


def test_every_control_has_a_tooltip(harness, panel):
    kinds = (
        "QPushButton", "QComboBox", "QDoubleSpinBox", "QLineEdit", "QCheckBox", "ctkPathLineEdit",
        "ctkSliderWidget", "qMRMLNodeComboBox", "qMRMLTableView", "QTableWidget",
    )  # fmt: skip
    without = [
        name
        for name, widget in vars(panel.ui).items()
        if widget.className() in kinds and not widget.toolTip and not name.startswith("qt_")
    ]
    assert without == []


def test_the_modules_own_test_passes(harness):
    harness.run_self_test("SyntheticCTEval")
