"""Masks to the segments of a segmentation node and back."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import SimpleITK as sitk
import vtk
from SyntheticCTLib.volumes.mask_folder import cropped
from vtk.util.numpy_support import vtk_to_numpy

from .display import added_together
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
    segments = [make_segment(*item, number) for number, item in enumerate(masks.items())]
    with added_together(scene):
        node = add_outlines(scene, name, reference, segments)
    return node


def make_segment(label: str, mask: sitk.Image, number: int) -> Any:
    """Return a mask (0 or 1) as a segment (vtkSegment) in the colour of a number."""
    import slicer

    carrier = slicer.vtkMRMLLabelMapVolumeNode()
    update_node_from_image(carrier, sitk.Cast(mask != 0, sitk.sitkUInt8))
    labels = slicer.vtkOrientedImageData()
    labels.ShallowCopy(carrier.GetImageData())
    to_ras = vtk.vtkMatrix4x4()
    carrier.GetIJKToRASMatrix(to_ras)
    labels.SetGeometryFromImageToWorldMatrix(to_ras)
    segment = slicer.vtkSegment()
    segment.SetName(label)
    segment.SetColor(*SEGMENT_COLORS[number % len(SEGMENT_COLORS)])
    segment.AddRepresentation(_LABELMAP, labels)
    return segment


def add_outlines(
    scene: Any, name: str, reference: Any, segments: Sequence[Any], hidden: Collection[str] = ()
) -> Any:
    """Add a segmentation node with the outlines of segments: the overlay below must be seen.

    Args:
        reference: volume node whose geometry the segmentation takes.
        hidden: names of segments that are there but not shown.
    """
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(reference)
    display = node.GetDisplayNode()
    modified = display.StartModify()
    for number, segment in enumerate(segments, 1):
        identifier = f"Segment_{number}"
        node.GetSegmentation().AddSegment(segment, identifier)
        display.SetSegmentVisibility2DFill(identifier, False)
        display.SetSegmentVisibility(identifier, segment.GetName() not in hidden)
    display.EndModify(modified)
    return node


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
