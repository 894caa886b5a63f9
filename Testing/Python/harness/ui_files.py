"""Loads .ui files: QUiLoader with stand-ins for the widgets of ctk and Slicer."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from typing import Any

from PySide6 import QtCore
from PySide6.QtUiTools import QUiLoader

from .qt_stand_in import Wrapper, wrap

custom_widgets: dict[str, type] = {}
"""Stand-ins for the widgets of ctk and Slicer, by class name."""


class Loader(QUiLoader):
    """Makes stand-ins and the connections between them, which Qt's own loader cannot."""

    def createWidget(self, class_name: str, parent: Any = None, name: str = "") -> Any:
        if class_name in custom_widgets:
            widget = custom_widgets[class_name](parent)
            widget.setObjectName(name)
            return widget
        return super().createWidget(class_name, parent, name)

    def load(self, file: Any, parent: Any = None) -> Any:
        tree = ElementTree.fromstring(bytes(file.readAll().data()))
        known = {*custom_widgets, *self.availableWidgets(), "Line"}
        unknown = {widget.get("class") for widget in tree.iter("widget")} - known
        if unknown:
            raise ValueError(f"the test harness has no stand-in for {', '.join(unknown)}")
        for element in tree.iter("property"):
            _flags_to_number(element)
        connections = _taken_out(tree)
        buffer = QtCore.QBuffer()
        buffer.setData(ElementTree.tostring(tree))
        buffer.open(QtCore.QIODevice.ReadOnly)
        widget = super().load(buffer, parent)
        for sender, signal, receiver, slot in connections:
            _find(widget, sender).connect(signal, _find(widget, receiver), slot)
        return widget


def _flags_to_number(element: ElementTree.Element) -> None:
    """Flags of a stand-in, such as ctkPathLineEdit::Dirs, which Qt cannot know, as a number."""
    found = element.find("set")
    names = (
        [name.strip().split("::") for name in found.text.split("|")] if found is not None else []
    )
    if not names or names[0][0] not in custom_widgets:
        return
    number = sum(getattr(custom_widgets[owner], name) for owner, name in names)
    found.tag, found.text = "number", str(number)


def _taken_out(tree: ElementTree.Element) -> list[tuple[str, ...]]:
    """Take the connections that carry MRML nodes and scenes out, and return them."""
    taken = []
    for connections in tree.iter("connections"):
        for connection in list(connections):
            ends = [connection.findtext(end) for end in ("sender", "signal", "receiver", "slot")]
            if "vtk" in ends[1]:
                connections.remove(connection)
                taken.append(tuple(ends))
    return taken


def _find(root: Any, name: str) -> Wrapper:
    found = root if root.objectName() == name else root.findChild(QtCore.QObject, name)
    assert found is not None, f"the .ui file connects {name}, which it does not have"
    return wrap(found)
