"""What a cohort's figures show, read from their pixels."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
from cohorts import CANDIDATES, slices, study_cohort
from PIL import Image
from scipy import ndimage
from SyntheticCTEvalLib.cohort.records import Cohort, PatientRecord
from SyntheticCTEvalLib.group.comparison import compare_cohort
from SyntheticCTEvalLib.group.values import CohortValues
from SyntheticCTEvalLib.pictures.maps import FAILS_COLOUR
from SyntheticCTEvalLib.pictures.planes import MISSING_COLOUR
from SyntheticCTEvalLib.study.charts import box_plots, dvh_differences, figure3
from SyntheticCTEvalLib.study.figures import figure1, figure2, figure6

MOVED = {f"P{n}": True for n in range(1, 11)}


@pytest.fixture
def values(tmp_path):
    cohort = study_cohort(tmp_path)
    for record in cohort.patients:
        for entry in record.metrics["candidates"].values():
            entry["mae_body"] = 2 * entry["mae_image"]
    return CohortValues.of_cohort(cohort)


def _pixels(picture):
    return np.asarray(Image.open(io.BytesIO(picture.png)).convert("RGB")).astype(int)


def _like(pixels, colour, reach=40):
    wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return np.abs(pixels - wanted).max(axis=-1) <= reach


def _panels(pixels):
    """Boxes of the panels, in reading order: large regions that are not white."""
    labels, _ = ndimage.label(pixels.min(axis=-1) < 250)
    boxes = [b for b in ndimage.find_objects(labels) if min(s.stop - s.start for s in b) > 120]
    return sorted(boxes, key=lambda box: (box[0].start // 60, box[1].start))


def _patients(count):
    return {f"P{n}": slices(n) for n in range(1, count + 1)}


def test_figure1_shows_an_ordinary_and_the_worst_patient_before_and_after(values):
    picture = figure1(values, _patients(10), MOVED)
    pixels = _pixels(picture)
    panels = _panels(pixels)
    # A patient has MR and true CT, then each candidate before, after and as a difference.
    assert len(panels) == 2 * (2 + 3 * len(CANDIDATES))
    before, after, difference = panels[2:5]
    grey = pixels[after].max(axis=-1) - pixels[after].min(axis=-1)
    assert (grey < 8).mean() > 0.95
    # 100 HU too dense is red inside and outside the patient.
    red = pixels[difference][..., 0] - pixels[difference][..., 2]
    assert (red > 30).mean() > 0.9
    assert np.abs(pixels[before] - pixels[after]).max() > 100


def test_figure1_calls_registered_only_what_was(values):
    registered = figure1(values, _patients(2), MOVED)
    assert "middle: registered" in registered.caption
    assert "after registration" in registered.alt
    as_they_came = figure1(values, _patients(2), dict.fromkeys(MOVED, False))
    assert "not registered onto the true CT" in as_they_came.caption
    assert "before registration" not in as_they_came.caption + as_they_came.alt
    # MR and true CT, then each candidate once and its difference: there is no before.
    assert len(_panels(_pixels(as_they_came))) == 2 * (2 + 2 * len(CANDIDATES))


def test_figure1_tells_patients_apart_that_were_not_registered_alike(values):
    shown = re.findall(
        r"(P\d+) \((?:in the middle|the worst)\)", figure1(values, _patients(10), MOVED).caption
    )
    picture = figure1(values, _patients(10), MOVED | {shown[1]: False})
    assert f"{shown[0]}, left: before registration" in picture.caption
    assert f"{shown[1]}, middle: as they came" in picture.caption
    assert f"before and after registration ({shown[0]}), as they came ({shown[1]})" in picture.alt
    # MR and true CT of both; of one patient before, after and difference, of the other two.
    assert len(_panels(_pixels(picture))) == 2 * 2 + (3 + 2) * len(CANDIDATES)


def test_figure1_chooses_by_error_and_says_so(tmp_path):
    cohort = study_cohort(tmp_path)
    for n, record in enumerate(cohort.patients):
        for entry in record.metrics["candidates"].values():
            entry["mae_body"] = 50.0 if n == 3 else 20.0 + n
    picture = figure1(CohortValues.of_cohort(cohort), _patients(10), MOVED)
    assert "P4 (the worst)" in picture.caption
    assert "P6 (in the middle)" in picture.caption


def test_figure1_without_errors_shows_a_patient_and_claims_no_choice(tmp_path):
    values = CohortValues.of_cohort(study_cohort(tmp_path))
    picture = figure1(values, _patients(3), MOVED)
    assert "Axial slices of P1. " in picture.caption
    assert len(_panels(_pixels(picture))) == 2 + 3 * len(CANDIDATES)


def test_difference_is_grey_where_nothing_was_compared(values):
    found = slices()
    for array in found.axial_after.values():
        array[:] = np.nan
    pixels = _pixels(figure1(values, {"P1": found}, MOVED))
    grey = [_like(pixels[panel], MISSING_COLOUR, 6).mean() > 0.85 for panel in _panels(pixels)]
    assert grey == [False, False] + [False, True, True] * len(CANDIDATES)


def test_figure2_marks_what_fails_and_prints_its_rates(values):
    found = _patients(2)
    found["P1"].coronal_gamma["sCT"][:] = 1.01
    found["P2"].coronal_gamma["MRCAT"][:] = 1.0
    (picture,) = figure2(values, found, {"P1": {"sCT": {"10": 98.1234}}})
    pixels = _pixels(picture)
    panels = _panels(pixels)
    assert len(panels) == 2 * 3
    fails = [_like(pixels[panel], FAILS_COLOUR, 60).mean() for panel in panels]
    assert fails[2] > 0.7
    assert max(fails[:2] + fails[3:]) < 0.01
    without = _pixels(next(figure2(values, found, {})))
    changed = np.abs(pixels - without).max(axis=-1) > 30
    # The rate stands above its map and hides nothing of it.
    rows, columns = panels[2]
    above = changed[rows.start - 40 : rows.start, columns]
    assert changed.sum() == above.sum() > 200


def test_figure2_leaves_unevaluated_voxels_to_the_anatomy(values):
    found = slices()
    for array in found.coronal_gamma.values():
        array[:] = np.nan
    (picture,) = figure2(values, {"P1": found}, {})
    pixels = _pixels(picture)
    _, first, second = _panels(pixels)
    for panel in (first, second):
        assert np.ptp(pixels[panel], axis=-1).max() < 8


def test_figure2_takes_another_page_for_more_than_ten_patients(values):
    pages = list(figure2(values, _patients(12), {}))
    assert [len(_panels(_pixels(page))) for page in pages] == [30, 6]
    assert pages[1].title.endswith("(page 2 of 2)")
    assert "P12" in pages[1].alt and "P12" not in pages[0].alt


def test_a_candidate_that_a_patient_lacks_leaves_its_place_empty(values):
    found = _patients(2)
    del found["P1"].coronal_gamma["MRCAT"]
    (picture,) = figure2(values, found, {})
    assert len(_panels(_pixels(picture))) == 5


def test_figure3_tells_how_much_nyul_brings_scans_together():
    picture = figure3(_patients(4))
    assert "100 % after" in picture.caption
    before = float(picture.caption.split(" % before")[0].rsplit(" ", 1)[1])
    # Three peaks 20 apart, 100 / sqrt(2) wide: the mean over pairs of 2 Phi(-d / 2 sigma).
    from scipy.stats import norm

    apart = [20 * (a - b) for a in range(4) for b in range(a)]
    expected = 100 * np.mean([2 * norm.cdf(-d / (2 * 100 / np.sqrt(2))) for d in apart])
    assert before == pytest.approx(expected, abs=1.5)


def test_figure3_cuts_a_bin_that_would_flatten_the_rest_and_says_so():
    found = _patients(2)
    assert "beyond the axis" not in figure3(found).caption
    found["P1"].raw[0] = 5.0
    found["P1"].raw /= found["P1"].raw.sum()
    assert "beyond the axis" in figure3(found).caption


def test_figure6_has_the_mr_and_every_candidate(values):
    found = _patients(3)
    picture = figure6(values, found)
    assert len(_panels(_pixels(picture))) == 2 * (1 + len(CANDIDATES))
    # SSIM of MRCAT and sCT: 0.8123, 0.8152 and 0.8226 in the mean.
    assert "P2 (in the middle) and P1 (the worst)" in picture.caption
    alone = figure6(values, {"P2": found["P2"]})
    assert len(_panels(_pixels(alone))) == 1 + len(CANDIDATES)


def test_box_plots_have_each_candidates_colour_where_it_has_values(tmp_path):
    cohort = study_cohort(tmp_path)
    for record in cohort.patients:
        record.metrics["candidates"]["sCT"].pop("dsc_body_mr")
    values = CohortValues.of_cohort(cohort)
    pixels = _pixels(box_plots(values, compare_cohort(values)))
    columns = np.array_split(np.arange(pixels.shape[1]), 4)
    lower, upper = pixels[pixels.shape[0] // 2 :], pixels[: pixels.shape[0] // 2]
    # Five panels on the first row of four and on the second: SSIM, MAE, two GPR; SSIM, DSC.
    for half, column, expected in ((upper, 0, True), (upper, 3, True), (lower, 1, False)):
        part = half[:, columns[column]]
        assert _like(part, values.colours["MRCAT"], 20).sum() > 300
        assert (_like(part, values.colours["sCT"], 20).sum() > 300) == expected


def test_dose_volume_differences_leave_room_for_structures_only(tmp_path):
    def patient(n, names):
        dvh = {name: {"D95": 44.0, "D95_difference": 0.1 * n} for name in names}
        metrics = {"candidates": {name: {"dvh": dvh} for name in CANDIDATES}}
        return PatientRecord(f"P{n}", tmp_path / f"P{n}", metrics)

    cohort = Cohort([patient(n, ["PTV", "$x^$"]) for n in range(3)], baseline="MRCAT")
    picture = dvh_differences(CohortValues.of_cohort(cohort))
    assert "PTV, $x^$" in picture.alt and "more structures" not in picture.caption
    many = Cohort([patient(n, [f"S{i}" for i in range(10)]) for n in range(3)])
    assert "2 more structures" in dvh_differences(CohortValues.of_cohort(many)).caption


def test_nothing_to_show_is_no_figure(values):
    empty = slices(candidates=())
    empty.coronal_dose = empty.mr_axial = None
    empty.raw = empty.normalized = np.empty(0)
    found = {"P1": empty}
    assert figure1(values, found, MOVED) is None and figure6(values, found) is None
    assert list(figure2(values, found, {})) == [] and figure3(found) is None
    none = CohortValues.of_cohort(Cohort([]))
    assert box_plots(none, []) is None and dvh_differences(none) is None
