"""Paired statistics against the study's tables and textbook cases."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from study import STUDY
from SyntheticCTEvalLib.group.paired_comparison import compare_paired, holm
from SyntheticCTLib.basics.errors import SyntheticCTError

# fmt: off
# Means recomputed from the rows (two of the printed means are not), Shapiro-Wilk p, t-test p.
RECOMPUTED = {
    "SSIM": (.9656, .9799, .758, 8.7e-10),
    "MAE": (29.57, 11.04, .519, 1.9e-6),
    "GPR above 4.5 Gy": (97.93, 98.87, .054, 1.8e-4),
    "GPR above 27 Gy": (91.22, 96.39, .231, 2.4e-4),
    "SSIM against MR": (.8125, .8147, .0042, None),
    "DSC against MR": (.9906, .9914, .391, .20),
}
PRINTED_MEANS = {"MAE": (None, 10.97), "GPR above 4.5 Gy": (97.84, 98.71)}
# fmt: on


@pytest.mark.parametrize("metric", STUDY)
def test_study_is_recomputed_from_its_rows(metric):
    first, second, shapiro_p, t_test_p = RECOMPUTED[metric]
    found = compare_paired(*STUDY[metric], metric)
    digits = 2 if first > 1 else 4
    assert found.n == 10 and found.dropped == 0
    assert found.first_mean == pytest.approx(first, abs=0.501 * 10**-digits)
    assert found.second_mean == pytest.approx(second, abs=0.501 * 10**-digits)
    assert found.shapiro_p == pytest.approx(shapiro_p, rel=0.02)
    if t_test_p is not None:
        assert found.test == "paired t-test"
        assert found.p == pytest.approx(t_test_p, rel=0.03)
        assert found.effect_name == "Cohen's dz"


def test_study_prints_means_that_are_not_those_of_its_rows():
    for metric, printed in PRINTED_MEANS.items():
        found = compare_paired(*STUDY[metric])
        for mean, wrong in zip((found.first_mean, found.second_mean), printed, strict=True):
            assert wrong is None or abs(mean - wrong) > 0.05


def test_row_of_the_study_that_is_not_normal_gets_wilcoxon():
    found = compare_paired(*STUDY["SSIM against MR"])
    assert found.test == "Wilcoxon signed-rank"
    # Nine of the ten differences are positive and the negative one is the smallest: W = 1, and
    # 2 of the 1024 signings lie as far out on either side.
    assert found.p == pytest.approx(4 / 1024)
    assert found.effect == pytest.approx((54 - 1) / 55)
    assert found.effect_name == "matched-pairs rank-biserial correlation"
    assert found.interval[0] < found.difference < found.interval[1]
    assert found.interval[0] > 0
    assert found == compare_paired(*STUDY["SSIM against MR"])


def test_dice_of_the_study_does_not_differ():
    found = compare_paired(*STUDY["DSC against MR"])
    assert found.p > 0.05
    assert found.interval[0] < 0 < found.interval[1]
    adjusted = holm([compare_paired(*rows).p for rows in STUDY.values()])
    assert [p < 0.05 for p in adjusted] == [True] * 5 + [False]


def test_t_test_interval_and_effect_on_the_sleep_data():
    """Student's own example (1908), which one of ten patients keeps from being normal."""
    first = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
    second = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
    difference = np.subtract(second, first)
    found = compare_paired(first, second)
    assert found.difference == pytest.approx(1.58)
    assert found.shapiro_p == pytest.approx(0.0334, abs=5e-4)
    assert found.test == "Wilcoxon signed-rank"
    # Without the patient who stands out the differences are normal.
    kept = difference != 4.6
    found = compare_paired(np.array(first)[kept], np.array(second)[kept])
    mean, error = difference[kept].mean(), difference[kept].std(ddof=1) / 3
    assert found.test == "paired t-test"
    assert found.interval == pytest.approx((mean - 2.306004 * error, mean + 2.306004 * error))
    assert found.effect == pytest.approx(mean / (3 * error))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(3, 12))
def test_exchanging_the_methods_turns_every_sign(seed, n):
    generator = np.random.default_rng(seed)
    first, second = generator.normal(30, 5, n), generator.normal(28, 5, n)
    one, other = compare_paired(first, second), compare_paired(second, first)
    assert one.p == pytest.approx(other.p)
    assert one.test == other.test
    assert (one.difference, one.effect) == pytest.approx((-other.difference, -other.effect))
    if one.test == "paired t-test":
        assert one.interval == pytest.approx((-other.interval[1], -other.interval[0]))


def test_equal_pairs_have_nothing_to_test():
    found = compare_paired([1.0, 2.0, 4.0], [1.0, 2.0, 4.0])
    assert (found.difference, found.p, found.effect, found.interval) == (0, 1, 0, (0, 0))
    assert math.isnan(found.shapiro_p)
    assert "equal" in found.test and "equal" in found.definition


def test_one_and_the_same_difference_gets_ranks():
    found = compare_paired([0.1, 0.2, 0.3, 0.4], [0.2, 0.3, 0.4, 0.5])
    assert found.test == "Wilcoxon signed-rank"
    assert found.p == pytest.approx(2 / 16)
    assert found.effect == 1
    assert found.interval == pytest.approx((0.1, 0.1))


def test_patients_without_a_value_are_left_out_and_counted():
    first, second = STUDY["MAE"]
    found = compare_paired([*first, math.nan, 30.0], [*second, 10.0, math.inf])
    assert (found.n, found.dropped) == (10, 2)
    assert found.p == compare_paired(first, second).p
    assert "2 patients" in found.definition
    assert "left out" not in compare_paired(first, second).definition


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(SyntheticCTError, match=r"Only 2 patients have MAE .* at least 3"):
        compare_paired([1, 2, math.nan], [2, 3, 4], "MAE")
    with pytest.raises(SyntheticCTError, match="got 3 and 2"):
        compare_paired([1, 2, 3], [1, 2])
    with pytest.raises(SyntheticCTError, match="between 0 and 1"):
        holm([0.5, 1.5])


def test_holm_steps_down():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1, 1]
    assert holm([]) == []
    adjusted = holm([0.02, math.nan, 0.01])
    assert math.isnan(adjusted[1])
    assert [adjusted[0], adjusted[2]] == pytest.approx([0.02, 0.02])


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_never_lowers_a_p_value_nor_turns_their_order(values):
    adjusted = holm(values)
    assert all(value <= new <= 1 for value, new in zip(values, adjusted, strict=True))
    assert [adjusted[i] for i in np.argsort(values, kind="stable")] == sorted(adjusted)
    assert max(adjusted) <= min(1, max(values) * len(values))
