"""Masks to the segments of a segmentation node and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import SimpleITK as sitk
import vtk
from SyntheticCTLib.volumes.mask_folder import cropped
from vtk.util.numpy_support import vtk_to_numpy

from .nodes import image_under, update_node_from_image

_LABELMAP = "Binary labelmap"

SEGMENT_COLORS = (
    (1.0, 1.0, 1.0),
    (0.30, 0.80, 1.0),
    (1.0, 0.65, 0.20),
    (0.90, 0.35, 0.75),
    (0.45, 0.90, 0.45),
    (1.0, 0.95, 0.40),
    (0.65, 0.55, 1.0),
    (0.55, 0.85, 0.80),
)


def add_segmentation(scene: Any, name: str, masks: Mapping[str, sitk.Image], reference: Any) -> Any:
    """Add a segmentation node with one outlined segment a mask.

    Args:
        masks: images of 0 and 1 by segment name; overlaps are kept.
        reference: volume node whose geometry the segmentation takes.
    """
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(reference)
    for label, mask in masks.items():
        add_segment(node, label, mask)
    return node


def add_segment(node: Any, label: str, mask: sitk.Image) -> None:
    """Add a mask (0 or 1) to a segmentation node as an outlined segment."""
    import slicer

    index = node.GetSegmentation().GetNumberOfSegments()
    carrier = slicer.vtkMRMLLabelMapVolumeNode()
    update_node_from_image(carrier, sitk.Cast(mask != 0, sitk.sitkUInt8))
    labels = slicer.vtkOrientedImageData()
    labels.ShallowCopy(carrier.GetImageData())
    to_ras = vtk.vtkMatrix4x4()
    carrier.GetIJKToRASMatrix(to_ras)
    labels.SetGeometryFromImageToWorldMatrix(to_ras)
    color = SEGMENT_COLORS[index % len(SEGMENT_COLORS)]
    identifier = node.AddSegmentFromBinaryLabelmapRepresentation(
        labels, label, color, f"Segment_{index + 1}"
    )
    # The overlay below must be seen: outline only.
    node.GetDisplayNode().SetSegmentVisibility2DFill(identifier, False)


def masks_from_segmentation(node: Any, names: Sequence[str] | None = None) -> dict[str, sitk.Image]:
    """Return the segments of a segmentation node as masks (uint8, 0 or 1) by name.

    Args:
        names: of the segments that are wanted; all when None.

    Each mask covers its own segment only; parent transforms are applied as to volumes. Contours
    and surfaces get a label map first. Segments without a voxel are left out.
    """
    return dict(segment_masks(node, names))


def segment_masks(
    node: Any, names: Sequence[str] | None = None
) -> Iterator[tuple[str, sitk.Image]]:
    """Yield name and mask of every segment, as :func:`masks_from_segmentation`.

    Of segments that share a name the later ones are called "NAME (2)" and so on.
    """
    segmentation = node.GetSegmentation()
    if segmentation.GetNumberOfSegments() and not segmentation.ContainsRepresentation(_LABELMAP):
        node.CreateBinaryLabelmapRepresentation()
    taken: set[str] = set()
    for index in range(segmentation.GetNumberOfSegments()):
        name = segmentation.GetNthSegment(index).GetName()
        if names is not None and name not in names:
            continue
        mask = _mask(node, segmentation.GetNthSegmentID(index))
        if mask is not None:
            unique, number = name, 2
            while unique in taken:
                unique, number = f"{name} ({number})", number + 1
            taken.add(unique)
            yield unique, mask


def _mask(node: Any, identifier: str) -> sitk.Image | None:
    import slicer

    labels = slicer.vtkOrientedImageData()
    if not node.GetBinaryLabelmapRepresentation(identifier, labels) or labels.IsEmpty():
        return None
    values = vtk_to_numpy(labels.GetPointData().GetScalars())
    part, corner = cropped(values.reshape(labels.GetDimensions()[::-1]))
    if part is None:
        return None
    to_ras = vtk.vtkMatrix4x4()
    labels.GetImageToWorldMatrix(to_ras)
    extent = labels.GetExtent()
    first = [low + offset for low, offset in zip(extent[::2], corner, strict=True)]
    placed = to_ras.MultiplyPoint([*first, 1])
    for row in range(3):
        to_ras.SetElement(row, 3, placed[row])
    carrier = slicer.vtkMRMLLabelMapVolumeNode()
    update_node_from_image(carrier, sitk.GetImageFromArray((part != 0).astype(np.uint8)))
    carrier.SetIJKToRASMatrix(to_ras)
    return image_under(carrier, node.GetParentTransformNode()) != 0
