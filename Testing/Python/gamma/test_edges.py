"""Gamma where one of the doses ends: what cannot be told is left out, counted and named."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from doses import dose_image, gamma_of, smooth_dose
from scipy.spatial.transform import Rotation
from SyntheticCTEvalLib.gamma.comparison import compare_doses, gamma_definitions
from SyntheticCTEvalLib.gamma.criteria import GammaCriteria
from SyntheticCTEvalLib.gamma.engines import ENGINES, compute_gamma
from SyntheticCTLib.basics.progress import SILENT, NotedProgress

ALL = GammaCriteria(2, 3, cutoffs_percent=(0,))
CROPS = [
    np.s_[:, :, :6],
    np.s_[:, 4:, :],
    np.s_[3:7, 2:9, 1:8],
    np.s_[4:5, :, :],
    np.s_[:, 5:6, :],
]


def on_part(dose, part):
    """Return the part (k, j, i) of a dose, where it is."""
    return dose[part[::-1]]


def compared(reference, evaluated, criteria=ALL, **options):
    """Return result and warnings."""
    progress = NotedProgress(SILENT)
    return compute_gamma(
        reference, evaluated, criteria, progress=progress, **options
    ), progress.warnings


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("criterion", [(1, 1), (2, 2), (3, 3), (1, 10)])
@pytest.mark.parametrize("part", CROPS[:3])
def test_the_same_dose_cropped_through_the_high_dose_agrees_with_itself(part, criterion, engine):
    dose = dose_image(smooth_dose(3) + 30)
    criteria = GammaCriteria(*criterion, cutoffs_percent=(10, 60))
    result, warnings = compared(dose, on_part(dose, part), criteria, engine=engine)
    assert result.pass_rates == {10: 100, 60: 100}
    assert len(warnings) == 1


@pytest.mark.parametrize("part", CROPS[3:])
def test_a_slice_of_the_same_dose_agrees_with_it(part):
    dose = dose_image(smooth_dose(3) + 5)
    for criteria in (GammaCriteria(1, 1), GammaCriteria(3, 3), GammaCriteria(1, 4)):
        assert compared(dose, on_part(dose, part), criteria)[0].pass_rates == {10: 100}


@pytest.mark.parametrize("angle", [0, 90, 20])
def test_the_same_dose_on_a_smaller_box_at_an_angle_agrees(angle):
    # A dose linear in space is the same on every grid.
    slope, level = np.array([1.0, -0.7, 0.4]), 60.0

    def linear(size, spacing, origin, direction):
        image = dose_image(np.zeros(size[::-1]), spacing, origin, direction)
        index = np.stack(np.meshgrid(*map(np.arange, size), indexing="ij")).reshape(3, -1)
        places = direction @ (index * np.reshape(spacing, (3, 1))) + np.reshape(origin, (3, 1))
        values = (level + slope @ places).reshape(size).T
        filled = sitk.GetImageFromArray(values.astype(np.float32))
        filled.CopyInformation(image)
        return filled

    reference = linear((12, 12, 12), (2.0, 2.0, 2.0), (0, 0, 0), np.eye(3))
    turned = Rotation.from_euler("zx", (angle, angle / 2), degrees=True).as_matrix()
    middle = np.full(3, 11.0) - turned @ (5.0, 5.0, 5.0)
    evaluated = linear((6, 6, 6), (2.0, 2.0, 2.0), middle, turned)
    for distance_mm in (1, 2, 3):
        result, _ = compared(reference, evaluated, GammaCriteria(1, distance_mm))
        assert result.pass_rates == {10: 100}
        assert sitk.GetArrayFromImage(result.evaluated).sum() > 100


def test_what_fails_is_left_out_only_where_the_search_leaves_the_dose():
    reference = dose_image(np.full((9, 10, 11), 50.0), (2, 2.5, 3), (0, 0, 0))
    evaluated = dose_image(np.full((9, 10, 11), 60.0), (2, 2.5, 3), (0, 0, 0))
    for engine in ENGINES:
        gamma = gamma_of(reference, evaluated, ALL, engine=engine)
        # 3 mm are one and a half, one and a fifth, and one voxel.
        inner = np.zeros(gamma.shape, bool)
        inner[1:-1, 2:-2, 2:-2] = True
        assert (gamma[inner] == 2).all() and (gamma[~inner] == -1).all()


def test_beyond_the_end_a_voxel_can_pass_but_not_fail():
    values = np.full((3, 3, 20), 50.0)
    evaluated = np.full((3, 3, 12), 50.0)
    evaluated[..., 11] = 51.2
    reference = dose_image(values, (1, 9, 9), (0, 0, 0))
    other = dose_image(evaluated, (1, 9, 9), (0, 0, 0))
    gamma = gamma_of(reference, other, GammaCriteria(2, 3, cutoffs_percent=(0,)))[1, 1]
    # Half a millimetre back of the outermost 51.2 Gy are 50.6 Gy, within 1 Gy.
    assert (gamma[:14] >= 0).all() and (gamma[:14] <= 1).all()
    assert (gamma[15:] == -1).all()


def test_a_plane_ends_at_its_border_and_not_across_it():
    reference = dose_image(np.full((1, 10, 10), 50.0), (2, 2, 5))
    evaluated = dose_image(np.full((1, 10, 10), 60.0), (2, 2, 5))
    for engine in ENGINES:
        gamma = gamma_of(reference, evaluated, ALL, engine=engine)
        assert (gamma[0, 2:-2, 2:-2] == 2).all()
        assert np.count_nonzero(gamma == -1) == 100 - 36
    # A twentieth of the distance off the plane is in it; half of it is not.
    for off_mm, decided in ((0.15, True), (1.5, False)):
        evaluated.SetOrigin((1, 2, 3 + off_mm))
        if decided:
            assert (gamma_of(reference, evaluated, ALL)[0, 2:-2, 2:-2] == 2).all()
        else:
            result, warnings = compared(reference, evaluated)
            assert np.isnan(result.pass_rates[0])
            assert "0 % of what was asked for: 100 of the 100 voxels" in warnings[0]


def test_what_was_evaluated_is_named_as_a_share():
    values = smooth_dose(5) + 20
    reference, evaluated = dose_image(values), dose_image(values[:5])
    result, warnings = compared(reference, evaluated, GammaCriteria(3, 2, cutoffs_percent=(0,)))
    gamma = sitk.GetArrayFromImage(result.gamma)
    # Slices are 3 mm apart and what passes is within 2 mm.
    assert (gamma[:5] >= 0).all() and (gamma[5:] == -1).all()
    assert (sitk.GetArrayFromImage(result.evaluated) == (gamma >= 0)).all()
    assert len(warnings) == 1
    for text in (warnings[0], result.definition):
        assert "440 of the 990 voxels" in text
        assert "55.5 % of what was asked for" in text
        assert "55.6 % above 0 %" in text


def test_the_pass_rate_if_all_left_out_failed_is_named_for_every_cutoff():
    dose = smooth_dose(5) + 5
    criteria = GammaCriteria(1, 2, cutoffs_percent=(10, 60))
    result, warnings = compared(dose_image(dose), dose_image(dose[:, :6]), criteria)
    evaluated = sitk.GetArrayFromImage(result.evaluated) == 1
    for cutoff in (10, 60):
        asked = dose >= cutoff / 100 * dose.max()
        floor = 100 * np.count_nonzero(asked & evaluated) / np.count_nonzero(asked)
        assert result.pass_rates[cutoff] == 100
        assert f"{floor:.1f} % above {cutoff} %" in warnings[0]


def test_doses_that_cover_the_same_are_not_warned_of():
    dose = dose_image(smooth_dose(5) + 5)
    result, warnings = compared(dose, dose, GammaCriteria(1, 1))
    assert not warnings and "evaluated for" not in result.definition


def test_a_reference_that_ends_in_the_dose_is_named():
    dose = dose_image(np.full((4, 10, 10), 30.0), (2, 2, 2), (0, 0, 0))
    result, warnings = compared(dose[:, :7, :], dose, GammaCriteria(1, 1))
    assert result.pass_rates == {10: 100}
    assert "30.0 % of the evaluated dose above the cutoff" in warnings[0]
    assert "30.0 % of the evaluated dose above the cutoff" in result.definition
    # Not where the mask does not ask for it, and not across a plane.
    mask = sitk.Cast(dose[:, :7, :] > 0, sitk.sitkUInt8)
    assert not compared(dose[:, :7, :], dose, GammaCriteria(1, 1), mask=mask)[1]
    assert not compared(dose[:, :, 1:2], dose, GammaCriteria(1, 1))[1]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_cap_of_one_tells_what_fails(engine):
    reference, evaluated = (dose_image(np.full((5, 6, 7), gy)) for gy in (50.0, 53.0))
    result, _ = compared(reference, evaluated, GammaCriteria(1, 1, cap=1), engine=engine)
    assert result.pass_rates == {10: 0}


def test_warnings_and_definitions_name_the_candidate():
    dose = dose_image(smooth_dose(5) + 5)
    progress = NotedProgress(SILENT)
    both = {"whole": dose, "part": dose[:, :6, :]}
    found = compare_doses(dose, both, [GammaCriteria(2, 2)], dict.fromkeys(both), progress=progress)
    assert len(progress.warnings) == 1
    assert progress.warnings[0].startswith("part: Gamma was evaluated for")
    whole, part = (found[name].gamma.definition for name in both)
    assert gamma_definitions(found)["gpr"] == f"whole: {whole}. part: {part}"
    assert gamma_definitions({"whole": found["whole"]})["gpr"] == whole
