"""Cohorts for tests: the study's figures, with small slices made up as pictures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from study import STUDY
from SyntheticCTEvalLib.cohort.records import METRICS, PICTURES, Cohort, CohortPictures
from SyntheticCTEvalLib.cohort.records import PatientRecord as Record

CANDIDATES = ("MRCAT", "sCT")
PLACES = {
    "SSIM": ("ssim", ""),
    "MAE": ("mae_image", ""),
    "GPR above 4.5 Gy": ("gpr", "10"),
    "GPR above 27 Gy": ("gpr", "60"),
    "SSIM against MR": ("ssim_mr", ""),
    "DSC against MR": ("dsc_body_mr", ""),
}
"""Where metrics.json has the figures of the study."""

STEP_MM = 5.0
AXIAL, CORONAL = (40, 70), (24, 70)


def study_cohort(folder: Path, pictures: bool = False) -> Cohort:
    """Return the study's ten patients with the figures that it printed."""
    records = []
    for patient in range(10):
        candidates: dict[str, dict] = {name: {} for name in CANDIDATES}
        for figure, (key, part) in PLACES.items():
            for name, row in zip(CANDIDATES, STUDY[figure], strict=True):
                if part:
                    candidates[name].setdefault(key, {})[part] = row[patient]
                else:
                    candidates[name][key] = row[patient]
        metrics = {
            "definitions": {"ssim": "SSIM as printed.", "gpr": f"Gamma; {patient} voxels"},
            "candidates": candidates,
            "prescription_gy": 45.0,
            "registration": {"way": "deformable", "by": "candidate"},
            "notes": [],
        }
        record = Record(f"P{patient + 1}", folder / "patients" / f"P{patient + 1}", metrics)
        if pictures:
            write_record(record, slices(patient))
        records.append(record)
    return Cohort(records, baseline="MRCAT")


def write_record(record: Record, pictures: CohortPictures | None) -> None:
    """Write what a patient's evaluation leaves for the cohort."""
    record.folder.mkdir(parents=True, exist_ok=True)
    (record.folder / METRICS).write_text(json.dumps(record.metrics), encoding="utf-8")
    (record.folder / "report.html").write_text("a report", encoding="utf-8")
    if pictures is not None:
        pictures.write(record.folder / PICTURES)


def slices(seed: int = 0, candidates: tuple[str, ...] = CANDIDATES) -> CohortPictures:
    """Return slices of an oval patient; candidates are 100 HU too dense, all gamma is 0.5."""
    axial, coronal = _oval(AXIAL), _oval(CORONAL)
    ct = np.where(axial, 40.0, -1000.0).astype(np.float32)
    edges = np.linspace(0, 1000 + 40 * seed, 33)
    middles = (edges[1:] + edges[:-1]) / 2
    share = np.exp(-(((middles - 300 - 20 * seed) / 100) ** 2))
    normalized = np.exp(-(((np.linspace(0, 1, 32) - 0.3) / 0.1) ** 2))
    return CohortPictures(
        step_mm=STEP_MM,
        axial_ct=ct,
        axial_before={name: np.roll(ct, 3, 1) + 100 for name in candidates},
        axial_after={name: ct + 100 for name in candidates},
        axial_mr=np.where(axial, 300.0, 3.0),
        coronal_ct=np.where(coronal, 40.0, -1000.0),
        coronal_dose=np.where(coronal, 45.0, 1.0),
        coronal_gamma={name: np.where(coronal, 0.5, np.nan) for name in candidates},
        mr_axial=np.where(axial, 300.0, 3.0),
        mr_candidates={name: ct + 100 for name in candidates},
        raw_edges=edges,
        raw=share / share.sum(),
        normalized_edges=np.linspace(0, 1, 33),
        normalized=normalized / normalized.sum(),
    )


def _oval(shape: tuple[int, int]) -> np.ndarray:
    rows, columns = np.indices(shape)
    middle, size = np.array(shape) / 2, np.array(shape) * 0.42
    return ((rows - middle[0]) / size[0]) ** 2 + ((columns - middle[1]) / size[1]) ** 2 < 1
