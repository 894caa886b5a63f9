"""Settings that no evaluation can be made with are refused before anything is read."""

from __future__ import annotations

import pytest
from SyntheticCTEvalLib.evaluation.settings import EvaluationSettings
from SyntheticCTLib.basics.errors import SyntheticCTError


@pytest.mark.parametrize("dose", [4500.0, 0.0, -3.0, float("nan")])
def test_a_prescription_that_cannot_be_in_gray_is_refused(dose):
    with pytest.raises(SyntheticCTError, match=f"The prescription is {dose:g} Gy"):
        EvaluationSettings(prescription_gy=dose)
    assert EvaluationSettings(prescription_gy=45.0).prescription_gy == 45.0
