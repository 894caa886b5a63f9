"""How candidates are evaluated."""

from __future__ import annotations

import math
from dataclasses import dataclass

from SyntheticCTLib.basics.errors import SyntheticCTError

from SyntheticCTEvalLib.gamma.criteria import GammaCriteria

DEFAULT_PRESCRIPTION_GY = 45.0
"""Of the study (25 fractions of 1.8 Gy), used where dose is recalculated and none is given."""

NO_END_CAPS = (
    "Structures of an RTSTRUCT end at their last contours, as asked for, and not half a contour "
    "spacing beyond them."
)
"""The note of an evaluation whose structures were read without end caps."""


@dataclass(frozen=True)
class EvaluationSettings:
    """How candidates are evaluated.

    Attributes:
        prescription_gy: prescription; None for 45 Gy where dose is recalculated, and for the
            largest reference dose where it is imported.
        register: register the candidates onto the CT, rigidly and then deformably.
        dose: evaluate dose, imported or recalculated.
        target: name of the structure that the fields are shaped to; found by name when None.
        dose_spacing_mm: grid of a recalculated dose.
        cutoffs_percent: lower dose cutoffs of the gamma pass rates, of the prescription.
        dose_percent, distance_mm, gamma_local, gamma_cap: gamma criterion; global to the
            prescription unless local.
        gamma_engine: "exact" or "pymedphys".
        mask_nan: leave voxels of CT and candidates that are no numbers out of the image figures.

    Raises:
        SyntheticCTError: a prescription that is not above 0, or no gamma criterion.
    """

    prescription_gy: float | None = None
    register: bool = True
    dose: bool = True
    target: str | None = None
    dose_spacing_mm: float = 3.0
    cutoffs_percent: tuple[float, ...] = (10.0, 60.0)
    dose_percent: float = 1.0
    distance_mm: float = 1.0
    gamma_local: bool = False
    gamma_cap: float = 2.0
    gamma_engine: str = "exact"
    mask_nan: bool = False

    def __post_init__(self) -> None:
        dose = self.prescription_gy
        if dose is not None and not (math.isfinite(dose) and dose > 0):
            raise SyntheticCTError(
                f"The prescription is {dose:g} Gy: give a dose above 0, or none."
            )
        self.criteria(dose)

    def criteria(self, prescription_gy: float | None) -> GammaCriteria:
        """Return the gamma criterion for a prescription."""
        return GammaCriteria(
            dose_percent=self.dose_percent,
            distance_mm=self.distance_mm,
            local=self.gamma_local,
            normalization_gy=prescription_gy,
            cutoffs_percent=self.cutoffs_percent,
            cap=self.gamma_cap,
        )

    def prescription_origin(self, imported: bool) -> str:
        """Return where the prescription comes from, in a sentence.

        Args:
            imported: doses are given and not recalculated.
        """
        if self.prescription_gy is not None:
            return "As given."
        if imported:
            return "No prescription was given: the largest dose on the true CT stands for it."
        return (
            f"No prescription was given: {DEFAULT_PRESCRIPTION_GY:g} Gy, the study's, are assumed."
        )

    def purposes(self, imported: bool) -> list[str]:
        """Return what packages are needed for, as SyntheticCTMRML.packages names it.

        Args:
            imported: doses are given and not recalculated.
        """
        needed = {
            "evaluation": True,
            "registration": self.register,
            "recalculation": self.dose and not imported,
            "pymedphys": self.gamma_engine == "pymedphys",
        }
        return [purpose for purpose, asked in needed.items() if asked]
