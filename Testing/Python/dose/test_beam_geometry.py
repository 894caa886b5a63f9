"""Recalculated dose: where beams enter, on whatever grid a patient lies."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from beams import CENTRE, SPACING, along, array, coordinates, cubic_grid, cylinder, single
from hypothesis import given, settings
from hypothesis import strategies as st
from SyntheticCTEvalLib.dose import recalculation
from SyntheticCTEvalLib.dose.plan import beams_eye_view
from SyntheticCTEvalLib.dose.recalculation import (
    plan_for_target,
    recalculate_dose,
)
from SyntheticCTLib.volumes.grids import image_like, same_grid
from SyntheticCTLib.volumes.resampling import resample


@pytest.mark.parametrize(
    ("gantry", "towards_source"),
    [(0, (0, -1, 0)), (90, (1, 0, 0)), (180, (0, 1, 0)), (270, (-1, 0, 0)), (30, (0.5, -0.866, 0))],
)
def test_the_gantry_shines_from_where_iec_61217_puts_it(gantry, towards_source):
    """0 degrees from anterior (LPS -y), 90 degrees from the patient's left (LPS +x)."""
    ct, body = cylinder()
    dose = recalculate_dose(ct, single(gantry), body, ct)
    entry, exit_ = along(dose, CENTRE, towards_source, (55, -55))
    assert entry > 1.8 * exit_ > 0


def test_a_symmetric_phantom_gets_a_symmetric_dose():
    ct, body = cylinder()
    dose = array(recalculate_dose(ct, single(0), body, ct))
    np.testing.assert_allclose(dose, dose[:, :, ::-1], atol=2e-3 * dose.max())
    np.testing.assert_allclose(dose, dose[::-1], atol=2e-3 * dose.max())


@settings(max_examples=6, deadline=None)
@given(
    st.tuples(*[st.floats(-SPACING / 2, SPACING / 2)] * 3),
    st.sampled_from([0.0, 51.4, 90.0, 205.7]),
)
def test_a_field_is_centred_on_the_isocentre_wherever_between_voxels_that_lies(shift, gantry):
    ct, body = cylinder()
    isocentre = np.add(CENTRE, shift)
    dose = recalculate_dose(ct, single(gantry, 40, 30, isocentre), body, ct)
    angle = np.deg2rad(gantry)
    distances = np.arange(-32, 32.1, 0.5)
    for direction, half_width in (((np.cos(angle), np.sin(angle), 0), 20), ((0, 0, 1), 15)):
        profile = along(dose, isocentre, direction, distances)
        edges = (
            np.interp(0.5, profile[:65] / profile[64], distances[:65]),
            np.interp(-0.5, -profile[64:] / profile[64], distances[64:]),
        )
        assert sum(edges) / 2 == pytest.approx(0, abs=0.4)
        assert (edges[1] - edges[0]) / 2 == pytest.approx(half_width, abs=0.8)


def test_flipped_and_permuted_volumes_get_the_same_dose():
    ct, body = cylinder()
    numbers = array(ct)
    numbers[:, 30:36, 20:28] = -900  # so that a flip would be seen
    ct = image_like(numbers, ct)
    expected = array(recalculate_dose(ct, single(51.4), body, ct))
    for rearranged in (
        lambda image: sitk.Flip(image, [True, False, True]),
        lambda image: sitk.PermuteAxes(image, [2, 0, 1]),
    ):
        dose = recalculate_dose(rearranged(ct), single(51.4), rearranged(body), ct)
        np.testing.assert_allclose(array(dose), expected, atol=1e-4)
        moved = recalculate_dose(ct, single(51.4), body, rearranged(ct))
        assert same_grid(moved, rearranged(ct))
        np.testing.assert_allclose(array(moved), array(rearranged(dose)), atol=1e-4)


def test_an_oblique_volume_gets_the_dose_of_the_same_anatomy_unrotated():
    ct, body = cylinder()
    numbers = array(ct)
    numbers[:, 12:20, 26:34] = 800
    ct = image_like(numbers, ct)
    turn = sitk.Euler3DTransform(CENTRE, 0.2, -0.15, 0.3)
    oblique = sitk.Image(cubic_grid(112, 112, 80, 3.0))
    oblique.SetDirection(turn.GetMatrix())
    oblique.SetOrigin(turn.TransformPoint(oblique.GetOrigin()))
    expected = array(recalculate_dose(ct, single(20), body, ct))
    dose = array(
        recalculate_dose(
            resample(ct, oblique, fill=-1000),
            single(20),
            resample(body, oblique, fill=0, nearest=True),
            ct,
        )
    )
    x, y, z = coordinates(ct)
    inside = (np.hypot(x, y) < 70) & (np.abs(z) < 45)
    assert np.abs(dose - expected)[inside].max() < 0.03 * expected.max()


def test_tissue_outside_the_asked_grid_still_attenuates():
    """The grid says where dose is wanted, not how far the patient reaches."""
    ct, body = cylinder()
    off_axis = (CENTRE[0] - 55, CENTRE[1], CENTRE[2])
    plan = single(90, at=off_axis)
    small = sitk.RegionOfInterest(ct, [9, 9, 9], [6, 20, 10])
    whole = recalculate_dose(ct, plan, body, ct)
    part = recalculate_dose(ct, plan, body, small)
    assert array(part).max() > 0.1
    np.testing.assert_allclose(array(part), array(resample(whole, part, fill=0)), atol=1e-5)


def test_fields_follow_the_outline_of_the_target_from_every_side():
    """A target without symmetry is covered; the same reflected in the isocentre is not."""
    ct, body = cylinder()
    x, y, z = coordinates(ct)
    target = (np.abs(x) < 45) & (np.abs(y) < 45) & (np.abs(z) < 40)
    target &= ((x > 20) | (y > 20)) & ((x < -20) | (z < 0))
    isocentre = np.array(CENTRE) + [v[target].mean() for v in (x, y, z)]
    around = 2 * (isocentre - np.array(CENTRE)) / SPACING
    shift = [round(n) for n in around[::-1]]
    mirrored = np.roll(target[::-1, ::-1, ::-1], shift, axis=(0, 1, 2)) & (array(body) > 0)
    for gantry in (0.0, 51.4, 90.0, 205.7):
        plan, _ = plan_for_target(
            image_like(target.astype(np.uint8), ct),
            ct,
            body,
            gantry_angles_deg=(gantry,),
            margin_mm=3,
            grid=ct,
        )
        assert plan.isocentre_mm == pytest.approx(isocentre)
        dose = array(recalculate_dose(ct, plan, body, ct))
        assert (dose[target] > 0.45 * 45).all()
        assert (dose[mirrored] < 0.3 * 45).mean() > 0.1


def test_the_beams_eye_view_magnifies_what_lies_nearer_to_the_source():
    """A point 100 mm before the isocentre is seen 1000/900 as large (source at 1000 mm)."""
    for gantry, towards_source in ((0.0, (0, -1, 0)), (90.0, (1, 0, 0))):
        side = np.cross((0, 0, 1), np.negative(towards_source)) * -1.0
        points = np.array(CENTRE) + 100 * np.array(towards_source) + 9 * side + (0, 0, 18)
        row, column = beams_eye_view(points[np.newaxis], CENTRE, gantry)[0]
        assert (row, abs(column)) == pytest.approx((20, 10))


def test_the_working_grid_shares_the_voxels_of_the_dose_grid():
    ct, body = cylinder()
    work = recalculation.working_grid(body, ct, single(30).isocentre_mm, (-20, 20))
    offset = (np.array(work.GetOrigin()) - np.array(ct.GetOrigin())) / SPACING
    np.testing.assert_allclose(offset, np.round(offset), atol=1e-6)
