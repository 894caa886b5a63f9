"""The nodes of an evaluation, held together by references so that they are found again.

The metrics table is the evaluation's anchor: it refers to the other nodes, is saved with the
scene, and does not mind when some of them are deleted.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from SyntheticCTMRML.display import nodes_of_class

if TYPE_CHECKING:
    from SyntheticCTEvalLib.gamma.hot_spots import HotSpot

ANCHOR_CLASS = "vtkMRMLTableNode"
ANCHOR = "SyntheticCTEval.Candidates"
"""Attribute of the metrics table: the candidates' names, as JSON."""
PRESCRIPTION = "SyntheticCTEval.PrescriptionGy"
DOCUMENT = "SyntheticCTEval.Document"
"""Attribute of a text node: the name of the file that it holds."""

_VOLUMES = ("ct", "mr", "mr_registered", "dose_ct")
_SINGLE = (*_VOLUMES, "contours", "definitions", "dose_volume", "hot_spots")
_CHARTS = ("histogram", "dvh")
_BY_CANDIDATE = ("candidates", "differences", "doses", "dose_differences", "gammas")
_LISTS = ("series", "dvh_series", "chart_tables", "documents")


@dataclass
class EvaluationNodes:
    """The nodes that show an evaluation; None or missing where there is no such result.

    Attributes:
        ct, mr, dose_ct: volume nodes.
        mr_registered: the MR on the true CT, where it carried the candidates.
        candidates, differences, doses, dose_differences, gammas: volume nodes by candidate.
        contours: segmentation node: bodies, then the structures.
        metrics, definitions, dose_volume, hot_spots: table nodes.
        histogram, dvh: plot chart nodes of gamma and of dose-volume histograms.
        series: plot series nodes of the gamma histogram.
        dvh_series: plot series nodes of the dose-volume histograms.
        chart_tables: table nodes that the charts are drawn from.
        documents: text nodes that hold report.html and the like.
        names: the candidates, in the order the user gave.
        prescription_gy: prescription dose in Gy; 0 where there is none.
    """

    ct: Any = None
    mr: Any = None
    mr_registered: Any = None
    dose_ct: Any = None
    candidates: dict[str, Any] = field(default_factory=dict)
    differences: dict[str, Any] = field(default_factory=dict)
    doses: dict[str, Any] = field(default_factory=dict)
    dose_differences: dict[str, Any] = field(default_factory=dict)
    gammas: dict[str, Any] = field(default_factory=dict)
    contours: Any = None
    metrics: Any = None
    definitions: Any = None
    dose_volume: Any = None
    hot_spots: Any = None
    histogram: Any = None
    dvh: Any = None
    series: list[Any] = field(default_factory=list)
    dvh_series: list[Any] = field(default_factory=list)
    chart_tables: list[Any] = field(default_factory=list)
    documents: list[Any] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    prescription_gy: float = 0.0

    def volumes(self) -> list[Any]:
        """Return all volume nodes, the CT first."""
        groups = [getattr(self, group) for group in _BY_CANDIDATE]
        single = [node for role in _VOLUMES if (node := getattr(self, role)) is not None]
        return [*single[:1], *(node for group in groups for node in group.values()), *single[1:]]

    def tables(self) -> list[Any]:
        """Return all table nodes for people."""
        every = (self.metrics, self.dose_volume, self.hot_spots, self.definitions)
        return [node for node in every if node is not None]

    def charts(self) -> list[Any]:
        """Return the plot chart nodes."""
        return [node for node in (self.histogram, self.dvh) if node is not None]

    def document(self, file_name: str) -> str:
        """Return the text of a document; empty where there is none."""
        texts = [n.GetText() for n in self.documents if n.GetAttribute(DOCUMENT) == file_name]
        return texts[0] if texts else ""

    def spots_of(self, candidate: str) -> list[HotSpot]:
        """Return the hot spots of a candidate from the table, the worst first."""
        if self.hot_spots is None:
            return []
        from SyntheticCTEvalLib.gamma.hot_spots import HotSpot

        table = self.hot_spots.GetTable()
        numbers = [table.GetColumnByName(name) for name in _SPOT_NUMBERS]
        owners = table.GetColumnByName("Candidate")
        if owners is None or None in numbers:
            return []
        return [
            HotSpot(tuple(point), largest, volume)
            for row in range(table.GetNumberOfRows())
            if owners.GetValue(row) == candidate
            for largest, volume, *point in [[column.GetValue(row) for column in numbers]]
        ]

    def attributes(self) -> dict[str, str]:
        """Return the attributes by which the metrics table is known."""
        return {ANCHOR: json.dumps(self.names), PRESCRIPTION: repr(self.prescription_gy)}

    def keep(self) -> None:
        """Write the references into the metrics table."""
        anchor = self.metrics
        for role in (*_SINGLE, *_CHARTS):
            node = getattr(self, role)
            anchor.SetNodeReferenceID(role, node.GetID() if node is not None else None)
        for role in _BY_CANDIDATE:
            for name, node in getattr(self, role).items():
                anchor.SetNodeReferenceID(f"{role}{self.names.index(name)}", node.GetID())
        for role in _LISTS:
            for node in getattr(self, role):
                anchor.AddNodeReferenceID(role, node.GetID())

    @classmethod
    def of(cls, anchor: Any) -> EvaluationNodes | None:
        """Return the nodes of the evaluation whose metrics table is given; None if it is none."""
        if anchor is None or anchor.GetScene() is None or not anchor.GetAttribute(ANCHOR):
            return None
        nodes = cls(metrics=anchor, names=json.loads(anchor.GetAttribute(ANCHOR)))
        nodes.prescription_gy = float(anchor.GetAttribute(PRESCRIPTION) or 0)
        for role in (*_SINGLE, *_CHARTS):
            setattr(nodes, role, anchor.GetNodeReference(role))
        for role in _BY_CANDIDATE:
            found = {
                name: anchor.GetNodeReference(f"{role}{index}")
                for index, name in enumerate(nodes.names)
            }
            setattr(nodes, role, {name: node for name, node in found.items() if node is not None})
        for role in _LISTS:
            found = [
                anchor.GetNthNodeReference(role, index)
                for index in range(anchor.GetNumberOfNodeReferences(role))
            ]
            setattr(nodes, role, [node for node in found if node is not None])
        return nodes

    def made(self, given: list[Any]) -> list[Any]:
        """Return every node that was made for the evaluation, ``given`` ones left out."""
        every: list[Any] = []
        for part in fields(self):
            value = getattr(self, part.name)
            if isinstance(value, dict):
                every += value.values()
            elif isinstance(value, list):
                every += [node for node in value if not isinstance(node, str)]
            elif hasattr(value, "GetID"):
                every.append(value)
        return [node for node in every if not any(node is other for other in given)]


_SPOT_NUMBERS = ("Largest gamma", "Volume (cm3)", "L (mm)", "P (mm)", "S (mm)")


def evaluations_in(scene: Any) -> list[Any]:
    """Return the metrics tables of the evaluations in ``scene``."""
    return [node for node in nodes_of_class(scene, ANCHOR_CLASS) if node.GetAttribute(ANCHOR)]
