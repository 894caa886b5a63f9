"""The index: a second run reads new and changed files only, and finds the same."""

from __future__ import annotations

import pytest
from archives import CT, T2, Patient, whole_patient
from dicom_files import edit
from SyntheticCTLib.archive import scan, synthetic
from SyntheticCTLib.archive.sorting import sort_folder
from SyntheticCTLib.archive.table import as_values
from SyntheticCTLib.basics.progress import NotedProgress, Progress


@pytest.fixture
def opened(monkeypatch):
    """Names of the files that were opened to be sorted."""
    names = []
    facts_of, read_header, look = scan.facts_of, scan.read_header, synthetic._look
    monkeypatch.setattr(scan, "facts_of", lambda path: names.append(path.name) or facts_of(path))
    monkeypatch.setattr(
        scan, "read_header", lambda path, **k: names.append("person") or read_header(path, **k)
    )
    monkeypatch.setattr(synthetic, "_look", lambda e, f: names.append("pixels") or look(e, f))
    return names


def test_a_second_run_reads_what_is_new_or_changed(tmp_path, opened):
    folder, index = tmp_path / "in", tmp_path / "index.jsonl"
    whole_patient(folder)
    first = sort_folder(folder, index)
    assert len(opened) == 43 + sum(name == "pixels" for name in opened)
    opened.clear()
    again = sort_folder(folder, index)
    assert not opened and again.scan.read == 0
    assert as_values(again.rows) == as_values(first.rows)
    edit(folder / "At22.dcm", SeriesDescription="changed")
    Patient("New^Person", "12").image(folder / "a", T2)
    third = sort_folder(folder, index)
    assert sorted(set(opened)) == [
        "At22.dcm",
        *(f"IM{k}.dcm" for k in range(5)),
        "person",
        "pixels",
    ]
    assert opened.count("person") == 1
    assert {row.patient for row in third.rows} == {"p01", "p02"}
    assert [row.patient for row in third.rows if row.entries[0].path.startswith("a/")] == ["p02"]
    for path in (folder / "a").iterdir():
        path.unlink()
    assert {row.patient for row in sort_folder(folder, index).rows} == {"p01"}
    assert '"a/' not in index.read_text()


def test_new_files_of_a_known_patient_are_hers(tmp_path):
    folder, index = tmp_path / "in", tmp_path / "index.jsonl"
    who = Patient()
    who.image(folder / "ct", CT)
    sort_folder(folder, index)
    who.image(folder / "mr", T2)
    assert {row.patient for row in sort_folder(folder, index).rows} == {"p01"}


@pytest.mark.parametrize("damage", [b"", b"{", b"\xff\xfe", None])
def test_a_damaged_index_is_made_anew_and_warned_of(tmp_path, damage):
    folder, index = tmp_path / "in", tmp_path / "index.jsonl"
    Patient().image(folder, CT)
    first = sort_folder(folder, index)
    whole = index.read_bytes()
    index.write_bytes(whole.replace(b'"CT"', b'"MR"') if damage is None else damage)
    progress = NotedProgress(Progress())
    again = sort_folder(folder, index, progress=progress)
    assert as_values(again.rows) == as_values(first.rows) and again.scan.read == 5
    assert any("is made anew" in warning for warning in progress.warnings)
    assert index.read_bytes() == whole


def test_an_interrupted_run_keeps_what_it_read(tmp_path, monkeypatch):
    folder, index = tmp_path / "in", tmp_path / "index.jsonl"
    Patient().image(folder, CT)
    facts_of = scan.facts_of

    def stop(path):
        if path.name == "IM3.dcm":
            raise KeyboardInterrupt
        return facts_of(path)

    monkeypatch.setattr(scan, "facts_of", stop)
    with pytest.raises(KeyboardInterrupt):
        sort_folder(folder, index)
    monkeypatch.setattr(scan, "facts_of", facts_of)
    assert sort_folder(folder, index).scan.read == 2
