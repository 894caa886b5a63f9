"""Stand-ins for Slicer's selectors of MRML nodes, working on the real scene of slicer-core."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import Any

import shiboken6
import slicer
import vtk
from PySide6.QtCore import Property, Qt, Signal
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QWidget

from .properties import of_part, parent_of, stored

_SCENE_EVENTS = (
    slicer.vtkMRMLScene.NodeAddedEvent,
    slicer.vtkMRMLScene.NodeRemovedEvent,
    slicer.vtkMRMLScene.EndImportEvent,
    slicer.vtkMRMLScene.EndCloseEvent,
    slicer.vtkMRMLScene.EndBatchProcessEvent,
)


_observed: set[tuple[Any, int]] = set()


def observe(subject: Any, events: Any, widget: QWidget, method: str) -> list[tuple[Any, int]]:
    """Call a method of a widget on events, as long as the widget lives."""
    weak = weakref.ref(widget)

    def called(_subject: Any, _event: str) -> None:
        alive = weak()
        if alive is not None and shiboken6.isValid(alive):
            getattr(alive, method)()

    made = [(subject, subject.AddObserver(event, called)) for event in events]
    _observed.update(made)
    return made


def stop_observing(made: Iterable[tuple[Any, int]] | None = None) -> None:
    """Take observers away, by default all: what goes must not call into Python any more."""
    for subject, tag in list(_observed if made is None else made):
        subject.RemoveObserver(tag)
        _observed.discard((subject, tag))


class WithScene:
    """``mrmlScene()``, ``setMRMLScene()`` and the signal between them."""

    _scene: Any = None

    def mrmlScene(self) -> Any:
        return self._scene

    def setMRMLScene(self, scene: Any) -> None:
        if scene is self._scene:
            return
        self._scene = scene
        self._on_scene()
        if hasattr(self, "mrmlSceneChanged"):
            self.mrmlSceneChanged.emit(scene)

    def _on_scene(self) -> None:
        """The scene is another one."""


class _NodeList(WithScene, QWidget):
    """A combo box that holds the scene's nodes of some types and follows the scene."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(parent_of(arguments))
        self._box = QComboBox(self)
        self._attributes: list[tuple[str, str, Any]] = []
        self._labels: dict[str, str] = {}
        self._observed: list[tuple[Any, int]] = []
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._box)

    def _on_scene(self) -> None:
        if self._scene is not None:
            observe(self._scene, _SCENE_EVENTS, self, "_update")
        self._update()

    def _listed(self) -> list[Any]:
        if self._scene is None:
            return []
        nodes = [self._scene.GetNthNode(n) for n in range(self._scene.GetNumberOfNodes())]
        return [node for node in nodes if self._takes(node)]

    def _takes(self, node: Any) -> bool:
        if node.GetHideFromEditors() and not self.showHidden:
            return False
        if any(node.IsA(kind) for kind in self.hideChildNodeTypes):
            return False
        exact = node.GetClassName() in self.nodeTypes
        if not exact and not (
            self.showChildNodeTypes and any(node.IsA(kind) for kind in self.nodeTypes)
        ):
            return False
        return all(
            node.GetAttribute(name) is not None
            and (value is None or node.GetAttribute(name) == str(value))
            for kind, name, value in self._attributes
            if node.IsA(kind)
        )

    def _observe_names(self) -> list[Any]:
        """Return the nodes that are listed, which are watched for other names from now on."""
        stop_observing(self._observed)
        listed, event = self._listed(), vtk.vtkCommand.ModifiedEvent
        self._observed = [
            made for node in listed for made in observe(node, [event], self, "_rename")
        ]
        return listed

    def addAttribute(self, kind: str, name: str, value: Any = None) -> None:
        self._attributes.append((kind, name, value))
        self._update()

    def removeAttribute(self, kind: str, name: str) -> None:
        self._attributes = [known for known in self._attributes if known[:2] != (kind, name)]
        self._update()

    def setNodeTypeLabel(self, label: str, kind: str) -> None:
        self._labels[kind] = label

    def nodeTypeLabel(self, kind: str) -> str:
        return self._labels.get(kind, kind.removeprefix("vtkMRML").removesuffix("Node"))

    def nodeCount(self) -> int:
        return len(self._listed())

    def nodeFromIndex(self, index: int) -> Any:
        return self._listed()[index]

    def _create(self, kind: str | None) -> Any:
        kind = kind or self.nodeTypes[0]
        name = self.baseName or self.nodeTypeLabel(kind)
        return self._scene.AddNewNodeByClass(kind, self._scene.GenerateUniqueName(name))

    nodeTypes = stored("QStringList", "nodeTypes", [], changed="_update")
    hideChildNodeTypes = stored("QStringList", "hideChildNodeTypes", [], changed="_update")
    showHidden = stored(bool, "showHidden", False, changed="_update")
    showChildNodeTypes = stored(bool, "showChildNodeTypes", True, changed="_update")
    baseName = stored(str, "baseName", "")
    addEnabled = stored(bool, "addEnabled", True)
    removeEnabled = stored(bool, "removeEnabled", True)
    editEnabled = stored(bool, "editEnabled", False)
    renameEnabled = stored(bool, "renameEnabled", False)
    selectNodeUponCreation = stored(bool, "selectNodeUponCreation", True)
    interactionNodeSingletonTag = stored(str, "interactionNodeSingletonTag", "")
    sizeAdjustPolicy = of_part(int, "_box", "sizeAdjustPolicy", "setSizeAdjustPolicy")


class qMRMLNodeComboBox(_NodeList):
    currentNodeChanged = Signal((object,), (bool,))
    currentNodeIDChanged = Signal(str)
    currentNodeRenamed = Signal(str)
    nodeAboutToBeRemoved = Signal(object)
    nodeActivated = Signal(object)
    nodeAdded = Signal(object)
    nodeAddedByUser = Signal(object)

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._current: Any = None
        self._shown: list[Any] = []
        self._box.currentIndexChanged.connect(self._on_index)
        self._box.activated.connect(lambda _: self.nodeActivated.emit(self._current))

    noneEnabled = stored(bool, "noneEnabled", False, changed="_update")
    noneDisplay = stored(str, "noneDisplay", "None", changed="_update")

    def _update(self) -> None:
        if self._scene is not None and self._scene.IsBatchProcessing():
            return
        before = self._shown
        listed = self._shown = self._observe_names()
        self._box.blockSignals(True)
        self._box.clear()
        if self.noneEnabled:
            self._box.addItem(self.noneDisplay, "")
        for node in listed:
            self._box.addItem(node.GetName(), node.GetID())
        kept = self._current if any(node is self._current for node in listed) else None
        if kept is None and self._current is not None and not self._scene.IsClosing() and listed:
            # As seen in Slicer: a combo box whose row goes moves on to the next one.
            row = next(n for n, node in enumerate(before) if node is self._current)
            kept = listed[min(row, len(listed) - 1)]
        if kept is None and not self.noneEnabled and listed:
            kept = listed[0]
        self._box.setCurrentIndex(self._box.findData(kept.GetID() if kept is not None else ""))
        self._box.blockSignals(False)
        self._select(kept)

    def _rename(self) -> None:
        for index in range(self._box.count()):
            node = self._scene.GetNodeByID(self._box.itemData(index) or "")
            if node is not None and node.GetName() != self._box.itemText(index):
                self._box.setItemText(index, node.GetName())
                if node is self._current:
                    self.currentNodeRenamed.emit(node.GetName())

    def _on_index(self, index: int) -> None:
        identifier = self._box.itemData(index) if index >= 0 else ""
        self._select(self._scene.GetNodeByID(identifier) if identifier else None)

    def _select(self, node: Any) -> None:
        if node is self._current:
            return
        self._current = node
        self.currentNodeChanged[object].emit(node)
        self.currentNodeChanged[bool].emit(node is not None)
        self.currentNodeIDChanged.emit(node.GetID() if node is not None else "")

    def currentNode(self) -> Any:
        return self._current

    def currentNodeId(self) -> str:
        return self._current.GetID() if self._current is not None else ""

    def setCurrentNode(self, node: Any) -> None:
        self.setCurrentNodeID(node.GetID() if hasattr(node, "GetID") else node)

    def setCurrentNodeID(self, identifier: str | None) -> None:
        self._box.setCurrentIndex(self._box.findData(identifier or ""))

    def setCurrentNodeIndex(self, index: int) -> None:
        self._box.setCurrentIndex(index + int(self.noneEnabled))

    currentNodeID = Property(
        str, lambda self: self.currentNodeId(), lambda self, value: self.setCurrentNodeID(value)
    )

    def addNode(self, kind: str | None = None) -> Any:
        """What the entry "Create new ..." does."""
        node = self._create(kind)
        if self.selectNodeUponCreation:
            self.setCurrentNode(node)
        self.nodeAddedByUser.emit(node)
        return node

    def removeCurrentNode(self) -> None:
        """What the entry "Delete current ..." does."""
        if self._current is not None:
            self.nodeAboutToBeRemoved.emit(self._current)
            self._scene.RemoveNode(self._current)


class qMRMLCheckableNodeComboBox(_NodeList):
    checkedNodesChanged = Signal()
    nodeAdded = Signal(object)

    noneEnabled = stored(bool, "noneEnabled", False)

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._checked: set[str] = set()
        self._box.model().itemChanged.connect(self._on_item)

    def _update(self) -> None:
        if self._scene is not None and self._scene.IsBatchProcessing():
            return
        listed = self._observe_names()
        before = set(self._checked)
        self._box.model().blockSignals(True)
        self._box.clear()
        for index, node in enumerate(listed):
            self._box.addItem(node.GetName(), node.GetID())
            item = self._box.model().item(index)
            item.setFlags(Qt.ItemIsUserCheckable | Qt.ItemIsEnabled)
            item.setData(_state(node.GetID() in before), Qt.CheckStateRole)
        self._box.model().blockSignals(False)
        self._checked &= {node.GetID() for node in listed}
        if self._checked != before:
            self.checkedNodesChanged.emit()

    def _rename(self) -> None:
        for index, node in enumerate(self._listed()):
            if index < self._box.count() and node.GetName() != self._box.itemText(index):
                self._box.setItemText(index, node.GetName())

    def _on_item(self, item: Any) -> None:
        identifier = item.data(Qt.UserRole)
        checked = item.checkState() == Qt.Checked
        if (identifier in self._checked) != checked:
            self._checked ^= {identifier}
            self.checkedNodesChanged.emit()

    def checkedNodes(self) -> list[Any]:
        return [node for node in self._listed() if node.GetID() in self._checked]

    def uncheckedNodes(self) -> list[Any]:
        return [node for node in self._listed() if node.GetID() not in self._checked]

    def checkState(self, node: Any) -> Any:
        return _state(node.GetID() in self._checked)

    def setCheckState(self, node: Any, state: Any) -> None:
        for index in range(self._box.count()):
            if self._box.itemData(index) == node.GetID():
                self._box.model().item(index).setCheckState(Qt.CheckState(state))

    def allChecked(self) -> bool:
        return not self.uncheckedNodes()

    def noneChecked(self) -> bool:
        return not self.checkedNodes()


def _state(checked: bool) -> Any:
    return Qt.Checked if checked else Qt.Unchecked
