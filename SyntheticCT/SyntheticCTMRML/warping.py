"""A volume under a parent transform that bends, resampled in steps that do not stop Slicer."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np
import vtk
from vtk.util.numpy_support import vtk_to_numpy

STEP_VOXELS = 400_000
"""As many voxels are resampled in one step: the inverse of a transform is sought for each."""


def warping_steps(node: Any, parent: Any) -> Generator[None, None, np.ndarray]:
    """Resample a volume node under the transform node ``parent``, on the node's own grid.

    As vtkMRMLVolumeNode.ApplyTransform does it: linear, with the median of the corner voxels
    outside the field of view. The node stays as it is.

    Returns:
        Array (k, j, i) of the node's pixel type.
    """
    data = node.GetImageData()
    to_world = vtk.vtkGeneralTransform()
    parent.GetTransformToWorld(to_world)
    ijk_to_ras, ras_to_ijk = vtk.vtkMatrix4x4(), vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(ijk_to_ras)
    node.GetRASToIJKMatrix(ras_to_ijk)
    back = vtk.vtkGeneralTransform()
    back.PostMultiply()
    back.Concatenate(ijk_to_ras)
    back.Concatenate(to_world.GetInverse())
    back.Concatenate(ras_to_ijk)
    extent = data.GetExtent()
    values = vtk_to_numpy(data.GetPointData().GetScalars())
    values = values.reshape(data.GetDimensions()[::-1])
    reslice = vtk.vtkImageReslice()
    reslice.SetInputData(data)
    reslice.SetResliceTransform(back)
    reslice.SetInterpolationModeToLinear()
    corners = values[np.ix_(*[(0, n - 1) for n in values.shape])]
    reslice.SetBackgroundLevel(float(np.median(corners)))
    reslice.SetOutputOrigin(0, 0, 0)
    reslice.SetOutputSpacing(1, 1, 1)
    warped = np.empty_like(values)
    slices = max(1, STEP_VOXELS // values[0].size)
    for first in range(0, len(values), slices):
        last = min(first + slices, len(values)) - 1
        low = extent[4]
        reslice.SetOutputExtent(*extent[:4], low + first, low + last)
        reslice.Update()
        part = vtk_to_numpy(reslice.GetOutput().GetPointData().GetScalars())
        warped[first : last + 1] = part.reshape(warped[first : last + 1].shape)
        yield
    return warped
