"""The evaluation's panel with a plan: its dose by pencil beam or by Monte Carlo, and the noise."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from types import SimpleNamespace

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
pytest.importorskip("PySide6.QtUiTools", reason="PySide6 or its OpenGL library is not here")
from dicom_files import edit, write_series  # noqa: E402
from evaluation_case import NAME, add_case, water  # noqa: E402
from montecarlo_cases import gaussian_scattering, square_field  # noqa: E402
from SyntheticCTEvalLib.dose.overrides import Override  # noqa: E402
from SyntheticCTEvalLib.evaluation import one_patient  # noqa: E402
from SyntheticCTEvalLib.evaluation.quantities import signed  # noqa: E402
from SyntheticCTEvalLib.evaluation.settings import EvaluationSettings  # noqa: E402
from SyntheticCTEvalLib.gamma.criteria import Criterion  # noqa: E402
from SyntheticCTEvalLib.montecarlo import doses  # noqa: E402
from SyntheticCTEvalLib.montecarlo.batches import Effort  # noqa: E402
from SyntheticCTEvalLib.plan.beams import TargetLevel  # noqa: E402
from SyntheticCTEvalLib.plan.reading import read_plan  # noqa: E402
from SyntheticCTEvalLib.plan.writing import write_plan  # noqa: E402
from SyntheticCTEvalLib.planning import treatment  # noqa: E402
from SyntheticCTEvalLib.planning.request import PlanRequest  # noqa: E402
from SyntheticCTEvalLib.report import pdf  # noqa: E402
from SyntheticCTEvalMRML import evaluation_job  # noqa: E402
from SyntheticCTLib.basics.errors import SyntheticCTError  # noqa: E402
from SyntheticCTMRML.child_process import CommandLine  # noqa: E402
from SyntheticCTMRML.nodes import add_volume  # noqa: E402
from SyntheticCTMRML.roles import PATIENT_ID  # noqa: E402
from SyntheticCTProgram.evaluate import settings_asked  # noqa: E402
from SyntheticCTProgram.program import build_parser, main  # noqa: E402


class Here(CommandLine):
    """The command line in this process, where Monte Carlo is made quick; keeps what it is given."""

    given: list[str]

    def start(self, job) -> None:
        Here.given = [*map(str, self._arguments(job)), "--progress", "json"]
        with (
            self._file(job, "out").open("w") as out,
            self._file(job, "err").open("w") as err,
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            code = main(Here.given)
        self._process = SimpleNamespace(poll=lambda: code)


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(doses, "scattering_tables", gaussian_scattering)
    monkeypatch.setattr(
        one_patient, "Effort", lambda noise, minutes: Effort(noise, 1e-9, candidates=20_000)
    )
    monkeypatch.setattr(evaluation_job, "CommandLine", Here)
    monkeypatch.setattr(pdf, "missing", lambda: "no PDF here")


@pytest.fixture
def panel(harness, tmp_path):
    """A panel with a CT, a candidate and a dose that is recalculated; a plan lies in a file."""
    panel = harness.open_panel("SyntheticCTEval")
    panel.case = add_case(harness.scene)
    panel.plan = tmp_path / "plan.dcm"
    write_plan(square_field(20.0, mu=400.0), panel.plan)
    panel.ui.ctSelector.setCurrentNode(panel.case.ct)
    harness.click(panel.ui.addCandidateButton)
    panel.inputs.candidates.selector(0, 1).setCurrentNode(panel.case.sct)
    panel.ui.registrationComboBox.currentIndex = 2  # none
    panel.ui.doseSourceComboBox.currentIndex = 1  # recalculated
    harness.process_events()
    return panel


def test_what_the_choice_of_a_plan_and_an_engine_needs(harness, panel):
    ui = panel.ui
    assert ui.planPath.enabled and ui.doseEngineComboBox.enabled and ui.evaluateButton.enabled
    assert not ui.doseNoiseSpinBox.enabled and not ui.doseMinutesSpinBox.enabled
    ui.doseEngineComboBox.currentIndex = 1  # Monte Carlo
    assert ui.doseNoiseSpinBox.enabled and ui.doseMinutesSpinBox.enabled
    assert not ui.evaluateButton.enabled and "plan" in ui.evaluateButton.toolTip
    ui.planPath.currentPath = str(panel.plan)
    assert ui.evaluateButton.enabled
    ui.doseNoiseSpinBox.value, ui.doseMinutesSpinBox.value = 0.5, 2
    given = panel.inputs.arguments()
    settings = given["settings"]
    assert given["planPath"] == str(panel.plan) and settings.dose_engine == "montecarlo"
    assert (settings.dose_noise_percent, settings.dose_minutes) == (0.5, 2)
    harness.leave(panel)
    panel.enter()
    assert ui.planPath.currentPath == str(panel.plan) and ui.doseNoiseSpinBox.value == 0.5
    ui.doseSourceComboBox.currentIndex = 0  # imported: no plan's dose is calculated
    assert not ui.planPath.enabled and not ui.doseNoiseSpinBox.enabled
    assert panel.inputs.arguments()["planPath"] == ""


def test_monte_carlo_shows_noise_while_it_runs_and_beside_the_pass_rates(harness, panel, quick):
    panel.ui.planPath.currentPath = str(panel.plan)
    panel.ui.doseEngineComboBox.currentIndex = 1
    panel.ui.doseNoiseSpinBox.value, panel.ui.doseMinutesSpinBox.value = 0.05, 2
    panel.parameters.furtherCriteria = "2/2"
    steps = []
    show = panel.jobPanel._show

    def shown(*told):
        show(*told)
        steps.append(panel.jobPanel.stepLabel.text)

    panel.jobPanel._show = shown
    harness.click(panel.ui.evaluateButton)
    harness.process_events(until=lambda: not panel.jobPanel.busy, timeout_s=120)
    assert panel.jobPanel.error == ""
    given = dict(itertools.pairwise(Here.given))
    assert given["--plan"] == str(panel.plan) and given["--dose-engine"] == "montecarlo"
    assert (given["--dose-noise"], given["--dose-minutes"]) == ("0.05", "2.0")
    told = [text for text in steps if text.startswith("Monte Carlo: noise ")]
    assert told and all(text.endswith(" min left") for text in told)
    nodes = panel.logic.evaluationNodes(panel.parameters.evaluation)
    table = nodes.metrics.GetTable()
    figures = {
        table.GetValue(row, 0).ToString(): table.GetValue(row, 1).ToDouble()
        for row in range(table.GetNumberOfRows())
    }
    noise = figures["Noise of the gamma pass rate, dose above 10 % (% points)"]
    bias = figures["Bias of the gamma pass rate by noise, dose above 10 % (% points)"]
    assert noise > 0
    summary = panel.logic.summary(panel.parameters.evaluation)
    rate = figures["Gamma pass rate 1 %/1 mm, dose above 10 % (%)"]
    assert f"<b>{rate:.2f}</b><br/>&nbsp; noise {noise:.2f}, bias {signed(bias)}</td>" in summary
    assert summary.count("&nbsp; noise") == 2  # of the first criterion, a cutoff
    assert "Gamma pass rate 2 %/2 mm, dose above 10 %" in summary
    assert any("stopped at a noise" in note for note in panel.logic.warnings(nodes.metrics))


def test_a_plan_is_made_for_targets_and_exported_and_the_pencil_beam_has_no_noise(
    harness, panel, quick, monkeypatch, tmp_path
):
    field = dataclasses.replace(
        square_field(20.0, mu=800.0), prescription=(TargetLevel("PTV", 20.0),)
    )
    made = SimpleNamespace(plan=field, dose=water(0) * 0 + 20, iterations=1, seconds=1.0)
    monkeypatch.setattr(treatment, "make_plan", lambda *given, **more: made)
    ui = panel.ui
    ui.planLevelsLineEdit.text = "PTV=20"
    assert not ui.evaluateButton.enabled and "structures" in ui.evaluateButton.toolTip
    ui.structuresSelector.setCurrentNode(panel.case.structures)
    assert ui.evaluateButton.enabled
    assert panel.inputs.arguments()["settings"].planning == PlanRequest((("PTV", 20.0),))
    ui.planPath.currentPath = str(panel.plan)  # goes before
    assert not ui.planLevelsLineEdit.enabled
    assert panel.inputs.arguments()["settings"].planning == PlanRequest()
    ui.planPath.currentPath = ""
    harness.click(ui.evaluateButton)
    harness.process_events(until=lambda: not panel.jobPanel.busy, timeout_s=200)
    assert panel.jobPanel.error == ""
    summary = panel.logic.summary(panel.parameters.evaluation)
    assert "Gamma pass rate" in summary and "&nbsp; noise" not in summary
    definitions = panel.logic.evaluationNodes(panel.parameters.evaluation).definitions.GetTable()
    rows = range(definitions.GetNumberOfRows())
    assert any("as it is delivered" in definitions.GetValue(row, 1).ToString() for row in rows)
    written = panel.logic.exportResults(
        panel.parameters.evaluation, str(tmp_path / "out"), scene=False, report=False
    )
    assert {"plan.dcm", "plan.json"} <= {path.name for path in written}
    plan = read_plan(tmp_path / "out" / "plan.dcm")
    assert plan.prescription_gy == 20 and plan.beams[0].name == "square"


def test_a_script_gives_a_plan_and_is_told_what_is_missing(harness, panel, tmp_path):
    given = (panel.case.ct, {NAME: panel.case.sct})
    settings = EvaluationSettings(registration="none", dose_engine="montecarlo")
    with pytest.raises(SyntheticCTError, match="choose the RTPLAN file"):
        panel.logic.startEvaluation(*given, settings=settings)
    with pytest.raises(SyntheticCTError, match="is not there"):
        panel.logic.startEvaluation(*given, settings=settings, planPath=str(tmp_path / "no.dcm"))
    with pytest.raises(SyntheticCTError, match="choose no plan"):
        panel.logic.startEvaluation(
            *given,
            doseNode=panel.case.plan,
            candidateDoses={NAME: panel.case.plan_sct},
            planPath=str(panel.plan),
        )
    made = PlanRequest((("PTV", 45.0),), fractions=20, arcs=3)
    settings = EvaluationSettings(registration="none", planning=made)
    inputs = evaluation_job.EvaluationInputs(ct=given[0], candidates=given[1])
    with pytest.raises(SyntheticCTError, match="made for structures"):
        inputs.check(settings)
    inputs.structures = panel.case.structures
    inputs.check(settings)
    told = [str(one) for one in evaluation_job._arguments(tmp_path, inputs, settings)]
    told = dict(itertools.pairwise(told))
    assert (told["--fractions"], told["--arcs"]) == ("20", "3")
    inputs.plan = str(panel.plan)
    with pytest.raises(SyntheticCTError, match="leave one of them"):
        inputs.check(settings)
    inputs.plan, own = "", dataclasses.replace(made, objectives=())
    with pytest.raises(SyntheticCTError, match="objectives of your own"):
        inputs.check(dataclasses.replace(settings, planning=own))


def test_structures_get_their_ct_numbers_and_a_couch_is_laid_in(harness, panel, quick):
    ui = panel.ui
    ui.planPath.currentPath = str(panel.plan)
    ui.overridesLineEdit.text, ui.couchLineEdit.text = "PTV=60", "couch=-300;"
    assert not ui.evaluateButton.enabled and "structures" in ui.evaluateButton.toolTip
    ui.structuresSelector.setCurrentNode(panel.case.structures)
    asked = (Override("PTV", 60.0), Override("couch", -300.0, couch=True))
    assert panel.inputs.arguments()["settings"].overrides == asked
    harness.click(ui.evaluateButton)
    harness.process_events(until=lambda: not panel.jobPanel.busy, timeout_s=120)
    assert "The couch names the structure couch, and there is none" in panel.jobPanel.error
    harness.dialogs.messages.clear()
    ui.couchLineEdit.text = ""
    harness.click(ui.evaluateButton)
    harness.process_events(until=lambda: not panel.jobPanel.busy, timeout_s=120)
    assert panel.jobPanel.error == ""
    notes = panel.logic.warnings(panel.parameters.evaluation)
    assert any("PTV" in note and "60 HU" in note for note in notes), notes
    ui.overridesLineEdit.text = "PTV"
    harness.click(ui.evaluateButton)
    (told,) = harness.dialogs.messages
    harness.dialogs.messages.clear()
    assert "names no structure and its CT number in HU" in told
    ui.doseSourceComboBox.currentIndex = 2  # none
    assert not ui.overridesLineEdit.enabled and not ui.couchLineEdit.enabled


def test_every_setting_of_a_script_reaches_the_evaluation(harness, panel, monkeypatch):
    """What is not handed over would be left out of the figures without a word."""
    settings = EvaluationSettings(
        prescription_gy=20.0,
        registration="rigid",
        registration_by="mr",
        target="-PTV=45",
        dose_spacing_mm=2.5,
        criteria=(Criterion(2.0, 1.5, True), Criterion(3.0, 3.0)),
        cutoffs_percent=(12.5, 50.0),
        gamma_cap=1.5,
        gamma_engine="pymedphys",
        dose_engine="montecarlo",
        dose_noise_percent=0.31,
        dose_minutes=7.5,
        planning=PlanRequest((("PTV", 45.0), ("-PTV=5", 50.0)), fractions=20, arcs=3),
        leaf_transmission_percent=1.7,
        density_curve=((-1000.0, 0.001), (0.1 + 0.2, 1.0), (3000.0, 2.5)),
        overrides=(Override("PTV", 60.5), Override("-couch", -300.0, couch=True)),
        dvh_points="PTV: D98%",
        mask_nan=True,
    )
    usual = EvaluationSettings()
    of_itself = {"dose", "prescription_planned"}  # --no-dose stands alone; of a plan that is read
    for field in dataclasses.fields(settings):
        same = getattr(settings, field.name) == getattr(usual, field.name)
        assert same == (field.name in of_itself), field.name
    told = read_back(monkeypatch)
    case = panel.case
    with pytest.raises(SyntheticCTError, match="exit code 3"):
        panel.logic.startEvaluation(
            case.ct,
            {NAME: case.sct},
            structuresNode=case.structures,
            mrNode=add_volume(harness.scene, sitk.Abs(water()), "MR"),
            settings=settings,
        ).wait()
    assert told == [settings]
    alone = EvaluationSettings(overrides=settings.overrides)
    with pytest.raises(SyntheticCTError, match="choose their segmentation"):
        panel.logic.startEvaluation(case.ct, {NAME: case.sct}, settings=alone)
    with pytest.raises(SyntheticCTError, match="have the dose recalculated"):
        panel.logic.startEvaluation(
            case.ct,
            {NAME: case.sct},
            structuresNode=case.structures,
            settings=dataclasses.replace(alone, dose=False),
        )


def read_back(monkeypatch) -> list[EvaluationSettings]:
    """Let evaluations end at once; returns the list of what they were asked for."""
    told: list[EvaluationSettings] = []

    class Reads(CommandLine):
        def start(self, job) -> None:
            options = build_parser().parse_args([*map(str, self._arguments(job))])
            told.append(settings_asked(options))
            for name in ("out", "err"):
                self._file(job, name).touch()
            self._process = SimpleNamespace(poll=lambda: 3)

    monkeypatch.setattr(evaluation_job, "CommandLine", Reads)
    return told


@pytest.mark.parametrize("source", [0, 2])  # imported, none
def test_what_is_chosen_for_a_dose_that_is_not_calculated_stays_without_effect(
    source, harness, panel, monkeypatch
):
    told = read_back(monkeypatch)
    ui = panel.ui
    ui.planPath.currentPath = str(panel.plan)
    ui.doseEngineComboBox.currentIndex = 1  # Monte Carlo
    ui.overridesLineEdit.text = "no number"
    panel.parameters.furtherCriteria = "2/2"
    ui.doseSourceComboBox.currentIndex = source
    if source == 0:
        ui.referenceDoseSelector.setCurrentNode(panel.case.plan)
        panel.inputs.candidates.selector(0, 2).setCurrentNode(panel.case.plan_sct)
    harness.click(ui.evaluateButton)
    harness.process_events(until=lambda: not panel.jobPanel.busy)
    assert "exit code 3" in panel.jobPanel.error
    harness.dialogs.messages.clear()
    (settings,) = told
    assert settings.dose == (source == 0)
    assert len(settings.criteria) == (2 if settings.dose else 1)
    assert settings.left_out(recalculated=False, histograms=False) == []


def test_a_plan_of_another_patient_is_told_of(harness, panel):
    tree = harness.scene.GetSubjectHierarchyNode()
    patient = tree.CreateSubjectItem(tree.GetSceneItemID(), "somebody")
    tree.SetItemAttribute(patient, PATIENT_ID, "4711")
    tree.CreateItem(patient, panel.case.ct)
    inputs = evaluation_job.EvaluationInputs(
        ct=panel.case.ct, candidates={NAME: panel.case.sct}, plan=str(panel.plan)
    )
    assert inputs.other_patients() == []
    edit(panel.plan, PatientID="4711")
    assert inputs.other_patients() == []
    edit(panel.plan, PatientID="0815")
    (told,) = inputs.other_patients()
    assert "plan and the CT are of different patients" in told


@pytest.mark.parametrize(
    ("element", "sentence"),
    [
        ({"FrameOfReferenceUID": "1.2.3.9"}, "different frames of reference"),
        ({"PatientPosition": "FFS"}, "the CT was scanned in the position FFS"),
    ],
)
def test_a_plan_of_another_ct_is_refused_where_slicer_knows_the_cts_files(
    element, sentence, harness, panel, quick, tmp_path
):
    edit(panel.plan, FrameOfReferenceUID="1.2.3.4")
    stored = np.zeros((3, 4, 4), np.uint16)
    database = harness.dicom_database.opened()
    files = write_series(tmp_path / "series", stored)
    for file in files:
        edit(file, **element)
        database.add(str(file), False)
    uids = [str(pydicom.dcmread(file).SOPInstanceUID) for file in files]
    panel.case.ct.SetAttribute("DICOM.instanceUIDs", " ".join(uids))
    panel.ui.planPath.currentPath = str(panel.plan)
    panel.ui.doseEngineComboBox.currentIndex = 1
    harness.click(panel.ui.evaluateButton)
    harness.process_events(until=lambda: not panel.jobPanel.busy, timeout_s=120)
    assert sentence in panel.jobPanel.error
    harness.dialogs.messages.clear()
