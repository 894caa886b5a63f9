"""Settings that no evaluation can be made with are refused before anything is read."""

from __future__ import annotations

import pytest
from SyntheticCTEvalLib.evaluation.settings import EvaluationSettings
from SyntheticCTEvalLib.plan.beams import TargetLevel, TreatmentPlan
from SyntheticCTLib.basics.errors import SyntheticCTError


@pytest.mark.parametrize("dose", [4500.0, 0.0, -3.0, float("nan")])
def test_a_prescription_that_cannot_be_in_gray_is_refused(dose):
    with pytest.raises(SyntheticCTError, match=f"The prescription is {dose:g} Gy"):
        EvaluationSettings(prescription_gy=dose)
    assert EvaluationSettings(prescription_gy=45.0).prescription_gy == 45.0


def test_a_prescription_that_is_the_plans_is_called_so():
    plan = TreatmentPlan((), (TargetLevel("PTV", 50.4),))
    asked = EvaluationSettings().for_plan(plan)
    assert (asked.prescription_gy, asked.prescription_kind(False)) == (50.4, "planned")
    assert asked.prescription_origin(False) == "The highest level that the plan prescribes."
    given = EvaluationSettings(prescription_gy=45).for_plan(plan)
    assert (given.prescription_gy, given.prescription_kind(False)) == (45, "given")
    assert EvaluationSettings().for_plan(None).prescription_kind(False) == "assumed"
