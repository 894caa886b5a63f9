"""The command line: its shape, its exit codes, its sentences, its progress events."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import pytest
import SimpleITK as sitk
from models import blob_mr, ct_like, tiny_bundle
from SyntheticCTLib.bundle.folder import WEIGHTS, save_bundle
from SyntheticCTLib.volumes.writing import write_volume
from SyntheticCTProgram.program import main


@pytest.fixture
def model(tmp_path):
    return save_bundle(tiny_bundle(phantom=True), tmp_path / "model")


@pytest.fixture
def mr(tmp_path):
    return write_volume(blob_mr(), tmp_path / "mr.nrrd")


def failure(capsys, *arguments) -> str:
    """Run a command that must fail with bad input and return its one sentence."""
    assert main([str(a) for a in arguments]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert "Traceback" not in "\n".join(lines)
    assert lines[-1].startswith("synthetic-ct: ")
    return lines[-1]


@pytest.mark.parametrize(
    "command",
    ["demo", "phantom", "sort", "train", "generate", "export", "evaluate", "cohort"],
)
def test_every_command_has_help(command, capsys):
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert "--progress" in text
    assert len(text) > 400


def test_python_m_is_the_same_program():
    result = subprocess.run(
        [sys.executable, "-m", "SyntheticCTLib", "--version"], capture_output=True, text=True
    )
    assert result.returncode == 0
    assert result.stdout.startswith("synthetic-ct ")


def test_usage_errors_exit_with_2(capsys):
    for arguments in ([], ["generate"], ["evaluate", "--candidate", "no-file"]):
        with pytest.raises(SystemExit) as stop:
            main(arguments)
        assert stop.value.code == 2


def test_generate_writes_both_volumes_on_the_grid_of_the_mr(mr, model, tmp_path, capsys):
    sct, spread = tmp_path / "out" / "sct.nrrd", tmp_path / "out" / "u.nrrd"
    arguments = ["generate", mr, "--model", model, "--output", sct, "--uncertainty", spread]
    assert main([str(a) for a in arguments]) == 0
    source = sitk.ReadImage(str(mr))
    for path in (sct, spread):
        image = sitk.ReadImage(str(path))
        assert image.GetSize() == source.GetSize()
        assert image.GetOrigin() == source.GetOrigin()
    labelled = sitk.ReadImage(str(sct))
    assert "Synthetic CT" in labelled.GetMetaData("SyntheticCT")
    assert "digital phantom only" in capsys.readouterr().err.replace("\n", " ")
    assert sorted(p.name for p in sct.parent.iterdir()) == ["sct.nrrd", "u.nrrd"]


def test_a_reader_that_goes_away_ends_the_work_with_a_sentence(mr, model, tmp_path):
    command = [sys.executable, "-m", "SyntheticCTLib", "generate", mr, "--model", model]
    command += ["--output", tmp_path / "sct.nrrd", "--progress", "json"]
    with subprocess.Popen(
        [*map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        process.stdout.close()
        error = process.stderr.read()
    assert process.returncode == 1
    assert (
        error.strip() == "synthetic-ct: Nobody reads the progress any more: the work was stopped."
    )
    assert not (tmp_path / "sct.nrrd").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends a process without asking it")
def test_who_presses_ctrl_c_again_and_again_reads_one_sentence(tmp_path):
    # What is started in the background of a shell ignores Ctrl-C, and hands that on.
    heeding = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    heeding += "from SyntheticCTProgram.program import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", heeding, "phantom", "--seed", "1", "--count", "50"]
    with subprocess.Popen(
        [*command, "--progress", "json", "--output", str(tmp_path / "out")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        process.stdout.readline()  # it is at work
        ends = time.monotonic() + 60
        while process.poll() is None:
            process.send_signal(signal.SIGINT if time.monotonic() < ends else signal.SIGKILL)
            time.sleep(0.02)
        told = process.stderr.read()
    assert process.returncode == 130
    assert told == "synthetic-ct: Interrupted; nothing half-written is left.\n"
    assert not (tmp_path / "out").exists()


def test_progress_json_is_one_event_a_line_and_ends_with_done(mr, model, tmp_path, capsys):
    arguments = ["generate", mr, "--model", model, "--output", tmp_path / "sct.nrrd"]
    assert main([*map(str, arguments), "--progress", "json"]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {event["event"] for event in events} == {"progress", "warning", "done"}
    assert events[-1] == {"event": "done", "sct": str(tmp_path / "sct.nrrd")}
    fractions = [e["fraction"] for e in events if e.get("step") == "Generate synthetic CT"]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1


def test_an_altered_model_is_refused_and_nothing_is_written(mr, model, tmp_path, capsys):
    data = (model / WEIGHTS).read_bytes()
    (model / WEIGHTS).write_bytes(data[:-100])
    sentence = failure(
        capsys, "generate", mr, "--model", model, "--output", tmp_path / "x" / "sct.nrrd"
    )
    assert "truncated or was altered" in sentence
    assert not (tmp_path / "x").exists()


def test_outputs_never_overwrite_inputs(mr, model, tmp_path, capsys):
    before = mr.read_bytes()
    assert "overwrite" in failure(capsys, "generate", mr, "--model", model, "--output", mr)
    assert (
        "overwrite"
        in failure(capsys, "generate", mr, "--model", model, "--output", model / WEIGHTS)
        or "inside the input" in capsys.readouterr().err
    )
    assert mr.read_bytes() == before


def test_missing_empty_and_unwritable_are_told(mr, model, tmp_path, capsys):
    output = ["--model", model, "--output", tmp_path / "sct.nrrd"]
    assert "does not exist" in failure(capsys, "generate", tmp_path / "none.nrrd", *output)
    flat = write_volume(sitk.Image([5, 5, 5], sitk.sitkInt16), tmp_path / "flat.nrrd")
    assert "empty" in failure(capsys, "generate", flat, *output)
    broken = blob_mr()
    broken[3, 3, 3] = float("nan")
    nan = write_volume(broken, tmp_path / "nan.nrrd")
    assert "NaN" in failure(capsys, "generate", nan, *output)
    (tmp_path / "file").write_text("")
    assert "cannot be written" in failure(
        capsys, "generate", mr, "--model", model, "--output", tmp_path / "file" / "sct.nrrd"
    )
    assert "cannot be written" in failure(
        capsys, "demo", "--output", tmp_path / "file" / "demo", "--model", model
    )
    assert not (tmp_path / "sct.nrrd").exists()


def test_a_fault_of_the_program_is_told_in_a_sentence_and_traced_on_demand(
    mr, model, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr("SyntheticCTProgram.images.read_volume", lambda *_: 1 / 0)
    arguments = ["generate", mr, "--model", model, "--output", tmp_path / "sct.nrrd"]
    assert main([str(a) for a in arguments]) == 1
    assert "Traceback" not in capsys.readouterr().err
    assert main([*map(str, arguments), "--debug"]) == 1
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_evaluate_tells_what_does_not_fit(mr, tmp_path, capsys):
    ct = write_volume(ct_like(), tmp_path / "ct.nrrd")
    far = ct_like()
    far.SetOrigin((5000.0, 0, 0))
    away = write_volume(far, tmp_path / "far.nrrd")
    start = ["evaluate", "--ct", ct, "--output", tmp_path / "out"]
    assert "does not exist" in failure(capsys, *start, "--candidate", "a=missing.nrrd")
    assert "no candidate" in failure(
        capsys, *start, "--candidate", f"a={ct}", "--dose-ct", ct, "--dose", f"b={ct}"
    )
    assert "--dose-ct" in failure(capsys, *start, "--candidate", f"a={ct}", "--dose", f"a={ct}")
    assert "twice" in failure(capsys, *start, "--candidate", f"a={ct}", "--candidate", f"a={ct}")
    for none in (["--no-registration"], ["--registration", "none", "--no-registration"]):
        assert "do not overlap" in failure(capsys, *start, *none, "--candidate", f"a={away}")
    given = [*start, "--candidate", f"a={ct}"]
    assert "contradict each other" in failure(
        capsys, *given, "--no-registration", "--registration", "rigid"
    )
    assert "give --mr" in failure(capsys, *given, "--registration-by", "mr")
    assert not (tmp_path / "out").exists()


def test_help_names_what_stands_for_options_that_are_told_from_given_ones(capsys):
    from SyntheticCTEvalLib.evaluation.settings import EvaluationSettings

    asked = EvaluationSettings()
    for command in ("evaluate", "cohort"):
        with pytest.raises(SystemExit):
            main([command, "--help"])
        told = " ".join(capsys.readouterr().out.split())
        assert f"noise of the dose difference ({asked.dose_noise_percent:g})" in told
        assert f"or after this time ({asked.dose_minutes:g})" in told
        assert f"FRACTIONS of a plan that is made ({asked.planning.fractions})" in told
        assert f"{{1,2,3}} of a plan that is made ({asked.planning.arcs})" in told
