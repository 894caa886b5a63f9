"""An evaluation whose dose is the pencil beam's of a plan that is given."""

import dataclasses

import numpy as np
import pytest
import SimpleITK as sitk
from montecarlo_cases import cylinder, square_field
from SyntheticCTEvalLib.delivery.dose import recalculate_plan
from SyntheticCTEvalLib.dose.overrides import Override
from SyntheticCTEvalLib.evaluation import one_patient
from SyntheticCTEvalLib.evaluation.one_patient import evaluate
from SyntheticCTEvalLib.evaluation.settings import EvaluationSettings
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.dicom.frame_of_reference import FRAME
from SyntheticCTLib.volumes.resampling import resample

SETTINGS = EvaluationSettings(registration="none", dose_spacing_mm=10.0, cutoffs_percent=(20.0,))


def test_the_plans_dose_is_compared_and_said_so():
    ct, body = cylinder()
    denser = sitk.Cast(ct + 60 * sitk.Cast(body, sitk.sitkInt16), sitk.sitkInt16)
    plan = square_field(30.0, mu=400.0)
    found = evaluate(ct, {"same": ct, "denser": denser}, plan=plan, settings=SETTINGS)
    assert found.candidates["same"].metrics["gpr"] == {"20": 100}
    assert found.candidates["denser"].metrics["gpr"]["20"] < 100
    assert found.prescription_gy == 2 and found.prescription_kind == "planned"
    assert "as it is delivered" in found.definitions["dose"]
    assert found.definitions["dose"].startswith("pydosert")
    expected = recalculate_plan(ct, plan, found.body, found.dose_ct)
    np.testing.assert_array_equal(*map(sitk.GetArrayFromImage, (found.dose_ct, expected)))


def test_a_plan_of_another_frame_or_of_no_prescription_is_refused_and_what_is_not_followed_told():
    ct, _ = cylinder()
    ct.SetMetaData(FRAME, "1.2.3")
    plan = dataclasses.replace(square_field(), frame_of_reference="1.2.4")
    with pytest.raises(SyntheticCTError, match="different frames of reference"):
        evaluate(ct, {"same": ct}, plan=plan, settings=SETTINGS)
    plan = dataclasses.replace(square_field(), frame_of_reference="1.2.3", prescription=())
    with pytest.raises(SyntheticCTError, match="which dose is prescribed"):
        evaluate(ct, {"same": ct}, plan=plan, settings=SETTINGS)
    beams = tuple(dataclasses.replace(beam, energy_mv=10.0) for beam in plan.beams)
    plan = dataclasses.replace(plan, beams=beams)
    settings = dataclasses.replace(SETTINGS, prescription_gy=2.0)
    found = evaluate(ct, {"same": ct}, plan=plan, settings=settings)
    assert any("10 MV" in note for note in found.notes)


def test_a_ct_that_ends_inside_a_field_is_refused_whatever_the_energy():
    ct, _ = cylinder(length=8)  # 64 mm, and the field opens 100 mm
    with pytest.raises(SyntheticCTError, match="ends inside a field"):
        evaluate(ct, {"same": ct}, plan=square_field(energy_mv=10.0), settings=SETTINGS)


@pytest.mark.parametrize("plan", [square_field(30.0, mu=400.0), None])
def test_overrides_go_into_the_dose_of_every_volume_and_are_told(plan):
    ct, _ = cylinder(hu=0)
    ball = box_in(ct)
    gas = sitk.Cast(ct - 900 * sitk.Cast(ball, sitk.sitkInt16), sitk.sitkInt16)
    given = {"structures": {"Gas": ball}, "plan": plan}
    settings = dataclasses.replace(SETTINGS, overrides=(Override("Gas", 0.0),), prescription_gy=2.0)
    found = evaluate(gas, {"filled": ct}, settings=settings, **given)
    assert found.candidates["filled"].metrics["gpr"] == {"20": 100}
    assert found.candidates["filled"].metrics["mae_body"] > 0  # the image is judged as it came
    plain = evaluate(
        ct, {"filled": ct}, settings=dataclasses.replace(settings, overrides=()), **given
    )
    np.testing.assert_array_equal(*(sitk.GetArrayFromImage(e.dose_ct) for e in (found, plain)))
    line = "CT numbers replaced for the dose in the true CT and all candidates alike"
    assert line in found.definitions["dose"] and "Gas 0 HU" in found.definitions["dose"]
    assert any(note.startswith(line) for note in found.notes)
    assert line not in plain.definitions["dose"]


def test_a_couch_goes_into_the_dose_of_every_volume_and_is_told():
    ct, _ = cylinder(hu=0)
    couch = sitk.Image(ct.GetSize(), sitk.sitkUInt8)
    couch.CopyInformation(ct)
    couch[2:30, 29:31, :] = 1
    found, doses = {}, {}
    for there in (False, True):
        couches = (Override("Table", 0.0, couch=True),) if there else ()
        settings = dataclasses.replace(SETTINGS, overrides=couches)
        given = {"structures": {"Table": couch}, "plan": square_field(30.0, 180.0, mu=400.0)}
        found[there] = evaluate(ct, {"same": ct}, settings=settings, **given)
        on_ct = resample(found[there].dose_ct, ct, fill=0)
        doses[there] = sitk.GetArrayFromImage(on_ct)
    assert 0.9 < doses[True][15, 16, 16] / doses[False][15, 16, 16] < 0.96
    assert not doses[True][:, 29:].any()
    assert found[True].candidates["same"].metrics["gpr"] == {"20": 100}
    assert not found[True].dvh_ct and "dvh" not in found[True].candidates["same"].metrics
    assert any("body, where Table lie" in note for note in found[True].warnings)
    line = "Couch added for the dose in the true CT and all candidates alike"
    assert line in found[True].definitions["dose"] and line not in found[False].definitions["dose"]
    assert any(note.startswith(line) for note in found[True].notes)


def box_in(ct):
    mask = sitk.Image(ct.GetSize(), sitk.sitkUInt8)
    mask.CopyInformation(ct)
    mask[12:20, 10:14, 10:20] = 1
    return mask


def test_overrides_without_a_dose_that_is_calculated_are_told():
    ct, _ = cylinder()
    settings = dataclasses.replace(SETTINGS, overrides=(Override("Gas", 0.0),), dose=False)
    found = evaluate(ct, {"same": ct}, structures={"Gas": box_in(ct)}, settings=settings)
    (told,) = [note for note in found.notes if "CT numbers of structures" in note]
    assert "of a dose that is calculated, and none was: it is without effect" in told


def test_a_density_curve_is_refused_where_it_would_not_be_taken():
    with pytest.raises(SyntheticCTError, match="by Monte Carlo alone"):
        EvaluationSettings(density_curve=((-1000.0, 0.001), (3000.0, 2.5)))


def test_an_override_that_cannot_be_is_refused_before_anything_is_registered(monkeypatch):
    ct, _ = cylinder()
    monkeypatch.setattr(one_patient, "laid_on_ct", None)
    settings = dataclasses.replace(SETTINGS, overrides=(Override("Gas", 0.0),))
    with pytest.raises(SyntheticCTError, match="none of that name: give structures"):
        evaluate(ct, {"same": ct}, settings=settings)


def test_a_plan_that_cannot_be_calculated_is_refused_before_anything_is_registered(monkeypatch):
    ct, _ = cylinder()
    monkeypatch.setattr(one_patient, "laid_on_ct", None)
    settings = dataclasses.replace(SETTINGS, dose_engine="montecarlo")
    with pytest.raises(SyntheticCTError, match="a spectrum for 6, 10 MV"):
        evaluate(ct, {"same": ct}, plan=square_field(energy_mv=15.0), settings=settings)
