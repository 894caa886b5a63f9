"""The stand-ins for Slicer behave as Slicer does where the panels rely on it."""

from __future__ import annotations

import enum
import sys
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
pytest.importorskip("PySide6.QtUiTools", reason="PySide6 is not here", exc_type=ImportError)
from harness.api import class_names  # noqa: E402

UI = """<ui version="4.0"><widget class="qMRMLWidget" name="Fake"><layout class="QVBoxLayout"><item>
<widget class="ctkCollapsibleButton" name="inputs"><property name="text"><string>Inputs</string>
</property><layout class="QVBoxLayout"><item><widget class="qMRMLNodeComboBox" name="mrSelector">
<property name="nodeTypes"><stringlist><string>vtkMRMLScalarVolumeNode</string></stringlist>
</property><property name="noneEnabled"><bool>true</bool></property>
<property name="SlicerParameterName" stdset="0"><string>mr</string></property></widget></item>
<item><widget class="ctkPathLineEdit" name="modelPath"><property name="filters">
<set>ctkPathLineEdit::Dirs|ctkPathLineEdit::Readable</set></property>
<property name="SlicerParameterName" stdset="0"><string>model</string></property></widget></item>
<item><widget class="ctkSliderWidget" name="opacity">
<property name="SlicerParameterName" stdset="0"><string>opacity</string></property></widget></item>
<item><widget class="QComboBox" name="device">
<property name="SlicerParameterName" stdset="0"><string>device</string></property></widget></item>
<item><widget class="QCheckBox" name="deformable">
<property name="SlicerParameterName" stdset="0"><string>deformable</string></property></widget>
</item></layout></widget></item>
<item><widget class="ctkCollapsibleButton" name="advanced"><property name="collapsed">
<bool>true</bool></property><layout class="QVBoxLayout"><item>
<widget class="QPushButton" name="hiddenButton"/></item></layout></widget></item>
<item><widget class="QPushButton" name="applyButton"><property name="text"><string>Apply</string>
</property></widget></item></layout></widget>
<connections><connection><sender>Fake</sender><signal>mrmlSceneChanged(vtkMRMLScene*)</signal>
<receiver>mrSelector</receiver><slot>setMRMLScene(vtkMRMLScene*)</slot></connection></connections>
</ui>"""

MODULE = """
import slicer
from slicer.ScriptedLoadableModule import *
from slicer.util import VTKObservationMixin

def register():
    import SampleData

    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category="Fake", sampleName="Digital", customDownloader=lambda source: source.sampleName
    )

class Fake(ScriptedLoadableModule):
    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = "A fake"
        slicer.app.connect("startupCompleted()", register)

class FakeWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        widget = slicer.util.loadUI(self.resourcePath("UI/Fake.ui"))
        self.layout.addWidget(widget)
        self.ui = slicer.util.childWidgetVariables(widget)
        widget.setMRMLScene(slicer.mrmlScene)
        self.clicks = []
        self.ui.applyButton.connect("clicked(bool)", self.clicks.append)
        self.entered = 0

    def enter(self):
        self.entered += 1

class FakeTest(ScriptedLoadableModuleTest):
    def test_window(self):
        assert slicer.app.testingEnabled()

    def test_that_fails(self):
        assert not slicer.mrmlScene.GetFirstNodeByName("Fail")
"""


class Device(enum.Enum):
    CPU = "cpu"
    GPU = "cuda"


@pytest.fixture
def qt(harness):
    return sys.modules["qt"]


@pytest.fixture
def fake(tmp_path):
    """Folder of a module named Fake."""
    folder = tmp_path / "Fake"
    (folder / "Resources" / "UI").mkdir(parents=True)
    (folder / "Resources" / "UI" / "Fake.ui").write_text(UI)
    (folder / "Fake.py").write_text(MODULE)
    return folder


@pytest.fixture
def panel(harness, fake):
    return harness.open_panel("Fake", fake)


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


def test_properties_are_attributes(qt):
    button = qt.QPushButton("Go")
    assert (button.text, button.enabled, button.toolTip) == ("Go", True, "")
    button.text = "Stop"
    button.setToolTip("Ends it")
    assert (button.text, button.toolTip) == ("Stop", "Ends it")
    with pytest.raises(TypeError):
        button.text()
    for wrong in ("caption", "accessibleIdentifier"):  # the second is new in Qt 6
        with pytest.raises(AttributeError, match="in Slicer"):
            getattr(button, wrong)
        with pytest.raises(AttributeError, match="in Slicer"):
            setattr(button, wrong, "x")
    with pytest.raises(TypeError, match="PythonQt cannot convert"):
        qt.QLineEdit().setText(Path("x"))


def test_an_object_stays_the_same(qt):
    parent = qt.QWidget()
    layout = qt.QVBoxLayout(parent)
    button = qt.QPushButton()
    layout.addWidget(button)
    assert parent.layout() is layout
    assert parent.findChild(qt.QPushButton) is button
    assert isinstance(button, qt.QWidget)
    assert button.parent() is parent
    parent.delete()
    assert not button
    with pytest.raises(ValueError, match="destroyed QPushButton"):
        button.text = "x"


def test_signals_are_connected_by_text_and_give_no_more_than_is_taken(harness, qt):
    button, heard = qt.QPushButton(), []
    button.checkable = True
    keep = heard.append
    button.connect("toggled(bool)", keep)
    button.connect("toggled(bool)", lambda: heard.append("none"))
    button.click()
    assert heard == [True, "none"]
    assert button.disconnect("toggled(bool)", keep)
    assert not button.disconnect("toggled(bool)", print)
    button.click()
    assert heard == [True, "none", "none"]
    for wrong in ("toggled()", "activated(int)"):
        with pytest.raises(AttributeError, match="no signal"):
            button.connect(wrong, print)
    with pytest.raises(AttributeError, match="as text"):
        button.clicked.connect(print)


def test_what_a_connected_function_raises_fails_the_test(harness, qt):
    button = qt.QPushButton()
    button.connect("clicked()", lambda: 1 / 0)
    button.click()
    with pytest.raises(ZeroDivisionError):
        harness.process_events()


def test_timers_and_processes_run_in_the_event_loop(harness, qt):
    heard = []
    timer = qt.QTimer()
    timer.setSingleShot(True)
    timer.connect("timeout()", lambda: heard.append("timer"))
    timer.start(1)
    qt.QTimer.singleShot(0, lambda: heard.append("shot"))
    process = qt.QProcess()
    process.connect(
        "readyReadStandardOutput()",
        lambda: heard.append(process.readAllStandardOutput().data().split()),
    )
    process.connect(
        "finished(int,QProcess::ExitStatus)", lambda code, how: heard.append((code, how))
    )
    process.start(sys.executable, ["-c", "print('out'); raise SystemExit(3)"])
    qt.QTimer.singleShot(0, lambda: time.sleep(0.06))
    assert harness.process_events(until=lambda: len(heard) == 4) >= 0.06
    assert heard[:2] == ["shot", "timer"]
    assert heard[2:] == [[b"out"], (3, qt.QProcess.NormalExit)]
    assert process.state() == qt.QProcess.NotRunning


def test_a_panel_is_loaded_from_its_ui_file(harness, panel):
    assert panel.entered == 1
    assert panel.ui.mrSelector.className() == "qMRMLNodeComboBox"
    assert panel.ui.mrSelector.mrmlScene() is slicer.mrmlScene
    assert panel.ui.modelPath.filters == 0x11
    harness.click(panel.ui.applyButton)
    assert panel.clicks == [False]
    panel.ui.applyButton.enabled = False
    with pytest.raises(AssertionError, match="disabled"):
        harness.click(panel.ui.applyButton)


def test_a_module_is_registered_as_at_slicers_start(harness, fake):
    harness.load_module("Fake", fake)
    assert slicer.modules.fake.title == "A fake"
    assert slicer.util.modulePath("Fake") == str(fake / "Fake.py")
    assert harness.sample("Digital") == "Digital"


def test_a_panel_is_found_by_scripts(harness, panel):
    assert slicer.util.getModuleWidget("Fake") is panel
    assert slicer.modules.fake.widgetRepresentation().self() is panel
    slicer.util.selectModule("Fake")
    assert panel.entered == 2


def test_self_tests_are_run(harness, fake):
    harness.load_module("Fake", fake)
    harness.run_self_test("Fake")
    add_volume(harness.scene, "Fail")
    with pytest.raises(AssertionError, match="test_that_fails"):
        harness.run_self_test("Fake")


def test_settings_are_the_tests_own(harness, qt, tmp_path):
    qt.QSettings().setValue("Fake/recent", "bundle")
    assert slicer.util.settingsValue("Fake/recent", "") == "bundle"
    assert slicer.app.userSettings().value("Fake/recent") == "bundle"
    slicer.app.userSettings().sync()
    assert "bundle" in (tmp_path / "NA-MIC" / "Slicer.ini").read_text()


@pytest.mark.parametrize("wrong", ["ctkSliders", "ctkAxesWidget", "QSliders"])
def test_a_ui_file_with_an_unknown_widget_is_not_loaded(harness, fake, wrong):
    path = fake / "Resources" / "UI" / "Fake.ui"
    path.write_text(UI.replace("ctkSliderWidget", wrong))
    with pytest.raises(ValueError, match=f"no stand-in for {wrong}"):
        harness.open_panel("Fake", fake)


def test_what_is_collapsed_cannot_be_clicked(harness, panel):
    with pytest.raises(AssertionError, match="not shown"):
        harness.click(panel.ui.hiddenButton)
    panel.ui.advanced.collapsed = False
    harness.click(panel.ui.hiddenButton)


def test_a_screenshot_shows_the_panel(harness, panel, tmp_path):
    from matplotlib.image import imread

    picture = imread(harness.screenshot(panel, tmp_path / "panel.png"))
    assert picture.shape[:2] == (900, 520)
    assert np.ptp(picture[..., :3].reshape(-1, 3), axis=0).min() > 0.5


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
    assert selector.currentNode() is None
    assert heard == [volume, None]
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
    tag = node.connectGui(panel.ui)
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


def test_what_slicer_does_not_connect_is_refused(harness, panel, wrapped):
    node = wrapped()
    with pytest.raises(RuntimeError, match="Unable to create GUI connector"):
        node.connectParametersToGui({"names": panel.ui.device})
    with pytest.raises(ValueError, match="Cannot find a param"):
        node.connectParametersToGui({"absent": panel.ui.device})


def test_parameters_are_saved_with_the_scene(harness, wrapped, tmp_path):
    node = wrapped()
    volume = add_volume(harness.scene, "MR")
    node.mr, node.candidates, node.names = volume, [volume], ["a", "b, c"]
    node.opacity, node.device, node.model = 0.125, Device.GPU, Path("bundle")
    node.criteria.percent = 3.0
    path = harness.save_scene(tmp_path / "scene.mrb")
    harness.close_scene()
    closed = wrapped()
    assert (closed.mr, closed.opacity, closed.names) == (None, 0.5, [])
    harness.load_scene(path)
    again = wrapped()
    assert again.mr.GetName() == "MR"
    assert [item.GetName() for item in again.candidates] == ["MR"]
    assert again.names == ["a", "b, c"]
    assert (again.opacity, again.device, again.model) == (0.125, Device.GPU, Path("bundle"))
    assert again.criteria.percent == 3.0


def test_messages_are_kept_and_questions_need_an_answer(harness, qt):
    slicer.util.errorDisplay("It failed.", detailedText="log")
    harness.dialogs.answers += ["Yes", "No"]
    assert slicer.util.confirmYesNoDisplay("Install it?")
    assert not slicer.util.confirmYesNoDisplay("Install that?")
    assert harness.dialogs.messages == ["It failed.", "Install it?", "Install that?"]
    with pytest.raises(AssertionError, match="no answer"):
        slicer.util.confirmYesNoDisplay("And now?")
    assert harness.dialogs.details[0] == "log"
    harness.dialogs.paths += ["report.html", ""]
    assert qt.QFileDialog.getSaveFileName(None, "Save") == "report.html"
    assert qt.QFileDialog.getExistingDirectory(None, "Folder") == ""
    qt.QDesktopServices.openUrl(qt.QUrl("https://example.org"))
    assert harness.dialogs.opened == ["https://example.org"]


def test_without_a_main_window_there_are_no_views_and_no_dialogs(harness_without_window):
    assert slicer.app.layoutManager() is None
    slicer.util.errorDisplay("It failed.")
    assert harness_without_window.dialogs.messages == []


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


def test_nothing_stays_behind(tmp_path):
    from harness import open_slicer

    with open_slicer(tmp_path) as opened:
        assert slicer.app is opened.app
        opened.load_module("SyntheticCT")
    assert not hasattr(slicer, "app")
    assert not {"qt", "SampleData", "SyntheticCT"} & set(sys.modules)


@pytest.mark.parametrize("owner", ["app", "modules", "qt", "ctk"])
def test_a_name_that_slicer_has_not_is_refused(harness, owner):
    subject = sys.modules.get(owner) or getattr(slicer, owner)
    with pytest.raises(AttributeError, match="has no"):
        subject.madeUpName  # noqa: B018


def test_stand_ins_have_nothing_that_the_real_widgets_have_not(harness):
    from harness.ui_files import custom_widgets
    from PySide6.QtWidgets import QWidget

    inherited = set(dir(QWidget))
    for name, widget in custom_widgets.items():
        public = {item for item in vars(widget) if not item.startswith("_")} - inherited
        assert public <= class_names(name), name
        shown = widget()
        meta = shown.metaObject()
        for index in range(meta.propertyOffset(), meta.propertyCount()):
            assert meta.property(index).name() in class_names(name, "properties"), name
        for index in range(meta.methodOffset(), meta.methodCount()):
            method = meta.method(index)
            if method.methodType() == method.MethodType.Signal:
                signal = bytes(method.methodSignature().data()).decode()
                known = {known.partition("(")[0] for known in class_names(name, "signals")}
                assert signal.partition("(")[0] in known, f"{name}.{signal}"
