"""Batches: when they stop, that they are kept, and the noise that they tell."""

import numpy as np
import pytest
from scipy import stats
from SyntheticCTEvalLib.montecarlo.batches import Effort, fingerprint_of, run_batches
from SyntheticCTEvalLib.montecarlo.density_curve import read_density_curve
from SyntheticCTEvalLib.montecarlo.pass_rate_noise import (
    RATES,
    PassRateNoise,
    beside_rates,
    pass_rate_noise,
)
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import Progress

SHAPE = (4, 5, 6)
PATH = ("gpr", "10")


def noisy(number, candidates):
    """Two volumes of 2 Gy, whose noise has a common part of 10 % and a own part of 4 %."""
    rng = np.random.default_rng(number)
    common = rng.normal(0, 0.2, SHAPE)
    return np.stack([2 + common, 2 + common + rng.normal(0, 0.08, SHAPE)]).astype(np.float32)


def test_it_stops_at_the_noise_of_the_difference():
    found = run_batches(noisy, "x", Effort(noise_percent=1.0, minutes=None))
    # 4 % a batch: 16 batches reach 1 %; the noise of one dose alone is 10 % a batch.
    assert 13 <= len(found.doses) <= 19 and found.reached
    difference = found.doses[:, 1] - found.doses[:, 0]
    spread = difference.std(axis=0, ddof=1, dtype=float) / np.sqrt(len(difference))
    high = found.doses[:, 0].mean(axis=0) >= 0.5 * found.doses[:, 0].mean(axis=0).max()
    plain = 100 * np.sqrt((spread[high] ** 2).mean()) / found.doses[:, 0].mean(axis=0)[high].mean()
    assert found.noise_percent == pytest.approx(plain, rel=1e-4)
    np.testing.assert_allclose(found.mean(0), found.doses[:, 0].mean(axis=0), rtol=1e-6)
    assert found.uncertainty(0).mean() == pytest.approx(0.2 / np.sqrt(len(found.doses)), rel=0.1)


def test_it_stops_at_the_time_and_says_that_the_noise_was_not_reached():
    found = run_batches(noisy, "x", Effort(noise_percent=0.01, minutes=1e-9))
    assert len(found.doses) == 6 and not found.reached


def test_batches_are_added_until_no_pass_rate_is_too_noisy():
    asked, shown = [], []

    class Kept(Progress):
        def report(self, step, fraction, **details):
            shown.append(fraction)

    def rate_noise(doses):
        asked.append(len(doses))
        return 0.9 * (6 / len(doses)) ** 0.25  # below 0.4 from 154 batches on

    effort = Effort(noise_percent=1.8, minutes=None, rate_noise_points=0.4)
    found = run_batches(noisy, "x", effort, rate_noise=rate_noise, progress=Kept())
    assert found.noise_percent <= 1.8 and asked[0] <= 8  # not before the dose is so far
    assert asked[1] == 3 * asked[0]  # and at most so many times more at once
    assert 154 <= len(found.doses) == asked[-1] <= 200 and found.reached
    assert shown == sorted(shown)
    late = Effort(noise_percent=50.0, minutes=1e-9)
    assert len(run_batches(noisy, "x", late, rate_noise=rate_noise).doses) == 6
    few = Effort(noise_percent=50.0, minutes=None, batches=10)
    assert len(run_batches(noisy, "x", few, rate_noise=rate_noise).doses) == 10


def test_a_run_that_was_ended_goes_on_and_damaged_or_other_batches_are_made_anew(tmp_path):
    made = []

    def counted(number, candidates):
        if len(made) == 5:
            raise KeyboardInterrupt
        made.append(number)
        return noisy(number, candidates)

    effort = Effort(noise_percent=1e-9, minutes=None, batches=8)
    with pytest.raises(KeyboardInterrupt):
        run_batches(counted, "x", effort, tmp_path)
    (tmp_path / "batch_0002.npz").write_bytes(b"damaged")
    again = []

    def rest(number, candidates):
        again.append(number)
        return noisy(number, candidates)

    found = run_batches(rest, "x", effort, tmp_path)
    assert again == [2, 5, 6, 7]
    np.testing.assert_array_equal(found.doses, run_batches(noisy, "x", effort).doses)
    again.clear()
    run_batches(rest, "of other inputs", effort, tmp_path)
    assert again == list(range(8))


def test_fingerprints_tell_arrays_and_numbers_apart():
    one = np.arange(3.0)
    assert fingerprint_of(one, 1) == fingerprint_of(one.copy(), 1)
    different = [(one, 2), (one[:2], 1), (one.astype(np.float32), 1), (one + 1, 1)]
    assert len({fingerprint_of(*parts) for parts in different} | {fingerprint_of(one, 1)}) == 5


def test_time_left_is_told():
    told = []

    class Kept(Progress):
        def report(self, step, fraction, **details):
            told.append((fraction, details))

    run_batches(noisy, "x", Effort(noise_percent=1.0, minutes=5.0), progress=Kept())
    fractions = [fraction for fraction, _ in told]
    assert fractions == sorted(fractions) and fractions[-1] == 1
    assert all("minutes_left" in details for _, details in told[:-1])


def test_noise_of_a_pass_rate_is_that_of_repeated_runs_and_its_bias_is_found():
    """A share of voxels within a limit: noise pushes voxels out, and repeated runs tell it."""
    truth = stats.norm.ppf((np.arange(3000) + 0.5) / 3000, scale=0.7)  # percent; 1 % passes

    def rate_of(reference, evaluated):
        return {"gpr": {"10": 100 * float((np.abs(evaluated - reference) <= 1).mean())}}

    def run(seed):
        rng = np.random.default_rng(seed)
        reference = rng.normal(0, 5, (20, len(truth)))
        return reference, reference + truth + rng.normal(0, 0.7, reference.shape)

    found = [pass_rate_noise(*run(seed), rate_of)[PATH] for seed in range(60)]
    rates = np.array([one.rate for one in found])
    bias = rates.mean() - 100 * (np.abs(truth) <= 1).mean()
    assert np.mean([one.noise for one in found]) == pytest.approx(rates.std(ddof=1), rel=0.35)
    assert bias < -0.5 and np.mean([one.bias for one in found]) == pytest.approx(bias, rel=0.3)


def test_the_same_dose_passes_without_noise_or_bias():
    dose = np.random.default_rng(1).normal(1, 0.1, (6, *SHAPE))
    found = pass_rate_noise(dose, dose, lambda a, b: {"gpr": {"10": 100 * float((a == b).mean())}})
    assert found == {PATH: PassRateNoise(100, 0, 0)}


def test_noise_and_bias_lie_in_a_tree_as_the_pass_rates_do():
    """What has no pass rate in one half has no noise; the others are not touched."""
    rng = np.random.default_rng(2)
    doses = rng.normal(1, 0.2, (6, 40)).astype(np.float32)
    empty = iter([False, False, True] + [False] * 99)

    def rates_of(reference, evaluated):
        low = 100 * float((evaluated < 1).mean())
        nowhere = float("nan") if next(empty) else 50.0
        criteria = {"1%/1mm": {"10": low}, "2%/2mm": {"10": 100.0}}
        rates = {"gpr": {"10": low}, "gpr_criteria": criteria}
        return rates | {"gpr_structures": {"PTV": {"1%/1mm": nowhere}}, "common": dict(rates)}

    told = beside_rates(pass_rate_noise(doses, doses, rates_of))
    assert told.keys() == {
        *(f"{rates}_{what}" for rates in RATES for what in ("noise", "bias")),
        "common",
    }
    assert told["gpr_noise"]["10"] == told["gpr_criteria_noise"]["1%/1mm"]["10"] > 0
    assert told["gpr_criteria_bias"]["2%/2mm"] == {"10": 0}
    assert np.isnan(told["gpr_structures_noise"]["PTV"]["1%/1mm"])
    assert told["common"]["gpr_criteria_noise"] == told["gpr_criteria_noise"]


def test_a_density_curve_is_read(tmp_path):
    path = tmp_path / "curve.csv"
    path.write_text("Density;HU\n0,001;-1000\n1;0\n1,6;1000\n".replace(",", "."))
    assert read_density_curve(path) == ((-1000, 0.001), (0, 1), (1000, 1.6))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("HU,density\n-1000,0\n0,1\n500,0.9\n", "falls from 1 to 0.9 at 500 HU"),
        ("HU,density\n0,1\n-1000,0\n", "do not rise at -1000"),
        ("HU,density\n0,1\n0,1.1\n", "do not rise at 0"),
        ("HU,density\n0,1\n", "fewer than two points"),
        ("HU,density\n0,1\n100,1073\n", "1073, which cannot be"),
        ("HU,density\n0,1\n100,\n", "no two numbers"),
        ("HU,density\n0,1\n100,nan\n", "no two numbers"),
        ("HU,rho\n0,1\n100,1.1\n", "lacks the column density"),
    ],
)
def test_a_density_curve_that_cannot_be_is_refused(text, told, tmp_path):
    path = tmp_path / "curve.csv"
    path.write_text(text)
    with pytest.raises(SyntheticCTError, match=told):
        read_density_curve(path)
