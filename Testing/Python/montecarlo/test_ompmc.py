"""Water and slabs against ompMC (EGSnrc's physics), whose figures are stored.

Short runs with small-angle scattering in place of the tables; the figures themselves are made by
Testing/Benchmarks/montecarlo_slabs.py.
"""

import importlib.util
import json

import numpy as np
import pytest
from montecarlo_cases import gaussian_scattering
from places import REPOSITORY
from SyntheticCTEvalLib.montecarlo.tables import _cross_sections, photoelectric, water_tables
from SyntheticCTEvalLib.montecarlo.transport import Medium, follow

PATH = REPOSITORY / "Testing" / "Benchmarks" / "montecarlo_slabs.py"
NIST = {0.3: 0.1186, 0.6: 0.08956, 1.0: 0.07072, 2.0: 0.04942, 4.0: 0.03403}
NIST |= {6.0: 0.02770, 10.0: 0.02219}  # cm2/g, Hubbell and Seltzer, NISTIR 5632
STORED = json.loads((PATH.parent.parent / "Data" / "ompmc.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def slabs():
    spec = importlib.util.spec_from_file_location("montecarlo_slabs", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.scattering_tables = gaussian_scattering
    return module


def test_attenuation_is_that_of_nist():
    found = _cross_sections()
    count = found.mu_compton.shape[1]
    energies = np.exp(found.photon_log_e_min + np.arange(count) / found.photon_inv_dlog)
    whole = found.mu_compton[0] + found.mu_photo[0] + found.mu_pair[0]
    own = np.interp(np.log(list(NIST)), np.log(energies), whole)
    # Without coherent scattering, which is 0.3 % at 0.3 MeV and less above.
    np.testing.assert_allclose(own, list(NIST.values()), rtol=0.0045)
    assert photoelectric(0.05) == pytest.approx(0.02725, rel=1e-6)
    assert photoelectric(0.07) == pytest.approx(0.0091, rel=0.02)
    assert photoelectric(0.4) == pytest.approx(3.6e-5, rel=0.1)


@pytest.mark.parametrize("energy", ["0.3", "1.0"])
def test_photons_leave_as_much_energy_in_water_as_ompmcs(energy):
    """Photons that are absorbed too early leave 1.6 % more of 0.3 MeV."""
    count = 150_000
    medium = Medium(
        np.ones((30, 31, 31), np.float32), 1.0, (-15.5, -15.5, 0.0), (1.0,) * 3, (15.5, 15.5, 30.0)
    )
    left = np.zeros(medium.density.shape)
    start, along = (np.tile(v, (count, 1)) for v in ([0.0, 0.0, -1.0], [0.0, 0.0, 1.0]))
    tables = water_tables(gaussian_scattering())
    follow(np.full(count, float(energy)), start, along, 5, 0, medium, tables, left)
    expected = STORED["left in 30 cm of water"][energy]
    assert left.sum() / count / float(energy) == pytest.approx(expected, rel=0.006)


@pytest.mark.parametrize("case", ["bone", "lung"])
def test_dose_in_slabs_is_that_of_ompmc(case, slabs):
    as_water, layers, step = slabs.CASES[case]
    own = slabs.in_layers(layers, step, 5.0, slabs.kernel(layers, step, 200_000, 1))
    other = slabs.in_layers(layers, step, 5.0, np.array(STORED[as_water]["squares"]))
    for place, value in own.items():
        assert value == pytest.approx(other[place], rel=0.04), place
