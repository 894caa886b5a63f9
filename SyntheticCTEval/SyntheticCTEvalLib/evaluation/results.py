"""What an evaluation returns: the volumes and numbers that report, scene and files are made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from SyntheticCTEvalLib.planning.treatment import PlannedTreatment
from SyntheticCTEvalLib.structures.dvh_points import DvhPoints

from .limits import Acceptance, Verdict, acceptance_entry
from .mr_histograms import HistogramSet

if TYPE_CHECKING:
    import SimpleITK as sitk
    from SyntheticCTLib.registration.rigid_and_deformable import Registration

    from SyntheticCTEvalLib.gamma.criteria import GammaResult
    from SyntheticCTEvalLib.gamma.hot_spots import HotSpot
    from SyntheticCTEvalLib.structures.dvh import Dvh


SCHEMA = "urn:synthetic-ct:metrics:1"
"""Version of metrics.json: it changes where a name or a meaning does."""

NO_DIFFERENCE = -32768
"""Marks voxels without a difference in maps of differences in whole HU (int16)."""


@dataclass(frozen=True)
class Moved:
    """What was laid on the true CT, and how: what pictures of the registration are made of.

    Attributes:
        original: the volume as it came, on its own grid.
        registration: None where it was taken to lie on the CT already.
    """

    original: sitk.Image
    registration: Registration | None


@dataclass
class CandidateResult:
    """One candidate (synthetic CT, MRCAT, ...) held against the true CT.

    Attributes:
        name: the name the user gave it ("sCT", "MRCAT").
        volume: CT numbers in HU on the true CT's grid, registered unless that was turned off.
        difference: ``volume`` minus true CT in HU on the CT's grid (float32, NaN where nothing
            was compared; in Slicer whole HU, int16, and :data:`NO_DIFFERENCE`).
        body: body contour of ``volume`` (uint8, 0 or 1) on the CT's grid.
        dose: dose in Gy on its own grid; None where no dose was evaluated.
        dose_difference: ``dose`` minus dose on the true CT in Gy (float32) on the latter's grid,
            :data:`NO_DOSE_DIFFERENCE` where one of them is not known.
        gamma: gamma of ``dose`` against the dose on the true CT; None without dose.
        metrics: this candidate's entry of metrics.json.
        dvh: dose-volume histograms of ``dose`` by structure; empty without dose or structures.
        hot_spots: where ``gamma`` is above 1, the worst place first.
        moved: how ``volume`` came to lie there; None where the evaluation was read from files.
    """

    name: str
    volume: sitk.Image
    difference: sitk.Image
    body: sitk.Image
    dose: sitk.Image | None = None
    dose_difference: sitk.Image | None = None
    gamma: GammaResult | None = None
    metrics: dict[str, Any] = field(default_factory=dict)
    dvh: dict[str, Dvh] = field(default_factory=dict)
    hot_spots: list[HotSpot] = field(default_factory=list)
    moved: Moved | None = None


@dataclass
class Evaluation:
    """An evaluated patient.

    Attributes:
        ct: true CT in HU.
        body: body contour of the true CT (uint8) on its grid.
        candidates: by name, in the order the user gave.
        dose_ct: dose on the true CT in Gy on its own grid; None where no dose was evaluated.
        mr: the MR that the synthetic CT was made of, on its own grid, where it is known.
        mr_registered: the MR on the true CT's grid, where the transform was found between the two
            (``settings.registration_by``); 0 outside its field of view.
        mr_moved: how ``mr_registered`` came to lie there; None where read from files.
        registration: which way was taken: way, by, metric, and "mr", the figures of the MR's
            registration, where that was it.
        histograms: MR histograms before and after Nyul, where they are known.
        structures: masks (uint8) by name, on any grid.
        target: name of the structure that is the target; found by name when None.
        dvh_ct: dose-volume histograms of ``dose_ct`` by structure.
        dvh_points: points of them that were asked for, as in the settings.
        prescription_gy: dose in Gy that is 100 %.
        prescription_kind: where that comes from: "given", "assumed" or "planned" as the
            prescription, or the "largest" dose on the true CT; "" without dose.
        planned: the plan, where it was made for this evaluation (origin.tell_plan).
        patient: the patient's pseudonym; "" where none is given.
        acceptance: limits that the candidates were held against; None without.
        verdicts: what they say, by candidate (acceptance.verdicts.judge).
        definitions: one line a number: region, window, normalisation, cutoff, interpolation.
        notes: what the reader must know (warnings, parts that were skipped and why).
        origin: what it was made of (basics.fingerprint.origin); empty where that is not known.
    """

    ct: sitk.Image
    body: sitk.Image
    candidates: dict[str, CandidateResult]
    dose_ct: sitk.Image | None = None
    mr: sitk.Image | None = None
    mr_registered: sitk.Image | None = None
    mr_moved: Moved | None = None
    registration: dict[str, Any] = field(default_factory=dict)
    histograms: HistogramSet | None = None
    structures: dict[str, sitk.Image] = field(default_factory=dict)
    target: str | None = None
    dvh_ct: dict[str, Dvh] = field(default_factory=dict)
    dvh_points: str = ""
    prescription_gy: float | None = None
    prescription_kind: str = ""
    planned: PlannedTreatment | None = None
    patient: str = ""
    acceptance: Acceptance | None = None
    verdicts: dict[str, list[Verdict]] = field(default_factory=dict)
    definitions: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    origin: dict[str, Any] = field(default_factory=dict)

    def shown_points(self) -> dict[str, list[str]]:
        """Return the names of the dose-volume points that reports show, by structure."""
        dose, asked = self.prescription_gy, DvhPoints.parse(self.dvh_points)
        return {
            name: [point.name for point in asked.shown(name, dose, self.target)]
            for name in self.dvh_ct
            if dose
        }

    def dvh_ct_figures(self) -> dict[str, dict[str, float]]:
        """Return the dose-volume figures on the true CT by structure, as metrics.json has them."""
        dose, asked = self.prescription_gy, DvhPoints.parse(self.dvh_points)
        return {
            name: dvh.figures(dose, asked.for_structure(name, dose, self.target))
            for name, dvh in self.dvh_ct.items()
            if dose
        }

    @property
    def warnings(self) -> list[str]:
        """What the reader must know, each sentence once: what the report says first."""
        return list(dict.fromkeys(self.notes))

    def metrics(self) -> dict[str, Any]:
        """Return the content of metrics.json (see report/metrics.schema.json)."""
        return {
            "schema": SCHEMA,
            "patient": self.patient,
            "definitions": self.definitions,
            "candidates": {name: result.metrics for name, result in self.candidates.items()},
            "dvh_ct": self.dvh_ct_figures(),
            "dvh_points": self.shown_points(),
            "target": self.target,
            "prescription_gy": self.prescription_gy,
            "prescription_kind": self.prescription_kind,
            "plan": self.planned and self.planned.figures(),
            "acceptance": self.acceptance and acceptance_entry(self.acceptance, self.verdicts),
            "registration": self.registration,
            "notes": self.notes,
            "origin": self.origin,
        }
