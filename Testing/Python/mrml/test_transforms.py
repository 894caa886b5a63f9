"""Transform nodes map points as the core's transforms do, RAS and LPS apart."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("slicer", reason="slicer-core is not installed")
import slicer
from SyntheticCTMRML.transforms import (
    linear_transform,
    matrix_from_node,
    matrix_of,
    set_field,
    set_linear,
)

points = st.tuples(*[st.floats(-60, 60)] * 3)


def through(node, point) -> np.ndarray:
    """Where a node's transform from parent takes a point (LPS)."""
    x, y, z = node.GetTransformFromParent().TransformPoint(-point[0], -point[1], point[2])
    return np.array([-x, -y, z])


@settings(max_examples=25, deadline=None)
@given(points, st.tuples(*[st.floats(-0.5, 0.5)] * 3), points)
def test_a_rigid_transform_goes_there_and_back(point, angles, shift):
    transform = sitk.Euler3DTransform()
    transform.SetCenter((3.0, -8.0, 11.0))
    transform.SetRotation(*angles)
    transform.SetTranslation(shift)
    node = slicer.vtkMRMLTransformNode()
    set_linear(node, matrix_of(transform))
    expected = transform.TransformPoint(point)
    assert through(node, point) == pytest.approx(expected, abs=1e-6)
    again = linear_transform(matrix_from_node(node))
    assert again.TransformPoint(point) == pytest.approx(expected, abs=1e-6)


@settings(max_examples=25, deadline=None)
@given(st.tuples(*[st.floats(1, 7)] * 3))
def test_a_field_on_an_oblique_grid_displaces_as_it_does_in_itk(index):
    rng = np.random.default_rng(0)
    vectors = rng.normal(0, 4, (9, 9, 9, 3)).astype(np.float32)
    field = sitk.GetImageFromArray(vectors, isVector=True)
    field.SetSpacing((3.0, 4.0, 5.0))
    field.SetOrigin((-12.0, 20.0, 7.0))
    field.SetDirection((0.8, 0.6, 0, 0.6, -0.8, 0, 0, 0, 1))
    node = slicer.vtkMRMLTransformNode()
    set_field(node, field)
    point = field.TransformContinuousIndexToPhysicalPoint(index)
    transform = sitk.DisplacementFieldTransform(sitk.Cast(field, sitk.sitkVectorFloat64))
    assert through(node, point) == pytest.approx(transform.TransformPoint(point), abs=1e-3)
