"""What a cohort keeps of every patient: the figures, and the slices for the cohort's pictures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from SyntheticCTEvalLib.evaluation.limits import Acceptance
from SyntheticCTEvalLib.evaluation.names import shown_by_notes, told_all
from SyntheticCTEvalLib.placement.ways import NONE

METRICS, PICTURES = "metrics.json", "cohort.npz"


@dataclass
class CohortPictures:
    """Slices of one patient, sampled along the patient's axes at ``step_mm`` (row 0 on top).

    The axial ones are seen from the feet, the coronal ones from the front; all axial slices of
    a patient have one shape, and so have all coronal ones. NaN where there is nothing to show.

    Attributes:
        step_mm: side of a pixel.
        axial_ct: true CT in HU through the middle of the target, else of the body.
        axial_before, axial_after: candidates there in HU, as they came and registered.
        axial_mr: the MR there, as acquired; None without MR.
        coronal_ct, coronal_dose: true CT in HU and the dose on it in Gy; None without dose.
        coronal_gamma: gamma by candidate; NaN where it was not evaluated.
        mr_axial: MR on the axial plane of its own grid (paper, Figure 6); None without MR.
        mr_candidates: candidates on that plane in HU, before any registration.
        raw_edges, raw, normalized_edges, normalized: histograms of the MR's foreground before
            and after Nyul (paper, Figure 3), as in results.HistogramSet, of this scan alone;
            empty where no model was given.
    """

    step_mm: float
    axial_ct: np.ndarray
    axial_before: dict[str, np.ndarray]
    axial_after: dict[str, np.ndarray]
    axial_mr: np.ndarray | None = None
    coronal_ct: np.ndarray | None = None
    coronal_dose: np.ndarray | None = None
    coronal_gamma: dict[str, np.ndarray] = field(default_factory=dict)
    mr_axial: np.ndarray | None = None
    mr_candidates: dict[str, np.ndarray] = field(default_factory=dict)
    raw_edges: np.ndarray = field(default_factory=lambda: np.empty(0))
    raw: np.ndarray = field(default_factory=lambda: np.empty(0))
    normalized_edges: np.ndarray = field(default_factory=lambda: np.empty(0))
    normalized: np.ndarray = field(default_factory=lambda: np.empty(0))

    def write(self, path: Path) -> None:
        """Write to a compressed .npz file without pickle."""
        arrays: dict[str, Any] = {}
        for name, value in vars(self).items():
            if isinstance(value, dict):
                arrays |= {f"{name}/{candidate}": array for candidate, array in value.items()}
            elif value is not None:
                arrays[name] = value
        with path.open("wb") as stream:
            np.savez_compressed(stream, **arrays)

    @classmethod
    def read(cls, path: Path) -> CohortPictures:
        """Read what :meth:`write` wrote."""
        values: dict[str, Any] = {"axial_before": {}, "axial_after": {}}
        with np.load(path, allow_pickle=False) as arrays:
            for key in arrays.files:
                name, separator, candidate = key.partition("/")
                if separator:
                    values.setdefault(name, {})[candidate] = arrays[key]
                else:
                    values[name] = arrays[key]
        values["step_mm"] = float(values["step_mm"])
        return cls(**values)


@dataclass
class PatientRecord:
    """One evaluated patient of a cohort.

    Attributes:
        patient: name in the manifest.
        folder: folder of the patient's results (report.html, maps, metrics.json, cohort.npz).
        metrics: content of metrics.json. Besides results.Evaluation.metrics(), where the
            manifest has an MR, every candidate has "ssim_mr" and "dsc_body_mr": against the MR
            without registration (paper, Table 3).
        acceptance: limits that its candidates were held against; None without.
        shown: what its candidates are called here, by their names in the files; empty where they
            are called by these (see :meth:`Cohort.as_shown`).
    """

    patient: str
    folder: Path
    metrics: dict[str, Any]
    acceptance: Acceptance | None = None
    shown: Mapping[str, str] = field(default_factory=dict)

    @property
    def registered(self) -> bool:
        """Whether its candidates were registered onto the true CT, as far as it is told."""
        return self.metrics.get("registration", {}).get("way", NONE) != NONE

    @classmethod
    def read(cls, patient: str, folder: Path) -> PatientRecord:
        """Read the record that lies in ``folder``."""
        return cls(patient, folder, json.loads((folder / METRICS).read_text(encoding="utf-8")))

    def pictures(self) -> CohortPictures:
        """Return the slices for the cohort's pictures, by what candidates are called here."""
        found = CohortPictures.read(self.folder / PICTURES)
        for name, value in vars(found).items():
            if isinstance(value, dict):
                setattr(found, name, self._called(value))
        return found

    def as_shown(self, shown: Mapping[str, str]) -> PatientRecord:
        """Return the record with its candidates called as ``shown`` has them, by their names."""
        renamed = replace(self, shown=shown)
        metrics = dict(self.metrics)
        if "candidates" in metrics:
            metrics["candidates"] = renamed._called(metrics["candidates"])
        for key in ("definitions", "notes"):
            if key in metrics:
                metrics[key] = told_all(metrics[key], shown)
        return replace(renamed, metrics=metrics)

    def _called(self, by_candidate: dict[str, Any]) -> dict[str, Any]:
        return {self.shown.get(name, name): value for name, value in by_candidate.items()}


@dataclass
class Cohort:
    """An evaluated cohort, from which tables, figures and report are made.

    Attributes:
        patients: those evaluated, in the manifest's order.
        failed: one sentence by patient that could not be evaluated.
        notes: parts that were skipped for want of a column, and why; warnings.
        baseline: candidate that the others are compared with ("MRCAT" where there is one,
            else the last).
        acceptance: limits of patients that have none of their own; None without.
        origin: what the results were made of (basics.fingerprint.origin); empty where that is
            not known.
    """

    patients: list[PatientRecord]
    failed: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    baseline: str = ""
    acceptance: Acceptance | None = None
    origin: dict[str, Any] = field(default_factory=dict)

    def shown_names(self) -> dict[str, str]:
        """Return what every candidate is called in reports, by its name (evaluation.names)."""
        metrics = [record.metrics for record in self.patients]
        names = dict.fromkeys(name for each in metrics for name in each.get("candidates", {}))
        return shown_by_notes(names, {note for each in metrics for note in each.get("notes", [])})

    def as_shown(self) -> Cohort:
        """Return the cohort with candidates, in texts too, called as reports call them.

        metrics.json keeps their names.
        """
        shown = self.shown_names()
        return replace(
            self,
            patients=[record.as_shown(shown) for record in self.patients],
            failed=told_all(self.failed, shown),
            notes=told_all(self.notes, shown),
            baseline=shown.get(self.baseline, self.baseline),
        )

    def limits_of(self, record: PatientRecord) -> Acceptance | None:
        """Return the limits that a patient was held against."""
        return record.acceptance or self.acceptance

    def acceptances(self) -> list[Acceptance]:
        """Return all files of limits that patients were held against, each once."""
        found = {a.sha256: a for r in self.patients if (a := self.limits_of(r)) is not None}
        return list(found.values())
