"""Points of dose-volume histograms: what is asked for, what is refused, and a plain formula."""

from __future__ import annotations

import math

import numpy as np
import pytest
import SimpleITK as sitk
from dicompylercore.dvh import DVH
from SyntheticCTEvalLib.evaluation.one_patient import evaluate
from SyntheticCTEvalLib.evaluation.quantities import describe
from SyntheticCTEvalLib.evaluation.settings import EvaluationSettings
from SyntheticCTEvalLib.report.dvh_section import dvh_tables
from SyntheticCTEvalLib.report.tables import dose_volume_columns
from SyntheticCTEvalLib.structures.dvh import dose_volume_histogram, dvh_metrics, histogram_of
from SyntheticCTEvalLib.structures.dvh_points import (
    DVH_POINT_DEFINITIONS,
    NO_POINTS,
    DvhPoint,
    DvhPoints,
    usual_points,
)
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.volumes.grids import grid_of, image_like

GRID = grid_of((40, 40, 40), (2.0, 2.0, 2.0), (-39.0, -39.0, -39.0))


def names(points):
    return [point.name for point in points]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("D98", "D98"), ("d98%", "D98"), ("D098.0", "D98"), ("D0.1", "D0.1"), ("D95%[Gy]", "D95"),
        ("D2cc", "D2cm3"), ("D2cm3", "D2cm3"), ("D2ml", "D2cm3"), ("D0.03cc[Gy]", "D0.03cm3"),
        ("V40", "V40Gy"), ("v40gy", "V40Gy"), ("V4000cGy", "V40Gy"), ("V40Gy[%]", "V40Gy"),
        ("V95%", "V95%"), ("V107%[%]", "V107%"), ("V45Gy_cm3", "V45Gy_cm3"),
        ("V45Gy[cc]", "V45Gy_cm3"), ("V40cc", "V40Gy_cm3"), ("V95%_cm3", "V95%_cm3"),
        ("Dmean", "Dmean"), ("MEAN[Gy]", "Dmean"), ("Dmedian", "D50"), ("Dmin", "Dmin"),
        ("max", "Dmax"),
    ],
)  # fmt: skip
def test_every_notation_has_one_normal_form(text, name):
    assert DvhPoint.parse(text).name == name
    assert DvhPoint.parse(name).name == name  # a figure's name can be asked for as it stands


@pytest.mark.parametrize(
    "text",
    ["D150", "D0", "D-2", "V-3", "V0Gy", "V4500", "V900%", "D40Gy", "98", "Dmode", "V", "D", "",
     "D98,5", "HI", "D95%[%]", "V95%Gy", "DVmean", "D1e2", "D\u0661"],
)  # fmt: skip
def test_what_is_no_point_or_makes_no_sense_is_refused(text):
    with pytest.raises(SyntheticCTError, match=r"dose-volume"):
        DvhPoint.parse(text)
    with pytest.raises(SyntheticCTError):
        EvaluationSettings(dvh_points=f"PTV: D98 {text} x")


@pytest.mark.parametrize("text", ["D98", "PTV:", ": D98", "+: D98", "PTV D98; Bladder: V40"])
def test_a_text_without_structure_or_points_is_refused(text):
    with pytest.raises(SyntheticCTError, match="STRUCTURE: POINTS"):
        DvhPoints.parse(text)


def test_points_stand_for_the_usual_ones_or_join_them():
    asked = DvhPoints.parse("ptv*: D98, D2cc D98%; +Bladder: V20; [odd]: Dmax; target: D1 ;")
    assert names(asked.shown("PTV_45", 45)) == ["D98", "D2cm3"]
    assert names(asked.for_structure("PTV_45", 45))[:3] == ["D98", "D2cm3", "D95"]
    bladder = names(usual_points("Bladder", 45))
    assert names(asked.shown("BLADDER", 45)) == [*bladder, "V20Gy"]
    assert names(asked.shown("[odd]", 45)) == ["Dmax"]
    assert names(asked.shown("Zielvolumen", 45, "Zielvolumen")) == ["D1"]
    assert names(asked.shown("Zielvolumen", 45)) == ["D2", "Dmean"]
    assert DvhPoints.parse("").lines == DvhPoints.parse(" ; ").lines == ()


@pytest.mark.parametrize(
    ("structure", "among"),
    [
        ("PTV_45", "V95%"), ("CTV", "D98"), ("Bladder", "V40Gy"), ("Harnblase_Blase", "V30Gy"),
        ("Rectum", "V40Gy"), ("BowelBag", "V45Gy_cm3"), ("Bowel_Small", "V40Gy_cm3"),
        ("Sigmoid", "V30Gy_cm3"), ("FemoralHead_L", "V44Gy"), ("Femur_Head_R", "V30Gy"),
        ("H\u00fcftkopf links", "V30Gy"), ("PenileBulb", "D90"), ("Sacrum", "V10Gy"),
        ("Bone_Marrow", "V20Gy"), ("kidney", "Dmean"), ("123", "D2"),
    ],
)  # fmt: skip
def test_structures_have_the_points_of_common_practice(structure, among):
    points = names(usual_points(structure, 45))
    assert among in points
    assert not {"V50Gy", "V65Gy", "V70Gy"} & set(points)  # beyond a prescription of 45 Gy
    if structure == "Rectum":
        assert {"V50Gy", "V60Gy", "V70Gy"} <= set(names(usual_points(structure, 78)))
    assert ("V95%" in points) == (structure in ("PTV_45", "CTV"))
    assert "V95%" in names(usual_points(structure, 45, target=True))


def plain(values, volume_cm3, point, prescription):
    """The figure of samples that stand for equal volumes, by counting."""
    ordered = sorted(values, reverse=True)
    if point.kind == "D":
        part = point.at / (100 if point.unit == "%" else volume_cm3)
        return ordered[math.ceil(part * len(ordered)) - 1] if part <= 1 else math.nan
    dose = point.at if point.unit == "Gy" else point.at / 100 * prescription
    part = sum(value >= dose for value in ordered) / len(ordered)
    return part * (volume_cm3 if point.in_cm3 else 100)


def test_points_are_those_of_a_plain_count():
    values = np.random.default_rng(7).gamma(20, 2, 200_000).astype(np.float32)
    volume = 37.5
    dvh = histogram_of(values, 1000 * volume)
    for text in ("D98", "D90", "D0.5", "D2cm3", "D10cc", "D100cc", "V30", "V40Gy", "V95%",
                 "V45Gy_cm3", "V107%_cm3"):  # fmt: skip
        point = DvhPoint.parse(text)
        expected = plain(values, volume, point, 42.0)
        assert point.value(dvh, 42.0) == pytest.approx(expected, abs=0.03, nan_ok=True), text
    for text, value in (("Dmean", values.mean()), ("Dmin", values.min()), ("Dmax", values.max()),
                        ("Dmedian", np.median(values))):  # fmt: skip
        assert DvhPoint.parse(text).value(dvh, 42.0) == pytest.approx(value, abs=0.01)
    described = " ".join(DVH_POINT_DEFINITIONS.values())
    assert all(name in described for name in ("D98", "D2cm3", "V40Gy", "V95%", "V40Gy_cm3"))


def test_volumes_in_cm3_are_of_the_part_inside_the_dose_grid():
    values = np.full(1000, 40.0, np.float32)
    values[600:] = np.nan  # 40 % of 50 cm3 lie outside
    values[:100] = 50.0
    dvh = histogram_of(values, 50_000.0)
    assert DvhPoint.parse("V45Gy_cm3").value(dvh, 45.0) == pytest.approx(5.0, abs=0.05)
    assert DvhPoint.parse("V30Gy_cm3").value(dvh, 45.0) == pytest.approx(30.0)
    assert DvhPoint.parse("D29cm3").value(dvh, 45.0) == 40.0
    assert math.isnan(DvhPoint.parse("D31cm3").value(dvh, 45.0))
    nothing = histogram_of(np.full(10, np.nan, np.float32), 50_000.0)
    for text in ("D98", "D2cc", "V40", "V40Gy_cm3", "Dmean"):
        assert math.isnan(DvhPoint.parse(text).value(nothing, 45.0)), text


def test_differences_have_the_units_that_are_told():
    lower = histogram_of(np.linspace(30, 50, 5001, dtype=np.float32), 20_000.0)
    higher = histogram_of(np.linspace(31, 51, 5001, dtype=np.float32), 20_000.0)
    points = map(DvhPoint.parse, ("D2cm3", "V40Gy", "V40Gy_cm3", "Dmean"))
    found = dvh_metrics(higher, lower, 40.0, points)
    units = {
        "D2cm3": (49.0, "Gy"), "D2cm3_difference": (2.5, "% of prescription"),
        "D2cm3_difference_gy": (1.0, "Gy"), "V40Gy": (55.0, "%"),
        "V40Gy_difference": (5.0, "% points"), "V40Gy_cm3": (11.0, "cm³"),
        "V40Gy_cm3_difference": (1.0, "cm³"), "Dmean_difference_gy": (1.0, "Gy"),
    }  # fmt: skip
    for name, (value, unit) in units.items():
        assert found[name] == pytest.approx(value, abs=0.02), name
        assert describe(("dvh", "PTV", name)).unit == unit, name
    assert not {"V40Gy_difference_gy", "V40Gy_cm3_difference_gy"} & set(found)
    assert describe(("dvh", "PTV", "volume_cm3")).unit == "cm³"


def evaluation(points="", **more):
    i, j, k = np.indices((40, 40, 40)).astype(np.float32)
    body = (i - 19.5) ** 2 + (j - 19.5) ** 2 + (k - 19.5) ** 2 < 15**2
    ct = image_like(np.where(body, 20, -1000).astype(np.int16), GRID)
    target = image_like((abs(i - 19.5) + abs(j - 19.5) + abs(k - 19.5) < 6).astype(np.uint8), GRID)
    dose = image_like(30 + 0.5 * i, GRID)
    return evaluate(
        ct,
        {"sCT": ct, "other": ct},
        dose_ct=dose,
        doses={"sCT": image_like(30.9 + 0.5 * i, GRID), "other": dose},
        structures={"Bladder": target, "PTV": target},
        settings=EvaluationSettings(
            registration="none", prescription_gy=45.0, dvh_points=points, **more
        ),
    )


def test_points_are_in_metrics_and_tables_the_same():
    found = evaluation("Bladder: D1cc V40 Dmedian; +target: D99")
    metrics = found.metrics()
    assert metrics["target"] == "PTV"
    assert metrics["dvh_points"]["Bladder"] == ["D1cm3", "V40Gy", "D50"]
    assert metrics["dvh_points"]["PTV"] == ["D98", "D95", "D50", "D2", "Dmean", "V95%", "D99"]
    for candidate in ("sCT", "other"):
        own = metrics["candidates"][candidate]["dvh"]["Bladder"]
        assert {"D1cm3", "V40Gy", "D50", "V30Gy", "volume_cm3", "D98_difference"} <= set(own)
        assert {"D1cm3", "V40Gy"} <= set(metrics["dvh_ct"]["Bladder"])
    (table,) = dvh_tables(found)
    titles = [column.title.text for column in table.columns]
    assert (titles[3], titles[6]) == ("sCT", "other")
    assert [head.split(",")[0] for head in table.heads.values()] == ["PTV", "Bladder"]
    dose, volume, _ = ([cell.text for cell in row] for row in table.rows[max(table.heads) :])
    assert dose[:2] == ["D1cm3", "Gy"] and dose[4:6] == ["+0.90", "+2.00"] and dose[7] == "0.00"
    assert volume[:2] == ["V40Gy", "%"] and volume[5] == ""
    # What percents of a dose are of is told: the plan's own table has them of each level.
    assert "V95% of 45 Gy" in [row[0].text for row in table.rows]
    columns = dose_volume_columns(found)
    assert "V95% of 45 Gy" in columns["Point"] and "V95%" not in columns["Point"]
    row = [*zip(columns["Structure"], columns["Point"], strict=True)].index(("Bladder", "D1cm3"))
    assert columns["Unit"][row] == "Gy"
    assert columns["sCT - CT"][row] == pytest.approx(0.9, abs=0.001)
    assert columns["sCT - CT (% of prescription)"][row] == pytest.approx(2.0, abs=0.001)
    volume_row = columns["Point"].index("V40Gy")
    assert math.isnan(columns["sCT - CT (% of prescription)"][volume_row])
    assert len({len(column) for column in columns.values()}) == 1
    assert len(dvh_tables(found, most=1)) == 2
    assert not [note for note in found.notes if "point" in note]


def test_points_that_fit_nothing_are_noted():
    found = evaluation("Rektum*: V40; PTV: V95 D500cc")
    (pattern,) = [note for note in found.notes if "Rektum*" in note]
    assert "V40Gy" in pattern and "Bladder, PTV" in pattern
    assert any("V95 was read as the volume at 95 Gy" in n and "V95%" in n for n in found.notes)
    assert any("PTV has no D500cm3" in note for note in found.notes)
    assert math.isnan(found.candidates["sCT"].metrics["dvh"]["PTV"]["D500cm3_difference"])
    assert NO_POINTS in evaluation("PTV: D98", dose=False).notes
    assert not [note for note in evaluation().notes if "point" in note]


def test_points_agree_with_dicompyler():
    values = np.random.default_rng(3).normal(42, 3, 200_000).astype(np.float32)
    counts, edges = np.histogram(values, bins=np.arange(0, 70, 0.01))
    part = counts[::-1].cumsum()[::-1] / counts.sum()
    theirs = DVH(part * 80.0, edges, "cumulative", "Gy", "cm3", rx_dose=45.0)
    dvh = histogram_of(values, 80_000.0)
    for text, name in (
        ("D98", "D98"),
        ("D2cc", "D2cc"),
        ("V40Gy_cm3", "V40Gy"),
        ("V95%_cm3", "V95"),
    ):
        ours = DvhPoint.parse(text).value(dvh, 45.0)
        assert ours == pytest.approx(theirs.statistic(name).value, abs=0.05), text


def test_a_histogram_of_an_image_has_its_points():
    i = np.indices((40, 40, 40))[2]
    half = image_like(np.where(i < 20, 30, 50).astype(np.float32), GRID)
    whole = image_like(np.ones((40, 40, 40), np.uint8), GRID)
    dvh = dose_volume_histogram(half, whole)
    assert DvhPoint.parse("V45Gy_cm3").value(dvh, 45.0) == pytest.approx(
        512 * 19.75 / 40, rel=0.001
    )
    assert sitk.GetArrayViewFromImage(whole).sum() * 8 / 1000 == dvh.volume_cm3
