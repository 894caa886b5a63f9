"""The command read-rt: what planning systems export, as plain files in Gy and masks."""

from __future__ import annotations

import json

import numpy as np
import pytest
import SimpleITK as sitk
from dose_files import STORED, rtdose
from structure_files import rtplan, rtstruct, square
from SyntheticCTEvalLib.dose.rtplan import read_prescription
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import SILENT, NotedProgress
from SyntheticCTLib.volumes.grids import grid_of
from SyntheticCTLib.volumes.mask_folder import read_masks
from SyntheticCTLib.volumes.writing import write_volume
from SyntheticCTProgram.program import main

CT = grid_of((60, 60, 40), (2.0, 2.0, 3.0), (-60.0, -60.0, -60.0))


@pytest.fixture
def ct(tmp_path):
    image = sitk.Cast(CT, sitk.sitkInt16) - 1000
    image[15:45, 15:45, 5:35] = 40
    return write_volume(image, tmp_path / "ct.nrrd") or tmp_path / "ct.nrrd"


def run(*arguments) -> int:
    return main(["read-rt", *map(str, arguments)])


def test_dose_structures_and_prescription_are_read(tmp_path, ct):
    dose = rtdose(tmp_path / "RD.DOE.dcm", SeriesDescription="Plan dose")
    contours = [square(z) for z in (-6.0, -3.0, 0.0, 3.0)]
    structures = rtstruct(tmp_path / "RS.DOE.dcm", {"PTV": contours})
    plan = rtplan(tmp_path / "RP.DOE.dcm", 45.0)
    out = tmp_path / "out"
    assert run(dose, structures, plan, "--ct", ct, "--output", out) == 0
    first, second, third = json.loads((out / "rt.json").read_text())
    values = sitk.GetArrayFromImage(sitk.ReadImage(str(out / first["file"])))
    assert values == pytest.approx(STORED * 0.0001)
    assert first["name"] == "Plan dose"
    mask = read_masks(out / second["file"])["PTV"]
    volume = np.count_nonzero(sitk.GetArrayViewFromImage(mask)) * np.prod(mask.GetSpacing())
    assert volume == pytest.approx(20 * 20 * 12, rel=0.02)
    assert third["prescription_gy"] == 45
    assert "DOE" not in (out / "rt.json").read_text().upper()


def test_a_second_run_leaves_nothing_of_the_first(tmp_path, ct):
    dose, plan = rtdose(tmp_path / "dose.dcm"), rtplan(tmp_path / "plan.dcm", 60)
    out = tmp_path / "out"
    assert run(dose, "--output", out) == 0
    assert run(plan, "--output", out) == 0
    assert [item.name for item in out.iterdir()] == ["rt.json"]


def test_the_highest_of_several_prescriptions_is_taken_and_all_are_told(tmp_path):
    noted = NotedProgress(SILENT)
    assert read_prescription(rtplan(tmp_path / "p.dcm", 50.4, 61.6), noted) == 61.6
    assert "50.4, 61.6 Gy" in noted.warnings[0]


def test_what_cannot_be_read_is_refused_in_a_sentence(tmp_path, ct, capsys):
    with pytest.raises(SyntheticCTError, match="does not say which dose"):
        read_prescription(rtplan(tmp_path / "p.dcm"))
    with pytest.raises(SyntheticCTError, match=r"prescribes 5500 Gy .* cannot be"):
        read_prescription(rtplan(tmp_path / "p.dcm", 5500, 45))
    with pytest.raises(SyntheticCTError, match="no DICOM RTPLAN"):
        read_prescription(rtdose(tmp_path / "d.dcm"))
    assert run(ct, "--output", tmp_path / "out") == 2
    assert "no RTDOSE, RTSTRUCT or RTPLAN" in capsys.readouterr().err
    assert run(tmp_path / "absent.dcm", "--output", tmp_path / "out") == 2
    structures = rtstruct(tmp_path / "s.dcm", {"PTV": [square(0.0)]})
    assert run(structures, "--output", tmp_path / "out") == 2
    assert "--ct" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_an_index_that_names_files_elsewhere_removes_none_of_them(tmp_path):
    out, mine = tmp_path / "out", tmp_path / "mine.nrrd"
    out.mkdir()
    mine.write_text("mine")
    named = [{"file": "0.nrrd"}, {"file": "../mine.nrrd"}, {"file": str(mine)}]
    (out / "rt.json").write_text(json.dumps(named))
    (out / "0.nrrd").write_text("earlier")
    assert run(rtplan(tmp_path / "p.dcm", 45), "--output", out) == 0
    assert mine.exists() and [path.name for path in out.iterdir()] == ["rt.json"]


def test_files_of_two_patients_are_not_mixed_unasked(tmp_path, capsys):
    files = [
        rtdose(tmp_path / f"{name}.dcm", PatientID=patient)
        for name, patient in (("a", "one"), ("b", ""), ("c", "two"))
    ]
    out = tmp_path / "out"
    assert run(*files, "--output", out) == 2
    told = capsys.readouterr().err
    assert "a.dcm" in told and "c.dcm" in told and not out.exists()
    assert run(*files, "--output", out, "--several-patients") == 0
    assert len(json.loads((out / "rt.json").read_text())) == 3
