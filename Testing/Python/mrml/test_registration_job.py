"""Registration from Slicer: BRAINSFit's result is used and lands in the right place."""

from __future__ import annotations

import os
import time

import numpy as np
import pytest
import SimpleITK as sitk
from brainsfit_stand_in import RUNS, install
from models import ct_like
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.volumes.grids import same_grid
from SyntheticCTLib.volumes.resampling import resample

pytest.importorskip("slicer", reason="slicer-core is not installed")
import vtk
from harness.application import Module
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


def _middle(image: sitk.Image):
    return image.TransformContinuousIndexToPhysicalPoint([(n - 1) / 2 for n in image.GetSize()])


@pytest.fixture
def logic(harness):
    return harness.load_module("SyntheticCT").SyntheticCTLogic()


@pytest.fixture
def brainsfit(harness, tmp_path):
    """Slicer's program, in its folder; returns the arguments of its runs."""
    folder = tmp_path / "cli-modules"
    folder.mkdir()
    install(folder)
    # What Slicer loads may be the library beside the program.
    harness.modules.brainsfit = Module("BRAINSFit", str(folder / "libBRAINSFitLib.so"))

    def runs() -> list[str]:
        file = folder / RUNS
        return file.read_text().splitlines() if file.is_file() else []

    runs.program = folder / "BRAINSFit"
    return runs


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
    (run,) = brainsfit()
    assert "--useRigid --costMetric MMI" in run
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
    with pytest.raises(SyntheticCTError, match=r"BRAINSFit is not in this Slicer"):
        logic.startRegister(ct, moving, rigid="brainsfit")


def test_a_failed_brainsfit_is_told_and_leaves_nothing(harness, logic, brainsfit):
    brainsfit.program.write_text("#!/bin/sh\necho the images do not overlap\nexit 1\n")
    ct = add_volume(harness.scene, ct_like(), "CT")
    moving = add_volume(harness.scene, ct_like(30), "sCT")
    nodes = harness.scene.GetNumberOfNodes()
    job = logic.startRegister(ct, moving, deformable=False)
    with pytest.raises(SyntheticCTError, match=r"BRAINSFit ended with status 1.*overlap"):
        job.wait()
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


def test_brainsfit_can_bend_too(harness, logic, brainsfit):
    fixed = ct_like()
    ct = add_volume(harness.scene, fixed, "CT")
    moving = add_volume(harness.scene, rotated(fixed), "sCT")
    results = logic.startRegister(ct, moving, rigid="library", deformableBy="brainsfit").wait()
    runs = brainsfit()
    assert runs
    assert all("--useBSpline" in run for run in runs)
    assert error(image_from_node(results.registered["sCT"]), fixed) < 1.5 * best(fixed)


@pytest.mark.parametrize("at_s", [0.0, 0.3, 1.0])
def test_a_scene_closed_while_brainsfit_runs_ends_it(harness, logic, brainsfit, at_s):
    program = brainsfit.program
    program.write_text(f"#!/bin/sh\necho $$ > {program}.pid\nexec sleep 60\n")
    ct = add_volume(harness.scene, ct_like(), "CT")
    moving = add_volume(harness.scene, ct_like(30), "sCT")
    job = logic.startRegister(ct, moving, deformable=False)
    pid = program.with_name("BRAINSFit.pid")
    harness.process_events(until=pid.is_file, timeout_s=30)
    end = time.monotonic() + at_s
    harness.process_events(until=lambda: time.monotonic() >= end)
    harness.close_scene()
    assert job.state == "cancelled"
    with pytest.raises(OSError, match="No such process"):
        os.kill(int(pid.read_text()), 0)
    assert not job.folder.exists()


def test_a_removed_input_ends_the_job_at_once_and_that_is_said(harness, logic, brainsfit):
    brainsfit.program.write_text("#!/bin/sh\nexec sleep 60\n")
    ct = add_volume(harness.scene, ct_like(), "CT")
    moving = add_volume(harness.scene, ct_like(30), "sCT")
    job = logic.startRegister(ct, moving, deformable=False)
    end = time.monotonic() + 0.5
    harness.process_events(until=lambda: time.monotonic() >= end)
    harness.scene.RemoveNode(moving)
    with pytest.raises(SyntheticCTError, match="sCT was removed"):
        job.wait()
    assert job.state == "failed"
