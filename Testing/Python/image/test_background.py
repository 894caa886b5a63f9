"""What a candidate holds around the patient."""

from __future__ import annotations

import math

import numpy as np
import pytest
import SimpleITK as sitk
from SyntheticCTEvalLib.image.background import background_hu, background_warning

SHAPE = (4, 30, 30)


def image(array):
    return sitk.GetImageFromArray(array)


@pytest.fixture(scope="module")
def ct():
    hu = np.full(SHAPE, -1000, np.int16)
    hu[:, 8:22, 8:22] = 40
    hu[:, 22:24] = -400  # couch
    return hu


def told(ct, candidate, region=None):
    body = image((ct == 40).astype(np.uint8))
    region = region if region is None else image(region.astype(np.uint8))
    arguments = image(ct), image(candidate), body, region
    return background_hu(*arguments), background_warning("model A", *arguments)


@pytest.mark.parametrize("air", [-1024, -1000, -968, -950])
def test_air_is_not_mentioned(ct, air):
    noise = np.random.default_rng(0).normal(0, 10, SHAPE).astype(np.int16)
    candidate = np.where(ct == 40, 30, air + noise).astype(np.int16)
    candidate[:, 7] = 20  # a patient who is a little larger
    hu, warning = told(ct, candidate)
    assert hu == pytest.approx(air, abs=2) and warning == ""


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0, "whole-image figures"),
        (24, "body contour"),
        (-500, "beams"),
        (65535, "write -1000 HU there"),
        (-3024, "count as -1024 HU"),
        (-2000, "count as -1024 HU"),
    ],
)
def test_other_backgrounds_are_named(ct, value, words):
    candidate = np.where(ct == 40, 30, value).astype(np.int32)
    hu, warning = told(ct, candidate)
    assert hu == value
    assert warning.startswith(f"model A holds {value} HU instead of air in 100 %")
    assert words in warning


def test_a_smaller_field_of_view_filled_with_water_is_named(ct):
    candidate = ct.copy()
    candidate[:, :, :5], candidate[:, :, 25:] = 0, 0
    hu, warning = told(ct, candidate)
    assert hu == -1000
    assert "holds 0 HU instead of air in 4" in warning
    inside = np.zeros(SHAPE, bool)
    inside[:, :, 5:25] = True
    assert told(ct, candidate, inside) == (-1000, "")


def test_a_background_of_noise_is_named(ct):
    noise = np.random.default_rng(0).normal(-400, 80, SHAPE)
    _, warning = told(ct, np.where(ct == 40, 30, noise).astype(np.float32))
    assert "model A holds -40" in warning or "model A holds -39" in warning


def test_without_air_there_is_no_background(ct):
    hu, warning = told(np.full(SHAPE, 40, np.int16), ct)
    assert math.isnan(hu) and warning == ""
