"""A cohort's manifest: what is taken from it, what is left out and said, what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
from dicom_files import dataset, save_dicom
from pydicom.dataset import Dataset
from pydicom.uid import SpatialRegistrationStorage
from structure_files import rtstruct, square
from SyntheticCTEvalLib.cohort.manifest import PatientEntry, read_cohort_manifest
from SyntheticCTLib.basics.errors import SyntheticCTError

FULL = (
    "patient,ct,mr,structures,region,target,prescription_gy,dose_ct,dose_unit,"
    "candidate_sCT,dose_sCT,candidate_MRCAT,dose_MRCAT"
)


@pytest.fixture
def manifest(tmp_path):
    def write(*lines: str):
        path = tmp_path / "manifest.csv"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    return write


def test_every_column_reaches_the_patient(manifest):
    path = manifest(FULL, "p 1,ct,mr,s.dcm,r.nrrd,PTV 45,45,d.dcm,cGy,s.nrrd,ds.dcm,m.nrrd,dm.dcm")
    (entry,), notes = read_cohort_manifest(path)
    folder = path.parent
    assert notes == []
    assert entry.notes == ()
    assert (entry.patient, entry.target, entry.prescription_gy) == ("p 1", "PTV 45", 45.0)
    assert (entry.dose, entry.dose_unit) == (True, "cGy")
    assert list(entry.candidates) == ["sCT", "MRCAT"]
    assert entry.inputs() == {
        "CT": folder / "ct",
        "MR": folder / "mr",
        "structures": folder / "s.dcm",
        "region": folder / "r.nrrd",
        "dose on the CT": folder / "d.dcm",
        "candidate sCT": folder / "s.nrrd",
        "candidate MRCAT": folder / "m.nrrd",
        "dose on sCT": folder / "ds.dcm",
        "dose on MRCAT": folder / "dm.dcm",
    }


def test_missing_columns_are_told_with_what_they_leave_out(manifest):
    (entry,), notes = read_cohort_manifest(
        manifest("patient,ct,candidate_a,site,dose_b", "p,ct.nrrd,a.nrrd,x,y")
    )
    told = " ".join(notes)
    for words in ("site, dose_b", "no column mr", "recalculated", "45 Gy", "no column structures"):
        assert words in told
    assert entry.dose and entry.dose_ct is None
    _, notes = read_cohort_manifest(manifest("patient,ct,candidate_a", "p,c,a"), dose=False)
    assert len(notes) == 1
    assert "mr" in notes[0]


def test_an_empty_cell_leaves_out_that_part_for_that_patient_only(manifest):
    path = manifest(
        "patient,ct,mr,structures,prescription_gy,dose_ct,candidate_a,dose_a,candidate_b,dose_b",
        "whole,c,m,s,45,d,a,da,b,db",
        "no_b,c,m,s,45,d,a,da,,db",
        "no_dose_ct,c,m,s,45,,a,da,b,db",
        "no_mr,c,,,,d,a,da,b,",
        "nothing,c,m,s,45,d,,da,,db",
    )
    entries = {entry.patient: entry for entry in read_cohort_manifest(path)[0]}
    assert entries["whole"].notes == ()
    assert list(entries["no_b"].candidates) == list(entries["no_b"].doses) == ["a"]
    assert "No candidate b" in entries["no_b"].notes[0]
    assert entries["no_dose_ct"].dose is False
    assert entries["no_dose_ct"].doses == {}
    assert "dose was left out" in " ".join(entries["no_dose_ct"].notes)
    assert list(entries["no_mr"].doses) == ["a"]
    assert "No MR" in " ".join(entries["no_mr"].notes)
    assert "No structures" in " ".join(entries["no_mr"].notes)
    assert "No candidate" in entries["nothing"].fault
    assert not any(entry.fault for name, entry in entries.items() if name != "nothing")


def test_a_model_makes_a_candidate_where_there_is_an_mr(manifest):
    path = manifest("patient,ct,mr,dose_ct,dose_sCT", "p,c,m,d,ds", "q,c,,d,ds")
    (with_mr, without), notes = read_cohort_manifest(path, model=True)
    assert list(with_mr.doses) == ["sCT"]
    assert with_mr.fault == ""
    assert "No candidate" in without.fault
    assert "dose_sCT" not in " ".join(notes)


@pytest.mark.parametrize(
    ("lines", "model", "words"),
    [
        (["patient,ct,mr", "p,c,m"], False, "no candidates"),
        (["patient,ct,candidate_a", "p,c,a"], True, "no column mr"),
        (["patient,ct,mr,candidate_sCT", "p,c,m,s"], True, "which the model makes"),
        (["patient,ct,candidate_a,candidate_A", "p,c,a,a"], False, "two candidates A"),
        (["patient,ct,candidate_a/b", "p,c,a"], False, "names no candidate"),
        (["patient,ct,candidate_ct", "p,c,a"], False, "another name than ct"),
        (["patient,ct,candidate_a", "../p,c,a"], False, "the name of a folder"),
        (["patient,ct,candidate_a", ".p,c,a"], False, "the name of a folder"),
        (["patient,ct,candidate_a", "nul,c,a"], False, "the name of a folder"),
        (["patient,ct,candidate_a", "p,c,a", "P,c,a"], False, "capital letters"),
        (["patient,ct,candidate_a", "p,c,a", "p,c,a"], False, "second time"),
        (["patient,ct,candidate_a", "p,,a"], False, "has no ct"),
        (["patient,candidate_a", "p,a"], False, "lacks the column ct"),
        (["patient,ct,candidate_a,candidate_a", "p,c,a,b"], False, "twice"),
        (["patient,ct,candidate_a", "p,c,a,b"], False, "more cells"),
        (["patient,ct,candidate_a"], False, "no rows"),
    ],
)
def test_what_cannot_be_used_is_refused_in_a_sentence(manifest, lines, model, words):
    with pytest.raises(SyntheticCTError, match=words):
        read_cohort_manifest(manifest(*lines), model=model)


@pytest.mark.parametrize("cell", ["45 Gy", "-1", "nan", "0"])
def test_a_prescription_that_is_no_dose_fails_its_patient_only(manifest, cell):
    path = manifest("patient,ct,candidate_a,prescription_gy", f"p,c,a,{cell}", "q,c,a,45")
    bad, good = read_cohort_manifest(path)[0]
    assert cell in bad.fault
    assert good.fault == ""


@pytest.mark.parametrize(("cell", "gray"), [("50,4", 50.4), ("1,8", 1.8), ("50.4", 50.4)])
def test_a_prescription_may_have_the_comma_of_the_table_that_it_comes_from(manifest, cell, gray):
    path = manifest("patient;ct;candidate_a;prescription_gy", f"p;c;a;{cell}")
    assert read_cohort_manifest(path)[0][0].prescription_gy == gray
    path = manifest("Patient;CT;Candidate_a;Prescription_Gy", "p;c;a;1,800")  # 1.8 or 1800?
    assert "'1,800' is no dose" in read_cohort_manifest(path)[0][0].fault


@pytest.mark.parametrize("cell", [r"p1\ct.nrrd", '"""p1/ct.nrrd"""', "'p1/ct.nrrd'", "p1/ct.nrrd"])
def test_paths_as_windows_writes_them_are_found(manifest, tmp_path, cell):
    (tmp_path / "p1").mkdir()
    (tmp_path / "p1" / "ct.nrrd").touch()
    (entry,), _ = read_cohort_manifest(manifest("patient,ct,candidate_a", f"p,{cell},a.nrrd"))
    assert entry.ct == tmp_path / "p1" / "ct.nrrd"


def test_a_backslash_in_a_name_that_is_there_stays(manifest, tmp_path):
    (tmp_path / r"c\t.nrrd").touch()
    (entry,), _ = read_cohort_manifest(manifest("patient,ct,candidate_a", r"p,c\t.nrrd,a.nrrd"))
    assert entry.ct == tmp_path / r"c\t.nrrd"


def test_cells_that_say_that_they_are_empty_are(manifest):
    (one, two), _ = read_cohort_manifest(
        manifest("patient,ct,mr,candidate_a,candidate_b", "NA,c1,n/a,a,NaN", "q,c2,m,None,b")
    )
    assert (one.patient, one.mr, list(one.candidates)) == ("NA", None, ["a"])
    assert list(two.candidates) == ["b"]


def test_a_file_that_several_patients_have_is_told(manifest):
    _, notes = read_cohort_manifest(
        manifest("patient,ct,candidate_a", "p,x/ct.nrrd,a", "q,y/../x/ct.nrrd,b", "r,z/ct.nrrd,d")
    )
    (note,) = [note for note in notes if "same file" in note]
    assert note.startswith("The patients p, q have the same file ct.nrrd (CT)")


def test_registrations_beside_a_structure_set_are_inputs_of_its_patient(tmp_path):
    """Reading takes one without being told: a changed one must redo the patient."""
    rtstruct(tmp_path / "rs.dcm", {"PTV": [square(0.0)]})  # drawn in the frame 1.2.3
    for name, frame in (("reg.dcm", "1.2.3"), ("other.dcm", "1.2.77")):
        found = dataset(tmp_path / name, SpatialRegistrationStorage, "REG")
        found.FrameOfReferenceUID, item = "1.2.9", Dataset()
        item.FrameOfReferenceUID = frame
        found.RegistrationSequence = [item]
        save_dicom(found, tmp_path / name)
    entry = PatientEntry("A", tmp_path / "ct", {}, structures=tmp_path / "rs.dcm")
    beside = [path.name for what, path in entry.inputs().items() if "registration" in what]
    assert beside == ["reg.dcm"]
    given = replace(entry, registration=tmp_path / "given.dcm")
    named = [path.name for what, path in given.inputs().items() if "registration" in what]
    assert named == ["given.dcm"]
    (tmp_path / "labels.nrrd").write_bytes(b"NRRD0004\n")
    for other in (tmp_path / "labels.nrrd", tmp_path, tmp_path / "none", None):
        assert not [w for w in replace(entry, structures=other).inputs() if "registration" in w]
