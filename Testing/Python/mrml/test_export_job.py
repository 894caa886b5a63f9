"""Export as DICOM from the logic and by the panel's button."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from mr_series import FRAME, STUDY, mr_and_sct, write_mr
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.volumes.reading import read_volume

pytest.importorskip("slicer", reason="slicer-core is not installed")
from SyntheticCTMRML.nodes import add_volume


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
