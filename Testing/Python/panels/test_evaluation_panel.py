"""The evaluation's panel, clicked through from inputs to files."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import vtk
from PIL import Image

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
pytest.importorskip("PySide6.QtUiTools", reason="PySide6 or its OpenGL library is not here")
from evaluation_case import NAME, add_case, dose, fill, target, water  # noqa: E402
from harness import render_slice  # noqa: E402
from places import REPOSITORY  # noqa: E402
from SyntheticCTEvalMRML.review import SIDE_BY_SIDE  # noqa: E402
from SyntheticCTLib.basics.errors import SyntheticCTError  # noqa: E402
from SyntheticCTMRML.display import nodes_of_class  # noqa: E402
from SyntheticCTMRML.nodes import image_from_node  # noqa: E402
from SyntheticCTMRML.transforms import array_of  # noqa: E402

EVALUATION_S = 120


@pytest.fixture(scope="module")
def clicked(session):
    """The panel after an evaluation at 2 %/2 mm, started with a click and waited for."""
    case = add_case(session.scene)
    panel = session.open_panel("SyntheticCTEval")
    fill(session, panel, case)
    panel.ui.presetComboBox.currentIndex = 1
    session.click(panel.ui.evaluateButton)
    assert not panel.ui.evaluateButton.enabled
    session.process_events(until=lambda: not panel.jobPanel.busy, timeout_s=EVALUATION_S)
    assert session.dialogs.messages == []
    panel.case = case
    panel.parent.resize(560, 1800)
    session.process_events()
    return panel


@pytest.fixture
def panel(clicked):
    """The same, with the settings of its review as after the evaluation."""
    from SyntheticCTEvalMRML.parameters import Chart, GammaView, OverlayKind

    parameters = clicked.parameters
    parameters.candidateShown, parameters.spot = NAME, 0
    parameters.overlay, parameters.gammaView = OverlayKind.GAMMA, GammaView.TWICE
    parameters.opacity, parameters.threshold = 0.5, 0.0
    parameters.chart, parameters.structureShown = Chart.GAMMA, ""
    return clicked


def nodes_of(panel):
    return panel.logic.evaluationNodes(panel.parameters.evaluation)


def cells(view) -> list[list[str]]:
    model = view.model()
    return [
        [model.index(row, column).data() for column in range(model.columnCount())]
        for row in range(model.rowCount())
    ]


def choose(box, index) -> None:
    """Pick an entry of a combo box as a person does, which is another signal than the code's."""
    box.currentIndex = index
    box._qt.activated.emit(index)


def composite(scene, view="Red"):
    (found,) = [
        node
        for node in nodes_of_class(scene, "vtkMRMLSliceCompositeNode")
        if node.GetLayoutName() == view
    ]
    return found


def test_the_click_gives_the_figures_of_the_core(panel):
    from SyntheticCTEvalLib.evaluation.one_patient import evaluate
    from SyntheticCTEvalLib.evaluation.settings import EvaluationSettings
    from SyntheticCTEvalLib.gamma.criteria import Criterion

    expected = evaluate(
        water(),
        {NAME: water(52), "MRCAT": water(70)},
        dose_ct=dose(),
        doses={NAME: dose(1.002, hot=True), "MRCAT": dose(0.99)},
        structures={"PTV": target(), "block": water() > -500},
        settings=EvaluationSettings(
            registration="none", prescription_gy=45, criteria=(Criterion(2, 2),)
        ),
    )
    nodes = nodes_of(panel)
    found = json.loads(nodes.document("metrics.json"))
    for name, candidate in expected.candidates.items():
        own = found["candidates"][name]
        assert own["mae_body"] == candidate.metrics["mae_body"]
        assert own["ssim"] == candidate.metrics["ssim"]
        assert own["gpr"] == candidate.metrics["gpr"]
        for structure, figures in candidate.metrics["dvh"].items():
            assert own["dvh"][structure] == pytest.approx(figures, abs=1e-4)
        gamma = sitk.GetArrayFromImage(candidate.gamma.gamma)
        assert np.array_equal(sitk.GetArrayFromImage(image_from_node(nodes.gammas[name])), gamma)
        spots = nodes.spots_of(name)
        assert [s.maximum for s in spots] == pytest.approx(
            [s.maximum for s in candidate.hot_spots], abs=1e-4
        )
    assert panel.parameters.dosePercent == panel.parameters.distance == 2


def test_the_tables_show_the_evaluation(panel):
    figures = {row[0]: row[1:] for row in cells(panel.ui.metricsTableView)}
    assert [float(cell) for cell in figures["MAE in the body (HU)"]] == [12, 30]
    rate = [float(c) for c in figures["Gamma pass rate 2 %/2 mm, dose above 10 % (%)"]]
    assert 90 < rate[0] < 100 == rate[1]
    structures = cells(panel.ui.doseVolumeTableView)
    assert {row[0] for row in structures} == {"PTV", "block"}
    assert [row[2] for row in structures if row[0] == "PTV"][:2] == ["D98", "D95"]
    assert [row[0] for row in cells(panel.ui.hotSpotsTableView)] == [NAME, NAME]
    definitions = {row[0]: row[1] for row in cells(panel.ui.definitionsTableView)}
    assert "2 %" in definitions["Gamma pass rate"]


def test_the_gamma_map_lies_over_the_ct_and_inputs_are_left_alone(session, panel):
    nodes, case = nodes_of(panel), panel.case
    assert nodes.ct is case.ct
    assert nodes.dose_ct is case.plan
    assert nodes.doses[NAME] is case.plan_sct
    assert nodes.gammas[NAME].GetName() == f"Gamma {NAME}"
    assert composite(session.scene).GetBackgroundVolumeID() == case.ct.GetID()
    assert composite(session.scene).GetForegroundVolumeID() == nodes.gammas[NAME].GetID()
    assert composite(session.scene).GetForegroundOpacity() == 0.5
    assert sitk.GetArrayFromImage(image_from_node(case.ct)).tolist() == (
        sitk.GetArrayFromImage(water()).tolist()
    )
    assert session.app.layoutManager().layout == 37
    tree = session.scene.GetSubjectHierarchyNode()
    folder = tree.GetItemByName("Synthetic CT evaluation")
    assert tree.GetItemParent(tree.GetItemByDataNode(nodes.gammas[NAME])) == folder


def test_the_picture_of_the_gamma_map_on_the_ct_is_the_stored_one(session, panel):
    """UPDATE_PICTURES=1 stores the picture anew; look at it before it is committed."""
    view = session.scene.GetNodeByID("vtkMRMLSliceNodeRed")
    view.JumpSliceByCentering(0.0, 0.0, -3.0)
    view.SetFieldOfView(170, 170, 1)
    found = render_slice(session.scene, "Red", 180, 180)
    path = REPOSITORY / "Testing" / "Data" / "gamma_on_ct.png"
    if os.environ.get("UPDATE_PICTURES"):
        Image.fromarray(found).save(path, optimize=True)
    stored = np.asarray(Image.open(path).convert("RGB"))
    assert found.shape == stored.shape
    difference = np.abs(found.astype(int) - stored).max(axis=2)
    assert (difference > 8).mean() < 0.01  # edges may move by a pixel between versions of VTK
    red, green, blue = found.reshape(-1, 3).astype(int).T
    assert ((red - green > 60) & (red - blue > 20)).sum() > 100  # fails, in magenta
    assert ((blue - red > 20) & (green >= red)).sum() > 1000  # passes, in blue and green


def test_overlay_colours_opacity_and_threshold_follow_the_controls(session, panel):
    nodes, ui = nodes_of(panel), panel.ui
    view = composite(session.scene)
    for index, group in enumerate((nodes.gammas, nodes.differences, nodes.dose_differences)):
        ui.overlayComboBox.currentIndex = index
        assert view.GetForegroundVolumeID() == group[NAME].GetID()
    assert not ui.gammaViewComboBox.enabled
    ui.overlayComboBox.currentIndex = ui.overlayComboBox.count - 1
    assert view.GetForegroundVolumeID() is None
    ui.overlayComboBox.currentIndex = 0
    ui.opacitySlider.value = 0.8
    ui.thresholdSlider.value = 1.25
    display = nodes.gammas[NAME].GetDisplayNode()
    assert view.GetForegroundOpacity() == pytest.approx(0.8)
    assert display.GetLowerThreshold() == pytest.approx(1.25)
    ui.gammaViewComboBox.currentIndex = 1
    assert (display.GetWindowLevelMin(), display.GetWindowLevelMax()) == (0, 1)
    ui.gammaViewComboBox.currentIndex = 2
    assert display.GetColorNode().GetName() == "Gamma (pass or fail)"
    choose(ui.candidateComboBox, 1)
    assert view.GetForegroundVolumeID() == nodes.gammas["MRCAT"].GetID()


def test_hot_spots_are_visited_in_turn_the_worst_first(session, panel):
    spots = panel.logic.hotSpots(panel.parameters.evaluation, NAME)
    assert len(spots) == 2
    assert spots[0].volume_cm3 > spots[1].volume_cm3
    where = []
    for rank in (1, 2, 1):
        session.click(panel.ui.nextSpotButton)
        assert panel.ui.spotLabel.text.startswith(f"Spot {rank} of 2: gamma up to")
        matrix = session.scene.GetNodeByID("vtkMRMLSliceNodeRed").GetSliceToRAS()
        where.append([matrix.GetElement(row, 3) for row in range(3)])
    for point, spot in zip(where, (spots[0], spots[1], spots[0]), strict=True):
        x, y, z = spot.point_mm
        assert point == pytest.approx([-x, -y, z], abs=1e-3)
    assert not panel.ui.previousSpotButton.enabled
    session.click(panel.ui.nextSpotButton)
    session.click(panel.ui.previousSpotButton)
    assert panel.parameters.spot == 1
    gamma = image_from_node(nodes_of(panel).gammas[NAME])
    value = gamma[gamma.TransformPhysicalPointToIndex(spots[0].point_mm)]
    assert value == pytest.approx(spots[0].maximum, abs=1e-4)


def test_side_by_side_shows_ct_and_candidates_linked_each_with_its_own_map(session, panel):
    session.click(panel.ui.sideBySideButton)
    nodes = nodes_of(panel)
    assert session.app.layoutManager().layout == 5872
    shown = [
        (
            composite(session.scene, f"EvaluationAxial{column}").GetBackgroundVolumeID(),
            composite(session.scene, f"EvaluationAxial{column}").GetForegroundVolumeID(),
        )
        for column in range(3)
    ]
    assert shown == [
        (nodes.ct.GetID(), None),
        (nodes.candidates[NAME].GetID(), nodes.gammas[NAME].GetID()),
        (nodes.candidates["MRCAT"].GetID(), nodes.gammas["MRCAT"].GetID()),
    ]
    assert composite(session.scene, "EvaluationCoronal1").GetLinkedControl()
    view = session.scene.GetNodeByID("vtkMRMLSliceNodeEvaluationCoronal1")
    assert view.GetOrientation() == "Coronal"
    assert view.GetLayoutLabel() == NAME[:12]
    # The first click shows the patient, not what lies at the origin of another one.
    assert view.GetFieldOfView()[0] == pytest.approx(field_of_view(session, nodes.ct), rel=0.01)
    session.click(panel.ui.tableLayoutButton)
    assert session.app.layoutManager().layout == 38
    (table,) = nodes_of_class(session.scene, "vtkMRMLTableViewNode")
    assert table.GetTableNodeID() == nodes.metrics.GetID()


def field_of_view(session, volume) -> float:
    """Of a square view that a volume fits into."""
    bounds = [0.0] * 6
    volume.GetRASBounds(bounds)
    return max(bounds[1] - bounds[0], bounds[5] - bounds[4])


def test_another_layout_keeps_the_place(session, panel):
    session.click(panel.ui.nextSpotButton)
    x, y, z = nodes_of(panel).spots_of(NAME)[panel.parameters.spot - 1].point_mm
    for button in (panel.ui.sideBySideButton, panel.ui.chartLayoutButton):
        session.click(button)
        session.process_events()
        for view in nodes_of_class(session.scene, "vtkMRMLSliceNode"):
            plane = array_of(view.GetSliceToRAS())
            distance = plane[:3, 2] @ (np.array([-x, -y, z]) - plane[:3, 3])
            assert distance == pytest.approx(0, abs=1e-3), view.GetName()


def test_colour_legends_hear_of_the_map_that_is_shown(session, panel):
    # They follow a layer only where the change is flagged (vtkMRMLColorLegendDisplayableManager).
    red, heard = composite(session.scene), []

    def modified(*_):
        flagged = red.GetInteractionFlags() & red.ForegroundVolumeFlag
        heard.append((red.GetForegroundVolumeID(), bool(flagged)))

    tag = red.AddObserver(vtk.vtkCommand.ModifiedEvent, modified)
    panel.ui.overlayComboBox.currentIndex = 1
    red.RemoveObserver(tag)
    assert (nodes_of(panel).differences[NAME].GetID(), True) in heard
    assert red.GetInteractionFlags() == 0


def test_a_scene_that_was_saved_in_columns_finds_its_layout(session, panel):
    layout = session.scene.GetFirstNodeByClass("vtkMRMLLayoutNode")
    for columns in range(1, 5):
        assert layout.IsLayoutDescription(SIDE_BY_SIDE + columns - 1)


def test_charts_show_gamma_and_the_structure_that_is_chosen(session, panel):
    session.click(panel.ui.chartLayoutButton)
    nodes = nodes_of(panel)
    (view,) = nodes_of_class(session.scene, "vtkMRMLPlotViewNode")
    assert view.GetPlotChartNodeID() == nodes.histogram.GetID()
    panel.ui.chartComboBox.currentIndex = 1
    assert view.GetPlotChartNodeID() == nodes.dvh.GetID()
    assert nodes.dvh.GetNumberOfPlotSeriesNodes() == 6
    choose(panel.ui.structureComboBox, 1)
    names = [nodes.dvh.GetNthPlotSeriesNode(n).GetName() for n in range(3)]
    assert names == ["PTV, CT", f"PTV, {NAME}", "PTV, MRCAT"]
    assert nodes.dvh.GetNumberOfPlotSeriesNodes() == 3


def test_export_writes_what_is_chosen_and_the_report_opens(session, panel, tmp_path):
    ui, folder = panel.ui, tmp_path / "out"
    ui.exportFolderPath.currentPath = str(folder)
    ui.exportSceneCheckBox.checked = False
    session.click(ui.exportButton)
    assert {path.name for path in folder.iterdir()} == {
        "report.html", "report.pdf", "metrics.csv", "metrics.json", "dvh.csv",
    }  # fmt: skip
    assert (folder / "report.pdf").read_bytes().startswith(b"%PDF")
    assert "not a medical device" in (folder / "report.html").read_text(encoding="utf-8")
    session.click(ui.openReportButton)
    (opened,) = session.dialogs.opened
    assert Path(opened.removeprefix("file://")).read_text(encoding="utf-8").startswith("<!")
    session.dialogs.opened.clear()
    (tmp_path / "file").write_text("")
    ui.exportFolderPath.currentPath = str(tmp_path / "file" / "x")
    session.click(ui.exportButton)
    assert "cannot be written to" in session.dialogs.messages.pop()


def test_a_saved_scene_comes_back_with_overlay_tables_and_settings(session, panel, tmp_path):
    from SyntheticCTEvalMRML.parameters import GammaView

    panel.parameters.gammaView = GammaView.PASS
    panel.parameters.opacity = 0.35
    panel.parameters.cutoffs = "10, 50"
    session.click(panel.ui.nextSpotButton)
    (path,) = panel.logic.exportResults(
        panel.parameters.evaluation, str(tmp_path), report=False, tables=False
    )
    session.scene.SetURL(str(path))
    with pytest.raises(SyntheticCTError, match="would overwrite"):
        panel.logic.exportResults(panel.parameters.evaluation, str(tmp_path))
    figures = cells(panel.ui.metricsTableView)
    session.load_scene(path)
    nodes = nodes_of(panel)
    assert nodes.names == [NAME, "MRCAT"]
    view = composite(session.scene)
    assert view.GetForegroundVolumeID() == nodes.gammas[NAME].GetID()
    assert view.GetForegroundOpacity() == pytest.approx(0.35)
    assert nodes.gammas[NAME].GetDisplayNode().GetColorNode().GetName() == "Gamma (pass or fail)"
    assert cells(panel.ui.metricsTableView) == figures
    assert panel.ui.cutoffsLineEdit.text == "10, 50"
    assert panel.ui.opacitySlider.value == pytest.approx(0.35)
    assert panel.ui.spotLabel.text.startswith("Spot 1 of 2")
    assert panel.ui.ctSelector.currentNode().GetName() == "Planning CT"
    assert panel.inputs.candidates.selector(1, 2).currentNode().GetName() == "Plan on MRCAT"
    assert panel.ui.evaluateButton.enabled
    assert nodes.document("report.html").startswith("<!")
    session.click(panel.ui.nextSpotButton)
    assert panel.ui.spotLabel.text.startswith("Spot 2 of 2")


def test_a_deleted_result_or_input_does_no_harm(session, panel):
    nodes = nodes_of(panel)
    session.scene.RemoveNode(nodes.gammas[NAME])
    session.scene.RemoveNode(nodes.hot_spots)
    session.process_events()
    panel.ui.overlayComboBox.currentIndex = 1
    panel.ui.overlayComboBox.currentIndex = 0
    assert not panel.ui.nextSpotButton.enabled
    session.scene.RemoveNode(panel.ui.ctSelector.currentNode())
    session.process_events()
    assert not panel.ui.evaluateButton.enabled
    assert "true CT" in panel.ui.evaluateButton.toolTip
    session.click(panel.ui.sideBySideButton)
    session.scene.RemoveNode(nodes.metrics)
    session.process_events()
    assert panel.parameters.evaluation is None
    assert not panel.ui.reviewCollapsibleButton.enabled
