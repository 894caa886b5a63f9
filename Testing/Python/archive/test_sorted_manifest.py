"""Manifests of cohort and train from sorted folders: what is certain, under pseudonyms."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path

import pytest
from archives import CT, T2, Patient, whole_patient
from pydicom.uid import generate_uid
from SyntheticCTEvalLib.cohort.manifest import read_cohort_manifest
from SyntheticCTLib.training.pairs import read_sources
from SyntheticCTLib.volumes.reading import read_volume
from SyntheticCTProgram.program import main

NAMES = ("Quastenflosser", "Wilhelmine", "Q83715", "QUASTEN")


@pytest.fixture
def run(capsys):
    """Runs the command; returns its exit code and all that it printed."""

    def sort(*arguments: object) -> tuple[int, str]:
        code = main(["sort", *map(str, arguments)])
        said = capsys.readouterr()
        text = said.out + said.err
        # Warnings are broken into lines of the terminal's width.
        return code, text if "json" in arguments else " ".join(text.split())

    return sort


def cells(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_cohort_reads_its_manifest(tmp_path, run):
    whole_patient(tmp_path / "in")
    whole_patient(tmp_path / "in", Patient("Other^Person", "77"), "B")
    output = tmp_path / "study" / "manifest.csv"
    code, told = run(tmp_path / "in", "--output", output)
    assert code == 0
    entries, _ = read_cohort_manifest(output)
    assert [entry.patient for entry in entries] == ["p01", "p02"]
    for entry in entries:
        assert set(entry.candidates) == {"MRCAT"} and not entry.fault
        assert entry.prescription_gy == 50.4
        assert entry.structures.name.endswith("rs.dcm")
        assert entry.dose_ct is None  # no candidate has one
        for what, path in (
            ("CT", entry.ct),
            ("MR", entry.mr),
            ("candidate", entry.candidates["MRCAT"]),
        ):
            assert read_volume(path, what).GetSize() == (7, 6, 5)
    assert "2 doses are left out" in told
    assert not (tmp_path / "study" / "key.csv").exists()


@pytest.mark.parametrize("kept", ["name,age", "patient,ct,mr,dvh_points"])
def test_tables_of_others_and_columns_by_hand_are_not_lost(tmp_path, run, kept):
    whole_patient(tmp_path / "in")
    table, output, key = tmp_path / "table.csv", tmp_path / "m.csv", tmp_path / "k.csv"
    table.write_text(f"{kept}\n1,2\n", "utf-8")
    for arguments in (("--output", table), ("--output", output, "--key", table)):
        code, told = run(tmp_path / "in", *arguments)
        assert code == 2 and "would be replaced" in told
    assert table.read_text("utf-8") == f"{kept}\n1,2\n" and not output.exists()
    for _ in range(2):  # its own files are written again
        assert run(tmp_path / "in", "--output", output, "--key", key)[0] == 0


def test_a_training_reads_its_manifest(tmp_path, run):
    whole_patient(tmp_path / "in")
    output = tmp_path / "manifest.csv"
    assert run(tmp_path / "in", "--for", "train", "--output", output)[0] == 0
    assert list(cells(output)[0]) == ["patient", "mr", "ct"]
    (source,) = read_sources(output)
    assert read_volume(source.mr, "MR").GetSize() == (7, 6, 5)
    assert read_volume(source.ct, "CT").GetSize() == (7, 6, 5)


def test_doses_on_both_are_taken(tmp_path, run):
    who = Patient()
    ct, mrcat = who.image(tmp_path / "in" / "ct", CT), who.mrcat(tmp_path / "in" / "cat")
    for name, images in (("a", ct), ("b", mrcat)):
        structures = who.rtstruct(tmp_path / "in" / "rt" / f"s{name}", images)
        plan = who.rtplan(tmp_path / "in" / "rt" / f"p{name}", structures, 45)
        who.rtdose(tmp_path / "in" / "rt" / f"d{name}", plan)
        who.rtdose(tmp_path / "in" / "rt" / f"beam{name}", plan, "BEAM")
    output = tmp_path / "m.csv"
    code, told = run(tmp_path / "in", "--output", output)
    assert code == 0
    (row,) = cells(output)
    assert (row["ct"], row["candidate_MRCAT"]) == ("in/ct", "in/cat")
    assert (row["dose_ct"], row["dose_MRCAT"]) == ("in/rt/da", "in/rt/db")
    assert (row["structures"], row["prescription_gy"]) == ("in/rt/sa", "45")
    assert told.count("it is the dose of a BEAM, not of the plan") == 2


def test_what_is_ambiguous_stays_empty_until_a_role_is_set(tmp_path, run):
    who = Patient()
    who.image(tmp_path / "in" / "ct1", CT)
    who.image(tmp_path / "in" / "ct2", CT)
    who.image(tmp_path / "in" / "mr", T2)
    structures = who.rtstruct(tmp_path / "in" / "s.dcm", who.image(tmp_path / "in" / "ct3", CT))
    who.rtplan(tmp_path / "in" / "p.dcm", structures, 45, 50)
    output = tmp_path / "m.csv"
    code, told = run(tmp_path / "in", "--output", output, "--progress", "json")
    assert code == 0
    (row,) = cells(output)
    assert (row["ct"], row["mr"]) == ("", "in/mr")
    assert re.search(r"p01: ct is left empty, as p01.\d, p01.\d, p01.\d are all CT", told)
    series = next(json.loads(line)["series"] for line in told.splitlines() if '"series"' in line)
    on = next(row["on"] for row in series if row["role"] == "RTSTRUCT")
    code, told = run(tmp_path / "in", "--output", output, "--role", f"{on}=CT")
    (row,) = cells(output)
    assert (row["ct"], row["structures"]) == ("in/ct3", "in/s.dcm")
    assert "prescribes several doses" in told and "prescription_gy" not in row


def test_a_ct_is_not_taken_beside_one_that_may_be_it(tmp_path, run):
    who = Patient()
    frame = generate_uid()
    who.image(tmp_path / "in" / "mr", T2, frame=frame)
    who.image(tmp_path / "in" / "ct", CT)
    who.image(tmp_path / "in" / "laid", CT, frame=frame)
    output = tmp_path / "m.csv"
    code, told = run(tmp_path / "in", "--output", output)
    assert code == 0 and cells(output)[0]["ct"] == ""
    assert "ct is left empty (p01." in told and "laid on the MR, or computed from it" in told


def test_the_only_axial_t2_is_taken_and_told(tmp_path, run):
    who = Patient()
    who.image(tmp_path / "in" / "ct", CT)
    who.image(tmp_path / "in" / "tra", T2)
    turned = [0, 1, 0, 0, 0, -1]
    who.image(tmp_path / "in" / "sag", T2 | {"ImageOrientationPatient": turned})
    for k, path in enumerate(sorted((tmp_path / "in" / "sag").iterdir())):
        who._change(path, {"ImagePositionPatient": [3.0 * k, 0, 0]})
    output = tmp_path / "m.csv"
    code, told = run(tmp_path / "in", "--output", output)
    assert code == 0 and cells(output)[0]["mr"] == "in/tra"
    assert "as the only axial one" in told


def test_names_appear_nowhere_unasked(tmp_path, run):
    place = tmp_path / "in" / "QUASTENFLOSSER_WILHELMINE" / "Q83715 scans"
    who = Patient()
    ct = who.image(place / "ct", CT | {"SeriesDescription": "Wilhelmine Quastenflosser CT"})
    who.image(place / "mr", T2 | {"ProtocolName": "t2 quastenflosser"})
    who.rtstruct(place / "rs.dcm", ct, StructureSetLabel="Quastenflosser^W")
    broken = place / "ct" / "quastenflosser.dcm"
    broken.write_bytes(b"\0" * 50)
    output = tmp_path / "study" / "m.csv"
    code, told = run(tmp_path / "in", "--output", output)
    assert code == 0 and "damaged" in told
    broken.unlink()
    told += run(tmp_path / "in", "--output", output, "--progress", "json")[1]
    told += run(tmp_path / "in", "--output", output)[1]
    texts = told.casefold() + output.read_text().casefold()
    texts += " ".join(path.name for path in (tmp_path / "study").rglob("*")).casefold()
    assert not [name for name in NAMES if name.casefold() in texts]
    (row,) = cells(output)
    assert row["ct"].startswith("m.links/p01.")
    entries, _ = read_cohort_manifest(output, model=True)
    assert read_volume(entries[0].ct, "CT").GetSize() == (7, 6, 5)
    assert read_volume(entries[0].mr, "MR").GetSize() == (7, 6, 5)
    # In the index they are in the paths of the files alone.
    for line in (tmp_path / "study" / "m.index.jsonl").read_text().splitlines():
        content = json.loads(line)
        content.pop("path", "")
        said = json.dumps(content, ensure_ascii=False).casefold()
        assert not [name for name in NAMES if name.casefold() in said]


def test_a_series_in_several_folders_is_put_together(tmp_path, run):
    who = Patient()
    spread = who.image(tmp_path / "in" / "a", CT)
    who.image(tmp_path / "in" / "a", T2, prefix="mr")
    (tmp_path / "in" / "b").mkdir()
    spread[0].rename(tmp_path / "in" / "b" / "IM0.dcm")
    shutil.copy(spread[1], tmp_path / "in" / "b" / "copy.dcm")
    output = tmp_path / "m.csv"
    for _ in range(2):  # the second run makes the links anew
        code, told = run(tmp_path / "in", "--output", output)
        assert code == 0 and "1 series lie in several folders or beside copies" in told
    (row,) = cells(output)
    assert len(list((tmp_path / row["ct"]).iterdir())) == 5
    (entry,), _ = read_cohort_manifest(output, model=True)
    assert read_volume(entry.ct, "CT").GetSize() == (7, 6, 5)


def test_labels_stay_when_other_series_come(tmp_path, run):
    who = Patient()
    for name in ("a", "b"):
        who.image(tmp_path / "in" / name, CT | {"SeriesNumber": 5})
    who.image(tmp_path / "in" / "mr", T2 | {"SeriesNumber": 9})
    output = tmp_path / "m.csv"
    run(tmp_path / "in", "--output", output, "--role", "p01.2=CT", "--role", "p01.1=none")
    first = cells(output)
    who.image(tmp_path / "in" / "c", CT | {"SeriesNumber": 1, "ImageType": ["DERIVED"]})
    run(tmp_path / "in", "--output", output, "--role", "p01.2=CT", "--role", "p01.1=none")
    assert cells(output)[0]["ct"] == first[0]["ct"]


def test_the_key_of_another_study_is_not_replaced(tmp_path, run):
    whole_patient(tmp_path / "in")
    output, key = tmp_path / "m.csv", tmp_path / "key.csv"
    key.write_text("patient,patient_id,issuer\np01,A-1,\n", "utf-8")
    code, told = run(tmp_path / "in", "--output", output, "--key", key)
    assert code == 2 and "key.csv tells 1 pseudonyms that this run does not give" in told
    assert "A-1" in key.read_text("utf-8") and not output.exists()


def test_ids_and_the_key_on_request_only(tmp_path, run):
    whole_patient(tmp_path / "Q83715")
    output, key = tmp_path / "m.csv", tmp_path / "key.csv"
    assert run(tmp_path / "Q83715", "--output", output, "--identified", "--key", key)[0] == 0
    (row,) = cells(output)
    assert row["patient"] == "Q83715" and row["ct"].startswith("Q83715#")
    assert cells(key) == [{"patient": "p01", "patient_id": "Q83715", "issuer": ""}]
    assert key.stat().st_mode & 0o077 == 0
    assert not (tmp_path / "m.links").exists()


def test_bad_input_is_told_in_a_sentence(tmp_path, run):
    (tmp_path / "empty").mkdir()
    Patient().image(tmp_path / "in", CT)
    (tmp_path / "other.jsonl").write_text("{}")
    for arguments, sentence in (
        ([tmp_path / "none"], "does not exist"),
        ([tmp_path / "empty", "--output", tmp_path / "m.csv"], "No patient in the folder has"),
        ([tmp_path / "in", "--output", tmp_path / "m.csv"], "No patient in the folder has"),
        ([tmp_path / "in", "--output", tmp_path / "in" / "m.csv"], "lies inside the input"),
        ([tmp_path / "in", "--output", tmp_path / "m.txt"], "no .csv file"),
        ([tmp_path / "in", "--key", tmp_path / "k.csv"], "go with a manifest"),
        ([tmp_path / "in", "--index", tmp_path / "other.jsonl"], "no index of an earlier run"),
    ):
        code, told = run(*arguments)
        assert code == 2 and sentence in told, told
        assert not (tmp_path / "m.csv").exists()
    assert run(tmp_path / "empty")[0] == 0
