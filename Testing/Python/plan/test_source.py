"""Source photons of a plan cross the isocentre's plane inside the opening, evenly."""

import dataclasses

import numpy as np
import pytest
from montecarlo_cases import square_field, turning_beam
from SyntheticCTEvalLib.montecarlo.spectrum import drawn, photons_per_mu, require_spectra
from SyntheticCTEvalLib.plan import source as source_module
from SyntheticCTEvalLib.plan.beams import TreatmentPlan
from SyntheticCTEvalLib.plan.geometry import PATIENT_AXES, beam_axes
from SyntheticCTEvalLib.plan.source import plan_source
from SyntheticCTLib.basics.errors import SyntheticCTError


@pytest.fixture
def sharp(monkeypatch):
    monkeypatch.setattr(source_module, "EDGE_BLUR_MM", 0.0)


def crossing(positions, directions, axes, isocentre):
    """Xb, Yb where photons cross the isocentre's plane."""
    away = positions - isocentre
    t = -(away @ axes.zb) / (directions @ axes.zb)
    on_plane = away + t[:, np.newaxis] * directions
    return on_plane @ axes.xb, on_plane @ axes.yb


@pytest.mark.parametrize("position", PATIENT_AXES)
def test_photons_of_a_still_beam_cross_inside_the_jaws_of_any_patient(position, sharp):
    turned = dataclasses.replace(
        square_field().beams[0].control_points[0],
        gantry_deg=130.0,
        collimator_deg=25.0,
        couch_deg=300.0,
        jaws_x_mm=(-10.0, 40.0),
        jaws_y_mm=(5.0, 25.0),
    )
    beam = dataclasses.replace(
        square_field().beams[0],
        isocentre_mm=(7.0, 8.0, 9.0),
        control_points=(turned, dataclasses.replace(turned, meterset_weight=1.0)),
    )
    plan = TreatmentPlan((beam,), patient_position=position)
    energies, positions, directions = drawn(plan_source(plan), 3, 0, 4000)
    axes = beam_axes(beam, turned, position)
    np.testing.assert_allclose(positions, np.tile(axes.source_mm, (4000, 1)), atol=1e-9)
    xb, yb = crossing(positions, directions, axes, beam.isocentre_mm)
    assert (np.abs(xb - 15) < 25).all() and (np.abs(yb - 15) < 10).all()
    assert abs(xb.mean() - 15) < 1 and abs(yb.std() - 20 / np.sqrt(12)) < 0.3
    assert energies.min() > 0.1 and energies.max() < 6.5 and abs(energies.mean() - 1.78) < 0.1


@pytest.mark.parametrize("direction", ["CW", "CC"])
def test_photons_of_an_arc_follow_gantry_and_leaves(direction, sharp):
    beam = turning_beam(direction)
    source = plan_source(TreatmentPlan((beam,)))
    _, positions, directions = drawn(source, 1, 0, 40_000)
    # Each photon's gantry angle from where it started; the plain state at that angle.
    level = beam_axes(beam, dataclasses.replace(beam.control_points[0], gantry_deg=0.0))
    side = beam_axes(beam, dataclasses.replace(beam.control_points[0], gantry_deg=90.0))
    away = positions - beam.isocentre_mm
    sign = 1 if direction == "CW" else -1
    angle = sign * np.rad2deg(np.arctan2(away @ side.zb, away @ level.zb))
    assert angle.min() > -10.001 and angle.max() < 60.001
    weight = np.interp(angle, [-10, 20, 60], [0, 0.25, 1])
    ends = np.array([point.leaves_mm for point in beam.control_points])
    counts = np.zeros(len(weight), dtype=bool)
    for n in range(0, len(weight), 400):
        state = dataclasses.replace(beam.control_points[0], gantry_deg=sign * angle[n])
        axes = beam_axes(beam, state)
        xb, yb = crossing(positions[[n]], directions[[n]], axes, beam.isocentre_mm)
        pair = np.searchsorted(beam.mlc.boundaries_mm, yb[0]) - 1
        low, high = (np.interp(weight[n], [0, 0.25, 1], ends[:, pair, side]) for side in (0, 1))
        counts[n] = max(low, -25) - 1e-6 <= xb[0] <= min(high, 60) + 1e-6 and -30 <= yb[0] <= 40
    assert counts[::400].all()
    # Photons are as many as MU times open area: all of it by a plain sum.
    moments = np.linspace(0, 1, 2001)
    moments = (moments[1:] + moments[:-1]) / 2
    strips = np.clip(beam.mlc.boundaries_mm, -30, 40)
    area = 0.0
    for pair, width in enumerate(np.diff(strips)):
        low, high = (np.interp(moments, [0, 0.25, 1], ends[:, pair, side]) for side in (0, 1))
        area += width * np.maximum(np.minimum(high, 60) - np.maximum(low, -25), 0).mean()
    kept = len(positions) / 40_000 * source.output
    assert kept == pytest.approx(200 * 3 * area, rel=0.02)


def test_angles_that_differ_by_rounding_are_no_turn():
    beam = turning_beam()
    first, second, last = beam.control_points
    second = dataclasses.replace(second, gantry_deg=first.gantry_deg - 2e-4)
    plan = TreatmentPlan((dataclasses.replace(beam, control_points=(first, second, last)),))
    source = plan_source(plan)
    np.testing.assert_allclose(source.gantry[:, 1], [0, 70], atol=1e-3)


def test_the_same_numbers_draw_the_same_photons_and_others_do_not():
    source = plan_source(square_field())
    one, again, other = (drawn(source, *key, 100)[2] for key in ((1, 2), (1, 2), (1, 3)))
    np.testing.assert_array_equal(one, again)
    assert not np.isclose(one, other).all(axis=1).any()


def test_closed_fields_and_other_energies_are_refused():
    with pytest.raises(SyntheticCTError, match="every field is closed"):
        plan_source(square_field(0.0))
    with pytest.raises(SyntheticCTError, match="15 MV"):
        require_spectra(square_field(energy_mv=15.0))


def test_every_beam_has_the_photons_of_its_energy(sharp):
    """6 and 10 MV, jaws apart, so that each photon tells its beam."""
    low, high = (
        dataclasses.replace(
            square_field(10.0).beams[0], number=n, energy_mv=energy, isocentre_mm=(at, 0.0, 0.0)
        )
        for n, energy, at in ((1, 6.0, -50.0), (2, 10.0, 50.0))
    )
    source = plan_source(TreatmentPlan((low, high)), photons_per_mu)
    energies, positions, _ = drawn(source, 1, 0, 40_000)
    first = positions[:, 0] < 0
    assert energies[first].max() < 6.5 and 9 < energies[~first].max() < 10.47
    photons = [photons_per_mu(energy) for energy in (6.0, 10.0)]
    assert first.mean() == pytest.approx(photons[0] / sum(photons), abs=0.01)
    assert source.output == pytest.approx(100 * 400 * sum(photons))


def test_closed_leaves_let_their_share_through_between_the_jaws(sharp):
    """A gap that moves: what is open and what is closed, counted in each photon's moment."""
    beam = turning_beam()
    still = [dataclasses.replace(p, gantry_deg=0.0, gantry_direction="NONE") for p in
             beam.control_points]  # fmt: skip
    beam = dataclasses.replace(beam, control_points=tuple(still))
    plan = TreatmentPlan((beam,))
    plain, leaky = plan_source(plan), plan_source(plan, leaf_transmission=0.02)
    count = 200_000
    _, _, positions, directions = leaky.rays(1, 0, count)
    whole = len(positions) / count * leaky.output
    opened = len(plain.rays(1, 0, count).positions) / count * plain.output
    # Leaves open an area, and 2 % of the rest of the jaws' (in the MLC's reach) comes through.
    jaws = 85.0 * 70.0 * 200 * 3
    assert whole == pytest.approx(opened + 0.02 * (jaws - opened), rel=0.01)
    axes = beam_axes(beam, still[0])
    xb, yb = crossing(positions, directions, axes, beam.isocentre_mm)
    assert xb.min() > -25.001 and xb.max() < 60.001 and yb.min() > -30.001 and yb.max() < 40.001
    outside = xb > 30.0  # where no leaf opens
    expected = 0.02 * 30 * 70 / (85 * 70) * jaws / whole
    assert outside.mean() == pytest.approx(expected, rel=0.15)


def test_a_field_without_leaves_has_no_leaf_that_leaks(sharp):
    assert (
        plan_source(square_field(), leaf_transmission=0.02).output
        == plan_source(square_field()).output
    )
