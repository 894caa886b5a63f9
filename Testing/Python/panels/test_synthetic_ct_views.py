"""How often views are drawn for the clicks of the module SyntheticCT, and what they show."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from models import blob_mr, ct_like, tiny_bundle
from SyntheticCTLib.bundle.folder import save_bundle

pytest.importorskip("slicer", reason="slicer-core is not installed")
from harness.scenes import new_scene, read_bundle
from SyntheticCTMRML.display import nodes_of_class
from SyntheticCTMRML.nodes import add_volume
from SyntheticCTMRML.segments import add_segmentation
from SyntheticCTMRML.views import HISTOGRAMS, SIDE_BY_SIDE

LONG = " of a patient with a very long name, 3 mm slices, with contrast, phase 2, kernel B30f"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return str(save_bundle(tiny_bundle(), tmp_path_factory.mktemp("model") / "bundle"))


@pytest.fixture
def panel(harness, bundle):
    panel = harness.open_panel("SyntheticCT")
    settings = panel.logic.getParameterNode()
    settings.mr = add_volume(harness.scene, blob_mr(), "T2 axial")
    settings.model = bundle
    harness.process_events()
    return panel


def make(harness, panel):
    harness.click(panel.ui.makeButton)
    harness.process_events(lambda: not panel.jobPanel.busy, timeout_s=90)
    harness.process_events()
    assert not panel.jobPanel.error


def composite(harness, name="Red"):
    return harness.app.layoutManager().sliceWidget(name).mrmlSliceCompositeNode()


def test_views_are_drawn_once_for_a_click(harness, panel):
    draws, events, tr = harness.draws, harness.draws.events, harness.translations.count
    before = draws.count
    make(harness, panel)
    assert draws.count - before <= 8  # 51 before they were gathered
    assert draws.events - events <= 14
    assert harness.translations.count - tr <= 60
    for button, most in (("sideBySideButton", 4), ("histogramsButton", 4), ("overlayButton", 4)):
        before = draws.count
        harness.click(getattr(panel.ui, button))
        harness.process_events()
        assert not draws.paused
        assert draws.count - before <= most, button


def test_drawing_goes_on_where_something_fails_or_the_scene_goes(harness, panel):
    from SyntheticCTMRML.views import one_drawing, show_side_by_side

    with pytest.raises(ValueError), one_drawing():
        raise ValueError
    assert not harness.draws.paused
    mr = panel.logic.getParameterNode().mr
    show_side_by_side(mr, mr)
    assert harness.draws.paused  # until the new views have their size
    harness.close_scene()
    assert not harness.draws.paused


@pytest.mark.parametrize("shown", [SIDE_BY_SIDE, HISTOGRAMS])
def test_a_scene_in_our_layouts_opens_in_one_of_slicers(harness, panel, shown, tmp_path):
    make(harness, panel)
    for node in nodes_of_class(harness.scene, "vtkMRMLSliceCompositeNode"):
        node.SetBackgroundVolumeID(None)
    button = {SIDE_BY_SIDE: "sideBySideButton", HISTOGRAMS: "histogramsButton"}[shown]
    harness.click(getattr(panel.ui, button))
    path = harness.save_scene(tmp_path / "scene.mrb")
    assert harness.app.layoutManager().layout == shown
    scene, _logic = new_scene()
    read_bundle(scene, path, tmp_path / "cache")
    (layout,) = nodes_of_class(scene, "vtkMRMLLayoutNode")
    assert layout.GetViewArrangement() == {SIDE_BY_SIDE: 3, HISTOGRAMS: 37}[shown]
    red = scene.GetNodeByID("vtkMRMLSliceCompositeNodeRed")
    assert scene.GetNodeByID(red.GetBackgroundVolumeID()).GetName() == "T2 axial"
    if shown == HISTOGRAMS:
        view = scene.GetNodeByID("vtkMRMLPlotViewNodePlotView1")
        assert view.GetPlotChartNode().GetTitle() == "After Nyul normalization"
    harness.close_scene()  # our layout stays, with nothing in it
    path = harness.save_scene(tmp_path / "closed.mrb")
    scene, _logic = new_scene()
    read_bundle(scene, path, tmp_path / "cache")
    assert nodes_of_class(scene, "vtkMRMLLayoutNode")[0].GetViewArrangement() == 3


def test_structures_of_the_ct_are_not_drawn_on_an_mr_that_is_not_registered(harness, panel):
    ct = add_volume(harness.scene, ct_like(), "CT")
    mask = sitk.Cast(ct_like() > -500, sitk.sitkUInt8)
    structures = add_segmentation(harness.scene, "Structures", {"Body": mask}, ct)
    shown = structures.GetDisplayNode()
    mr = panel.logic.getParameterNode().mr
    panel.logic.showOverlay(mr, mr)
    assert not shown.GetVisibility()
    panel.logic.showOverlay(ct, mr)
    assert shown.GetVisibility()
    shown.SetVisibility(False)  # by the user
    panel.logic.showOverlay(ct, mr)
    assert not shown.GetVisibility()


def test_slices_turn_to_the_planes_of_an_oblique_mr_and_back(harness, panel):
    from SyntheticCTMRML.transforms import array_of

    oblique = blob_mr()
    turned = sitk.Euler3DTransform((0, 0, 0), 0.3, 0.1, 0.0).GetMatrix()
    oblique.SetDirection(turned)
    mr = add_volume(harness.scene, oblique, "Oblique MR")
    view = harness.app.layoutManager().sliceWidget("Red").mrmlSliceNode()

    def normal():
        return array_of(view.GetSliceToRAS())[:3, 2]

    panel.logic.showOverlay(mr, mr)
    through = np.diag([-1, -1, 1]) @ np.reshape(turned, (3, 3))[:, 2]
    assert abs(normal() @ through) == pytest.approx(1, abs=1e-6)
    panel.logic.showOverlay(mr, mr)  # again changes nothing
    assert abs(normal() @ through) == pytest.approx(1, abs=1e-6)
    straight = panel.logic.getParameterNode().mr
    panel.logic.showOverlay(straight, straight)
    assert view.GetOrientation() == "Axial"


def test_a_job_that_ends_elsewhere_leaves_the_views_alone(harness, panel):
    harness.click(panel.ui.makeButton)
    harness.leave(panel)
    before = composite(harness).GetForegroundVolumeID()
    harness.process_events(lambda: not panel.jobPanel.busy, timeout_s=90)
    harness.process_events()
    settings = panel.logic.getParameterNode()
    assert settings.sctVolume is not None
    assert composite(harness).GetForegroundVolumeID() == before


def test_results_lie_beside_the_mr_and_go_with_one_button(harness, panel):
    tree = harness.scene.GetSubjectHierarchyNode()
    mr = panel.logic.getParameterNode().mr
    study = tree.CreateStudyItem(tree.GetSceneItemID(), "MR study")
    tree.CreateItem(study, mr)
    kinds = ("vtkMRMLScalarVolumeNode", "vtkMRMLPlotChartNode", "vtkMRMLTableNode")
    kinds += ("vtkMRMLPlotSeriesNode",)
    before = {kind: len(nodes_of_class(harness.scene, kind)) for kind in kinds}
    make(harness, panel)
    settings = panel.logic.getParameterNode()
    for node in (settings.sctVolume, settings.normalizedVolume):
        assert tree.GetItemParent(tree.GetItemByDataNode(node)) == study
    charts = nodes_of_class(harness.scene, "vtkMRMLPlotChartNode")
    folders = {tree.GetItemParent(tree.GetItemByDataNode(chart)) for chart in charts}
    assert len(folders) == 1 and tree.GetItemParent(*folders) == study
    harness.dialogs.answers += ["Ok"]
    harness.click(panel.ui.removeResultsButton)
    assert {kind: len(nodes_of_class(harness.scene, kind)) for kind in kinds} == before
    assert len(nodes_of_class(harness.scene, "vtkMRMLVolumeDisplayNode")) == 1  # the MR's
    assert tree.GetNumberOfItemChildren(study) == 1
    assert settings.sctVolume is None and settings.mr is mr


@pytest.mark.parametrize("name", ["SyntheticCT", "SyntheticCTEval"])
def test_a_panel_can_be_420_pixels_wide_with_long_names(harness, name):
    for number, kind in enumerate(("MR", "CT", "MRCAT")):
        add_volume(harness.scene, ct_like(number), kind + LONG)
    panel = harness.open_panel(name)
    if name == "SyntheticCTEval":
        harness.click(panel.ui.addCandidateButton)
    else:
        panel.ui.pairsFromComboBox.currentIndex = 1
    for part in vars(panel.ui).values():
        if hasattr(part, "collapsed"):
            part.collapsed = False
    harness.process_events()
    assert panel.parent._qt.minimumSizeHint().width() <= 420


def test_progress_and_cancel_stand_outside_all_sections(harness):
    for name in ("SyntheticCT", "SyntheticCTEval"):
        panel = harness.open_panel(name)
        for part in vars(panel.ui).values():
            if hasattr(part, "collapsed"):
                part.collapsed = True
        panels = [panel.jobPanel, *([panel.cohortPanel] if name == "SyntheticCTEval" else [])]
        for jobs in panels:
            jobs.progressRow.visible = True
            assert jobs.cancelButton.isVisibleTo(panel.parent)
