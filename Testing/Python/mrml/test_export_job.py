"""Export as DICOM from the logic and by the panel's button."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from mr_series import FRAME, GRID, OBLIQUE, STUDY, mr_and_sct, write_mr
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.volumes.grids import same_grid
from SyntheticCTLib.volumes.reading import read_volume

pytest.importorskip("slicer", reason="slicer-core is not installed")
from SyntheticCTMRML.hierarchy import SOURCE
from SyntheticCTMRML.nodes import add_volume, image_from_node

OBLIQUE_GRID = sitk.Image(GRID)
OBLIQUE_GRID.SetDirection(OBLIQUE)


@pytest.fixture
def files(tmp_path):
    mr, sct = mr_and_sct()
    write_mr(tmp_path / "mr", mr)
    return mr, sct, str(tmp_path / "mr"), str(tmp_path / "out")


def test_a_script_exports_a_node_into_the_study_of_its_mr(harness_without_window, files):
    _mr, sct, folder, out = files
    logic = harness_without_window.load_module("SyntheticCT").SyntheticCTLogic()
    node = add_volume(harness_without_window.scene, sct, "sCT of Jane Doe")
    assert logic.exportDicom(node, folder, out, body=True, seed_uids=True) == out
    back = read_volume(out, "CT")
    assert np.array_equal(sitk.GetArrayFromImage(back), sitk.GetArrayFromImage(sct))
    assert np.allclose(back.GetOrigin(), sct.GetOrigin())
    first = pydicom.dcmread(f"{out}/CT_0001.dcm")
    assert (first.StudyInstanceUID, first.FrameOfReferenceUID) == (STUDY, FRAME)
    for word in ("abcdef0123", "T2w TSE, female pelvis"):
        assert word in first.DerivationDescription
    assert pydicom.dcmread(f"{out}/RTSTRUCT.dcm").StructureSetROISequence[0].ROIName == "BODY"
    with pytest.raises(SyntheticCTError, match="choose both"):
        logic.exportDicom(node, "", out)


def test_the_button_asks_for_two_folders_and_exports(harness, files):
    mr, sct, folder, out = files
    panel = harness.open_panel("SyntheticCT")
    settings = panel.logic.getParameterNode()
    panel.ui.mrSelector.setCurrentNode(add_volume(harness.scene, mr, "T2"))
    harness.process_events()
    assert not panel.ui.exportButton.enabled
    settings.sctVolume = add_volume(harness.scene, sct, "sCT")
    harness.process_events()
    harness.dialogs.paths += [folder, out]
    harness.click(panel.ui.exportButton)
    harness.process_events(lambda: not panel.jobPanel.busy, timeout_s=60)
    assert panel.jobPanel.error == ""
    assert read_volume(out, "CT").GetSize() == sct.GetSize()


def loaded(scene, paths):
    """A series as Slicer's DICOM module leaves it: read by its reader, with its instance UIDs."""
    import slicer

    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "loaded")
    storage = slicer.vtkMRMLVolumeArchetypeStorageNode()
    storage.SetSingleFile(0)
    for path in paths:
        storage.AddFileName(str(path))
    storage.SetFileName(str(paths[0]))
    assert storage.ReadData(node)
    uids = [pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID for path in paths]
    node.SetAttribute("DICOM.instanceUIDs", " ".join(uids))
    return node


def by_position(folder):
    paths = sorted(Path(folder).glob("*"))
    return sorted(paths, key=lambda path: pydicom.dcmread(path).ImagePositionPatient[2])


@pytest.mark.parametrize("grid", [GRID, OBLIQUE_GRID], ids=["axial", "oblique"])
def test_slicers_own_reader_gives_every_voxel_back(harness_without_window, tmp_path, grid):
    mr, sct = mr_and_sct(grid)
    write_mr(tmp_path / "mr", mr)
    logic = harness_without_window.load_module("SyntheticCT").SyntheticCTLogic()
    node = add_volume(harness_without_window.scene, sct, "sCT")
    out = tmp_path / "out"
    logic.exportDicom(node, str(tmp_path / "mr"), str(out))
    back = image_from_node(loaded(harness_without_window.scene, by_position(out)))
    expected = sct if grid is GRID else read_volume(out, "CT")
    assert same_grid(back, expected)
    assert np.array_equal(sitk.GetArrayFromImage(back), sitk.GetArrayFromImage(expected))


def test_the_database_tells_the_mr_and_takes_the_export(harness, files, tmp_path):
    """As in Slicer: MR loaded by its DICOM module, synthetic CT made, exported, loaded again."""
    _mr, sct, folder, out = files
    database = harness.dicom_database.opened()
    for path in Path(folder).iterdir():
        database.add(str(path), True)
    panel = harness.open_panel("SyntheticCT")
    mr_node = loaded(harness.scene, by_position(folder))
    panel.ui.mrSelector.setCurrentNode(mr_node)
    node = add_volume(harness.scene, sct, "sCT")
    node.AddNodeReferenceID(SOURCE, mr_node.GetID())
    panel.logic.getParameterNode().sctVolume = node
    harness.process_events()
    harness.dialogs.paths += [out]
    harness.click(panel.ui.exportButton)
    harness.process_events(lambda: not panel.jobPanel.busy, timeout_s=60)
    assert panel.jobPanel.error == ""
    kept = [pydicom.dcmread(path) for path in database.files.values()]
    made = [ds for ds in kept if ds.Modality == "CT"]
    assert len(made) == sct.GetSize()[2] and {ds.Modality for ds in kept} == {
        "MR",
        "CT",
        "RTSTRUCT",
    }
    assert {(ds.StudyInstanceUID, ds.FrameOfReferenceUID) for ds in made} == {(STUDY, FRAME)}
    again = loaded(
        harness.scene, by_position(Path(database.fileForInstance(made[0].SOPInstanceUID)).parent)
    )
    assert same_grid(image_from_node(again), sct)
    assert np.array_equal(
        sitk.GetArrayFromImage(image_from_node(again)), sitk.GetArrayFromImage(sct)
    )


def test_a_database_that_does_not_know_the_mr_leaves_the_question(harness_without_window, files):
    _mr, sct, folder, out = files
    scene = harness_without_window.scene
    logic = harness_without_window.load_module("SyntheticCT").SyntheticCTLogic()
    node = add_volume(scene, sct, "sCT")
    node.AddNodeReferenceID(SOURCE, loaded(scene, by_position(folder)).GetID())
    harness_without_window.dicom_database.opened()
    with pytest.raises(SyntheticCTError, match="choose both"):
        logic.exportDicom(node, "", out)
    for path in Path(folder).iterdir():
        harness_without_window.dicom_database.add(str(path), False)
    assert logic.exportDicom(node, "", out) == out
