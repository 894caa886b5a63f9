"""Patients that lie apart, and how many are within limits."""

from __future__ import annotations

import numpy as np
import pytest
from group_cases import dose_cohort
from SyntheticCTEvalLib.evaluation.limits import ACTION, FAIL, MISSING, PASS, Acceptance, Limit
from SyntheticCTEvalLib.evaluation.quantities import HIGHER, ZERO
from SyntheticCTEvalLib.group.limit_counts import count_limits
from SyntheticCTEvalLib.group.outliers import (
    LIMITS,
    TUKEY,
    fences,
    find_outliers,
    main_figures,
)
from SyntheticCTEvalLib.group.values import CohortValues

NEAR = np.array([0.3, -0.4, 0.1, 0.5, -0.2, 0.2, 0.0, -0.1, 0.4, -0.3])


def outliers_of(cohort):
    values = CohortValues.of_cohort(cohort)
    return find_outliers(values, main_figures(values))


def test_main_figures_are_mae_ssim_every_criterion_and_target_doses(tmp_path):
    values = CohortValues.of_cohort(dose_cohort(tmp_path, {"A": NEAR, "B": NEAR}))
    labels = [figure.label for figure in main_figures(values)]
    assert labels[:2] == ["MAE in the body", "SSIM of the whole image"]
    assert "Gamma pass rate 3 %/2 mm, dose above 10 % (4.5 Gy)" in labels
    assert "Gamma pass rate 1 %/1 mm, dose above 60 % (27 Gy)" in labels
    assert labels[-5:] == [
        f"PTV (target), {point} difference" for point in ("D98", "D95", "D50", "D2", "Dmean")
    ]
    d98 = main_figures(values)[-5]
    assert d98.mean_gy["A"] == pytest.approx(45 + NEAR * 0.45 / 2)


def test_fences_are_tukeys():
    array = np.array([1.0, 2, 3, 4, 5, np.nan])
    assert fences(array) == (2 - 3, 4 + 3)
    assert fences(array[:4]) == (-np.inf, np.inf)


def test_a_patient_that_lies_apart_is_named_with_what_it_lies_outside_of(tmp_path):
    apart = NEAR.copy()
    apart[3] = 4.0
    found = outliers_of(dose_cohort(tmp_path, {"A": NEAR, "B": apart}))
    assert {(o.patient, o.candidate) for o in found} == {("P4", "B")}
    assert {o.rule for o in found} == {TUKEY, LIMITS}
    (tukey,) = [o for o in found if o.rule == TUKEY and "D98" in o.label]
    first, third = np.percentile(apart, [25, 75])
    assert tukey.high == pytest.approx(third + 1.5 * (third - first)) and tukey.value == 4.0


def test_image_figures_are_held_against_the_baseline_and_few_patients_against_nothing(tmp_path):
    cohort = dose_cohort(tmp_path, {"A": NEAR, "B": NEAR})
    cohort.patients[6].metrics["candidates"]["B"]["mae_body"] = 90.0
    found = [o for o in outliers_of(cohort) if o.label.startswith("MAE")]
    assert {(o.patient, o.candidate, o.rule) for o in found} == {
        ("P7", "B", TUKEY), ("P7", "B", LIMITS),
    }  # fmt: skip
    assert {o.label for o in found} == {"MAE in the body", "MAE in the body, minus A"}
    cohort.patients = cohort.patients[4:8]
    assert outliers_of(cohort) == []


def test_what_prints_alike_is_no_outlier(tmp_path):
    tiny = np.zeros(8)
    tiny[0] = 1e-6
    found = outliers_of(dose_cohort(tmp_path, {"A": tiny, "B": tiny}))
    assert [o for o in found if "target" in o.label] == []


def test_patients_are_counted_by_the_worst_of_a_limit_and_of_all(tmp_path):
    rows = np.array([0.5, 1.5, 3.0, np.nan])
    cohort = dose_cohort(tmp_path, {"A": rows, "B": rows / 10})
    of_dose = Limit("D98_difference", ZERO, 1.0, 2.0, structure="target", label="D98")
    of_gamma = Limit("gpr_criteria", HIGHER, 95.0, criterion="1%/1mm", cutoff_percent=60)
    cohort.acceptance = Acceptance("own", "us", (of_dose, of_gamma), "", "sha")
    every, dose, gamma = count_limits(cohort, ["A", "B"])
    assert dose.label == "D98" and "tolerance ±" in dose.levels
    assert dose.patients["A"] == {PASS: ["P1"], ACTION: ["P2"], FAIL: ["P3"], MISSING: ["P4"]}
    assert gamma.patients["A"][PASS] == ["P1"] and gamma.patients["A"][FAIL] == ["P2", "P3", "P4"]
    assert every.patients["B"] == {PASS: ["P1"], ACTION: [], FAIL: ["P2", "P3", "P4"], MISSING: []}
    assert dose.entry()["candidates"]["A"] == {PASS: 1, ACTION: 1, FAIL: 1, MISSING: 1}
    assert [text for _, text, _ in dose.cells()["A"]] == [
        "✓ 1 within", "▲ 1 within action level", "✗ 1 beyond", "– 1 not evaluated",
    ]  # fmt: skip


def test_patients_with_limits_of_their_own_are_held_against_these(tmp_path):
    cohort = dose_cohort(tmp_path, {"A": np.array([0.5, 1.5])})

    def limits(tolerance, sha):
        limit = Limit("D98_difference", ZERO, tolerance, structure="target", label=sha)
        return Acceptance(sha, "us", (limit,), "", sha)

    cohort.acceptance = limits(1.0, "all")
    cohort.patients[1].acceptance = limits(2.0, "own")
    counts = {count.label: count.patients["A"] for count in count_limits(cohort, ["A"])}
    assert counts["all"][PASS] == ["P1"] and counts["own"][PASS] == ["P2"]
    assert counts["All limits"][PASS] == ["P1", "P2"]


def test_a_limit_on_pass_rates_of_structures_names_the_cutoffs_of_all_patients(tmp_path):
    cohort = dose_cohort(tmp_path, {"A": np.array([0.5, 1.5])})
    limits = [
        Limit("gpr_structures", HIGHER, 95, criterion="1%/1mm", structure="Bladder", label=label)
        for label in ("", "Bladder is fine")
    ]
    cohort.acceptance = Acceptance("own", "us", tuple(limits), "", "sha")
    labels = [count.label for count in count_limits(cohort, ["A"])]
    assert labels[1:] == [
        "Gamma pass rate 1 %/1 mm in Bladder, dose above 10 %",
        "Bladder is fine, dose above 10 %",
    ]
    cohort.patients[1].metrics["candidates"]["A"]["gpr"] = {"60": 99.0, "20": 98.0}
    assert count_limits(cohort, ["A"])[2].label == "Bladder is fine, dose above 10 or 20 %"
