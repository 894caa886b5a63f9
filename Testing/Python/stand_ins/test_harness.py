"""The stand-ins for Slicer behave as Slicer does where the panels rely on it: Qt and modules."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
pytest.importorskip("PySide6.QtUiTools", reason="PySide6 is not here", exc_type=ImportError)
from fake_module import UI, write_fake_module  # noqa: E402
from harness.api import class_names  # noqa: E402


@pytest.fixture
def fake(tmp_path):
    return write_fake_module(tmp_path)


@pytest.fixture
def panel(harness, fake):
    return harness.open_panel("Fake", fake)


@pytest.fixture
def qt(harness):
    return sys.modules["qt"]


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


def test_a_panel_hears_of_a_closed_scene_until_it_is_gone(fake, tmp_path):
    from harness import open_slicer

    with open_slicer(tmp_path) as opened:
        panel = opened.open_panel("Fake", fake)
        opened.close_scene()
        assert panel.closed == 1
    assert panel.closed == 1


def test_self_tests_are_run(harness, fake):
    harness.load_module("Fake", fake)
    harness.run_self_test("Fake")
    harness.scene.AddNewNodeByClass("vtkMRMLTextNode", "Fail")
    with pytest.raises(AssertionError, match="test_that_fails"):
        harness.run_self_test("Fake")


def test_settings_are_the_tests_own(harness, qt, tmp_path):
    qt.QSettings().setValue("Fake/recent", "bundle")
    assert slicer.util.settingsValue("Fake/recent", "") == "bundle"
    assert slicer.app.userSettings().value("Fake/recent") == "bundle"
    slicer.app.userSettings().sync()
    assert "bundle" in (tmp_path / "NA-MIC" / "Slicer.ini").read_text()


@pytest.mark.parametrize("wrong", ["ctkSliders", "ctkAxesWidget", "QSliders"])
def test_a_ui_file_with_an_unknown_widget_is_not_loaded(harness, tmp_path, wrong):
    fake = write_fake_module(tmp_path, UI.replace("ctkSliderWidget", wrong))
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
