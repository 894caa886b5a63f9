"""How many photons a monitor unit is, and their energies."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from SyntheticCTLib.basics.errors import SyntheticCTError

from SyntheticCTEvalLib.plan.beams import TreatmentPlan
from SyntheticCTEvalLib.plan.source import PlanSource

GRAY_PER_MEV_PER_GRAM = 1.602176634e-10


class Spectrum(NamedTuple):
    """Photons of a nominal energy.

    Attributes:
        name: of the fit of Ali and Rogers, Phys Med Biol 57:31, 2012, to the spectrum on the axis.
        mev_per_gram: energy per mass in water at 10 cm depth, of one photon a mm2 at the
            isocentre's plane, field 10 x 10 cm, SSD 90 cm: what this engine gives there
            (Testing/VALIDATION.md).
    """

    name: str
    mev_per_gram: float


SPECTRA = {6.0: Spectrum("elekta-6mv", 3.399), 10.0: Spectrum("varian-10mv", 4.994)}
"""By nominal energy in MV, with a flattening filter. Of the fits for 6 MV it is the one whose depth
dose is that of common machines: PDD(10) 66.8 %, TPR20,10 0.670 (the pencil beam's is 0.675). The
fit called varian-6mv gives 65.4 % and 0.654, here as in ompMC (Testing/VALIDATION.md)."""


def photons_per_mu(energy_mv: float) -> float:
    """Return the photons a MU and mm2 at the isocentre's plane.

    100 MU give 1 Gy in water at 10 cm depth, field 10 x 10 cm, SSD 90 cm, as for the pencil beam
    (dose.pencil_beam.gray_per_mu).
    """
    return 0.01 / (GRAY_PER_MEV_PER_GRAM * SPECTRA[energy_mv].mev_per_gram)


def require_spectra(plan: TreatmentPlan) -> None:
    """Refuse a plan with a beam of an energy for which there is no spectrum."""
    for beam in plan.beams:
        if beam.energy_mv not in SPECTRA:
            known = ", ".join(f"{energy:g}" for energy in SPECTRA)
            raise SyntheticCTError(
                f"Beam {beam.number} of the plan is of {beam.energy_mv:g} MV, and Monte Carlo has "
                f"a spectrum for {known} MV: give such a plan, or import its dose."
            )


def drawn(
    source: PlanSource, seed: int, batch: int, candidates: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw photons with their energies: the same ones for the same numbers.

    Args:
        source: of :func:`photons_per_mu`.
        candidates: as of plan.source.PlanSource.rays.

    Returns:
        energies (n,) MeV, positions (n, 3) mm in LPS (the source's), directions (n, 3).
    """
    from pyradmc.geometry.spectrum import ali_rogers_mv

    rays = source.rays(seed, batch, candidates)
    energies = np.empty(len(rays.energy_mv))
    for nominal in np.unique(rays.energy_mv):
        own = rays.energy_mv == nominal
        spectrum = ali_rogers_mv(SPECTRA[float(nominal)].name)
        energies[own] = spectrum.sample_energies(*rays.shares[:, own])
    return energies, rays.positions, rays.directions
