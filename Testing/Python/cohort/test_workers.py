"""Where the patients of a cohort are evaluated: on a cluster, one by one, and until cancelled."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest
from cohort_runs import Recorder, run
from SyntheticCTEvalLib.cohort import parallel as cohort_parallel
from SyntheticCTEvalLib.cohort.run import run_cohort
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.phantom import TINY, write_cohort


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
