"""How a cohort is run: what is done again, and what is refused.

The evaluation itself is replaced by a stand-in that writes what it was given.
"""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from cohort_runs import Recorder, run
from models import tiny_bundle
from SyntheticCTEvalLib.acceptance.limits import acceptance_file, read_acceptance
from SyntheticCTEvalLib.cohort import parallel as cohort_parallel
from SyntheticCTEvalLib.cohort.card import CARD, write_card
from SyntheticCTEvalLib.cohort.manifest import PatientEntry
from SyntheticCTEvalLib.cohort.patient import CohortSettings, evaluation_settings
from SyntheticCTEvalLib.cohort.run import run_cohort
from SyntheticCTEvalLib.evaluation.settings import EvaluationSettings
from SyntheticCTEvalLib.gamma.criteria import Criterion, GammaCriteria
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.fingerprint import content_hash
from SyntheticCTLib.bundle.folder import save_bundle
from SyntheticCTProgram.program import main


def test_only_what_is_missing_or_changed_is_done_again(manifest, evaluated):
    out, folder = manifest.parents[1] / "out" / "patients", manifest.parent
    assert run(manifest, evaluated) == ["a", "b", "c"]
    assert run(manifest, evaluated) == []
    (folder / "a" / "ct" / "2.dcm").write_text("another slice")
    assert run(manifest, evaluated) == ["a"]
    (out / "b" / "report.html").unlink()
    assert run(manifest, evaluated) == ["b"]
    (folder / "c" / "mr.nrrd").touch()
    (folder / "c" / "ct" / "1.dcm").rename(folder / "c" / "ct" / "one.dcm")
    assert run(manifest, evaluated) == []
    manifest.write_text(manifest.read_text().replace("b/mr.nrrd,45", "b/mr.nrrd,50"))
    assert run(manifest, evaluated) == ["b"]
    assert run(
        manifest,
        evaluated,
        settings=CohortSettings(evaluation=EvaluationSettings(registration="none")),
    ) == ["a", "b", "c"]
    assert (
        run(
            manifest,
            evaluated,
            settings=CohortSettings(
                evaluation=EvaluationSettings(registration="none"), device="cpu"
            ),
        )
        == []
    )
    assert run(manifest, evaluated, redo=True) == ["a", "b", "c"]
    assert {path.name for path in out.iterdir()} == {"a", "b", "c"}


def test_a_patient_that_is_added_is_the_only_one_that_is_evaluated(manifest, evaluated):
    assert run(manifest, evaluated) == ["a", "b", "c"]
    added = "a,a/ct,a/mr.nrrd,45,a/mrcat.nrrd,a/sct.nrrd".replace("a,", "d,", 1)
    lines = manifest.read_text().splitlines()
    manifest.write_text("\n".join([*lines[:2], added, *lines[2:]]) + "\n")
    assert run(manifest, evaluated) == ["d"]
    assert run(manifest, evaluated) == []


def test_limits_of_a_patients_own_are_judged_by_without_evaluating(
    manifest, evaluated, monkeypatch
):
    judged = []
    monkeypatch.setattr(
        "SyntheticCTEvalLib.cohort.run.judge_again",
        lambda folder, limits, paper: judged.append((folder.name, limits and limits.name)),
    )
    run(manifest, evaluated)
    (manifest.parent / "own.toml").write_text(
        'name = "own"\nsource = "us"\n[[limit]]\nfigure = "mae_body"\ntolerance = 50\n'
    )
    lines = manifest.read_text().splitlines()
    cells = [",acceptance", ",", ",own.toml", ","]
    manifest.write_text("\n".join(map(str.__add__, lines, cells)) + "\n")
    judged.clear()
    assert run(manifest, evaluated) == []
    assert judged == [("a", None), ("b", "own"), ("c", None)]


def test_a_study_takes_the_criteria_of_an_evaluation(manifest, monkeypatch):
    settings = []

    def stand_in(_manifest, _output, found, **_):
        settings.append(found)
        raise SyntheticCTError("that is enough")

    monkeypatch.setattr("SyntheticCTEvalLib.cohort.run.run_cohort", stand_in)

    def asked(*options):
        assert main(["cohort", str(manifest), "--output", "out", *options]) == 2
        return settings[-1]

    assert asked().evaluation == EvaluationSettings()
    options = ["--dose-percent", "2", "--distance-mm", "3", "--cutoffs", "20,90", "--local"]
    found = asked(*options, "--gamma-cap", "1.5", "--gamma-engine", "pymedphys", "--no-end-caps")
    expected = GammaCriteria(2, 3, local=True, cutoffs_percent=(20, 90), cap=1.5)
    assert not found.end_caps
    entry = PatientEntry("a", manifest.parent / "a" / "ct", {}, prescription_gy=45.0)
    judged = evaluation_settings(entry, found)
    assert judged.gamma_criteria(45.0) == (replace(expected, normalization_gy=45.0),)
    assert judged.gamma_engine == "pymedphys"


def test_other_criteria_mean_again(manifest, evaluated):
    def settings(**changed):
        return CohortSettings(evaluation=EvaluationSettings(**changed))

    run(manifest, evaluated, settings=settings())
    criteria = [(Criterion(2, 1),), (Criterion(1, 2),), (Criterion(1, 1, local=True),)]
    for changed in [*({"criteria": c} for c in criteria), {"gamma_cap": 3}]:
        assert run(manifest, evaluated, settings=settings(**changed)) == ["a", "b", "c"]
        assert run(manifest, evaluated, settings=settings(**changed)) == []
    assert run(manifest, evaluated, settings=settings(cutoffs_percent=(20, 90))) == ["a", "b", "c"]
    assert run(manifest, evaluated, settings=CohortSettings(end_caps=False)) == ["a", "b", "c"]
    assert run(manifest, evaluated, settings=CohortSettings(end_caps=False)) == []


def test_another_model_or_another_program_means_again(manifest, evaluated, tmp_path, monkeypatch):
    manifest.write_text(manifest.read_text().replace("candidate_sCT", "candidate_other"))
    first = CohortSettings(model=save_bundle(tiny_bundle(), tmp_path / "m1"))
    second = CohortSettings(model=save_bundle(tiny_bundle(seed=1), tmp_path / "m2"))
    assert run(manifest, evaluated, settings=first) == ["a", "b", "c"]
    assert run(manifest, evaluated, settings=second) == ["a", "b", "c"]
    assert run(manifest, evaluated, settings=second) == []
    monkeypatch.setattr("SyntheticCTEvalLib.cohort.patient.__version__", "99")
    assert run(manifest, evaluated, settings=second) == ["a", "b", "c"]


def test_a_patient_that_is_gone_from_the_manifest_is_left_alone_and_not_counted(
    manifest, evaluated
):
    out = manifest.parents[1] / "out"
    run(manifest, evaluated)
    manifest.write_text("\n".join(manifest.read_text().splitlines()[:-1]))
    cohort = run_cohort(manifest, out, workers=1)
    assert [record.patient for record in cohort.patients] == ["a", "b"]
    assert any("not in the manifest" in note and "folders c " in note for note in cohort.notes)
    assert (out / "patients" / "c" / "report.html").read_text() == "whole"


def test_a_failure_is_told_and_keeps_the_results_of_an_earlier_run(manifest, evaluated):
    out = manifest.parents[1] / "out"
    run(manifest, evaluated)
    (manifest.parent / "b" / "ct" / "fault").write_text("")
    (manifest.parent / "c" / "mrcat.nrrd").unlink()
    progress = Recorder()
    cohort = run_cohort(manifest, out, workers=1, progress=progress)
    assert cohort.origin["options"]["registration"] == "deformable"
    assert cohort.origin["inputs"]["manifest"]["sha256"] == content_hash(manifest)
    assert cohort.origin["model"] is None
    assert list(cohort.failed) == ["b", "c"]
    assert cohort.failed["b"] == "ValueError: no luck"
    assert "does not exist" in cohort.failed["c"]
    assert "noisy (every patient)" in cohort.notes
    assert any("earlier run" in note and "b, c" in note for note in cohort.notes)
    assert (out / "patients" / "b" / "report.html").read_text() == "whole"
    ended = [state for state in progress.states if state[1] in ("unchanged", "failed", "done")]
    assert sorted(ended) == [("a", "unchanged"), ("b", "failed"), ("c", "failed")]
    assert "b: noisy" in progress.warnings


def test_a_patient_that_is_done_again_keeps_what_the_user_put_there(manifest, evaluated):
    assert run(manifest, evaluated) == ["a", "b", "c"]
    folder = manifest.parents[1] / "out" / "patients" / "a"
    results = {path.name for path in folder.iterdir()}
    (folder / "mynotes.txt").write_text("mine")
    (folder / "plots").mkdir()
    (folder / "plots" / "one.png").write_text("mine")
    card = json.loads((folder / CARD).read_text())
    (folder / "of_an_earlier_run.nrrd").write_text("stale")
    card["files"].append("of_an_earlier_run.nrrd")
    (folder / CARD).write_text(json.dumps(card))
    assert run(manifest, evaluated, redo=True) == ["a", "b", "c"]
    assert {path.name for path in folder.iterdir()} == {*results, "mynotes.txt", "plots"}
    assert (folder / "plots" / "one.png").is_file()
    (folder / "mynotes.txt").unlink()
    assert run(manifest, evaluated) == []


def test_the_baseline_is_mrcat_or_the_last_or_the_one_asked_for(manifest, evaluated):
    out = manifest.parents[1] / "out"
    assert run_cohort(manifest, out, workers=1).baseline == "MRCAT"
    assert run_cohort(manifest, out, workers=1, baseline="sCT").baseline == "sCT"
    with pytest.raises(SyntheticCTError, match="is no candidate"):
        run_cohort(manifest, out, baseline="other")
    manifest.write_text(manifest.read_text().replace("_MRCAT", "_bulk"))
    assert run_cohort(manifest, out, workers=1).baseline == "sCT"


def test_places_that_would_lose_something_are_refused_before_any_work(manifest, evaluated):
    with pytest.raises(SyntheticCTError, match="overwrite"):
        run_cohort(manifest, manifest.parent)
    with pytest.raises(SyntheticCTError, match="inside the input"):
        run_cohort(manifest, manifest.parent / "a" / "ct" / "out")
    other = manifest.parents[1] / "out" / "patients" / "b"
    other.mkdir(parents=True)
    (other / "thesis.txt").write_text("mine")
    with pytest.raises(SyntheticCTError, match="not made"):
        run_cohort(manifest, manifest.parents[1] / "out")
    assert evaluated == []
    assert [path.name for path in other.iterdir()] == ["thesis.txt"]
    one = manifest.parents[1] / "one"
    one.mkdir()
    (one / "metrics.json").write_text('{"definitions": {}, "candidates": {"A": {}}}')
    with pytest.raises(SyntheticCTError, match="one patient's evaluation"):
        run_cohort(manifest, one)


def test_the_command_exits_with_2_where_nobody_could_be_evaluated(manifest, evaluated, capsys):
    out = manifest.parents[1] / "out"
    for name in "abc":
        (manifest.parent / name / "ct" / "fault").write_text("")
    assert main(["cohort", str(manifest), "--output", str(out), "--workers", "1"]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error == (
        "synthetic-ct: None of the 3 patients could be evaluated; a: ValueError: no luck"
    )
    assert not out.exists()


def test_a_patient_whose_voxels_lie_beside_a_header_is_evaluated_when_they_change(
    manifest, evaluated
):
    manifest.write_text(manifest.read_text().replace("a/mrcat.nrrd", "a/p1.mrcat.mhd"))
    volume = sitk.GetImageFromArray(np.zeros((2, 3, 4), np.int16))
    sitk.WriteImage(volume, manifest.parent / "a" / "p1.mrcat.mhd")
    assert run(manifest, evaluated) == ["a", "b", "c"]
    assert run(manifest, evaluated) == []
    sitk.WriteImage(volume + 1, manifest.parent / "a" / "p1.mrcat.mhd")
    assert run(manifest, evaluated) == ["a"]


def test_patients_that_share_a_scan_are_named(manifest, evaluated, monkeypatch):
    stand_in = cohort_parallel.evaluate_patient

    def with_voxels(task, progress):
        stand_in(task, progress)
        name = task.entry.patient
        (task.folder / CARD).unlink()
        voxels = {"CT": "one" if name in "ac" else "other", "MR": f"of {name}"}
        write_card(task.folder, task.made_of, voxels)

    monkeypatch.setattr(cohort_parallel, "evaluate_patient", with_voxels)
    for _ in range(2):  # evaluated, and unchanged
        cohort = run_cohort(manifest, manifest.parents[1] / "out", workers=1)
        shared = [note for note in cohort.notes if "voxel by voxel" in note]
        assert len(shared) == 1 and shared[0].startswith("a and c have the same CT")


def test_the_origin_has_the_manifest_and_every_file_of_limits_as_they_were_read(
    manifest, evaluated, monkeypatch
):
    text = 'name = "Own"\nsource = "us"\n[[limit]]\nfigure = "mae_body"\ntolerance = 40\n'
    own = manifest.parent / "own.toml"
    own.write_text(text)
    head, *rows = manifest.read_text().splitlines()
    cells = ("", "own.toml", "own.toml")
    rows = [f"{row},{cell}" for row, cell in zip(rows, cells, strict=True)]
    manifest.write_text("\n".join([f"{head},acceptance", *rows]) + "\n")
    expected = {"manifest": ("manifest.csv", content_hash(manifest))}
    expected["acceptance"] = ("tg218.toml", content_hash(acceptance_file("tg218")))
    expected["acceptance of b, c"] = ("own.toml", content_hash(own))
    stand_in = cohort_parallel.evaluate_patient

    def meanwhile(task, progress):
        manifest.write_text("patient,ct\n")
        own.write_text("")
        stand_in(task, progress)

    monkeypatch.setattr(cohort_parallel, "evaluate_patient", meanwhile)
    monkeypatch.setattr("SyntheticCTEvalLib.cohort.run.judge_again", lambda *given: None)
    settings = CohortSettings(acceptance=read_acceptance("tg218"))
    cohort = run_cohort(manifest, manifest.parents[1] / "out", settings, workers=1)
    found = cohort.origin["inputs"]
    assert {what: (each["file"], each["sha256"]) for what, each in found.items()} == expected
