"""Largest differences of dose: at the skin said to be so, and inside both bodies beside it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from evaluations import made_evaluation
from SyntheticCTEvalLib.pictures.places import (
    DEEP_MM,
    LARGEST,
    LARGEST_DEEP,
    PLACE_DEFINITIONS,
    largest_places,
)
from SyntheticCTEvalLib.pictures.planes import told_point
from SyntheticCTEvalLib.report.blocks import Table
from SyntheticCTEvalLib.report.parts import definitions_of, largest_differences
from SyntheticCTLib.volumes.grids import image_like

MIDDLE, INSIDE, EDGE = (5, 15, 20), (5, 15, 24), (5, 15, 35)  # k, j, i
MINUS = "\N{MINUS SIGN}"


def _evaluation(differences, missing=()):
    """An evaluation with differences (Gy) by voxel; ``missing`` of the candidate's body."""
    evaluation = made_evaluation(names=("sCT",), mr=False, structures=False)
    candidate = evaluation.candidates["sCT"]
    values = np.zeros(evaluation.ct.GetSize()[::-1], np.float32)
    for voxel, gray in differences.items():
        values[voxel] = gray
    candidate.dose_difference = image_like(values, evaluation.ct)
    gamma = np.full(values.shape, 0.5, np.float32)
    candidate.gamma = replace(
        candidate.gamma,
        gamma=image_like(gamma, evaluation.ct),
        evaluated=image_like(np.ones(values.shape, np.uint8), evaluation.ct),
    )
    body = sitk.GetArrayFromImage(evaluation.body)
    for voxel in missing:
        body[voxel] = 0
    candidate.body = image_like(body, evaluation.ct)
    return evaluation


def _plain_depth(body, voxel):
    """Distance (mm) of a voxel to the nearest voxel that is not in the body, one by one."""
    steps = np.array(body.GetSpacing()[::-1])
    outside = np.argwhere(sitk.GetArrayViewFromImage(body) == 0)
    return float(np.sqrt((((outside - voxel) * steps) ** 2).sum(axis=1)).min())


def test_the_second_place_is_the_largest_of_what_is_deep_in_both_bodies():
    generator = np.random.default_rng(5)
    evaluation = _evaluation({}, missing=[(5, 15, 20), (2, 12, 14)])
    candidate = evaluation.candidates["sCT"]
    values = generator.normal(0, 1, evaluation.ct.GetSize()[::-1]).astype(np.float32)
    candidate.dose_difference = image_like(values, evaluation.ct)
    body = sitk.GetArrayViewFromImage(evaluation.body)
    bodies = evaluation.body, candidate.body
    whole = [tuple(v) for v in np.argwhere(body)]
    deep = [v for v in whole if all(_plain_depth(b, v) > DEEP_MM for b in bodies)]
    assert 10 < len(deep) < len(whole)
    for is_deep, voxels in ((False, whole), (True, deep)):
        place = largest_places(evaluation, deep=is_deep)["sCT"]
        wanted = max(voxels, key=lambda v: abs(values[v]))
        assert place.difference_gy == pytest.approx(values[wanted])
        assert place.point_mm == evaluation.ct.TransformIndexToPhysicalPoint(
            [int(n) for n in wanted[::-1]]
        )


def test_a_place_without_the_candidates_body_is_said_to_be_so_and_one_inside_stands_beside():
    evaluation = _evaluation({MIDDLE: -9.0, INSIDE: 2.25}, missing=[MIDDLE])
    table, first, second = largest_differences(evaluation)
    assert isinstance(table, Table)
    where, inside = table.rows
    said = "at the skin: the candidate has no body there"
    point = told_point(evaluation.ct.TransformIndexToPhysicalPoint(MIDDLE[::-1]))
    assert [cell.text for cell in where][2:4] == [f"{MINUS}9.00", f"{MINUS}20.00"]
    assert where[-1].text == f"{point}; {said}"
    assert [cell.text for cell in inside][2:4] == ["+2.25", "+5.00"]
    assert "skin" not in inside[-1].text
    assert (where[1].link, inside[1].link) == (LARGEST, LARGEST_DEEP)
    assert "may have dose where the other has none" in first.caption
    assert second.title.endswith("away from the skin") and f"{DEEP_MM:g} mm" in second.caption
    known = dict(definitions_of(evaluation))
    assert {key: known[key] for key in PLACE_DEFINITIONS} == PLACE_DEFINITIONS


def test_places_at_the_skin_and_near_it_are_said_to_be_so():
    said = {}
    for name, voxel, missing in (
        ("candidate", EDGE, [EDGE]),
        ("skin", INSIDE, [(5, 15, 25), (5, 14, 24), (4, 15, 24)]),
        ("near", INSIDE, [(5, 15, 26)]),
        ("deep", INSIDE, []),
    ):
        evaluation = _evaluation({voxel: 3.0}, missing)
        place = largest_places(evaluation)["sCT"]
        said[name] = place.skin_words
        own = _plain_depth(evaluation.candidates["sCT"].body, voxel)
        assert place.own_depth_mm in (own, None)
    assert said == {
        "candidate": "at the skin: the candidate has no body there",
        "skin": "at the skin",
        "near": "at most 12 mm from the edge of a body",
        "deep": "",
    }


def test_a_place_deep_inside_is_shown_once():
    evaluation = _evaluation({INSIDE: 3.0})
    table, picture = largest_differences(evaluation)
    assert [row[2].text for row in table.rows] == ["+3.00", "+3.00"]
    assert "skin" not in picture.caption


def test_without_a_difference_inside_the_table_says_so():
    evaluation = _evaluation({EDGE: 3.0})
    table, _ = largest_differences(evaluation)
    assert [cell.text for cell in table.rows[1]][2:] == [*["n/a"] * 3, "no dose differs there"]
    assert largest_differences(_evaluation({})) == []
