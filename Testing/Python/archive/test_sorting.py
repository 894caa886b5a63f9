"""Folders of archives: which series there are, of whom, what they refer to, what is damaged."""

from __future__ import annotations

import shutil
from pathlib import Path

import pydicom
import pytest
from archives import CT, T2, Patient, whole_patient
from dicom_files import edit
from pydicom.uid import generate_uid
from SyntheticCTLib.archive.rows import Row
from SyntheticCTLib.archive.sorting import Sorted, sort_folder
from SyntheticCTLib.archive.table import counted, table
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import NotedProgress, Progress


def sort(folder: Path, *chosen: str, index: Path | None = None) -> tuple[Sorted, list[str]]:
    progress = NotedProgress(Progress())
    return sort_folder(folder, index, chosen, progress), progress.warnings


def by_role(rows: list[Row]) -> dict[tuple[str, str], Row]:
    found = {(row.patient, row.role): row for row in rows if row.role}
    assert len(found) == sum(bool(row.role) for row in rows)
    return found


def test_all_patients_mixed_in_one_folder(tmp_path):
    whole_patient(tmp_path)
    whole_patient(tmp_path, Patient("Other^Person", "77"), "B")
    (tmp_path / "notes.txt").write_text("no DICOM")
    result, warnings = sort(tmp_path)
    found = by_role(result.rows)
    assert not warnings
    for patient in ("p01", "p02"):
        roles = {role for who, role in found if who == patient}
        assert roles == {
            *("CT", "MR T2", "MRCAT", "RTSTRUCT", "RTPLAN", "RTDOSE"),
            *("mDixon water", "mDixon fat", "mDixon in-phase", "mDixon opposed"),
        }
        image = found[patient, "CT"]
        for kind in ("RTSTRUCT", "RTPLAN", "RTDOSE"):
            assert found[patient, kind].on is image
        assert image.slices == 5 and image.spacing == pytest.approx((0.8, 1.2, 3))
        assert found[patient, "MR T2"].frame == found[patient, "MRCAT"].frame != image.frame
        assert found[patient, "mDixon water"].part == "W"
        assert "ImageType says water" in found[patient, "mDixon water"].why
        assert "MRCAT's (-968, -86, 42, 198, 949 HU)" in found[patient, "MRCAT"].why
        assert found[patient, "RTDOSE"].why == (
            f"on {image.label} by its plan {found[patient, 'RTPLAN'].label}"
        )
    (scout,) = {row.why for row in result.rows if row.localizer}
    assert scout == "no role here: a localizer"
    assert counted(result.scan, result.copies) == "87 files, 87 of them read now, 1 no DICOM."
    shown = table(result.rows)
    assert all(row.label in shown for row in result.rows)


def test_any_depth_and_a_dicomdir(tmp_path):
    from pydicom.fileset import FileSet

    said = {"StudyDate": "20200101", "StudyTime": "1200", "StudyID": "1", "SeriesNumber": 1}
    medium = FileSet()
    for header in (CT, T2):
        for k, path in enumerate(Patient().image(tmp_path / "in", header, prefix="IM")):
            edit(path, **said, InstanceNumber=k)
            medium.add(path)
    medium.write(tmp_path / "deep" / "medium")
    result, warnings = sort(tmp_path / "deep")
    assert not warnings
    assert {row.role for row in result.rows} == {"CT", "MR T2"}
    assert "1 DICOMDIR" in counted(result.scan, result.copies)
    listed = [entry for entry in result.scan.entries if entry.facts.series]
    (tmp_path / "deep" / listed[0].path).unlink()
    _, warnings = sort(tmp_path / "deep")
    assert "1 file is missing that a DICOMDIR lists" in " ".join(warnings)


def test_files_without_a_preamble(tmp_path):
    for path in Patient().image(tmp_path, T2):
        ds = pydicom.dcmread(path)
        body = path.read_bytes()
        start = 144 + ds.file_meta.FileMetaInformationGroupLength
        path.with_suffix("").write_bytes(body[start:])
        path.unlink()
    result, _ = sort(tmp_path)
    assert [row.role for row in result.rows] == ["MR T2"]


def test_damaged_files_are_named_and_counted(tmp_path):
    paths = Patient().image(tmp_path, CT)
    paths[0].write_bytes(paths[0].read_bytes()[:200])
    paths[1].write_bytes(paths[1].read_bytes()[:-10])
    paths[4].write_bytes(b"")
    (tmp_path / "report.pdf").write_bytes(b"%PDF\0")
    result, warnings = sort(tmp_path)
    assert "3 damaged" in counted(result.scan, 0) and "1 no DICOM" in counted(result.scan, 0)
    (told,) = [w for w in warnings if "left out" in w]
    assert "IM0.dcm is damaged" in told and "IM4.dcm is empty" in told
    assert "IM1.dcm is shorter than its pixels" in told
    (row,) = result.rows
    assert (row.cell is None and "damaged files (3)" in row.no_cell) or "gap" in row.no_cell


def test_copies_are_counted_and_the_whole_folder_is_taken(tmp_path):
    Patient().image(tmp_path / "b", CT)
    (tmp_path / "a").mkdir()
    for name in ("IM0.dcm", "IM3.dcm"):
        shutil.copy(tmp_path / "b" / name, tmp_path / "a" / name)
    result, warnings = sort(tmp_path)
    (row,) = result.rows
    assert (row.slices, row.cell, result.copies) == (5, ("b", ""), 2)
    assert "2 files are left out, with the instance UID of another one" in " ".join(warnings)
    edit(tmp_path / "a" / "IM0.dcm", RescaleIntercept="0")
    result, _ = sort(tmp_path)
    assert result.rows[0].cell is None and "files of one instance UID differ" in table(result.rows)


def test_patients_are_told_apart_and_what_may_be_one_is_named(tmp_path):
    Patient("Doe^Jane", "1").image(tmp_path / "a", CT)
    Patient("DOE^JANE^^", "1").image(tmp_path / "b", CT)  # the same
    Patient("Roe^Rick", "1").image(tmp_path / "c", CT)  # another with her ID
    Patient("Doe^Jane", "2").image(tmp_path / "d", CT)  # she under another ID
    result, warnings = sort(tmp_path)
    assert [row.patient for row in result.rows] == ["p01", "p01", "p02", "p03"]
    assert any(w.startswith("p01 and p02 have one patient ID and differ") for w in warnings)
    assert any(w.startswith("p01 and p03 have one name and birth date") for w in warnings)
    assert not any(word in " ".join(warnings) for word in ("Doe", "Roe", "Jane"))


def test_patients_without_id_and_name_are_told_apart_by_study(tmp_path):
    for place in ("a", "b"):
        for path in Patient("", "").image(tmp_path / place, CT):
            edit(path, PatientBirthDate="")
    result, _ = sort(tmp_path)
    assert [row.patient for row in result.rows] == ["p01", "p02"]


def test_what_rt_files_refer_to_must_be_here(tmp_path):
    who = Patient()
    images = who.image(tmp_path / "in", CT)
    gone = who.image(tmp_path / "out", CT)
    structures = who.rtstruct(tmp_path / "in" / "rs.dcm", gone)
    plan = who.rtplan(tmp_path / "in" / "rp.dcm", structures, 50)
    rows = sort(tmp_path / "in")[0].rows
    found = by_role(rows)
    assert found["p01", "RTSTRUCT"].on is None
    assert found["p01", "RTSTRUCT"].ambiguous.startswith("refers to a series that is not here")
    assert found["p01", "RTPLAN"].on is None
    label = found["p01", "RTSTRUCT"].label
    rows = sort(tmp_path / "in", f"{label}=rtstruct@{found['p01', 'CT'].label}")[0].rows
    assert {row.on.label for row in rows if not row.image} == {found["p01", "CT"].label}
    # A structure set of another patient's images, or of another frame, is not on them.
    other = Patient("Other^One", "9").rtstruct(tmp_path / "in" / "x.dcm", images)
    rows = sort(tmp_path / "in")[0].rows
    assert [row.on for row in rows if row.patient == "p02"] == [None]
    ds = pydicom.dcmread(other)
    ds.PatientID, ds.PatientName = who.header["PatientID"], who.header["PatientName"]
    ds.ReferencedFrameOfReferenceSequence[0].FrameOfReferenceUID = generate_uid()
    ds.save_as(other)
    rows = sort(tmp_path / "in")[0].rows
    (row,) = [row for row in rows if row.facts.instance == ds.SOPInstanceUID]
    assert row.on is None and "another frame of reference" in row.ambiguous
    assert plan.exists()


def test_series_that_cannot_be_volumes_say_why(tmp_path):
    paths = Patient().image(tmp_path / "gap", CT)
    paths[2].unlink()
    Patient().image(tmp_path / "lut", CT | {"RescaleType": "OD"})
    result, _ = sort(tmp_path)
    told = " ".join(row.no_cell for row in result.rows)
    assert "1 slice is missing" in told and "holds OD and not Hounsfield" in told
    assert all(row.cell is None and row.role == "CT" for row in result.rows)


def test_roles_are_set_and_refused(tmp_path):
    Patient().image(tmp_path, CT)
    assert sort(tmp_path, "p01.1=synthetic ct")[0].rows[0].role == "synthetic CT"
    assert sort(tmp_path, "p01.1=none")[0].rows[0].role == ""
    for text, sentence in (
        ("p01.1=MR", "sets no role: write SERIES=ROLE, with one of MR T2, CT"),
        ("p01.1=MR T2", "is of modality CT"),
        ("p01.2=CT", "The series p01.2 is not there"),
        ("p01.1=CT@p01.1", "only RTSTRUCT, RTPLAN and RTDOSE"),
        ("CT", "sets no role"),
    ):
        with pytest.raises(SyntheticCTError, match=sentence):
            sort(tmp_path, text)
    with pytest.raises(SyntheticCTError, match="does not exist"):
        sort(tmp_path / "none")


def test_real_files(real_data):
    result, _ = sort(real_data)
    found = {row.role: row for row in result.rows}
    assert found["MR T2"].slices == 19
    assert found["MR T2"].spacing == pytest.approx((0.5, 0.5, 3), abs=1e-3)
    image = next(row for row in result.rows if row.facts.modality == "CT")
    assert {found[kind].on for kind in ("RTSTRUCT", "RTPLAN", "RTDOSE")} == {image}
