"""Intervals of normal samples: of the mean, of most of the population, of limits of agreement.

Sources: Krishnamoorthy and Mathew, Statistical Tolerance Regions (2009), section 2.3.1, and
ISO 16269-6:2014 for two-sided tolerance intervals; Bland and Altman, Lancet 1986;327:307 for limits
of agreement, Carkeet, Optom Vis Sci 2015;92:e71 for their exact confidence.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy import optimize, stats

CONTENT = CONFIDENCE = 0.95
AGREEMENT_SDS = float(stats.norm.ppf(0.975))
"""Limits of agreement are so many standard deviations (1.96) from the mean."""

Interval = tuple[float, float]

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(200)
_FARTHEST = 9.0  # of a mean from the true one, in standard errors


@dataclass(frozen=True)
class Spread:
    """How the values of patients lie.

    Attributes:
        n: finite values.
        mean, sd: NaN where ``n`` is below 1 or 2 (n - 1 in the standard deviation).
        mean_interval: 95 % confidence interval of the mean (Student).
        factor: of the tolerance interval, in standard deviations.
        tolerance: interval that holds at least 95 % of all patients with 95 % confidence.
        limits: limits of agreement, mean ± 1.96 standard deviations.
        lower_limit, upper_limit: 95 % confidence intervals of these two.
        shapiro_p: p of the Shapiro-Wilk test; NaN below three values, or where all are equal.
    """

    n: int
    mean: float
    sd: float
    mean_interval: Interval
    factor: float
    tolerance: Interval
    limits: Interval
    lower_limit: Interval
    upper_limit: Interval
    shapiro_p: float

    def confidence_within(self, bound: float) -> float:
        """Return the confidence, 0 to 1, that at least 95 % of all patients are within +-bound.

        That with which the tolerance interval would just lie there; NaN below two values.
        """
        room = bound - abs(self.mean)
        if not math.isfinite(self.sd):
            return math.nan
        if room <= 0:
            return 0.0
        return 1.0 if self.sd == 0 else tolerance_confidence(self.n, room / self.sd)


def spread_of(values: np.ndarray) -> Spread:
    """Return how the finite ``values``, one a patient, lie; NaN where there are too few."""
    there = np.asarray(values, float)
    there = there[np.isfinite(there)]
    n = int(there.size)
    mean = float(there.mean()) if n else math.nan
    none = (math.nan, math.nan)
    if n < 2:
        return Spread(n, mean, math.nan, none, math.nan, none, none, none, none, math.nan)
    sd = float(there.std(ddof=1))
    if np.ptp(there) == 0:
        sd = 0.0  # not the rounding of a mean
    step = float(stats.t.ppf((1 + CONFIDENCE) / 2, n - 1)) * sd / math.sqrt(n)
    factor = tolerance_factor(n)
    near, far = (c * sd for c in _limit_factors(n))
    return Spread(
        n=n,
        mean=mean,
        sd=sd,
        mean_interval=(mean - step, mean + step),
        factor=factor,
        tolerance=(mean - factor * sd, mean + factor * sd),
        limits=(mean - AGREEMENT_SDS * sd, mean + AGREEMENT_SDS * sd),
        lower_limit=(mean - far, mean - near),
        upper_limit=(mean + near, mean + far),
        shapiro_p=float(stats.shapiro(there).pvalue) if n > 2 and sd > 0 else math.nan,
    )


@cache
def tolerance_factor(n: int, content: float = CONTENT, confidence: float = CONFIDENCE) -> float:
    """Return the exact factor k of the two-sided tolerance interval of a normal sample.

    mean ± k standard deviations (n - 1) hold at least ``content`` of the population with
    ``confidence``.

    Args:
        n: size of the sample, at least 2.
    """
    lowest = float(stats.norm.ppf((1 + content) / 2))  # that of a sample without end

    def lacking(k: float) -> float:
        return tolerance_confidence(n, k, content) - confidence

    highest = lowest * 2
    while lacking(highest) < 0:
        highest *= 2
    return float(optimize.brentq(lacking, lowest / 2, highest, xtol=1e-10))


def tolerance_confidence(n: int, factor: float, content: float = CONTENT) -> float:
    """Return the confidence with which mean ± ``factor`` standard deviations hold ``content``.

    The integral over where the sample's mean may lie of the probability that the sample's standard
    deviation is large enough there.
    """
    z = (_NODES + 1) / 2 * _FARTHEST
    # The half width, in true standard deviations, that holds the content around mean + z errors.
    squared = stats.ncx2.ppf(content, 1, z**2 / n)
    enough = stats.chi2.sf((n - 1) * squared / factor**2, n - 1)
    return float(np.sum(_WEIGHTS * _FARTHEST / 2 * 2 * stats.norm.pdf(z) * enough))


@cache
def _limit_factors(n: int) -> Interval:
    """How many standard deviations from the mean a limit of agreement may truly lie."""
    z, root = AGREEMENT_SDS, math.sqrt(n)
    tail = (1 - CONFIDENCE) / 2
    near, far = stats.nct.ppf([tail, 1 - tail], n - 1, z * root) / root
    return float(near), float(far)
