"""Jobs: stages in turn, the window alive, children that end with the job, exit codes checked."""

from __future__ import annotations

import gc
import itertools
import os
import subprocess
import sys
import tempfile
import time
import weakref

import pytest
from SyntheticCTLib.basics.errors import SyntheticCTError

pytest.importorskip("slicer", reason="slicer-core is not installed")
from SyntheticCTMRML import child_process, jobs
from SyntheticCTMRML.child_process import CommandLine, python_command
from SyntheticCTMRML.jobs import Job, JobListener, Steps, Turn
from SyntheticCTMRML.temporary import session_folder


class Recorder(JobListener):
    """Keeps what it is told."""

    def __init__(self):
        self.steps, self.warnings, self.ends = [], [], []

    def onProgress(self, step, fraction, details):
        self.steps.append((step, fraction, details))

    def onWarning(self, message):
        self.warnings.append(message)

    def onEnd(self, job):
        self.ends.append(job.state)


@pytest.fixture
def child(monkeypatch):
    """Runs Python code in the place of the command line; the job's folder is argument 1."""

    def stage(code: str) -> CommandLine:
        monkeypatch.setattr(child_process, "python_command", lambda: [sys.executable, "-c", code])
        return CommandLine(lambda job: [job.folder])

    return stage


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        with open(f"/proc/{pid}/stat") as file:
            return file.read().split()[2] != "Z"
    except (OSError, IndexError):
        return False


def test_a_finished_job_is_let_go_with_its_result(harness):
    class Volume:
        pass

    jobs = [Job([Turn(lambda job: Volume())]).start()]
    (jobs[0].folder / "large.nrrd").write_text("voxels")
    harness.process_events(lambda: jobs[0].state == "finished")
    harness.process_events(lambda: not jobs[0].folder.exists())
    result = weakref.ref(jobs[0].result)
    assert isinstance(result(), Volume)
    jobs.clear()
    for _ in range(3):
        harness.process_events()
        gc.collect()
    assert result() is None


def test_stages_run_in_turn_and_the_result_is_the_last_one(harness):
    order, listener = [], Recorder()

    def steps(job):
        for name in "bc":
            order.append(name)
            yield
        return "result"

    job = Job([Turn(lambda job: order.append("a")), Steps(steps)], listener).start()
    assert order == []  # nothing before the event loop runs
    folder = job.folder
    assert folder.is_dir()
    assert job.wait() == "result"
    assert order == ["a", "b", "c"]
    assert listener.ends == ["finished"]
    assert not folder.exists()


@pytest.mark.parametrize("started_anew", [True, False])
def test_folders_of_a_slicer_that_is_gone_go_at_the_start_or_with_the_next_job(
    harness, tmp_path, monkeypatch, started_anew
):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    code = (
        "import os, SyntheticCTLib.basics.stages as s; w = s.work_folder('SyntheticCT-');"
        "(w.__enter__() / 'MR.mha').write_text('voxels'); os._exit(9)"
    )
    environment = os.environ | {"TMPDIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code], env=environment).returncode == 9
    (left,) = tmp_path.glob("SyntheticCT-*/MR.mha")
    if started_anew:
        harness.load_module("SyntheticCT")
        harness.app.complete_startup()
        assert not left.exists()
    running = Job([Steps(lambda job: (None for _ in itertools.count()))]).start()
    assert not left.exists() and running.folder.parent == tmp_path
    Job([Turn(lambda job: None)]).start().wait()
    assert running.folder.is_dir()  # it is in use
    running.cancel(wait=True)
    assert not list(tmp_path.glob("SyntheticCT-*"))


def test_a_slicer_that_quits_leaves_no_folders(harness, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    harness.load_module("SyntheticCT")
    (session_folder() / "report.html").write_text("figures")
    assert list(tmp_path.glob("SyntheticCT-*/report.html"))
    harness.app.quit()
    assert not list(tmp_path.glob("SyntheticCT-*"))


def test_the_commands_progress_and_warnings_are_told(harness, child):
    code = """
import json
for fraction in (0.25, 1.0):
    print(json.dumps({"event": "progress", "step": "Work", "fraction": fraction, "epoch": 3}))
print(json.dumps({"event": "warning", "message": "Mind the gap."}))
print("plain")
"""
    listener = Recorder()
    job = Job([child(code)], listener).start()
    job.wait()
    assert listener.steps == [("Work", 0.25, {"epoch": 3}), ("Work", 1.0, {"epoch": 3})]
    assert listener.warnings == ["Mind the gap."]
    assert job.log == ["Mind the gap.", "plain"]


def test_the_sentence_of_a_failed_command_is_the_error_with_its_files_called_as_people_do(
    harness, child
):
    code = """
import sys
print("traceback", file=sys.stderr)
print(f"synthetic-ct: The MR {sys.argv[1]}/MR.mha is empty.", file=sys.stderr)
sys.exit(2)
"""
    stage = child(code)
    job = Job([Turn(lambda job: job.names.update({str(job.folder / "MR.mha"): "T2"})), stage])
    with pytest.raises(SyntheticCTError, match=r"^The MR T2 is empty\.$"):
        job.start().wait()
    assert job.state == "failed"
    assert "traceback" in job.log


@pytest.mark.parametrize(
    ("code", "sentence"),
    [("import sys; sys.exit(3)", "exit code 3"), ("import os; os.abort()", "ended by signal 6")],
)
def test_the_exit_code_is_checked(harness, child, code, sentence):
    with pytest.raises(SyntheticCTError, match=sentence):
        Job([child(code)]).start().wait()


def test_cancel_ends_the_child_and_its_children_within_two_seconds(
    harness, child, tmp_path, monkeypatch
):
    assert jobs.GRACE_S < 2  # what a child that does not heed has left, on a machine that is free
    monkeypatch.setattr(child_process, "GRACE_S", 0.1)
    # Neither heeds the request to end, as a program deep in a computation.
    code = f"""
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
other = subprocess.Popen([sys.executable, "-c",
    "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(60)"])
open({str(tmp_path / "pids")!r}, "w").write(f"{{os.getpid()}} {{other.pid}}")
time.sleep(60)
"""
    listener = Recorder()
    job = Job([child(code)], listener).start()
    pids = tmp_path / "pids"
    harness.process_events(lambda: pids.exists() and len(pids.read_text().split()) == 2)
    job.cancel()
    harness.process_events(lambda: job.state != "running")
    assert job.state == "cancelled"
    assert listener.ends == ["cancelled"]
    harness.process_events(lambda: not any(alive(int(pid)) for pid in pids.read_text().split()))
    assert not job.folder.exists()


def test_a_cancelled_child_may_tidy_up(harness, child, tmp_path):
    code = f"""
import time
open({str(tmp_path / "begun")!r}, "w").close()
try:
    import signal
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    open({str(tmp_path / "ready")!r}, "w").close()
    time.sleep(60)
except KeyboardInterrupt:
    time.sleep(0.2)
    open({str(tmp_path / "tidied")!r}, "w").close()
"""
    job = Job([child(code)]).start()
    harness.process_events(lambda: (tmp_path / "ready").exists())
    job.cancel(wait=True)
    assert job.state == "cancelled"
    assert (tmp_path / "tidied").exists()


def test_a_fault_in_a_stage_is_a_sentence_not_a_crash(harness):
    job = Job([Turn(lambda job: 1 / 0)]).start()
    with pytest.raises(SyntheticCTError, match="ZeroDivisionError"):
        job.wait()


def test_the_child_finds_the_libraries_wherever_they_are(tmp_path):
    import subprocess

    command = [*python_command(), "--version"]
    found = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path, check=True, env={"PATH": ""}
    )
    assert "." in found.stdout


@pytest.mark.parametrize("wait", [True, False])
def test_what_a_stage_does_may_cancel_its_own_job(harness, wait):
    closed = []

    def steps(job):
        try:
            while True:
                job.report("Work", 0.5)
                yield
        finally:
            closed.append(True)

    class Impatient(Recorder):
        def onProgress(self, step, fraction, details):
            job.cancel(wait)

    listener = Impatient()
    job = Job([Steps(steps)], listener).start()
    began = time.monotonic()
    harness.process_events(lambda: job.state != "running", timeout_s=5)
    assert (job.state, job.error, closed) == ("cancelled", "", [True])
    assert listener.ends == ["cancelled"]
    assert time.monotonic() - began < 2


def test_a_fault_of_who_listens_does_not_make_the_job_fail(harness):
    class Broken(JobListener):
        def onProgress(self, step, fraction, details):
            raise RuntimeError("the widget is gone")

        onWarning = onEnd = lambda self, *told: 1 / 0

    def work(job):
        job.report("Work", 0.5)
        job.warn("Mind the gap.")
        return "result"

    job = Job([Turn(work)], Broken()).start()
    assert job.wait() == "result"


def test_a_stage_that_fails_leaves_no_child_that_does_not_heed(harness, child, tmp_path):
    code = f"""
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
open({str(tmp_path / "pid")!r}, "w").write(f"{{os.getpid()}} ")
time.sleep(60)
"""
    stage, pid = child(code), tmp_path / "pid"
    done = stage.done

    def fails(job):
        if pid.exists() and pid.read_text().endswith(" "):
            raise SyntheticCTError("The disk is full.")
        return done(job)

    stage.done = fails
    job = Job([stage]).start()
    with pytest.raises(SyntheticCTError, match="disk is full"):
        job.wait()
    assert job.state == "failed"
    assert not alive(int(pid.read_text()))


def test_a_file_is_not_called_by_the_name_of_one_that_begins_alike():
    job = Job([])
    job.names |= {"/data/IM1": "file 1", "/data/IM10": "file 2"}
    assert job.named("No dose: /data/IM10, /data/IM1") == "No dose: file 2, file 1"


def test_a_slicer_that_quits_ends_what_a_script_has_started(harness, child, tmp_path):
    harness.load_module("SyntheticCT")
    pid = tmp_path / "pid"
    code = f"import os, time; open({str(pid)!r}, 'w').write(f'{{os.getpid()}} '); time.sleep(60)"
    job = Job([child(code)]).start()
    harness.process_events(lambda: pid.exists() and pid.read_text().endswith(" "))
    harness.app.quit()
    assert job.state == "cancelled" and not job.folder.exists()
    assert not alive(int(pid.read_text()))
