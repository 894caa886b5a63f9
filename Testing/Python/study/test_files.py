"""A study's tables beside its report: CSV, LaTeX, a workbook, and the words under the title."""

from __future__ import annotations

import csv
import json
import re

import numpy as np
import pytest
from cohorts import study_cohort
from group_cases import dose_cohort
from pages import HOSTILE, Page
from SyntheticCTEvalLib.acceptance.limits import read_acceptance
from SyntheticCTEvalLib.group.analysis import analyse
from SyntheticCTEvalLib.study.files import OWN, write_tables
from SyntheticCTEvalLib.study.headline import criterion_words, identity_lines, registration_words
from SyntheticCTEvalLib.study.latex import escaped, rows_latex, table_latex
from SyntheticCTEvalLib.study.report import write_cohort
from SyntheticCTEvalLib.study.sheets import Sheet, table_sheet
from SyntheticCTEvalLib.study.workbook import missing, write_workbook

NEAR = np.array([0.3, -0.4, 0.1, 0.5, -0.2, 0.2, 0.0, -0.1, 0.4, 4.0])
TIME = "2026-11-28T12:00:00+01:00"


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    cohort = dose_cohort(folder, {"A": NEAR, "B_1": NEAR / 10})
    cohort.acceptance = read_acceptance("korsholm2014")
    cohort.origin = {
        "program": "synthetic-ct 1", "commit": "c" * 40, "date": TIME, "python": "3.12",
        "packages": {"scipy": "1.17"}, "command": "synthetic-ct cohort m.csv",
        "model": {"name": "pelvis", "sha256": "f" * 64},
    }  # fmt: skip
    for record in cohort.patients:
        record.folder.mkdir(parents=True)
        (record.folder / "report.html").write_text("a report")
    write_cohort(cohort, folder)
    return folder, cohort


def test_files_are_listed_so_that_stale_ones_go(written):
    folder, cohort = written
    names = write_tables(analyse(cohort), folder, TIME)
    assert set(names) <= set(OWN)
    assert {"agreement.csv", "agreement.tex", "korsholm2014.csv", "limits.csv",
            "outliers.csv", "table1.tex"} <= set(names)  # fmt: skip
    assert ("study.xlsx" in names) == (not missing())


def test_csv_files_hold_numbers_in_full(written):
    folder, _ = written
    latex = (folder / "agreement.tex").read_text(encoding="utf-8")
    assert r"\begin{tabular}{llrrrrrrr}" in latex and ", not normal" in latex
    group = "PTV (target): candidate minus true CT in % of prescription"
    assert latex.count(escaped(group)) == 1
    rows = list(csv.DictReader((folder / "agreement.csv").open(encoding="utf-8")))
    (d98,) = [r for r in rows if (r["structure"], r["candidate"], r["figure"]) == (
        "target", "A", "D98_difference")]  # fmt: skip
    assert float(d98["mean"]) == pytest.approx(NEAR.mean(), rel=1e-12)
    assert float(d98["tolerance_factor"]) == pytest.approx(3.39343, abs=1e-5)
    limits = list(csv.DictReader((folder / "limits.csv").open(encoding="utf-8")))
    assert {row["beyond"] for row in limits if row["candidate"] == "A"} == {"1"}
    points = list(csv.DictReader((folder / "korsholm2014.csv").open(encoding="utf-8")))
    assert {(row["candidate"], row["shown"]) for row in points} == {("A", "no"), ("B_1", "yes")}
    # A row is of a point, and the sentence of all three: its column says so.
    told = {(row["candidate"], row["statement_on_candidate"].split(".")[0]) for row in points}
    assert told == {("A", "A: not shown"), ("B_1", "B_1: shown")}


def test_the_page_tells_criterion_registration_limits_and_origin(written):
    folder, _ = written
    page = Page((folder / "report.html").read_text("utf-8"))
    for text in (
        "Gamma 1 %/1 mm, 3 %/2 mm global; dose above 10 % and 60 %",
        "100 % of dose 45 Gy, as given",
        "Registration rigid and deformable, each candidate by itself",
        "Limits Korsholm 2014",
        "Patients within the limits: Korsholm 2014",
        "✓ 9 within; ✗ 1 beyond",
        "✗ not shown", "✓ shown",
        "cccccccccccc", "scipy 1.17", "synthetic-ct cohort m.csv", f"pelvis (SHA-256 {'f' * 64})",
    ):  # fmt: skip
        assert text in page.text, text
    places = [page.text.index(text) for text in ("Result", "Dose: agreement", "Table 1.", "Origin")]
    assert places == sorted(places)


def test_outliers_lead_to_their_reports(written):
    folder, _ = written
    page = Page((folder / "report.html").read_text("utf-8"))
    links = [attrs["href"] for attrs in page.all("a")]
    assert links.count("patients/P10/report.html") > 1
    assert all((folder / link).is_file() for link in links)
    assert "1.5 interquartile ranges" in page.text and "limits of agreement" in page.text


def test_metrics_hold_agreement_statement_outliers_and_counts(written):
    folder, cohort = written
    found = json.loads((folder / "metrics.json").read_text("utf-8"))
    assert found["korsholm2014"]["B_1"]["state"] == "pass"
    assert found["korsholm2014"]["A"]["sentence"].startswith("A: not shown.")
    assert {entry["figure"] for entry in found["agreement"]} >= {"D98_difference", "D2_difference"}
    assert {outlier["patient"] for outlier in found["outliers"]} == {"P10"}
    assert found["acceptance"]["files"][0]["sha256"] == cohort.acceptance.sha256
    assert found["acceptance"]["counts"][0]["candidates"]["A"]["fail"] == 1
    for key in ("agreement", "agreement_limits", "korsholm2014", "outliers", "limit_counts"):
        assert key in found["definitions"]
    assert (folder / "figures" / "bland_altman_dose.png").is_file()


def test_latex_shows_every_letter_and_has_balanced_cells(tmp_path):
    text = table_latex(analyse(study_cohort(tmp_path)).tables[2])
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == 1
    columns = re.search(r"\\begin\{tabular\}\{(\w+)\}", text)[1]
    rows = [
        line for line in text.splitlines() if line.endswith("\\\\") and "multicolumn" not in line
    ]
    assert rows and {len(re.split(r"(?<!\\)&", row)) for row in rows} == {len(columns)}
    assert "\\booktabs" not in text and "\\toprule" not in text
    assert r"1 \%/1 mm" in text or r"10 \%" in text
    assert r"\textbf{98.87}" in text and r"\ensuremath{<} 0.001" in text


def test_latex_escapes_what_it_would_take_for_commands():
    assert escaped(r"\a_{1}&50%$#~^<>|") == (
        r"\textbackslash{}a\_\{1\}\&50\%\$\#\textasciitilde{}\textasciicircum{}"
        r"\ensuremath{<}\ensuremath{>}\ensuremath{|}"
    )
    # After \\, LaTeX would take these for arguments of its own.
    assert escaped("*[x]") == "{*}{[}x{]}"
    assert escaped("\N{MINUS SIGN}1 cm³ ±2\N{NO-BREAK SPACE}%") == (
        r"\ensuremath{-}1 cm\textsuperscript{3} \ensuremath{\pm}2~\%"
    )
    text = rows_latex("T", ("Figure", "n_1"), {"a_b": [(HOSTILE, "1")]}, ["50 % of it."])
    assert r"\begin{tabular}{lr}" in text and r"\multicolumn{2}{l}{a\_b} \\" in text
    assert r"n\_1" in text and r"50 \% of it." in text and "$1$" not in text
    assert text.count("{") == text.count("}")


def test_more_patients_than_a_page_is_wide_stand_below_one_another(tmp_path):
    cohort = dose_cohort(tmp_path, {"A": np.arange(12) / 10, "B": np.arange(12) / 20})
    text = table_latex(analyse(cohort).tables[1])
    assert text.count(r"\begin{tabular}") == 2 and text.count("Mean") == 1


def test_sheets_have_numbers_where_tables_have_text(tmp_path):
    found = analyse(study_cohort(tmp_path))
    sheet = table_sheet(found.tables[1], found.comparisons)
    assert len(sheet.header) == len(sheet.rows[0])
    row = dict(zip(sheet.header, sheet.rows[1], strict=True))
    assert row["Mean"] == pytest.approx(0.9799, abs=5e-5) and row["n"] == 10
    assert row["p against MRCAT"] == pytest.approx(8.7e-10, rel=0.03)
    assert sheet.rows[0][-1] is None


def test_a_workbook_holds_numbers_as_numbers_and_names_as_text(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    rows = [["=1+1", 0.123456, 3, None], ["a\x01b", float("1e-9"), 4, "x"]]
    sheet = Sheet("One", ["name", "value", "n", "p (Holm)"], rows, [2, 2])
    first, second = tmp_path / "a.xlsx", tmp_path / "b.xlsx"
    for path in (first, second):
        write_workbook([sheet, Sheet("Definitions", ["figure"], [["x"]])], path, TIME)
    assert first.read_bytes() == second.read_bytes()
    book = openpyxl.load_workbook(first)
    assert book.sheetnames == ["One", "Definitions"]
    page = book["One"]
    assert page["A2"].value == "=1+1" and page["A2"].data_type == "s"
    assert page["B2"].value == 0.123456 and page["B2"].number_format == "0.00"
    assert page["C2"].value == 3 and page["D2"].value is None
    assert page["A3"].value == "a b"
    assert book.properties.modified.isoformat().startswith("2026-11-28T11:00")


def test_the_studys_workbook_has_every_table_and_its_definitions(written):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.load_workbook(written[0] / "study.xlsx")
    assert {"Table 1", "Agreement", "Korsholm 2014", "Limits", "Outliers", "Statistics",
            "All figures", "Definitions"} <= set(book.sheetnames)  # fmt: skip
    assert isinstance(book["Agreement"]["G2"].value, float)


def test_words_tell_patients_apart_that_differ(tmp_path):
    cohort = dose_cohort(tmp_path, {"A": NEAR[:3]})
    entry = cohort.patients[2].metrics["candidates"]["A"]
    entry["gpr_criteria"] = {"3%/3mm local": {"10": 99.0}}
    assert criterion_words(cohort) == (
        "1 %/1 mm, 3 %/2 mm global; dose above 10 % and 60 % (2: P1, P2); "
        "3 %/3 mm local; dose above 10 % (1: P3)"
    )
    cohort.patients[1].metrics["registration"] = {"way": "rigid", "by": "mr"}
    cohort.patients[2].metrics["registration"] = {"way": "none", "by": "candidate"}
    assert registration_words(cohort) == (
        "rigid and deformable, each candidate by itself (1: P1); rigid alone, one transform, found "
        "between MR and true CT (1: P2); none: the candidates were taken to lie on the true CT "
        "(1: P3)"
    )
    cohort.patients[0].metrics |= {"prescription_kind": "largest", "prescription_gy": 47.1}
    lines = dict(identity_lines(cohort, analyse(cohort).values))
    assert lines["100 % of dose"] == (
        "47.1 Gy, the largest dose on the true CT, for want of a prescription; 45 Gy, as given"
    )
    assert lines["Limits"] == "none were given"
    assert lines["Held against the true CT"] == "A"
