"""The report is one valid file with everything in it; metrics.json is JSON."""

from __future__ import annotations

import base64
import csv
import dataclasses
import io
import json
import math

import numpy as np
import pytest
import SimpleITK as sitk
from pages import HOSTILE, Page
from PIL import Image
from SyntheticCTEvalLib.evaluation.mr_histograms import HistogramSet
from SyntheticCTEvalLib.evaluation.results import CandidateResult, Evaluation
from SyntheticCTEvalLib.gamma.criteria import GammaCriteria, GammaResult
from SyntheticCTEvalLib.image.body_agreement import body_contour
from SyntheticCTEvalLib.image.similarity import DEFINITIONS, compare_images
from SyntheticCTEvalLib.pictures.maps import (
    FAILS_COLOUR,
    TARGET_COLOUR,
    anatomy_picture,
    gamma_picture,
)
from SyntheticCTEvalLib.pictures.planes import planes_of
from SyntheticCTEvalLib.report.figures_table import summary_rows
from SyntheticCTEvalLib.report.metrics import write_metrics, write_metrics_csv
from SyntheticCTEvalLib.report.page import write_report
from SyntheticCTEvalLib.report.parts import definitions_of
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.volumes.grids import image_like
from SyntheticCTLib.volumes.marks import SYNTHETIC_NOTE


def _grid_image(array, spacing=(6.0, 6.0, 8.0), origin=(-120.0, -90.0, -40.0)):
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(spacing)
    image.SetOrigin(origin)
    return image


def _evaluation(names=("sCT", "MRCAT"), dose=True, mr=True, structures=True):
    generator = np.random.default_rng(3)
    z, y, x = np.meshgrid(np.arange(10), np.arange(30), np.arange(40), indexing="ij")
    inside = ((x - 20) / 16) ** 2 + ((y - 15) / 11) ** 2 < 1
    ct_values = np.where(inside, 30.0, -1000).astype(np.float32)
    ct_values[((x - 10) ** 2 + (y - 15) ** 2 < 9)] = 700
    ct = _grid_image(ct_values)
    body = body_contour(ct, "CT")
    result = Evaluation(ct=ct, body=body, candidates={}, definitions=dict(DEFINITIONS))
    target = image_like(((x - 20) ** 2 + (y - 15) ** 2 + (z - 5) ** 2 < 12).astype(np.uint8), ct)
    dose_values = 45 * np.exp(-((x - 20) ** 2 + (y - 15) ** 2) / 60.0).astype(np.float32)
    for index, name in enumerate(names):
        values = ct_values + generator.normal(0, 20 * (index + 1), ct_values.shape)
        volume = image_like(values.astype(np.int16), ct)
        candidate = CandidateResult(
            name=name,
            volume=volume,
            difference=image_like((values - ct_values).astype(np.float32), ct),
            body=body_contour(volume, "CT"),
        )
        candidate.metrics = compare_images(ct, volume, body, candidate.body)
        if dose:
            gamma = np.where(dose_values > 4.5, (0.4 + index) * dose_values / 45, -1)
            candidate.dose = image_like(dose_values * (1 + 0.01 * index), ct)
            candidate.gamma = GammaResult(
                gamma=image_like(gamma.astype(np.float32), ct),
                evaluated=image_like((gamma >= 0).astype(np.uint8), ct),
                pass_rates={10.0: 98.123 - index, 60.0: 91.5 - index},
                criteria=GammaCriteria(normalization_gy=45.0, cutoffs_percent=(10, 60)),
                engine="exact",
                definition="Gamma 1 %/1 mm",
            )
            candidate.metrics["gpr"] = {"10": 98.123 - index, "60": 91.5 - index}
        result.candidates[name] = candidate
    if dose:
        result.dose_ct, result.prescription_gy = image_like(dose_values, ct), 45.0
        result.definitions["gpr"] = "Gamma 1 %/1 mm <global>, as made up for this test."
    if mr:
        result.mr = _grid_image(
            np.where(inside, 300, 5)[:, ::-1].astype(np.int16), (7.0, 5.0, 8.0), (-140, -75, -45)
        )
        rows = np.random.default_rng(0).dirichlet(np.ones(16), 4).tolist()
        edges = np.linspace(0, 1, 17).tolist()
        result.histograms = HistogramSet(edges, edges, rows, rows)
    if structures:
        result.structures = {"bladder": target, "PTV & nodes": target}
    return result


def _read(path):
    return Page(path.read_text(encoding="utf-8"))


def _decode(attrs):
    assert attrs["src"].startswith("data:image/png;base64,")
    return Image.open(io.BytesIO(base64.b64decode(attrs["src"].split(",")[1])))


def test_report_is_one_page_with_every_picture_and_definition_inside(tmp_path):
    evaluation = _evaluation()
    evaluation.notes = ["Dose left out for a reason."]
    path = write_report(evaluation, tmp_path / "report.html", title="Patient 7")
    assert list(tmp_path.iterdir()) == [path]
    page = _read(path)
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in page.tags}
    assert not [a for _, attrs in page.tags for a in attrs.values() if "://" in str(a)[:20]]
    pictures = page.all("img")
    assert len(pictures) == 9
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
        ({"names": ("a", "b", "c"), "dose": True, "mr": False, "structures": False}, 8),
        ({"names": (), "dose": True, "mr": True, "structures": True}, 3),
    ],
)
def test_any_part_may_be_missing(tmp_path, given, pictures):
    page = _read(write_report(_evaluation(**given), tmp_path / "report.html"))
    assert len(page.all("img")) == pictures
    assert ("✓" in page.text) == (len(given["names"]) > 1)


def test_names_are_shown_and_never_run(tmp_path):
    evaluation = _evaluation(names=(HOSTILE, "MRCAT"), mr=False)
    evaluation.structures["target " + HOSTILE] = evaluation.structures.pop("PTV & nodes")
    evaluation.notes = [HOSTILE]
    page = _read(write_report(evaluation, tmp_path / "report.html", title=HOSTILE))
    assert not page.all("script")
    assert page.text.count(HOSTILE) >= 4
    assert all("onerror" not in attrs for _, attrs in page.tags)


def test_every_image_figure_has_a_name_a_definition_and_a_better_side():
    evaluation = _evaluation(dose=False, mr=False)
    rows = summary_rows(evaluation)
    figures = set(evaluation.candidates["sCT"].metrics) - {"hu_histogram"}
    assert {row.key for row in rows} == figures
    assert all(row.label != row.key.replace("_", " ") for row in rows)
    assert [row.key for row in rows if not row.better] == ["background_hu"]
    assert {row.key for row in rows} <= set(dict(definitions_of(evaluation)))


def test_best_value_is_marked_as_printed():
    evaluation = _evaluation()
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
    assert rows["Gamma pass rate, dose above 10 %"].cells == ["98.12", "97.12"]
    assert rows["Gamma pass rate, dose above 10 %"].best == [True, False]


def test_metrics_are_strict_json_with_null_for_what_does_not_exist(tmp_path):
    evaluation = _evaluation()
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


def test_planes_lie_along_the_patient_whatever_the_grid():
    """A mark at the patient's left, back and head shows right, below and above."""
    evaluation = _evaluation(dose=False, mr=False, structures=False)
    left, back, head = 66.0, 20.0, 24.0
    for turn in (lambda i: i, lambda i: sitk.Flip(i, (True, True, True)),
                 lambda i: sitk.PermuteAxes(i, (2, 0, 1))):  # fmt: skip
        evaluation.ct, evaluation.body = turn(evaluation.ct), turn(evaluation.body)
        mark = sitk.Image(evaluation.ct) * 0
        mark[mark.TransformPhysicalPointToIndex((left, back, head))] = 100
        wide = sitk.SmoothingRecursiveGaussian(mark, 12)
        axial, coronal, sagittal = planes_of(evaluation)
        for plane, (column, row) in ((axial, (1, 1)), (coronal, (1, -1)), (sagittal, (1, -1))):
            values = plane.sample(wide, 0)
            rows, columns = np.indices(values.shape)
            middle = np.array(values.shape) / 2
            assert np.sign(np.average(columns, weights=values) - middle[1]) == column
            assert np.sign(np.average(rows, weights=values) - middle[0]) == row
        assert axial.letters == ("R", "L", "A", "P")
        assert coronal.letters == ("R", "L", "S", "I")
        assert sagittal.letters == ("A", "P", "S", "I")


def test_planes_cut_the_middle_of_the_target():
    evaluation = _evaluation(dose=False, mr=False)
    target = evaluation.structures["PTV & nodes"]
    for plane in planes_of(evaluation):
        assert plane.sample(target, 0).max() > 0.9
    middle = target.TransformContinuousIndexToPhysicalPoint((20.0, 15.0, 5.0))
    axial, coronal, sagittal = planes_of(evaluation)
    assert axial.grid.GetOrigin()[2] == pytest.approx(middle[2])
    assert coronal.grid.GetOrigin()[1] == pytest.approx(middle[1])
    assert sagittal.grid.GetOrigin()[0] == pytest.approx(middle[0])


def _share_of(picture, colour):
    pixels = np.asarray(Image.open(io.BytesIO(picture.png)).convert("RGB")).astype(int)
    return (np.abs(pixels - colour).max(axis=2) < 50).mean()


def test_gamma_picture_paints_failures_and_leaves_unevaluated_voxels_alone():
    fails = [int(FAILS_COLOUR[i : i + 2], 16) for i in (1, 3, 5)]
    evaluation = _evaluation(names=("sCT",), structures=False)
    candidate = evaluation.candidates["sCT"]
    planes = planes_of(evaluation)
    shares = {}
    for value in (-1.0, 0.5, 1.0, 1.5):
        values = image_like(np.full((10, 30, 40), value, np.float32), evaluation.ct)
        candidate.gamma = dataclasses.replace(candidate.gamma, gamma=values)
        shares[value] = _share_of(gamma_picture(evaluation, planes), fails)
    assert shares[1.5] > 0.3
    assert max(shares[-1.0], shares[0.5], shares[1.0]) < 0.01


def test_no_structure_of_the_ct_is_drawn_over_an_mr_that_was_not_registered():
    yellow = [int(TARGET_COLOUR[i : i + 2], 16) for i in (1, 3, 5)]
    evaluation = _evaluation(names=("sCT",), dose=False)
    picture = anatomy_picture(evaluation, planes_of(evaluation))
    pixels = np.asarray(Image.open(io.BytesIO(picture.png)).convert("RGB")).astype(int)
    drawn = np.abs(pixels - yellow).max(axis=2) < 50
    rows = len(pixels)
    assert drawn[rows // 2 :].any()
    assert not drawn[: rows // 3].any()
    assert "no structure of the CT is drawn over it" in picture.caption


def test_report_is_the_same_every_time(tmp_path):
    first, second = (
        write_report(_evaluation(names=("sCT",), dose=False), tmp_path / name)
        for name in ("a.html", "b.html")
    )
    assert first.read_bytes() == second.read_bytes()


def test_report_that_cannot_be_written_leaves_nothing(tmp_path):
    (tmp_path / "report.html").mkdir()
    with pytest.raises(SyntheticCTError, match="is a folder"):
        write_report(_evaluation(names=("sCT",), dose=False), tmp_path / "report.html")
    assert list(tmp_path.iterdir()) == [tmp_path / "report.html"]
