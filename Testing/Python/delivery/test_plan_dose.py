"""The pencil-beam dose of a treatment plan: shares, sides, leaves, absolute dose."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import SimpleITK as sitk
from beams import CENTRE, along, array, coordinates, cubic_grid, cylinder, single
from SyntheticCTEvalLib.delivery.apertures import fluence_of
from SyntheticCTEvalLib.delivery.dose import delivery_notes, describe_plan, recalculate_plan
from SyntheticCTEvalLib.delivery.doses import notes_of_plan
from SyntheticCTEvalLib.delivery.segments import segments_of
from SyntheticCTEvalLib.dose.electron_density import notes_beyond_curve
from SyntheticCTEvalLib.dose.recalculation import recalculate_dose
from SyntheticCTEvalLib.plan.beams import (
    Beam,
    ControlPoint,
    MultiLeafCollimator,
    TargetLevel,
    TreatmentPlan,
)
from SyntheticCTEvalLib.plan.geometry import PATIENT_AXES
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import Progress
from SyntheticCTLib.volumes.grids import grid_of, image_like

MLC = MultiLeafCollimator("X", tuple(np.arange(-50.0, 51.0, 10.0)))
SQUARE = {"jaws_x_mm": (-20.0, 20.0), "jaws_y_mm": (-20.0, 20.0)}


def beam(*points: ControlPoint, mlc=None, mu=100.0, **more) -> Beam:
    return Beam(1, "B", CENTRE, points, mu, mlc=mlc, **more)


def static(gantry=0.0, mu=100.0, **state) -> Beam:
    more = {key: state.pop(key) for key in ("fractions", "source_axis_mm") if key in state}
    state = {**SQUARE, **state}
    return beam(ControlPoint(0, gantry, **state), ControlPoint(1, gantry, **state), mu=mu, **more)


def test_a_static_open_field_is_the_one_of_the_seven_fields():
    ct, body = cylinder()
    for gantry in (0.0, 51.4):
        expected = array(recalculate_dose(ct, single(gantry), body, ct))
        dose = array(recalculate_plan(ct, TreatmentPlan((static(gantry),)), body, ct))
        np.testing.assert_allclose(dose, expected, atol=2e-4 * expected.max())


def test_100_mu_give_1_gray_and_fractions_and_distance_count():
    spacing = 5.0
    grid = grid_of((41, 44, 41), (spacing,) * 3, (-100, spacing / 2, -100))
    ct = image_like(np.zeros(grid.GetSize()[::-1], np.int16), grid)
    body = image_like(np.ones(grid.GetSize()[::-1], np.uint8), grid)
    wide = {"jaws_x_mm": (-50.0, 50.0), "jaws_y_mm": (-50.0, 50.0)}

    def at_depth(**more) -> float:
        one = dataclasses.replace(static(**wide, **more), isocentre_mm=(0, 100, 0))
        dose = recalculate_plan(ct, TreatmentPlan((one,)), body, ct)
        return along(dose, (0, 0, 0), (0, 1, 0), [100])[0]

    assert at_depth() == pytest.approx(1.0, rel=0.01)
    assert at_depth(fractions=25) == pytest.approx(25 * at_depth(), rel=1e-5)
    far = at_depth(source_axis_mm=1250.0)
    assert far == pytest.approx(at_depth() * (1000 / 1250) ** 2, rel=0.01)


def arc(first, last, direction, weights=(0, 0.25, 1)) -> Beam:
    """An arc whose leaves move and whose middle control point has a quarter of the meterset."""
    turn = (last - first) % 360 if direction == "CW" else -((first - last) % 360)
    openings = [(-15.0, 5.0), (-5.0, 15.0), (0.0, 20.0)]
    points = [
        ControlPoint(
            weight,
            (first + turn * n / 2) % 360,
            direction,
            leaves_mm=np.tile(openings[n], (MLC.pairs, 1)),
            jaws_x_mm=(-20.0, 20.0),
            jaws_y_mm=(-20.0, 20.0),
        )
        for n, weight in enumerate(weights)
    ]
    return beam(*points, mlc=MLC)


@pytest.mark.parametrize(("first", "last", "direction"), [(350, 20, "CW"), (20, 350, "CC")])
def test_an_arc_is_the_sum_of_its_control_points(first, last, direction):
    """Each part as a static field, at its own middle angle with the mean opening, by hand."""
    ct, body = cylinder()
    plan = TreatmentPlan((arc(first, last, direction),))
    dose = array(recalculate_plan(ct, plan, body, ct))
    parts = list(segments_of(plan.beams[0]))
    assert sum(part.share for part in parts) == pytest.approx(1)
    still = []
    steps = 4
    for part in parts:
        turned = (part.gantry_deg + 180) % 360 - 180
        assert -10 < turned < 20
        for step in range(steps):
            low, high = part.leaves_mm[0, 0] + (step + 0.5) / steps * np.subtract(
                part.leaves_mm[1, 0], part.leaves_mm[0, 0]
            )
            mu = 100 * part.share / steps
            still.append(static(part.gantry_deg, mu, jaws_x_mm=(low, high)))
    expected = array(recalculate_plan(ct, TreatmentPlan(tuple(still)), body, ct))
    np.testing.assert_allclose(dose, expected, atol=0.01 * expected.max())
    # The quarter of the meterset lies on the side where the arc begins.
    by_side = [sum(p.share for p in parts[:4]), sum(p.share for p in parts[4:])]
    assert by_side == pytest.approx([0.25, 0.75])


def test_the_gantry_step_is_fine_enough():
    ct, body = cylinder()
    whole = TreatmentPlan((arc(300, 20, "CW", (0, 0.5, 1)),))
    dose = array(recalculate_plan(ct, whole, body, ct))
    fine = [
        static(s.gantry_deg, 100 * s.share, jaws_x_mm=tuple(s.leaves_mm.mean(axis=0)[0]))
        for s in segments_of(whole.beams[0], 1.0)
    ]
    expected = array(recalculate_plan(ct, TreatmentPlan(tuple(fine)), body, ct))
    inside = expected > 0.3 * expected.max()
    assert np.abs(dose - expected)[inside].max() < 0.02 * expected.max()


def projected(points, gantry, collimator, couch, position):
    """Points (n, 3; LPS) from CENTRE on Xb, Yb at the isocentre: IEC 61217, written out."""
    left, back = (np.array(a, dtype=float) for a in PATIENT_AXES[position])
    on_table = np.stack([left, back, np.cross(left, back)], axis=1)
    to_table = on_table @ (points - np.array(CENTRE)).T  # Xt, Yt, Zt
    s, c = np.sin(np.deg2rad(couch)), np.cos(np.deg2rad(couch))
    xf, yf, zf = c * to_table[0] - s * to_table[1], s * to_table[0] + c * to_table[1], to_table[2]
    s, c = np.sin(np.deg2rad(gantry)), np.cos(np.deg2rad(gantry))
    xg, yg, zg = c * xf - s * zf, yf, s * xf + c * zf
    s, c = np.sin(np.deg2rad(collimator)), np.cos(np.deg2rad(collimator))
    scale = 1000 / (1000 - zg)
    return (c * xg + s * yg) * scale, (c * yg - s * xg) * scale


@pytest.mark.parametrize(
    ("gantry", "collimator", "couch", "position"),
    [
        (0, 30, 0, "HFS"),
        (90, 330, 0, "HFS"),
        (0, 0, 25, "HFS"),
        (300, 45, 340, "HFS"),
        (40, 20, 10, "FFP"),
        (70, 90, 0, "HFP"),
    ],
)
def test_turned_collimators_and_couches_open_to_the_right_side(gantry, collimator, couch, position):
    """Voxels in the projection of a lopsided opening get dose, those in its mirror images less."""
    ct, body = cylinder()
    state = {"collimator_deg": collimator, "couch_deg": couch}
    one = static(gantry, jaws_x_mm=(-8.0, 40.0), jaws_y_mm=(5.0, 25.0), **state)
    plan = TreatmentPlan((one,), patient_position=position)
    dose = array(recalculate_plan(ct, plan, body, ct))
    z, y, x = (c.ravel() for c in coordinates(ct)[::-1])
    points = np.stack([x, y, z], axis=1) + CENTRE
    xb, yb = projected(points, gantry, collimator, couch, position)
    inside = (xb > -3) & (xb < 35) & (yb > 10) & (yb < 20)
    outside = (xb < -20) | (xb > 52) | (yb < -7) | (yb > 37)
    near = (array(body).ravel() > 0) & (np.hypot(x, y) < 60) & (np.abs(z) < 50)
    values = dose.ravel()
    assert (near & inside).sum() > 20
    assert values[near & inside].min() > 2.5 * values[near & outside].max()


def test_the_fluence_is_the_mean_of_what_moving_leaves_leave_open():
    """Against 200 still pictures of 0.1 mm pixels, blurred and turned by points."""
    from scipy import ndimage

    mlc = MultiLeafCollimator("Y", (-30.0, -10.0, 5.0, 30.0))
    leaves = (
        np.array([[-20.0, -20.0], [-10.0, 4.0], [0.0, 12.4]]),
        np.array([[-20.0, -20.0], [2.0, 25.0], [0.0, 12.4]]),
    )
    jaws = {"jaws_x_mm": (-22.0, 12.0), "jaws_y_mm": (-15.0, 20.0)}
    one = beam(*(ControlPoint(n, 0.0, leaves_mm=leaves[n], **jaws) for n in (0, 1)), mlc=mlc)
    segment = next(segments_of(one))
    size = 80
    fine = (np.arange(size * 5) + 0.5) / 5 - size / 2
    x, y = np.meshgrid(fine, fine)
    shares = np.zeros_like(x)
    for t in (np.arange(200) + 0.5) / 200:
        positions = (1 - t) * leaves[0] + t * leaves[1]
        for pair in range(3):
            low, high = positions[pair]
            shares += (
                (x >= mlc.boundaries_mm[pair]) & (x < mlc.boundaries_mm[pair + 1])
                & (y >= low) & (y < high)
                & (x >= -22) & (x < 12) & (y >= -15) & (y < 20)
            ) / 200  # fmt: skip
    expected = ndimage.gaussian_filter(shares, 2.0 * 5)
    still = fluence_of(segment, size)
    np.testing.assert_allclose(still, expected.reshape(80, 5, 80, 5).mean(axis=(1, 3)), atol=0.01)
    turned = fluence_of(dataclasses.replace(segment, collimator_deg=90.0), size)
    np.testing.assert_allclose(turned, np.rot90(still, -1), atol=1e-6)


def test_a_gap_between_leaves_gets_its_width_in_dose_and_closed_leaves_none():
    """A slit's dose follows its width: half the gap, half the dose behind it."""
    ct, body = cylinder()

    def dose(gap: float) -> np.ndarray:
        leaves = np.tile((-gap / 2, gap / 2), (MLC.pairs, 1))
        points = (ControlPoint(n, 0.0, leaves_mm=leaves, **SQUARE) for n in (0, 1))
        return array(recalculate_plan(ct, TreatmentPlan((beam(*points, mlc=MLC),)), body, ct))

    assert dose(4.0).sum() == pytest.approx(2 * dose(2.0).sum(), rel=0.01)
    with pytest.raises(SyntheticCTError, match="closed"):
        dose(0.0)


class Told(Progress):
    def __init__(self):
        self.fractions = []

    def report(self, step, fraction, **details):
        self.fractions.append(fraction)


def test_the_dose_lies_on_the_grid_and_tells_its_way_and_what_it_does_not_follow():
    ct, body = cylinder()
    small = cubic_grid(20, 20, 12)
    plan = TreatmentPlan((arc(0, 16, "CW"),), label="ARC", uid="1.2.3.99")
    progress = Told()
    dose = recalculate_plan(ct, plan, body, small, progress)
    assert dose.GetSize() == small.GetSize()
    assert progress.fractions == [0.25, 0.5, 0.75, 1.0]
    whole = array(sitk.Resample(recalculate_plan(ct, plan, body, ct), small))
    np.testing.assert_allclose(array(dose), whole, atol=1e-4)
    line = describe_plan(plan, ct)
    for part in ("plan ARC", "3 control points", "at most 4 degrees", "100.0 MU x 1", "4 x 4 x 4"):
        assert part in line
    assert plan.uid not in line  # it leads to a patient
    assert delivery_notes(plan) == []
    other = dataclasses.replace(plan.beams[0], energy_mv=10.0, flattened=False)
    assert len(delivery_notes(TreatmentPlan((other,)))) == 2


def test_densities_are_those_of_the_curve():
    ct, body = cylinder()
    plan, curve = TreatmentPlan((static(),)), ((-1000.0, 0.001), (0.0, 1.3))
    dense = image_like(np.where(array(body) != 0, 556.57, -1000).astype(np.float32), ct)
    expected = array(recalculate_plan(dense, plan, body, ct))  # 1.3 by the program's own
    found = array(recalculate_plan(ct, plan, body, ct, curve=curve))
    np.testing.assert_allclose(found, expected, atol=2e-3 * expected.max())
    assert abs(found - array(recalculate_plan(ct, plan, body, ct))).max() > 0.02 * expected.max()


def test_a_plan_beside_the_patient_is_refused():
    ct, body = cylinder()
    far = dataclasses.replace(static(), isocentre_mm=(10.0, -20.0, 900.0))
    with pytest.raises(SyntheticCTError, match="miss the body"):
        recalculate_plan(ct, TreatmentPlan((far,)), body, ct)


def test_what_speaks_against_plan_and_ct_or_prescription_is_told():
    """A beam beside the patient, the dose of some fractions only, another prescription."""
    _, body = cylinder()
    dose = image_like(np.full(body.GetSize()[::-1], 50, np.float32), body)
    level = (TargetLevel("PTV", 50.0),)
    plan = TreatmentPlan((static(),), level)
    assert notes_of_plan(plan, body, dose, 50.0) == notes_of_plan(plan, body, dose, None) == []
    far = dataclasses.replace(static(), number=2, isocentre_mm=(0.0, 800.0, 0.0))
    (outside,) = notes_of_plan(TreatmentPlan((static(), far), level), body, dose, 50.0)
    assert "beam 2 (B) lies outside the body on the CT, at 0, 800, 0 mm" in outside
    (other,) = notes_of_plan(plan, body, dose, 45.0)
    assert "is 45 Gy, and the plan's highest level is 50 Gy" in other
    (share,) = notes_of_plan(plan, body, dose * 0.2, 50.0)
    assert "0.2 times the prescription" in share
    boost = dataclasses.replace(static(), number=2, fraction_group=2)
    (groups,) = notes_of_plan(TreatmentPlan((static(), boost), level), body, dose, 50.0)
    assert "2 fraction groups, whose doses are added up" in groups


def test_ct_numbers_beyond_the_density_curve_are_told():
    ct, body = cylinder()
    voxel = np.prod(ct.GetSpacing()) / 1000
    numbers = array(ct).copy()
    middle = tuple(n // 2 for n in numbers.shape)
    numbers[middle[0] - 4 : middle[0] + 4, middle[1], middle[2]] = (
        3071  # what metal of any density has in 12 bits
    )
    metal = image_like(numbers, ct)
    assert notes_beyond_curve({"the true CT": (ct, body)}) == []
    (note,) = notes_beyond_curve({"the true CT": (ct, body), "sCT": (metal, body)})
    assert f"{8 * voxel:.2g} cm3 inside the body of sCT" in note and "2.55" in note
    whole = notes_beyond_curve({"sCT": (metal, body)}, ((10.0, 1.0), (20.0, 1.1)))
    assert "upper end" in whole[0] and "lower end of the density curve (10 HU)" in whole[1]
