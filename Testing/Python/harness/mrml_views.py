"""Stand-ins for Slicer's widgets that show what is in one MRML node."""

from __future__ import annotations

from typing import Any

import slicer
import vtk
from PySide6.QtCore import Signal
from PySide6.QtGui import QStandardItem, QStandardItemModel
from PySide6.QtWidgets import QComboBox, QTableView, QVBoxLayout, QWidget

from .ctk_numbers import ctkSliderWidget
from .ctk_stand_in import ctkCollapsibleButton
from .mrml_widgets import WithScene, observe, qMRMLCheckableNodeComboBox, qMRMLNodeComboBox
from .properties import parent_of, stored
from .qt_stand_in import wrapper_class
from .ui_files import custom_widgets


class qMRMLWidget(WithScene, QWidget):
    mrmlSceneChanged = Signal(object)

    def __init__(self, *arguments: Any) -> None:
        super().__init__(parent_of(arguments))


class qMRMLCollapsibleButton(WithScene, ctkCollapsibleButton):
    mrmlSceneChanged = Signal(object)


class qMRMLSliderWidget(WithScene, ctkSliderWidget):
    pass


class qMRMLTableView(WithScene, QTableView):
    """Shows a table node, and again whenever it is modified."""

    mrmlSceneChanged = Signal(object)
    selectionChanged = Signal()

    def __init__(self, *arguments: Any) -> None:
        super().__init__(parent_of(arguments))
        self._node: Any = None
        self.setModel(QStandardItemModel(self))

    def mrmlTableNode(self) -> Any:
        return self._node

    def setMRMLTableNode(self, node: Any) -> None:
        if node is self._node:
            return
        self._node = node
        if node is not None:
            observe(node, [vtk.vtkCommand.ModifiedEvent], self, "_show")
        self._show()

    def _show(self) -> None:
        model = self.model()
        model.clear()
        table = self._node.GetTable() if self._node is not None else None
        if table is None:
            return
        columns = range(table.GetNumberOfColumns())
        model.setHorizontalHeaderLabels([table.GetColumnName(column) or "" for column in columns])
        for row in range(table.GetNumberOfRows()):
            cells = [table.GetValue(row, column).ToString() for column in columns]
            model.appendRow([QStandardItem(cell) for cell in cells])

    firstRowLocked = stored(bool, "firstRowLocked", False)
    firstColumnLocked = stored(bool, "firstColumnLocked", False)
    transposed = stored(bool, "transposed", False)


class qMRMLSegmentSelectorWidget(WithScene, QWidget):
    """A segmentation node and one of its segments, or several."""

    mrmlSceneChanged = Signal(object)
    currentNodeChanged = Signal((object,), (bool,))
    currentSegmentChanged = Signal(str)
    segmentSelectionChanged = Signal("QStringList")

    def __init__(self, *arguments: Any) -> None:
        super().__init__(parent_of(arguments))
        self._nodes = qMRMLNodeComboBox(self)
        self._nodes.nodeTypes = ["vtkMRMLSegmentationNode"]
        self._nodes.addEnabled = False
        self._segments = QComboBox(self)
        self._chosen: list[str] = []
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self._nodes)
        column.addWidget(self._segments)
        self._nodes.currentNodeChanged[object].connect(self._on_node)
        self._segments.currentIndexChanged.connect(
            lambda _: self.currentSegmentChanged.emit(self.currentSegmentID())
        )

    noneEnabled = stored(bool, "noneEnabled", False, changed="_on_none")
    multiSelection = stored(bool, "multiSelection", False)
    editEnabled = stored(bool, "editEnabled", False)
    segmentationNodeSelectorVisible = stored(bool, "segmentationNodeSelectorVisible", True)

    def _on_none(self) -> None:
        self._nodes.noneEnabled = self.noneEnabled

    def _on_scene(self) -> None:
        self._nodes.setMRMLScene(self._scene)

    def _on_node(self, node: Any) -> None:
        if node is not None:
            events = [slicer.vtkSegmentation.SegmentAdded, slicer.vtkSegmentation.SegmentRemoved]
            observe(node.GetSegmentation(), events, self, "_fill")
        self._fill()
        self.currentNodeChanged[object].emit(node)
        self.currentNodeChanged[bool].emit(node is not None)

    def _fill(self) -> None:
        before = self.currentSegmentID()
        self._segments.blockSignals(True)
        self._segments.clear()
        if self.noneEnabled:
            self._segments.addItem("None", "")
        for identifier in self.segmentIDs():
            segment = self.currentNode().GetSegmentation().GetSegment(identifier)
            self._segments.addItem(segment.GetName(), identifier)
        self._segments.setCurrentIndex(max(self._segments.findData(before), 0))
        self._segments.blockSignals(False)
        self._chosen = [
            identifier for identifier in self._chosen if identifier in self.segmentIDs()
        ]
        if self.currentSegmentID() != before:
            self.currentSegmentChanged.emit(self.currentSegmentID())

    def segmentIDs(self) -> list[str]:
        node = self.currentNode()
        return list(node.GetSegmentation().GetSegmentIDs()) if node is not None else []

    def currentNode(self) -> Any:
        return self._nodes.currentNode()

    def currentNodeID(self) -> str:
        return self._nodes.currentNodeId()

    def setCurrentNode(self, node: Any) -> None:
        self._nodes.setCurrentNode(node)

    def setCurrentNodeID(self, identifier: str) -> None:
        self._nodes.setCurrentNodeID(identifier)

    def currentSegmentID(self) -> str:
        return self._segments.currentData() or ""

    def setCurrentSegmentID(self, identifier: str) -> None:
        self._segments.setCurrentIndex(self._segments.findData(identifier))

    def selectedSegmentIDs(self) -> list[str]:
        return list(self._chosen)

    def setSelectedSegmentIDs(self, identifiers: list[str]) -> None:
        self._chosen = list(identifiers)
        self.segmentSelectionChanged.emit(self._chosen)


WIDGETS = (
    qMRMLCheckableNodeComboBox,
    qMRMLCollapsibleButton,
    qMRMLNodeComboBox,
    qMRMLSegmentSelectorWidget,
    qMRMLSliderWidget,
    qMRMLTableView,
    qMRMLWidget,
)


def mrml_widgets() -> dict[str, type]:
    """Return the widget classes by the names that they have in ``slicer``."""
    for widget in WIDGETS:
        custom_widgets[widget.__name__] = widget
    return {widget.__name__: wrapper_class(widget) for widget in WIDGETS}
