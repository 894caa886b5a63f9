"""Doses smoothed beyond the pencil beam's: against a plain sum, and what that does to gamma."""

import numpy as np
import pytest
from SyntheticCTEvalLib.gamma.criteria import GammaCriteria
from SyntheticCTEvalLib.gamma.engines import compute_gamma
from SyntheticCTEvalLib.montecarlo.smoothing import SMOOTHING_MM, Smoothing
from SyntheticCTLib.volumes.grids import grid_of, image_like

SPACING = (5.0, 4.0, 3.0)  # i, j, k


def plain(values, where, at):
    """The weighted mean of values (k, j, i) around a voxel, among those of ``where``."""
    voxels = np.argwhere(where)
    away = (voxels - at) * SPACING[::-1]
    weights = np.exp(-(away**2).sum(axis=1) / 2 / SMOOTHING_MM**2)
    return (weights * values[where]).sum() / weights.sum()


@pytest.fixture
def case():
    rng = np.random.default_rng(5)
    inside = np.ones((3, 12, 14, 13), dtype=bool)
    inside[0, :, :2] = False  # the second reaches further than the first,
    inside[1, :, :, -3:] = False  # and less far
    doses = np.where(inside, rng.uniform(1, 2, inside.shape), 0)
    beam = rng.uniform(1, 2, inside.shape)
    return doses, beam, inside


def test_it_is_the_pencil_beam_and_the_smoothed_rest(case):
    doses, beam, inside = case
    found = Smoothing(beam, inside, SPACING)(doses)
    assert (found[~inside] == 0).all() and found.dtype == np.float32
    rest = doses - beam
    for at in ((6, 7, 6), (0, 2, 0), (11, 13, 9)):
        first = beam[0][at] + plain(rest[0], inside[0], at)
        assert found[0][at] == pytest.approx(first, rel=1e-3)
        both = inside[0] & inside[1]
        other = first + beam[1][at] - beam[0][at] + plain(rest[1] - rest[0], both, at)
        assert found[1][at] == pytest.approx(other, rel=1e-3)
    alone = (5, 1, 4)  # no dose in the first volume
    assert found[1][alone] == pytest.approx(
        beam[1][alone] + plain(rest[1], inside[1], alone), rel=1e-3
    )


def test_it_is_linear_and_the_same_for_the_same(case):
    doses, beam, inside = case
    beam[2], doses[2], inside[2] = beam[0], doses[0], inside[0]
    smoothing = Smoothing(beam, inside, SPACING)
    found = smoothing(doses)
    np.testing.assert_array_equal(found[2], found[0])
    low = beam / 1e3  # far from the fields rounding would show
    again = Smoothing(low, inside, SPACING)(doses)
    np.testing.assert_array_equal(again[2], again[0])
    other = np.where(inside, doses[:, ::-1], 0)
    mean = (found.astype(float) + smoothing(other)) / 2
    np.testing.assert_allclose(smoothing((doses + other) / 2), mean, rtol=1e-5, atol=1e-5)


def test_noise_that_doses_share_does_not_raise_the_pass_rate():
    grid = grid_of((24, 24, 24), (3.0,) * 3, (0.0,) * 3)
    inside = np.ones((2, 24, 24, 24), dtype=bool)
    truth = np.stack([np.full((24,) * 3, 1.0), np.full((24,) * 3, 1.015)])
    noisy = truth * (1 + np.random.default_rng(2).normal(0, 0.05, (24,) * 3))
    criteria = GammaCriteria(normalization_gy=1.0, cutoffs_percent=(10.0,))

    def rate(doses):
        images = (image_like(dose.astype(np.float32), grid) for dose in doses)
        return compute_gamma(*images, criteria).pass_rates[10.0]

    assert rate(truth) == 0
    assert rate(noisy) > 50  # as gamma finds what it looks for in the noise
    assert rate(Smoothing(truth, inside, (3.0,) * 3)(noisy)) < 25
