"""Clicking through the panel of the module SyntheticCT."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from models import blob_mr, ct_like, tiny_bundle
from SyntheticCTLib.bundle.folder import demo_bundle_folder, load_bundle, read_card, save_bundle
from SyntheticCTLib.volumes.grids import same_grid

pytest.importorskip("slicer", reason="slicer-core is not installed")
from SyntheticCTMRML.nodes import add_volume, image_from_node
from SyntheticCTMRML.segments import add_segmentation
from SyntheticCTMRML.views import HISTOGRAMS, SIDE_BY_SIDE


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return str(save_bundle(tiny_bundle(), tmp_path_factory.mktemp("model") / "bundle"))


@pytest.fixture
def panel(harness):
    panel = harness.open_panel("SyntheticCT")
    for section in ("normalizeSection", "generateSection", "registerSection", "trainSection"):
        getattr(panel.ui, section).collapsed = False
    return panel


@pytest.fixture
def settings(harness, panel, bundle):
    """The panel's settings, with an MR and a model chosen."""
    mr = add_volume(harness.scene, blob_mr(), "T2 axial")
    settings = panel.logic.getParameterNode()
    panel.ui.mrSelector.setCurrentNode(mr)
    settings.model = bundle
    harness.process_events()
    assert settings.mr is mr
    return settings


def run(harness, panel, button):
    """Click a button and wait until its job has ended."""
    harness.click(getattr(panel.ui, button))
    assert panel.jobPanel.busy
    assert not panel.ui.makeButton.enabled
    harness.process_events(lambda: not panel.jobPanel.busy, timeout_s=60)


def volumes(harness) -> list[str]:
    scene, kind = harness.scene, "vtkMRMLScalarVolumeNode"
    count = scene.GetNumberOfNodesByClass(kind)
    return [scene.GetNthNodeByClass(n, kind).GetName() for n in range(count)]


def test_generate_makes_what_the_core_makes_and_shows_it(harness, panel, settings, bundle):
    from SyntheticCTLib.inference.synthesis import generate

    settings.makeUncertainty = True
    run(harness, panel, "generateButton")
    expected = generate(blob_mr(), load_bundle(bundle), device="cpu")
    sct, uncertainty = settings.sctVolume, settings.uncertaintyVolume
    assert sct.GetName() == "sCT of T2 axial (synthetic, research use)"
    for node, image in ((sct, expected.sct), (uncertainty, expected.uncertainty)):
        found = image_from_node(node)
        assert same_grid(found, image)
        assert np.array_equal(sitk.GetArrayFromImage(found), sitk.GetArrayFromImage(image))
    assert "synthetic" in sct.GetAttribute("SyntheticCT").lower()
    assert sct.GetDisplayNode().GetWindowLevelMin() == -160
    composite = harness.app.layoutManager().sliceWidget("Red").mrmlSliceCompositeNode()
    assert composite.GetBackgroundVolumeID() == settings.mr.GetID()
    assert composite.GetForegroundVolumeID() == sct.GetID()
    assert composite.GetLinkedControl()
    assert panel.ui.usedDeviceLabel.text == "used: CPU"
    assert "differ from the training scans" in panel.jobPanel.messageLabel.text
    assert settings.movingVolume is sct
    harness.click(panel.ui.sideBySideButton)
    names = harness.app.layoutManager().sliceViewNames()
    assert {"SyntheticCTLeft", "SyntheticCTRight"} <= set(names)
    right = harness.app.layoutManager().sliceWidget("SyntheticCTRight").mrmlSliceCompositeNode()
    assert right.GetBackgroundVolumeID() == sct.GetID()
    harness.click(panel.ui.overlayButton)
    panel.ui.opacitySlider.value = 0.8
    harness.process_events()
    assert composite.GetForegroundOpacity() == pytest.approx(0.8)


def test_normalize_charts_the_histograms_and_repeats_itself_cleanly(harness, panel, settings):
    for _ in range(2):
        run(harness, panel, "normalizeButton")
    assert volumes(harness) == ["T2 axial", "T2 axial normalized"]
    assert harness.scene.GetNumberOfNodesByClass("vtkMRMLPlotChartNode") == 2
    tables = harness.scene.GetNumberOfNodesByClass("vtkMRMLTableNode")
    assert tables == harness.scene.GetNumberOfNodesByClass("vtkMRMLPlotSeriesNode") == 2
    assert panel.ui.histogramsButton.enabled
    table = harness.scene.GetNthNodeByClass(0, "vtkMRMLTableNode").GetTable()
    shares = [table.GetValueByName(row, "y").ToDouble() for row in range(table.GetNumberOfRows())]
    assert 98 < sum(shares) <= 100.001  # up to the 99.5th percentile at least


def test_the_whole_flow_with_ct_and_body_and_again_replaces_its_results(harness, panel, settings):
    mr = ct_like() + 1000.0
    settings.mr = add_volume(harness.scene, sitk.Cast(mr, sitk.sitkFloat32), "MR")
    settings.ct = add_volume(harness.scene, ct_like(), "CT")
    settings.mrcat = add_volume(harness.scene, ct_like(20), "MRCAT")
    mask = sitk.Cast(ct_like() > -500, sitk.sitkUInt8)
    settings.body = add_segmentation(harness.scene, "Contours", {"Body": mask}, settings.ct)
    settings.deformable = False
    run(harness, panel, "makeButton")
    assert not harness.dialogs.messages
    name = "sCT of MR (synthetic, research use)"
    expected = {"MR", "CT", "MRCAT", "MR normalized", name, "T2 axial"}
    expected |= {f"{name} registered to CT", "MRCAT registered to CT"}
    assert set(volumes(harness)) == expected
    sct = sitk.GetArrayFromImage(image_from_node(settings.sctVolume))
    outside = sitk.GetArrayFromImage(mask) == 0
    assert (sct[outside] == -1000).all()
    assert (sct[~outside] != -1000).any()
    nodes, first = harness.scene.GetNumberOfNodes(), volumes(harness)
    run(harness, panel, "makeButton")
    assert volumes(harness) == first
    assert harness.scene.GetNumberOfNodes() == nodes


def test_register_needs_a_ct_and_says_so(harness, panel, settings):
    assert not panel.ui.registerButton.enabled
    assert "true CT" in panel.ui.registerButton.toolTip
    settings.ct = add_volume(harness.scene, ct_like(), "CT")
    settings.movingVolume = add_volume(harness.scene, ct_like(20), "MRCAT")
    settings.deformable = False
    harness.process_events()
    run(harness, panel, "registerButton")
    assert settings.registeredVolume.GetName() == "MRCAT registered to CT"
    assert same_grid(image_from_node(settings.registeredVolume), ct_like())


def test_the_card_of_the_model_and_whether_it_fits(harness, panel, settings, bundle, tmp_path):
    texts = {name: label.text for name, label in panel.model._values.items()}
    assert texts["Domain"] == "test"
    assert texts["Hash"] == load_bundle(bundle).sha256[:12]
    assert "differ from the training scans" in texts["Fit"]
    settings.model = "demo"
    harness.process_events()
    texts = {name: label.text for name, label in panel.model._values.items()}
    assert "phantom" in texts["Domain"]
    card = read_card(demo_bundle_folder())
    epochs = card.record["settings"]["epochs"]
    assert texts["Data"] == f"16 patients, {epochs} epochs"
    assert texts["Date"].startswith("20")
    worse = load_bundle(bundle)
    worse.record["warnings"] = ["The training ended worse than it was: 9 HU."]
    settings.model = str(save_bundle(worse, tmp_path / "worse"))
    harness.process_events()
    assert "The training ended worse than it was." in panel.model._values["Data"].text
    assert panel.model._values["Data"].toolTip == worse.record["warnings"][0]
    settings.model = str(tmp_path / "gone")
    harness.process_events()
    assert "no model bundle" in panel.model._values["Domain"].text
    assert not panel.model._values["Hash"].visible
    harness.click(panel.ui.generateButton)
    assert "no model bundle" in harness.dialogs.messages[-1]
    assert not panel.jobPanel.busy


def test_chosen_model_folders_are_offered_again(harness, panel, settings, bundle):
    harness.dialogs.paths = [bundle]
    harness.click(panel.model.folderButton)
    assert settings.model == bundle
    box = panel.model.comboBox
    assert [box.itemData(n) for n in range(box.count)] == ["demo", bundle]
    settings.model = "demo"
    harness.process_events()
    assert box.currentIndex == 0
    assert box.itemData(1) == bundle


def test_bad_input_is_one_sentence_and_nothing_runs(harness, panel, settings):
    panel.ui.mrSelector.setCurrentNode(None)
    harness.process_events()
    assert not panel.ui.makeButton.enabled
    assert "Choose an MR" in panel.ui.makeButton.toolTip
    settings.mr = add_volume(harness.scene, blob_mr() * 0, "Flat")
    harness.process_events()
    harness.click(panel.ui.makeButton)
    assert "MR Flat is empty" in harness.dialogs.messages[-1]
    assert "MR Flat is empty" in panel.jobPanel.messageLabel.text
    assert not panel.jobPanel.busy
    nan = blob_mr()
    nan[3, 3, 3] = float("nan")
    settings.mr = add_volume(harness.scene, nan, "Broken")
    harness.process_events()
    run(harness, panel, "generateButton")
    assert "MR Broken holds 1 NaN" in harness.dialogs.messages[-1]
    assert settings.sctVolume is None


def test_an_output_cannot_be_an_input(harness, panel, settings):
    panel.ui.sctSelector.setCurrentNode(settings.mr)
    harness.process_events()
    assert settings.sctVolume is None
    assert panel.ui.sctSelector.currentNode() is None
    assert "T2 axial is also an input" in harness.dialogs.messages[-1]


def test_the_transform_that_an_input_lies_under_cannot_be_the_output(harness, panel, settings):
    settings.ct = add_volume(harness.scene, ct_like(), "CT")
    place = harness.scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "place")
    above = harness.scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "above")
    place.SetAndObserveTransformNodeID(above.GetID())
    settings.ct.SetAndObserveTransformNodeID(place.GetID())
    settings.movingVolume = add_volume(harness.scene, ct_like(20), "MRCAT")
    for parent in (place, above):
        settings.registeredTransform = parent
        harness.process_events()
        harness.click(panel.ui.registerButton)
        assert f"{parent.GetName()} is also an input" in harness.dialogs.messages[-1]
        assert not panel.jobPanel.busy


def test_what_cannot_be_started_for_another_reason_is_told(harness, panel, settings, monkeypatch):
    def fail(*_arguments):
        raise PermissionError("no room")

    monkeypatch.setattr(panel.logic, "startNormalize", fail)
    harness.click(panel.ui.normalizeButton)
    assert "could not be started (no room)" in harness.dialogs.messages[-1]
    assert panel.ui.normalizeButton.enabled


def test_a_panel_that_was_never_entered_outlives_a_closed_scene(harness, bundle):
    import slicer

    harness.load_module("SyntheticCT")
    panel = slicer.util.getModuleWidget("SyntheticCT")
    harness.close_scene()
    mr = add_volume(harness.scene, blob_mr(), "T2 axial")
    harness.process_events()
    assert panel.logic.getParameterNode().mr is mr
    assert panel.ui.makeButton.enabled


def test_a_scene_that_was_saved_side_by_side_finds_its_layout(harness):
    harness.load_module("SyntheticCT")
    layout = harness.scene.GetFirstNodeByClass("vtkMRMLLayoutNode")
    for number in (SIDE_BY_SIDE, HISTOGRAMS):
        layout.SetViewArrangement(number)
        assert "SyntheticCTLeft" in layout.GetCurrentLayoutDescription()


def test_the_uncertainty_is_shown_over_the_mr(harness, panel, settings):
    assert not panel.ui.uncertaintyButton.enabled
    settings.makeUncertainty = True
    run(harness, panel, "generateButton")
    harness.click(panel.ui.uncertaintyButton)
    composite = harness.app.layoutManager().sliceWidget("Red").mrmlSliceCompositeNode()
    assert composite.GetForegroundVolumeID() == settings.uncertaintyVolume.GetID()


def test_cancel_leaves_the_scene_as_it_was(harness, panel, settings):
    before = volumes(harness)
    harness.click(panel.ui.generateButton)
    harness.click(panel.jobPanel.cancelButton)
    harness.process_events(lambda: not panel.jobPanel.busy, timeout_s=3)
    assert volumes(harness) == before
    assert panel.jobPanel.messageLabel.text == "Cancelled."
    assert panel.ui.generateButton.enabled


def test_closing_the_scene_cancels_and_the_panel_goes_on(harness, panel, settings, bundle):
    harness.click(panel.ui.generateButton)
    harness.close_scene()
    assert not panel.jobPanel.busy
    assert panel.logic.getParameterNode().mr is None
    settings = panel.logic.getParameterNode()
    settings.mr = add_volume(harness.scene, blob_mr(), "Next")
    settings.model = bundle
    harness.process_events()
    run(harness, panel, "normalizeButton")
    assert "Next normalized" in volumes(harness)


def test_nodes_deleted_during_a_run_do_no_harm(harness, panel, settings):
    output = harness.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "mine")
    settings.normalizedVolume = output
    harness.click(panel.ui.normalizeButton)
    harness.scene.RemoveNode(output)
    harness.process_events(lambda: not panel.jobPanel.busy, timeout_s=30)
    assert "T2 axial normalized" in volumes(harness)  # into a new node

    settings.normalizedVolume = None
    harness.click(panel.ui.normalizeButton)
    harness.scene.RemoveNode(settings.mr)
    harness.process_events(lambda: not panel.jobPanel.busy, timeout_s=30)
    assert "removed" in harness.dialogs.messages[-1]
    assert settings.mr is None


def test_leaving_the_module_does_not_stop_it(harness, panel, settings):
    harness.click(panel.ui.normalizeButton)
    panel.exit()
    harness.process_events(lambda: not panel.jobPanel.busy, timeout_s=30)
    panel.enter()
    assert panel.logic.getParameterNode().normalizedVolume.GetName() == "T2 axial normalized"


def test_settings_come_back_with_the_scene(harness, panel, settings, bundle, tmp_path):
    run(harness, panel, "normalizeButton")
    settings.epochs = 7
    settings.makeUncertainty = True
    settings.manifest = "pairs.csv"
    add_volume(harness.scene, ct_like(), "CT")
    harness.process_events()
    settings.ct = None  # what was left out stays left out
    path = harness.save_scene(tmp_path / "scene.mrb")
    harness.load_scene(path)
    settings = panel.logic.getParameterNode()
    assert settings.mr.GetName() == "T2 axial"
    assert settings.normalizedVolume.GetName() == "T2 axial normalized"
    assert settings.ct is None
    assert settings.model == bundle
    assert panel.ui.epochsSpinBox.value == 7
    assert panel.ui.uncertaintyCheckBox.checked
    assert panel.ui.manifestPath.currentPath == "pairs.csv"
    assert panel.ui.mrSelector.currentNode() is settings.mr
    assert panel.ui.histogramsButton.enabled
    harness.click(panel.ui.histogramsButton)


def test_inputs_are_proposed_by_name(harness):
    for name in ("Phantom 1001 CT", "Phantom 1001 MRCAT (synthetic)", "Phantom 1001 MR"):
        add_volume(harness.scene, ct_like(), name)
    panel = harness.open_panel("SyntheticCT")
    settings = panel.logic.getParameterNode()
    assert settings.mr.GetName() == "Phantom 1001 MR"
    assert settings.ct.GetName() == "Phantom 1001 CT"
    assert settings.mrcat.GetName() == "Phantom 1001 MRCAT (synthetic)"
    settings.ct = None
    mine = add_volume(harness.scene, ct_like(), "planning CT of mine")
    add_volume(harness.scene, ct_like(), "sCT of MR")
    harness.process_events()
    assert settings.ct is mine


def test_a_result_of_other_inputs_is_not_overwritten(harness, panel, settings):
    run(harness, panel, "normalizeButton")
    first = settings.normalizedVolume
    settings.mr = add_volume(harness.scene, blob_mr(seed=1), "Other")
    harness.process_events()
    run(harness, panel, "normalizeButton")
    assert first.GetName() == "T2 axial normalized"
    assert settings.normalizedVolume.GetName() == "Other normalized"


def test_without_main_window_the_logic_does_the_same(harness_without_window, bundle):
    harness = harness_without_window
    harness.open_panel("SyntheticCT")
    logic = harness.load_module("SyntheticCT").SyntheticCTLogic()
    mr = add_volume(harness.scene, blob_mr(), "T2")
    results = logic.startNormalize(mr, bundle).wait()
    logic.showHistograms(mr, results.normalized)
    logic.showOverlay(mr, results.normalized)
    assert results.normalized.GetName() == "T2 normalized"
