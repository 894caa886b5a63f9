"""Water's cross-sections and the scattering tables, made once and kept in the user's cache."""

from __future__ import annotations

import functools
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from SyntheticCTLib.basics.progress import SILENT, Progress

if TYPE_CHECKING:
    from pyradmc.data.goudsmit_saunderson import GSGridTables
    from pyradmc.data.tables import CrossSectionTables

    from .transport import Tables

_E_MAX_MEV = 11.0
"""Above the highest photon of the spectra (source.SPECTRA)."""
PCUT_MEV = 0.01
"""Photons below are absorbed where they are. pyRadMC's own 0.05 MeV leaves 1 % too much of 0.3 MeV
photons in 30 cm of water (Testing/VALIDATION.md)."""
_PHOTOELECTRIC = (
    (0.005, 41.92),
    (0.01, 4.944),
    (0.015, 1.370),
    (0.02, 0.5437),
    (0.03, 0.1457),
    (0.04, 0.05680),
    (0.05, 0.02725),
    (0.06, 0.01493),
    (0.08, 0.005770),
    (0.1, 0.002762),
    (0.15, 0.0007307),
    (0.2, 0.0002887),
    (0.3, 8.160e-5),
    (0.5, 1.883e-5),
)
"""MeV and cm2/g of water, NIST XCOM (Berger and Hubbell, NBSIR 87-3597); lines between logarithms,
the last one continued. pyRadMC's power law is 10 % too high at 0.05 MeV."""
_PARTS = 12
_MADE: dict[Path, GSGridTables] = {}
"""By the folder that they are kept in, for what runs in the same process later."""


def cache_folder() -> Path:
    """Return the folder where tables are kept: SYNTHETIC_CT_CACHE, or in the user's cache."""
    own = os.environ.get("SYNTHETIC_CT_CACHE")
    if own:
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "synthetic-ct"


@functools.lru_cache(maxsize=1)
def _cross_sections() -> CrossSectionTables:
    from pyradmc import ECUT_MEV
    from pyradmc.data.analytic import AnalyticCrossSections
    from pyradmc.data.interface import PhotonProcess

    class Water(AnalyticCrossSections):
        """pyRadMC's, with the photoelectric effect of XCOM."""

        def mu_over_rho(self, energy: float, material: int, process: int) -> float:
            if process == PhotonProcess.PHOTOELECTRIC:
                return photoelectric(energy)
            return super().mu_over_rho(energy, material, process)

        def mu_over_rho_total(self, energy: float, material: int) -> float:
            channels = PhotonProcess.COMPTON, PhotonProcess.PHOTOELECTRIC, PhotonProcess.PAIR
            return sum(self.mu_over_rho(energy, material, process) for process in channels)

    source = Water(geometry_densities=((0, 1.0),))
    return source.build_tables(ecut=ECUT_MEV, pcut=PCUT_MEV, e_max=_E_MAX_MEV)


def photoelectric(energy_mev: float) -> float:
    """Return water's mass attenuation by the photoelectric effect, cm2/g."""
    energies, values = np.log(_PHOTOELECTRIC).T
    log = math.log(energy_mev)
    if log <= energies[-1]:
        return math.exp(np.interp(log, energies, values))
    slope = (values[-1] - values[-2]) / (energies[-1] - energies[-2])
    return math.exp(values[-1] + slope * (log - energies[-1]))


def scattering_tables(progress: Progress = SILENT) -> GSGridTables:
    """Return the Goudsmit-Saunderson deflections of electrons in water.

    They take minutes at the first use, which alone is told. They are kept in :func:`cache_folder`,
    each part as it is made, written whole or not at all; what is damaged is made anew (pyRadMC sees
    to that).
    """
    folder = cache_folder()
    if folder not in _MADE:
        _MADE[folder] = _made_or_kept(folder, progress)
    return _MADE[folder]


def _made_or_kept(folder: Path, progress: Progress) -> GSGridTables:
    from pyradmc.data.goudsmit_saunderson import build_gs_grid, gs_window_from_tables

    lowest, highest, angle = gs_window_from_tables(_cross_sections(), [0])
    step = "Scattering tables (once on this machine)"
    kept = False
    for part in range(1, _PARTS + 1):  # what is there is taken, the window only grows
        upper = lowest + (highest - lowest) * part / _PARTS
        grid = build_gs_grid(lowest, upper, angle, cache_dir=folder)
        if part == 1:  # what was kept comes whole, however little of it was asked for
            last = grid.ix0 + len(grid.values) - 1
            kept = last > math.floor(highest * grid.bins_per_log)
        if not kept:
            progress.report(step, part / _PARTS)
    return grid


def water_tables(scattering: GSGridTables) -> Tables:
    """Return water's data as they are followed in."""
    from pyradmc.data.interface import _GS_BINS_PER_LOG, _GS_THETA2_MIN

    from .transport import Tables

    host = _cross_sections()
    photon = np.stack([host.mu_compton[0], host.mu_photo[0], host.mu_pair[0]])
    electron = [
        host.csda_range[0],
        host.restricted_range[0],
        host.moller[0],
        host.stopping_radiative[0],
        host.scattering_power[0],
        host.log_eta[0],
    ]
    return Tables(
        photon=np.ascontiguousarray(np.vstack([photon, photon.sum(axis=0)]).T),
        electron=np.ascontiguousarray(np.stack(electron).T),
        energy_of_range=np.ascontiguousarray(host.energy_of_restricted_range[0]),
        photon_grid=(host.photon_log_e_min, host.photon_inv_dlog),
        electron_grid=(host.electron_log_e_min, host.electron_inv_dlog),
        range_grid=(host.range_log_r_min, host.range_inv_dlog),
        scattering=np.ascontiguousarray(scattering.values),
        first_screening=scattering.ix0,
        first_angle=scattering.iy0,
        bins_per_log=float(_GS_BINS_PER_LOG),
        least_angle=float(_GS_THETA2_MIN),
        pcut=host.pcut,
        ecut=host.ecut,
    )
