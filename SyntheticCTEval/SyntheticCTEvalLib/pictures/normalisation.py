"""What percentages of dose are of, in words."""

from __future__ import annotations

import SimpleITK as sitk

from SyntheticCTEvalLib.evaluation.results import Evaluation

_WORDS = {
    "given": "the prescription of {gy:g} Gy",
    "planned": "the planned prescription of {gy:g} Gy",
    "assumed": "an assumed prescription of {gy:g} Gy",
    "largest": "{gy:.2f} Gy, the largest dose on the true CT",
}


def reference_dose(evaluation: Evaluation) -> tuple[float, str]:
    """Return the dose that is 100 % (Gy), and its name with the dose in it."""
    kind, value = evaluation.prescription_kind, evaluation.prescription_gy
    if not value:
        kind = "largest"
        value = float(sitk.GetArrayViewFromImage(evaluation.dose_ct).max()) or 1.0
    return float(value), _WORDS.get(kind, _WORDS["given"]).format(gy=value)


def normalised(evaluation: Evaluation) -> str:
    """Return what percentages are of, without the dose: fit for the head of a column."""
    return "largest dose" if evaluation.prescription_kind == "largest" else "prescription"
