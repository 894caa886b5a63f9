"""Limits and dose-volume points on the command line: refused before any work, kept with results."""

from __future__ import annotations

import json

import numpy as np
import pytest
from SyntheticCTLib.volumes.grids import grid_of, image_like
from SyntheticCTLib.volumes.writing import write_volume
from SyntheticCTProgram.program import main

GRID = grid_of((24, 24, 24), (4.0, 4.0, 4.0), (-46.0, -46.0, -46.0))


@pytest.fixture
def case(tmp_path):
    """Files of a ball with a dose, and what ``evaluate`` needs to judge one candidate on it."""
    i, j, k = np.indices((24, 24, 24)).astype(np.float32)
    distance = (i - 11.5) ** 2 + (j - 11.5) ** 2 + (k - 11.5) ** 2
    values = np.where(distance < 81, 20, -1000).astype(np.int16)
    dose = (45 * np.exp(-distance / 200)).astype(np.float32)
    files = {
        "ct": values, "sct": values + np.int16(9), "dose_ct": dose, "dose_sct": 1.01 * dose,
        "ptv": (distance < 16).astype(np.uint8),
    }  # fmt: skip
    for name, array in files.items():
        write_volume(image_like(array, GRID), tmp_path / f"{name}.nrrd")
    given = [
        "evaluate", "--ct", "ct.nrrd", "--candidate", "sCT=sct.nrrd", "--dose-ct", "dose_ct.nrrd",
        "--dose", "sCT=dose_sct.nrrd", "--dose-unit", "Gy", "--prescription", "45",
        "--structures", "ptv.nrrd", "--target", "label 1", "--no-registration", "--no-scene",
        "--output", "out",
    ]  # fmt: skip
    return [str(tmp_path / a) if a.endswith(".nrrd") and "=" not in a else a for a in given]


@pytest.fixture
def run(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda *more: main([*case, *map(str, more)])


def metrics(folder):
    return json.loads((folder / "out" / "metrics.json").read_text("utf-8"))


def test_limits_are_held_against_and_kept(run, tmp_path):
    names = {}
    for name in ("korsholm2014", "tg218"):
        assert run("--acceptance", name, "--criteria", "2/2", "--cutoffs", "60") == 0
        found = metrics(tmp_path)
        names[name] = [v["verdict"] for v in found["acceptance"]["verdicts"]["sCT"]]
        kept = (tmp_path / "out" / "acceptance.toml").read_text("utf-8")
        assert kept == found["acceptance"]["text"]
    assert names == {"korsholm2014": ["pass"] * 3, "tg218": ["pass"]}
    assert list(found["candidates"]["sCT"]["gpr_criteria"]) == ["2%/2mm", "3%/2mm"]
    assert found["origin"]["inputs"]["acceptance"]["sha256"] == found["acceptance"]["sha256"]
    assert run() == 0
    assert metrics(tmp_path)["acceptance"] is None
    assert not (tmp_path / "out" / "acceptance.toml").exists()


def test_the_file_of_limits_is_never_overwritten(run, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    own = tmp_path / "out" / "acceptance.toml"
    own.write_text(
        "name = 'a'\nsource = 'b'\n[[limit]]\nfigure = 'mae_body'\ntolerance = 5\n", "utf-8"
    )
    assert run("--acceptance", own) == 2
    assert "acceptance.toml" in capsys.readouterr().err
    assert list((tmp_path / "out").iterdir()) == [own]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--acceptance", "tg281"), "tg218, korsholm2014"),
        (("--acceptance", "ct.nrrd"), "no TOML"),
        (("--dvh-points", "PTV: D150"), "D150"),
        (("--dvh-points", "D98"), "STRUCTURE: POINTS"),
    ],
)
@pytest.mark.parametrize("command", ["evaluate", "cohort"])
def test_what_cannot_be_read_is_refused_before_any_work(
    run, tmp_path, capsys, options, told, command
):
    if command == "cohort":
        (tmp_path / "m.csv").write_text("patient,ct,candidate_sCT\na,ct.nrrd,sct.nrrd\n")
    try:
        code = (
            run(*options)
            if command == "evaluate"
            else main(["cohort", "m.csv", "--output", "out", *options])
        )
    except SystemExit as stop:  # of the parser
        code = stop.code
    assert code == 2
    assert told in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "out").exists()


def test_points_of_one_patient_stand_in_the_manifest(run, tmp_path, capsys):
    rows = [
        "patient,ct,candidate_sCT,dose_ct,dose_sCT,dose_unit,structures,target,dvh_points",
        "a,ct.nrrd,sct.nrrd,dose_ct.nrrd,dose_sct.nrrd,Gy,ptv.nrrd,label 1,target: D1cc V30",
        "b,ct.nrrd,sct.nrrd,dose_ct.nrrd,dose_sct.nrrd,Gy,ptv.nrrd,label 1,",
        "c,ct.nrrd,sct.nrrd,dose_ct.nrrd,dose_sct.nrrd,Gy,ptv.nrrd,label 1,target: D1xx",
    ]
    (tmp_path / "m.csv").write_text("\n".join(rows) + "\n")
    options = ["--no-registration", "--dvh-points", "*: D7", "--acceptance", "korsholm2014"]
    code = main(["cohort", "m.csv", "--output", "out", "--workers", "1", *options])
    assert code == 1
    assert "D1xx" in capsys.readouterr().err
    found = {
        name: json.loads((tmp_path / "out" / "patients" / name / "metrics.json").read_text("utf-8"))
        for name in "ab"
    }
    assert found["a"]["dvh_points"] == {"label 1": ["D1cm3", "V30Gy"]}
    assert found["b"]["dvh_points"] == {"label 1": ["D7"]}
    for each in found.values():
        assert [v["verdict"] for v in each["acceptance"]["verdicts"]["sCT"]] == ["pass"] * 3
