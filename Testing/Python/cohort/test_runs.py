"""How a cohort is run: what is done again, what is refused, where patients are evaluated.

The evaluation itself is replaced by a stand-in that writes what it was given.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from models import tiny_bundle
from SyntheticCTEvalLib.acceptance.limits import acceptance_file, read_acceptance
from SyntheticCTEvalLib.cohort import parallel as cohort_parallel
from SyntheticCTEvalLib.cohort.card import CARD, write_card
from SyntheticCTEvalLib.cohort.manifest import PatientEntry
from SyntheticCTEvalLib.cohort.patient import CohortSettings, evaluation_settings
from SyntheticCTEvalLib.cohort.records import PICTURES, CohortPictures
from SyntheticCTEvalLib.cohort.run import run_cohort
from SyntheticCTEvalLib.evaluation.settings import EvaluationSettings
from SyntheticCTEvalLib.gamma.criteria import Criterion, GammaCriteria
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.fingerprint import content_hash
from SyntheticCTLib.basics.progress import Progress
from SyntheticCTLib.bundle.folder import save_bundle
from SyntheticCTLib.phantom import TINY, write_cohort
from SyntheticCTProgram.program import main

HEADER = "patient,ct,mr,prescription_gy,candidate_MRCAT,candidate_sCT"


@pytest.fixture
def manifest(tmp_path):
    """Three patients, each in a folder with a CT series of two files."""
    rows = [HEADER]
    for name in "abc":
        (tmp_path / "in" / name / "ct").mkdir(parents=True)
        for file in ("mr.nrrd", "mrcat.nrrd", "sct.nrrd"):
            (tmp_path / "in" / name / file).write_text(f"{file} of {name}")
        for number in (1, 2):
            slice_ = bytes(128) + f"DICM, slice {number} of {name}".encode()
            (tmp_path / "in" / name / "ct" / f"{number}.dcm").write_bytes(slice_)
        rows.append(f"{name},{name}/ct,{name}/mr.nrrd,45,{name}/mrcat.nrrd,{name}/sct.nrrd")
    path = tmp_path / "in" / "manifest.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


@pytest.fixture
def evaluated(monkeypatch):
    """Replace the evaluation of a patient; the list has those that were evaluated."""
    names = []

    def stand_in(task, progress):
        names.append(task.entry.patient)
        progress.warn("noisy")
        if task.entry.ct.joinpath("fault").exists():
            raise ValueError("no luck")
        if task.entry.ct.joinpath("slow").exists():
            task.entry.ct.joinpath("slow").unlink()
            time.sleep(3)
        task.folder.mkdir()
        metrics = {"candidates": {n: {} for n in task.entry.candidates}, "notes": ["noisy"]}
        (task.folder / "metrics.json").write_text(json.dumps(metrics))
        (task.folder / "report.html").write_text("whole")
        CohortPictures(1.5, np.zeros((2, 2)), {}, {}).write(task.folder / PICTURES)
        write_card(task.folder, task.made_of)

    monkeypatch.setattr(cohort_parallel, "evaluate_patient", stand_in)
    return names


class Recorder(Progress):
    def __init__(self):
        self.states, self.warnings = [], []

    def report(self, step, fraction, **details):
        if step == "Patients" and "patient" in details:
            self.states.append((details["patient"], details["state"]))

    def warn(self, message):
        self.warnings.append(message)


def run(manifest, evaluated, *, settings=None, **options) -> list[str]:
    """Run the cohort in this process; returns the patients that were evaluated."""
    evaluated.clear()
    run_cohort(manifest, manifest.parents[1] / "out", settings, workers=1, **options)
    return list(evaluated)


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


def test_patients_are_evaluated_on_a_cluster_that_is_there(manifest, evaluated):
    distributed = pytest.importorskip("distributed")
    (manifest.parent / "b" / "ct" / "fault").write_text("")
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=3, processes=False, protocol="tcp", dashboard_address=None
    ) as cluster:
        progress = Recorder()
        cohort = run_cohort(
            manifest,
            manifest.parents[1] / "out",
            scheduler=cluster.scheduler_address,
            progress=progress,
        )
    assert sorted(evaluated) == ["a", "b", "c"]
    assert [record.patient for record in cohort.patients] == ["a", "c"]
    assert cohort.failed == {"b": "ValueError: no luck"}
    assert sorted(progress.states) == [("a", "done"), ("b", "failed"), ("c", "done")]
    assert {"a: noisy", "b: noisy", "c: noisy"} <= set(progress.warnings)


def test_a_scheduler_that_does_not_answer_is_told(manifest, monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr(cohort_parallel, "_CONNECT_S", 0.5)
    with pytest.raises(SyntheticCTError, match="No dask scheduler answers"):
        run_cohort(manifest, manifest.parents[1] / "out", scheduler="tcp://127.0.0.1:9")


def test_a_scheduler_that_goes_away_is_told_and_the_next_run_goes_on(
    manifest, evaluated, monkeypatch
):
    distributed = pytest.importorskip("distributed")
    import dask

    monkeypatch.setattr(cohort_parallel, "_CONNECT_S", 0.5)
    out = manifest.parents[1] / "out"
    # The worker looks for the scheduler as long as this, and only then the cluster ends.
    short = dask.config.set({"distributed.comm.timeouts.connect": "2s"})
    with (
        short,
        distributed.LocalCluster(
            n_workers=1,
            threads_per_worker=3,
            processes=False,
            protocol="tcp",
            dashboard_address=None,
        ) as cluster,
    ):

        class Ends(Recorder):
            def report(self, step, fraction, **details):
                if details.get("state") == "done":
                    cluster.sync(cluster.scheduler.close)

        (manifest.parent / "c" / "ct" / "slow").write_text("")
        with pytest.raises(SyntheticCTError, match=r"scheduler at tcp:.* is gone: start it again"):
            run_cohort(manifest, out, scheduler=cluster.scheduler_address, progress=Ends())
    done = {path.name for path in (out / "patients").iterdir()}
    assert done and done < {"a", "b", "c"}
    assert set(run(manifest, evaluated)) == {"a", "b", "c"} - done


def test_without_dask_patients_are_evaluated_one_after_the_other(manifest, evaluated, monkeypatch):
    monkeypatch.setattr("SyntheticCTEvalLib.cohort.run.has_dask", lambda: False)
    cohort = run_cohort(manifest, manifest.parents[1] / "out", workers=3)
    assert evaluated == ["a", "b", "c"]
    assert any("dask is not installed" in note for note in cohort.notes)


def test_an_interrupted_worker_stops_at_its_next_step(manifest, tmp_path):
    progress = cohort_parallel._StopsWhenGone(tmp_path / "gone")
    with pytest.raises(SyntheticCTError, match="interrupted"):
        progress.report("Register", 0.5)


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


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends a process without asking it")
def test_cancelling_ends_all_processes_and_leaves_nothing(tmp_path):
    psutil = pytest.importorskip("psutil")
    manifest = write_cohort(20, 2, tmp_path / "in", TINY)
    command = [sys.executable, "-m", "SyntheticCTLib", "cohort", str(manifest), "--no-dose"]
    with subprocess.Popen(
        [*command, "--output", str(tmp_path / "out"), "--workers", "2"],
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        children: list = []
        deadline = time.monotonic() + 60
        while len(children) < 3 and time.monotonic() < deadline:  # workers and dask's tracker
            time.sleep(0.2)
            children = psutil.Process(process.pid).children(recursive=True)
        time.sleep(1)
        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGTERM)
        error = process.communicate(timeout=30)[1]
    assert process.returncode == 130
    assert error.strip().endswith("Interrupted; nothing half-written is left.")
    assert len(children) >= 3
    _, alive = psutil.wait_procs(children, timeout=5)
    assert alive == []
    assert not (tmp_path / "out").exists()


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
