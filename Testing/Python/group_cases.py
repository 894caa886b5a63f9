"""Cohorts made by hand, with doses in the patients' targets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from SyntheticCTEvalLib.cohort.records import Cohort, PatientRecord

POINTS = ("D98", "D95", "D50", "D2", "Dmean")


def dose_cohort(folder: Path, differences: dict[str, np.ndarray], **more) -> Cohort:
    """Return a cohort whose target differs by these percents in every point, a row a patient.

    Args:
        differences: by candidate.
        more: lists of what else the patients' metrics.json hold, by key.
    """
    count = len(next(iter(differences.values())))
    records = []
    for n in range(count):
        target = more.get("target", ["PTV"] * count)[n]
        metrics = {
            "definitions": {},
            "candidates": {
                name: _candidate(target, float(rows[n]), n) for name, rows in differences.items()
            },
            "dvh_ct": {target: dict.fromkeys(POINTS, 45.0)},
            "prescription_gy": 45.0,
            "prescription_kind": "given",
            "registration": {"way": "deformable", "by": "candidate"},
            "notes": [],
        }
        metrics |= {key: values[n] for key, values in more.items()} | {"target": target}
        records.append(PatientRecord(f"P{n + 1}", folder / "patients" / f"P{n + 1}", metrics))
    return Cohort(records, baseline=next(iter(differences)))


def _candidate(target: str, difference: float, n: int) -> dict:
    dvh = {point: 45 + difference * 0.45 for point in POINTS}
    dvh |= {f"{point}_difference": difference for point in POINTS}
    dvh |= {"V40Gy": 99.0, "V40Gy_difference": difference / 2}
    rates = {"1%/1mm": {"10": 99 - n / 9, "60": 95 - n / 9}, "3%/2mm": {"10": 100 - n / 10}}
    return {
        "mae_body": 30.0 + n,
        "ssim": 0.95 + n / 1000,
        "gpr": rates["1%/1mm"],
        "gpr_criteria": rates,
        "dvh": {target: dvh, "Bladder": {"D2": 40.0, "D2_difference": difference / 3}},
    }
