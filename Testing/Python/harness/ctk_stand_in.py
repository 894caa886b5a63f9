"""Slicer's ``ctk`` module: stand-ins for the widgets that panels use, on PySide6.

Each has properties and signals of the real widget, no others; what is only looks is kept and
does nothing. A widget that has no stand-in yet is an AttributeError that says so.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from PySide6.QtCore import Property, QDir, QEvent, QPoint, QRect, Qt, Signal
from PySide6.QtGui import QPainter, QPolygon
from PySide6.QtWidgets import (
    QAbstractButton,
    QCheckBox,
    QComboBox,
    QFrame,
    QGroupBox,
    QHBoxLayout,
    QMessageBox,
    QPushButton,
    QTextBrowser,
    QToolButton,
    QWidget,
)

from .api import module_names
from .ctk_numbers import ctkDoubleSpinBox, ctkRangeWidget, ctkSliderWidget
from .dialogs import DIALOGS
from .dicom_database import ctkDICOMIndexer
from .properties import parent_of, stored
from .qt_stand_in import wrapper_class
from .ui_files import custom_widgets

HEADER = 24


class _Collapsing:
    """Hides the children while ``collapsed``, and then shows those that were shown before."""

    def _collapse(self, collapsed: bool) -> None:
        for child in self.findChildren(QWidget, options=Qt.FindDirectChildrenOnly):
            self._place(child, collapsed)
        self.setMaximumHeight(HEADER if collapsed else 16777215)
        self.updateGeometry()

    def _place(self, child: QWidget, collapsed: bool) -> None:
        hidden = child.testAttribute(Qt.WA_WState_ExplicitShowHide) and child.isHidden()
        if collapsed and not (hidden and child.property("_collapsed") is None):
            child.setProperty("_collapsed", True)
            child.hide()
        elif not collapsed and child.property("_collapsed"):
            child.setProperty("_collapsed", None)
            child.show()


class ctkCollapsibleButton(_Collapsing, QAbstractButton):
    contentsCollapsed = Signal(bool)

    def __init__(self, *arguments: Any) -> None:
        text = arguments[0] if arguments and isinstance(arguments[0], str) else ""
        super().__init__(parent_of(arguments))
        self.setText(text)
        self.setCheckable(True)
        self.setChecked(True)
        self.setContentsMargins(0, HEADER, 0, 0)
        self.setMinimumHeight(HEADER)
        self.toggled.connect(self._on_toggled)

    def _on_toggled(self, checked: bool) -> None:
        self._collapse(not checked)
        self.contentsCollapsed.emit(not checked)

    collapsed = Property(
        bool, lambda self: not self.isChecked(), lambda self, value: self.setChecked(not value)
    )
    flat = stored(bool, "flat", False)
    collapsedHeight = stored(int, "collapsedHeight", 10)
    contentsFrameShape = stored(int, "contentsFrameShape", 0)
    contentsFrameShadow = stored(int, "contentsFrameShadow", 0)
    contentsLineWidth = stored(int, "contentsLineWidth", 1)
    contentsMidLineWidth = stored(int, "contentsMidLineWidth", 0)

    def childEvent(self, event: Any) -> None:
        if event.type() == QEvent.ChildPolished and event.child().isWidgetType():
            self._place(event.child(), not self.isChecked())
        super().childEvent(event)

    def hitButton(self, position: Any) -> bool:
        return position.y() < HEADER

    def paintEvent(self, _event: Any) -> None:
        painter = QPainter(self)
        painter.fillRect(
            QRect(0, 0, self.width(), HEADER - 2), self.palette().button().color().darker(108)
        )
        painter.setBrush(self.palette().buttonText())
        if self.isChecked():
            painter.drawPolygon(QPolygon([QPoint(6, 8), QPoint(16, 8), QPoint(11, 14)]))
        else:
            painter.drawPolygon(QPolygon([QPoint(8, 6), QPoint(14, 11), QPoint(8, 16)]))
        painter.drawText(QRect(22, 0, self.width() - 22, HEADER - 2), Qt.AlignVCenter, self.text())

    def sizeHint(self) -> Any:
        return super().minimumSizeHint() if self.layout() is None else self.layout().sizeHint()


class ctkCollapsibleGroupBox(_Collapsing, QGroupBox):
    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.setCheckable(True)
        self.toggled.connect(lambda checked: self._collapse(not checked))

    collapsed = Property(
        bool, lambda self: not self.isChecked(), lambda self, value: self.setChecked(not value)
    )
    collapsedHeight = stored(int, "collapsedHeight", 14)


class ctkPathLineEdit(QWidget):
    currentPathChanged = Signal(str)
    validInputChanged = Signal(bool)

    Dirs, Files, Drives, NoSymLinks, AllEntries = 0x1, 0x2, 0x4, 0x8, 0x7
    Readable, Writable, Executable = 0x10, 0x20, 0x40
    NoDot, NoDotDot, NoDotAndDotDot = 0x2000, 0x4000, 0x6000

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._box = QComboBox(self)
        self._box.setEditable(True)
        self._browse = QToolButton(self)
        self._browse.setText("...")
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._box, 1)
        row.addWidget(self._browse)
        self._box.editTextChanged.connect(self.currentPathChanged)
        self._browse.clicked.connect(self.browse)

    currentPath = Property(
        str,
        lambda self: self._box.currentText(),
        lambda self, path: self._box.setEditText(path),
        notify=currentPathChanged,
    )
    filters = stored(int, "filters", AllEntries)
    nameFilters = stored("QStringList", "nameFilters", [])
    label = stored(str, "label", "")
    settingKey = stored(str, "settingKey", "")
    showHistoryButton = stored(bool, "showHistoryButton", True)
    minimumContentsLength = stored(int, "minimumContentsLength", 0)
    showBrowseButton = Property(
        bool,
        lambda self: not self._browse.isHidden(),
        lambda self, shown: self._browse.setVisible(shown),
    )

    def setCurrentPath(self, path: str) -> None:
        self._box.setEditText(path)

    def setCurrentDirectory(self, path: str) -> None:
        self._box.setEditText(path)

    def comboBox(self) -> QComboBox:
        return self._box

    def addCurrentPathToHistory(self) -> None:
        path = self.currentPath
        if path and self._box.findText(path) < 0:
            self._box.insertItem(0, path)
            self._box.setEditText(path)

    def retrieveHistory(self) -> None:
        """The history of stand-ins is not kept."""

    def browse(self) -> None:
        """Ask for the file or folder with the dialog that a test answers."""
        path = DIALOGS.path(self.label or "Select")
        if path:
            self._box.setEditText(QDir.fromNativeSeparators(path))


class ctkDirectoryButton(QPushButton):
    directoryChanged = Signal(str)
    directorySelected = Signal(str)

    def __init__(self, *arguments: Any) -> None:
        super().__init__(parent_of(arguments))
        self.clicked.connect(self.browse)

    directory = stored(str, "directory", "", changed="_emit")
    caption = stored(str, "caption", "")

    def _emit(self) -> None:
        self.setText(self.directory)
        self.directoryChanged.emit(self.directory)

    def browse(self) -> None:
        path = DIALOGS.path(self.caption or "Select folder")
        if path:
            self.directory = path
            self.directorySelected.emit(path)


class ctkCheckBox(QCheckBox):
    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)


class ctkComboBox(QComboBox):
    defaultText = stored(str, "defaultText", "")
    forceDefault = stored(bool, "forceDefault", False)


class ctkPushButton(QPushButton):
    buttonTextAlignment = stored(int, "buttonTextAlignment", 0)
    iconAlignment = stored(int, "iconAlignment", 0)
    elideMode = stored(int, "elideMode", 3)


class ctkMenuButton(ctkPushButton):
    pass


class ctkFittedTextBrowser(QTextBrowser):
    collapsed = stored(bool, "collapsed", True)

    def collapsibleText(self) -> str:
        return self.toHtml()

    def setCollapsibleText(self, text: str) -> None:
        self.setHtml(text)


class ctkExpandableWidget(QFrame):
    pass


class ctkMessageBox(QMessageBox):
    dontShowAgain = stored(bool, "dontShowAgain", False)
    dontShowAgainVisible = stored(bool, "dontShowAgainVisible", False)
    dontShowAgainSettingsKey = stored(str, "dontShowAgainSettingsKey", "")


WIDGETS = (
    ctkCheckBox,
    ctkCollapsibleButton,
    ctkCollapsibleGroupBox,
    ctkComboBox,
    ctkDirectoryButton,
    ctkDoubleSpinBox,
    ctkExpandableWidget,
    ctkFittedTextBrowser,
    ctkMenuButton,
    ctkMessageBox,
    ctkPathLineEdit,
    ctkPushButton,
    ctkRangeWidget,
    ctkSliderWidget,
)


def make_ctk() -> ModuleType:
    """Return a module that stands in for Slicer's ``ctk``."""
    module = ModuleType("ctk")
    for widget in WIDGETS:
        custom_widgets[widget.__name__] = widget
        setattr(module, widget.__name__, wrapper_class(widget))

    module.ctkDICOMIndexer = ctkDICOMIndexer

    def find(name: str) -> Any:
        if name.startswith("__") or name not in module_names("ctk"):
            raise AttributeError(f"Slicer's ctk has no {name}")
        raise AttributeError(f"the test harness has no stand-in for {name}")

    module.__getattr__ = find
    return module
