"""The command ``dose`` writes its doses as RTDOSE as well, where CT and plan say whose they are."""

import dataclasses
import json

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from dicom_files import edit, write_series
from montecarlo_cases import cylinder, gaussian_scattering, square_field
from mr_series import judged
from SyntheticCTEvalLib.dose.reading import read_dose
from SyntheticCTEvalLib.montecarlo import doses
from SyntheticCTEvalLib.plan.writing import write_plan
from SyntheticCTLib.volumes.marks import label_synthetic
from SyntheticCTProgram.program import main


@pytest.fixture
def case(tmp_path, monkeypatch):
    """A CT as DICOM, a synthetic CT of 30 HU more, and a plan in the CT's frame."""
    monkeypatch.setattr(doses, "scattering_tables", gaussian_scattering)
    ct, body = cylinder()
    stored = (sitk.GetArrayFromImage(ct).astype(int) + 1024).astype(np.uint16)
    write_series(tmp_path / "ct", stored, origin=ct.GetOrigin(), spacing=ct.GetSpacing())
    denser = sitk.Cast(ct + 30 * sitk.Cast(body, sitk.sitkInt16), sitk.sitkInt16)
    label_synthetic(denser, "abcdef0123", "T2w TSE, female pelvis")
    sitk.WriteImage(denser, str(tmp_path / "sct.nrrd"))
    sitk.WriteImage(ct, str(tmp_path / "ct.nrrd"))
    plan = dataclasses.replace(square_field(30.0, mu=400.0), frame_of_reference="1.2.3.4")
    write_plan(plan, tmp_path / "plan.dcm")
    edit(tmp_path / "plan.dcm", PatientID="4711")
    return tmp_path


def run(case, *more, ct="ct", out="out"):
    return main(
        [
            *("dose", "--plan", str(case / "plan.dcm"), "--ct", str(case / ct)),
            *("--output", str(case / out), "--photons", "20000", "--minutes", "0.001"),
            *("--spacing", "10", *more),
        ]
    )


def test_doses_are_rtdose_of_the_plan_and_the_cts_patient(case):
    assert run(case, "--candidate", f"a new sCT={case / 'sct.nrrd'}") == 0
    plan = pydicom.dcmread(case / "plan.dcm")
    ct = pydicom.dcmread(next((case / "ct").iterdir()))
    uids = set()
    for name in ("CT", "a new sCT"):
        path = case / "out" / f"dose_{name}.dcm"
        assert judged(path) == []
        file = pydicom.dcmread(path)
        for element in ("PatientID", "PatientName", "StudyInstanceUID", "FrameOfReferenceUID"):
            assert file[element].value == ct[element].value
        (named,) = file.ReferencedRTPlanSequence
        assert named.ReferencedSOPInstanceUID == plan.SOPInstanceUID
        assert (file.DoseUnits, file.DoseType, file.DoseSummationType) == ("GY", "PHYSICAL", "PLAN")
        assert file.DoseComment.startswith(f"Monte Carlo on {name}, noise ")
        assert file.DoseComment.endswith(" %; research use")
        assert "not a medical device" in file.ImageComments
        uids |= {file.SOPInstanceUID, file.SeriesInstanceUID}
        volume = sitk.ReadImage(str(case / "out" / f"dose_{name}.nrrd"))
        found = read_dose(path)
        values, expected = map(sitk.GetArrayFromImage, (found, volume))
        expected = np.maximum(expected, 0)  # below is noise
        np.testing.assert_allclose(values, expected, atol=0.51 * expected.max() / (2**16 - 2))
        for geometry in ("GetOrigin", "GetSpacing", "GetDirection"):
            np.testing.assert_allclose(
                getattr(found, geometry)(), getattr(volume, geometry)(), atol=1e-6
            )
        spread = sitk.GetArrayFromImage(
            sitk.ReadImage(str(case / "out" / f"uncertainty_{name}.nrrd"))
        )
        high = expected >= 0.5 * expected.max()
        noise = 100 * np.sqrt((spread[high].astype(float) ** 2).mean()) / expected[high].mean()
        assert f"noise {noise:.2f} %" in file.DoseComment
    assert len(uids) == 4
    assert "a synthetic CT, model T2w TSE, female pelvis, SHA-256 abcdef0123" in file.ImageComments
    notes = json.loads((case / "out" / "dose.json").read_text())["notes"]
    assert not any("marked as a synthetic CT" in note for note in notes)  # it is to be one
    assert run(case) == 0  # what was written of the candidate goes
    assert not (case / "out" / "dose_a new sCT.dcm").exists()


@pytest.mark.parametrize("without", ["ct", "plan", "patient"])
def test_without_owner_there_is_no_rtdose_and_the_reason_is_told(without, case, capsys):
    if without == "plan":
        plan = pydicom.dcmread(case / "plan.dcm")
        del plan.SOPInstanceUID
        plan.save_as(case / "plan.dcm")
    if without == "patient":
        edit(case / "plan.dcm", PatientID="0815")
    assert run(case, ct="ct.nrrd" if without == "ct" else "ct") == 0
    notes = json.loads((case / "out" / "dose.json").read_text())["notes"]
    told = [note for note in notes if note.startswith("The doses are written as volumes")]
    reason = {"ct": "is no DICOM", "plan": "no UID of its own", "patient": "another patient ID"}
    assert len(told) == 1 and reason[without] in told[0]
    assert not list((case / "out").glob("*.dcm")) and (case / "out" / "dose_CT.nrrd").is_file()


def test_neither_input_nor_a_file_of_somebody_else_is_replaced(case, capsys):
    (case / "out").mkdir()
    plan = case / "out" / "dose_CT.dcm"
    plan.write_bytes((case / "plan.dcm").read_bytes())
    other = case / "out" / "dose_of_the_clinic.dcm"
    other.write_bytes(next((case / "ct").iterdir()).read_bytes())
    before = plan.read_bytes()
    assert run(case, "--plan", str(plan)) == 2
    assert "would overwrite the input" in capsys.readouterr().err
    assert plan.read_bytes() == before and not (case / "out" / "dose.json").exists()
    plan.unlink()
    assert run(case) == 0 and run(case) == 0
    assert other.is_file()
