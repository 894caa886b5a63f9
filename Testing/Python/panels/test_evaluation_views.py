"""What the evaluation's panel shows first, how often views are drawn for a click, what is saved."""

from __future__ import annotations

import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed")
pytest.importorskip("PySide6.QtUiTools", reason="PySide6 is not installed", exc_type=ImportError)

from evaluation_case import NAME, add_case, fill
from harness.scenes import new_scene, read_bundle
from SyntheticCTEvalMRML import summary
from SyntheticCTEvalMRML.review import SIDE_BY_SIDE
from SyntheticCTMRML.display import LEGEND_SIZE, nodes_of_class

COLUMNS = ("EvaluationAxial0", "EvaluationAxial1", "EvaluationAxial2")


class Counted:
    """What the harness has counted since this was made."""

    def __init__(self, session):
        self._session, self._before = session, self._now(session)

    @staticmethod
    def _now(session):
        return session.draws.count, session.draws.events, session.translations.count

    def since(self):
        """Draws, events of the scene, translations."""
        assert not self._session.draws.paused
        return tuple(b - a for a, b in zip(self._before, self._now(self._session), strict=True))


@pytest.fixture(scope="module")
def panel(session):
    """The panel after an evaluation with two candidates; ``counted`` says what it took."""
    panel = session.open_panel("SyntheticCTEval")
    panel.case = add_case(session.scene)
    tree = session.scene.GetSubjectHierarchyNode()
    panel.study = tree.CreateStudyItem(tree.GetSceneItemID(), "planning")
    tree.CreateItem(panel.study, panel.case.ct)
    fill(session, panel, panel.case)
    panel.before = session.scene.GetNumberOfNodes()
    counted = Counted(session)
    session.click(panel.ui.evaluateButton)
    session.process_events(lambda: not panel.jobPanel.busy, timeout_s=120)
    session.process_events()
    assert session.dialogs.messages == []
    panel.counted = counted.since()
    return panel


def nodes_of(panel):
    return panel.logic.evaluationNodes(panel.parameters.evaluation)


def test_an_evaluation_is_drawn_and_told_of_in_batches(panel):
    draws, events, translations = panel.counted
    assert draws <= 20  # 75 before they were gathered
    assert events <= 6  # 56
    assert translations <= 40  # 197


@pytest.mark.parametrize(
    ("button", "most"),
    [
        ("sideBySideButton", 10),  # 118
        ("nextSpotButton", 6),
        ("chartLayoutButton", 4),  # 24
        ("tableLayoutButton", 4),  # 21
        ("sideBySideButton", 10),
    ],
)
def test_a_click_draws_every_view_once(session, panel, button, most):
    counted = Counted(session)
    session.click(getattr(panel.ui, button))
    session.process_events()
    assert counted.since()[0] <= most


def test_another_overlay_and_a_step_through_the_slices_draw_once(session, panel):
    session.click(panel.ui.sideBySideButton)
    counted = Counted(session)
    panel.ui.overlayComboBox.currentIndex = 1
    session.process_events()
    assert counted.since()[0] <= 6  # a CT and two candidates, axial and coronal
    panel.ui.overlayComboBox.currentIndex = 0
    session.process_events()
    counted = Counted(session)
    logic = session.app.layoutManager().sliceWidget(COLUMNS[0]).sliceLogic()
    view = logic.GetSliceNode()
    logic.StartSliceNodeInteraction(view.SliceToRASFlag)
    logic.SetSliceOffset(logic.GetSliceOffset() + 5)
    logic.EndSliceNodeInteraction()
    session.process_events()
    assert counted.since()[0] <= 6


def test_the_columns_show_one_field_of_view_under_short_names(session, panel):
    session.click(panel.ui.sideBySideButton)
    manager = session.app.layoutManager()
    manager.sliceWidget(COLUMNS[1]).sliceLogic().ResizeSliceNode(200, 256)
    session.click(panel.ui.chartLayoutButton)
    session.click(panel.ui.sideBySideButton)
    views = [manager.sliceWidget(name).mrmlSliceNode() for name in COLUMNS]
    scales = [view.GetFieldOfView()[0] / view.GetDimensions()[0] for view in views]
    assert scales == pytest.approx([scales[0]] * 3)
    assert [view.GetLayoutLabel() for view in views] == ["CT", "sCT", "MRCAT"]
    manager.sliceWidget(COLUMNS[1]).sliceLogic().ResizeSliceNode(256, 256)


def test_a_structure_is_drawn_once(panel):
    contours = nodes_of(panel).contours
    shown = {}
    for index in range(contours.GetSegmentation().GetNumberOfSegments()):
        identifier = contours.GetSegmentation().GetNthSegmentID(index)
        name = contours.GetSegmentation().GetSegment(identifier).GetName()
        shown[name] = bool(contours.GetDisplayNode().GetSegmentVisibility(identifier))
    assert panel.case.structures.GetDisplayNode().GetVisibility()
    assert not shown["PTV"] and not shown["block"]
    assert shown["Body (CT)"] and shown[f"Body ({NAME})"]


def test_legends_are_small_and_have_one_word(panel):
    import slicer

    nodes = nodes_of(panel)
    titles = {}
    for group in ("gammas", "differences", "dose_differences", "doses"):
        legend = slicer.vtkSlicerColorLogic.GetColorLegendDisplayNode(getattr(nodes, group)[NAME])
        if legend is not None:
            titles[group] = legend.GetTitleText()
            assert legend.GetSize() == pytest.approx(LEGEND_SIZE)
    assert titles["gammas"] == "Gamma" and titles["differences"] == "HU"
    assert titles["dose_differences"] == "Gy"


def test_the_answer_stands_first(session, panel):
    ui = panel.ui
    sections = (ui.inputsCollapsibleButton, ui.doseCollapsibleButton, ui.criteriaCollapsibleButton)
    assert all(section.collapsed for section in sections)
    assert not ui.resultsCollapsibleButton.collapsed
    text = ui.summaryLabel.text
    assert "Gamma pass rate 1 %/1 mm, dose above 10 %" in text and "MAE in the body" in text
    table = nodes_of(panel).metrics.GetTable()
    row = next(n for n in range(table.GetNumberOfRows())
               if "Gamma pass rate" in table.GetValue(n, 0).ToString())  # fmt: skip
    assert f"<b>{table.GetColumnByName(NAME).GetValue(row):.2f}</b>" in text
    assert "Warning" in text and "it holds no fat" in text
    panel.parent.resize(420, 900)
    session.process_events()
    label = ui.summaryLabel._qt
    top = label.mapTo(panel.parent._qt, label.rect().topLeft()).y()
    assert top + label.height() < 600


def test_tables_have_no_row_numbers_and_show_many_rows(panel):
    view = panel.ui.metricsTableView
    assert not view.verticalHeader().isVisible()
    assert view._qt.minimumHeight() >= 16 * view.rowHeight(0)


def test_results_with_long_names_fit_a_narrow_panel(session, panel):
    long = "Pseudo_CT_of_pelvis_transversal_large_field_of_view_series_12"
    table = nodes_of(panel).metrics.GetTable()
    assert "sCT" in summary._figures(table, [NAME])
    table.GetColumnByName("MRCAT").SetName(long)
    try:
        panel.ui.summaryLabel.text = summary._figures(table, [NAME, long])
        view = panel.ui.metricsTableView
        panel.review._showColumns(view)
        panel.parent.resize(420, 900)
        session.process_events()
        assert panel.parent._qt.minimumSizeHint().width() <= 420
        assert panel.ui.summaryLabel._qt.width() < 420
        assert view.columnWidth(0) > 120
        assert view.columnWidth(2) <= 90
    finally:
        table.GetColumnByName(long).SetName("MRCAT")
        panel.review._showColumns(view)
        panel.review.update()


def test_selectors_of_candidates_stay_in_their_cells(session, panel):
    selector = panel.inputs.candidates.selector(0, 1)
    assert selector._qt.minimumWidth() == 0


def test_a_scene_saved_side_by_side_opens_without_the_extension(session, panel, tmp_path):
    session.click(panel.ui.sideBySideButton)
    layout = session.scene.GetFirstNodeByClass("vtkMRMLLayoutNode")
    path = session.save_scene(tmp_path / "scene.mrb")
    assert layout.GetViewArrangement() == SIDE_BY_SIDE + 2  # as before
    scene, _logic = new_scene()
    read_bundle(scene, path, tmp_path / "cache")
    (opened,) = nodes_of_class(scene, "vtkMRMLLayoutNode")
    assert opened.GetViewArrangement() == 38  # slices, chart and table
    red = scene.GetNodeByID("vtkMRMLSliceCompositeNodeRed")
    gamma = scene.GetNodeByID(red.GetForegroundVolumeID())
    assert gamma.GetName() == f"Gamma {NAME}"
    plot = scene.GetNodeByID("vtkMRMLPlotViewNodePlotView1")
    assert plot.GetPlotChartNode().GetTitle() == "Gamma histogram"
    table = scene.GetNodeByID("vtkMRMLTableViewNodeTableView1")
    assert table.GetTableNode().GetName().startswith("Evaluation of ")
    session.click(panel.ui.chartLayoutButton)
    assert nodes_of_class(session.scene, "vtkMRMLLayoutNode") == [layout]
    assert layout.GetSaveWithScene()


def test_results_lie_in_the_study_with_their_charts_in_a_folder(session, panel):
    tree, nodes = session.scene.GetSubjectHierarchyNode(), nodes_of(panel)
    folder = tree.GetItemParent(tree.GetItemByDataNode(nodes.metrics))
    assert tree.GetItemParent(folder) == panel.study
    charts = {tree.GetItemParent(tree.GetItemByDataNode(one)) for one in nodes.charts()}
    charts |= {tree.GetItemParent(tree.GetItemByDataNode(one)) for one in nodes.dvh_series}
    assert len(charts) == 1 and tree.GetItemParent(*charts) == folder


def test_keys_go_through_hot_spots_while_the_panel_is_shown(session, panel):
    def keys():
        return [one.key.toString() for one in panel.review._shortcuts]

    assert keys() == ["Alt+N", "Alt+P", "Alt+O"]
    panel.parameters.spot = 0
    panel.review._onNextSpot()
    assert panel.parameters.spot == 1
    opacity = panel.parameters.opacity
    panel.review._onFade()
    assert panel.parameters.opacity == 0
    panel.review._onFade()
    assert panel.parameters.opacity == opacity
    session.leave(panel)
    assert keys() == []
    panel.enter()


def test_disabled_buttons_say_why(panel):
    panel.parameters.exportFolder = panel.parameters.manifest = ""
    assert not panel.ui.exportButton.enabled
    assert "Choose a folder" in panel.ui.exportButton.toolTip
    assert "Choose a manifest" in panel.ui.cohortButton.toolTip


def test_one_button_removes_all_that_was_made(session, panel):
    session.dialogs.answers += ["Ok"]
    inputs = [panel.case.ct, panel.case.sct, panel.case.plan, panel.case.structures]
    session.click(panel.ui.removeEvaluationButton)
    assert panel.parameters.evaluation is None
    assert panel.ui.summaryLabel.text == ""
    assert all(node.GetScene() is session.scene for node in inputs)
    for kind in ("vtkMRMLTableNode", "vtkMRMLPlotChartNode", "vtkMRMLPlotSeriesNode"):
        assert nodes_of_class(session.scene, kind) == []
    kinds = ("vtkMRMLScalarVolumeNode", "vtkMRMLTextNode")
    assert [len(nodes_of_class(session.scene, kind)) for kind in kinds] == [6, 0]
    tree = session.scene.GetSubjectHierarchyNode()
    assert tree.GetNumberOfItemChildren(panel.study) == 1
