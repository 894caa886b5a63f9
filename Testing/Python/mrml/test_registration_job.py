"""Registration from Slicer: BRAINSFit's result is used and lands in the right place."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from models import ct_like
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.volumes.grids import same_grid
from SyntheticCTLib.volumes.resampling import resample

pytest.importorskip("slicer", reason="slicer-core is not installed")
import vtk
from SyntheticCTMRML.nodes import add_volume, image_from_node


def motion(image: sitk.Image) -> sitk.Transform:
    """How the content of ``image`` was turned and shifted (mm, LPS)."""
    found = sitk.Euler3DTransform()
    found.SetCenter(_middle(image))
    found.SetRotation(0.06, 0, 0.12)
    found.SetTranslation((14.0, -9.0, 6.0))
    return found


def rotated(image: sitk.Image) -> sitk.Image:
    """``image`` on its own grid after its content was moved."""
    return resample(image, image, motion(image).GetInverse(), fill=-1000)


def best(image: sitk.Image) -> float:
    """The error that is left where the motion is known: what interpolating twice costs."""
    return error(resample(rotated(image), image, motion(image), fill=-1000), image)


def error(found: sitk.Image, expected: sitk.Image) -> float:
    """Mean absolute difference where the fixed volume shows the body."""
    truth = sitk.GetArrayFromImage(expected).astype(float)
    inside = truth > -500
    return float(abs(sitk.GetArrayFromImage(found) - truth)[inside].mean())


class BrainsFit:
    """Does to the scene what Slicer's BRAINSFit does; registers by SimpleITK."""

    def __init__(self, harness) -> None:
        from harness.application import Module

        self.parameters: dict = {}
        self.fails = False
        harness.modules.brainsfit = Module("General Registration (BRAINS)")
        harness.cli.functions[harness.modules.brainsfit] = self

    def __call__(self, node, parameters):
        self.parameters = parameters
        if self.fails:
            node.SetStatus(node.CompletedWithErrors)
            return
        moving_node = parameters["movingVolume"]
        fixed, moving = (
            sitk.Cast(image_from_node(parameters[name]), sitk.sitkFloat32)
            for name in ("fixedVolume", "movingVolume")
        )
        assert np.allclose(_middle(fixed), 0, atol=1e-6)  # turns about the middle of the volume
        method = sitk.ImageRegistrationMethod()
        method.SetMetricAsMattesMutualInformation(30)
        method.SetInterpolator(sitk.sitkLinear)
        method.SetOptimizerAsRegularStepGradientDescent(2.0, 0.01, 80)
        method.SetOptimizerScales([4e4] * 3 + [1.0] * 3)
        found = sitk.VersorRigid3DTransform()
        method.SetInitialTransform(found, inPlace=True)
        method.Execute(fixed, moving)
        # As vtkMRMLTransformStorageNode reads ITK's file: what ITK resamples by is from parent.
        flip = np.diag([-1.0, -1.0, 1.0, 1.0])
        matrix = np.eye(4)
        matrix[:3, :3] = np.reshape(found.GetMatrix(), (3, 3))
        matrix[:3, 3] = found.TransformPoint((0, 0, 0))
        ras = vtk.vtkMatrix4x4()
        ras.DeepCopy((flip @ matrix @ flip).ravel().tolist())
        transform = parameters["linearTransform"]
        ras.Invert()
        transform.SetMatrixTransformToParent(ras)
        moving_node.SetAndObserveTransformNodeID(transform.GetID())


def _middle(image: sitk.Image):
    return image.TransformContinuousIndexToPhysicalPoint([(n - 1) / 2 for n in image.GetSize()])


@pytest.fixture
def logic(harness):
    return harness.load_module("SyntheticCT").SyntheticCTLogic()


@pytest.fixture
def brainsfit(harness):
    return BrainsFit(harness)


def test_brainsfits_transform_lays_the_moving_volume_onto_the_ct(harness, logic, brainsfit):
    fixed = ct_like()
    ct = add_volume(harness.scene, fixed, "CT")
    moving = add_volume(harness.scene, rotated(fixed), "MRCAT")
    parent = harness.scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "table")
    shift = vtk.vtkMatrix4x4()
    for row, value in enumerate((80.0, -35.0, 20.0)):
        shift.SetElement(row, 3, value)
    parent.SetMatrixTransformToParent(shift)
    moving.SetAndObserveTransformNodeID(parent.GetID())  # scans that share no frame
    nodes = harness.scene.GetNumberOfNodes()
    results = logic.startRegister(ct, moving, deformable=False).wait()
    assert brainsfit.parameters["costMetric"] == "MMI"
    assert brainsfit.parameters["useRigid"]
    assert brainsfit.parameters["samplingPercentage"] >= 0.02
    found = image_from_node(results.registered["MRCAT"])
    assert same_grid(found, fixed)
    assert error(found, fixed) < 1.25 * best(fixed)
    assert results.registered["MRCAT"].GetName() == "MRCAT registered to CT"
    # Nothing is left: the moving volume under its own parent, no helper nodes.
    assert moving.GetParentTransformNode() is parent
    added = harness.scene.GetNumberOfNodes() - nodes
    assert added == 3  # the volume, its display, the transform
    # The transform node does to the moving volume as the user sees it what was done.
    placed = results.transforms["MRCAT"]
    world = image_from_node(moving)
    by_node = vtk.vtkMatrix4x4()
    placed.GetMatrixTransformFromParent(by_node)
    point = np.array(_middle(fixed))
    ras = by_node.MultiplyPoint([-point[0], -point[1], point[2], 1])
    there = resample(world, fixed, _shift_to(point, ras), fill=-1000)
    index = fixed.TransformPhysicalPointToIndex(point.tolist())
    assert there[index] == pytest.approx(found[index], abs=60)


def _shift_to(point, ras) -> sitk.Transform:
    target = np.array([-ras[0], -ras[1], ras[2]])
    return sitk.TranslationTransform(3, (target - point).tolist())


def test_a_volume_put_under_the_transform_is_shown_where_it_was_registered(
    harness, logic, brainsfit
):
    fixed = ct_like()
    ct = add_volume(harness.scene, fixed, "CT")
    moving = add_volume(harness.scene, rotated(fixed), "sCT")
    results = logic.startRegister(ct, moving).wait()
    found = image_from_node(results.registered["sCT"])
    moving.SetAndObserveTransformNodeID(results.transforms["sCT"].GetID())
    shown = resample(image_from_node(moving), fixed, fill=-1000)
    # Hardening interpolates once more, so the two differ at edges only.
    assert error(shown, fixed) < 1.5 * error(found, fixed) + 15


def test_without_brainsfit_the_library_registers(harness, logic):
    fixed = ct_like()
    ct = add_volume(harness.scene, fixed, "CT")
    moving = add_volume(harness.scene, rotated(fixed), "sCT")
    moving.SetAttribute("SyntheticCT", "synthetic")
    output = harness.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "mine")
    results = logic.startRegister(ct, moving, output, deformable=False).wait()
    assert results.registered["sCT"] is output
    assert error(image_from_node(output), fixed) < 1.25 * best(fixed)
    assert output.GetAttribute("SyntheticCT") == "synthetic"
    with pytest.raises(SyntheticCTError, match="BRAINSFit is not in this Slicer"):
        logic.startRegister(ct, moving, rigid="brainsfit")


def test_a_failed_brainsfit_is_told_and_leaves_nothing(harness, logic, brainsfit):
    brainsfit.fails = True
    ct = add_volume(harness.scene, ct_like(), "CT")
    moving = add_volume(harness.scene, ct_like(30), "sCT")
    nodes = harness.scene.GetNumberOfNodes()
    job = logic.startRegister(ct, moving, deformable=False)
    with pytest.raises(SyntheticCTError, match="Rigid registration failed"):
        job.wait()
    left = [harness.scene.GetNthNode(n).GetName() for n in range(harness.scene.GetNumberOfNodes())]
    assert not [name for name in left if name == "SyntheticCT rigid"]
    assert harness.scene.GetNumberOfNodes() == nodes


def test_bad_inputs_are_refused_at_once(harness, logic):
    ct = add_volume(harness.scene, ct_like(), "CT")
    with pytest.raises(SyntheticCTError, match="No CT is selected"):
        logic.startRegister(None, ct)
    with pytest.raises(SyntheticCTError, match="CT cannot be registered onto itself"):
        logic.startRegister(ct, ct)
    moving = add_volume(harness.scene, ct_like(30), "sCT")
    with pytest.raises(SyntheticCTError, match="sCT is also an input"):
        logic.startRegister(ct, moving, moving)
