"""How often slice views would be drawn: what asks for a draw, and whether drawing is paused.

Slicer's views ask for a draw whenever a node that they show changes. On a busy machine each of
these is a draw of its own; while rendering is paused, a view that has asked is drawn once, at the
end.
"""

from __future__ import annotations

from typing import Any

import slicer
import vtk

_SHOWN = ("vtkMRMLVolumeNode", "vtkMRMLVolumeDisplayNode", "vtkMRMLColorLegendDisplayNode")
_EVERYWHERE = ("vtkMRMLSegmentationNode", "vtkMRMLSegmentationDisplayNode", "vtkMRMLCrosshairNode")


class Draws:
    """Counts what the slice views on the screen are drawn for.

    Attributes:
        count: draws.
        events: nodes that came or went with everybody told at once, and ends of batches.
    """

    def __init__(self, scene: Any) -> None:
        self._scene = scene
        self.count = self.events = 0
        self._paused = 0
        self._waiting: set[str] = set()
        self._watched: dict[Any, list[int]] = {}
        self._tags = [
            scene.AddObserver(scene.NodeAddedEvent, self._on_node),
            scene.AddObserver(scene.NodeRemovedEvent, self._on_node),
            scene.AddObserver(scene.EndBatchProcessEvent, self._on_batch),
        ]
        for index in range(scene.GetNumberOfNodes()):
            self._watch(scene.GetNthNode(index))

    def pause(self) -> None:
        """Keep views that ask for a draw waiting; may be nested."""
        self._paused += 1

    def resume(self) -> None:
        """Draw the views that have asked, where nobody else has paused."""
        assert self._paused, "rendering is resumed more often than it was paused"
        self._paused -= 1
        if not self._paused:
            self.count += len(self._waiting)
            self._waiting.clear()

    @property
    def paused(self) -> bool:
        """Whether rendering is paused."""
        return self._paused > 0

    def ask(self, views: list[str]) -> None:
        """Have views drawn (their layout names)."""
        if self._paused:
            self._waiting.update(views)
        else:
            self.count += len(views)

    def close(self) -> None:
        """Watch nothing any more."""
        for node, tags in self._watched.items():
            for tag in tags:
                node.RemoveObserver(tag)
        for tag in self._tags:
            self._scene.RemoveObserver(tag)
        self._watched.clear()

    def _on_batch(self, _scene: Any, _event: str) -> None:
        self.events += 1
        self.ask(self._mapped())

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _on_node(self, scene: Any, event: str, node: Any) -> None:
        self.events += not scene.IsBatchProcessing()
        if event == "NodeAddedEvent" or node not in self._watched:
            self._watch(node)
        if node.GetScene() is None:
            for tag in self._watched.pop(node, []):
                node.RemoveObserver(tag)

    def _watch(self, node: Any) -> None:
        asks = None
        if node.IsA("vtkMRMLSliceNode") or node.IsA("vtkMRMLSliceCompositeNode"):
            asks = self._own
        elif any(node.IsA(kind) for kind in _SHOWN):
            asks = self._showing
        elif any(node.IsA(kind) for kind in _EVERYWHERE):
            asks = self._all
        if asks is None or node in self._watched:
            return
        events = [vtk.vtkCommand.ModifiedEvent]
        self._watched[node] = [node.AddObserver(event, asks) for event in events]
        if node.IsA("vtkMRMLSegmentationNode"):
            kinds = slicer.vtkSegmentation
            for event in (kinds.SegmentAdded, kinds.SegmentRemoved):
                self._watched[node].append(node.AddObserver(event, asks))

    def _mapped(self) -> list[str]:
        count = self._scene.GetNumberOfNodesByClass("vtkMRMLSliceNode")
        views = [self._scene.GetNthNodeByClass(n, "vtkMRMLSliceNode") for n in range(count)]
        return [view.GetLayoutName() for view in views if view.IsMappedInLayout()]

    def _own(self, node: Any, _event: str) -> None:
        name = node.GetLayoutName()
        self.ask([name] if name in self._mapped() else [])

    def _all(self, _node: Any, _event: str) -> None:
        self.ask(self._mapped())

    def _showing(self, node: Any, _event: str) -> None:
        volume = node
        if node.IsA("vtkMRMLDisplayNode"):
            volume = node.GetDisplayableNode() if node.GetScene() is not None else None
        if volume is None or volume.GetID() is None:
            return
        mapped = self._mapped()
        count = self._scene.GetNumberOfNodesByClass("vtkMRMLSliceCompositeNode")
        shown = []
        for index in range(count):
            composite = self._scene.GetNthNodeByClass(index, "vtkMRMLSliceCompositeNode")
            layers = (composite.GetBackgroundVolumeID(), composite.GetForegroundVolumeID())
            if volume.GetID() in layers and composite.GetLayoutName() in mapped:
                shown.append(composite.GetLayoutName())
        self.ask(shown)
