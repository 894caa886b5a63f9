"""Dose-volume histograms: analytic doses in boxes and spheres, grids, edges, notes."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from SyntheticCTEvalLib.dose.reading import read_dose
from SyntheticCTEvalLib.evaluation.one_patient import evaluate
from SyntheticCTEvalLib.evaluation.settings import EvaluationSettings
from SyntheticCTEvalLib.report.dvh_section import dvh_chart, dvh_tables
from SyntheticCTEvalLib.report.metrics import write_metrics_csv
from SyntheticCTEvalLib.report.page import write_report
from SyntheticCTEvalLib.structures.dvh import (
    DVH_DEFINITIONS,
    FEWEST_SAMPLES,
    MOST_SAMPLES,
    compare_dvhs,
    dose_volume_histogram,
    dvh_metrics,
    structure_samples,
)
from SyntheticCTEvalLib.structures.reading import read_structures
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.volumes.grids import grid_of, image_like

DOSE = grid_of((41, 41, 41), (3.0, 3.0, 3.0), (-60.0, -60.0, -60.0))
MASK = grid_of((60, 60, 40), (1.0, 1.0, 1.5), (-29.5, -29.5, -29.25))
TURN = (0.8, -0.6, 0.0, 0.6, 0.8, 0.0, 0.0, 0.0, 1.0)


def points(grid):
    """Voxel centres (k, j, i, xyz) in mm."""
    indices = np.stack(np.meshgrid(*map(np.arange, grid.GetSize()[::-1]), indexing="ij"), -1)
    step = np.reshape(grid.GetDirection(), (3, 3)) * grid.GetSpacing()
    return indices[..., ::-1] @ step.T + grid.GetOrigin()


def ramp(grid=DOSE, slope=(0.0, 0.0, 1.0), offset=50.0):
    """A dose that rises linearly by ``slope`` (Gy a mm)."""
    return image_like((points(grid) @ np.array(slope) + offset).astype(np.float32), grid)


def box(grid=MASK, half=(20.0, 20.0, 15.0)):
    inside = (np.abs(points(grid)) < np.array(half)).all(axis=-1)
    return image_like(inside.astype(np.uint8), grid)


def sphere(radius, grid=MASK):
    return image_like((np.linalg.norm(points(grid), axis=-1) < radius).astype(np.uint8), grid)


def test_linear_dose_in_a_box_is_exact():
    # Dose from 35 to 65 Gy, evenly: x percent get at least 65 - 0.3 x.
    dvh = dose_volume_histogram(ramp(), box())
    for percent in (98, 95, 50, 2):
        assert dvh.dose_at(percent) == pytest.approx(65 - 0.3 * percent, abs=0.02)
    for dose in (36, 50, 61.7):
        assert dvh.volume_at(dose) == pytest.approx(100 * (65 - dose) / 30, abs=0.1)
    assert (dvh.volume_at(30), dvh.volume_at(70)) == (100, 0)
    assert dvh.mean_gy == pytest.approx(50, abs=1e-3)
    assert (dvh.min_gy, dvh.max_gy) == pytest.approx((35, 65), abs=0.5)
    assert dvh.volume_cm3 == pytest.approx(48)
    assert dvh.outside_percent == 0


def test_linear_dose_in_a_sphere():
    # Cap of height h above the plane: part (3 s + 2 - s^3) / 4 with s the plane's height.
    dvh = dose_volume_histogram(ramp(), sphere(20.0, grid_of((84,) * 3, (0.5,) * 3, (-20.75,) * 3)))
    for height in (-12.0, 0.0, 8.0, 15.0):
        s = -height / 20
        assert dvh.volume_at(50 + height) == pytest.approx(100 * (2 + 3 * s - s**3) / 4, abs=0.3)
    assert dvh.mean_gy == pytest.approx(50, abs=0.02)


@given(
    direction=st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda v: np.linalg.norm(v) > 0.2),
    shift=st.tuples(*[st.floats(-1.5, 1.5)] * 3),
    spacing=st.tuples(*[st.floats(1.0, 4.0)] * 3),
)
@settings(max_examples=8, deadline=None)
def test_mean_and_median_of_a_ramp_are_those_of_the_centre(direction, shift, spacing):
    size = tuple(int(120 / s) for s in spacing)
    origin = tuple(d - s * (n - 1) / 2 for d, s, n in zip(shift, spacing, size, strict=True))
    dvh = dose_volume_histogram(ramp(grid_of(size, spacing, origin), direction, 100.0), box())
    # 1 Gy is 1 mm here: the points stand in for the volume to a tenth of a millimetre.
    assert dvh.mean_gy == pytest.approx(100, abs=0.05)
    assert dvh.dose_at(50) == pytest.approx(100, abs=0.1)


def test_masks_on_turned_grids_are_looked_up_where_they_lie():
    turned = sitk.Image(MASK)
    turned.SetDirection(TURN)
    centre = np.array(MASK.TransformContinuousIndexToPhysicalPoint((29.5, 29.5, 19.5)))
    turned.SetOrigin((np.reshape(TURN, (3, 3)) @ (np.array(MASK.GetOrigin()) - centre)).tolist())
    mask = image_like(sitk.GetArrayFromImage(box()), turned)
    dvh = dose_volume_histogram(ramp(slope=(0.8, 0.6, 0.0)), mask)
    assert dvh.dose_at(98) == pytest.approx(70 - 0.4 * 98, abs=0.1)
    assert dvh.dose_at(2) == pytest.approx(70 - 0.4 * 2, abs=0.1)


def test_uniform_dose():
    dose = image_like(np.full((41, 41, 41), 45.1, np.float32), DOSE)
    dvh = dose_volume_histogram(dose, sphere(9.0))
    figures = dvh.figures(45.1)
    assert all(figures[f"D{p}"] == pytest.approx(45.1, rel=1e-6) for p in (98, 95, 50, 2))
    assert dvh.volume_at(45.1) == 100
    assert dvh.volume_at(45.2) == 0
    assert (figures["V95%"], figures["V107%"]) == (100, 0)


def test_thick_slices_and_single_voxels_are_cut_finely():
    thick = grid_of((3, 3, 3), (12.0, 12.0, 15.0), (-12.0, -12.0, -15.0))
    one = np.zeros((3, 3, 3), np.uint8)
    one[1, 1, 1] = 1
    mask = image_like(one, thick)
    samples = structure_samples(mask, [DOSE])
    assert len(samples.points) >= FEWEST_SAMPLES
    assert samples.volume_mm3 == pytest.approx(12 * 12 * 15)
    dvh = dose_volume_histogram(ramp(), mask)
    assert dvh.dose_at(98) == pytest.approx(42.5 + 0.3, abs=0.05)
    assert dvh.dose_at(2) == pytest.approx(57.5 - 0.3, abs=0.05)


def test_fine_masks_are_thinned_without_losing_volume_or_place():
    fine = grid_of((151, 140, 130), (0.25, 0.25, 0.25), (-18.0, -17.0, -16.0))
    mask = sphere(14.9, fine)
    samples = structure_samples(mask, [DOSE])
    assert len(samples.points) < 60_000
    voxels = sitk.GetArrayViewFromImage(mask).sum(dtype=float)
    assert samples.volume_mm3 == pytest.approx(voxels * 0.25**3)
    centre = samples.points.mean(axis=0)
    assert centre == pytest.approx((0, 0, 0), abs=0.03)
    dvh = dose_volume_histogram(ramp(), mask)
    assert dvh.dose_at(50) == pytest.approx(50, abs=0.02)
    assert dvh.volume_at(57.45) == pytest.approx(100 * (2 - 1.5 + 0.125) / 4, abs=0.2)


def test_a_huge_structure_stays_under_the_limit():
    fine = grid_of((150, 150, 150), (1.0, 1.0, 1.0), (-74.5, -74.5, -74.5))
    full = image_like(np.ones((150, 150, 150), np.uint8), fine)
    narrow = grid_of((9, 9, 9), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    samples = structure_samples(full, [narrow])
    assert len(samples.points) == MOST_SAMPLES
    assert samples.volume_mm3 == pytest.approx(150**3)


def test_what_lies_outside_the_dose_grid_is_told_and_left_out():
    # The grid's voxels end at z = -5 (centres from -3.5): a third of the box is outside.
    half = grid_of((41, 41, 30), (3.0, 3.0, 3.0), (-60.0, -60.0, -3.5))
    dvh = dose_volume_histogram(ramp(half), box())
    assert dvh.outside_percent == pytest.approx(100 / 3, abs=0.01)
    assert dvh.volume_cm3 == pytest.approx(48)
    assert dvh.dose_at(50) == pytest.approx(55, abs=0.1)
    away = grid_of((9, 9, 9), (3.0, 3.0, 3.0), (300.0, 0.0, 0.0))
    gone = dose_volume_histogram(ramp(away), box())
    assert gone.outside_percent == 100
    assert np.isnan([gone.mean_gy, gone.dose_at(50), gone.volume_at(1)]).all()
    empty = image_like(np.zeros((40, 60, 60), np.uint8), MASK)
    found, notes = compare_dvhs(
        ramp(half), {"sCT": ramp(half), "far": ramp(away)}, {"PTV": box(), "none": empty}
    )
    assert list(found) == ["PTV"] and list(found["PTV"].candidates) == ["sCT", "far"]
    assert [note for note in notes if "none is empty" in note]
    assert [note for note in notes if "33.3 %" in note and "on sCT" in note]
    assert np.isnan(list(dvh_metrics_of(found["PTV"], "far").values())).sum() > 10
    assert [note for note in notes if "lies outside the dose on far" in note]
    with pytest.raises(SyntheticCTError, match="empty"):
        dose_volume_histogram(ramp(), empty)


def dvh_metrics_of(dvhs, candidate):
    return dvh_metrics(dvhs.candidates[candidate], dvhs.same_part[candidate], 40.0)


def test_a_candidates_dose_that_ends_in_a_structure_is_compared_over_what_both_cover():
    """The same dose cut off half way has other figures, and differs nowhere."""
    half = grid_of((41, 41, 30), (3.0, 3.0, 3.0), (-60.0, -60.0, -3.5))
    found, notes = compare_dvhs(ramp(), {"cut": ramp(half)}, {"PTV": box()})
    dvhs = found["PTV"]
    metrics = dvh_metrics_of(dvhs, "cut")
    assert dvhs.ct.dose_at(50) == pytest.approx(50, abs=0.1)
    # Of z from -15 to 15, what lies above -3.5, the outermost centre of the cut dose.
    assert metrics["D50"] == pytest.approx(50 + (15 - 3.5) / 2, abs=0.1)
    assert metrics["outside_percent"] == pytest.approx(100 * 11.5 / 30, abs=0.1)
    for key in ("D98", "D50", "Dmean", "V107%"):
        assert metrics[f"{key}_difference"] == pytest.approx(0, abs=1e-3)
    assert any("33.3 %" in note and "outside the dose on cut" in note for note in notes)


def test_doses_that_meet_nowhere_in_a_structure_are_told():
    low = grid_of((41, 41, 20), (3.0, 3.0, 3.0), (-60.0, -60.0, -62.0))
    high = grid_of((41, 41, 30), (3.0, 3.0, 3.0), (-60.0, -60.0, 0.0))
    found, notes = compare_dvhs(ramp(low), {"high": ramp(high)}, {"PTV": box()})
    assert np.isnan(found["PTV"].candidates["high"].mean_gy)
    assert any("both the dose on high" in note for note in notes)


def test_noise_below_zero_gives_no_negative_figure_and_leaves_the_mean():
    noise = np.random.default_rng(1).normal(0.01, 0.05, DOSE.GetSize()[::-1])
    dvh = dose_volume_histogram(image_like(noise.astype(np.float32), DOSE), box())
    figures = dvh.figures(40.0)
    assert figures["Dmin"] == figures["D98"] == 0
    assert figures["Dmean"] == pytest.approx(0.01, abs=0.01)
    below = dose_volume_histogram(image_like((noise - 1).astype(np.float32), DOSE), box())
    assert below.mean_gy == 0
    assert "noise, counts as 0 in all but the mean" in DVH_DEFINITIONS["dvh_doses"]


def test_differences_are_in_percent_of_the_prescription():
    found, notes = compare_dvhs(ramp(), {"hot": ramp(offset=52.0)}, {"PTV": box()})
    assert notes == []
    metrics = dvh_metrics_of(found["PTV"], "hot")
    for key in ("D98", "D95", "D50", "D2", "Dmean", "Dmin", "Dmax"):
        assert metrics[f"{key}_difference"] == pytest.approx(5.0, abs=1e-3)
    # 107 % of 40 Gy: from 22.2 to 24.2 Gy below the highest dose of 65 and 67 Gy.
    assert metrics["V107%"] == pytest.approx(100 * (67 - 42.8) / 30, abs=0.1)
    assert metrics["V107%_difference"] == pytest.approx(100 * 2 / 30, abs=0.1)
    described = " ".join(DVH_DEFINITIONS.values())
    for key in ("D98", "D95", "D50", "D2", "Dmean", "Dmin", "Dmax"):
        assert metrics[f"{key}_difference_gy"] == pytest.approx(2.0, abs=1e-3)
    names = {key.removesuffix("_gy").removesuffix("_difference") for key in metrics}
    assert all(name in described for name in names)
    assert all(f" in {end}:" in described for end in ("_difference", "_difference_gy"))


def test_real_dose_and_structures_agree_with_the_planning_system(real_data):
    """The dose file holds the histograms that Eclipse computed (bins of 0.01 Gy)."""
    folder = real_data / "rt_dicom"
    header = pydicom.dcmread(folder / "rtdose.dcm", stop_before_pixels=True)
    names = {
        roi.ROINumber: roi.ROIName
        for roi in pydicom.dcmread(folder / "rtss.dcm").StructureSetROISequence
    }
    dose = read_dose(folder / "rtdose.dcm")
    # Eclipse ends its structures at the last contour.
    masks = read_structures(folder / "rtss.dcm", dose, end_caps=False)
    for item in header.DVHSequence:
        name = names[item.DVHReferencedROISequence[0].ReferencedROINumber]
        if name not in ("Heart", "Tumor Bed", "Tumor Bed Block"):
            continue
        widths, volumes = np.array(item.DVHData, float).reshape(-1, 2).T
        doses, part = np.cumsum(widths) - widths, 100 * volumes / volumes[0]
        dvh = dose_volume_histogram(dose, masks[name])
        for percent in (98, 95, 50, 2):
            theirs = np.interp(-percent, -part, doses)
            # Eclipse interpolates the shape between contours: 0.35 % of 14 Gy in the penumbra.
            assert dvh.dose_at(percent) == pytest.approx(theirs, abs=0.05)
        assert dvh.mean_gy == pytest.approx(float(item.DVHMeanDose) * 0.14, abs=0.01)


def test_an_evaluation_has_figures_of_every_structure_and_shows_them(tmp_path):
    ct = image_like(
        np.where(sitk.GetArrayFromImage(sphere(25.0)), 20, -1000).astype(np.int16), MASK
    )
    result = evaluate(
        ct,
        {"sCT": ct, "undosed": ct},
        dose_ct=ramp(slope=(0, 0, 0.5)),
        doses={"sCT": ramp(slope=(0, 0, 0.5), offset=50.9)},
        structures={"rectum": sphere(5.0), "<PTV>": sphere(12.0)},
        settings=EvaluationSettings(registration="none", prescription_gy=45.0),
    )
    metrics = result.metrics()
    assert (
        list(metrics["dvh_ct"]) == list(metrics["candidates"]["sCT"]["dvh"]) == ["rectum", "<PTV>"]
    )
    assert metrics["dvh_ct"]["<PTV>"]["D50"] == pytest.approx(50, abs=0.05)
    figures = metrics["candidates"]["sCT"]["dvh"]["<PTV>"]
    assert figures["D50"] == pytest.approx(50.9, abs=0.05)
    assert figures["D50_difference"] == pytest.approx(2.0, abs=0.001)
    assert "dvh" not in metrics["candidates"]["undosed"]
    assert set(metrics["candidates"]["sCT"]) | {"dvh_ct"} <= set(result.definitions)
    (table,) = dvh_tables(result)
    assert [column.title.text for column in table.columns[2:4]] == ["True CT", "sCT"]
    assert len(table.columns) == 6  # the other has no dose
    assert [head.split(",")[0] for head in table.heads.values()] == ["<PTV>", "rectum"]
    row = next([cell.text for cell in row] for row in table.rows if row[0].text == "D50")
    assert (row[1], row[4], row[5]) == ("Gy", "+0.90", "+2.00")
    assert float(row[3]) == pytest.approx(50.9, abs=0.05)
    assert float(row[2]) == pytest.approx(50.0, abs=0.05)
    assert dvh_chart(result).title == "Dose-volume histograms"
    html = write_report(result, tmp_path / "report.html").read_text(encoding="utf-8")
    assert html.count("&lt;PTV&gt;") >= 2 and "<PTV>" not in html
    assert ">+2.00<" in html
    table = write_metrics_csv(result, tmp_path / "m.csv").read_text()
    assert "sCT,rectum,dvh.D50_difference," in table and "{" not in table


def test_a_structure_beyond_a_dose_and_a_missing_prescription_are_told_in_the_report(tmp_path):
    """What a report prints where a candidate's dose ends below a structure."""
    values = np.where(sitk.GetArrayFromImage(sphere(25.0)), 20, -1000).astype(np.int16)
    ct = image_like(values, MASK)
    low = grid_of((41, 41, 20), (3.0, 3.0, 3.0), (-60.0, -60.0, -60.0))
    high = image_like((points(MASK)[..., 2] > 10).astype(np.uint8), MASK)
    result = evaluate(
        ct,
        {"sCT": image_like(values + np.int16(9), MASK)},
        dose_ct=ramp(slope=(0, 0, 0.5)),
        doses={"sCT": ramp(low, slope=(0, 0, 0.5))},
        structures={"Ring-PTV": high, "bowel": high, "PTV_45": sphere(12.0)},
        settings=EvaluationSettings(registration="none"),
    )
    assert result.target == "PTV_45" and "PTV_45" in result.definitions["target"]
    assert any("bowel lies outside the dose on sCT" in note for note in result.notes)
    assert any("No prescription was given: the largest dose" in note for note in result.notes)
    assert np.isnan(result.candidates["sCT"].metrics["dvh"]["bowel"]["D50_difference"])
    page = write_report(result, tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Gy. No prescription was given" in page
    assert "assumed" in EvaluationSettings().prescription_origin(imported=False)
    assert EvaluationSettings(prescription_gy=45).prescription_origin(imported=True) == "As given."
