"""A scripted module as small as can be, to try the stand-ins for Slicer with."""

from __future__ import annotations

from pathlib import Path

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
        self.closed = 0
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onClosed)

    def cleanup(self):
        self.removeObservers()

    def onClosed(self, caller, event):
        self.closed += self.ui.applyButton.enabled

    def enter(self):
        self.entered += 1

class FakeTest(ScriptedLoadableModuleTest):
    def test_window(self):
        assert slicer.app.testingEnabled()

    def test_that_fails(self):
        assert not slicer.mrmlScene.GetFirstNodeByName("Fail")
"""


def write_fake_module(folder: Path, ui: str = UI) -> Path:
    """Write the files of a module named Fake and return their folder."""
    (folder / "Fake" / "Resources" / "UI").mkdir(parents=True)
    (folder / "Fake" / "Resources" / "UI" / "Fake.ui").write_text(ui)
    (folder / "Fake" / "Fake.py").write_text(MODULE)
    return folder / "Fake"
