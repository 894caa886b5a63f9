"""Chooser of a model with its card: what it was trained for, and whether it fits the MR."""

from __future__ import annotations

import html
from collections.abc import Callable
from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.bundle.folder import CARD, DEMO
from SyntheticCTMRML.models import model_card, model_fit

RECENT = "SyntheticCT/RecentModels"
MOST_RECENT = 8
_GOOD, _BAD = "#2e7d32", "#c62828"
_SPAN = "<span"


class ModelChooser:
    """A combo box of models (demo, recent ones), a button for a folder, and the card below.

    Attributes:
        widget: to be put into the layout of a panel.
        changed: called with the model when the user has chosen another one.
    """

    def __init__(self) -> None:
        self.changed: Callable[[str], None] = lambda model: None
        self._model, self._shown = "", None
        self._build()

    def setModel(self, model: str) -> None:
        """Choose a model (a folder, or "demo") without telling :attr:`changed`."""
        if model != self._model:
            self._model = model
            if (Path(model) / CARD).is_file():
                self._remember(model)
            self._fill()

    def showCard(self, mrNode: Any) -> None:
        """Show the card of the chosen model and whether ``mrNode`` (or None) fits it."""
        data = mrNode.GetImageData() if mrNode is not None else None
        state = (self._model, mrNode, data and data.GetMTime(), self._stamp())
        if state == self._shown:
            return
        self._shown = state
        try:
            card = model_card(self._model)
        except SyntheticCTError as error:
            self._write({"Domain": _colored(str(error), _BAD)})
            return
        record = card.record
        patients = _("{count} patients").format(count=record.get("patients_training", "?"))
        if record.get("patients_validation"):
            patients += _(", {count} for validation").format(count=record["patients_validation"])
        self._write(
            {
                "Domain": card.domain.text,
                "Data": self._training(patients, record),
                "Date": str(record.get("finished", "?"))[:10],
                "Hash": card.sha256[:12],
                "Fit": self._fit(mrNode, card) if data is not None else _("No MR is chosen yet."),
            }
        )
        self._values["Hash"].toolTip = card.sha256

    def _training(self, patients: str, record: dict[str, Any]) -> str:
        """What the model was trained on, and in short what its training warned of."""
        text = _("{patients}, {epochs} epochs").format(
            patients=patients, epochs=len(record.get("history", []))
        )
        warnings = record.get("warnings", [])
        self._values["Data"].toolTip = "\n".join(warnings) or self._tips["Data"]
        short = [f"{warning.split(': ')[0]}." for warning in warnings]
        return "<br/>".join(_colored(line, _BAD) for line in [text, *short]) if short else text

    def _fit(self, mrNode: Any, card: Any) -> str:
        """What is wrong, in short; the whole sentences, what follows from it, in the tooltip."""
        reasons = model_fit(mrNode, card)
        self._values["Fit"].toolTip = "\n".join(reasons) or self._tips["Fit"]
        if not reasons:
            return _colored(_("Fits the training scans."), _GOOD)
        return "<br/>".join(_colored(f"{reason.split(': ')[0]}.", _BAD) for reason in reasons)

    def _write(self, texts: dict[str, str]) -> None:
        for name, label in self._values.items():
            text = texts.get(name, "")
            label.setTextFormat(qt.Qt.RichText if text.startswith(_SPAN) else qt.Qt.PlainText)
            label.text = text
            label.visible = self._names[name].visible = name in texts

    def _stamp(self) -> float:
        """Changes where the card on the disk has changed or is gone."""
        path = Path(self._model) / CARD
        try:
            return 0.0 if self._model == DEMO else path.stat().st_mtime
        except OSError:
            return -1.0

    def _build(self) -> None:
        self.widget = qt.QWidget()
        form = qt.QFormLayout(self.widget)
        form.setContentsMargins(0, 0, 0, 0)
        row = qt.QHBoxLayout()
        self.comboBox = qt.QComboBox()
        self.comboBox.objectName = "modelComboBox"
        self.comboBox.toolTip = _("The demo model, or one that was trained here and used before")
        self.comboBox.accessibleName = _("Model")
        self.comboBox.setSizePolicy(qt.QSizePolicy.Ignored, qt.QSizePolicy.Fixed)
        self.folderButton = qt.QPushButton(_("Folder..."))
        self.folderButton.objectName = "modelFolderButton"
        self.folderButton.toolTip = _("Choose the folder of a model, as a training writes it")
        row.addWidget(self.comboBox, 1)
        row.addWidget(self.folderButton)
        form.addRow(_("Model:"), row)
        titles = {
            "Domain": (_("Trained for:"), _("What the model was trained for")),
            "Data": (_("Training data:"), _("Patients and passes over all their slices")),
            "Date": (_("Finished:"), _("Day on which the training ended")),
            "Hash": (_("SHA-256:"), _("Identifies the model; the whole hash is in the tooltip")),
            "Fit": (
                _("This MR:"),
                _("Whether intensities and field of view of the MR are as in training"),
            ),
        }
        self._names: dict[str, Any] = {}
        self._values: dict[str, Any] = {}
        self._tips = {name: tip for name, (_title, tip) in titles.items()}
        for name, (title, tip) in titles.items():
            self._names[name], self._values[name] = qt.QLabel(title), qt.QLabel()
            self._values[name].objectName = f"model{name}Label"
            self._values[name].wordWrap = True
            self._values[name].toolTip = tip
            self._values[name].setTextInteractionFlags(qt.Qt.TextSelectableByMouse)
            form.addRow(self._names[name], self._values[name])
        self.comboBox.connect("activated(int)", self._onActivated)
        self.folderButton.connect("clicked()", self._onFolder)

    def _fill(self) -> None:
        self.comboBox.clear()
        for model in self._listed():
            text = _("Demo model (digital phantom)") if model == DEMO else _short(model)
            self.comboBox.addItem(text, model)
        self.comboBox.currentIndex = self._listed().index(self._model)

    def _listed(self) -> list[str]:
        return list(dict.fromkeys([DEMO, *_recent(), *filter(None, [self._model])]))

    def _remember(self, model: str) -> None:
        known = [model, *(other for other in _recent() if other != model)]
        qt.QSettings().setValue(RECENT, known[:MOST_RECENT])

    def _choose(self, model: str) -> None:
        self.setModel(model)
        self.changed(model)

    def _onActivated(self, index: int) -> None:
        self._choose(self.comboBox.itemData(index))

    def _onFolder(self) -> None:
        start = "" if self._model == DEMO else str(Path(self._model).parent)
        folder = qt.QFileDialog.getExistingDirectory(
            slicer.util.mainWindow(), _("Folder of the model"), start
        )
        if folder:
            self._choose(str(folder))


def _recent() -> list[str]:
    value = qt.QSettings().value(RECENT)
    if not value:
        return []
    return [value] if isinstance(value, str) else [str(one) for one in value]


def _short(model: str) -> str:
    path = Path(model)
    return f"{path.name} ({path.parent})"


def _colored(text: str, color: str) -> str:
    mark = "&#10003;" if color == _GOOD else "&#9888;"  # not everybody sees red and green
    return f'{_SPAN} style="color: {color}">{mark} {html.escape(text)}</span>'
