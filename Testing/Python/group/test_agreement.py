"""Agreement of doses over the patients, and the statement of Korsholm 2014 about it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from group_cases import dose_cohort
from SyntheticCTEvalLib.acceptance.limits import read_acceptance
from SyntheticCTEvalLib.evaluation.limits import ACTION, FAIL, MISSING, PASS, Acceptance, Limit
from SyntheticCTEvalLib.evaluation.quantities import ZERO, signed
from SyntheticCTEvalLib.group.agreement import (
    DEFINITIONS,
    agreement_entry,
    agreement_of,
    korsholm_statements,
    printed_confidence,
)
from SyntheticCTEvalLib.group.values import CohortValues

NEAR = np.array([0.3, -0.4, 0.1, 0.5, -0.2, 0.2, 0.0, -0.1, 0.4, -0.3])


def found_of(tmp_path, differences, acceptance=None, **more):
    values = CohortValues.of_cohort(dose_cohort(tmp_path, differences, **more))
    agreements = agreement_of(values, acceptance)
    return agreements, korsholm_statements(values, agreements)


def test_every_point_and_candidate_has_its_spread_the_target_first(tmp_path):
    agreements, _ = found_of(tmp_path, {"A": NEAR, "B": NEAR * 3})
    labels = [(each.label, each.candidate) for each in agreements]
    assert labels[:2] == [("PTV (target), D98", "A"), ("PTV (target), D98", "B")]
    assert not [label for label, _ in labels if label.startswith("PTV,")]
    assert ("Bladder, D2", "B") in labels
    first = agreements[0]
    assert first.unit == "% of prescription"
    assert first.spread.mean == pytest.approx(NEAR.mean())
    assert first.spread.sd == pytest.approx(NEAR.std(ddof=1))
    (volume,) = [e for e in agreements if e.point == "V40Gy" and e.candidate == "A"]
    assert volume.unit == "% points" and volume.spread.mean == pytest.approx(NEAR.mean() / 2)
    entry = agreement_entry(first)
    assert entry["tolerance_high"] == pytest.approx(NEAR.mean() + 3.39343 * NEAR.std(ddof=1))
    assert entry["tolerance_factor"] == pytest.approx(3.39343, abs=1e-5)


def test_targets_of_several_names_are_one_target(tmp_path):
    names = ["PTV", "PTV_45"] * 5
    agreements, _ = found_of(tmp_path, {"A": NEAR}, target=names)
    (d98,) = [each for each in agreements if each.of_target and each.point == "D98"]
    assert d98.label == "Target, D98" and d98.spread.n == 10
    assert [each.label for each in agreements if "PTV" in each.label] == []


def test_a_target_that_is_another_patients_organ_is_told_as_both(tmp_path):
    names = ["PTV"] * 9 + ["Bladder"]
    agreements, _ = found_of(tmp_path, {"A": NEAR}, target=names)
    (target,) = [e for e in agreements if e.of_target and e.point == "D2"]
    (bladder,) = [e for e in agreements if e.key[1] == "Bladder" and e.point == "D2"]
    assert target.spread.n == 10 and bladder.spread.n == 10


def test_a_structure_called_target_that_is_not_always_it_is_not_counted_as_it(tmp_path):
    names = ["Target"] * 9 + ["Bladder"]
    cohort = dose_cohort(tmp_path, {"A": NEAR}, target=names)
    entry = cohort.patients[9].metrics["candidates"]["A"]["dvh"]
    entry["target"] = {"D98_difference": 50.0}
    cohort.patients[0].metrics["target"] = "target"
    entry = cohort.patients[0].metrics["candidates"]["A"]["dvh"]
    entry["target"] = entry.pop("Target")
    values = CohortValues.of_cohort(cohort)
    agreements = agreement_of(values, read_acceptance("korsholm2014"))
    found = [each for each in agreements if each.key[1:] == ("target", "D98_difference")]
    assert [(each.of_target, bool(each.verdicts)) for each in found] == [
        (True, True),
        (False, False),
    ]
    assert found[0].spread.n == 9 and found[1].spread.n == 2


def test_what_lies_within_2_percent_is_shown_and_what_does_not_is_not(tmp_path):
    wide = NEAR * 3
    _, (near, far) = found_of(tmp_path, {"A": NEAR, "B": wide})
    assert near.state == PASS and far.state == FAIL
    assert near.sentence.startswith(
        "A: shown. With 95 % confidence, at least 95 % of the patients differ by less than 2 % of "
        "the prescription in the target's Dmedian (D50), D2 and D98 (n = 10)."
    )
    low = NEAR.mean() - 3.39343 * NEAR.std(ddof=1)
    assert f"D98 {signed(low)} to" in near.sentence
    # All ten patients are within 2 %, and yet ten are too few to say so of 95 % of all.
    assert np.abs(wide).max() < 2 and far.points["D98"]["beyond"] == 0
    assert "cannot be said with 95 % confidence of the target's Dmedian (D50), D2 and D98" in (
        far.sentence
    )
    assert 0.1 < far.points["D2"]["confidence"] < 0.95 < near.points["D2"]["confidence"]
    assert printed_confidence(far.points["D2"]["confidence"]) in far.sentence


def test_a_mean_that_is_off_is_not_made_good_by_little_spread(tmp_path):
    _, (statement,) = found_of(tmp_path, {"A": 2.5 + NEAR / 100})
    assert statement.state == FAIL and statement.points["D50"]["confidence"] == 0
    assert "Patients beyond 2 % themselves: 10 in Dmedian (D50), 10 in D2, 10 in D98" in (
        statement.sentence
    )


def test_differences_that_are_not_normal_and_missing_prescriptions_are_told(tmp_path):
    odd = np.array([0.0] * 9 + [1.5])
    kinds = ["largest"] + ["given"] * 9
    agreements, (statement,) = found_of(tmp_path, {"A": odd}, prescription_kind=kinds)
    assert not agreements[0].normal
    assert "The differences are not normal" in statement.sentence
    assert "Percent are of the largest dose on the true CT" in statement.sentence
    assert "1 of 10 patients" in statement.sentence


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_patients_are_no_statement(tmp_path, count):
    values = np.where(np.arange(3) < count, 0.1, np.nan)
    agreements, statements = found_of(tmp_path, {"A": values})
    if count:
        assert [each.state for each in statements] == [MISSING]
        assert "not evaluated. Fewer than two patients" in statements[0].sentence
        assert agreement_entry(agreements[0])["tolerance_low"] is None
    else:
        assert statements == [] and agreements == []


def test_limits_are_held_against_the_tolerance_interval(tmp_path):
    reach = 3.39343 * NEAR.std(ddof=1) + abs(NEAR.mean())

    def states(tolerance, action, structure="target"):
        limit = Limit("D98_difference", ZERO, tolerance, action, structure=structure)
        acceptance = Acceptance("own", "us", (limit,), "", "")
        agreements, _ = found_of(tmp_path, {"A": NEAR}, acceptance)
        return {each.label: [v.state for v in each.verdicts] for each in agreements}

    assert states(reach + 0.01, None)["PTV (target), D98"] == [PASS]
    assert states(reach - 0.01, reach + 0.01)["PTV (target), D98"] == [ACTION]
    assert states(reach - 0.01, None)["PTV (target), D98"] == [FAIL]
    assert states(1, 2)["PTV (target), D95"] == []
    assert states(3, None, "ptv*")["PTV (target), D98"] == [PASS]
    assert states(3, None, "rectum")["PTV (target), D98"] == []


def test_limits_fit_structures_in_a_group_as_they_do_in_a_patient(tmp_path):
    def judged(structure, **more):
        limit = Limit("D2_difference", ZERO, 3, structure=structure)
        acceptance = Acceptance("own", "us", (limit,), "", "")
        agreements, _ = found_of(tmp_path, {"A": NEAR}, acceptance, **more)
        return [each.label for each in agreements if each.verdicts]

    brackets = {"target": ["PTV[1]"] * 5 + ["PTV1"] * 5}
    # A name as it is comes before a pattern, in which [1] stands for the letter 1.
    assert judged("ptv[1]", **brackets) == ["Target, D2"]
    assert judged("PTV[1]", target=["PTV1"] * 10) == ["PTV1 (target), D2"]
    assert judged("PTV[1]", target=["PTV[1]"] * 10) == ["PTV[1] (target), D2"]
    assert judged("bladder") == ["Bladder, D2"] and judged("Target") == ["PTV (target), D2"]


def test_the_shipped_limits_of_korsholm_fit_the_targets_points(tmp_path):
    agreements, _ = found_of(tmp_path, {"A": NEAR}, read_acceptance("korsholm2014"))
    judged = {each.point: each.verdicts[0].words for each in agreements if each.verdicts}
    assert judged == dict.fromkeys(("D98", "D50", "D2"), "within tolerance ±2\N{NO-BREAK SPACE}%")


def test_the_definition_does_not_claim_the_papers_own_interval():
    assert "not claimed to be the interval of that paper" in DEFINITIONS["korsholm2014"]
    assert "ISO 16269-6" in DEFINITIONS["agreement"]


def test_signs_and_confidences_are_printed_honestly():
    assert [signed(v) for v in (0.004, -0.004, 1.256, -3, math.nan)] == [
        "0.00", "0.00", "+1.26", "\N{MINUS SIGN}3.00", "n/a",
    ]  # fmt: skip
    assert [printed_confidence(c) for c in (0.94999, 0.9999, 1, 0)] == [
        "94.9 %", "above 99.9 %", "above 99.9 %", "below 0.1 %",
    ]  # fmt: skip
