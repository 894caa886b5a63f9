"""Dose-volume histograms as one table: a row a dose, a column a structure and dose."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
from SyntheticCTLib.basics.outputs import staged_file

from SyntheticCTEvalLib.evaluation.results import Evaluation
from SyntheticCTEvalLib.structures.dvh import Dvh

DOSE = "Dose (Gy)"
TRUE_CT = "CT"
ROWS = 401


def dvh_columns(evaluation: Evaluation) -> dict[str, list[float]]:
    """Return the table by column: the doses in Gy from 0 to beyond the largest, then percents.

    A column "STRUCTURE, NAME" is the part of the structure's volume, in percent, that receives
    at least the row's dose on the candidate NAME, or on the true CT ("CT"). Structures whose
    dose is not known are left out. Empty without dose or structures.
    """
    every = {TRUE_CT: evaluation.dvh_ct}
    every |= {name: candidate.dvh for name, candidate in evaluation.candidates.items()}
    curves = {
        f"{structure}, {name}": dvhs[structure]
        for structure in evaluation.dvh_ct
        for name, dvhs in every.items()
        if structure in dvhs and dvhs[structure].doses_gy.size
    }
    if not curves:
        return {}
    doses = np.linspace(0, 1.02 * max(dvh.max_gy for dvh in curves.values()), ROWS)
    columns = {DOSE: doses.tolist()}
    return columns | {name: _percents(dvh, doses).tolist() for name, dvh in curves.items()}


def write_dvh_csv(evaluation: Evaluation, path: str | os.PathLike) -> Path:
    """Write the table of :func:`dvh_columns` and return its path.

    Raises:
        SyntheticCTError: ``path`` cannot be written.
    """
    path = Path(path)
    columns = dvh_columns(evaluation)
    with staged_file(path) as stage, stage.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(columns)
        for row in zip(*columns.values(), strict=True):
            writer.writerow([f"{row[0]:.4f}", *(f"{value:.3f}" for value in row[1:])])
    return path


def _percents(dvh: Dvh, doses: np.ndarray) -> np.ndarray:
    """Percent of the samples whose dose is at least each of ``doses``."""
    reached = np.searchsorted(-dvh.doses_gy, -doses, side="right")
    return 100 * reached / dvh.doses_gy.size
