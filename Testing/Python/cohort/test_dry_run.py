"""A dry run says what a run would do, by the run's own reader, and writes nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from dicom_files import write_series
from montecarlo_cases import square_field
from SyntheticCTEvalLib.acceptance.limits import read_acceptance
from SyntheticCTEvalLib.cohort import dry_run, inputs
from SyntheticCTEvalLib.cohort.dry_run import dry_run_cohort, duration_words, plan_patient
from SyntheticCTEvalLib.cohort.manifest import PatientEntry, read_cohort_manifest
from SyntheticCTEvalLib.cohort.patient import (
    CohortSettings,
    end_caps_of,
    evaluation_settings,
    limits_of,
)
from SyntheticCTEvalLib.gamma.criteria import Criterion
from SyntheticCTEvalLib.plan.writing import write_plan
from SyntheticCTLib.volumes.grids import grid_of, image_like
from SyntheticCTProgram.program import main

SIZE, SPACING = (24, 24, 20), (4.0, 4.0, 4.0)


def ball(radius: float = 9.0) -> np.ndarray:
    k, j, i = np.indices(SIZE[::-1])
    return (i - 11.5) ** 2 + (j - 11.5) ** 2 + (k - 9.5) ** 2 < radius**2


def volume(values: np.ndarray) -> sitk.Image:
    return image_like(values, grid_of(SIZE, SPACING, (0.0, 0.0, 0.0)))


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    """A patient whose CT is a DICOM series among others, with doses and structures."""
    folder = tmp_path_factory.mktemp("case")
    ct = np.where(ball(), 20, -1000).astype(np.int16)
    noise = np.random.default_rng(0).integers(-9, 10, ct.shape).astype(np.int16)
    stored = (ct + noise + 1024).astype(np.uint16)
    place = {"origin": (0.0, 0.0, 0.0), "spacing": SPACING}
    write_series(folder / "ct", stored, description="planning CT", **place)
    sitk.WriteImage(volume(ct + noise // 2), str(folder / "sct.nrrd"))
    dose = (46 * np.exp(-((np.indices(ct.shape)[2] - 11.5) ** 2) / 60)).astype(np.float32)
    sitk.WriteImage(volume(dose), str(folder / "dose_ct.nrrd"))
    sitk.WriteImage(volume(100 * dose * np.float32(1.01)), str(folder / "dose_sct.nrrd"))
    labels = volume(np.where(ball(3.0), 1, np.where(ball(5.0), 2, 0)).astype(np.uint8))
    labels.SetMetaData("Segment0_Name", "PTV")
    sitk.WriteImage(labels, str(folder / "labels.nrrd"))
    return folder


def entry_of(case: Path, **changed) -> PatientEntry:
    own = {"patient": "a", "ct": case / "ct", "candidates": {"sCT": case / "sct.nrrd"}}
    return PatientEntry(**own | changed)


def found_in(plan, role: str) -> str:
    (line,) = [line for line in plan.inputs if line.role == role]
    return line.found


def test_every_input_is_told_with_its_role_series_grid_and_values(case):
    entry = entry_of(
        case,
        structures=case / "labels.nrrd",
        dose_ct=case / "dose_ct.nrrd",
        doses={"sCT": case / "dose_sct.nrrd"},
        prescription_gy=45.0,
    )
    plan = plan_patient(entry, CohortSettings(acceptance=read_acceptance("tg218")))
    ct = found_in(plan, "CT")
    assert ct.startswith("DICOM series of 20 files, CT 'planning CT'")
    assert "24 x 24 x 20 voxels of 4 x 4 x 4 mm, values -10" in ct
    assert found_in(plan, "candidate sCT").startswith("nrrd, 24 x 24 x 20 voxels")
    assert "largest dose 4" in found_in(plan, "dose on the CT")
    assert plan.facts["Dose"] == "imported"
    assert plan.facts["Prescription"] == "45 Gy. As given."
    assert plan.facts["Gamma"] == (
        "1 %/1 mm global, 3 %/2 mm global; above 10 % and 60 %; up to 2; exact"
    )
    assert plan.facts["Limits"] == "AAPM TG-218"
    assert "Structures" in plan.facts and "Target" in plan.facts
    # 46 Gy in cGy reaches 4600, which the reader refuses as in a run.
    assert len(plan.faults) == 1 and "does not say its unit" in plan.faults[0]
    plan = plan_patient(replace(entry, dose_unit="cGy", dose_ct=case / "dose_sct.nrrd"),
                        CohortSettings())  # fmt: skip
    assert plan.faults == [] and "Gy, read as cGy" in found_in(plan, "dose on sCT")
    good = plan_patient(
        entry_of(case, dose_ct=case / "dose_ct.nrrd", doses={"sCT": case / "dose_ct.nrrd"}),
        CohortSettings(),
    )
    assert good.faults == [] and good.seconds > 0
    assert (
        "the largest dose" in good.facts["Prescription"]
        or "largest" in (good.facts["Prescription"])
    )
    assert any("same" in warning for warning in good.warnings)
    assert "Time: about" in good.text() and "estimate" in good.text()


def test_all_faults_of_a_patient_are_told_at_once(case, tmp_path):
    (tmp_path / "cut.nrrd").write_bytes((case / "sct.nrrd").read_bytes()[:900])
    entry = entry_of(
        case,
        candidates={"sCT": tmp_path / "cut.nrrd"},
        mr=tmp_path / "gone.nrrd",
        structures=case / "labels.nrrd",
        target="CTV",
        options={"gamma_cap": 0.5},
    )
    plan = plan_patient(entry, CohortSettings())
    assert len(plan.faults) == 3
    for part in ("cut.nrrd", "gone.nrrd", "largest gamma"):
        assert any(part in fault for fault in plan.faults)
    assert plan.seconds == 0 and "Time" not in plan.text()
    plan = plan_patient(entry_of(case, target="CTV", structures=case / "labels.nrrd"),
                        CohortSettings())  # fmt: skip
    assert len(plan.faults) == 1 and "no 'CTV'" in plan.faults[0]


def test_what_evaluate_refuses_of_its_images_is_refused_here(case):
    dose = case / "dose_ct.nrrd"
    plan = plan_patient(entry_of(case, ct=dose), CohortSettings())
    assert plan.faults


def test_each_file_is_read_once_and_by_the_runs_own_reader(case, monkeypatch):
    assert dry_run.read_inputs is inputs.read_inputs
    read = []
    real = inputs.read_volume

    def noted(path, what, *rest, **options):
        read.append(what)
        return real(path, what, *rest, **options)

    monkeypatch.setattr(inputs, "read_volume", noted)
    plan_patient(entry_of(case), CohortSettings())
    assert read == ["CT", "candidate sCT"]


@pytest.fixture
def manifest(case, tmp_path):
    path = tmp_path / "m.csv"
    path.write_text(
        "patient,ct,candidate_sCT,registration,local,end_caps,acceptance,criteria,gamma_cap\n"
        f"a,{case / 'ct'},{case / 'sct.nrrd'},none,,,,,\n"
        f'b,{case / "ct"},{case / "sct.nrrd"},rigid,yes,no,korsholm2014,"2/2,3/2",3\n'
    )
    return path


def test_columns_set_what_options_set(manifest):
    (first, second), _ = read_cohort_manifest(manifest)
    settings = CohortSettings(acceptance=read_acceptance("tg218"))
    assert first.fault == second.fault == ""
    asked = evaluation_settings(second, settings)
    assert asked.criteria == (Criterion(2, 2, local=True), Criterion(3, 2, local=True))
    assert (asked.gamma_cap, asked.registration) == (3.0, "rigid")
    assert evaluation_settings(first, settings).criteria == (Criterion(),)
    assert (end_caps_of(first, settings), end_caps_of(second, settings)) == (True, False)
    assert limits_of(first, settings).name == "AAPM TG-218"
    assert limits_of(second, settings).name == "Korsholm 2014"


@pytest.mark.parametrize(
    ("column", "cell", "part"),
    [
        ("local", "maybe", "yes or no"),
        ("end_caps", "half", "yes or no"),
        ("gamma_cap", "two", "no largest gamma"),
        ("acceptance", "gone.toml", "gone.toml"),
        ("criteria", "1", "no gamma criterion"),
        ("registration", "bent", "no registration"),
    ],
)
def test_a_cell_that_cannot_be_read_is_that_patients_fault(tmp_path, column, cell, part):
    path = tmp_path / "m.csv"
    path.write_text(f"patient,ct,candidate_A,{column}\na,ct,a.nrrd,{cell}\n")
    (entry,), _ = read_cohort_manifest(path)
    assert entry.fault.startswith(f"Column {column}:") and part in entry.fault


def run(capsys, *arguments):
    code = main([*map(str, arguments), "--progress", "json"])
    out, err = capsys.readouterr()
    return code, [json.loads(line) for line in out.splitlines()], err


def test_the_command_writes_nothing_and_tells_every_patient(manifest, tmp_path, capsys):
    out = tmp_path / "out"
    code, events, _ = run(capsys, "cohort", manifest, "--output", out, "--no-dose", "--dry-run")
    assert code == 0 and not out.exists()
    told = [event for event in events if event["event"] == "patient"]
    assert [event["patient"] for event in told] == ["a", "b"]
    assert all(event["can_be_evaluated"] and event["seconds"] > 0 for event in told)
    (summary,) = [event for event in events if event["event"] == "dry_run"]
    assert (summary["patients"], summary["can_be_evaluated"]) == (2, 2)
    assert {path.name for path in tmp_path.iterdir()} == {"m.csv"}


def test_the_command_exits_with_2_and_names_all_that_is_wrong(manifest, tmp_path, capsys):
    text = manifest.read_text().replace("sct.nrrd,none", "no.nrrd,none").replace(",yes,", ",?,")
    manifest.write_text(text)
    code, events, err = run(capsys, "cohort", manifest, "--output", tmp_path / "out", "--dry-run")
    assert code == 2
    sentence = err.strip().splitlines()[-1]
    assert sentence.startswith("synthetic-ct: 2 of 2 patients cannot be evaluated. a: ")
    assert "no.nrrd does not exist" in sentence and "b: Column local: '?'" in sentence
    assert sum(event["event"] == "patient" for event in events) == 2


def test_evaluate_has_a_dry_run_as_well(case, tmp_path, capsys):
    out = tmp_path / "out"
    options = ["evaluate", "--ct", case / "ct", "--no-dose", "--output", out, "--dry-run"]
    code, events, _ = run(capsys, *options, "--candidate", f"sCT={case / 'sct.nrrd'}")
    assert code == 0 and not out.exists()
    assert [event["role"] for event in events[-2]["inputs"]] == ["CT", "candidate sCT"]
    code, _, err = run(capsys, *options, "--candidate", f"sCT={tmp_path / 'no.nrrd'}")
    assert code == 2 and "no.nrrd does not exist" in err and not out.exists()


def test_results_that_are_there_are_told(case, manifest, tmp_path, monkeypatch):
    (tmp_path / "out" / "patients" / "a").mkdir(parents=True)
    (tmp_path / "out" / "patients" / "a" / "patient.json").write_text("{}")
    settings = CohortSettings()
    monkeypatch.setattr(dry_run, "is_current", lambda folder, made: folder.name == "a")
    plans = dry_run_cohort(manifest, tmp_path / "out", settings)
    assert plans[0].facts["Results"].startswith("there and unchanged") and plans[0].seconds == 0
    assert "Results" not in plans[1].facts and plans[1].seconds > 0


def no_prescription(plan):
    return replace(plan, prescription=())


def beyond_spectra(plan):
    return replace(plan, beams=(replace(plan.beams[0], energy_mv=15.0),))


def other_frame(plan):
    return replace(plan, frame_of_reference="1.2.3.9")


@pytest.mark.parametrize(
    ("change", "engine", "told"),
    [
        (no_prescription, "pencil-beam", "The plan does not say which dose is prescribed"),
        (no_prescription, "montecarlo", "The plan does not say which dose is prescribed"),
        (beyond_spectra, "montecarlo", "Monte Carlo has a spectrum for 6, 10 MV"),
        (other_frame, "pencil-beam", "different frames of reference"),
    ],
)
def test_a_plan_that_a_run_refuses_is_refused_by_its_dry_run_in_the_same_words(
    change, engine, told, case, tmp_path, capsys
):
    isocentre = {"isocentre_mm": (48.0, 48.0, 40.0)}
    plan = replace(square_field(20.0, **isocentre), frame_of_reference="1.2.3.4")
    write_plan(change(plan), tmp_path / "plan.dcm")
    options = ["--registration", "none", "--dose-engine", engine]
    own = [*options, "--candidate", f"sCT={case / 'sct.nrrd'}", "--plan", tmp_path / "plan.dcm"]
    one = ["evaluate", "--ct", case / "ct", *own, "--output", tmp_path / "one"]
    (tmp_path / "m.csv").write_text(
        f"patient,ct,candidate_sCT,plan\na,{case / 'ct'},{case / 'sct.nrrd'},plan.dcm\n"
    )
    all_ = ["cohort", tmp_path / "m.csv", *options, "--output", tmp_path / "all"]
    code, _, refused = run(capsys, *one)
    sentence = refused.strip().splitlines()[-1].removeprefix("synthetic-ct: ")
    assert code == 2 and told in sentence
    for command in (one, all_):
        code, events, err = run(capsys, *command, "--dry-run")
        assert code == 2 and sentence in err
        (patient,) = [event for event in events if event["event"] == "patient"]
        assert not patient["can_be_evaluated"] and patient["seconds"] == 0
        if change is no_prescription:
            assert "Prescription" not in patient["facts"]


def test_times_are_promised_roughly():
    assert [duration_words(s) for s in (3, 84, 100, 3600, 36000)] == [
        "10 seconds", "80 seconds", "2 minutes", "60 minutes", "10.0 hours",
    ]  # fmt: skip


def test_a_plan_tells_its_own_prescription_and_counts_for_the_time(case, tmp_path):
    """One static field takes a seventh of the time of seven fields."""
    field = square_field(20.0, isocentre_mm=(48.0, 48.0, 40.0))
    write_plan(replace(field, frame_of_reference="1.2.3.4"), tmp_path / "plan.dcm")
    settings = CohortSettings()
    planned = plan_patient(entry_of(case, plan=tmp_path / "plan.dcm"), settings)
    assert planned.facts["Prescription"].startswith("2 Gy.")
    assert "by the pencil beam with the plan" in planned.facts["Dose"]
    usual = plan_patient(entry_of(case), settings)
    assert usual.facts["Prescription"].startswith("45 Gy")
    assert usual.seconds - planned.seconds == pytest.approx(2 * 10.0 * 6 / 7)
