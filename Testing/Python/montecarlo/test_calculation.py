"""Dose by Monte Carlo: absolute, by common random numbers, and what is refused.

Small-angle scattering takes the place of the tables that take minutes to make: what is tested here
does not depend on it.
"""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk
from montecarlo_cases import cylinder, gaussian_scattering, square_field
from SyntheticCTEvalLib.montecarlo import calculation, doses
from SyntheticCTEvalLib.montecarlo.batches import Effort
from SyntheticCTEvalLib.montecarlo.doses import montecarlo_doses
from SyntheticCTEvalLib.montecarlo.spectrum import SPECTRA
from SyntheticCTEvalLib.montecarlo.tables import scattering_tables, water_tables
from SyntheticCTEvalLib.plan.beams import TreatmentPlan
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import Progress
from SyntheticCTLib.volumes.grids import grid_of


@pytest.fixture(scope="module")
def tables():
    return water_tables(gaussian_scattering())


def values(image):
    return sitk.GetArrayFromImage(image)


def water_tank(size=(13, 16, 13), spacing=20.0, first_y=10.0):
    grid = grid_of(size, (spacing,) * 3, (-120.0, first_y, -120.0))
    shape = size[::-1]
    return grid, calculation.Volume(np.ones(shape, np.float32), np.ones(shape, dtype=bool))


@pytest.mark.parametrize("energy", SPECTRA)
def test_100_mu_give_1_gray_at_10_cm_depth(energy, tables):
    grid, tank = water_tank()
    plan = square_field(isocentre_mm=(0.0, 100.0, 0.0), energy_mv=energy)
    run = calculation.Calculation(plan, [tank], grid, tables, seed=4)
    dose = run.batch(0, 400_000)[0]
    axis = dose[5:8, :, 5:8].mean(axis=(0, 2))  # planes at 1, 3, ... cm depth
    assert 0.98 * np.interp(100, grid_depths(axis), axis) == pytest.approx(0.98, abs=0.03)
    # Three quarters of the way out lies the edge; beyond it there is scatter only.
    assert dose[6, 5, 0] < 0.12 * dose[6, 5, 6] and dose[6, 5, 6] > 0


def grid_depths(axis):
    return 10 + 20 * np.arange(len(axis))


def test_a_batch_is_the_same_on_any_number_of_processors(tables, monkeypatch):
    grid, tank = water_tank()
    plan = square_field()
    monkeypatch.setattr(calculation, "_CHUNK", 5000)
    found = []
    for count in (1, 3):
        monkeypatch.setattr(calculation, "processors", lambda count=count: count)
        run = calculation.Calculation(plan, [tank], grid, tables, seed=2)
        found.append(run.batch(1, 20_000))
    np.testing.assert_array_equal(*found)
    other = calculation.Calculation(plan, [tank], grid, tables, seed=3).batch(1, 20_000)
    assert not np.array_equal(other, found[0])


def test_one_volume_twice_has_one_dose_and_a_small_change_a_small_noise(tables):
    grid, tank = water_tank()
    denser = calculation.Volume(tank.density * np.float32(1.02), tank.inside)
    run = calculation.Calculation(square_field(), [tank, tank, denser], grid, tables)
    batches = np.stack([run.batch(n, 30_000) for n in range(6)]).astype(float)
    np.testing.assert_array_equal(batches[:, 0], batches[:, 1])
    beam = np.s_[:, 5:8, 3:10, 5:8]
    ratio = batches[:, 2][beam].mean() / batches[:, 0][beam].mean()
    assert 0.97 < ratio < 1.0  # 10 to 20 cm of water attenuate 2 % more
    own = batches[:, 0][beam].std(axis=0).mean()
    difference = (batches[:, 2] - batches[:, 0])[beam].std(axis=0).mean()
    assert difference < 0.6 * own  # independent histories would have 1.41 times the noise


def test_doses_lie_in_the_patient_and_name_what_they_are(monkeypatch, tmp_path):
    monkeypatch.setattr(doses, "scattering_tables", gaussian_scattering)
    ct, body = cylinder()
    effort = Effort(noise_percent=50.0, candidates=20_000)
    (beam,) = square_field(25.0, gantry_deg=90.0).beams
    found = montecarlo_doses(
        TreatmentPlan((beam, replace(beam, fraction_group=2, fractions=4))),
        ct,
        body,
        {"sCT": (ct, body)},
        spacing_mm=10.0,
        effort=effort,
        folder=tmp_path,
    )
    dose, other = values(found.reference), values(found.evaluated["sCT"])
    np.testing.assert_array_equal(dose, other)
    k, j, i = np.unravel_index(dose.argmax(), dose.shape)
    x, y, z = found.reference.TransformIndexToPhysicalPoint((int(i), int(j), int(k)))
    assert x > 50 and abs(y) < 30 and abs(z) < 30  # shone at from the patient's left
    assert dose[:, 0, :].max() == 0  # air
    assert values(found.reference_uncertainty).max() > 0
    assert "pyRadMC 0.2.1" in found.definition and "6 batches" in found.definition
    assert "; 1 beam of the plan, 500 MU in all;" in found.definition  # in two fraction groups
    assert len(list(tmp_path.iterdir())) == 6 and not found.notes


def test_the_pencil_beam_under_it_is_by_the_same_curve(monkeypatch):
    monkeypatch.setattr(doses, "scattering_tables", gaussian_scattering)
    asked, own = [], doses.recalculate_plan

    def recalculated(*given, **more):
        asked.append(more["curve"])
        return own(*given, **more)

    monkeypatch.setattr(doses, "recalculate_plan", recalculated)
    curve = ((-1000.0, 0.001), (0.0, 1.3))
    effort = Effort(noise_percent=90.0, candidates=2000)
    how = {"spacing_mm": 20.0, "effort": effort, "curve": curve}
    montecarlo_doses(square_field(25.0), *cylinder(), {}, **how)
    assert asked == [curve]


def test_a_ct_that_ends_inside_a_field_is_refused():
    ct, body = cylinder(length=8)  # 64 mm
    with pytest.raises(SyntheticCTError, match="ends inside a field"):
        montecarlo_doses(square_field(), ct, body, {})


def test_a_plan_of_another_frame_is_refused():
    ct, body = cylinder()
    ct.SetMetaData("FrameOfReferenceUID", "1.2")
    plan = square_field()
    object.__setattr__(plan, "frame_of_reference", "1.3")
    with pytest.raises(SyntheticCTError, match="different frames"):
        montecarlo_doses(plan, ct, body, {})


def test_fields_that_miss_the_body_are_refused(monkeypatch):
    monkeypatch.setattr(doses, "scattering_tables", gaussian_scattering)
    ct, body = cylinder()
    plan = square_field(5.0, isocentre_mm=(125.0, 0.0, 0.0))
    with pytest.raises(SyntheticCTError, match="miss the body"):
        montecarlo_doses(plan, ct, body, {}, effort=Effort(batches=6, candidates=1000))


@pytest.mark.parametrize("kept", [0, 5, 22])
def test_the_scattering_tables_are_told_only_where_they_are_made(monkeypatch, tmp_path, kept):
    """As pyRadMC does: what is kept of the window (0 to 10, two bins each) comes whole."""
    from pyradmc.data import goudsmit_saunderson

    there = {"columns": kept, "asked": 0}

    def built(lowest, highest, angle, *, cache_dir):
        assert (lowest, angle, cache_dir) == (0.0, 1.0, tmp_path)
        there["columns"] = max(there["columns"], int(2 * highest) + 2)
        there["asked"] += 1
        return SimpleNamespace(ix0=0, values=np.zeros(there["columns"]), bins_per_log=2.0)

    monkeypatch.setenv("SYNTHETIC_CT_CACHE", str(tmp_path))
    monkeypatch.setattr(goudsmit_saunderson, "build_gs_grid", built)
    monkeypatch.setattr(goudsmit_saunderson, "gs_window_from_tables", lambda *_: (0.0, 10.0, 1.0))
    told = []

    class Kept(Progress):
        def report(self, step, fraction, **details):
            told.append((step, fraction))

    assert len(scattering_tables(Kept()).values) == 22
    assert [fraction for _, fraction in told][-1:] == ([] if kept == 22 else [1.0])
    count, asked = len(told), there["asked"]
    scattering_tables(Kept())
    assert (len(told), there["asked"]) == (count, asked)  # in the same process: at once
