"""FOLDER#SERIES: whatever takes an input knows it."""

from __future__ import annotations

import pytest
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.fingerprint import content_hash
from SyntheticCTLib.basics.inputs import folder_and_series, without_folders
from SyntheticCTLib.basics.outputs import refuse_overwrite


def test_a_series_is_named_after_its_folder(tmp_path):
    assert folder_and_series(f"{tmp_path}#4") == (tmp_path, "4")
    assert folder_and_series(tmp_path) == (tmp_path, "")
    (tmp_path / "scan#2").mkdir()
    assert folder_and_series(tmp_path / "scan#2") == (tmp_path / "scan#2", "")
    assert folder_and_series(f"{tmp_path / 'scan#2'}#CT") == (tmp_path / "scan#2", "CT")
    missing = tmp_path / "none#1"
    assert folder_and_series(missing) == (missing, "")


def test_another_series_is_another_input(tmp_path):
    (tmp_path / "a.dcm").write_bytes(b"a")
    hashes = {content_hash(path) for path in (tmp_path, f"{tmp_path}#1", f"{tmp_path}#2")}
    assert len(hashes) == 3


def test_an_output_never_lies_in_the_folder_of_a_series(tmp_path):
    with pytest.raises(SyntheticCTError, match="lies inside the input"):
        refuse_overwrite(tmp_path / "sct.nrrd", [f"{tmp_path}#4"])


def test_a_sentence_names_no_folder_that_holds_an_input(tmp_path, monkeypatch):
    scans = tmp_path / "Doe^John" / "scans"
    scans.mkdir(parents=True)
    told = f"The slice {scans}/IM1 is lossy, and {scans.parent}/reg.dcm lies beside it."
    for given in (scans, f"{scans}#4"):
        assert without_folders(told, [given, "ct.nrrd"]) == (
            "The slice scans/IM1 is lossy, and reg.dcm lies beside it."
        )
    assert without_folders(told, []) == told
    monkeypatch.chdir(tmp_path)
    told = "The plan Doe^John/plan.dcm is one of two: A/B."
    assert without_folders(told, ["Doe^John/plan.dcm"]) == "The plan plan.dcm is one of two: A/B."
