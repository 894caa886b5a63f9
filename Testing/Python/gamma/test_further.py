"""Several criteria in one run: names, and pass rates as if each had been computed alone."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
import SimpleITK as sitk
from doses import dose_image
from hypothesis import given, settings
from hypothesis import strategies as st
from SyntheticCTEvalLib.gamma.comparison import compare_doses, gamma_definitions
from SyntheticCTEvalLib.gamma.criteria import Criterion, GammaCriteria, parse_criteria
from SyntheticCTEvalLib.gamma.engines import ENGINES, compute_gamma
from SyntheticCTEvalLib.gamma.further import further_passes
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.volumes.grids import image_like

ASKED = "1/1, 2/2; 3%/2mm,3 % / 3 mm local,2/2"


def pair(seed: int = 1, crop: int = 0) -> tuple[sitk.Image, sitk.Image]:
    """A dose with gradients, and one that differs by a few percent and millimetres."""
    rng = np.random.default_rng(seed)
    k, j, i = np.indices((7, 16, 15)) - np.array([3, 8, 7])[:, None, None, None]
    away = np.sqrt((1.5 * k) ** 2 + j**2 + i**2)
    reference = 60 / (1 + np.exp((away - 5) / 0.8))
    other = 60.5 / (1 + np.exp((away - 5.2) / 0.8)) + rng.normal(0, 0.5, away.shape)
    evaluated = dose_image(np.maximum(other, 0), (2, 2, 3))
    return dose_image(reference, (2, 2, 3)), evaluated[: 15 - crop]


def test_criteria_are_read_as_people_write_them():
    found = parse_criteria(ASKED)
    assert found == (Criterion(1, 1), Criterion(2, 2), Criterion(3, 2), Criterion(3, 3, local=True))
    assert [c.name for c in found] == ["1%/1mm", "2%/2mm", "3%/2mm", "3%/3mm local"]
    assert parse_criteria(",".join(c.name for c in found)) == found
    assert Criterion.parse("0.5 / 2.5 mm global") == Criterion(0.5, 2.5)
    for wrong in ("", " , ", "1", "1/", "1/1/1", "0/1", "1/0", "-1/1", "a/b", "1/1 loco"):
        with pytest.raises(SyntheticCTError, match="gamma"):
            parse_criteria(wrong)


@pytest.mark.parametrize("crop", [0, 4])
def test_each_criterion_gives_what_it_gives_alone(crop):
    doses = pair(crop=crop)
    asked = [
        replace(GammaCriteria(*shape), normalization_gy=50.0, cutoffs_percent=(10, 60))
        for shape in ((1, 1), (2, 2), (3, 1), (1, 3, True), (3, 3, True))
    ]
    for first, second in permutations(asked, 2):
        known = compute_gamma(*doses, first)
        found = further_passes(*doses, known, second)
        alone = compute_gamma(*doses, second)
        assert found.pass_rates == alone.pass_rates
        evaluated = sitk.GetArrayFromImage(alone.evaluated) > 0
        assert (found.evaluated == evaluated).all()
        passed = evaluated & (sitk.GetArrayFromImage(alone.gamma) <= 1)
        assert (found.passed == passed).all()


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 1000),
    first=st.tuples(st.floats(0.5, 5), st.floats(0.5, 4), st.booleans()),
    second=st.tuples(st.floats(0.5, 5), st.floats(0.5, 4), st.booleans()),
    cap=st.floats(1, 3),
)
def test_what_a_first_criterion_settles_is_so(seed, first, second, cap):
    doses = pair(seed)
    first = GammaCriteria(*first, normalization_gy=60, cutoffs_percent=(5,), cap=cap)
    second = GammaCriteria(*second, normalization_gy=60, cutoffs_percent=(5,))
    found = further_passes(*doses, compute_gamma(*doses, first), second)
    assert found.pass_rates == compute_gamma(*doses, second).pass_rates


def test_voxels_that_the_first_map_settles_are_not_searched_again(monkeypatch):
    doses = pair()
    known = compute_gamma(*doses, GammaCriteria(1, 1))
    searched = []

    def counting(reference, evaluated, region, *rest):
        searched.append(np.count_nonzero(region))
        return np.where(region, np.float32(2), np.float32(-1))

    monkeypatch.setattr("SyntheticCTEvalLib.gamma.engines.exact_gamma", counting)
    further_passes(*doses, known, GammaCriteria(3, 3))
    assert sum(searched) < 0.5 * sitk.GetArrayFromImage(known.evaluated).sum()


@pytest.mark.parametrize("engine", ENGINES)
def test_rates_by_criterion_cutoff_and_structure(engine):
    reference, evaluated = pair()
    criteria = [
        replace(GammaCriteria(*shape), normalization_gy=60.0, cutoffs_percent=(10, 60))
        for shape in ((1, 1), (3, 2))
    ]
    half = np.zeros(reference.GetSize()[::-1], np.uint8)
    half[:, :, :7] = 1
    structures = {"half": image_like(half, reference), "away": image_like(half * 0, reference)}
    compared = compare_doses(reference, {"sCT": evaluated}, criteria, {"sCT": None}, engine=engine)
    rates = compared["sCT"].rates(reference, structures)
    alone = {
        c.criterion.name: compute_gamma(reference, evaluated, c, engine=engine) for c in criteria
    }
    for name, result in alone.items():
        assert rates["gpr_criteria"][name] == {
            f"{cutoff:g}": rate for cutoff, rate in result.pass_rates.items()
        }
        gamma = sitk.GetArrayFromImage(result.gamma)[half > 0]
        expected = 100 * np.count_nonzero(gamma[gamma >= 0] <= 1) / np.count_nonzero(gamma >= 0)
        assert rates["gpr_structures"]["half"][name] == pytest.approx(expected)
        assert np.isnan(rates["gpr_structures"]["away"][name])
    assert rates["gpr"] == rates["gpr_criteria"]["1%/1mm"]
    lines = gamma_definitions(compared)
    assert "3 %/2 mm: Gamma 3 % of 60 Gy (global) / 2 mm" in lines["gpr_criteria"]
    inside = compared["sCT"].rates_inside(reference, structures["half"])
    assert inside["gpr"] == inside["gpr_criteria"]["1%/1mm"]
    assert inside["gpr"]["10"] == pytest.approx(rates["gpr_structures"]["half"]["1%/1mm"])
