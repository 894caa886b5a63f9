"""Results appear whole or not at all, and never over an input."""

from __future__ import annotations

import _thread
import os
import shutil
import signal
import threading
from random import random

import pytest
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.outputs import (
    named_in,
    nothing_left,
    refuse_overwrite,
    require_writable_folder,
    staged_file,
    staged_folder,
)
from SyntheticCTLib.basics.stages import discard_stages


@pytest.fixture
def interruptible():
    """Ctrl-C raises KeyboardInterrupt also where the tests were started in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_output_equal_to_input_is_refused_however_it_is_spelled(tmp_path):
    (tmp_path / "mr.nrrd").write_text("in")
    (tmp_path / "link.nrrd").symlink_to(tmp_path / "mr.nrrd")
    for output in ("mr.nrrd", "sub/../mr.nrrd", "link.nrrd"):
        with pytest.raises(SyntheticCTError, match=r"would overwrite the input .*: choose another"):
            refuse_overwrite(tmp_path / output, [tmp_path / "mr.nrrd"])
    refuse_overwrite(tmp_path / "sct.nrrd", [tmp_path / "mr.nrrd"])


def test_output_inside_or_around_an_input_folder_is_refused(tmp_path):
    (tmp_path / "dicom").mkdir()
    with pytest.raises(SyntheticCTError, match="lies inside the input"):
        refuse_overwrite(tmp_path / "dicom" / "sct.nrrd", [tmp_path / "dicom"])
    with pytest.raises(SyntheticCTError, match="would overwrite the input"):
        refuse_overwrite(tmp_path, [tmp_path / "dicom"])


def test_folder_is_made_with_its_parents(tmp_path):
    assert require_writable_folder(tmp_path / "a" / "b").is_dir()
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_what_fails_leaves_no_empty_folder_that_was_not_there(tmp_path):
    (tmp_path / "there").mkdir()
    with pytest.raises(SyntheticCTError), nothing_left():
        require_writable_folder(tmp_path / "a" / "b")
        require_writable_folder(tmp_path / "there" / "c")
        (require_writable_folder(tmp_path / "full") / "batch").write_text("kept")
        require_writable_folder(tmp_path / "there")
        raise SyntheticCTError("Refused.")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["batch", "full", "there"]
    with nothing_left():
        require_writable_folder(tmp_path / "a")
    with pytest.raises(KeyboardInterrupt), nothing_left(), staged_folder(tmp_path / "new"):
        raise KeyboardInterrupt
    assert (tmp_path / "a").is_dir() and not (tmp_path / "new").exists()


def test_folder_below_a_file_is_not_writable(tmp_path):
    (tmp_path / "file.txt").write_text("x")
    for action in (
        lambda: require_writable_folder(tmp_path / "file.txt" / "sub"),
        lambda: staged_file(tmp_path / "file.txt" / "sct.nrrd").__enter__(),
        lambda: staged_folder(tmp_path / "file.txt").__enter__(),
    ):
        with pytest.raises(
            SyntheticCTError, match=r"cannot be written to .*: choose another folder"
        ):
            action()
    assert (tmp_path / "file.txt").read_text() == "x"


def test_staged_file_appears_on_success_only(tmp_path):
    target = tmp_path / "out" / "a.txt"
    with staged_file(target) as stage:
        stage.write_text("new")
        assert stage.suffix == ".txt" and not target.exists()
    assert target.read_text() == "new"
    with pytest.raises(ValueError), staged_file(target) as stage:
        stage.write_text("half")
        raise ValueError
    assert target.read_text() == "new"
    assert [p.name for p in target.parent.iterdir()] == ["a.txt"]


def test_a_folder_in_place_of_the_output_file_is_refused(tmp_path):
    (tmp_path / "sct.nrrd").mkdir()
    with (
        pytest.raises(SyntheticCTError, match="is a folder: give a file name"),
        staged_file(tmp_path / "sct.nrrd"),
    ):
        pass


def test_staged_folder_replaces_old_results_and_keeps_other_files(tmp_path):
    (tmp_path / "metrics.json").write_text("old")
    (tmp_path / "maps").mkdir()
    (tmp_path / "maps" / "old.nrrd").write_text("old")
    (tmp_path / "maps" / "index.json").write_text("old")
    (tmp_path / "notes.txt").write_text("mine")
    with staged_folder(tmp_path) as stage:
        (stage / "metrics.json").write_text("new")
        (stage / "maps").mkdir()
        (stage / "maps" / "new.nrrd").write_text("new")
        (stage / "maps" / "index.json").write_text("new")
    assert sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*")) == [
        "maps",
        "maps/index.json",
        "maps/new.nrrd",
        "metrics.json",
        "notes.txt",
    ]
    assert (tmp_path / "metrics.json").read_text() == "new"


def test_a_folder_of_other_files_is_not_replaced(tmp_path):
    (tmp_path / "maps").mkdir()
    (tmp_path / "maps" / "notes.txt").write_text("mine")
    with (
        pytest.raises(SyntheticCTError, match="files of another kind"),
        staged_folder(tmp_path) as stage,
    ):
        (stage / "a.txt").write_text("new")
        (stage / "maps").mkdir()
        (stage / "maps" / "new.nrrd").write_text("new")
    assert [p.name for p in tmp_path.iterdir()] == ["maps"]
    assert (tmp_path / "maps" / "notes.txt").read_text() == "mine"


def test_staged_folder_leaves_nothing_half_written_after_a_failure(tmp_path):
    (tmp_path / "metrics.json").write_text("old")
    with pytest.raises(KeyboardInterrupt), staged_folder(tmp_path) as stage:
        (stage / "metrics.json").write_text("half")
        (stage / "sct.nrrd").write_text("half")
        raise KeyboardInterrupt
    assert [p.name for p in tmp_path.iterdir()] == ["metrics.json"]
    assert (tmp_path / "metrics.json").read_text() == "old"


def test_an_interrupt_during_the_removal_waits_for_its_end(tmp_path, monkeypatch, interruptible):
    remove = shutil.rmtree

    def interrupted(*arguments, **options):
        signal.raise_signal(signal.SIGINT)
        remove(*arguments, **options)

    monkeypatch.setattr(shutil, "rmtree", interrupted)
    with pytest.raises(KeyboardInterrupt), staged_file(tmp_path / "a.txt") as stage:
        stage.write_text("whole")
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_interrupt_while_results_are_moved_waits_for_the_last(
    tmp_path, monkeypatch, interruptible
):
    replace = os.replace

    def interrupted(*arguments):
        signal.raise_signal(signal.SIGINT)
        replace(*arguments)

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt), staged_folder(tmp_path) as stage:
        (stage / "a.txt").write_text("new")
        (stage / "b.txt").write_text("new")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.txt", "b.txt"]


def test_interrupts_at_any_moment_leave_nothing(tmp_path, interruptible):
    def write_until_interrupted() -> None:
        threading.Timer(0.002 * random(), _thread.interrupt_main).start()
        while True:
            with staged_file(tmp_path / "a.txt") as stage:
                stage.write_text("whole")

    for _ in range(200):
        with pytest.raises(KeyboardInterrupt):
            write_until_interrupted()
        discard_stages()
        assert [p.name for p in tmp_path.iterdir()] in ([], ["a.txt"])


def test_nothing_moves_where_one_result_would_replace_an_input(tmp_path):
    (tmp_path / "mr.nrrd").write_text("input")
    with (
        pytest.raises(SyntheticCTError, match=r"mr\.nrrd would overwrite the input"),
        staged_folder(tmp_path, inputs=[tmp_path / "mr.nrrd"]) as stage,
    ):
        (stage / "a.txt").write_text("first in the alphabet")
        (stage / "mr.nrrd").write_text("result")
    assert [p.name for p in tmp_path.iterdir()] == ["mr.nrrd"]
    assert (tmp_path / "mr.nrrd").read_text() == "input"


def test_a_folder_of_results_may_not_replace_the_folder_of_an_input(tmp_path):
    (tmp_path / "dicom").mkdir()
    (tmp_path / "dicom" / "1.dcm").write_text("input")
    with (
        pytest.raises(SyntheticCTError, match="would overwrite the input"),
        staged_folder(tmp_path, inputs=[tmp_path / "dicom"]) as stage,
    ):
        (stage / "dicom").mkdir()
    assert (tmp_path / "dicom" / "1.dcm").read_text() == "input"


def test_the_list_of_an_earlier_run_leads_nowhere_else(tmp_path):
    names = ["a.nrrd", "of/b.nrrd", "..", ".", "", "../c", "of/../../c", "/etc/c", "of//c", 5, None]
    assert named_in(tmp_path, names) == [tmp_path / "a.nrrd"]
    assert named_in(tmp_path, names, deep=True) == [tmp_path / "a.nrrd", tmp_path / "of/b.nrrd"]
