"""How candidates are evaluated."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from SyntheticCTLib.basics.errors import SyntheticCTError

from SyntheticCTEvalLib.dose.electron_density import ELECTRON_DENSITY
from SyntheticCTEvalLib.dose.overrides import Override
from SyntheticCTEvalLib.gamma.criteria import Criterion, GammaCriteria
from SyntheticCTEvalLib.placement.ways import BYS, DEFORMABLE, EACH, NONE, WAYS
from SyntheticCTEvalLib.plan.beams import TreatmentPlan
from SyntheticCTEvalLib.plan.prescription import require_prescription
from SyntheticCTEvalLib.planning.request import PlanRequest
from SyntheticCTEvalLib.structures.dvh_points import NO_POINTS, DvhPoints

DEFAULT_PRESCRIPTION_GY = 45.0
"""Of the study (25 fractions of 1.8 Gy), used where dose is recalculated and none is given."""

PENCIL_BEAM, MONTE_CARLO = "pencil-beam", "montecarlo"

NO_END_CAPS = (
    "Structures of an RTSTRUCT end at their last contours, as asked for, and not half a contour "
    "spacing beyond them."
)
"""The note of an evaluation whose structures were read without end caps."""

_OF_CALCULATION = {
    "dose_engine": "Monte Carlo",
    "dose_noise_percent": "noise",
    "dose_minutes": "time",
    "leaf_transmission_percent": "leaf transmission",
    "density_curve": "density curve",
    "overrides": "CT numbers of structures",
    "dose_spacing_mm": "grid of the dose",
}
_OF_DOSE = {
    "criteria": "gamma criteria",
    "cutoffs_percent": "cutoffs",
    "gamma_cap": "largest gamma",
    "gamma_engine": "gamma engine",
}
"""Fields of EvaluationSettings that need such a dose, and what a note calls them."""


@dataclass(frozen=True)
class EvaluationSettings:
    """How candidates are evaluated.

    Attributes:
        prescription_gy: prescription; None for 45 Gy where dose is recalculated, and for the
            largest reference dose where it is imported.
        prescription_planned: it is that of the plan (:meth:`for_plan`).
        registration: how the candidates are laid on the CT: "none" (they lie there already),
            "rigid", or "deformable" (rigid first).
        registration_by: "candidate" registers each candidate onto the CT by itself; "mr" finds
            one transform between MR and CT, which carries the MR and all candidates.
        dose: evaluate dose, imported or recalculated.
        target: name of the structure that the fields are shaped to; found by name when None.
        dose_spacing_mm: grid of a recalculated dose.
        criteria: gamma criteria, global to the prescription unless local; the first is that of
            gamma maps and hot spots, the others give pass rates.
        cutoffs_percent: lower dose cutoffs of the gamma pass rates, of the prescription.
        gamma_cap: gamma is searched up to this value.
        gamma_engine: "exact" or "pymedphys".
        dose_engine: what recalculates dose: PENCIL_BEAM (of a plan that is given or made, or
            seven fields of its own) or MONTE_CARLO (of a plan that is given or made).
        planning: the plan that is to be made on the true CT (planning.treatment), where there is
            neither a plan nor dose; without levels, none.
        dose_noise_percent, dose_minutes: at which Monte Carlo stops, whichever comes first (see
            montecarlo.batches, which also looks at the noise of pass rates by the first criterion).
        leaf_transmission_percent: of the photons, that closed leaves let through in Monte Carlo.
        density_curve: CT number in HU and density relative to water that Monte Carlo takes; the
            program's own (dose.electron_density) when empty.
        overrides: structures and the CT numbers in HU that dose is calculated with in them, or
            outside the bodies as a couch (dose.overrides).
        dvh_points: points of dose-volume histograms by structure (structures.dvh_points); those
            of common practice where nothing is said.
        mask_nan: leave voxels of CT and candidates that are no numbers out of the image figures.

    Raises:
        SyntheticCTError: a prescription that is not above 0, no gamma criterion, no points, or an
            unknown registration.
    """

    prescription_gy: float | None = None
    prescription_planned: bool = False
    registration: str = DEFORMABLE
    registration_by: str = EACH
    dose: bool = True
    target: str | None = None
    dose_spacing_mm: float = 3.0
    criteria: tuple[Criterion, ...] = (Criterion(),)
    cutoffs_percent: tuple[float, ...] = (10.0, 60.0)
    gamma_cap: float = 2.0
    gamma_engine: str = "exact"
    dose_engine: str = PENCIL_BEAM
    dose_noise_percent: float = 0.15
    dose_minutes: float = 15.0
    planning: PlanRequest = field(default_factory=PlanRequest)
    leaf_transmission_percent: float = 0.0
    density_curve: tuple[tuple[float, float], ...] = ()
    overrides: tuple[Override, ...] = ()
    dvh_points: str = ""
    mask_nan: bool = False

    def __post_init__(self) -> None:
        dose = self.prescription_gy
        if dose is not None:
            require_prescription(dose)
        if not self.criteria:
            raise SyntheticCTError("No gamma criterion is given: give one, such as 1 %/1 mm.")
        if self.registration not in WAYS or self.registration_by not in BYS:
            raise SyntheticCTError(
                f"The registration {self.registration} by {self.registration_by} is unknown: give "
                f"{', '.join(WAYS)}, by {' or '.join(BYS)}."
            )
        if not (math.isfinite(self.dose_spacing_mm) and 0.5 <= self.dose_spacing_mm <= 20):
            raise SyntheticCTError(
                f"The grid of the dose is {self.dose_spacing_mm:g} mm: give 0.5 to 20 mm."
            )
        if self.dose_engine not in (PENCIL_BEAM, MONTE_CARLO):
            raise SyntheticCTError(
                f"There is no dose engine {self.dose_engine!r}: choose {PENCIL_BEAM} or "
                f"{MONTE_CARLO}."
            )
        for value in (self.dose_noise_percent, self.dose_minutes):
            if not (math.isfinite(value) and value > 0):
                raise SyntheticCTError(
                    f"Monte Carlo is to stop at {value:g}: give a noise in percent and a time in "
                    "minutes above 0."
                )
        if not 0 <= self.leaf_transmission_percent <= 10:
            raise SyntheticCTError(
                f"Closed leaves are to let {self.leaf_transmission_percent:g} % through: give 0 to "
                "10 %, such as 1.5."
            )
        if self.leaf_transmission_percent and self.dose_engine != MONTE_CARLO:
            raise SyntheticCTError(
                "What closed leaves let through is calculated by Monte Carlo alone: give "
                f"--dose-engine {MONTE_CARLO}, or no leaf transmission."
            )
        if self.density_curve and self.dose_engine != MONTE_CARLO:
            raise SyntheticCTError(
                f"A density curve is taken by Monte Carlo alone: give --dose-engine {MONTE_CARLO}, "
                "or no curve."
            )
        self.gamma_criteria(dose)
        DvhPoints.parse(self.dvh_points)

    @property
    def curve(self) -> tuple[tuple[float, float], ...]:
        """CT number to density: the one given, else the program's own."""
        return self.density_curve or ELECTRON_DENSITY

    @property
    def registered(self) -> bool:
        """Whether candidates are registered at all."""
        return self.registration != NONE

    def gamma_criteria(self, prescription_gy: float | None) -> tuple[GammaCriteria, ...]:
        """Return what gamma is asked for at a prescription, one entry a criterion."""
        return tuple(
            GammaCriteria(
                dose_percent=criterion.dose_percent,
                distance_mm=criterion.distance_mm,
                local=criterion.local,
                normalization_gy=prescription_gy,
                cutoffs_percent=self.cutoffs_percent,
                cap=self.gamma_cap,
            )
            for criterion in dict.fromkeys(self.criteria)
        )

    def for_plan(self, plan: TreatmentPlan | None) -> EvaluationSettings:
        """Return the settings with the prescription of a plan whose dose is calculated, where no
        other is given."""
        own = plan.prescription_gy if plan else None
        if not own or self.prescription_gy:
            return self
        return replace(self, prescription_gy=own, prescription_planned=True)

    def left_out(self, recalculated: bool, histograms: bool) -> list[str]:
        """Return notes on what was asked for and is without effect.

        Args:
            recalculated: dose is recalculated, neither imported nor left out.
            histograms: there are structures and doses.
        """
        notes = [NO_POINTS] if self.dvh_points and not histograms else []
        if not recalculated:
            notes += self._without(_OF_CALCULATION, "of a dose that is calculated, and none was")
        if not self.dose:
            notes += self._without(_OF_DOSE, "of dose, which was not evaluated")
        return notes

    def _without(self, fields: Mapping[str, str], why: str) -> list[str]:
        """A note on those of ``fields`` that were asked for, of which ``why`` says what lacks."""
        usual = EvaluationSettings()
        asked = [
            told for name, told in fields.items() if getattr(self, name) != getattr(usual, name)
        ]
        told = ", ".join(asked)
        return [f"What was asked for ({told}) is {why}: it is without effect."] if asked else []

    def prescription_kind(self, imported: bool) -> str:
        """Return where the prescription is from: "given", "planned", "assumed", "largest" dose.

        Args:
            imported: doses are given and not recalculated.
        """
        if self.prescription_gy is not None:
            return "planned" if self.prescription_planned else "given"
        return "largest" if imported else "assumed"

    def prescription_origin(self, imported: bool) -> str:
        """Return where the prescription comes from, in a sentence.

        Args:
            imported: doses are given and not recalculated.
        """
        return {
            "given": "As given.",
            "planned": "The highest level that the plan prescribes.",
            "largest": (
                "No prescription was given: the largest dose on the true CT stands for it, and "
                "doses are normalised to that."
            ),
            "assumed": (
                f"No prescription was given: {DEFAULT_PRESCRIPTION_GY:g} Gy, the study's, are "
                "assumed."
            ),
        }[self.prescription_kind(imported)]

    def purposes(self, imported: bool) -> list[str]:
        """Return what packages are needed for, as SyntheticCTMRML.packages names it.

        Args:
            imported: doses are given and not recalculated.
        """
        calculated = self.dose and not imported
        needed = {
            "evaluation": True,
            "registration": self.registration == DEFORMABLE,
            "recalculation": calculated and self.dose_engine == PENCIL_BEAM,
            "montecarlo": calculated and self.dose_engine == MONTE_CARLO,
            "pymedphys": self.gamma_engine == "pymedphys",
        }
        return [purpose for purpose, asked in needed.items() if asked]
