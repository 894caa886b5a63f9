"""The stand-ins for Slicer behave as Slicer does where the panels rely on it: nodes and scenes."""

from __future__ import annotations

import enum
import sys
from pathlib import Path
from typing import Annotated

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
pytest.importorskip("PySide6.QtUiTools", reason="PySide6 is not here", exc_type=ImportError)
from fake_module import write_fake_module  # noqa: E402


@pytest.fixture
def panel(harness, tmp_path):
    return harness.open_panel("Fake", write_fake_module(tmp_path))


class Device(enum.Enum):
    CPU = "cpu"
    GPU = "cuda"


@pytest.fixture
def qt(harness):
    return sys.modules["qt"]


@pytest.fixture
def wrapped(harness):
    """A parameter node of every kind of type that is used."""
    from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper, parameterPack

    @parameterPack
    class Criteria:
        percent: float = 1.0

    class Parameters:
        pass

    Parameters.__annotations__ = {
        "mr": slicer.vtkMRMLScalarVolumeNode,
        "model": Path,
        "opacity": Annotated[float, WithinRange(0, 1)],
        "device": Device,
        "deformable": bool,
        "names": list[str],
        "candidates": list[slicer.vtkMRMLScalarVolumeNode],
        "criteria": Criteria,
    }
    Parameters.opacity = 0.5
    logic = slicer.ScriptedLoadableModule.ScriptedLoadableModuleLogic()
    logic.moduleName = "Fake"
    return lambda: parameterNodeWrapper(type("Parameters", (), dict(vars(Parameters))))(
        logic.getParameterNode()
    )


def add_volume(scene, name):
    return scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)


def test_a_selector_follows_the_scene(harness, panel):
    selector, heard = panel.ui.mrSelector, []
    selector.connect("currentNodeChanged(vtkMRMLNode*)", heard.append)
    volume = add_volume(harness.scene, "MR")
    hidden = slicer.vtkMRMLScalarVolumeNode()
    hidden.SetHideFromEditors(True)
    harness.scene.AddNode(hidden)
    harness.scene.AddNewNodeByClass("vtkMRMLTableNode")
    harness.scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode")  # a scalar volume, too
    assert selector.nodeCount() == 2
    assert selector.currentNode() is None
    selector.setCurrentNode(volume)
    assert (selector.currentNodeID, heard) == (volume.GetID(), [volume])
    harness.scene.RemoveNode(volume)
    # As seen in Slicer, with noneEnabled too.
    assert selector.currentNode().GetClassName() == "vtkMRMLLabelMapVolumeNode"
    assert heard == [volume, selector.currentNode()]
    selector.setCurrentNode(None)
    assert selector.currentNode() is None
    selector.noneEnabled = False
    assert selector.currentNode().GetClassName() == "vtkMRMLLabelMapVolumeNode"
    added = selector.addNode()
    assert selector.currentNode() is added
    harness.close_scene()
    assert selector.nodeCount() == 0
    assert selector.currentNode() is None


def test_a_checkable_selector_keeps_what_is_checked(harness, qt):
    box = slicer.qMRMLCheckableNodeComboBox()
    box.nodeTypes = ["vtkMRMLScalarVolumeNode"]
    box.setMRMLScene(harness.scene)
    heard = []
    box.connect("checkedNodesChanged()", lambda: heard.append(len(box.checkedNodes())))
    first, second = add_volume(harness.scene, "A"), add_volume(harness.scene, "B")
    box.setCheckState(second, qt.Qt.Checked)
    assert box.checkedNodes() == [second]
    assert box.uncheckedNodes() == [first]
    harness.scene.RemoveNode(second)
    assert box.noneChecked()
    assert heard == [1, 0]


def test_a_table_view_shows_its_node(harness):
    node = harness.scene.AddNewNodeByClass("vtkMRMLTableNode")
    view = slicer.qMRMLTableView()
    view.setMRMLTableNode(node)
    slicer.util.updateTableFromArray(node, [np.array([1.5, 2.5])], ["MAE"])
    model = view.model()
    assert (model.rowCount(), model.columnCount()) == (2, 1)
    assert float(model.index(1, 0).data()) == 2.5


def test_parameters_and_widgets_go_together(harness, panel, wrapped):
    node = wrapped()
    volume = add_volume(harness.scene, "MR")
    node.mr = volume
    by_name = vars(panel.ui).values()
    tag = node.connectParametersToGui(
        {name: w for w in by_name if (name := w.property("SlicerParameterName"))}
    )
    assert panel.ui.mrSelector.currentNode() is volume
    assert (panel.ui.opacity.value, panel.ui.opacity.maximum) == (0.5, 1)
    panel.ui.opacity.value = 0.25
    panel.ui.device.currentIndex = 1
    panel.ui.modelPath.currentPath = "bundle"
    assert (node.opacity, node.device, node.model) == (0.25, Device.GPU, Path("bundle"))
    node.deformable = True
    assert panel.ui.deformable.checked
    node.disconnectGui(tag)
    panel.ui.opacity.value = 0.75
    assert node.opacity == 0.25
    with pytest.raises(ValueError, match="not within"):
        node.opacity = 2.0
    with pytest.raises(TypeError):
        node.deformable = "yes"


def test_a_panel_is_connected_with_all_its_named_widgets(harness, panel, wrapped):
    node = wrapped()
    assert node.connectGui(panel.ui) is None
    panel.ui.deformable.checked = True
    assert node.deformable
    node.opacity = 0.25
    assert panel.ui.opacity.value == 0.25


def test_what_slicer_does_not_connect_is_refused(harness, panel, wrapped):
    node = wrapped()
    with pytest.raises(RuntimeError, match="Unable to create GUI connector"):
        node.connectParametersToGui({"names": panel.ui.device})
    with pytest.raises(ValueError, match="Cannot find a param"):
        node.connectParametersToGui({"absent": panel.ui.device})


def test_parameters_are_saved_with_the_scene(harness, wrapped, tmp_path):
    node = wrapped()
    volume = add_volume(harness.scene, "MR")
    node.mr, node.candidates, node.names = volume, [None, volume], ["a", "b, c"]
    node.opacity, node.device, node.model = 0.125, Device.GPU, Path("bundle")
    node.criteria.percent = 3.0
    path = harness.save_scene(tmp_path / "scene.mrb")
    harness.close_scene()
    closed = wrapped()
    assert (closed.mr, closed.opacity, closed.names) == (None, 0.5, [])
    harness.load_scene(path)
    again = wrapped()
    assert again.mr.GetName() == "MR"
    assert (again.candidates[0], again.candidates[1].GetName()) == (None, "MR")
    assert again.names == ["a", "b, c"]
    assert (again.opacity, again.device, again.model) == (0.125, Device.GPU, Path("bundle"))
    assert again.criteria.percent == 3.0


def test_volumes_are_put_into_every_slice_view(harness):
    volume = slicer.util.addVolumeFromArray(np.ones((4, 5, 6), np.int16))
    slicer.util.setSliceViewerLayers(background=volume, fit=True)
    slicer.util.resetSliceViews()
    harness.close_scene()
    volume = slicer.util.addVolumeFromArray(np.ones((4, 5, 6), np.int16))
    slicer.util.setSliceViewerLayers(background=volume, fit=True)
    manager = slicer.app.layoutManager()
    assert manager.sliceViewNames() == ["Red", "Green", "Yellow"]
    for name in manager.sliceViewNames():
        composite = manager.sliceWidget(name).mrmlSliceCompositeNode()
        assert composite.GetBackgroundVolumeID() == volume.GetID()


def test_a_command_line_module_runs_from_the_event_loop(harness):
    from harness.application import Module

    with pytest.raises(AttributeError):
        slicer.modules.brainsfit  # noqa: B018
    slicer.modules.brainsfit = Module("brainsfit")
    harness.cli.functions[slicer.modules.brainsfit] = lambda node, given: given["seen"].append(node)
    seen = []
    node = slicer.cli.run(slicer.modules.brainsfit, None, {"seen": seen})
    assert node.IsBusy()
    assert not seen
    harness.process_events(until=lambda: not node.IsBusy())
    assert (seen, node.GetStatus()) == ([node], node.Completed)
    cancelled = slicer.cli.run(slicer.modules.brainsfit, None, {"seen": seen})
    cancelled.Cancel()
    harness.process_events(until=lambda: not cancelled.IsBusy())
    assert len(seen) == 1
