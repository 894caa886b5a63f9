"""Paired comparison of two methods over the same patients, and Holm's correction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats
from SyntheticCTLib.basics.errors import SyntheticCTError

NORMALITY_LEVEL = 0.05
"""Below this Shapiro-Wilk p the differences do not count as normally distributed."""

FEWEST_PAIRS = 3
"""Shapiro-Wilk needs three values."""

T_TEST, WILCOXON, NO_TEST = "paired t-test", "Wilcoxon signed-rank", "none: all pairs are equal"

_RESAMPLES = 9999


@dataclass(frozen=True)
class PairedComparison:
    """One figure of two methods, compared over the same patients.

    Attributes:
        n: patients with a figure of both methods.
        dropped: patients without (NaN or infinite with either method); they do not count.
        first_mean, second_mean: means over the ``n`` patients.
        difference: mean of second minus first.
        interval: 95 % confidence interval of ``difference``.
        shapiro_p: Shapiro-Wilk p of the differences; NaN where they are all the same.
        test: "paired t-test", "Wilcoxon signed-rank", or that there was none.
        p: two-sided p of ``test``.
        effect: effect size, of the sign of ``difference``.
        effect_name: "Cohen's dz" or "matched-pairs rank-biserial correlation".
        definition: one line that says how all this was computed.
    """

    n: int
    dropped: int
    first_mean: float
    second_mean: float
    difference: float
    interval: tuple[float, float]
    shapiro_p: float
    test: str
    p: float
    effect: float
    effect_name: str
    definition: str


def compare_paired(
    first: Sequence[float], second: Sequence[float], what: str = "this figure"
) -> PairedComparison:
    """Compare two methods over the same patients; differences are second minus first.

    Shapiro-Wilk decides on the differences: at p of at least 0.05 the paired t-test, Student's
    interval and Cohen's dz (mean / standard deviation of the differences, n - 1); below it, or
    where all differences are one and the same number, Wilcoxon's signed-rank test (equal pairs
    left out), a bootstrap interval of the mean (BCa, fixed seed) and the matched-pairs
    rank-biserial correlation (Kerby 2014). All tests are scipy's and two-sided.

    Args:
        first, second: one value a patient, in the same order; not finite where there is none.
        what: name of the figure, for error messages.

    Raises:
        SyntheticCTError: the lengths differ, or fewer than three patients have both values.
    """
    a, b, dropped = _pairs(first, second, what)
    n = a.size
    differences = _without_rounding(b - a, a, b)
    mean = float(differences.mean())
    constant = np.ptp(differences) == 0
    shapiro_p = float("nan") if constant else float(stats.shapiro(differences).pvalue)
    left_out = (
        f" {dropped} {'patient' if dropped == 1 else 'patients'} without a finite value of both "
        "methods left out."
        if dropped
        else ""
    )
    if constant and mean == 0:
        test, p, effect, effect_name, interval = NO_TEST, 1.0, 0.0, "Cohen's dz", (0.0, 0.0)
        how = f"All {n} pairs are equal: there is nothing to test."
    elif not constant and shapiro_p >= NORMALITY_LEVEL:
        test, effect_name = T_TEST, "Cohen's dz"
        p = float(stats.ttest_1samp(differences, 0).pvalue)
        deviation = float(differences.std(ddof=1))
        effect = mean / deviation
        reach = float(stats.t.ppf(0.975, n - 1)) * deviation / np.sqrt(n)
        interval = (float(mean - reach), float(mean + reach))
        how = (
            f"Paired t-test, two-sided, over {n} patients (Shapiro-Wilk does not reject that the "
            f"differences are normal: p = {shapiro_p:.2g}); Student's 95 % interval of the mean "
            "difference; Cohen's dz, mean / standard deviation of the differences."
        )
    else:
        test, effect_name = WILCOXON, "matched-pairs rank-biserial correlation"
        p = float(stats.wilcoxon(differences).pvalue)
        effect = _rank_biserial(differences)
        interval = (mean, mean) if constant else _bootstrap_interval(differences)
        why = (
            "the differences are all the same"
            if constant
            else f"Shapiro-Wilk rejects that the differences are normal: p = {shapiro_p:.2g}"
        )
        how = (
            f"Wilcoxon signed-rank test, two-sided, over {n} patients ({why}); bootstrap (BCa, "
            f"{_RESAMPLES} resamples) 95 % interval of the mean difference; matched-pairs "
            "rank-biserial correlation, (ranks above 0 - ranks below 0) / all ranks."
        )
    return PairedComparison(
        n=n,
        dropped=dropped,
        first_mean=float(a.mean()),
        second_mean=float(b.mean()),
        difference=mean,
        interval=interval,
        shapiro_p=shapiro_p,
        test=test,
        p=p,
        effect=float(effect),
        effect_name=effect_name,
        definition=how + left_out,
    )


def _pairs(
    first: Sequence[float], second: Sequence[float], what: str
) -> tuple[np.ndarray, np.ndarray, int]:
    """Return the values of the patients that have both, and how many others there are."""
    a, b = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if a.ndim != 1 or a.shape != b.shape:
        raise SyntheticCTError(
            f"A paired comparison of {what} needs one value a patient for both methods and got "
            f"{a.size} and {b.size}: give the same patients in the same order."
        )
    both = np.isfinite(a) & np.isfinite(b)
    n = int(both.sum())
    if n < FEWEST_PAIRS:
        raise SyntheticCTError(
            f"Only {n} {'patient has' if n == 1 else 'patients have'} {what} with both methods: "
            f"a paired comparison needs at least {FEWEST_PAIRS}."
        )
    return a[both], b[both], a.size - n


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p values adjusted by Holm's step-down method, in the order given.

    NaN stays NaN and does not count as a test.

    Raises:
        SyntheticCTError: a value is below 0 or above 1.

    Source: S. Holm, A simple sequentially rejective multiple test procedure, 1979.
    """
    values = np.asarray(p_values, dtype=float)
    if np.any((values < 0) | (values > 1)):
        raise SyntheticCTError("Holm's correction needs p values between 0 and 1: check them.")
    adjusted = np.full(values.shape, np.nan)
    tested = np.flatnonzero(~np.isnan(values))
    order = tested[np.argsort(values[tested], kind="stable")]
    steps = values[order] * np.arange(order.size, 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return adjusted.tolist()


def _without_rounding(differences: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Drop what subtraction leaves behind the values' own precision.

    0.3 - 0.2 and 0.2 - 0.1 are one difference; ranks must not tell them apart.
    """
    largest = max(np.abs(a).max(), np.abs(b).max())
    if largest == 0:
        return differences
    return np.round(differences, 13 - int(np.ceil(np.log10(largest))))


def _rank_biserial(differences: np.ndarray) -> float:
    moved = differences[differences != 0]
    ranks = stats.rankdata(np.abs(moved))
    return float((ranks * np.sign(moved)).sum() / ranks.sum())


def _bootstrap_interval(differences: np.ndarray) -> tuple[float, float]:
    # scipy calls it rng from 1.15 on, and takes the older name as well.
    generator = np.random.default_rng(0)
    found = stats.bootstrap(
        (differences,), np.mean, n_resamples=_RESAMPLES, random_state=generator
    ).confidence_interval
    return float(found.low), float(found.high)
