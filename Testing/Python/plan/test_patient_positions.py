"""How the patient lay in the CT, and lies in the plan."""

import dataclasses

import numpy as np
import pytest
from dicom_files import edit, write_series
from rt_plans import arc_plan, item, rtplan_dataset, saved
from SyntheticCTEvalLib.plan.reading import read_plan, require_frame_of
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import SILENT, NotedProgress
from SyntheticCTLib.dicom.frame_of_reference import position_of
from SyntheticCTLib.volumes.reading import read_volume
from SyntheticCTLib.volumes.writing import write_volume


def scanned(folder, position):
    """A CT that was scanned in a position; None leaves it out."""
    stored = np.random.default_rng(1).integers(0, 2000, (4, 8, 8)).astype(np.uint16)
    for path in write_series(folder, stored):
        if position is not None:
            edit(path, PatientPosition=position)
    return read_volume(folder, "phantom")


@pytest.mark.parametrize("position", ["HFS", "FFP", None])
def test_a_volume_of_dicom_tells_how_the_patient_lay(position, tmp_path):
    ct = scanned(tmp_path / "ct", position)
    assert position_of(ct) == (position or "")
    write_volume(ct, tmp_path / "ct.nii.gz")
    assert position_of(read_volume(tmp_path / "ct.nii.gz", "phantom")) == ""


@pytest.mark.parametrize(
    ("ct", "plan", "refused"),
    [
        ("HFP", "HFP", False),
        ("FFS", "HFP", True),
        ("HFS", "HFP", True),
        (None, "HFP", False),
        ("", "FFS", False),
    ],
)
def test_a_plan_of_another_position_than_the_cts_is_refused(ct, plan, refused, tmp_path):
    image = scanned(tmp_path, ct)
    given = arc_plan(patient_position=plan, frame_of_reference="1.2.3.4")
    if refused:
        with pytest.raises(SyntheticCTError, match=f"position {plan}, and the CT .* {ct}, so"):
            require_frame_of(given, image)
    else:
        noted = NotedProgress(SILENT)
        require_frame_of(given, image, noted)
        assert noted.warnings == []


@pytest.mark.parametrize("setup", [[], [item(PatientSetupNumber=1, PatientPosition=" ")]])
def test_a_plan_without_a_position_is_taken_for_hfs_unless_the_ct_says_otherwise(setup, tmp_path):
    dataset = rtplan_dataset()
    dataset.PatientSetupSequence = setup
    noted = NotedProgress(SILENT)
    plan = read_plan(saved(dataset, tmp_path / "plan.dcm"), noted)
    assert (plan.patient_position, plan.position_told) == ("HFS", False)
    assert any("head first, on the back" in note for note in noted.warnings)
    require_frame_of(plan, scanned(tmp_path / "hfs", "HFS"))
    with pytest.raises(SyntheticCTError, match="position FFS, so that HFS cannot be assumed"):
        require_frame_of(plan, scanned(tmp_path / "ffs", "FFS"))
    told = dataclasses.replace(plan, position_told=True)
    with pytest.raises(SyntheticCTError, match="made on this CT"):
        require_frame_of(told, scanned(tmp_path / "ffs again", "FFS"))
