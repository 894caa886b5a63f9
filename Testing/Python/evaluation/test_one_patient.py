"""The evaluation as a whole: on a phantom, on doses of known difference, on real files."""

from __future__ import annotations

import dataclasses
import json
import math
import re
import sys

import numpy as np
import pytest
import SimpleITK as sitk
from SyntheticCTEvalLib.evaluation.one_patient import evaluate
from SyntheticCTEvalLib.evaluation.settings import EvaluationSettings
from SyntheticCTEvalLib.evaluation.stored import read_evaluation
from SyntheticCTEvalLib.pictures.planes import target_of
from SyntheticCTEvalLib.structures.target import find_target
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import Progress
from SyntheticCTLib.body.contour import body_contour
from SyntheticCTLib.mrcat.bulk_densities import bulk_from_ct
from SyntheticCTLib.phantom import STRUCTURE_NAMES, TINY, make_phantom
from SyntheticCTLib.volumes.grids import grid_of, image_like
from SyntheticCTLib.volumes.reading import read_volume
from SyntheticCTLib.volumes.resampling import resample
from SyntheticCTLib.volumes.writing import write_volume
from SyntheticCTProgram.program import main

# A coarse dose grid and few voxels: what is tested is the chain, not the dose.
PLACED = EvaluationSettings(registration="none", dose_spacing_mm=6.0)


@pytest.fixture(scope="module")
def phantom():
    return make_phantom(3, TINY)


def changed(ct: sitk.Image, by: float) -> sitk.Image:
    """Return the CT with every voxel above -300 HU changed by ``by``."""
    values = sitk.GetArrayFromImage(ct)
    values[values > -300] += int(by)
    return image_like(values, ct)


def test_the_true_ct_itself_is_a_perfect_candidate(phantom):
    structures = {name: phantom.structures_ct == n for n, name in STRUCTURE_NAMES.items()}
    result = evaluate(phantom.ct, {"self": phantom.ct}, structures=structures, settings=PLACED)
    metrics = result.candidates["self"].metrics
    assert metrics["mae_image"] == metrics["mae_body"] == 0
    assert metrics["ssim"] == metrics["dsc_body"] == 1
    assert metrics["gpr"] == {"10": 100, "60": 100}
    assert result.prescription_gy == 45
    dose = sitk.GetArrayFromImage(result.dose_ct)
    assert 45 < dose.max() < 60


def test_a_candidate_of_fractions_and_of_metal_keeps_its_numbers(phantom):
    ct = sitk.Cast(phantom.ct, sitk.sitkFloat32) + 0.4
    settings = dataclasses.replace(PLACED, dose=False)
    metrics = evaluate(ct, {"self": ct}, settings=settings).candidates["self"].metrics
    assert metrics["mae_image"] == 0 and metrics["dsc_bone"] == 1
    metal = sitk.Cast(phantom.ct, sitk.sitkInt32)
    metal[40, 40, 14] = 40000
    volume = evaluate(ct, {"metal": metal}, settings=settings).candidates["metal"].volume
    assert volume[40, 40, 14] == 40000


def test_a_denser_candidate_has_its_error_in_image_and_dose(phantom):
    result = evaluate(phantom.ct, {"dense": changed(phantom.ct, 100)}, settings=PLACED)
    metrics = result.candidates["dense"].metrics
    assert metrics["me_body"] == pytest.approx(metrics["mae_body"], rel=0.02)
    assert 80 < metrics["mae_body"] <= 100
    assert metrics["gpr"]["60"] < 50
    reference = sitk.GetArrayViewFromImage(result.dose_ct)
    found = sitk.GetArrayViewFromImage(result.candidates["dense"].dose)
    high = reference > 40
    assert found[high].mean() < 0.97 * reference[high].mean()


def test_doses_of_different_frames_of_reference_are_warned_about_in_the_report(phantom):
    dose = image_like(np.full(phantom.ct.GetSize()[::-1], 2, np.float32), phantom.ct)
    other = sitk.Image(dose)
    dose.SetMetaData("FrameOfReferenceUID", "1.2.3")
    ct = sitk.Image(phantom.ct)
    ct.SetMetaData("FrameOfReferenceUID", "9.9")
    result = evaluate(ct, {"self": ct}, dose_ct=dose, doses={"self": dose}, settings=PLACED)
    assert any("the CT are of different frames of reference" in note for note in result.notes)
    for frame, warned in (("1.2.3", False), ("1.2.4", True)):
        other.SetMetaData("FrameOfReferenceUID", frame)
        result = evaluate(
            phantom.ct,
            {"self": phantom.ct},
            dose_ct=dose,
            doses={"self": other},
            settings=PLACED,
        )
        assert any("different frames of reference" in note for note in result.notes) is warned


def test_every_number_has_its_definition_and_gamma_marks_what_it_left_out(phantom):
    result = evaluate(phantom.ct, {"bulk": bulk_from_ct(phantom.ct)}, settings=PLACED)
    metrics = result.candidates["bulk"].metrics
    assert set(metrics) <= set(result.definitions)
    gamma = sitk.GetArrayViewFromImage(result.candidates["bulk"].gamma.gamma)
    evaluated = sitk.GetArrayViewFromImage(result.candidates["bulk"].gamma.evaluated)
    assert (gamma[evaluated == 0] == -1).all()
    assert (gamma[evaluated == 1] >= 0).all()


def test_figures_are_limited_to_what_the_candidates_cover_and_to_the_region(phantom):
    ct = phantom.ct
    half = ct[:, :, : ct.GetSize()[2] // 2]
    result = evaluate(ct, {"half": half}, settings=PLACED)
    metrics = result.candidates["half"].metrics
    assert metrics["mae_body"] == 0
    assert 20 < metrics["coverage_body_percent"] < 80
    assert metrics["gpr"]["10"] == 100
    assert any("half does not cover the whole body" in note for note in result.notes)
    assert any(note.startswith("half covers only") for note in result.notes)
    spoiled = sitk.GetArrayFromImage(ct)
    spoiled[: spoiled.shape[0] // 2] += 50
    region = np.zeros(spoiled.shape, np.uint8)
    region[spoiled.shape[0] // 2 :] = 1
    limited = evaluate(
        ct,
        {"spoiled": image_like(spoiled, ct)},
        region=image_like(region, ct),
        settings=EvaluationSettings(registration="none", dose=False),
    )
    assert limited.candidates["spoiled"].metrics["mae_body"] == 0


def test_a_cropped_neighbour_changes_no_figure_but_those_that_compare(phantom):
    ct = phantom.ct
    whole = changed(ct, 30)
    half = changed(ct, 30)[:, :, : ct.GetSize()[2] // 2]
    settings = EvaluationSettings(registration="none", dose=False)
    alone = evaluate(ct, {"whole": whole}, settings=settings).candidates["whole"].metrics
    both = evaluate(ct, {"whole": whole, "half": half}, settings=settings)
    beside = both.candidates["whole"].metrics
    assert "common" not in alone
    for key in ("mae_body", "mae_image", "ssim", "dsc_body", "coverage_body_percent"):
        assert beside[key] == alone[key]
    assert both.candidates["half"].metrics["coverage_body_percent"] < 80
    for key in ("mae_body", "rmse_body"):
        own = both.candidates["half"].metrics
        assert own["common"][key] == own[key]
        assert beside["common"][key] != beside[key]


def test_a_candidate_that_covers_next_to_nothing_of_the_body_is_refused(phantom):
    size = phantom.ct.GetSize()
    sliver = phantom.ct[:, :, size[2] // 2 : size[2] // 2 + 2]
    with pytest.raises(SyntheticCTError, match=r"sliver covers .* % of the body"):
        evaluate(phantom.ct, {"sliver": sliver}, settings=PLACED)


def test_a_region_limits_what_is_counted_and_no_beam(phantom):
    ct = phantom.ct
    region = np.zeros(ct.GetSize()[::-1], np.uint8)
    k, j, i = (n // 2 for n in region.shape)
    region[k - 3 : k + 4, j - 12 : j + 13, i - 12 : i + 13] = 1
    dense = {"dense": changed(ct, 150)}
    doses = [
        evaluate(ct, dense, region=mask, settings=PLACED).candidates["dense"].dose
        for mask in (None, image_like(region, ct))
    ]
    first, second = (sitk.GetArrayFromImage(dose) for dose in doses)
    assert np.abs(first - second).max() < 1e-4


def test_an_imported_dose_goes_with_its_candidate(phantom):
    ct = phantom.ct
    k, j, i = np.indices(ct.GetSize()[::-1])
    far = sum(((n - s / 2) / (0.25 * s)) ** 2 for n, s in zip((k, j, i), k.shape, strict=True))
    dose = image_like((45 * np.exp(-far)).astype(np.float32), ct)
    away = {"sct": sitk.Image(ct) + 0, "dose": sitk.Image(dose) + 0}
    for image in away.values():
        image.SetOrigin([o + d for o, d in zip(ct.GetOrigin(), (15, 0, 0), strict=True)])
    result = evaluate(ct, {"sCT": away["sct"]}, dose_ct=dose, doses={"sCT": away["dose"]})
    assert result.candidates["sCT"].metrics["gpr"]["60"] > 97
    assert "moved by the same transform" in result.definitions["dose"]


def test_how_far_a_candidate_was_bent_stands_beside_its_figures(phantom):
    settings = EvaluationSettings(dose=False)
    metrics = evaluate(phantom.ct, {"sCT": phantom.ct}, settings=settings).candidates["sCT"].metrics
    assert metrics["displacement_max_mm"] < 1
    assert 0.9 < metrics["jacobian_min"] <= metrics["jacobian_max"] < 1.1
    assert metrics["registration_dsc"] > 0.99


def test_registration_brings_a_moved_candidate_back(phantom):
    moved = sitk.Image(phantom.ct)
    moved.SetOrigin([o + d for o, d in zip(moved.GetOrigin(), (9, -7, 6), strict=True)])
    settings = EvaluationSettings(dose=False)
    registered = evaluate(phantom.ct, {"moved": moved}, settings=settings)
    left = evaluate(
        phantom.ct, {"moved": moved}, settings=EvaluationSettings(dose=False, registration="none")
    )
    assert (
        registered.candidates["moved"].metrics["mae_body"]
        < 0.4 * left.candidates["moved"].metrics["mae_body"]
    )


def test_a_region_may_be_cropped_to_its_box(phantom, tmp_path):
    whole = sitk.Image(phantom.ct.GetSize(), sitk.sitkUInt8) * 0
    whole.CopyInformation(phantom.ct)
    box = (slice(30, 50), slice(30, 50), slice(8, 20))
    whole[box] = 1
    write_volume(phantom.ct, tmp_path / "ct.nrrd")
    write_volume(changed(phantom.ct, 100), tmp_path / "dense.nrrd")
    found = []
    for name, mask in (("whole", whole), ("box", whole[box])):
        write_volume(mask, tmp_path / f"{name}.nrrd")
        files = ["--ct", tmp_path / "ct.nrrd", "--candidate", f"dense={tmp_path}/dense.nrrd"]
        asked = ["--no-dose", "--no-registration", "--no-scene"]
        region = ["--region", tmp_path / f"{name}.nrrd", "--output", tmp_path / f"out {name}"]
        found.append(run(*files, *asked, *region)["candidates"]["dense"]["mae_body"])
    assert found[0] == found[1]


def test_what_cannot_belong_together_is_told(phantom):
    dose = image_like(np.full(phantom.ct.GetSize()[::-1], 2, np.float32), phantom.ct)
    dose.SetOrigin((9000.0, 0.0, 0.0))
    candidates = {"self": phantom.ct}
    with pytest.raises(SyntheticCTError, match="does not reach the body"):
        evaluate(phantom.ct, candidates, dose_ct=dose, doses={"self": dose}, settings=PLACED)
    settings = dataclasses.replace(PLACED, dose=False)
    result = evaluate(phantom.ct, {"MR": phantom.ct + 1024}, settings=settings)
    assert any(re.search("MR holds 2[34] HU instead of air", note) for note in result.notes)
    assert any("check that it is in HU" in note for note in result.notes)


def test_a_true_ct_that_is_not_in_hu_is_refused_before_anything_is_done(phantom):
    told = []

    class Steps(Progress):
        def report(self, step, fraction, **details):
            told.append(step)

    with pytest.raises(SyntheticCTError, match="The true CT is not in HU"):
        evaluate(phantom.ct + 1024, {"self": phantom.ct}, settings=PLACED, progress=Steps())
    assert told == []


@pytest.mark.parametrize("background", [0, -3024])
def test_a_candidate_without_air_around_the_patient_is_named(phantom, background):
    hu = sitk.GetArrayFromImage(phantom.ct)
    body = sitk.GetArrayFromImage(evaluate_images(phantom.ct, phantom.ct).body) > 0
    candidate = image_like(np.where(body, hu, background).astype(np.int16), phantom.ct)
    result = evaluate_images(phantom.ct, candidate)
    named = [note for note in result.notes if f"model A holds {background} HU instead" in note]
    assert len(named) == 1
    metrics = result.candidates["model A"].metrics
    assert metrics["background_hu"] == background
    assert metrics["mae_body"] == 0
    assert (metrics["mae_image"] > 400) == (background == 0)


@pytest.mark.parametrize("padding", [-3024, -2000, -1025])
def test_padding_at_the_skin_is_not_interpolated_into_the_body(phantom, padding):
    grid = sitk.Image(phantom.ct)
    grid.SetOrigin([o + 0.4 * s for o, s in zip(grid.GetOrigin(), grid.GetSpacing(), strict=True)])
    hu = sitk.GetArrayFromImage(resample(phantom.ct, grid, fill=-1024))
    inside = sitk.GetArrayFromImage(body_contour(image_like(hu, grid), "CT")) > 0
    plain, padded = (
        evaluate_images(phantom.ct, image_like(np.where(inside, hu, v).astype(np.int16), grid))
        for v in (-1024, padding)
    )
    figures = padded.candidates["model A"].metrics
    expected = plain.candidates["model A"].metrics | {"background_hu": padding}
    assert figures == expected
    assert any(f"holds {padding} HU" in note for note in padded.notes) == (padding < -1100)


def test_a_candidate_without_air_is_named_once(phantom):
    hu = np.maximum(sitk.GetArrayFromImage(phantom.ct), 0)
    named = [n for n in evaluate_images(phantom.ct, image_like(hu, phantom.ct)).notes if "air" in n]
    assert len(named) == 1 and "holds 0 HU instead of air" in named[0]
    inner = phantom.ct[30:50, 30:50, 8:20]
    notes = evaluate_images(inner, sitk.Cast(inner, sitk.sitkFloat32) / 1000 + 1).notes
    assert len([n for n in notes if n.startswith("model A holds no air")]) == 1


def evaluate_images(ct, candidate):
    settings = EvaluationSettings(registration="none", dose=False)
    return evaluate(ct, {"model A": candidate}, settings=settings)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"prescription_gy": 0}, "prescription is 0 Gy"),
        ({"prescription_gy": math.nan}, "prescription is nan Gy"),
        ({"criteria": ()}, "No gamma criterion"),
        ({"cutoffs_percent": (110,)}, "cutoffs"),
    ],
)
def test_settings_without_meaning_are_refused_before_anything_is_done(wrong, sentence):
    with pytest.raises(SyntheticCTError, match=sentence):
        EvaluationSettings(**wrong)


def test_target_is_found_by_name_or_named(phantom):
    names = {"bladder": phantom.ct, "PTV 45": phantom.ct, "gtv": phantom.ct}
    assert find_target(names, None) == "PTV 45"
    assert find_target(names, "bladder") == "bladder"
    assert find_target({"bladder": phantom.ct}, None) is None
    with pytest.raises(SyntheticCTError, match="no 'kidney'"):
        find_target(names, "kidney")


@pytest.fixture
def dose_files(tmp_path, phantom):
    ct = write_volume(phantom.ct, tmp_path / "ct.nrrd")
    grid = grid_of((20, 20, 20), (3.0, 3.0, 3.0), (-30.0, -30.0, -30.0))
    dose = np.full((20, 20, 20), 10.0, np.float32)
    dose[4:16, 4:16, 4:16] = 50
    write_volume(image_like(dose, grid), tmp_path / "dose.nrrd")
    write_volume(image_like(dose * 1.05, grid), tmp_path / "hot.nrrd")
    return ct, tmp_path / "dose.nrrd", tmp_path / "hot.nrrd"


def run(*arguments) -> dict:
    assert main(["evaluate", *map(str, arguments)]) == 0
    folder = arguments[arguments.index("--output") + 1]
    return json.loads((folder / "metrics.json").read_text())


def test_imported_doses_are_compared_and_all_files_written(dose_files, tmp_path):
    ct, dose, hot = dose_files
    out = tmp_path / "out"
    metrics = run(
        "--ct", ct, "--candidate", f"same={ct}", "--candidate", f"hot={ct}",
        "--no-registration", "--dose-ct", dose, "--dose", f"same={dose}", "--dose", f"hot={hot}",
        "--prescription", 50, "--output", out,
    )  # fmt: skip
    assert metrics["candidates"]["same"]["gpr"] == {"10": 100, "60": 100}
    # The surface of the cube passes, because the dose changes there within 1 mm.
    inner = 100 * (1 - 10**3 / 12**3)
    assert metrics["candidates"]["hot"]["gpr"]["60"] == pytest.approx(inner)
    assert "50 Gy" in metrics["definitions"]["gpr"]
    assert {p.name for p in out.iterdir()} == {
        "metrics.json", "metrics.csv", "report.html", "scene.mrb", "dose_CT.nrrd", "evaluated.nrrd",
        *(
            f"{kind}_{name}.nrrd"
            for kind in ("registered", "difference", "dose", "dose_difference", "gamma")
            for name in ("same", "hot")
        ),
    }  # fmt: skip
    before = ct.read_bytes()
    again = main([
        "evaluate", "--ct", str(out / "registered_same.nrrd"), "--candidate", f"same={ct}",
        "--no-registration", "--no-dose", "--output", str(out),
    ])  # fmt: skip
    assert again == 2
    assert ct.read_bytes() == before
    assert not list(out.glob(".partial*"))


def test_real_ct_against_its_bulk_density_volume(real_data, tmp_path):
    path = real_data / "ct_pelvis" / "ct.nrrd"
    bulk = write_volume(bulk_from_ct(read_volume(path, "CT")), tmp_path / "bulk.nrrd")
    metrics = run(
        "--ct", path, "--candidate", f"bulk={bulk}", "--no-registration",
        "--output", tmp_path / "out",
    )["candidates"]["bulk"]  # fmt: skip
    assert 15 < metrics["mae_body"] < 80
    assert metrics["dsc_body"] > 0.97
    assert 60 < metrics["gpr"]["10"] <= 100
    assert not math.isnan(metrics["ssim"])


def test_real_rtdose_against_itself_passes_everywhere(real_data, tmp_path):
    ct = real_data / "ct_pelvis" / "ct.nrrd"
    dose = real_data / "rt_dicom" / "rtdose.dcm"
    metrics = run(
        "--ct", ct, "--candidate", f"same={ct}", "--no-registration", "--dose-ct", dose,
        "--dose", f"same={dose}", "--output", tmp_path / "out",
    )  # fmt: skip
    assert metrics["candidates"]["same"]["gpr"] == {"10": 100, "60": 100}
    assert metrics["prescription_gy"] == pytest.approx(14.68, abs=0.005)


def test_gamma_is_asked_for_on_the_command_line_and_without_slicer_core_there_is_no_scene(
    dose_files, tmp_path, capsys, monkeypatch
):
    ct, dose, hot = dose_files
    monkeypatch.setitem(sys.modules, "slicer", None)
    out = tmp_path / "out"
    metrics = run(
        "--ct", ct, "--candidate", f"hot candidate={ct}", "--no-registration", "--dose-ct", dose,
        "--dose", f"hot candidate={hot}", "--prescription", 50, "--dose-percent", 5.5,
        "--distance-mm", 2, "--local", "--cutoffs", "20,50,90", "--gamma-cap", 1.5,
        "--output", out,
    )  # fmt: skip
    assert metrics["candidates"]["hot candidate"]["gpr"] == {"20": 100, "50": 100, "90": 100}
    assert "local" in metrics["definitions"]["gpr"]
    assert "No scene.mrb is written" in capsys.readouterr().err
    assert not (out / "scene.mrb").exists()
    found = read_evaluation(out).candidates["hot candidate"].gamma
    assert found.criteria.local and found.criteria.cap == 1.5
    assert 0.8 < sitk.GetArrayFromImage(found.gamma).max() <= 1


def test_the_target_that_is_named_is_the_one_shown(phantom):
    structures = {name: phantom.structures_ct == n for n, name in STRUCTURE_NAMES.items()}
    other = next(name for name in structures if find_target(structures, None) != name)
    settings = EvaluationSettings(registration="none", dose=False, target=other)
    result = evaluate(phantom.ct, {"self": phantom.ct}, structures=structures, settings=settings)
    assert target_of(result)[0] == other


def test_structures_end_at_their_last_contours_where_asked_for(phantom, tmp_path, monkeypatch):
    from SyntheticCTEvalLib.structures import reading as structures

    asked = {}
    monkeypatch.setattr(
        structures, "read_structures", lambda *_files, **options: asked.update(options) or {}
    )
    ct = str(write_volume(phantom.ct, tmp_path / "ct.nrrd"))
    arguments = ["evaluate", "--ct", ct, "--candidate", f"self={ct}"]
    (tmp_path / "s.dcm").write_bytes(b"stands in")
    arguments += ["--structures", str(tmp_path / "s.dcm")]
    arguments += ["--no-end-caps", "--no-registration", "--no-dose", "--no-scene"]
    assert main([*arguments, "--output", str(tmp_path / "out")]) == 0
    assert asked == {"end_caps": False}
    notes = json.loads((tmp_path / "out" / "metrics.json").read_text(encoding="utf-8"))["notes"]
    assert any("end at their last contours" in note for note in notes)
