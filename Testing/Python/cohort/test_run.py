"""A cohort as a user runs it: on two processes, with a patient that cannot be read."""

from __future__ import annotations

import contextlib
import csv
import io
import json
from pathlib import Path
from types import SimpleNamespace

import jsonschema
import numpy as np
import pytest
import SimpleITK as sitk
from models import tiny_bundle
from schemas import COHORT, PATIENT, hold
from SyntheticCTEvalLib.cohort.records import PatientRecord
from SyntheticCTEvalLib.evaluation.stored import NO_DIFFERENCE
from SyntheticCTEvalLib.image.mr_similarity import DEFINITIONS
from SyntheticCTLib.bundle.folder import save_bundle
from SyntheticCTLib.phantom import TINY, write_cohort
from SyntheticCTLib.volumes.grids import image_like, same_grid
from SyntheticCTLib.volumes.marks import SYNTHETIC_NOTE
from SyntheticCTLib.volumes.writing import write_volume
from SyntheticCTProgram.program import main

WHOLE, PARTLY, BROKEN = "phantom_20", "phantom_21", "broken"


def run(*arguments) -> SimpleNamespace:
    """Run the command line; returns code, events of --progress json and the error stream."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([*map(str, arguments), "--progress", "json"])
    events = [json.loads(line) for line in out.getvalue().splitlines()]
    return SimpleNamespace(code=code, events=events, error=err.getvalue())


def write_dose(ct: Path, path: Path, scale: float) -> Path:
    """Write a smooth dose of ``scale`` times 45 Gy in the middle of a CT."""
    image = sitk.ReadImage(str(ct))
    grid = np.meshgrid(*[np.linspace(-1, 1, n) for n in image.GetSize()[::-1]], indexing="ij")
    dose = 45 * scale * np.exp(-4 * sum(g**2 for g in grid))
    return write_volume(image_like(dose.astype(np.float32), image), path)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A phantom without structures, one without MR and doses, and one with half a CT."""
    folder = tmp_path_factory.mktemp("study")
    manifest = write_cohort(20, 2, folder / "in", TINY)
    with manifest.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    for row in rows:
        ct = manifest.parent / row["ct"]
        for column, scale in (("dose_ct", 1), ("dose_MRCAT", 1.02)):
            write_dose(ct, ct.parent / f"{column}.nrrd", scale)
            row[column] = f"{row['patient']}/{column}.nrrd"
        row["ward"] = "7"
    rows[0] |= {"structures": ""}
    rows[1] |= {"mr": "", "dose_ct": ""}
    (folder / "in" / "half.nrrd").write_bytes(ct.read_bytes()[:20000])
    rows.append(rows[0] | {"patient": BROKEN, "ct": "half.nrrd"})
    with manifest.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    model = save_bundle(tiny_bundle(phantom=True), folder / "model")
    return SimpleNamespace(manifest=manifest, output=folder / "out", model=model)


def command(study, *more) -> list:
    return [
        *("cohort", study.manifest, "--output", study.output, "--model", study.model),
        *("--no-registration", *more),
    ]


@pytest.fixture(scope="module")
def cohort(study):
    return run(*command(study, "--workers", 2))


@pytest.fixture(scope="module")
def whole(study, cohort) -> PatientRecord:
    return PatientRecord.read(WHOLE, study.output / "patients" / WHOLE)


def test_a_patient_that_fails_is_told_and_the_others_go_on(study, cohort):
    assert cohort.code == 1
    sentence = cohort.error.strip().splitlines()[-1]
    assert sentence.startswith("synthetic-ct: 1 of 3 patients failed (broken)")
    warnings = [event["message"] for event in cohort.events if event["event"] == "warning"]
    assert any(w.startswith("broken failed: The CT ") and "cannot be read" in w for w in warnings)
    folders = {path.name for path in (study.output / "patients").iterdir()}
    assert folders == {WHOLE, PARTLY}
    told = json.loads((study.output / "metrics.json").read_text(encoding="utf-8"))
    assert "cannot be read" in told["failed"][BROKEN]


def test_what_a_cohort_leaves_keeps_to_its_schema(study, cohort):
    found = json.loads((study.output / "metrics.json").read_text(encoding="utf-8"))
    hold(found, COHORT)
    assert found["failed"].keys() == {BROKEN} and found["acceptance"] is None
    assert found["patients"][WHOLE]["candidates"]["MRCAT"]["gpr"]
    for broken in (
        {"schema": PATIENT["$id"]},
        {"more": 1},
        {"statistics": [found["statistics"][0] | {"more": 1}]},
        {"patients": {WHOLE: found["patients"][WHOLE] | {"more": 1}}},
        {"patients": {WHOLE: found["patients"][WHOLE] | {"candidates": {"MRCAT": {}}}}},
        {"means": {"MRCAT": {"mae_body": {"mean": 1, "sd": None, "n": 0}}}},
        {"origin": found["origin"] | {"date": "today"}},
    ):
        with pytest.raises(jsonschema.ValidationError):
            hold(found | broken, COHORT)


def test_one_bar_counts_the_patients_and_names_how_they_ended(cohort):
    bar = [event for event in cohort.events if event.get("step") == "Patients"]
    assert [event["fraction"] for event in bar] == [0, 0.3333, 0.6667, 1]
    assert [(event["done"], event["total"]) for event in bar] == [(0, 3), (1, 3), (2, 3), (3, 3)]
    ended = {event["patient"]: event["state"] for event in bar[1:]}
    assert ended == {WHOLE: "done", PARTLY: "done", BROKEN: "failed"}


def test_a_patient_leaves_report_scene_maps_and_synthetic_ct(study, whole):
    names = {path.name for path in whole.folder.iterdir()}
    maps = {f"{kind}_{name}.nrrd" for kind in ("registered", "difference")
            for name in ("sCT", "MRCAT")}  # fmt: skip
    maps |= {"dose_CT.nrrd", "dose_MRCAT.nrrd", "gamma_MRCAT.nrrd"}
    files = {"report.html", "scene.mrb", "metrics.json", "cohort.npz", "patient.json", "sct.nrrd"}
    assert maps | files | {"evaluated.nrrd"} <= names
    sct = sitk.ReadImage(str(whole.folder / "sct.nrrd"))
    mr = sitk.ReadImage(str(study.manifest.parent / WHOLE / "mr.nrrd"))
    assert same_grid(sct, mr)
    assert sct.GetMetaData("SyntheticCT") == SYNTHETIC_NOTE
    assert WHOLE in (whole.folder / "report.html").read_text(encoding="utf-8")


def test_difference_maps_hold_the_difference_and_mark_the_rest(study, whole):
    def read(name):
        return sitk.GetArrayFromImage(sitk.ReadImage(str(whole.folder / f"{name}.nrrd")))

    ct_path = study.manifest.parent / WHOLE / "ct.nrrd"
    ct = sitk.GetArrayFromImage(sitk.ReadImage(str(ct_path))).astype(int)
    evaluated = read("evaluated") == 1
    assert 0.5 < evaluated.mean() <= 1
    for name in ("sCT", "MRCAT"):
        difference = read(f"difference_{name}")
        expected = read(f"registered_{name}").astype(int) - ct
        np.testing.assert_array_equal(difference[evaluated], expected[evaluated])
        assert (difference[~evaluated] == NO_DIFFERENCE).all()


def test_figures_against_the_mr_come_with_their_definitions(whole):
    for name in ("sCT", "MRCAT"):
        figures = whole.metrics["candidates"][name]
        assert -1 < figures["ssim_mr"] < 1
        assert 0 < figures["dsc_body_mr"] <= 1
    assert whole.metrics["candidates"]["MRCAT"]["dsc_body_mr"] > 0.97
    for key, line in DEFINITIONS.items():
        assert whole.metrics["definitions"][key] == line


def test_figures_say_what_they_were_made_of_and_which_candidate_is_a_look_alike(study, whole):
    origin = whole.metrics["origin"]
    assert origin["inputs"]["candidate MRCAT"]["file"] == "mrcat.nrrd"
    assert len(origin["inputs"]["CT"]["sha256"]) == 64
    assert origin["options"]["registration"] == "none"
    notes = [note for note in whole.metrics["notes"] if "look-alike" in note]
    assert len(notes) == 1 and notes[0].startswith("MRCAT is ")  # and sCT is none


def test_what_cells_leave_out_is_left_out_for_that_patient_and_said(study, cohort):
    record = PatientRecord.read(PARTLY, study.output / "patients" / PARTLY)
    candidates = record.metrics["candidates"]
    assert list(candidates) == ["MRCAT"]
    assert "ssim_mr" not in candidates["MRCAT"]
    assert "gpr" not in candidates["MRCAT"]
    notes = json.loads((study.output / "metrics.json").read_text(encoding="utf-8"))["notes"]
    assert any("left alone: ward" in note for note in notes)
    assert any(note.startswith("No MR is given") and PARTLY in note for note in notes)
    assert any(note.startswith("No dose on the true CT") and PARTLY in note for note in notes)


def test_slices_for_the_cohorts_pictures_have_one_shape_and_show_the_patient(whole):
    found = whole.pictures()
    axial = [found.axial_ct, found.axial_mr, found.mr_axial]
    for group in (found.axial_before, found.axial_after, found.mr_candidates):
        assert list(group) == ["sCT", "MRCAT"]
        axial += group.values()
    coronal = [found.coronal_ct, found.coronal_dose, *found.coronal_gamma.values()]
    assert list(found.coronal_gamma) == ["MRCAT"]
    for slices in (axial, coronal):
        assert len({values.shape for values in slices}) == 1
        assert {values.dtype for values in slices} == {np.dtype(np.float32)}
    # The body is in the middle, wherever the scanner's table stood.
    for values in (found.axial_after["MRCAT"], found.mr_candidates["MRCAT"]):
        rows, columns = np.nonzero(values > -300)
        middle = np.array(values.shape) / 2
        np.testing.assert_allclose((rows.mean(), columns.mean()), middle, rtol=0.2)
    gamma = found.coronal_gamma["MRCAT"]
    assert np.nanmin(gamma) >= 0
    assert np.isnan(gamma[found.coronal_dose < 2]).all()
    assert np.isfinite(gamma[found.coronal_dose > 10]).any()
    assert found.raw.sum() == pytest.approx(1, abs=0.02)
    assert found.raw_edges.size == found.raw.size + 1


def test_a_second_run_does_nothing_where_nothing_has_changed(study, whole):
    before = {p: p.stat().st_mtime_ns for p in whole.folder.rglob("*")}
    again = run(*command(study))
    assert again.code == 1  # the broken one is tried again
    states = {e["patient"]: e["state"] for e in again.events if e.get("state")}
    assert states == {WHOLE: "unchanged", PARTLY: "unchanged", BROKEN: "failed"}
    assert before == {p: p.stat().st_mtime_ns for p in whole.folder.rglob("*")}


def test_limits_that_come_later_are_in_the_cohorts_file_too(study, whole):
    limits = study.output.parent / "limits.toml"
    limits.write_text(
        'name = "Ours"\nsource = "us"\n[[limit]]\nfigure = "mae_body"\ntolerance = 40\n'
    )
    assert run(*command(study, "--acceptance", limits)).code == 1
    found = json.loads((study.output / "metrics.json").read_text(encoding="utf-8"))
    hold(found, COHORT)
    assert found["origin"]["inputs"]["acceptance"] == {
        "file": "limits.toml", "sha256": found["acceptance"]["files"][0]["sha256"],
    }  # fmt: skip
    assert len(found["acceptance"]["counts"]) == 1
    with pytest.raises(jsonschema.ValidationError):
        hold(found | {"acceptance": found["acceptance"] | {"more": 1}}, COHORT)
