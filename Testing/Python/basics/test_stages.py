"""What killed programs leave is tidied, what others use is left alone, a full disk is told."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time

import numpy as np
import pytest
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.outputs import require_place, staged_file, staged_folder
from SyntheticCTLib.basics.stages import IN_USE, stage_in, tidy, users_path, work_folder

HOLD = """
import sys, time
from pathlib import Path
from SyntheticCTLib.basics.stages import stage_in, work_folder
with stage_in(Path(sys.argv[1])) as stage, work_folder() as work:
    (stage / "ct.nrrd").write_text("a patient")
    (work / "ct.mha").write_text("a patient")
    print(stage, work, flush=True)
    time.sleep(60)
"""


def test_folders_of_a_killed_program_are_removed_and_those_in_use_are_not(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    ) as process:
        stage, work = process.stdout.readline().split()
        tidy(tmp_path)
        tidy()
        assert os.path.exists(stage) and os.path.exists(work)
        process.kill()
    tidy()
    assert not os.path.exists(work) and os.path.exists(stage)
    with staged_file(tmp_path / "a.txt") as file:
        file.write_text("whole")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_only_old_folders_without_the_file_are_taken_for_abandoned(tmp_path):
    for name in (".partial-new", ".partial-old", "registration-mine"):
        (tmp_path / name).mkdir()
    hours_ago = time.time() - 7200
    os.utime(tmp_path / ".partial-old", (hours_ago, hours_ago))
    tidy(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {".partial-new", "registration-mine"}


def test_one_program_may_use_two_stages_of_one_folder(tmp_path):
    with stage_in(tmp_path) as first:
        (first / "a").write_text("")
        with stage_in(tmp_path) as second:
            tidy(tmp_path)
            assert (first / "a").exists() and second.is_dir()
    assert list(tmp_path.iterdir()) == []


def test_the_mark_of_use_is_no_result(tmp_path):
    with staged_folder(tmp_path / "out") as stage:
        assert (stage / IN_USE).exists()
        (stage / "a.txt").write_text("")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.txt"]


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EFBIG, "File too large"),
        OSError("640 requested and 7 written"),  # numpy
    ],
)
def test_a_full_disk_is_told_with_the_users_path(tmp_path, error):
    with (
        pytest.raises(SyntheticCTError, match=r"out/report\.html cannot be written.*room"),
        staged_folder(tmp_path / "out") as stage,
        staged_file(stage / "report.html"),
    ):
        raise error
    assert list((tmp_path / "out").iterdir()) == []
    with pytest.raises(SyntheticCTError, match=r"cannot be written.*room"), work_folder():
        raise error


def test_other_faults_are_not_taken_for_a_full_disk(tmp_path):
    for fault in (BrokenPipeError(errno.EPIPE, "x"), FileNotFoundError(errno.ENOENT, "x")):
        with pytest.raises(type(fault)), staged_file(tmp_path / "a.txt"):
            raise fault


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/full is Linux's")
def test_a_disk_that_is_full_is_known(tmp_path):
    with (
        pytest.raises(SyntheticCTError, match=r"a\.npy cannot be written"),
        staged_file(tmp_path / "a.npy"),
    ):
        np.ones(100_000).tofile("/dev/full")


def test_paths_are_told_as_their_user_knows_them(tmp_path):
    inside = tmp_path / ".partial-1a" / "p1" / ".partial-2b" / "ct.nrrd"
    assert users_path(inside) == tmp_path / "p1" / "ct.nrrd"


def test_a_place_is_refused_before_the_work_and_not_made(tmp_path):
    (tmp_path / "file").write_text("")
    for place, words in (("file/sub/a.nrrd", "cannot be written to"), ("", "is a folder")):
        with pytest.raises(SyntheticCTError, match=words):
            require_place(tmp_path / place)
    require_place(tmp_path / "new" / "sub" / "a.nrrd")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_results_of_an_earlier_run_go_with_the_new_ones_only(tmp_path):
    for name in ("old.nrrd", "mine.txt"):
        (tmp_path / name).write_text(name)
    with pytest.raises(ValueError), staged_folder(tmp_path, earlier=[tmp_path / "old.nrrd"]):
        raise ValueError
    assert (tmp_path / "old.nrrd").exists()
    with (
        pytest.raises(SyntheticCTError, match="overwrite the input"),
        staged_folder(tmp_path, [tmp_path / "old.nrrd"], [tmp_path / "old.nrrd"]),
    ):
        pass
    with staged_folder(tmp_path, earlier=[tmp_path / "old.nrrd"]) as stage:
        (stage / "new.nrrd").write_text("new")
    assert {path.name for path in tmp_path.iterdir()} == {"new.nrrd", "mine.txt"}
