"""Training from Slicer's panel: pairs of the scene, a live chart, stop and resume."""

from __future__ import annotations

import os

import numpy as np
import pytest
import SimpleITK as sitk
from models import ct_like
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.bundle.folder import read_card

pytest.importorskip("slicer", reason="slicer-core is not installed")
from SyntheticCTMRML.nodes import add_volume
from SyntheticCTMRML.pairs import Pair


@pytest.fixture
def panel(harness):
    panel = harness.open_panel("SyntheticCT")
    panel.ui.trainSection.collapsed = False
    settings = panel.logic.getParameterNode()
    settings.width, settings.size, settings.batch = 2, 32, 4
    settings.adversarialWeight = 0.0
    settings.spacing = 6.0
    settings.epochs = 2
    return panel


def add_pair(harness, panel, number: int, validation: bool = False) -> None:
    ct = ct_like(10 * number)
    rng = np.random.default_rng(number)
    mr = sitk.GetArrayFromImage(sitk.Cast(ct, sitk.sitkFloat32)) / 3 + 400
    mr = sitk.GetImageFromArray(np.abs(mr + rng.normal(0, 5, mr.shape)).astype(np.float32))
    mr.CopyInformation(ct)
    table = panel.training.table
    table.mrSelector.setCurrentNode(add_volume(harness.scene, mr, f"MR {number}"))
    table.ctSelector.setCurrentNode(add_volume(harness.scene, ct, f"CT {number}"))
    table.registeredCheckBox.checked = True
    table.validationCheckBox.checked = validation
    harness.click(table.addButton)


def chart_rows(harness) -> dict[int, float]:
    """L1 loss by epoch, as the chart's table has it."""
    found = harness.scene.GetFirstNode("Losses of", "vtkMRMLTableNode", None, False)
    table = found.GetTable()
    return {
        table.GetValueByName(row, "epoch").ToInt(): table.GetValueByName(row, "l1_hu").ToDouble()
        for row in range(table.GetNumberOfRows())
    }


def test_pairs_of_the_scene_train_a_model_which_is_chosen_then(harness, panel, tmp_path):
    panel.ui.pairsFromComboBox.currentIndex = 1
    harness.process_events()
    assert not panel.ui.manifestPath.isVisibleTo(panel.parent)
    for number in (1, 2):
        add_pair(harness, panel, number, validation=number == 2)
    output = tmp_path / "model"
    panel.ui.modelFolderPath.currentPath = str(output)
    harness.process_events()
    harness.click(panel.ui.trainButton)
    harness.process_events(lambda: not panel.jobPanel.busy, timeout_s=90)
    assert panel.jobPanel.error == ""
    card = read_card(output)
    assert card.record["patients_training"] == card.record["patients_validation"] == 1
    assert card.record["settings"]["width"] == 2
    rows = chart_rows(harness)
    history = card.record["history"]
    assert rows == pytest.approx({n: epoch["l1_hu"] for n, epoch in enumerate(history, 1)})
    chart = harness.scene.GetFirstNode("Training of model", "vtkMRMLPlotChartNode", None, False)
    assert chart.GetNumberOfPlotSeriesNodes() == 2  # training and validation
    views = harness.scene.GetNodesByClass("vtkMRMLPlotViewNode")
    assert views.GetItemAsObject(0).GetPlotChartNodeID() == chart.GetID()
    assert panel.logic.getParameterNode().model == str(output)
    assert "CPU" in panel.ui.usedDeviceLabel.text

    # What was trained goes on, also after the volumes have gone.
    assert panel.ui.resumeButton.enabled
    assert not panel.ui.trainButton.enabled
    assert "resume it" in panel.ui.trainButton.toolTip
    harness.close_scene()
    settings = panel.logic.getParameterNode()
    settings.width, settings.size, settings.batch = 2, 32, 4
    settings.adversarialWeight, settings.spacing, settings.epochs = 0.0, 6.0, 3
    settings.modelFolder = str(output)
    panel.ui.pairsFromComboBox.currentIndex = 1
    harness.process_events()
    killed = output.with_name("model.training") / ".partial-of-one-that-was-killed"
    killed.mkdir()
    os.utime(killed, (0, 0))  # a young one may be another program's
    harness.click(panel.ui.resumeButton)
    harness.process_events(lambda: len(chart_rows(harness)) == 2, timeout_s=5)  # as it begins
    harness.process_events(lambda: not panel.jobPanel.busy, timeout_s=90)
    assert not list(output.with_name("model.training").glob(".partial-*"))
    assert panel.jobPanel.error == ""
    assert len(read_card(output).record["history"]) == 3
    assert read_card(output).record["history"][:2] == history


def test_stopping_keeps_what_was_finished(harness, panel, tmp_path):
    settings = panel.logic.getParameterNode()
    settings.epochs = 5000
    panel.ui.pairsFromComboBox.currentIndex = 1
    harness.process_events()
    add_pair(harness, panel, 1)
    output = tmp_path / "model"
    panel.ui.modelFolderPath.currentPath = str(output)
    harness.process_events()
    harness.click(panel.ui.trainButton)
    checkpoint = tmp_path / "model.training" / "checkpoint.safetensors"
    harness.process_events(checkpoint.exists, timeout_s=90)
    harness.click(panel.jobPanel.cancelButton)
    harness.process_events(lambda: not panel.jobPanel.busy, timeout_s=3)
    assert checkpoint.exists()
    assert not list(checkpoint.parent.glob(".partial-*"))
    assert panel.ui.resumeButton.enabled
    assert panel.ui.pairsFromComboBox.currentText

    # It goes on in the same chart and table, and the plot is fitted to what has come.
    finished = len(chart_rows(harness))
    harness.click(panel.ui.resumeButton)
    harness.process_events(lambda: len(chart_rows(harness)) > finished, timeout_s=90)
    for kind in ("vtkMRMLPlotChartNode", "vtkMRMLTableNode"):
        assert harness.scene.GetNumberOfNodesByClass(kind) == 1
    plot = harness.app.layoutManager().plotWidget(0)
    assert plot.rows >= finished
    harness.click(panel.jobPanel.cancelButton)
    harness.process_events(lambda: not panel.jobPanel.busy, timeout_s=3)


def test_what_cannot_be_trained_is_told(harness, panel, tmp_path):
    assert not panel.ui.trainButton.enabled
    assert "Choose a manifest file" in panel.ui.trainButton.toolTip
    panel.ui.manifestPath.currentPath = str(tmp_path / "none.csv")
    harness.process_events()
    assert "Choose a folder for the model" in panel.ui.trainButton.toolTip
    panel.ui.modelFolderPath.currentPath = str(tmp_path / "model")
    harness.process_events()
    harness.click(panel.ui.trainButton)
    assert "no manifest" in harness.dialogs.messages[-1]
    panel.ui.pairsFromComboBox.currentIndex = 1
    harness.process_events()
    assert "Add pairs" in panel.ui.trainButton.toolTip
    harness.click(panel.training.table.addButton)
    assert "Choose an MR and a CT" in harness.dialogs.messages[-1]
    assert not panel.jobPanel.busy


def test_the_pairs_come_back_with_the_scene(harness, panel, tmp_path):
    panel.ui.pairsFromComboBox.currentIndex = 1
    harness.process_events()
    for number in (1, 2):
        add_pair(harness, panel, number, validation=number == 2)
    path = harness.save_scene(tmp_path / "scene.mrb")
    harness.load_scene(path)
    pairs = panel.training.table.pairs()
    assert [(pair.mr.GetName(), pair.ct.GetName()) for pair in pairs] == [
        ("MR 1", "CT 1"),
        ("MR 2", "CT 2"),
    ]
    assert [pair.validation for pair in pairs] == [False, True]
    panel.training.table.table.setCurrentCell(0, 0)
    harness.click(panel.training.table.removeButton)
    assert [pair.mr.GetName() for pair in panel.training.table.pairs()] == ["MR 2"]


def test_pairs_that_are_none_are_refused_also_in_a_script(harness, panel, tmp_path):
    tree, nodes = harness.scene.GetSubjectHierarchyNode(), []
    for number in "12":
        item = tree.CreateSubjectItem(tree.GetSceneItemID(), number)
        tree.SetItemAttribute(item, "DICOM.PatientID", number)
        nodes.append(add_volume(harness.scene, ct_like(), f"Volume {number}"))
        tree.CreateItem(item, nodes[-1])
    for mr, ct, reason in (
        (nodes[0], nodes[0], "as MR and as CT"),
        (*nodes, "different patients"),
    ):
        with pytest.raises(SyntheticCTError, match=reason):
            panel.logic.startTraining([Pair(mr, ct)], str(tmp_path / "model"))


def test_a_training_goes_on_without_the_chart_that_was_removed(harness, tmp_path):
    from SyntheticCTMRML.charts import LossChart

    chart = LossChart(harness.scene, tmp_path / "model")
    chart.show(1, {"l1_hu": 50.0})
    harness.scene.RemoveNode(chart.chart)
    chart.show(2, {"l1_hu": 40.0, "validation_mae_hu": 60.0})
