"""Settings that no evaluation can be made with are refused before anything is read."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
from SyntheticCTEvalLib.evaluation.settings import _OF_CALCULATION, _OF_DOSE, EvaluationSettings
from SyntheticCTEvalLib.plan.beams import TargetLevel, TreatmentPlan
from SyntheticCTLib.basics.errors import SyntheticCTError


@pytest.mark.parametrize("dose", [4500.0, 0.0, -3.0, float("nan")])
def test_a_prescription_that_cannot_be_in_gray_is_refused(dose):
    with pytest.raises(SyntheticCTError, match=f"The prescription is {dose:g} Gy"):
        EvaluationSettings(prescription_gy=dose)
    assert EvaluationSettings(prescription_gy=45.0).prescription_gy == 45.0


def test_what_needs_a_dose_that_is_not_there_is_told_by_name():
    of_both = EvaluationSettings(
        dose=False, dose_engine="montecarlo", dose_spacing_mm=2.0, cutoffs_percent=(20.0,)
    )
    first, second = of_both.left_out(recalculated=False, histograms=False)
    assert first == (
        "What was asked for (Monte Carlo, grid of the dose) is of a dose that is calculated, and "
        "none was: it is without effect."
    )
    assert second.startswith("What was asked for (cutoffs) is of dose, which was not evaluated")
    imported = replace(of_both, dose=True)
    assert imported.left_out(recalculated=False, histograms=True) == [first]
    assert imported.left_out(recalculated=True, histograms=True) == []
    assert EvaluationSettings(dose=False).left_out(recalculated=False, histograms=False) == []
    calculated = {*_OF_CALCULATION, *_OF_DOSE}
    assert calculated < {field.name for field in fields(EvaluationSettings)}


def test_a_prescription_that_is_the_plans_is_called_so():
    plan = TreatmentPlan((), (TargetLevel("PTV", 50.4),))
    asked = EvaluationSettings().for_plan(plan)
    assert (asked.prescription_gy, asked.prescription_kind(False)) == (50.4, "planned")
    assert asked.prescription_origin(False) == "The highest level that the plan prescribes."
    given = EvaluationSettings(prescription_gy=45).for_plan(plan)
    assert (given.prescription_gy, given.prescription_kind(False)) == (45, "given")
    assert EvaluationSettings().for_plan(None).prescription_kind(False) == "assumed"
