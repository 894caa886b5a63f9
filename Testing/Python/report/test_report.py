"""The report is one valid file with everything in it; metrics.json is JSON."""

from __future__ import annotations

import base64
import csv
import io
import json
import math

import numpy as np
import pytest
from evaluations import made_evaluation
from pages import HOSTILE, Page
from PIL import Image
from SyntheticCTEvalLib.evaluation.quantities import describe, printed
from SyntheticCTEvalLib.image.rigid_alone import RIGID_DEFINITIONS
from SyntheticCTEvalLib.placement.bending import BENDING_DEFINITIONS
from SyntheticCTEvalLib.report.blocks import Table, Text
from SyntheticCTEvalLib.report.document import document_of
from SyntheticCTEvalLib.report.figures_table import BEST, summary_rows
from SyntheticCTEvalLib.report.metrics import write_metrics, write_metrics_csv
from SyntheticCTEvalLib.report.page import write_page, write_report
from SyntheticCTEvalLib.report.parts import definitions_of
from SyntheticCTEvalLib.report.summary import shown_in
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.volumes.marks import PHANTOM_KEY, SYNTHETIC_NOTE, label_synthetic


def _read(path):
    return Page(path.read_text(encoding="utf-8"))


def _decode(attrs):
    assert attrs["src"].startswith("data:image/png;base64,")
    return Image.open(io.BytesIO(base64.b64decode(attrs["src"].split(",")[1])))


def test_report_is_one_page_with_every_picture_and_definition_inside(tmp_path):
    evaluation = made_evaluation()
    evaluation.notes = ["Dose left out for a reason."]
    path = write_report(evaluation, tmp_path / "report.html", title="Patient 7")
    assert list(tmp_path.iterdir()) == [path]
    page = _read(path)
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in page.tags}
    assert not [a for _, attrs in page.tags for a in attrs.values() if "://" in str(a)[:20]]
    pictures = page.all("img")
    assert len(pictures) == 11
    for attrs in pictures:
        assert len(attrs["alt"]) > 20
        image = _decode(attrs)
        assert image.width > 1000
        assert np.asarray(image.convert("RGB")).std() > 5
    for text in (SYNTHETIC_NOTE, "Patient 7", *evaluation.notes, *evaluation.definitions.values()):
        assert " ".join(text.split()) in page.text
    targets = {attrs.get("id") for _, attrs in page.tags}
    assert {attrs["href"][1:] for attrs in page.all("a")} <= targets


@pytest.mark.parametrize(
    ("given", "pictures"),
    [
        ({"names": ("sCT",), "dose": False, "mr": False, "structures": False}, 4),
        ({"names": ("a", "b", "c"), "dose": True, "mr": False, "structures": False}, 10),
        ({"names": (), "dose": True, "mr": True, "structures": True}, 3),
    ],
)
def test_any_part_may_be_missing(tmp_path, given, pictures):
    page = _read(write_report(made_evaluation(**given), tmp_path / "report.html"))
    assert len(page.all("img")) == pictures
    assert (BEST in page.text) == (len(given["names"]) > 1)
    assert "✓" not in page.text  # that is a limit's mark, and there are none here


def test_names_are_shown_and_never_run(tmp_path):
    evaluation = made_evaluation(names=(HOSTILE, "MRCAT"), mr=False)
    evaluation.structures["target " + HOSTILE] = evaluation.structures.pop("PTV & nodes")
    evaluation.notes = [HOSTILE]
    page = _read(write_report(evaluation, tmp_path / "report.html", title=HOSTILE))
    assert not page.all("script")
    assert page.text.count(HOSTILE) >= 4
    assert all("onerror" not in attrs for _, attrs in page.tags)


def test_every_image_figure_has_a_name_a_definition_and_a_better_side():
    evaluation = made_evaluation(dose=False, mr=False)
    rows = summary_rows(evaluation)
    figures = set(evaluation.candidates["sCT"].metrics) - {"hu_histogram"}
    assert {row.key for row in rows} == figures
    assert all(row.label != row.key.replace("_", " ") for row in rows)
    assert [row.key for row in rows if not row.better] == ["background_hu"]
    assert {row.key for row in rows} <= set(dict(definitions_of(evaluation)))


def test_no_zero_is_negative_and_percents_of_a_dose_say_of_which():
    assert [printed(value, 2) for value in (-0.004, -0.005001, 0.0)] == ["0.00", "-0.01", "0.00"]
    label = describe(("dvh", "PTV", "V95%")).label
    assert label == "PTV, V95% of prescription"
    assert describe(("dvh", "PTV", "V95%_difference")).label == f"{label}, difference"
    assert describe(("dvh", "PTV", "D95_difference")).label == "PTV, D95 difference"


def test_best_value_is_marked_as_printed():
    evaluation = made_evaluation()
    first, second = (c.metrics for c in evaluation.candidates.values())
    first |= {"mae_body": 30.04, "me_body": -8.0, "ssim": 0.97, "dsc_body": math.nan}
    second |= {"mae_body": 29.96, "me_body": 3.0, "ssim": 0.99, "dsc_body": 0.99}
    rows = {row.label: row for row in summary_rows(evaluation)}
    assert rows["MAE in the body"].cells == ["30.0", "30.0"]
    assert rows["MAE in the body"].best == [True, True]
    assert rows["Mean error in the body"].cells == ["−8.0", "3.0"]
    assert rows["Mean error in the body"].best == [False, True]
    assert rows["SSIM of the whole image"].best == [False, True]
    assert rows["Dice of the body contour"].cells == ["n/a", "0.9900"]
    assert rows["Dice of the body contour"].best == [False, False]
    for key in ("ssim", "ssim_3d", "ms_ssim"):
        assert describe((key,)).label.endswith("of the whole image")
    assert rows["Gamma pass rate, dose above 10 %"].cells == ["98.12", "97.12"]
    assert rows["Gamma pass rate, dose above 10 %"].best == [True, False]


def test_metrics_are_strict_json_with_null_for_what_does_not_exist(tmp_path):
    evaluation = made_evaluation()
    evaluation.candidates["sCT"].metrics |= {"psnr_body": math.inf, "ssim": np.float32(0.5)}
    evaluation.candidates["sCT"].metrics["tissue_mae"]["fat"] = math.nan
    path = write_metrics(evaluation, tmp_path / "metrics.json")

    def refuse(constant):
        raise AssertionError(constant)

    found = json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)
    entry = found["candidates"]["sCT"]
    assert entry["psnr_body"] is None
    assert entry["tissue_mae"]["fat"] is None
    assert entry["ssim"] == 0.5
    assert entry["gpr"] == {"10": 98.123, "60": 91.5}
    assert sum(entry["hu_histogram"]["candidate"]) == pytest.approx(1)
    assert found["definitions"] == evaluation.definitions
    rows = list(csv.reader(write_metrics_csv(evaluation, tmp_path / "m.csv").open()))
    assert ["sCT", "", "gpr.60", "91.5", "%", "gpr"] in rows
    assert ["sCT", "", "psnr_body", "", "dB", "psnr_body"] in rows
    assert not any("histogram" in row[2] for row in rows)
    assert {row[-1] for row in rows[1:]} <= set(evaluation.definitions)


def test_report_is_the_same_every_time(tmp_path):
    first, second = (
        write_report(made_evaluation(names=("sCT",), dose=False), tmp_path / name)
        for name in ("a.html", "b.html")
    )
    assert first.read_bytes() == second.read_bytes()


def test_report_that_cannot_be_written_leaves_nothing(tmp_path):
    (tmp_path / "report.html").mkdir()
    with pytest.raises(SyntheticCTError, match="is a folder"):
        write_report(made_evaluation(names=("sCT",), dose=False), tmp_path / "report.html")
    assert list(tmp_path.iterdir()) == [tmp_path / "report.html"]


def test_the_whole_report_calls_a_look_alike_so_and_files_keep_the_name(tmp_path):
    evaluation = made_evaluation(mr=False)
    label_synthetic(evaluation.candidates["MRCAT"].volume).SetMetaData(PHANTOM_KEY, "7")
    evaluation.notes = ["MRCAT was registered onto the CT rigidly only."]
    evaluation.definitions["region"] = "Covered: sCT 100 %, MRCAT 99 %."
    evaluation.origin = {
        "program": "p", "date": "2026-01-01", "inputs": {"candidate MRCAT": {"file": "MRCAT.nrrd"}}
    }  # fmt: skip
    document = document_of(evaluation)
    page = _read(write_page(document, tmp_path / "report.html"))
    text = page.text.replace("MRCAT look-alike", "").replace("MRCAT.nrrd", "")
    alts = " ".join(attrs["alt"] for attrs in page.all("img"))
    assert "MRCAT" not in text + alts.replace("MRCAT look-alike", "")
    assert "MRCAT.nrrd" in page.text
    assert shown_in(document, evaluation.candidates) == {
        "sCT": "sCT",
        "MRCAT": "MRCAT look-alike",
    }
    assert list(evaluation.metrics()["candidates"]) == ["sCT", "MRCAT"]


def test_the_two_dice_after_the_rigid_part_cannot_be_taken_for_each_other():
    evaluation = made_evaluation(dose=False, mr=False)
    evaluation.definitions |= RIGID_DEFINITIONS | BENDING_DEFINITIONS
    for candidate in evaluation.candidates.values():
        candidate.metrics |= {"dsc_body_rigid": 0.98, "registration_dsc": 0.99}
    document = document_of(evaluation)
    (section,) = (s for s in document.sections if s.title == "Registration")
    own, check = (describe((key,)).label for key in ("dsc_body_rigid", "registration_dsc"))
    assert own.startswith("Dice of the body contour of the result")
    assert check.startswith("Check of the registration") and "Dice" not in check
    (table,) = (b for b in section.blocks if isinstance(b, Table))
    assert {own, check} <= {row[0].text for row in table.rows}
    texts = [block.text for block in section.blocks if isinstance(block, Text)]
    assert f"{own}: {RIGID_DEFINITIONS['dsc_body_rigid']}" in texts
    assert f"{check}: {BENDING_DEFINITIONS['registration_dsc']}" in texts
    assert "registration_dsc" in RIGID_DEFINITIONS["dsc_body_rigid"]
    assert "dsc_body_rigid" in BENDING_DEFINITIONS["registration_dsc"]
