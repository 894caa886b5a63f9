"""What a candidate holds around the patient."""

from __future__ import annotations

import math

import numpy as np
import pytest
import SimpleITK as sitk
from SyntheticCTEvalLib.image.background import (
    background_hu,
    background_warning,
    filled_warning,
)

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


BODY = np.zeros((12, 40, 40), bool)
BODY[:, 8:32, 6:34] = True
PATIENT = np.where(BODY, 40, -1000) + np.random.default_rng(1).normal(0, 8, BODY.shape)
OF_SLICES = np.indices(BODY.shape)[0] >= 10
WEDGE = np.add(*np.indices(BODY.shape)[[0, 2]]) < 14


def filled(candidate, covered=None):
    """The sentence on a candidate (k, j, i) with voxels of 5 mm."""
    covered = np.ones(BODY.shape, bool) if covered is None else covered
    images = [image(v) for v in (PATIENT, candidate, BODY.astype(np.uint8), covered.view(np.uint8))]
    for one in images:
        one.SetSpacing((5, 5, 5))
    return filled_warning("model A", *images)


@pytest.mark.parametrize("part", [OF_SLICES, WEDGE])
@pytest.mark.parametrize("value", [0, 24, -1000, -1024])
def test_what_a_program_filled_up_inside_the_patient_is_named(part, value):
    warning = filled(np.where(part, value, PATIENT))
    share = 100 * (part & BODY).sum() / BODY.sum()
    assert warning.startswith(f"model A holds nothing but {value} HU in a part of the patient")
    assert f"{share:.1f} % of the body" in warning
    assert filled(np.where(part, value, PATIENT), ~part) == ""  # which it does not cover


def test_bulk_densities_and_another_body_in_clean_air_are_not_filled_up():
    thinner, thicker = np.full(BODY.shape, -1000.0), np.full(BODY.shape, -1000.0)
    thinner[:, 10:30, 9:31] = 40
    thicker[:, 5:35, 3:37] = -86
    thicker[:, 9:31, 7:33] = 42
    gas = np.where(BODY, 42.0, -968)
    gas[:, 15:25, 14:26] = -968
    for candidate in (PATIENT, thinner, thicker, gas):
        assert filled(candidate) == ""
