"""Energies of a plan's photons."""

from __future__ import annotations

import numpy as np
from SyntheticCTLib.basics.errors import SyntheticCTError

from SyntheticCTEvalLib.plan.beams import TreatmentPlan
from SyntheticCTEvalLib.plan.source import PlanSource

SPECTRA = {6.0: "varian-6mv"}
"""Spectrum by nominal energy in MV: fits of Ali and Rogers, Phys Med Biol 57:31, 2012."""


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
        candidates: as of source.PlanSource.rays.

    Returns:
        energies (n,) MeV, positions (n, 3) mm in LPS (the source's), directions (n, 3).
    """
    from pyradmc.geometry.spectrum import ali_rogers_mv

    shares, positions, directions = source.rays(seed, batch, candidates)
    return ali_rogers_mv(SPECTRA[6.0]).sample_energies(*shares), positions, directions
