"""What percentages of dose are of, in words."""

from __future__ import annotations

import SimpleITK as sitk

from SyntheticCTEvalLib.evaluation.results import Evaluation

_WORDS = {
    "given": "the given prescription of {gy:g} Gy",
    "planned": "the planned prescription of {gy:g} Gy",
    "assumed": "an assumed prescription of {gy:g} Gy",
    "largest": "{gy:.2f} Gy, the largest dose on the true CT",
    "": "the prescription of {gy:g} Gy",
}
_SHORT = {
    "given": "given prescription",
    "planned": "planned prescription",
    "assumed": "assumed prescription",
    "largest": "largest dose",
}


def reference_dose(evaluation: Evaluation) -> tuple[float, str]:
    """Return the dose that is 100 % (Gy), and its name with the dose in it."""
    kind, value = evaluation.prescription_kind, evaluation.prescription_gy
    if not value:
        kind = "largest"
        value = float(sitk.GetArrayViewFromImage(evaluation.dose_ct).max()) or 1.0
    return float(value), _WORDS.get(kind, _WORDS[""]).format(gy=value)


def normalised(evaluation: Evaluation) -> str:
    """Return what percentages are of, without the dose: fit for the head of a column."""
    return _SHORT.get(evaluation.prescription_kind, "prescription")


def whole_dose(evaluation: Evaluation) -> str:
    """Return in a sentence what 100 % is; the largest dose is no prescription."""
    words = reference_dose(evaluation)[1]
    if evaluation.prescription_kind == "largest" or not evaluation.prescription_gy:
        return f"No prescription is known: doses are normalised to {words}."
    return f"100 % is {words}."
