"""Volume nodes to images and back: geometry to the last digit, parent transforms respected."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.volumes.grids import same_grid
from SyntheticCTLib.volumes.marks import label_synthetic
from SyntheticCTLib.volumes.resampling import resample

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
vtk = pytest.importorskip("vtk")
from SyntheticCTMRML.nodes import (  # noqa: E402
    add_volume,
    image_from_node,
    refuse_same_node,
    update_node_from_image,
)

LPS_RAS = np.diag([-1.0, -1.0, 1.0])


@pytest.fixture
def scene():
    return slicer.vtkMRMLScene()


def blob(size=(9, 8, 7), spacing=(1.1, 0.9, 3.0), origin=(10, -20.3, 77), angles=(0, 0, 0)):
    """A bright block in air (int16) on an oblique grid."""
    array = np.full(size[::-1], -1000, np.int16)
    array[2:5, 2:6, 3:7] = 100 + np.arange(48).reshape(3, 4, 4)
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(spacing)
    image.SetOrigin(origin)
    image.SetDirection(Rotation.from_euler("xyz", angles, degrees=True).as_matrix().ravel())
    return image


@st.composite
def images(draw):
    """Images of any size, pixel type, and oblique, flipped, anisotropic geometry."""
    size = draw(st.tuples(*[st.integers(1, 6)] * 3))
    dtype = draw(st.sampled_from(["u1", "i2", "u2", "i4", "f4", "f8"]))
    seed = draw(st.integers(0, 2**16))
    array = np.random.default_rng(seed).integers(0, 200, size[::-1]).astype(dtype)
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(draw(st.tuples(*[st.floats(0.1, 9)] * 3)))
    angle = st.floats(-180, 180).map(lambda degrees: round(degrees, 9))
    origin = st.floats(-900, 900).map(lambda mm: round(mm, 9))  # MRML rounds 1e-200 to 0
    image.SetOrigin(draw(st.tuples(*[origin] * 3)))
    rotation = Rotation.from_euler("xyz", draw(st.tuples(*[angle] * 3)), True)
    flips = np.diag(draw(st.tuples(*[st.sampled_from([-1.0, 1.0])] * 3)))
    order = list(draw(st.permutations(range(3))))
    image.SetDirection((rotation.as_matrix() @ flips[:, order]).ravel())
    return image


@given(image=images())
@settings(deadline=None, max_examples=60)
def test_an_image_comes_back_from_a_node_to_the_last_digit(image):
    back = image_from_node(add_volume(slicer.vtkMRMLScene(), image, "volume"))
    assert back.GetPixelID() == image.GetPixelID()
    assert back.GetSize() == image.GetSize()
    assert back.GetSpacing() == image.GetSpacing()
    assert back.GetOrigin() == image.GetOrigin()
    # MRML rounds cosines below the resolution of a double to 0.
    assert back.GetDirection() == pytest.approx(image.GetDirection(), rel=0, abs=2.3e-16)
    assert np.array_equal(sitk.GetArrayFromImage(back), sitk.GetArrayFromImage(image))


@given(image=images())
@settings(deadline=None, max_examples=30)
def test_slicer_puts_every_voxel_where_the_image_has_it(image):
    node = add_volume(slicer.vtkMRMLScene(), image, "volume")
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    last = [n - 1 for n in image.GetSize()]
    ras = matrix.MultiplyPoint([*last, 1])[:3]
    assert ras == pytest.approx(LPS_RAS @ image.TransformIndexToPhysicalPoint(last), abs=1e-9)
    value = node.GetImageData().GetScalarComponentAsDouble(*last, 0)
    assert value == sitk.GetArrayFromImage(image)[-1, -1, -1]


def linear_parent(scene, matrix):
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    vtk_matrix = vtk.vtkMatrix4x4()
    for row in range(4):
        for column in range(4):
            vtk_matrix.SetElement(row, column, matrix[row][column])
    transform.SetMatrixTransformToParent(vtk_matrix)
    return transform


def world_lps(node, point_lps):
    """Where Slicer shows a point of the node's own coordinates."""
    world = [0.0, 0.0, 0.0]
    node.TransformPointToWorld((LPS_RAS @ point_lps).tolist(), world)
    return LPS_RAS @ world


@given(
    angles=st.tuples(*[st.floats(-180, 180).map(lambda angle: round(angle, 9))] * 3),
    shift=st.tuples(*[st.floats(-100, 100)] * 3),
    mirror=st.booleans(),
)
@settings(deadline=None, max_examples=30)
def test_a_rigid_parent_moves_the_geometry_and_leaves_the_voxels(angles, shift, mirror):
    scene = slicer.vtkMRMLScene()
    image = blob(angles=(5, -7, 11))
    node = add_volume(scene, image, "volume")
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", angles, True).as_matrix()
    matrix[:3, :3] @= np.diag([-1.0 if mirror else 1.0, 1, 1])
    matrix[:3, 3] = shift
    node.SetAndObserveTransformNodeID(linear_parent(scene, matrix).GetID())
    moved = image_from_node(node)
    assert np.array_equal(sitk.GetArrayFromImage(moved), sitk.GetArrayFromImage(image))
    for index in ((0, 0, 0), (8, 7, 6), (8, 0, 3)):
        expected = world_lps(node, image.TransformIndexToPhysicalPoint(index))
        assert moved.TransformIndexToPhysicalPoint(index) == pytest.approx(expected, abs=1e-6)


def test_transforms_above_the_parent_count_too(scene):
    image = blob()
    node = add_volume(scene, image, "volume")
    upper, lower = np.eye(4), np.eye(4)
    upper[0, 3], lower[0, 3] = 30, 5
    parent = linear_parent(scene, lower)
    parent.SetAndObserveTransformNodeID(linear_parent(scene, upper).GetID())
    node.SetAndObserveTransformNodeID(parent.GetID())
    assert image_from_node(node).GetOrigin()[0] == pytest.approx(10 - 35)


def test_a_shearing_parent_resamples_to_right_angles(scene):
    image = blob(size=(30, 28, 14), spacing=(1.0, 1.0, 2.0), origin=(0, 0, 0))
    smooth = sitk.SmoothingRecursiveGaussian(sitk.Cast(image, sitk.sitkFloat32), 2.0)
    node = add_volume(scene, smooth, "volume")
    matrix = np.eye(4)
    matrix[0, 1] = 0.3
    node.SetAndObserveTransformNodeID(linear_parent(scene, matrix).GetID())
    straight = image_from_node(node)
    direction = np.reshape(straight.GetDirection(), (3, 3))
    assert direction.T @ direction == pytest.approx(np.eye(3), abs=1e-9)
    expected = world_lps(node, smooth.TransformIndexToPhysicalPoint((5, 4, 3)))
    index = straight.TransformPhysicalPointToContinuousIndex(expected)
    value = straight.EvaluateAtContinuousIndex(index)
    assert value == pytest.approx(smooth.GetPixel(5, 4, 3), abs=40)
    assert sitk.GetArrayViewFromImage(straight).min() >= -1001


def test_a_deforming_parent_moves_the_voxels_and_not_the_node(scene):
    image = blob(size=(16, 14, 12), spacing=(1.5, 1.5, 1.5), origin=(0, 0, 0))
    node = add_volume(scene, image, "volume")
    field = vtk.vtkImageData()
    field.SetDimensions(2, 2, 2)
    field.SetSpacing(200, 200, 200)
    field.SetOrigin(-100, -100, -100)
    field.AllocateScalars(vtk.VTK_DOUBLE, 3)
    vtk.util.numpy_support.vtk_to_numpy(field.GetPointData().GetScalars())[:] = [3.0, 0, 0]
    grid = slicer.vtkOrientedGridTransform()
    grid.SetDisplacementGridData(field)
    parent = scene.AddNewNodeByClass("vtkMRMLGridTransformNode")
    parent.SetAndObserveTransformToParent(grid)
    node.SetAndObserveTransformNodeID(parent.GetID())
    warped = image_from_node(node)
    # 3 mm to the right (RAS) is two voxels towards smaller i.
    expected = resample(image, warped, sitk.TranslationTransform(3, (3.0, 0, 0)), fill=-1000)
    difference = sitk.GetArrayFromImage(warped).astype(int) - sitk.GetArrayFromImage(expected)
    assert abs(difference).max() <= 1
    # As Slicer itself hardens it.
    copy = slicer.vtkMRMLScalarVolumeNode()
    copy.CopyOrientation(node)
    copy.SetAndObserveImageData(node.GetImageData())
    copy.ApplyTransform(grid)
    assert same_grid(warped, image_from_node(copy))
    hardened = sitk.GetArrayFromImage(image_from_node(copy)).astype(int)
    assert abs(hardened - sitk.GetArrayFromImage(warped)).max() <= 1
    node.SetAndObserveTransformNodeID(None)
    assert np.array_equal(
        sitk.GetArrayFromImage(image_from_node(node)), sitk.GetArrayFromImage(image)
    )


def test_a_deforming_parent_is_applied_in_short_steps(scene, monkeypatch):
    from SyntheticCTMRML import warping
    from SyntheticCTMRML.nodes import image_steps

    monkeypatch.setattr(warping, "STEP_VOXELS", 3 * 16 * 14)
    node = add_volume(scene, blob(size=(16, 14, 12)), "volume")
    bend = scene.AddNewNodeByClass("vtkMRMLBSplineTransformNode")
    bend.SetAndObserveTransformToParent(vtk.vtkThinPlateSplineTransform())
    node.SetAndObserveTransformNodeID(bend.GetID())
    assert len(list(image_steps(node))) == 4


def test_a_result_leaves_the_parent_of_its_node(scene):
    node = add_volume(scene, blob(), "volume")
    node.SetAndObserveTransformNodeID(linear_parent(scene, np.diag([2.0, 2, 2, 1])).GetID())
    image = blob(spacing=(1, 1, 1))
    update_node_from_image(node, image)
    assert same_grid(image_from_node(node), image)
    assert node.GetParentTransformNode() is None


def test_a_node_keeps_its_own_copy_of_the_voxels(scene):
    image = blob()
    node = add_volume(scene, image, "volume")
    copy = image_from_node(node)
    image[0, 0, 0] = 7
    copy[0, 0, 0] = 8
    assert node.GetImageData().GetScalarComponentAsDouble(0, 0, 0, 0) == -1000


def test_the_mark_of_a_synthetic_ct_travels_with_the_node(scene):
    node = add_volume(scene, label_synthetic(blob(), "abc"), "volume")
    assert "synthetic" in node.GetAttribute("SyntheticCT").lower()
    assert image_from_node(node).GetMetaData("SyntheticCTModel") == "abc"
    update_node_from_image(node, blob())
    assert node.GetAttribute("SyntheticCT") is None


def test_bad_nodes_get_one_sentence(scene):
    with pytest.raises(SyntheticCTError, match="No MR is selected"):
        image_from_node(None, "MR")
    empty = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Empty")
    with pytest.raises(SyntheticCTError, match="MR Empty holds no voxels"):
        image_from_node(empty, "MR")
    colours = vtk.vtkImageData()
    colours.SetDimensions(2, 2, 2)
    colours.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 3)
    vector = scene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", "Photo")
    vector.SetAndObserveImageData(colours)
    with pytest.raises(SyntheticCTError, match="Photo has 3 values a voxel"):
        image_from_node(vector)
    with pytest.raises(SyntheticCTError, match="also an input"):
        refuse_same_node(empty, [vector, empty])
