"""The command ``dose``: its results, what it prints beside them, and its error sentences."""

import json
import re

import numpy as np
import pytest
import SimpleITK as sitk
from montecarlo_cases import cylinder, gaussian_scattering, square_field
from SyntheticCTEvalLib.montecarlo import doses
from SyntheticCTEvalLib.plan.writing import write_plan
from SyntheticCTLib.volumes.resampling import resample
from SyntheticCTProgram.program import main


@pytest.fixture
def case(tmp_path, monkeypatch):
    """A plan of one field, a CT, the same once more and one of 30 HU more."""
    monkeypatch.setattr(doses, "scattering_tables", gaussian_scattering)
    ct, body = cylinder()
    sitk.WriteImage(ct, str(tmp_path / "ct.nrrd"))
    denser = sitk.Cast(ct + 30 * sitk.Cast(body, sitk.sitkInt16), sitk.sitkInt16)
    sitk.WriteImage(denser, str(tmp_path / "denser.nrrd"))
    write_plan(square_field(30.0, mu=400.0), tmp_path / "plan.dcm")
    return tmp_path


def run(case, *more, plan="plan.dcm"):
    return main(
        [
            "dose",
            *("--plan", str(case / plan), "--ct", str(case / "ct.nrrd")),
            *("--output", str(case / "out"), "--photons", "20000", "--minutes", "0.001"),
            *("--spacing", "10", *more),
        ]
    )


def test_doses_uncertainties_and_pass_rates_are_written(case, capsys):
    same, denser = f"same={case / 'ct.nrrd'}", f"denser={case / 'denser.nrrd'}"
    assert run(case, "--candidate", same, "--candidate", denser) == 0
    out = case / "out"
    result = json.loads((out / "dose.json").read_text())
    assert result["prescription_gy"] == 2 and result["batches"] == 6
    assert result["pass_rates"]["same"]["10"] == {"rate": 100, "noise": 0, "bias": 0}
    found = result["pass_rates"]["denser"]["10"]
    assert 0 < found["rate"] < 100 and found["noise"] > 0
    assert set(result["definitions"]) == {"dose", "gpr", "gpr_noise", "gpr_bias"}
    assert any("stopped at a noise" in note for note in result["notes"])
    assert any("names its frame" in note for note in result["notes"])
    dose, other = (sitk.ReadImage(str(out / f"dose_{name}.nrrd")) for name in ("CT", "same"))
    np.testing.assert_array_equal(*map(sitk.GetArrayFromImage, (dose, other)))
    assert sitk.GetArrayFromImage(sitk.ReadImage(str(out / "uncertainty_CT.nrrd"))).max() > 0
    assert not (out / "batches").exists()
    told = capsys.readouterr().err
    assert "same: gamma pass rate 1 %/1 mm above 10 %: 100.00 % +- 0.00" in told


def test_what_a_candidate_does_not_cover_does_not_count_and_is_told(case, capsys):
    ct = sitk.ReadImage(str(case / "ct.nrrd"))
    sitk.WriteImage(ct[:, :, 13:], str(case / "cut.nrrd"))  # what is there is the same
    assert run(case, "--candidate", f"cut={case / 'cut.nrrd'}") == 0
    result = json.loads((case / "out" / "dose.json").read_text())
    assert result["pass_rates"]["cut"]["10"]["rate"] == 100
    assert any("cut covers only" in note for note in result["notes"])
    ct.SetOrigin((0.0, 900.0, 0.0))
    sitk.WriteImage(ct, str(case / "far.nrrd"))
    assert run(case, "--candidate", f"far={case / 'far.nrrd'}") == 2


def test_batches_are_kept_where_asked_for_and_results_replaced(case):
    assert run(case, "--keep-batches", "--candidate", f"a={case / 'ct.nrrd'}") == 0
    assert len(list((case / "out" / "batches").iterdir())) == 6
    assert run(case) == 0
    assert not (case / "out" / "dose_a.nrrd").exists()


def test_bad_input_is_one_sentence(case, capsys):
    (case / "falls.csv").write_text("HU,density\n-1000,0.001\n0,1\n100,0.9\n")
    assert run(case, "--density-curve", str(case / "falls.csv")) == 2
    assert "falls from 1 to 0.9 at 100 HU" in capsys.readouterr().err
    (case / "empty.csv").write_text("")
    assert run(case, "--density-curve", str(case / "empty.csv")) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert "is empty: give a header line" in told and "patient" not in told
    with pytest.raises(SystemExit):
        run(case, "--spacing", "500")
    assert "'500' is not a number of mm from 0.5 to 20" in capsys.readouterr().err
    assert run(case, "--prescription", "4500") == 2
    told = " ".join(capsys.readouterr().err.split())
    assert "is 4500 Gy, which cannot be: give it in Gy, not in cGy" in told
    assert "Monte Carlo" not in told
    assert run(case, plan="ct.nrrd") == 2
    assert "no DICOM RTPLAN" in capsys.readouterr().err
    assert not (case / "out").exists()


def test_overrides_of_structures_are_laid_into_the_ct(case, capsys):
    ct = sitk.ReadImage(str(case / "ct.nrrd"))
    labels = sitk.Image(ct.GetSize(), sitk.sitkUInt8)
    labels.CopyInformation(ct)
    labels[12:20, 10:20, 10:20] = 1
    sitk.WriteImage(labels, str(case / "labels.nrrd"))
    assert run(case) == 0
    plain = sitk.GetArrayFromImage(sitk.ReadImage(str(case / "out" / "dose_CT.nrrd")))
    given = ("--structures", str(case / "labels.nrrd"))
    assert run(case, *given, "--override", "Gas=0") == 2
    (name,) = re.findall(r"one of these \((.*?)\)", " ".join(capsys.readouterr().err.split()))
    assert run(case, *given, "--override", f"{name}=1500") == 0
    dense = sitk.GetArrayFromImage(sitk.ReadImage(str(case / "out" / "dose_CT.nrrd")))
    assert dense[:, -8:].sum() < 0.95 * plain[:, -8:].sum()  # behind it
    result = json.loads((case / "out" / "dose.json").read_text())
    line = "CT numbers replaced for the dose in the CT, where the structure lies"
    assert line in result["definitions"]["dose"]
    assert any(f"{name} 1500 HU" in note for note in result["notes"])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Gas", "'Gas' names no structure and its CT number in HU: write NAME=HU, such as"),
        ("=0", "names no structure"),
        ("Gas=soft", "The CT number 'soft' of the structure Gas is no number: write Gas=0"),
        ("Gas=nan", "'nan' of the structure Gas is no number"),
        ("Gas=-1e999", "is no number"),
    ],
)
@pytest.mark.parametrize("option", ["--override", "--couch"])
def test_an_override_is_a_name_and_a_number(case, option, text, told, capsys):
    assert run(case, option, text, "--structures", str(case / "ct.nrrd")) == 2
    assert told in " ".join(capsys.readouterr().err.split())


def test_a_couch_takes_from_the_beams_that_pass_it(case, capsys):
    ct = sitk.ReadImage(str(case / "ct.nrrd"))
    slab = sitk.Image(ct.GetSize(), sitk.sitkUInt8)
    slab.CopyInformation(ct)
    slab[2:30, 1:3, :] = 1  # in front of the patient, where the beam comes from
    sitk.WriteImage(slab, str(case / "slab.nrrd"))
    assert run(case, "--couch", "slab=0") == 2
    assert "give --structures as well" in " ".join(capsys.readouterr().err.split())
    given = ("--structures", str(case / "slab.nrrd"))
    assert run(case, *given, "--couch", "slab=0") == 2
    (name,) = re.findall(r"one of these \((.*?)\)", " ".join(capsys.readouterr().err.split()))
    doses = []
    for more in ((), (*given, "--couch", f"{name}=0")):
        assert run(case, *more) == 0
        dose = sitk.ReadImage(str(case / "out" / "dose_CT.nrrd"))
        doses.append(sitk.GetArrayFromImage(resample(dose, ct, fill=0)))
    air, slab = doses
    assert slab[:, 16:].sum() < 0.97 * air[:, 16:].sum()
    result = json.loads((case / "out" / "dose.json").read_text())
    assert "Couch added for the dose in the CT, outside" in result["definitions"]["dose"]


def test_overrides_need_structures(case, capsys):
    assert run(case, "--override", "Gas=0") == 2
    assert "give --structures as well" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (("--override", "Gas=0"), "give --structures as well"),
        (("--override", "Gas=0", "--structures", "s.nrrd", "--no-dose"), "leave it out"),
        (
            ("--override", "a=0", "--override", "a=1", "--structures", "s.nrrd"),
            "structure a is given twice",
        ),
        (("--target", "PTV"), "--target PTV is a structure: give --structures as well"),
        (("--density-curve", "no.csv"), "no.csv"),
        (("--plan", "plan.dcm", "--dose-ct", "dose.dcm", "--dose", "a=a.dcm"), "give one of"),
        (("--plan", "plan.dcm", "--no-dose"), "leave one of both out"),
        (("--dose-engine", "montecarlo"), "give --plan as well"),
        (("--plan", "plan.dcm", "--dose-engine", "montecarlo", "--dose-noise", "0"), "stop at 0"),
        (("--dose-noise", "0.25"), "--dose-noise says when Monte Carlo stops"),
        (("--plan", "plan.dcm", "--dose-minutes", "5"), "--dose-minutes says when Monte Carlo"),
        (("--fractions", "25"), "--fractions says how a plan is made, and none is: give --target"),
        (("--plan", "plan.dcm", "--arcs", "2"), "--arcs says how a plan is made"),
        (
            ("--target", "PTV", "--structures", "s.nrrd", "--objectives", "no.toml"),
            "--objectives says how a plan is made",
        ),
    ],
)
def test_evaluate_wants_a_plan_for_monte_carlo_and_not_two_doses(more, told, tmp_path, capsys):
    given = ("evaluate", "--ct", "ct.nrrd", "--candidate", "a=a.nrrd", "--output", str(tmp_path))
    assert main([*given, *more]) == 2
    assert told in " ".join(capsys.readouterr().err.split())


def test_a_second_run_removes_what_the_first_one_named_and_nothing_else(case):
    mine = ["dose_tps.nrrd", "uncertainty_of_tps.nrrd", "dose_1.nrrd"]
    (case / "out").mkdir()
    for name in mine:
        (case / "out" / name).write_text("mine")
    (case / "dose_elsewhere.nrrd").write_text("mine")
    assert run(case, "--candidate", f"a={case / 'ct.nrrd'}") == 0
    result = json.loads((case / "out" / "dose.json").read_text())
    own = [f"{what}_{name}.nrrd" for what in ("dose", "uncertainty") for name in ("CT", "a")]
    assert result["files"] == sorted(own)
    result["files"] += ["../dose_elsewhere.nrrd", "dose.txt", 5]
    (case / "out" / "dose.json").write_text(json.dumps(result))
    assert run(case) == 0
    there = {path.name for path in (case / "out").iterdir()}
    assert there == {*mine, "dose.json", "dose_CT.nrrd", "uncertainty_CT.nrrd"}
    assert (case / "dose_elsewhere.nrrd").exists()


@pytest.mark.parametrize("text", ['{"patient": "mine"}', "[1, 2]", '{"batches": 6, "noi'])
def test_a_result_file_that_is_damaged_or_of_somebody_else_is_neither_followed_nor_replaced(
    text, case, capsys
):
    (case / "out").mkdir()
    for name in ("dose.json", "dose_tps.nrrd"):
        (case / "out" / name).write_text(text)
    assert run(case) == 2
    told = capsys.readouterr().err
    assert "choose another folder" in " ".join(told.split()) and "Monte Carlo" not in told
    assert {path.name for path in (case / "out").iterdir()} == {"dose.json", "dose_tps.nrrd"}
    assert (case / "out" / "dose.json").read_text() == text


def test_what_is_not_the_runs_own_stays_and_inputs_are_looked_after_first(case, capsys):
    mine = case / "out" / "batches" / "mine.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("kept")
    assert run(case, "--candidate", f"a={case / 'ct.nrrd'}") == 0
    assert [path.name for path in mine.parent.iterdir()] == ["mine.txt"]
    capsys.readouterr()
    result = json.loads((case / "out" / "dose.json").read_text())
    assert str(case) not in json.dumps(result)  # folders may be named after a patient
    (case / "ct.nrrd").rename(case / "out" / "dose_b.nrrd")
    (case / "ct.nrrd").symlink_to(case / "out" / "dose_b.nrrd")
    assert run(case, "--candidate", f"b={case / 'denser.nrrd'}") == 2
    told = capsys.readouterr().err
    assert "would overwrite the input" in " ".join(told.split()) and "Monte Carlo" not in told
