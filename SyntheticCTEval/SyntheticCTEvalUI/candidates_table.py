"""The table of candidates: name, volume and dose, a row each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _
from SyntheticCTEvalMRML.guess import candidate_name
from SyntheticCTEvalMRML.parameters import candidates_of
from SyntheticCTUI.narrow import narrow

NAME, VOLUME, DOSE = range(3)
ROW_HEIGHT = 30  # a selector of nodes is higher than a row usually is


class CandidatesTable:
    """Shows the candidates of the parameter node and writes changes into it.

    Args:
        table: QTableWidget with three columns.
        parameters: returns the panel's parameter node, None where it has none at the moment.
    """

    def __init__(self, table: Any, parameters: Callable[[], Any]) -> None:
        self._table, self._parameters = table, parameters
        self._updating = False
        self._shown: list[tuple[str, Any, Any]] = []
        table.setHorizontalHeaderLabels([_("Name"), _("Volume (HU)"), _("Dose")])
        header = table.horizontalHeader()
        for column in (NAME, VOLUME, DOSE):
            header.setSectionResizeMode(column, qt.QHeaderView.Stretch)
        table.verticalHeader().hide()
        table.verticalHeader().setDefaultSectionSize(ROW_HEIGHT)
        table.setWordWrap(False)
        table.setMinimumHeight(4 * ROW_HEIGHT)
        table.connect("cellChanged(int,int)", self._onCell)

    def update(self, withDoses: bool) -> None:
        """Show what the parameter node says."""
        parameters = self._parameters()
        if parameters is None or self._updating:
            return
        self._table.setColumnHidden(DOSE, not withDoses)
        rows = candidates_of(parameters)
        if not self._same(rows):
            self._updating = True
            try:
                self._fill(rows)
            finally:
                self._updating = False
            self._shown = rows

    def add(self) -> None:
        """Add an empty row."""
        self._write([*self._rows(), ("", None, None)])

    def remove(self) -> None:
        """Remove the selected row, or the last one."""
        rows = self._rows()
        if rows:
            current = self._table.currentRow()
            del rows[current if 0 <= current < len(rows) else -1]
            self._write(rows)

    def forget(self, node: Any) -> None:
        """Empty the cells that hold a node which is about to be removed."""
        rows = self._rows() if self._ready() else []
        kept = [(name, *(None if one is node else one for one in pair)) for name, *pair in rows]
        if any(node in row[VOLUME:] for row in rows):
            self._write(kept)

    def clear(self) -> None:
        """Take all rows away, but not from the settings: selectors of a scene that is being read
        tell of nodes that are gone later than the settings come."""
        self._updating = True
        self._table.setRowCount(0)
        self._shown = []
        self._updating = False

    def selector(self, row: int, column: int) -> Any:
        """Return the node selector in a cell."""
        return self._table.cellWidget(row, column)

    def _rows(self) -> list[tuple[str, Any, Any]]:
        return candidates_of(self._parameters())

    def _same(self, rows: list[tuple[str, Any, Any]]) -> bool:
        return len(rows) == len(self._shown) and all(
            one[NAME] == other[NAME] and one[VOLUME] is other[VOLUME] and one[DOSE] is other[DOSE]
            for one, other in zip(rows, self._shown, strict=True)
        )

    def _fill(self, rows: list[tuple[str, Any, Any]]) -> None:
        if self._table.rowCount != len(rows):
            self._table.setRowCount(len(rows))
        for row, (name, volume, dose) in enumerate(rows):
            item = self._table.item(row, NAME)
            if item is None:
                self._table.setItem(row, NAME, qt.QTableWidgetItem(name))
            elif item.text() != name:
                item.setText(name)
            for column, node in ((VOLUME, volume), (DOSE, dose)):
                selector = self._table.cellWidget(row, column) or self._newSelector(row, column)
                selector.setCurrentNode(node)

    def _newSelector(self, row: int, column: int) -> Any:
        selector = slicer.qMRMLNodeComboBox()
        selector.nodeTypes = ["vtkMRMLScalarVolumeNode"]
        selector.showChildNodeTypes = False
        selector.noneEnabled = True
        selector.addEnabled = False
        selector.removeEnabled = False
        selector.toolTip = (
            _("CT-like volume in HU that is held against the true CT")
            if column == VOLUME
            else _("Dose on this candidate: an RTDOSE loaded by SlicerRT, or any volume of dose")
        )
        narrow(selector, 0)  # a wider one would hang over the next cell
        selector.setMRMLScene(slicer.mrmlScene)
        self._table.setCellWidget(row, column, selector)
        # Rows keep their place: only the last one is ever taken from the widget.
        selector.connect(
            "currentNodeChanged(vtkMRMLNode*)", lambda node: self._onNode(row, column, node)
        )
        return selector

    def _onNode(self, row: int, column: int, node: Any) -> None:
        rows = self._rows() if self._ready() else []
        if row >= len(rows) or rows[row][column] is node:
            return
        name, volume, dose = rows[row]
        if column == VOLUME:
            if name in ("", candidate_name(volume)):
                name = self._unused(candidate_name(node), rows[:row] + rows[row + 1 :])
            rows[row] = (name, node, dose)
        else:
            rows[row] = (name, volume, node)
        self._write(rows)

    def _onCell(self, row: int, column: int) -> None:
        rows = self._rows() if self._ready() else []
        if column == NAME and row < len(rows):
            name = self._table.item(row, NAME).text().strip()
            if name != rows[row][NAME]:
                rows[row] = (name, *rows[row][VOLUME:])
                self._write(rows)

    def _ready(self) -> bool:
        # While the scene is closed, selectors lose their nodes one by one.
        closing = slicer.mrmlScene.IsClosing() or slicer.mrmlScene.IsImporting()
        return not self._updating and not closing and self._parameters() is not None

    def _write(self, rows: list[tuple[str, Any, Any]]) -> None:
        parameters = self._parameters()
        with slicer.util.NodeModify(parameters):
            parameters.candidateNames = [row[NAME] for row in rows]
            parameters.candidateVolumes = [row[VOLUME] for row in rows]
            parameters.candidateDoses = [row[DOSE] for row in rows]

    @staticmethod
    def _unused(name: str, rows: list[tuple[str, Any, Any]]) -> str:
        taken, unique, number = {row[NAME] for row in rows}, name, 2
        while name and unique in taken:
            unique, number = f"{name} {number}", number + 1
        return unique
