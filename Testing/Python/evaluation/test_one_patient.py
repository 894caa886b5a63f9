"""The evaluation as a whole: on a phantom, with candidates of known difference."""

from __future__ import annotations

import dataclasses
import math
import re
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk
from quick import short_bending
from SyntheticCTEvalLib.evaluation.one_patient import evaluate
from SyntheticCTEvalLib.evaluation.settings import EvaluationSettings
from SyntheticCTEvalLib.pictures.planes import target_of
from SyntheticCTEvalLib.structures.target import find_target
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import Progress
from SyntheticCTLib.body.contour import body_contour
from SyntheticCTLib.mrcat.bulk_densities import bulk_from_ct
from SyntheticCTLib.phantom import STRUCTURE_NAMES, TINY, make_phantom
from SyntheticCTLib.volumes.grids import image_like
from SyntheticCTLib.volumes.resampling import resample

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


@pytest.fixture(scope="module")
def moved(phantom):
    """A candidate and its imported dose away from the CT, evaluated with a registration."""
    ct = phantom.ct
    k, j, i = np.indices(ct.GetSize()[::-1])
    far = sum(((n - s / 2) / (0.25 * s)) ** 2 for n, s in zip((k, j, i), k.shape, strict=True))
    dose = image_like((45 * np.exp(-far)).astype(np.float32), ct)
    away = {"sct": sitk.Image(ct) + 0, "dose": sitk.Image(dose) + 0}
    for image in away.values():
        image.SetOrigin([o + d for o, d in zip(ct.GetOrigin(), (15, -7, 6), strict=True)])
    result = evaluate(ct, {"sCT": away["sct"]}, dose_ct=dose, doses={"sCT": away["dose"]})
    return SimpleNamespace(sct=away["sct"], result=result)


def test_an_imported_dose_goes_with_its_candidate(moved):
    assert moved.result.candidates["sCT"].metrics["gpr"]["60"] > 97
    assert "moved by the same transform" in moved.result.definitions["dose"]


def test_registration_brings_a_moved_candidate_back(phantom, moved):
    settings = EvaluationSettings(dose=False, registration="none")
    left = evaluate(phantom.ct, {"sCT": moved.sct}, settings=settings)
    registered = moved.result.candidates["sCT"].metrics["mae_body"]
    assert registered < 0.4 * left.candidates["sCT"].metrics["mae_body"]


def test_how_far_a_candidate_was_bent_stands_beside_its_figures(phantom, monkeypatch):
    short_bending(monkeypatch)
    settings = EvaluationSettings(dose=False)
    metrics = evaluate(phantom.ct, {"sCT": phantom.ct}, settings=settings).candidates["sCT"].metrics
    assert metrics["displacement_max_mm"] < 1
    assert 0.9 < metrics["jacobian_min"] <= metrics["jacobian_max"] < 1.1
    assert metrics["registration_dsc"] > 0.99


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
        ({"dose_spacing_mm": 0}, "grid of the dose"),
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


def test_the_target_that_is_named_is_the_one_shown(phantom):
    structures = {name: phantom.structures_ct == n for n, name in STRUCTURE_NAMES.items()}
    other = next(name for name in structures if find_target(structures, None) != name)
    settings = EvaluationSettings(registration="none", dose=False, target=other)
    result = evaluate(phantom.ct, {"self": phantom.ct}, structures=structures, settings=settings)
    assert target_of(result)[0] == other
