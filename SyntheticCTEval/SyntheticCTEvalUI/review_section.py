"""The part of the panel that shows results: tables, charts, overlays, hot spots, layouts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _
from SyntheticCTEvalMRML.parameters import Chart, OverlayKind, alive
from SyntheticCTUI.buttons import allow
from SyntheticCTUI.narrow import narrow_label

NEXT_KEY, PREVIOUS_KEY, OVERLAY_KEY = "Alt+N", "Alt+P", "Alt+O"
MOST_ROWS, MOST_PIXELS = 16, 420
"""Of a table that are seen at once."""
FIGURE_PIXELS = 90
"""Width of a candidate's column at first: long names leave room for what is measured."""

_TABLES = {
    "metricsTableView": "metrics",
    "doseVolumeTableView": "dose_volume",
    "hotSpotsTableView": "hot_spots",
    "definitionsTableView": "definitions",
}


class ReviewSection:
    """Results and review of the evaluation that is chosen.

    Attributes:
        quiet: the views are left as they are: they show another module's things.

    Args:
        ui: the panel's widgets by name.
        logic: SyntheticCTEvalLogic.
        parameters: returns the panel's parameter node, None where it has none at the moment.
    """

    def __init__(self, ui: Any, logic: Any, parameters: Callable[[], Any]) -> None:
        self._ui, self._logic, self._parameters = ui, logic, parameters
        self._noEvaluation = _("There is no evaluation in the scene")
        self._noSpot, self._firstSpot = _("There is no hot spot"), _("This is the first one")
        self._overlay: tuple | None = None
        self._chart: tuple | None = None
        self._listed: dict[str, list[str]] = {}
        self._shortcuts: list[Any] = []
        self.quiet = False
        self._opacity = 0.5  # to fade in again
        narrow_label(ui.summaryLabel)
        for view in _TABLES:
            rows = getattr(ui, view).verticalHeader()
            rows.hide()
            rows.setSectionResizeMode(qt.QHeaderView.ResizeToContents)  # also in a wider panel
        ui.removeEvaluationButton.connect("clicked()", self._onRemove)
        for button, key in (
            (ui.nextSpotButton, NEXT_KEY),
            (ui.previousSpotButton, PREVIOUS_KEY),
            (ui.overlayComboBox, OVERLAY_KEY),
        ):
            tip = (
                _("{tip}; key: {key}")
                if button is not ui.overlayComboBox
                else _("{tip}; key to fade it in and out: {key}")
            )
            button.toolTip = tip.format(tip=button.toolTip, key=key)
        ui.candidateComboBox.connect("activated(int)", self._onCandidate)
        ui.structureComboBox.connect("activated(int)", self._onStructure)
        ui.nextSpotButton.connect("clicked()", self._onNextSpot)
        ui.previousSpotButton.connect("clicked()", self._onPreviousSpot)
        ui.chartLayoutButton.connect("clicked()", self._onChartLayout)
        ui.tableLayoutButton.connect("clicked()", self._onTableLayout)
        ui.sideBySideButton.connect("clicked()", self._onSideBySide)

    def update(self) -> None:
        """Show what the parameter node says, and change the views where it has changed."""
        parameters, ui = self._parameters(), self._ui
        node = alive(parameters.evaluation)
        nodes = self._logic.evaluationNodes(node)
        names = nodes.names if nodes is not None else []
        if names and parameters.candidateShown not in names:
            parameters.candidateShown = names[0]
        ui.summaryLabel.text = self._logic.summary(node)
        ui.summaryLabel.visible = nodes is not None
        for view, table in _TABLES.items():
            self._showTable(getattr(ui, view), getattr(nodes, table, None))
        self._list(ui.candidateComboBox, names, parameters.candidateShown)
        structures = self._logic.structureNames(node)
        self._list(
            ui.structureComboBox, [_("All structures"), *structures], parameters.structureShown
        )
        ui.reviewCollapsibleButton.enabled = nodes is not None
        for button in (
            ui.chartLayoutButton,
            ui.tableLayoutButton,
            ui.sideBySideButton,
            ui.removeEvaluationButton,
        ):
            allow(button, nodes is not None, self._noEvaluation)
        ui.chartComboBox.enabled = nodes is not None
        ui.structureComboBox.enabled = bool(structures) and parameters.chart is Chart.DVH
        gamma = parameters.overlay is OverlayKind.GAMMA
        ui.gammaViewComboBox.enabled = ui.thresholdSlider.enabled = gamma
        ui.thresholdSlider.maximum = max(parameters.cap, parameters.threshold)
        self._updateSpots(nodes)
        self._apply(node)

    def showNew(self, node: Any, arrange: bool = True) -> None:
        """Show an evaluation that has just been made, and open the sections for it.

        :param arrange: also change the layout of the views.
        """
        parameters = self._parameters()
        nodes = self._logic.evaluationNodes(node)
        if nodes is None:
            return
        parameters.evaluation = node
        parameters.candidateShown = nodes.names[0]
        parameters.overlay = OverlayKind.GAMMA if nodes.gammas else OverlayKind.DIFFERENCE
        parameters.chart = Chart.GAMMA
        parameters.structureShown = ""
        parameters.spot = 0
        self._overlay = self._chart = None
        self.open()
        self._ui.exportCollapsibleButton.collapsed = False
        if arrange:
            self._logic.showLayout(node, "chart" if nodes.gammas else "table")
        self.update()

    def open(self) -> None:
        """Open the sections that show an evaluation."""
        self._ui.resultsCollapsibleButton.collapsed = False
        self._ui.reviewCollapsibleButton.collapsed = False

    def useKeys(self, use: bool) -> None:
        """Have keys go from hot spot to hot spot and fade the overlay, while the panel is shown."""
        for shortcut in self._shortcuts:
            shortcut.setParent(None)
            shortcut.deleteLater()
        self._shortcuts = []
        window = slicer.util.mainWindow()
        if not use or window is None:
            return
        for key, function in (
            (NEXT_KEY, self._onNextSpot),
            (PREVIOUS_KEY, self._onPreviousSpot),
            (OVERLAY_KEY, self._onFade),
        ):
            shortcut = qt.QShortcut(window)
            shortcut.setKey(qt.QKeySequence(key))
            shortcut.connect("activated()", function)
            self._shortcuts.append(shortcut)

    def forget(self) -> None:
        """Take the views as they are, as after a scene has been loaded."""
        self._overlay, self._chart = self._overlayAsked(), self._chartAsked()

    def _apply(self, node: Any) -> None:
        overlay, chart = self._overlayAsked(), self._chartAsked()
        if self.quiet:
            node = None
        if node is not None and overlay != self._overlay:
            self._logic.showOverlay(node, *overlay[1:])
        if node is not None and chart != self._chart:
            self._logic.showChart(node, *chart[1:])
        self._overlay, self._chart = overlay, chart

    def _overlayAsked(self) -> tuple:
        parameters = self._parameters()
        node = alive(parameters.evaluation)
        return (
            node.GetID() if node is not None else "",
            parameters.candidateShown,
            parameters.overlay.value,
            parameters.gammaView.value,
            parameters.opacity,
            parameters.threshold,
        )

    def _chartAsked(self) -> tuple:
        parameters = self._parameters()
        node = alive(parameters.evaluation)
        identifier = node.GetID() if node is not None else ""
        return (identifier, parameters.chart.value, parameters.structureShown)

    def _showTable(self, view: Any, node: Any) -> None:
        if view.mrmlTableNode() is not node:
            view.setMRMLTableNode(node)
            self._showColumns(view)
            view.resizeRowsToContents()
            rows = node.GetTable().GetNumberOfRows() if node is not None else 0
            height = view.horizontalHeader().height + sum(
                view.rowHeight(row) for row in range(min(rows, MOST_ROWS))
            )
            view.setMinimumHeight(min(max(height + 4, 180), MOST_PIXELS))

    def _showColumns(self, view: Any) -> None:
        """Show the figures of every candidate, with what is measured in the room that is left."""
        header = view.horizontalHeader()
        figures = view is self._ui.metricsTableView
        header.setStretchLastSection(not figures)
        view.resizeColumnsToContents()
        count = view.model().columnCount()
        if figures and count:
            for column in range(1, count):
                view.setColumnWidth(column, min(view.columnWidth(column), FIGURE_PIXELS))
            header.setSectionResizeMode(0, qt.QHeaderView.Stretch)
            header.setTextElideMode(qt.Qt.ElideRight)

    def _list(self, box: Any, names: list[str], chosen: str) -> None:
        if self._listed.get(box.objectName) != names:
            self._listed[box.objectName] = names
            box.clear()
            box.addItems(names)
        box.currentIndex = names.index(chosen) if chosen in names else (0 if names else -1)

    def _updateSpots(self, nodes: Any) -> None:
        parameters, ui = self._parameters(), self._ui
        spots = nodes.spots_of(parameters.candidateShown) if nodes is not None else []
        rank = min(parameters.spot, len(spots))
        allow(ui.nextSpotButton, bool(spots), self._noSpot)
        reason = self._firstSpot if spots else self._noSpot
        allow(ui.previousSpotButton, bool(spots) and rank != 1, reason)
        if nodes is None:
            ui.spotLabel.text = _("There is no evaluation in the scene.")
        elif parameters.candidateShown not in nodes.gammas:
            ui.spotLabel.text = _("Without dose there is no gamma.")
        elif not spots:
            ui.spotLabel.text = _("Gamma is at most 1 everywhere.")
        elif rank:
            spot = spots[rank - 1]
            ui.spotLabel.text = _(
                "Spot {rank} of {count}: gamma up to {maximum:.2f}, {volume:.2f} cm³"
            ).format(rank=rank, count=len(spots), maximum=spot.maximum, volume=spot.volume_cm3)
        elif len(spots) == 1:
            ui.spotLabel.text = _("1 hot spot")
        else:
            ui.spotLabel.text = _("{count} hot spots").format(count=len(spots))

    def _goTo(self, step: int) -> None:
        parameters = self._parameters()
        if parameters is None:
            return
        node = alive(parameters.evaluation)
        count = len(self._logic.hotSpots(node, parameters.candidateShown))
        if count:
            rank = (parameters.spot + step - 1) % count + 1
            self._logic.showHotSpot(node, parameters.candidateShown, rank)
            parameters.spot = rank

    def _onFade(self) -> None:
        """Fade the overlay out, or in again."""
        parameters = self._parameters()
        if parameters is not None:
            if parameters.opacity:
                self._opacity = parameters.opacity
            parameters.opacity = 0.0 if parameters.opacity else self._opacity

    def _onRemove(self) -> None:
        node = alive(self._parameters().evaluation)
        if node is not None and slicer.util.confirmOkCancelDisplay(
            _("Remove this evaluation with its maps, tables, charts and report?")
        ):
            self._logic.removeEvaluation(node)
            if alive(self._parameters().evaluation) is None:
                self._parameters().evaluation = next(iter(self._logic.evaluations()), None)

    def _onNextSpot(self) -> None:
        self._goTo(1)

    def _onPreviousSpot(self) -> None:
        # Before the first click there is none: back means the last one.
        parameters = self._parameters()
        self._goTo(-1 if parameters is not None and parameters.spot else 0)

    def _onCandidate(self, index: int) -> None:
        parameters = self._parameters()
        nodes = self._logic.evaluationNodes(alive(parameters.evaluation))
        if nodes is not None and 0 <= index < len(nodes.names):
            parameters.spot = 0
            parameters.candidateShown = nodes.names[index]

    def _onStructure(self, index: int) -> None:
        parameters = self._parameters()
        structures = self._logic.structureNames(alive(parameters.evaluation))
        parameters.structureShown = structures[index - 1] if index > 0 else ""

    def _onChartLayout(self) -> None:
        self._showLayout("chart")

    def _onTableLayout(self) -> None:
        self._showLayout("table")

    def _onSideBySide(self) -> None:
        self._showLayout("side by side")

    def _showLayout(self, layout: str) -> None:
        node = alive(self._parameters().evaluation)
        if node is not None:
            self._logic.showLayout(node, layout)
            # New views show the overlay and the chart, too.
            self._overlay = self._chart = None
            self.update()
