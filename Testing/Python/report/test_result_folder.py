"""The folder of an evaluation: what an earlier one has left there, and where none may go."""

from __future__ import annotations

import json
import re

import pytest
import SimpleITK as sitk
from SyntheticCTEvalLib.evaluation.origin import hashes_of, origin
from SyntheticCTEvalLib.evaluation.results import Evaluation
from SyntheticCTEvalLib.report.folder import earlier_results, require_place, result_names
from SyntheticCTEvalLib.report.page import write_report
from SyntheticCTLib import __version__
from SyntheticCTLib.basics.errors import SyntheticCTError


@pytest.fixture
def earlier(tmp_path):
    """What an evaluation of A and a user have left."""
    (tmp_path / "evaluation").mkdir()
    (tmp_path / "evaluation" / "evaluation.json").write_text("{}")
    metrics = {"definitions": {}, "candidates": {"A": {}}}
    (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    for name in (
        "dvh.csv",
        "scene.mrb",
        "dose_A.nrrd",
        "gamma_A.nrrd",
        "dose_plan.nrrd",
        "ct.nrrd",
    ):
        (tmp_path / name).write_text("")
    return tmp_path


def test_all_and_only_the_results_of_an_earlier_evaluation_are_known(earlier):
    found = {path.name for path in earlier_results(earlier)}
    own = {"metrics.json", "dvh.csv", "scene.mrb", "dose_A.nrrd", "gamma_A.nrrd", "evaluation"}
    assert found == own
    (earlier / "evaluation" / "evaluation.json").unlink()  # somebody's own folder of that name
    assert "evaluation" not in {path.name for path in earlier_results(earlier)}
    for text in ("{}", "no JSON", '{"candidates": {"A": {}}}', "[1]"):
        (earlier / "metrics.json").write_text(text)
        assert earlier_results(earlier) == []


def test_places_that_would_lose_something_are_refused(earlier):
    with pytest.raises(SyntheticCTError, match="lies inside the input"):
        require_place(earlier / "series" / "out", ["B"], [earlier / "series"])
    with pytest.raises(SyntheticCTError, match="overwrite the input"):
        require_place(earlier, ["B"], [earlier / "dose_A.nrrd"])  # would go with the earlier run
    with pytest.raises(SyntheticCTError, match="overwrite the input"):
        require_place(earlier / "new", ["B"], [earlier / "new" / "registered_B.nrrd"])
    require_place(earlier, ["B"], [earlier / "ct.nrrd", earlier / "dose_plan.nrrd"])
    metrics = {"definitions": {}, "candidates": ["A"], "patients": {}}
    (earlier / "metrics.json").write_text(json.dumps(metrics))
    assert earlier_results(earlier) == []
    with pytest.raises(SyntheticCTError, match="results of a cohort"):
        require_place(earlier, ["B"], [])


def test_no_result_is_forgotten(tmp_path):
    names = set(result_names(["A"]))
    documents = {
        "report.html",
        "report.pdf",
        "acceptance.toml",
        "metrics.json",
        "metrics.csv",
        "dvh.csv",
        "scene.mrb",
        "evaluation",
    }
    maps = {"registered_A", "difference_A", "dose_A", "dose_difference_A", "gamma_A"}
    maps |= {"dose_CT", "evaluated", "registered_MR"}
    assert names == documents | {f"{name}.nrrd" for name in maps}


def test_results_say_what_they_were_made_of(tmp_path):
    (tmp_path / "ct.nrrd").write_bytes(b"abc")
    inputs = {"CT": tmp_path / "ct.nrrd"}
    made_of = origin(inputs, {"no_registration": True}, hashes=hashes_of(inputs))
    sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2
    assert made_of["program"] == f"synthetic-ct {__version__}"
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT.*[+-]\d\d:\d\d", made_of["date"])
    assert made_of["options"] == {"no_registration": True}
    assert made_of["inputs"] == {"CT": {"file": "ct.nrrd", "sha256": sha256}}
    ct = sitk.Image([8, 8, 8], sitk.sitkInt16)
    body = sitk.Image([8, 8, 8], sitk.sitkUInt8) + 1
    evaluation = Evaluation(ct=ct, body=body, candidates={}, origin=made_of)
    assert evaluation.metrics()["origin"] == made_of
    page = write_report(evaluation, tmp_path / "report.html").read_text(encoding="utf-8")
    for text in (made_of["date"][:10], f"synthetic-ct {__version__}", "ct.nrrd", sha256[:16]):
        assert text in page
