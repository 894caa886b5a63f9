"""A cohort's report: one page with everything, files beside it, notes for what is not there."""

from __future__ import annotations

import csv
import json
import re
import zipfile

import pytest
from cohorts import study_cohort, write_record
from pages import HOSTILE, Page
from SyntheticCTEvalLib.acceptance.limits import read_acceptance
from SyntheticCTEvalLib.cohort.records import Cohort, PatientRecord
from SyntheticCTEvalLib.group.comparison import DEFINITIONS
from SyntheticCTEvalLib.study.report import write_cohort
from SyntheticCTEvalLib.study.workbook import missing
from SyntheticCTLib.basics.progress import Progress
from SyntheticCTLib.volumes.marks import SYNTHETIC_NOTE, look_alike_words

FILES = {
    "report.html", "metrics.json", "all_figures.csv", "statistics.csv",
    *(f"table{n}.{kind}" for n in (1, 2, 3) for kind in ("csv", "html", "tex")),
    *(f"figures/{name}.png" for name in
      ("figure1", "figure2", "figure3", "figure6", "boxplots", "paired", "bland_altman")),
    "outliers.csv",
    *([] if missing() else ["study.xlsx"]),
}  # fmt: skip


class _Steps(Progress):
    def __init__(self):
        self.fractions = []

    def report(self, step, fraction, **details):
        self.fractions.append(fraction)


def _files(folder):
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and "patients" not in path.parts
    }


def _page(path):
    return Page(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cohort")
    cohort = study_cohort(folder, pictures=True)
    cohort.failed = {"P11": "The CT & the MR do not overlap."}
    cohort.notes = ["The manifest has no column structures."]
    steps = _Steps()
    write_cohort(cohort, folder, progress=steps)
    return folder, cohort, steps


def test_everything_is_there_and_nothing_else(written):
    folder, _, steps = written
    assert _files(folder) == FILES
    assert steps.fractions[0] == 0 and steps.fractions[-1] == 1
    assert steps.fractions == sorted(steps.fractions)


def test_report_is_one_page_with_every_picture_and_definition_inside(written):
    folder, cohort, _ = written
    page = _page(folder / "report.html")
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in page.tags}
    pictures = page.all("img")
    assert len(pictures) == 7
    assert all(attrs["src"].startswith("data:image/png;base64,") for attrs in pictures)
    assert all(len(attrs["alt"]) > 20 for attrs in pictures)
    for text in (SYNTHETIC_NOTE, *cohort.notes, *cohort.failed.values(), *DEFINITIONS.values()):
        assert text in page.text
    assert "10 patients evaluated, 1 not" in page.text
    assert "The picture of dose-volume differences is left out" in page.text
    assert "Table 1 is left out" not in page.text


def test_report_links_to_every_patients_report(written):
    folder, cohort, _ = written
    links = [attrs["href"] for attrs in _page(folder / "report.html").all("a")]
    assert links[-10:] == [f"patients/{record.patient}/report.html" for record in cohort.patients]
    assert all((folder / link).is_file() for link in links)


def test_tables_stand_in_report_and_on_pages_of_their_own(written):
    folder, _, _ = written
    report = _page(folder / "report.html").text
    for number, mean in ((1, "0.9799"), (2, "96.39"), (3, "0.8147")):
        page = _page(folder / f"table{number}.html")
        assert f"★ {mean}" in page.text and f"★ {mean}" in report
        assert SYNTHETIC_NOTE in page.text
        rows = list(csv.reader((folder / f"table{number}.csv").open(encoding="utf-8")))
        assert mean in rows[-1] + rows[2]
        assert rows[0][3:13] == [f"P{n}" for n in range(1, 11)]
    assert "SSIM as printed." in _page(folder / "table1.html").text


def test_statistics_are_printed_with_direction_and_honest_p(written):
    text = _page(written[0] / "report.html").text
    assert "SSIM against the MR, unregistered +0.0022 +0.0013 to +0.0026 sCT 0.008 0.004" in text
    assert "Wilcoxon signed-rank" in text
    assert "< 0.001" in text
    assert not re.search(r"(?<![\d.])0\.000?(?!\d)", text)


def test_metrics_hold_definitions_means_statistics_and_every_patient(written):
    folder, cohort, _ = written

    def refuse(constant):
        raise AssertionError(constant)

    found = json.loads((folder / "metrics.json").read_text("utf-8"), parse_constant=refuse)
    assert found["baseline"] == "MRCAT"
    assert found["failed"] == cohort.failed
    assert set(cohort.notes) < set(found["notes"])
    assert found["means"]["sCT"]["mae_image"]["mean"] == pytest.approx(11.043)
    assert found["means"]["sCT"]["gpr.60"]["n"] == 10
    assert {s["figure"] for s in found["statistics"]} == set(found["means"]["sCT"])
    for record in cohort.patients:
        own = found["patients"][record.patient]
        assert own["candidates"] == record.metrics["candidates"]
    # One line where all patients agree, a line a patient where they do not.
    assert found["definitions"]["ssim"] == "SSIM as printed."
    assert found["definitions"]["gpr"]["P7"] == "Gamma; 6 voxels"
    assert "Of P1; this line differs" in _page(folder / "report.html").text


def test_what_is_missing_is_left_out_said_and_removed(tmp_path):
    (tmp_path / "figures").mkdir()
    for name in ("table2.csv", "figures/figure6.png", "figures/figure2_page3.png", "mine.csv"):
        (tmp_path / name).write_text("of an earlier run", encoding="utf-8")
    record = PatientRecord("A", tmp_path / "patients" / "A", {"candidates": {"x": {"ssim": 0.9}}})
    write_record(record, None)
    write_cohort(Cohort([record], baseline="x"), tmp_path)
    assert _files(tmp_path) == {
        "report.html", "metrics.json", "all_figures.csv", "statistics.csv", "mine.csv",
        "table1.csv", "table1.html", "table1.tex", "figures/boxplots.png",
        *([] if missing() else ["study.xlsx"]),
    }  # fmt: skip
    notes = json.loads((tmp_path / "metrics.json").read_text("utf-8"))["notes"]
    text = " ".join(notes)
    for part in ("Table 2 is left out", "Table 3 is left out", "Figure 1 is left out",
                 "Figure 6 is left out: no patient has an MR", "x is the only candidate",
                 "slices of A cannot be read"):  # fmt: skip
        assert part in text
        assert part in _page(tmp_path / "report.html").text


def test_a_cohort_of_which_all_failed_still_gets_its_report(tmp_path):
    write_cohort(Cohort([], failed={"A": "Broken.", "B": "Gone."}), tmp_path)
    page = _page(tmp_path / "report.html")
    assert "0 patients evaluated, 2 not" in page.text
    assert "Broken." in page.text and "Gone." in page.text
    assert not page.all("img")


def test_two_patients_are_not_tested_and_that_is_said(tmp_path):
    cohort = study_cohort(tmp_path)
    cohort.patients = cohort.patients[:2]
    write_cohort(cohort, tmp_path)
    page = _page(tmp_path / "report.html")
    assert "Only 2 patients have a value of both; a test needs at least 3" in page.text
    rows = list(csv.DictReader((tmp_path / "statistics.csv").open(encoding="utf-8")))
    assert rows and all(row["p"] == row["holm_p"] == "" for row in rows)


def test_patients_that_were_registered_in_other_ways_are_told_first(tmp_path):
    cohort = study_cohort(tmp_path, pictures=True)
    cohort.patients = cohort.patients[:3]
    for record, way in zip(cohort.patients, ("deformable", "none", "deformable"), strict=True):
        record.metrics["registration"] = {"way": way, "by": "candidate"}
        for entry in record.metrics["candidates"].values():
            entry["mae_body"] = 10.0 + (record.patient == "P2") - (record.patient == "P3")
    write_cohort(cohort, tmp_path)
    page = _page(tmp_path / "report.html")
    assert "not laid on their true CTs in one way" in page.text
    assert "the candidates were taken to lie on the true CT (1: P2)" in page.text
    # P1 lies in the middle, P2 is the worst.
    assert "P1, left: before registration" in page.text
    assert "P2, middle: as they came and as evaluated, not registered" in page.text


def test_a_look_alike_is_called_so_everywhere_but_where_programs_look_for_its_name(tmp_path):
    cohort = study_cohort(tmp_path, pictures=True)
    cohort.patients, cohort.acceptance = cohort.patients[:4], read_acceptance("tg218")
    cohort.patients[0].metrics["notes"] = [look_alike_words("MRCAT")]
    cohort.notes = ["No candidate MRCAT is given for this patient. (P3)"]
    cohort.failed = {"P11": "The candidate MRCAT cannot be read."}
    write_cohort(cohort, tmp_path)
    alone = re.compile(r"MRCAT(?! look-alike)")
    texts = {name: (tmp_path / name).read_text("utf-8") for name in _files(tmp_path)
             if name.endswith((".csv", ".html", ".tex"))}  # fmt: skip
    assert len(texts) > 10
    # Tables for programs are joined with metrics.json by the name, and tell what it is called.
    long = {name for name in texts if name.endswith(".csv") and not name.startswith("table")}
    assert {"all_figures.csv", "statistics.csv", "limits.csv"} <= long
    for name in long:
        rows = list(csv.DictReader(texts[name].splitlines()))
        assert {row["candidate"] for row in rows} <= {"MRCAT", "sCT"}, name
        assert {row.get("baseline", "MRCAT") for row in rows} <= {"MRCAT"}, name
        called = {row["candidate"]: row["shown_as"] for row in rows}
        assert all(called[c] == {"MRCAT": "MRCAT look-alike"}.get(c, c) for c in called), name
    for name in texts.keys() - long:
        text = texts[name]
        shown = re.sub(r"base64,[^\"]*", "", text)
        assert not alone.search(shown), name
        assert "MRCAT look-alike" in shown, name
    assert "p against MRCAT look-alike" in texts["table1.csv"]
    if not missing():
        with zipfile.ZipFile(tmp_path / "study.xlsx") as book:
            words = "".join(book.read(name).decode() for name in book.namelist())
        assert "MRCAT look-alike" in words and not alone.search(words)
    found = json.loads((tmp_path / "metrics.json").read_text("utf-8"))
    assert found["baseline"] == "MRCAT" and found["candidates"] == ["MRCAT", "sCT"]
    assert list(found["means"]) == ["MRCAT", "sCT"]
    assert {each["baseline"] for each in found["statistics"]} == {"MRCAT"}
    assert found["acceptance"]["counts"][0]["candidates"].keys() == {"MRCAT", "sCT"}
    assert found["patients"]["P1"]["candidates"] == cohort.patients[0].metrics["candidates"]


def test_names_are_shown_and_never_run(tmp_path):
    rows = [
        PatientRecord(
            f"{HOSTILE} {n}",
            tmp_path / "patients" / f"#{n} %20",
            {
                "candidates": {HOSTILE: {"ssim": 0.9 + n / 99}, "B": {"ssim": 0.8 + n * n / 999}},
                "notes": [HOSTILE],
                "definitions": {"ssim": HOSTILE},
            },
        )
        for n in range(3)
    ]
    for record in rows:
        write_record(record, None)
    write_cohort(Cohort(rows, {HOSTILE: HOSTILE}, [HOSTILE], HOSTILE), tmp_path)
    for name in ("report.html", "table1.html"):
        page = _page(tmp_path / name)
        assert not page.all("script")
        assert page.text.count(HOSTILE) >= 4
    links = [attrs["href"] for attrs in _page(tmp_path / "report.html").all("a")]
    assert links[0] == "patients/%230%20%2520/report.html"


def test_report_is_the_same_every_time(tmp_path):
    cohort = study_cohort(tmp_path)
    cohort.patients = cohort.patients[:3]
    write_cohort(cohort, tmp_path)
    first = {name: (tmp_path / name).read_bytes() for name in _files(tmp_path)}
    write_cohort(cohort, tmp_path)
    assert first == {name: (tmp_path / name).read_bytes() for name in _files(tmp_path)}
