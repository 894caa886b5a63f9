"""A cohort's tables and statistics: from the study's cases to the study's tables."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest
from cohorts import PLACES, study_cohort
from study import STUDY
from SyntheticCTEvalLib.cohort.records import Cohort, PatientRecord
from SyntheticCTEvalLib.group.comparison import (
    CONFIRMATORY,
    EXPLORATORY,
    compare_cohort,
    printed_p,
    write_statistics_csv,
)
from SyntheticCTEvalLib.group.paired_comparison import compare_paired, holm
from SyntheticCTEvalLib.group.tables import make_table, write_all_figures_csv, write_table_csv
from SyntheticCTEvalLib.group.values import TABLES, CohortValues

# fmt: off
MEANS = {
    ("ssim", ""): (1, "0.9656", "0.9799"),
    ("mae_image", ""): (1, "29.57", "11.04"),
    ("gpr", "10"): (2, "97.93", "98.87"),
    ("gpr", "60"): (2, "91.22", "96.39"),
    ("ssim_mr", ""): (3, "0.8125", "0.8147"),
    ("dsc_body_mr", ""): (3, "0.9906", "0.9914"),
}
# fmt: on


@pytest.fixture
def study(tmp_path):
    values = CohortValues.of_cohort(study_cohort(tmp_path))
    return values, compare_cohort(values)


def _cohort(tmp_path, rows, baseline="A"):
    """A cohort from one dict of candidates' metrics a patient."""
    records = [
        PatientRecord(f"P{n}", tmp_path / f"P{n}", {"candidates": row})
        for n, row in enumerate(rows, start=1)
    ]
    return Cohort(records, baseline=baseline)


def _compared(tmp_path, rows, baseline="A"):
    return compare_cohort(CohortValues.of_cohort(_cohort(tmp_path, rows, baseline)))


@pytest.mark.parametrize("key", MEANS)
def test_tables_are_the_studys(study, key):
    number, *means = MEANS[key]
    table = make_table(number, *study)
    rows = [row for row in table.rows if row.key == key]
    assert [row.candidate for row in rows] == ["MRCAT", "sCT"]
    assert [row.mean for row in rows] == means
    assert [row.best for row in rows] == [False, True]
    assert table.patients == [f"P{n}" for n in range(1, 11)]
    cases = STUDY[next(figure for figure, place in PLACES.items() if place == key)]
    for row, printed in zip(rows, cases, strict=True):
        assert [float(cell) for cell in row.cells] == printed
        assert float(row.sd) == pytest.approx(np.std(printed, ddof=1), rel=0.02, abs=5e-5)
        assert row.n == 10


def test_tables_name_doses_of_cutoffs_and_both_errors(study):
    labels = [row.label for row in make_table(2, *study).rows]
    assert labels[::2] == [
        "Gamma pass rate, dose above 10 % (4.5 Gy)",
        "Gamma pass rate, dose above 60 % (27 Gy)",
    ]
    assert "mae_body" in TABLES[1] and "mae_image" in TABLES[1]


def test_statistics_are_the_studys(study):
    _, comparisons = study
    found = {c.key: c for c in comparisons}
    assert set(found) == set(MEANS)
    assert {c.family for c in comparisons} == {CONFIRMATORY}
    assert found["ssim", ""].result.p == pytest.approx(8.7e-10, rel=0.03)
    assert found["gpr", "10"].result.p == pytest.approx(1.8e-4, rel=0.03)
    assert found["ssim_mr", ""].result.test == "Wilcoxon signed-rank"
    assert found["ssim_mr", ""].result.shapiro_p == pytest.approx(0.0042, rel=0.02)
    dice = found["dsc_body_mr", ""]
    assert dice.result.p == pytest.approx(0.20, abs=0.005)
    assert not dice.significant and dice.better == "sCT"
    assert all(c.significant for key, c in found.items() if key != ("dsc_body_mr", ""))
    adjusted = holm([c.result.p for c in comparisons])
    assert [c.holm_p for c in comparisons] == adjusted


def test_better_follows_the_figure(tmp_path):
    rows = [
        {"A": {"mae_body": 40.0 + n, "ssim": 0.95 + n / 1000, "me_body": 5.0 + n},
         "B": {"mae_body": 20.0 + n**2, "ssim": 0.90 + n**2 / 1000, "me_body": -1.0 - n / 7}}
        for n in range(3)
    ]  # fmt: skip
    found = {c.key[0]: c for c in _compared(tmp_path, rows)}
    assert found["mae_body"].better == "B"
    assert found["ssim"].better == "A"
    # Size counts where 0 is best: 1 HU too little is better than 5 HU too much.
    assert found["me_body"].better == "B"
    assert found["me_body"].label == "|Mean error in the body|"
    assert found["me_body"].result.difference == pytest.approx(-6 + 8 / 7)


def test_families_are_corrected_apart_and_leave_out_what_is_not_the_candidates(tmp_path):
    generator = np.random.default_rng(1)

    def metrics(shift):
        dvh = {"D95": 44 + shift, "D95_difference": generator.normal(shift), "volume_cm3": 80.0}
        return {
            "ssim": generator.normal(0.9 + shift / 50, 0.01),
            "mae_body": generator.normal(40 - shift, 3),
            "rmse_body": generator.normal(80 - shift, 3),
            "tissue_mae": {"fat": generator.normal(20 - shift, 3)},
            "hu_histogram": {"edges_hu": [0, 1], "candidate": [1.0]},
            "background_hu": -1000.0 + shift,
            "coverage_body_percent": 99.0,
            "dvh": {"bladder": dvh},
        }

    rows = [{"A": metrics(0), "B": metrics(1), "C": metrics(2)} for _ in range(6)]
    found = _compared(tmp_path, rows)
    families = {
        family: {c.key for c in found if c.family == family}
        for family in (CONFIRMATORY, EXPLORATORY)
    }
    assert families[CONFIRMATORY] == {("ssim", ""), ("mae_body", "")}
    assert families[EXPLORATORY] == {
        ("rmse_body", ""),
        ("tissue_mae", "fat"),
        ("dvh", "bladder", "D95_difference"),
    }
    for family in families:
        tests = [c for c in found if c.family == family]
        assert len(tests) == 2 * len(families[family])
        assert [c.holm_p for c in tests] == holm([c.result.p for c in tests])


def test_a_patient_without_a_value_gets_an_empty_cell(tmp_path):
    rows = [{"A": {"ssim": 0.9 + n / 100}, "B": {"ssim": 0.95 + n**2 / 100}} for n in range(4)]
    rows[1]["A"]["ssim"] = None
    rows[2].pop("B")
    values = CohortValues.of_cohort(_cohort(tmp_path, rows))
    comparisons = compare_cohort(values)
    table = make_table(1, values, comparisons)
    first, second = table.rows
    assert first.cells == ["0.9000", "n/a", "0.9200", "0.9300"]
    assert second.cells == ["0.9500", "0.9600", "n/a", "1.0400"]
    assert (first.n, first.mean) == (3, "0.9167")
    assert comparisons[0].result is None and second.p == "n/a"
    assert any("Only 2 patients have a value of both" in note for note in table.notes)
    write_table_csv(table, tmp_path / "t.csv")
    lines = list(csv.reader((tmp_path / "t.csv").open(encoding="utf-8")))
    assert lines[0][3:7] == ["P1", "P2", "P3", "P4"]
    assert lines[1][3:] == ["0.9000", "", "0.9200", "0.9300", "0.9167", "0.0153", "3", "", ""]


def test_means_over_different_patients_are_said_to_be(tmp_path):
    rows = [{"A": {"ssim": 0.9 + n / 100}, "B": {"ssim": 0.95 + n**2 / 100}} for n in range(5)]
    rows[0]["B"]["ssim"] = math.nan
    values = CohortValues.of_cohort(_cohort(tmp_path, rows))
    table = make_table(1, values, compare_cohort(values))
    assert [row.n for row in table.rows] == [5, 4]
    assert any("not over the same patients" in note for note in table.notes)


def test_tables_without_figures_are_none_and_nothing_is_tested_without_baseline(tmp_path):
    rows = [{"A": {"ssim": 0.9}, "B": {"ssim": 0.95}} for _ in range(3)]
    values = CohortValues.of_cohort(_cohort(tmp_path, rows, baseline="MRCAT"))
    assert compare_cohort(values) == []
    assert make_table(1, values, []) is not None
    assert make_table(2, values, []) is None and make_table(3, values, []) is None
    assert CohortValues.of_cohort(Cohort([])).candidates == []


def test_p_is_printed_honestly():
    assert printed_p(8.7e-10) == "< 0.001"
    assert printed_p(0.00099) == "< 0.001"
    assert printed_p(0.2009) == "0.201"
    assert printed_p(0.9999) == "> 0.999"
    assert printed_p(1.0) == "1.000"
    assert printed_p(math.nan) == "n/a"


def test_files_hold_every_number_in_full(tmp_path, study):
    values, comparisons = study
    write_all_figures_csv(values, tmp_path / "all.csv")
    rows = list(csv.reader((tmp_path / "all.csv").open(encoding="utf-8")))
    assert rows[0] == ["patient", "candidate", "figure", "value"]
    assert len(rows) == 1 + 10 * 2 * len(MEANS)
    assert ["P3", "sCT", "gpr.60", "93.88"] in rows
    write_statistics_csv(comparisons, tmp_path / "s.csv")
    lines = {row["figure"]: row for row in csv.DictReader((tmp_path / "s.csv").open())}
    found = compare_paired(*STUDY["MAE"])
    assert float(lines["mae_image"]["p"]) == found.p
    assert float(lines["mae_image"]["interval_low"]) == found.interval[0]
    assert lines["mae_image"]["better"] == "sCT"
    assert "Shapiro-Wilk" in lines["mae_image"]["definition"]


def test_many_patients_stand_in_blocks(tmp_path):
    rows = [{"A": {"ssim": 0.9}, "B": {"ssim": 0.95}} for _ in range(23)]
    values = CohortValues.of_cohort(_cohort(tmp_path, rows))
    table = make_table(1, values, compare_cohort(values))
    assert list(table.blocks()) == [(0, 10), (10, 20), (20, 23)]


def test_pass_rates_of_other_criteria_are_never_mixed():
    def entry(criterion, rate):
        return {"gpr": {"10": rate}, "gpr_criteria": {criterion: {"10": rate}}}

    def values(*criteria):
        records = [
            PatientRecord(f"p{n}", Path(), {"candidates": {"sCT": entry(c, 90.0 + n)}})
            for n, c in enumerate(criteria)
        ]
        return CohortValues.of_cohort(Cohort(records))

    same = values("1%/1mm", "1%/1mm")
    assert same.table_keys(2) == [("gpr", "10")] and same.of("sCT", ("gpr", "10")).tolist() == [
        90,
        91,
    ]
    assert same.label(("gpr", "10")) == "Gamma pass rate 1 %/1 mm, dose above 10 %"
    mixed = values("1%/1mm", "2%/2mm")
    keys = [("gpr_criteria", "1%/1mm", "10"), ("gpr_criteria", "2%/2mm", "10")]
    assert mixed.table_keys(2) == keys and ("gpr", "10") not in mixed.keys
    assert np.isnan(mixed.of("sCT", keys[0])).tolist() == [False, True]
