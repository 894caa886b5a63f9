"""Limits that change in a cohort: verdicts are made anew, patients only where figures lack."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest
from SyntheticCTEvalLib.acceptance.limits import read_acceptance
from SyntheticCTEvalLib.acceptance.verdicts import judge
from SyntheticCTEvalLib.cohort import parallel
from SyntheticCTEvalLib.cohort.card import CARD, is_current, results_in, write_card
from SyntheticCTEvalLib.cohort.judged import judge_again
from SyntheticCTEvalLib.cohort.manifest import PatientEntry
from SyntheticCTEvalLib.cohort.patient import (
    CohortSettings,
    PatientTask,
    evaluate_patient,
    made_of,
)
from SyntheticCTEvalLib.cohort.records import PICTURES, CohortPictures
from SyntheticCTEvalLib.cohort.report_document import REPORT_DOCUMENT, write_document
from SyntheticCTEvalLib.cohort.run import run_cohort
from SyntheticCTEvalLib.evaluation.limits import FAIL, PASS, Acceptance, Limit
from SyntheticCTEvalLib.evaluation.one_patient import evaluate
from SyntheticCTEvalLib.evaluation.quantities import LOWER
from SyntheticCTEvalLib.evaluation.settings import EvaluationSettings
from SyntheticCTEvalLib.report.blocks import Cell, Column, Document, Section, Table
from SyntheticCTEvalLib.report.folder import ACCEPTANCE, write_results
from SyntheticCTEvalLib.report.pdf import missing
from SyntheticCTEvalLib.report.summary import RESULT
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.fingerprint import content_hash
from SyntheticCTLib.volumes.grids import grid_of, image_like
from SyntheticCTLib.volumes.writing import write_volume


def limits(tolerance, name="ours"):
    limit = Limit("mae_body", LOWER, tolerance)
    return Acceptance(name, "us", (limit,), f"tolerance = {tolerance}", f"sha of {tolerance}")


@pytest.fixture(scope="module")
def evaluation():
    i, j, k = np.indices((20, 20, 20))
    inside = (i - 9.5) ** 2 + (j - 9.5) ** 2 + (k - 9.5) ** 2 < 64
    grid = grid_of((20, 20, 20), (4.0, 4.0, 4.0), (0.0, 0.0, 0.0))
    values = np.where(inside, 20, -1000).astype(np.int16)
    settings = EvaluationSettings(registration="none", dose=False)
    ct, other = image_like(values, grid), image_like(values + np.int16(9), grid)
    return evaluate(ct, {"sCT": other}, settings=settings)


def written(evaluation, folder, acceptance):
    """A patient's folder as a cohort leaves it, with what stands in for a scene."""
    folder.mkdir()
    judge(evaluation, acceptance)
    write_document(write_results(evaluation, folder), folder / REPORT_DOCUMENT)
    with zipfile.ZipFile(folder / "scene.mrb", "w") as scene:
        for name in ("report.html", "metrics.json"):
            scene.write(folder / name, f"scene/Data/Evaluation {name}.txt")
        scene.writestr("scene/scene.mrml", "<MRML>")
    write_card(folder, {"a": 1})
    return folder


def in_scene(folder, name):
    with zipfile.ZipFile(folder / "scene.mrb") as scene:
        assert scene.read("scene/scene.mrml") == b"<MRML>"
        return scene.read(f"scene/Data/Evaluation {name}.txt")


@pytest.mark.parametrize(
    ("before", "after"),
    [(None, limits(5)), (limits(5), limits(20)), (limits(20), limits(5)), (limits(5), None)],
)
def test_what_is_judged_again_is_what_an_evaluation_would_have_written(
    evaluation, tmp_path, before, after
):
    folder = written(evaluation, tmp_path / "p", before)
    expected = written(evaluation, tmp_path / "expected", after)
    judge_again(folder, after)
    for name in ("metrics.json", "report.html"):
        assert (folder / name).read_text("utf-8") == (expected / name).read_text("utf-8"), name
        assert in_scene(folder, name) == (folder / name).read_bytes()
    assert (folder / "report.pdf").is_file() != bool(missing())
    if not missing():
        pdfs = [(each / "report.pdf").read_bytes() for each in (folder, expected)]
        assert pdfs[0] == pdfs[1]
    assert (folder / ACCEPTANCE).exists() == (after is not None)
    entry = json.loads((folder / "metrics.json").read_text("utf-8"))["acceptance"]
    if after is None:
        assert entry is None
    else:
        assert (folder / ACCEPTANCE).read_text("utf-8") == after.text
        state = PASS if after.limits[0].tolerance > 9 else FAIL
        assert [v["verdict"] for v in entry["verdicts"]["sCT"]] == [state]
    assert is_current(folder, {"a": 1})
    stamps = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    judge_again(folder, after)
    assert stamps == {path: path.stat().st_mtime_ns for path in folder.iterdir()}


@pytest.mark.parametrize("state", [None, b"", b"PK\x03\x04 cut off"])
def test_a_report_that_cannot_be_written_again_is_refused_and_left(evaluation, tmp_path, state):
    folder = written(evaluation, tmp_path / "p", None)
    (folder / REPORT_DOCUMENT).unlink()
    if state is not None:
        (folder / REPORT_DOCUMENT).write_bytes(state)
    before = (folder / "metrics.json").read_bytes()
    with pytest.raises(SyntheticCTError, match="--redo"):
        judge_again(folder, limits(5))
    assert (folder / "metrics.json").read_bytes() == before


def test_results_with_more_than_limits_need_are_current(tmp_path):
    def needing(**needs):
        return {"a": 1, "for_limits": {"criteria": [], "cutoffs_percent": [], **needs}}

    (tmp_path / "x").write_text("")
    write_card(tmp_path, needing(criteria=["3%/2mm", "2%/2mm"], dvh_points=["+a: V40Gy"]))
    assert CARD not in json.loads((tmp_path / CARD).read_text())["files"]
    for needs, current in (
        ({}, True),
        ({"criteria": ["2%/2mm"]}, True),
        ({"criteria": ["1%/2mm"]}, False),
        ({"dvh_points": ["+a: V40Gy"]}, True),
        ({"dvh_points": ["+b: V40Gy"]}, False),
        ({"cutoffs_percent": [5.0]}, False),
    ):
        assert is_current(tmp_path, needing(**needs)) == current, needs
    assert is_current(tmp_path, {"a": 1}) and not is_current(tmp_path, {"a": 2})


def test_changed_limits_redo_a_patient_only_where_they_need_new_figures(tmp_path, monkeypatch):
    done = []

    def stand_in(task, progress):
        done.append(task.made_of["for_limits"]["criteria"])
        task.folder.mkdir()
        metrics = {
            "candidates": {"sCT": {"mae_body": 30.0}}, "notes": [], "target": None,
            "acceptance": None,
        }  # fmt: skip
        (task.folder / "metrics.json").write_text(json.dumps(metrics))
        (task.folder / "report.html").write_text("page")
        result = Table("", [Column(Cell("")), Column(Cell("sCT"))], [], RESULT)
        sections = [Section("Result", [result])]
        document = Document("title", [("Patient", "a")], "mark", "foot", sections)
        write_document(document, task.folder / REPORT_DOCUMENT)
        CohortPictures(1.5, np.zeros((2, 2)), {}, {}).write(task.folder / PICTURES)
        write_card(task.folder, task.made_of)

    monkeypatch.setattr(parallel, "evaluate_patient", stand_in)
    for name in ("ct", "sct"):
        (tmp_path / f"{name}.nrrd").write_text(name)
    (tmp_path / "m.csv").write_text("patient,ct,candidate_sCT\na,ct.nrrd,sct.nrrd\n")

    def run(acceptance):
        settings = CohortSettings(acceptance=acceptance)
        found = run_cohort(tmp_path / "m.csv", tmp_path / "out", settings, workers=1)
        assert found.acceptance is acceptance and not found.failed
        entry = found.patients[0].metrics["acceptance"]
        return entry and [each["verdict"] for each in entry["verdicts"]["sCT"]]

    assert (run(None), done) == (None, [[]])
    assert (run(limits(20)), run(limits(40)), run(None), done) == ([FAIL], [PASS], None, [[]])
    assert run(read_acceptance("tg218")) == ["missing"]
    assert done == [[], ["3%/2mm"]]
    assert (run(limits(40)), len(done)) == ([PASS], 2)


def test_what_the_user_puts_beside_results_is_never_theirs(evaluation, tmp_path):
    folder = written(evaluation, tmp_path / "p", None)
    own = set(results_in(folder))
    (folder / "mynotes.txt").write_text("mine")
    judge_again(folder, limits(20))
    assert set(results_in(folder)) == {*own, folder / "acceptance.toml"}
    judge_again(folder, None)
    assert set(results_in(folder)) == own
    (folder / "mynotes.txt").unlink()
    assert is_current(folder, {"a": 1})
    (folder / CARD).write_text("{")
    known = {path.name for path in results_in(folder)}
    assert {CARD, "report.html", "difference_sCT.nrrd"} <= known


def test_a_patient_that_waited_is_of_the_files_that_were_read(evaluation, tmp_path):
    paths = {}
    for name, image in (("ct", evaluation.ct), ("sct", evaluation.candidates["sCT"].volume)):
        paths[name] = write_volume(image, tmp_path / f"{name}.nrrd")
    entry = PatientEntry("p", paths["ct"], {"sCT": paths["sct"]}, dose=False)
    settings = CohortSettings(evaluation=EvaluationSettings(registration="none", dose=False))
    before = made_of(entry, settings, "")
    write_volume(evaluation.ct, paths["sct"])
    evaluate_patient(PatientTask(entry, settings, tmp_path / "p", before))
    found = json.loads((tmp_path / "p" / "metrics.json").read_text("utf-8"))
    sha256 = found["origin"]["inputs"]["candidate sCT"]["sha256"]
    assert sha256 == content_hash(paths["sct"]) != before["inputs"]["candidate sCT"]
    assert found["candidates"]["sCT"]["mae_body"] == 0
    assert is_current(tmp_path / "p", made_of(entry, settings, ""))
    assert not is_current(tmp_path / "p", before)
