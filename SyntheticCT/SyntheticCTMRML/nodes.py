"""Volume nodes to images and back, geometry included."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np
import SimpleITK as sitk
import vtk
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import SILENT, Progress
from SyntheticCTLib.basics.stepwise import finished
from SyntheticCTLib.volumes.checks import check_volume
from SyntheticCTLib.volumes.grids import copied, grid_of, image_like
from SyntheticCTLib.volumes.marks import (
    MODEL_NAME_KEY,
    OUTSIDE_KEY,
    PHANTOM_KEY,
    SOURCE_KEYS,
    VERSION_KEY,
)
from SyntheticCTLib.volumes.plausible import check_patient
from SyntheticCTLib.volumes.resampling import resample
from vtk.util.numpy_support import get_vtk_array_type, numpy_to_vtk, vtk_to_numpy

from .transforms import array_of
from .translation import tr as _
from .warping import warping_steps

MARKS = ("SyntheticCT", "SyntheticCTModel", MODEL_NAME_KEY, VERSION_KEY, PHANTOM_KEY, OUTSIDE_KEY)
MARKS += tuple(SOURCE_KEYS.values())
"""Image metadata that mark a synthetic CT, its model, the source and the digital phantom; node
attributes."""

RESULT = "SyntheticCT.Result"
"""Attribute of a node that was made for a result: the name of what it was made for."""

_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0])


def image_from_node(node: Any, what: str = "volume") -> sitk.Image:
    """Return a copy of a scalar volume node's voxels where the user sees them.

    Parent transforms are applied to the copy, the node stays as it is. A parent that moves,
    turns, mirrors or scales along the axes changes the geometry only; any other one resamples
    (linearly, label maps to the nearest), with the median of the eight corner voxels outside
    the field of view.

    Args:
        node: vtkMRMLScalarVolumeNode (a label map is one, too).
        what: the role that error sentences name ("MR", "CT", "dose").

    Returns:
        3D image of the node's pixel type, (i, j, k) as in the node; mm, LPS.

    Raises:
        SyntheticCTError: no node, a node without voxels, or more than one value a voxel.
    """
    return finished(image_steps(node, what))


def image_steps(node: Any, what: str = "volume") -> Generator[None, None, sitk.Image]:
    """Do what :func:`image_from_node` does in steps, where a parent transform bends."""
    if node is None:
        raise SyntheticCTError(_("No {what} is selected: choose a volume.").format(what=what))
    data = node.GetImageData()
    if data is None or data.GetPointData().GetScalars() is None:
        raise SyntheticCTError(
            _("The {what} {name} holds no voxels: load it first.").format(
                what=what, name=node.GetName()
            )
        )
    if data.GetNumberOfScalarComponents() != 1:
        raise SyntheticCTError(
            _(
                "The {what} {name} has {count} values a voxel: choose a volume with one value a "
                "voxel."
            ).format(what=what, name=node.GetName(), count=data.GetNumberOfScalarComponents())
        )
    return (yield from _steps_under(node, node.GetParentTransformNode()))


def parents_of(node: Any) -> list[Any]:
    """Return the transform nodes that a node lies under, the nearest first."""
    parents = []
    parent = node.GetParentTransformNode()
    while parent is not None:
        parents.append(parent)
        parent = parent.GetParentTransformNode()
    return parents


def checked_image(node: Any, what: str, progress: Progress = SILENT) -> sitk.Image:
    """Return what :func:`image_from_node` returns where volumes.reading would take it.

    Args:
        what: the role; as "MR" or "CT" it is what the volume must be.
        progress: receives what volumes.plausible doubts.
    """
    return finished(checked_steps(node, what, progress))


def checked_steps(
    node: Any, what: str, progress: Progress = SILENT
) -> Generator[None, None, sitk.Image]:
    """Do what :func:`checked_image` does in steps, where a parent transform bends."""
    image = yield from image_steps(node, what)
    named = f"{what} {node.GetName()}"
    image = check_volume(image, named)
    if what in ("MR", "CT"):
        check_patient(image, named, what, progress)
    return image


def image_under(node: Any, parent: Any) -> sitk.Image:
    """Return a copy of a volume node's voxels with the transform node ``parent`` applied to it.

    As :func:`image_from_node`, for a volume node that is in no scene; ``parent`` may be None.
    """
    return finished(_steps_under(node, parent))


def _steps_under(node: Any, parent: Any) -> Generator[None, None, sitk.Image]:
    if parent is None:
        return _image(node)
    if parent.IsTransformToWorldLinear():
        to_world = vtk.vtkMatrix4x4()
        parent.GetMatrixTransformToWorld(to_world)
        labels = node.IsA("vtkMRMLLabelMapVolumeNode")
        return _moved(_image(node), array_of(to_world), labels=labels)
    warped = yield from warping_steps(node, parent)
    return image_like(warped, _image(node))


def update_node_from_image(node: Any, image: sitk.Image) -> Any:
    """Give ``node`` the voxels (copied) and exactly the geometry of ``image``; return the node.

    The image is in world coordinates, so that the node leaves its parent transform, if it has
    one. :data:`MARKS` become attributes of the node.
    """
    array = sitk.GetArrayViewFromImage(image)
    data = vtk.vtkImageData()
    data.SetDimensions(image.GetSize())
    data.GetPointData().SetScalars(
        numpy_to_vtk(array.ravel(), deep=True, array_type=get_vtk_array_type(array.dtype))
    )
    return set_node_data(node, data, image)


def set_node_data(
    node: Any, data: vtk.vtkImageData, image: sitk.Image | sitk.ImageFileReader
) -> Any:
    """Give ``node`` voxels (not copied) and the geometry and the marks of ``image``."""
    directions = _RAS_TO_LPS @ np.reshape(image.GetDirection(), (3, 3))
    node.SetAndObserveTransformNodeID(None)
    node.SetIJKToRASDirections(directions.tolist())
    node.SetSpacing(image.GetSpacing())
    node.SetOrigin((_RAS_TO_LPS @ image.GetOrigin()).tolist())
    node.SetAndObserveImageData(data)
    for mark in MARKS:
        node.SetAttribute(mark, image.GetMetaData(mark) if image.HasMetaDataKey(mark) else None)
    return node


def make_volume(image: sitk.Image, name: str) -> Any:
    """Return a scalar volume node called ``name``, in no scene as yet, with an image's voxels."""
    import slicer

    node = slicer.vtkMRMLScalarVolumeNode()
    node.SetName(name)
    return update_node_from_image(node, image)


def add_volume(scene: Any, image: sitk.Image, name: str) -> Any:
    """Add a scalar volume node called ``name`` with the voxels of ``image`` to ``scene``."""
    return scene.AddNode(make_volume(image, name))


def refuse_same_node(output: Any, inputs: list[Any]) -> None:
    """Raise SyntheticCTError where the output node is one of the input nodes."""
    for node in inputs:
        if output is not None and node is output:
            raise SyntheticCTError(
                _(
                    "The output {name} is also an input and would be overwritten: choose or "
                    "create another output."
                ).format(name=output.GetName())
            )


def _image(node: Any) -> sitk.Image:
    """The node's voxels in its own coordinates, parent transforms left out."""
    data = node.GetImageData()
    shape = tuple(reversed(data.GetDimensions()))
    image = sitk.GetImageFromArray(vtk_to_numpy(data.GetPointData().GetScalars()).reshape(shape))
    directions = vtk.vtkMatrix4x4()
    node.GetIJKToRASDirectionMatrix(directions)
    image.SetSpacing(node.GetSpacing())
    image.SetOrigin((_RAS_TO_LPS @ node.GetOrigin()).tolist())
    image.SetDirection((_RAS_TO_LPS @ array_of(directions)[:3, :3]).ravel().tolist())
    for mark in MARKS:
        if node.GetAttribute(mark):
            image.SetMetaData(mark, node.GetAttribute(mark))
    return image


def _moved(image: sitk.Image, to_world_ras: np.ndarray, labels: bool) -> sitk.Image:
    """Apply a linear transform (4 x 4, RAS): to the geometry, or by resampling where it shears."""
    linear = _RAS_TO_LPS @ to_world_ras[:3, :3] @ _RAS_TO_LPS
    offset = _RAS_TO_LPS @ to_world_ras[:3, 3]
    axes = linear @ np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    spacing = np.linalg.norm(axes, axis=0)
    direction = axes / spacing
    moved = copied(image)
    moved.SetOrigin((linear @ image.GetOrigin() + offset).tolist())
    moved.SetSpacing(spacing.tolist())
    moved.SetDirection(direction.ravel().tolist())
    if np.allclose(direction.T @ direction, np.eye(3), atol=1e-6):
        return moved
    return resample(moved, _orthogonal_grid(moved), fill=_corner_median(image), nearest=labels)


def _orthogonal_grid(sheared: sitk.Image) -> sitk.Image:
    """The grid of right angles, closest in direction, that covers a sheared one."""
    left, _scales, right = np.linalg.svd(np.reshape(sheared.GetDirection(), (3, 3)))
    direction = left @ right
    spacing = np.array(sheared.GetSpacing())
    ends = [(0, n - 1) for n in sheared.GetSize()]
    corners = np.array(
        [
            sheared.TransformIndexToPhysicalPoint((i, j, k))
            for i in ends[0]
            for j in ends[1]
            for k in ends[2]
        ]
    )
    along = corners @ direction
    size = np.ceil((along.max(axis=0) - along.min(axis=0)) / spacing).astype(int) + 1
    origin = direction @ along.min(axis=0)
    return grid_of(size.tolist(), spacing.tolist(), origin.tolist(), direction.ravel().tolist())


def _corner_median(image: sitk.Image) -> float:
    values = sitk.GetArrayViewFromImage(image)[:: image.GetDepth() - 1 or 1]
    return float(np.median(values[:, :: values.shape[1] - 1 or 1, :: values.shape[2] - 1 or 1]))
