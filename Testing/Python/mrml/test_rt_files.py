"""RTDOSE, RTSTRUCT and RTPLAN files in a Slicer without SlicerRT."""

from __future__ import annotations

import pytest
import SimpleITK as sitk
from dicom_files import edit
from dose_files import STORED, rtdose
from structure_files import rtplan, rtstruct, square
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.volumes.grids import grid_of

pytest.importorskip("slicer", reason="slicer-core is not installed")
from SyntheticCTEvalMRML.dose_nodes import dose_of
from SyntheticCTMRML.nodes import add_volume, image_from_node
from SyntheticCTMRML.roles import of_one_patient

CT = grid_of((60, 60, 40), (2.0, 2.0, 3.0), (-60.0, -60.0, -60.0))


@pytest.fixture
def ct(harness):
    image = sitk.Cast(CT, sitk.sitkInt16) - 1000
    image[15:45, 15:45, 5:35] = 40
    return add_volume(harness.scene, image, "CT")


def test_a_click_reads_dose_structures_and_prescription(harness, tmp_path, ct):
    panel = harness.open_panel("SyntheticCTEval")
    panel.ui.ctSelector.setCurrentNode(None)
    assert not panel.ui.readRtButton.enabled
    assert "Choose the true CT" in panel.ui.readRtButton.toolTip
    panel.ui.ctSelector.setCurrentNode(ct)
    dose = rtdose(tmp_path / "RD.DOE.dcm", SeriesDescription="Plan dose")
    contours = [square(z) for z in (-6.0, -3.0, 0.0, 3.0)]
    files = [dose, rtstruct(tmp_path / "RS.dcm", {"PTV": contours}), rtplan(tmp_path / "p.dcm", 45)]
    harness.dialogs.paths.append(files)
    harness.click(panel.ui.readRtButton)
    harness.process_events(until=lambda: not panel.jobPanel.busy, timeout_s=60)
    assert panel.jobPanel.error == ""
    node = panel.parameters.referenceDose
    assert node.GetName() == "Plan dose"
    assert sitk.GetArrayFromImage(image_from_node(node)) == pytest.approx(STORED * 0.0001)
    # It is in Gy already, whatever the panel says of other volumes.
    assert sitk.GetArrayFromImage(dose_of(node, "cGy")) == pytest.approx(STORED * 0.0001)
    structures = panel.parameters.structures
    assert structures.GetSegmentation().GetNthSegment(0).GetName() == "PTV"
    assert panel.parameters.prescription == 45


def test_a_dose_that_slicer_has_loaded_as_stored_numbers_is_refused(harness, ct):
    image = sitk.Cast(CT, sitk.sitkFloat32)
    image[30, 30, 20] = 1048626
    node = add_volume(harness.scene, image, "RTDOSE")
    tree = harness.scene.GetSubjectHierarchyNode()
    item = tree.GetItemByDataNode(node) or tree.CreateItem(tree.GetSceneItemID(), node)
    tree.SetItemAttribute(item, "DICOM.Modality", "RTDOSE")
    for unit in ("Gy", "cGy", None):
        with pytest.raises(SyntheticCTError, match="Read RT files"):
            dose_of(node, unit)


def test_files_that_are_none_are_refused_without_their_names(harness, tmp_path, ct):
    logic = harness.load_module("SyntheticCTEval").SyntheticCTEvalLogic()
    (tmp_path / "SMITH.txt").write_text("no DICOM")
    with pytest.raises(SyntheticCTError, match="no RTDOSE") as told:
        logic.startReadRtFiles([str(tmp_path / "SMITH.txt")], ct).wait()
    assert "SMITH" not in str(told.value)
    with pytest.raises(SyntheticCTError, match="No file was chosen"):
        logic.startReadRtFiles([], ct)


def test_what_was_read_before_it_was_cancelled_goes_again(harness, tmp_path, ct):
    import json

    from SyntheticCTEvalMRML.rt_files import _adding
    from SyntheticCTLib.volumes.writing import write_volume

    write_volume(sitk.Cast(CT, sitk.sitkFloat32) + 5, tmp_path / "0.nrrd", compress=False)
    entries = [{"kind": "RTDOSE", "name": "Plan", "file": "0.nrrd"}] * 2
    (tmp_path / "rt.json").write_text(json.dumps(entries))
    volumes = harness.scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode")
    steps = _adding(tmp_path, ct, print, ["first.dcm", "second.dcm"])
    while harness.scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == volumes:
        next(steps)
    steps.close()
    assert harness.scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == volumes


def test_files_are_called_by_their_numbers_however_their_paths_are_spelt(harness, tmp_path, ct):
    logic = harness.load_module("SyntheticCTEval").SyntheticCTEvalLogic()
    (tmp_path / "SMITH1").write_text("no DICOM")
    (tmp_path / "SMITH10").write_text("no DICOM")
    rtdose(tmp_path / "SMITH1")
    with pytest.raises(SyntheticCTError, match="The file file 2 is no RTDOSE") as told:
        logic.startReadRtFiles([f"{tmp_path}//SMITH1", f"{tmp_path}//SMITH10"], ct).wait()
    assert "SMITH" not in str(told.value)


def test_two_plans_that_differ_give_no_prescription_but_a_warning(harness, tmp_path, ct):
    logic = harness.load_module("SyntheticCTEval").SyntheticCTEvalLogic()
    files = [str(rtplan(tmp_path / f"{dose}.dcm", dose)) for dose in (45, 60)]
    job = logic.startReadRtFiles(files, ct)
    assert job.wait().prescription_gy is None
    assert "different doses (45, 60 Gy)" in "".join(job.log)


@pytest.mark.parametrize("patient", ["4711", "another"])
def test_files_of_another_patient_are_not_put_under_the_cts(harness, tmp_path, ct, patient):
    logic = harness.load_module("SyntheticCTEval").SyntheticCTEvalLogic()
    tree = harness.scene.GetSubjectHierarchyNode()
    item = tree.CreateSubjectItem(tree.GetSceneItemID(), "patient")
    tree.SetItemAttribute(item, "DICOM.PatientID", "4711")
    tree.CreateItem(item, ct)
    contours = [square(z) for z in (-6.0, -3.0, 0.0, 3.0)]
    file = rtstruct(tmp_path / "RS.dcm", {"PTV": contours})
    edit(file, PatientID=patient)
    job = logic.startReadRtFiles([str(file)], ct)
    (structures,) = job.wait().structures
    assert of_one_patient(ct, structures) is (patient == "4711")
    assert ("not all of one patient" in "".join(job.log)) is (patient != "4711")
    assert "another" not in "".join(job.log)
