"""Recalculated dose: how deep beams reach, what they are normalised to, what it says."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import SimpleITK as sitk
from beams import (
    CENTRE,
    SPACING,
    along,
    array,
    coordinates,
    cubic_grid,
    cylinder,
    open_field,
    single,
)
from SyntheticCTEvalLib.dose.electron_density import electron_density
from SyntheticCTEvalLib.dose.recalculation import (
    describe,
    dose_grid,
    plan_for_target,
    recalculate_dose,
)
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import Progress
from SyntheticCTLib.volumes.grids import grid_of, image_like
from SyntheticCTLib.volumes.resampling import resample


def water_tank(spacing: float) -> tuple[sitk.Image, sitk.Image]:
    """Water 200 x 200 mm wide whose surface lies at y = 0."""
    wide = round(200 / spacing) | 1
    side = -spacing * (wide - 1) / 2
    grid = grid_of((wide, int(220 / spacing), wide), (spacing,) * 3, (side, spacing / 2, side))
    size = grid.GetSize()[::-1]
    return image_like(np.zeros(size, np.int16), grid), image_like(np.ones(size, np.uint8), grid)


def test_depth_dose_in_water_is_that_of_6_mv():
    """10 x 10 cm at SSD 100 cm: PDD(10 cm) 66 to 67.5 % and dmax about 1.5 cm (BJR 25: 67.5)."""
    ct, body = water_tank(3.0)
    dose = recalculate_dose(ct, single(0, 100, 100, (0, 0, 0)), body, ct)
    depths = np.arange(1.5, 210)
    curve = along(dose, (0, 0, 0), (0, 1, 0), depths)
    percent = 100 * curve / curve.max()
    assert np.interp(100, depths, percent) == pytest.approx(66.8, abs=0.7)
    assert np.interp(200, depths, percent) == pytest.approx(38.3, abs=0.7)
    assert 12 <= depths[percent.argmax()] <= 18


@pytest.mark.parametrize("spacing", [3.0, 5.0])
def test_a_monitor_unit_means_the_same_on_every_grid(spacing):
    """100 MU give 1 Gy in water at 10 cm depth, SSD 90 cm, 10 x 10 cm."""
    ct, body = water_tank(spacing)
    dose = recalculate_dose(ct, single(0, 100, 100, (0, 100, 0)), body, ct)
    assert along(dose, (0, 0, 0), (0, 1, 0), [100])[0] == pytest.approx(1.0, rel=0.01)


def test_couch_and_noise_outside_the_body_change_nothing():
    ct, body = cylinder()
    numbers = array(ct)
    numbers[:, -4:] = 300
    with_couch = image_like(numbers, ct)
    dose = array(recalculate_dose(ct, single(180), body, ct))
    np.testing.assert_array_equal(dose, array(recalculate_dose(with_couch, single(180), body, ct)))
    assert not dose[array(body) == 0].any()


def test_gas_raises_bone_lowers_and_one_percent_of_density_moves_the_dose_behind_it():
    ct, body = cylinder()
    depth_before = 80.0  # mm of water before CENTRE
    water = along(recalculate_dose(ct, single(0), body, ct), CENTRE, (0, 1, 0), [20])[0]

    def change(numbers: np.ndarray) -> float:
        dose = recalculate_dose(image_like(numbers, ct), single(0), body, ct)
        return along(dose, CENTRE, (0, 1, 0), [20])[0] / water - 1

    x, y, _ = coordinates(ct)
    for hu in (-1000, 1000):
        numbers = array(ct)
        numbers[(np.abs(x) < 30) & (np.abs(y + 30) < 10)] = hu
        # 20 mm whose density differs, times the attenuation of about 0.45 % a mm
        expected = -0.0045 * 20 * (float(electron_density(np.array(hu))) - 1)
        assert change(numbers) == pytest.approx(expected, rel=0.35)
    heavier = np.where(array(body) > 0, np.float32(1 / 0.041 * 0.01 * 40), np.float32(-1000))
    assert electron_density(heavier.max()) == pytest.approx(1.01, abs=1e-4)
    assert change(heavier) == pytest.approx(-0.0045 * 0.01 * (depth_before + 20), rel=0.35)


def elliptic_pelvis() -> tuple[sitk.Image, sitk.Image, sitk.Image]:
    """Water with bone rods and a gas pocket; body; a target that lies off the middle."""
    grid = cubic_grid(152, 104, 60)
    x, y, z = coordinates(grid)
    body = (x / 140) ** 2 + (y / 95) ** 2 <= 1
    hu = np.where(body, 20, -1000).astype(np.int16)
    hu[np.hypot(np.abs(x) - 80, y) < 20] = 500
    hu[np.hypot(x, y - 45) < 12] = -900
    target = ((x - 12) / 28) ** 2 + (y / 20) ** 2 + (z / 24) ** 2 <= 1
    return tuple(
        image_like(values, grid) for values in (hu, body.astype(np.uint8), target.astype(np.uint8))
    )


def test_the_plan_gives_the_prescription_once_and_the_candidate_gets_the_same_monitor_units():
    ct, body, target = elliptic_pelvis()
    plan, planned = plan_for_target(target, ct, body, 45.0, grid=ct)
    inside = array(target) > 0
    dose = array(recalculate_dose(ct, plan, body, ct))
    np.testing.assert_array_equal(array(planned), dose)
    assert len(plan.gantry_angles_deg) == 7
    assert dose[inside].mean() == pytest.approx(45.0, rel=1e-4)
    assert np.percentile(dose[inside], 2) > 0.93 * 45
    assert dose[inside].max() < 1.07 * 45
    assert dose.max() < 1.1 * 45

    denser = image_like(np.where(array(body) > 0, array(ct) + 30, -1000).astype(np.int16), ct)
    lower = array(recalculate_dose(denser, plan, body, ct))
    assert 0.96 < lower[inside].mean() / 45 < 0.99
    np.testing.assert_array_equal(dose, array(recalculate_dose(ct, plan, body, ct)))


def test_dose_is_nowhere_below_zero_far_from_the_fields():
    grid = cubic_grid(60, 60, 160)
    x, y, _ = coordinates(grid)
    body = image_like((np.hypot(x, y) <= 50).astype(np.uint8), grid)
    ct = image_like(np.where(np.hypot(x, y) <= 50, 0, -1000).astype(np.int16), grid)
    dose = array(recalculate_dose(ct, single(40), body, grid))
    assert dose.min() == 0 < dose.max()


def test_without_a_target_the_plan_says_that_it_took_a_sphere():
    ct, body = cylinder()
    plan, _ = plan_for_target(None, ct, body, 20.0, gantry_angles_deg=(0.0, 180.0), grid=ct)
    assert plan.isocentre_mm == pytest.approx(CENTRE, abs=0.1)
    assert "sphere of 35 mm radius" in plan.description
    line = describe(plan, ct)
    for word in ("pydosert 1.", "TPR20,10 0.675", "gantry 0, 180", "20 Gy", "4 x 4 x 4 mm", "air"):
        assert word in line
    assert "\n" not in line


def test_the_dose_grid_covers_the_body_with_a_margin():
    _, body = cylinder()
    grid = dose_grid(body, 3.0)
    assert grid.GetSpacing() == (3.0, 3.0, 3.0)
    placed = array(resample(body, grid, fill=0, nearest=True))
    assert placed.sum() * 27 == pytest.approx(int(array(body).sum()) * SPACING**3, rel=0.03)
    for axis in range(3):
        assert not np.take(placed, [0, -1], axis=axis).any()


def test_fine_voxels_are_averaged_and_not_skipped():
    """A checkerboard of 1 mm voxels counts with its mean density, whatever the dose grid."""
    coarse, body = cylinder()
    fine = cubic_grid(96, 96, 56, 1.0)
    k, j, i = np.indices(fine.GetSize()[::-1])
    hu = np.where((i + j + k) % 2, 40, -40).astype(np.int16)
    mean = float(electron_density(np.array([40, -40])).mean())
    number = np.interp(mean, [1, 1.041], [0, 40]) if mean > 1 else (mean - 1) / 0.067 * 98
    even = image_like(np.full(hu.shape, number, np.float32), fine)
    placed = resample(body, fine, fill=0, nearest=True)
    first = array(recalculate_dose(image_like(hu, fine), single(0), placed, coarse))
    second = array(recalculate_dose(even, single(0), placed, coarse))
    np.testing.assert_allclose(first, second, atol=2e-3 * second.max())


def test_electron_density_knows_its_anchors():
    hu = np.array([-3000, -1000, 0, 40, 1524, 9000])
    np.testing.assert_allclose(
        electron_density(hu), [0.001, 0.001, 1, 1.041, 1.781, 2.55], rtol=1e-6
    )
    assert (np.diff(electron_density(np.arange(-1000, 3072))) > 0).all()


def test_progress_names_every_field():
    seen = []

    class Recorder(Progress):
        def report(self, step, fraction, **details):
            seen.append((step, round(fraction, 2)))

    ct, body = cylinder(8.0)
    plan = dataclasses.replace(
        single(0),
        gantry_angles_deg=(0.0, 90.0),
        fluence=np.stack([open_field(40, 40)] * 2),
        monitor_units=(50.0, 50.0),
    )
    recalculate_dose(ct, plan, body, ct, Recorder())
    assert seen == [("dose", 0.5), ("dose", 1.0)]


def test_bad_input_is_told_in_one_sentence():
    ct, body, _ = elliptic_pelvis()
    nothing = sitk.Image(body) * 0
    with pytest.raises(SyntheticCTError, match="body is empty"):
        dose_grid(nothing)
    with pytest.raises(SyntheticCTError, match="target is empty"):
        plan_for_target(nothing, ct, body)
    outside = image_like(1 - array(body), body)
    with pytest.raises(SyntheticCTError, match="outside the body"):
        plan_for_target(outside, ct, body)
    with pytest.raises(SyntheticCTError, match="fields miss the body"):
        recalculate_dose(ct, single(0, at=(0, 0, 900)), body, ct)
    wide = cubic_grid(240, 40, 40, 8.0)
    everything = image_like(np.ones(wide.GetSize()[::-1], np.uint8), wide)
    with pytest.raises(SyntheticCTError, match="field can open"):
        plan_for_target(everything, image_like(array(everything) * 0, wide), everything)


def test_the_dose_does_not_depend_on_the_number_of_threads():
    import torch

    ct, body = cylinder()
    before = torch.get_num_threads()
    try:
        doses = []
        for threads in (1, 2):
            torch.set_num_threads(threads)
            doses.append(array(recalculate_dose(ct, single(51.4), body, ct)).tobytes())
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert doses[0] == doses[1]
