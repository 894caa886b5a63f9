"""Where results lie in Slicer's subject hierarchy, and how they go with what belongs to them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .display import added_together, nodes_of_class
from .nodes import RESULT

SOURCE = "SyntheticCT.Source"
"""References of a result to what it was made of."""
_PLUGINS = {
    "vtkMRMLSegmentationNode": "Segmentations",
    "vtkMRMLTransformNode": "Transforms",
    "vtkMRMLTableNode": "Tables",
    "vtkMRMLPlotChartNode": "Plots",
    "vtkMRMLPlotSeriesNode": "Plots",
    "vtkMRMLTextNode": "Texts",
}
_STUDY = "Study"


def place_of(scene: Any, node: Any) -> int:
    """Return the item under which results of ``node`` lie: its study, else where it lies itself."""
    tree = scene.GetSubjectHierarchyNode()
    nothing, root = tree.GetInvalidItemID(), tree.GetSceneItemID()
    item = tree.GetItemByDataNode(node) if node is not None else nothing
    if item == nothing:
        return root
    beside = item = tree.GetItemParent(item)
    while item not in (nothing, root):
        if tree.GetItemLevel(item) == _STUDY:
            return item
        item = tree.GetItemParent(item)
    return beside if beside != nothing else root


def add_folder(scene: Any, parent: int, name: str) -> int:
    """Add a folder under an item."""
    return scene.GetSubjectHierarchyNode().CreateFolderItem(parent, name)


def put(scene: Any, parent: int, nodes: Iterable[Any]) -> None:
    """Put nodes under an item; outside Slicer nobody else makes the items."""
    tree = scene.GetSubjectHierarchyNode()
    for node in nodes:
        item = tree.GetItemByDataNode(node)
        if item == tree.GetInvalidItemID():
            item = tree.CreateItem(parent, node)
            owners = (owner for kind, owner in _PLUGINS.items() if node.IsA(kind))
            tree.SetItemOwnerPluginName(item, next(owners, "Volumes"))
        else:
            tree.SetItemParent(item, parent)


def results_of(scene: Any, sources: Iterable[Any]) -> list[Any]:
    """Return what was made of nodes, and what was made of that, in the order of the scene."""
    known = {node.GetID() for node in sources if node is not None}
    found: dict[str, Any] = {}
    grown = True
    while grown:
        grown = False
        for kind in ("vtkMRMLTransformableNode", "vtkMRMLTransformNode"):
            for node in nodes_of_class(scene, kind):
                count = node.GetNumberOfNodeReferences(SOURCE)
                made_of = {node.GetNthNodeReferenceID(SOURCE, index) for index in range(count)}
                made = node.GetAttribute(RESULT) and node.GetID() not in found
                if made and made_of & (known | set(found)):
                    found[node.GetID()] = node
                    grown = True
    return list(found.values())


def remove(scene: Any, nodes: Iterable[Any]) -> None:
    """Remove nodes with what shows and stores them, and the folders that become empty."""
    tree = scene.GetSubjectHierarchyNode()
    every = [node for node in nodes if node is not None and node.GetScene() is scene]
    folders = {tree.GetItemParent(tree.GetItemByDataNode(node)) for node in every}
    with added_together(scene):
        for node in every:
            item = tree.GetItemByDataNode(node)
            if item != tree.GetInvalidItemID():
                tree.RemoveItem(item, False, False)
            belonging = [node]
            if node.IsA("vtkMRMLDisplayableNode"):
                count = node.GetNumberOfDisplayNodes()
                belonging += [node.GetNthDisplayNode(index) for index in range(count)]
            if node.IsA("vtkMRMLStorableNode"):
                belonging.append(node.GetStorageNode())
            for one in belonging:
                if one is not None and one.GetScene() is scene:
                    scene.RemoveNode(one)
    for folder in folders:
        while _is_empty_folder(tree, folder):
            above = tree.GetItemParent(folder)
            tree.RemoveItem(folder)
            folder = above


def _is_empty_folder(tree: Any, item: int) -> bool:
    if item in (tree.GetInvalidItemID(), tree.GetSceneItemID()):
        return False
    folder = tree.GetItemLevel(item) == "Folder" and tree.GetItemDataNode(item) is None
    return folder and not tree.GetNumberOfItemChildren(item)
