"""Gamma: doses and criteria that are refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
import SimpleITK as sitk
from doses import dose_image, smooth_dose
from SyntheticCTEvalLib.gamma.criteria import GammaCriteria
from SyntheticCTEvalLib.gamma.engines import ENGINES, compute_gamma
from SyntheticCTLib.basics.errors import SyntheticCTError


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize(
    ("value", "sentence"),
    [(np.nan, "NaN"), (np.inf, "infinite"), (-4, "negative"), (None, "nowhere above 0")],
)
def test_doses_that_are_none_are_refused(which, value, sentence):
    values = smooth_dose(11)
    if value is None:
        values[:] = 0
    else:
        values[4, 5, 6] = value
    doses = [dose_image(smooth_dose(11)), dose_image(smooth_dose(11))]
    doses[which] = dose_image(values)
    with pytest.raises(SyntheticCTError, match=sentence) as error:
        compute_gamma(*doses)
    assert ("reference", "evaluated")[which] in str(error.value)


@pytest.mark.parametrize("value", [-1e-5, -1])
def test_rounding_and_noise_below_zero_are_no_reason_to_refuse(value):
    values = smooth_dose(11)
    values[4, 5, 6] = value
    compute_gamma(dose_image(smooth_dose(11)), dose_image(values))


def test_a_plane_is_no_mask_for_volumes():
    dose = dose_image(smooth_dose(11))
    with pytest.raises(SyntheticCTError, match="mask is no volume"):
        compute_gamma(dose, dose, mask=sitk.Image(11, 10, sitk.sitkUInt8))


@pytest.mark.parametrize("engine", ENGINES)
def test_doses_that_do_not_overlap_are_refused(engine):
    dose = smooth_dose(12, (3, 4, 5))
    with pytest.raises(SyntheticCTError, match="does not overlap"):
        compute_gamma(dose_image(dose), dose_image(dose, origin=(500, 2, 3)), engine=engine)


def test_what_leaves_nothing_to_evaluate_is_refused():
    dose = dose_image(smooth_dose(12))
    with pytest.raises(SyntheticCTError, match="No voxel"):
        compute_gamma(dose, dose, GammaCriteria(normalization_gy=6000))
    with pytest.raises(SyntheticCTError, match="inside the mask"):
        compute_gamma(dose, dose, mask=sitk.Cast(dose * 0, sitk.sitkUInt8))


@pytest.mark.parametrize(
    "wrong",
    [
        {"dose_percent": 0},
        {"distance_mm": -1},
        {"normalization_gy": 0},
        {"cap": 0.5},
        {"cutoffs_percent": ()},
        {"cutoffs_percent": (10, 120)},
        {"distance_mm": math.nan},
    ],
)
def test_criteria_without_meaning_are_refused(wrong):
    with pytest.raises(SyntheticCTError):
        GammaCriteria(**wrong)


def test_unknown_engine_is_refused():
    dose = dose_image(smooth_dose(12))
    with pytest.raises(SyntheticCTError, match="no gamma engine"):
        compute_gamma(dose, dose, engine="plastimatch")
