"""Intervals of normal samples against published factors, plain formulas and simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from SyntheticCTEvalLib.group.tolerance import (
    spread_of,
    tolerance_confidence,
    tolerance_factor,
)

# Exact two-sided factors for 95 % of the population with 95 % confidence (ISO 16269-6, annex),
# and for 99 % with 99 %.
EXACT = {2: 36.519, 3: 9.789, 4: 6.341, 5: 5.077, 6: 4.422, 10: 3.393, 20: 2.760, 30: 2.555}
# Howe's approximation, as older tables have it (Bowker and Eisenhart).
HOWE = {10: 3.379, 20: 2.752, 30: 2.549}


@pytest.mark.parametrize("n", EXACT)
def test_factors_are_the_published_ones(n):
    assert tolerance_factor(n) == pytest.approx(EXACT[n], abs=6e-4)


@pytest.mark.parametrize("n", HOWE)
def test_factors_are_near_howes_approximation(n):
    assert tolerance_factor(n) == pytest.approx(HOWE[n], rel=0.005)
    assert tolerance_factor(n) > HOWE[n]


def test_factors_fall_to_that_of_a_population_that_is_known():
    found = [tolerance_factor(n) for n in (2, 3, 10, 100, 1000, 10_000)]
    assert found == sorted(found, reverse=True)
    assert found[-1] == pytest.approx(1.96, rel=0.02) and found[-1] > 1.96
    assert tolerance_factor(10, content=0.9) < tolerance_factor(10) < tolerance_factor(10, 0.99)


def test_confidence_is_what_samples_show():
    generator = np.random.default_rng(0)
    for n, factor in ((4, 3.0), (10, 2.2), (10, tolerance_factor(10))):
        samples = generator.normal(3, 2, (40_000, n))
        mean, sd = samples.mean(axis=1), samples.std(axis=1, ddof=1)
        inside = stats.norm.cdf(mean + factor * sd, 3, 2) - stats.norm.cdf(mean - factor * sd, 3, 2)
        assert tolerance_confidence(n, factor) == pytest.approx((inside >= 0.95).mean(), abs=0.01)


def test_intervals_are_those_of_plain_formulas():
    values = np.array([0.3, -0.4, 0.1, np.nan, 0.9, -0.2, 0.5])
    there = values[np.isfinite(values)]
    found = spread_of(values)
    n, mean, sd = 6, there.mean(), there.std(ddof=1)
    assert (found.n, found.mean, found.sd) == (n, pytest.approx(mean), pytest.approx(sd))
    assert found.mean_interval == pytest.approx(
        stats.t.interval(0.95, n - 1, loc=mean, scale=sd / math.sqrt(n))
    )
    assert found.tolerance == pytest.approx((mean - 4.42215 * sd, mean + 4.42215 * sd), rel=1e-4)
    assert found.limits == pytest.approx((mean - 1.959964 * sd, mean + 1.959964 * sd))
    # The upper limit's interval mirrors the lower one's, and holds the limit.
    assert found.lower_limit[0] < found.limits[0] < found.lower_limit[1]
    assert found.upper_limit[1] - mean == pytest.approx(mean - found.lower_limit[0])
    assert found.shapiro_p == pytest.approx(stats.shapiro(there).pvalue)


def test_confidence_of_limits_of_agreement_is_bland_and_altmans_in_large_samples():
    values = np.random.default_rng(1).normal(0, 1, 400)
    found = spread_of(values)
    error = math.sqrt(1 / 400 + 1.96**2 / (2 * 399)) * found.sd
    low, high = (found.limits[1] + sign * 1.966 * error for sign in (-1, 1))
    assert found.upper_limit == pytest.approx((low, high), abs=0.02)


def test_confidence_within_a_bound_agrees_with_the_interval():
    values = np.random.default_rng(2).normal(0.2, 0.5, 12)
    found = spread_of(values)
    reach = max(abs(bound) for bound in found.tolerance)
    assert found.confidence_within(reach) == pytest.approx(0.95, abs=1e-6)
    assert found.confidence_within(reach * 1.1) > 0.95 > found.confidence_within(reach * 0.9)
    assert found.confidence_within(0.1) == 0


@pytest.mark.parametrize("values", [[], [np.nan], [1.0]])
def test_too_few_patients_have_no_interval(values):
    found = spread_of(np.array(values))
    assert found.n == np.isfinite(values).sum()
    assert all(math.isnan(bound) for bound in (*found.tolerance, *found.limits, found.sd))
    assert math.isnan(found.confidence_within(2))


def test_equal_values_have_intervals_of_no_width():
    found = spread_of(np.full(5, 0.1))
    assert found.sd == 0 and found.tolerance == (found.mean, found.mean)
    assert math.isnan(found.shapiro_p) and found.confidence_within(2) == 1
