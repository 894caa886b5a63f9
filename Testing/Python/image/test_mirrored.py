"""A candidate whose left and right are exchanged is named, whatever the grid's directions."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from SyntheticCTEvalLib.evaluation.one_patient import evaluate
from SyntheticCTEvalLib.evaluation.settings import EvaluationSettings
from SyntheticCTEvalLib.image.mirrored import mirror_warning
from SyntheticCTLib.phantom import TINY, make_phantom
from SyntheticCTLib.volumes.grids import image_like

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def ct() -> sitk.Image:
    return make_phantom(7, TINY).ct


def told(ct: sitk.Image, candidate: np.ndarray) -> str:
    values = sitk.GetArrayFromImage(ct)
    body = image_like((values > -300).astype(np.uint8), ct)
    covered = image_like(np.ones(values.shape, np.uint8), ct)
    return mirror_warning("model A", ct, image_like(candidate, ct), body, covered)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
@pytest.mark.parametrize("shift", [0, 2])
def test_a_mirrored_candidate_is_named(ct, order, shift):
    turned = sitk.PermuteAxes(ct, order)
    axis = 2 - order.index(0)
    hu = sitk.GetArrayFromImage(turned)
    noisy = hu + RNG.normal(0, 20, hu.shape)
    mirrored = np.roll(np.flip(noisy, axis), shift, axis)
    assert "left and right seem to be exchanged" in told(turned, mirrored)
    assert told(turned, np.roll(noisy, shift, axis)) == ""


def test_bad_candidates_are_not_called_mirrored(ct):
    hu = sitk.GetArrayFromImage(ct)
    for candidate in (
        np.where(hu > -300, 0.0, -1000.0),
        np.full(hu.shape, -1000.0),
        hu.astype(float),
        np.roll(hu, 5, 1).astype(float),
        sitk.GetArrayFromImage(make_phantom(8, TINY).ct)[: len(hu)].astype(float),
    ):
        if candidate.shape == hu.shape:
            assert told(ct, candidate) == ""


def test_a_mirror_image_is_named_after_a_registration_as_well():
    """The registration turns it, so that mirrored back it fits worse than as it came."""
    case = make_phantom(3, TINY)
    exchanged = image_like(sitk.GetArrayFromImage(case.ct)[:, :, ::-1].copy(), case.ct)
    moved = EvaluationSettings(registration="rigid", dose=False)
    found = evaluate(case.ct, {"exchanged": exchanged}, settings=moved)
    assert any("exchanged fits the true CT better as its mirror" in note for note in found.notes)
