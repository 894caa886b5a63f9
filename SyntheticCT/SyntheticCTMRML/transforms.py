"""Transforms between the core (LPS, fixed to moving points) and transform nodes (RAS).

A registration's transform maps points of the fixed to points of the moving volume, as ITK
resamples. A transform node that carries it has it as its transform *from* parent, so that a
moving volume that is put under the node is shown on the fixed one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import SimpleITK as sitk
import vtk
from vtk.util.numpy_support import numpy_to_vtk

_SIGNS = np.diag([-1.0, -1.0, 1.0, 1.0])


def array_of(matrix: vtk.vtkMatrix4x4) -> np.ndarray:
    """Return VTK's matrix as an array (4 x 4)."""
    return np.array([[matrix.GetElement(i, j) for j in range(4)] for i in range(4)])


def vtk_matrix(array: np.ndarray) -> vtk.vtkMatrix4x4:
    """Return an array (4 x 4) as VTK's matrix."""
    matrix = vtk.vtkMatrix4x4()
    matrix.DeepCopy(array.ravel().tolist())
    return matrix


def matrix_from_node(node: Any) -> np.ndarray:
    """Return a linear transform node's matrix from parent (4 x 4, mm, LPS): fixed to moving."""
    matrix = vtk.vtkMatrix4x4()
    node.GetMatrixTransformFromParent(matrix)
    return _SIGNS @ array_of(matrix) @ _SIGNS


def linear_transform(matrix: np.ndarray) -> sitk.AffineTransform:
    """Return a matrix (4 x 4, mm, LPS) as a transform."""
    transform = sitk.AffineTransform(3)
    transform.SetMatrix(matrix[:3, :3].ravel().tolist())
    transform.SetTranslation(matrix[:3, 3].tolist())
    return transform


def matrix_of(transform: sitk.Transform) -> np.ndarray:
    """Return a linear transform as a matrix (4 x 4, mm, LPS)."""
    matrix = np.eye(4)
    matrix[:3, 3] = transform.TransformPoint((0.0, 0.0, 0.0))
    for axis in range(3):
        end = transform.TransformPoint(np.eye(3)[axis].tolist())
        matrix[:3, axis] = np.array(end) - matrix[:3, 3]
    return matrix


def set_linear(node: Any, matrix: np.ndarray) -> Any:
    """Give a transform node a matrix (4 x 4, LPS) that maps fixed to moving points."""
    inner = vtk.vtkTransform()
    inner.SetMatrix(vtk_matrix(_SIGNS @ matrix @ _SIGNS))
    node.SetAndObserveTransformFromParent(inner)
    return node


def set_field(node: Any, field: sitk.Image) -> Any:
    """Give a transform node displacements in mm (vectors, LPS) of fixed points to moving points.

    Outside the field's grid nothing is displaced.
    """
    import slicer

    vectors = sitk.GetArrayFromImage(field)
    vectors[..., :2] *= -1
    data = vtk.vtkImageData()
    data.SetDimensions(field.GetSize())
    data.SetSpacing(field.GetSpacing())
    data.SetOrigin((_SIGNS[:3, :3] @ field.GetOrigin()).tolist())
    data.GetPointData().SetScalars(numpy_to_vtk(vectors.reshape(-1, 3), deep=True))
    directions = np.eye(4)
    directions[:3, :3] = _SIGNS[:3, :3] @ np.reshape(field.GetDirection(), (3, 3))
    grid = slicer.vtkOrientedGridTransform()
    grid.SetDisplacementGridData(data)
    grid.SetGridDirectionMatrix(vtk_matrix(directions))
    grid.SetInterpolationModeToLinear()
    node.SetAndObserveTransformFromParent(grid)
    return node
