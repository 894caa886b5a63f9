"""Table of pairs of MR and CT in the scene, for training; kept in the parameter node."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _
from SyntheticCTMRML.pairs import Pair
from SyntheticCTMRML.roles import other_patients, role_fault

from .narrow import narrow

_COUNT = "TrainingPairs"
_HIDDEN = [
    "vtkMRMLLabelMapVolumeNode",
    "vtkMRMLVectorVolumeNode",
    "vtkMRMLDiffusionWeightedVolumeNode",
    "vtkMRMLDiffusionTensorVolumeNode",
]


class PairsTable:
    """Selectors of an MR and a CT, a button that adds them, and the table of what was added.

    Attributes:
        widget: to be put into the layout of a panel.
        changed: called when the pairs have changed.
    """

    def __init__(self) -> None:
        self.changed: Callable[[], None] = lambda: None
        self._node: Any = None
        self._build()

    def setParameterNode(self, node: Any) -> None:
        """Show and keep the pairs of a vtkMRMLScriptedModuleNode; None for no scene."""
        self._node = node
        self.update()

    def setMRMLScene(self, scene: Any) -> None:
        """Offer the volumes of a scene."""
        self.mrSelector.setMRMLScene(scene)
        self.ctSelector.setMRMLScene(scene)

    def pairs(self) -> list[Pair]:
        """Return the pairs whose volumes are both there."""
        return [pair for pair in self._stored() if pair.mr is not None and pair.ct is not None]

    def update(self) -> None:
        """Show the pairs that the parameter node holds."""
        pairs = self._stored()
        self.table.setRowCount(len(pairs))
        for row, pair in enumerate(pairs):
            texts = [
                pair.mr.GetName() if pair.mr is not None else _("(removed)"),
                pair.ct.GetName() if pair.ct is not None else _("(removed)"),
                _("yes") if pair.registered else _("no"),
                _("validation") if pair.validation else _("training"),
            ]
            for column, text in enumerate(texts):
                self.table.setItem(row, column, qt.QTableWidgetItem(text))

    def _stored(self) -> list[Pair]:
        if self._node is None:
            return []
        return [
            Pair(
                mr=self._node.GetNodeReference(f"TrainingMR{number}"),
                ct=self._node.GetNodeReference(f"TrainingCT{number}"),
                registered=self._node.GetParameter(f"TrainingRegistered{number}") == "yes",
                validation=self._node.GetParameter(f"TrainingUse{number}") == "validation",
            )
            for number in range(int(self._node.GetParameter(_COUNT) or 0))
        ]

    def _store(self, pairs: list[Pair]) -> None:
        before = int(self._node.GetParameter(_COUNT) or 0)
        modified = self._node.StartModify()
        for number in range(max(before, len(pairs))):
            pair = pairs[number] if number < len(pairs) else Pair(None, None)
            for role, node in (("MR", pair.mr), ("CT", pair.ct)):
                identifier = node.GetID() if node is not None else None
                self._node.SetNodeReferenceID(f"Training{role}{number}", identifier)
            use = "validation" if pair.validation else "train"
            self._node.SetParameter(f"TrainingUse{number}", use)
            self._node.SetParameter(
                f"TrainingRegistered{number}", "yes" if pair.registered else "no"
            )
        self._node.SetParameter(_COUNT, str(len(pairs)))
        self._node.EndModify(modified)
        self.update()
        self.changed()

    def _build(self) -> None:
        self.widget = qt.QWidget()
        column = qt.QVBoxLayout(self.widget)
        column.setContentsMargins(0, 0, 0, 0)
        row = qt.QHBoxLayout()
        self.mrSelector = _selector("pairMRSelector", _("MR of a patient"))
        self.ctSelector = _selector("pairCTSelector", _("CT of the same patient"))
        row.addWidget(self.mrSelector, 1)
        row.addWidget(self.ctSelector, 1)
        column.addLayout(row)

        row = qt.QHBoxLayout()
        self.registeredCheckBox = qt.QCheckBox(_("MR lies on the CT"))
        self.registeredCheckBox.objectName = "pairRegisteredCheckBox"
        self.registeredCheckBox.toolTip = _("The MR is registered onto the CT already")
        self.validationCheckBox = qt.QCheckBox(_("for validation"))
        self.validationCheckBox.objectName = "pairValidationCheckBox"
        self.validationCheckBox.toolTip = _("Held out, to tell how the model does on new patients")
        self.addButton = qt.QPushButton(_("Add pair"))
        self.addButton.objectName = "addPairButton"
        self.addButton.toolTip = _("Add the MR and the CT chosen above to the pairs")
        self.removeButton = qt.QPushButton(_("Remove"))
        self.removeButton.objectName = "removePairButton"
        self.removeButton.toolTip = _("Take the chosen row off the pairs; the volumes stay")
        for part in (self.registeredCheckBox, self.validationCheckBox):
            row.addWidget(part)
        row.addStretch(1)
        column.addLayout(row)

        row = qt.QHBoxLayout()
        row.addWidget(self.addButton)
        row.addWidget(self.removeButton)
        column.addLayout(row)

        self.table = qt.QTableWidget()
        self.table.objectName = "pairsTable"
        self.table.setColumnCount(4)
        self.table.setHorizontalHeaderLabels([_("MR"), _("CT"), _("On the CT"), _("For")])
        self.table.horizontalHeader().setSectionResizeMode(qt.QHeaderView.Stretch)
        self.table.setSelectionBehavior(qt.QAbstractItemView.SelectRows)
        self.table.setEditTriggers(qt.QAbstractItemView.NoEditTriggers)
        self.table.setFixedHeight(110)
        self.table.toolTip = _("Pairs of MR and CT that the model is trained on")
        self.table.accessibleName = _("Pairs of MR and CT")
        column.addWidget(self.table)
        self.addButton.connect("clicked()", self._onAdd)
        self.removeButton.connect("clicked()", self._onRemove)

    def _onAdd(self) -> None:
        mr, ct = self.mrSelector.currentNode(), self.ctSelector.currentNode()
        if self._node is None or mr is None or ct is None or mr is ct:
            slicer.util.errorDisplay(_("Choose an MR and a CT of one patient, then add them."))
            return
        fault = role_fault(mr, ct) or other_patients({"MR": mr, "CT": ct})
        if fault:
            slicer.util.errorDisplay(fault)
            return
        pair = Pair(mr, ct, self.registeredCheckBox.checked, self.validationCheckBox.checked)
        self._store([*self._stored(), pair])

    def _onRemove(self) -> None:
        row = self.table.currentRow()
        pairs = self._stored()
        if 0 <= row < len(pairs):
            self._store(pairs[:row] + pairs[row + 1 :])


def _selector(name: str, tip: str) -> Any:
    selector = slicer.qMRMLNodeComboBox()
    selector.objectName = name
    selector.nodeTypes = ["vtkMRMLScalarVolumeNode"]
    selector.hideChildNodeTypes = _HIDDEN
    selector.noneEnabled = True
    selector.addEnabled = False
    selector.removeEnabled = False
    selector.toolTip = tip
    selector.accessibleName = tip
    narrow(selector)
    return selector
