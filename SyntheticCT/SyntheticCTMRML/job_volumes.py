"""The volume nodes that a job reads and writes: checked, handed over, and never overwritten."""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _
from SyntheticCTLib.basics.errors import SyntheticCTError
from vtk.util.numpy_support import vtk_to_numpy

from .display import nodes_of_class
from .handover import reading_steps, writing_steps
from .hierarchy import SOURCE, place_of, put
from .jobs import Job
from .nodes import MARKS, RESULT, image_steps, refuse_same_node, set_node_data
from .views import one_drawing


class Source:
    """A volume node that a job reads; what cannot be used is refused before the job begins.

    Attributes:
        node: the volume node.
        name: of the node when the job was started.
        marks: attributes that a result made of its voxels carries on.
        range: lowest and highest value, of large volumes among a million voxels.
    """

    def __init__(self, node: Any, what: str) -> None:
        self.node, self._what = node, what
        self.range = _checked_range(node, what)
        self.name = node.GetName()
        self.marks = {mark: node.GetAttribute(mark) for mark in MARKS if node.GetAttribute(mark)}

    def steps(self, job: Job) -> Generator[None, None, None]:
        """Write the volume as the user sees it into the job's folder, once."""
        path = self.path(job)
        if path.exists():
            return
        if self.node.GetScene() is None:
            raise SyntheticCTError(
                _("The {what} {name} was removed before it was used: choose another one.").format(
                    what=self._what, name=self.name
                )
            )
        image = yield from image_steps(self.node, self._what)
        yield
        yield from writing_steps(image, path)

    def path(self, job: Job) -> Path:
        """Return where :meth:`steps` writes the volume."""
        file = re.sub(r"\W+", "-", f"{self._what}-{self.node.GetID() or id(self)}")
        path = job.folder / f"{file}.mha"
        job.names[str(path)] = self.name
        return path


class Target:
    """Where a job puts a volume: into the node that the user chose, or into a new one.

    A node that was made for the result of other inputs is not taken: it would carry their name.

    Attributes:
        node: None until the result is there, where a new one is to be made.
    """

    def __init__(
        self,
        node: Any,
        name: str,
        inputs: Sequence[Any],
        node_class: str = "vtkMRMLScalarVolumeNode",
    ) -> None:
        refuse_same_node(node, list(inputs))
        if node is not None and node.GetAttribute(RESULT) not in (None, name):
            node = None
        self.node, self._name, self._class = node, name, node_class
        self._inputs = [one for one in inputs if one is not None]
        self._scene = self._inputs[0].GetScene()

    def place(self) -> Any:
        """Return the node for the result; a new one where the chosen one was removed.

        Raises:
            SyntheticCTError: none of the inputs is in the scene any more.
        """
        if self.node is not None and self.node.GetScene() is not None:
            return self.node
        if all(one.GetScene() is None for one in self._inputs):
            raise SyntheticCTError(
                _("The volumes that {name} belongs to were removed, so it was dropped.").format(
                    name=self._name
                )
            )
        name = self._scene.GenerateUniqueName(self._name)
        self.node = self._scene.AddNewNodeByClass(self._class, name)
        self.node.SetAttribute(RESULT, self._name)
        for one in self._inputs:
            self.node.AddNodeReferenceID(SOURCE, one.GetID())
        put(self._scene, place_of(self._scene, self._inputs[0]), [self.node])
        return self.node

    def steps(
        self, path: Path, what: str, marks: dict[str, str] | None = None
    ) -> Generator[None, None, Any]:
        """Give the node the volume that a child has written to ``path``, and return the node."""
        data, header = yield from reading_steps(path, what)
        with one_drawing():
            node = set_node_data(self.place(), data, header)
            for mark, text in (marks or {}).items():
                node.SetAttribute(mark, text)
        yield
        return node


def earlier_result(scene: Any, node_class: str, name: str, inputs: Sequence[Any]) -> Any:
    """Return the node that an earlier result of this name was put into, None without one.

    One that is among ``inputs`` now is not taken.
    """
    for node in nodes_of_class(scene, node_class):
        if node.GetAttribute(RESULT) == name and not any(node is one for one in inputs):
            return node
    return None


def _checked_range(node: Any, what: str) -> tuple[float, float]:
    if node is None or node.GetScene() is None:
        raise SyntheticCTError(_("No {what} is selected: choose a volume.").format(what=what))
    data, name = node.GetImageData(), node.GetName()
    if data is None or data.GetPointData().GetScalars() is None:
        raise SyntheticCTError(
            _("The {what} {name} holds no voxels: load it first.").format(what=what, name=name)
        )
    if data.GetNumberOfScalarComponents() != 1 or 1 in data.GetDimensions():
        raise SyntheticCTError(
            _(
                "The {what} {name} is not a 3D volume with one value a voxel: choose a volume of "
                "at least two slices in each direction, without colours."
            ).format(what=what, name=name)
        )
    low, high = _range(data)
    if low == high:
        raise SyntheticCTError(
            _(
                "The {what} {name} is empty, every voxel is {value:g}: choose the right volume."
            ).format(what=what, name=name, value=low)
        )
    return low, high


def _range(data: Any) -> tuple[float, float]:
    """Lowest and highest of every few voxels, of all of them where those are all the same."""
    values = vtk_to_numpy(data.GetPointData().GetScalars())
    some = values[:: max(1, values.size // 1_000_000)]
    if some.min() == some.max():
        some = values
    return float(some.min()), float(some.max())
