"""Every name that the modules use of Slicer, Qt and ctk is one that a real Slicer has."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from places import REPOSITORY

pytest.importorskip("slicer", reason="slicer-core is not installed")
from harness.names import PythonFile, UiFile, declared_parameters

MODULES = ("SyntheticCT", "SyntheticCTEval")
OPTIONAL = {
    "PyTorchUtils": "of the PyTorch extension; where it is absent, the user is told to install it",
}


def files(module: str, ending: str) -> list[Path]:
    return sorted((REPOSITORY / module).rglob(f"*.{ending}"))


def widgets(module: str) -> dict[str, str]:
    return {
        name: class_name
        for path in files(module, "ui")
        for name, class_name in UiFile(path).classes.items()
    }


def known_elsewhere() -> dict[str, str]:
    own = [path for module in MODULES for path in (REPOSITORY / module).iterdir()]
    return OPTIONAL | {path.name: "the extension's own" for path in own if path.is_dir()}


def unknown(text: str, **options) -> list[str]:
    return PythonFile(text, **options).unknown()


def test_python_files_use_what_slicer_has():
    found = []
    for module in MODULES:
        for path in files(module, "py"):
            text = path.read_text(encoding="utf-8")
            sentences = unknown(text, widgets=widgets(module), optional=known_elsewhere())
            found += [f"{path.name}: {sentence}" for sentence in sentences]
    assert not found


@pytest.mark.parametrize("module", MODULES)
def test_ui_files_use_what_slicer_has(module):
    found = [
        f"{path.name}: {sentence}"
        for path in files(module, "ui")
        for sentence in UiFile(path).unknown()
    ]
    assert not found


@pytest.mark.parametrize("module", MODULES)
def test_widgets_are_connected_with_parameters_that_are_declared(module):
    declared = set()
    for path in files(module, "py"):
        declared |= declared_parameters(path.read_text(encoding="utf-8"))
    connected = {name for path in files(module, "ui") for name in UiFile(path).parameters()}
    assert connected <= declared


@pytest.mark.parametrize(
    "text",
    [
        "import slicer\nslicer.util.loadVolumeQuickly('x')",
        "import slicer\nslicer.app.layoutKeeper()",
        "import slicer\nslicer.modules.brainsfitter",
        "import slicer\ngetattr(slicer.modules, 'brainsfitter', None)",
        "import slicer\nslicer.vtkMRMLTableModel()",
        "import slicer\nslicer.vtkMRMLScalarVolumeNode.SetVoxels",
        "import slicer\nslicer.mrmlScene.AddNodeByClass('x')",
        "import slicer.packing",
        "import SampleDatas",
        "from PyTorchUtils import PyTorchUtilsLogic",
        "from slicer.packaging import pip_insure",
        "from slicer.util import errorDisplays",
        "from slicer import i18n\ni18n.translation('x')",
        "import qt\nqt.QPushButtons()",
        "import qt\nqt.QProcess.Stopped",
        "import ctk\nctk.ctkSlider()",
        "def f(x):\n    x.connect('klicked(bool)', f)",
        "import slicer\nslicer.app.connect('startupComplete()', print)",
        "def f(x):\n    x.disconnect('valueChanged(float)', f)",
        "import qt\nt = qt.QTimer()\nt.singleShots = True",
        "import qt\nt = qt.QTimer()\nt.connect('clicked()', print)",
        "def f(self):\n    self.ui.apply.text = ''",
        "def f(self):\n    self.ui.applyButton.caption = ''",
        "def f(self):\n    self.ui.applyButton.connect('activated(int)', f)",
    ],
)
def test_a_name_that_slicer_has_not_is_found(text):
    assert len(unknown(text, widgets={"applyButton": "QPushButton"})) == 1


@pytest.mark.parametrize(
    "text",
    [
        "import slicer\nslicer.util.loadVolume('x').GetID().anything",
        "import slicer\nslicer.modules.colors.logic().AddDefaultColorLegendDisplayNode(None)",
        "import slicer\ngetattr(slicer.modules, 'brainsfit', None)",
        "import slicer\nslicer.vtkMRMLScene.NodeAddedEvent",
        "from slicer.i18n import tr as _\n_('text').format(x=1)",
        "import slicer.packaging\nslicer.packaging.pip_ensure([])",
        "import SampleData\nimport numpy.linalg\nfrom . import siblings",
        "import qt\nt = qt.QTimer()\nt.connect('timeout()', print)\nt.start(0)\nt = None",
        "import qt\nqt.QMessageBox().exec_()",
        "import slicer\nslicer.app.connect('startupCompleted()', print)",
        "import qt\nlayout = qt.QVBoxLayout()\nlayout = qt.QFormLayout()\nlayout.addRow(None)",
        "def f(self):\n    self.ui.applyButton.connect('clicked(bool)', f)",
    ],
)
def test_a_name_that_slicer_has_is_not_found_fault_with(text):
    assert not unknown(text, widgets={"applyButton": "QPushButton"})


UI = """<ui version="4.0"><widget class="{top}" name="top"><layout class="QVBoxLayout"><item>
<widget class="{inner}" name="inner"><property name="{property}"><bool>true</bool></property>
<property name="{dynamic}" stdset="0"><string>mr</string></property></widget>
</item></layout></widget>
<customwidgets><customwidget><class>qMRMLWidget</class></customwidget>
<customwidget><class>qMRMLNodeComboBox</class></customwidget></customwidgets>
<connections><connection><sender>top</sender><signal>{signal}</signal><receiver>inner</receiver>
<slot>{slot}</slot></connection></connections></ui>"""
GOOD = {
    "top": "qMRMLWidget",
    "inner": "qMRMLNodeComboBox",
    "property": "noneEnabled",
    "dynamic": "SlicerParameterName",
    "signal": "mrmlSceneChanged(vtkMRMLScene*)",
    "slot": "setMRMLScene(vtkMRMLScene*)",
}


@pytest.mark.parametrize(
    ("changed", "faults"),
    [
        ({}, 0),
        ({"inner": "qMRMLNodeBox"}, 3),  # class, its slot, and not declared
        ({"property": "noneAllowed"}, 1),
        ({"dynamic": "SlicerParamName"}, 1),
        ({"signal": "sceneChanged(vtkMRMLScene*)"}, 1),
        ({"slot": "setScene(vtkMRMLScene*)"}, 1),
    ],
)
def test_faults_of_a_ui_file_are_found(tmp_path, changed, faults):
    path = tmp_path / "panel.ui"
    path.write_text(UI.format(**GOOD | changed))
    assert len(list(UiFile(path).unknown())) == faults
    assert UiFile(path).parameters() == ({"mr"} if "dynamic" not in changed else set())


def test_parameters_are_read_from_the_classes_that_declare_them():
    text = """
@parameterPack
class Pack:
    x: float
@parameterNodeWrapper
class Node:
    mr: slicer.vtkMRMLScalarVolumeNode
    pack: Pack
class Other:
    y: int
"""
    assert declared_parameters(text) == {"mr", "pack", "pack.x"}


@pytest.mark.parametrize("module", MODULES)
def test_every_control_has_a_tooltip(module):
    passive = {"QLabel", "QWidget", "QFrame", "qMRMLWidget"}
    for path in files(module, "ui"):
        for widget in ElementTree.parse(path).iter("widget"):
            named = {one.get("name") for one in widget.findall("property")}
            assert widget.get("class") in passive or "toolTip" in named, widget.get("name")
