"""An evaluation whose dose is Monte Carlo's of a plan: noise and bias stand beside pass rates."""

import dataclasses

import numpy as np
import pytest
import SimpleITK as sitk
from montecarlo_cases import cylinder, gaussian_scattering, square_field
from SyntheticCTEvalLib.evaluation import one_patient
from SyntheticCTEvalLib.evaluation.bounds import bounds_of
from SyntheticCTEvalLib.evaluation.one_patient import evaluate
from SyntheticCTEvalLib.evaluation.quantities import describe
from SyntheticCTEvalLib.evaluation.settings import EvaluationSettings
from SyntheticCTEvalLib.gamma.criteria import parse_criteria
from SyntheticCTEvalLib.montecarlo import doses
from SyntheticCTEvalLib.montecarlo.batches import Effort
from SyntheticCTEvalLib.report.page import write_report
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.volumes.grids import image_like

SETTINGS = EvaluationSettings(
    registration="none", dose_engine="montecarlo", dose_spacing_mm=10.0, cutoffs_percent=(20.0,)
)


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(doses, "scattering_tables", gaussian_scattering)
    monkeypatch.setattr(
        one_patient, "Effort", lambda noise, minutes: Effort(noise, 1e-9, candidates=20_000)
    )


def test_pass_rates_carry_their_noise_and_bias(quick):
    ct, body = cylinder()
    denser = sitk.Cast(ct + 30 * sitk.Cast(body, sitk.sitkInt16), sitk.sitkInt16)
    plan = square_field(30.0, mu=400.0)
    found = evaluate(ct, {"same": ct, "denser": denser}, plan=plan, settings=SETTINGS)
    same, other = (found.candidates[name].metrics for name in ("same", "denser"))
    assert (same["gpr"], same["gpr_noise"], same["gpr_bias"]) == ({"20": 100}, {"20": 0}, {"20": 0})
    assert 0 < other["gpr"]["20"] < 100 and other["gpr_noise"]["20"] > 0
    assert found.prescription_gy == 2 and found.prescription_kind == "planned"
    assert {"gpr_noise", "gpr_bias"} <= found.definitions.keys()
    assert found.definitions["dose"].startswith("Monte Carlo")
    assert any("stopped at a noise" in note for note in found.notes)
    assert any("too much for gamma's 1 %" in note for note in found.notes)
    (noisy,) = [note for note in found.warnings if note.startswith("The pass rate of")]
    assert f"of denser has a noise of more than 0.3 points ({other['gpr_noise']['20']:.2f}" in noisy
    assert any("Monte Carlo on every image" in line for line in bounds_of(found))
    assert describe(("gpr_noise", "20")).label.endswith("dose above 20 %")
    values = sitk.GetArrayFromImage(found.dose_ct)
    np.testing.assert_array_equal(values, sitk.GetArrayFromImage(found.candidates["same"].dose))


@pytest.mark.parametrize(("points", "batches"), [(100.0, 6), (1e-6, 9)])
def test_monte_carlo_goes_on_while_a_pass_rate_is_too_noisy(points, batches, monkeypatch):
    monkeypatch.setattr(doses, "scattering_tables", gaussian_scattering)
    effort = Effort(90.0, None, candidates=10_000, batches=9, rate_noise_points=points)
    monkeypatch.setattr(one_patient, "Effort", lambda noise, minutes: effort)
    ct, body = cylinder()
    denser = sitk.Cast(ct + 30 * sitk.Cast(body, sitk.sitkInt16), sitk.sitkInt16)
    given = {"plan": square_field(30.0, mu=400.0), "settings": SETTINGS}
    found = evaluate(ct, {"same": ct, "denser": denser}, **given)
    assert f"; {batches} batches, " in found.definitions["dose"]


def test_every_pass_rate_has_its_noise_beside_it_in_numbers_and_report(quick, tmp_path):
    """By each criterion, inside each structure, and where all candidates cover."""
    ct, body = cylinder()
    denser = sitk.Cast(ct + 30 * sitk.Cast(body, sitk.sitkInt16), sitk.sitkInt16)
    structures = {"Half": image_like(sitk.GetArrayFromImage(body) * (np.arange(32) < 16), ct)}
    settings = dataclasses.replace(SETTINGS, criteria=parse_criteria("1/1,3/3"))
    given = {"plan": square_field(30.0, mu=400.0), "structures": structures}
    found = evaluate(ct, {"denser": denser, "cut": denser[:, :, 8:]}, settings=settings, **given)
    for entry in (found.candidates[name].metrics for name in ("denser", "cut")):
        for rates in (entry, entry["common"]):
            for what in ("noise", "bias"):
                own = rates[f"gpr_criteria_{what}"]
                assert own.keys() == rates["gpr_criteria"].keys() == {"1%/1mm", "3%/3mm"}
                assert own["1%/1mm"] == rates[f"gpr_{what}"]
            assert own["1%/1mm"].keys() == rates["gpr"].keys() == {"20"}
        assert entry["gpr_structures_noise"]["Half"]["1%/1mm"] > 0
    page = write_report(found, tmp_path / "report.html").read_text(encoding="utf-8")
    whole, half = (
        found.candidates["denser"].metrics[k] for k in ("gpr_noise", "gpr_structures_noise")
    )
    for noise in (whole["20"], half["Half"]["1%/1mm"], half["Half"]["3%/3mm"]):
        assert f"±{noise:.2f}, bias" in page
    same = evaluate(ct, {"same": ct}, settings=settings, **given)
    page_of_same = write_report(same, tmp_path / "same.html").read_text(encoding="utf-8")
    assert page_of_same.count("±0.00, bias 0.00") == 4
    assert page.count(", bias ") == 8  # two candidates, two criteria: whole, and in the structure
    assert found.definitions["gpr_structures_noise"] == "As gpr_noise, of gpr_structures."


def test_monte_carlo_needs_a_plan_and_a_prescription(quick):
    ct, _ = cylinder()
    with pytest.raises(SyntheticCTError, match="give the RTPLAN"):
        evaluate(ct, {"same": ct}, settings=SETTINGS)
    plan = dataclasses.replace(square_field(), prescription=())
    with pytest.raises(SyntheticCTError, match="which dose is prescribed"):
        evaluate(ct, {"same": ct}, plan=plan, settings=SETTINGS)


@pytest.mark.parametrize(
    "wrong",
    [
        {"dose_engine": "magic"},
        {"dose_noise_percent": 0.0},
        {"dose_minutes": float("nan")},
        {"leaf_transmission_percent": 1.5},  # of the pencil beam
        {"dose_engine": "montecarlo", "leaf_transmission_percent": 11.0},
    ],
)
def test_settings_without_meaning_are_refused(wrong):
    with pytest.raises(SyntheticCTError):
        EvaluationSettings(**wrong)


def test_the_curve_that_is_given_is_taken_and_told(quick):
    ct, _ = cylinder()
    curve = ((-1000.0, 0.001), (0.0, 0.5), (100.0, 0.6))
    settings = dataclasses.replace(SETTINGS, density_curve=curve, leaf_transmission_percent=1.5)
    plan = square_field(30.0, mu=400.0)
    light, plain = (evaluate(ct, {"same": ct}, plan=plan, settings=s) for s in (settings, SETTINGS))
    assert "0 HU 0.5, 100 HU 0.6;" in light.definitions["dose"]
    assert "closed leaves let 1.5 % through" in light.definitions["dose"]
    assert "closed leaves let 0 % through" in plain.definitions["dose"]
    for each in (light, plain):
        assert any("no multileaf" in note for note in each.notes) == (each is light)
    entry = [sitk.GetArrayFromImage(e.dose_ct)[:, -4:].sum() for e in (light, plain)]
    assert entry[0] > 1.2 * entry[1]  # what leaves half the water
