"""An evaluation whose dose is the pencil beam's of a plan that is given."""

import dataclasses

import numpy as np
import pytest
import SimpleITK as sitk
from montecarlo_cases import cylinder, square_field
from SyntheticCTEvalLib.delivery.dose import recalculate_plan
from SyntheticCTEvalLib.evaluation.one_patient import evaluate
from SyntheticCTEvalLib.evaluation.settings import EvaluationSettings
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.dicom.frame_of_reference import FRAME

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
