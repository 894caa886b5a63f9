"""An evaluation as tables, by column: figures, definitions, structures' doses, hot spots, DVHs."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from SyntheticCTLib.basics.outputs import staged_file

from SyntheticCTEvalLib.evaluation.quantities import (
    QUANTITIES,
    describe,
    flat,
    is_number,
    quantities_of,
)
from SyntheticCTEvalLib.evaluation.results import Evaluation
from SyntheticCTEvalLib.gamma.hot_spots import HotSpot
from SyntheticCTEvalLib.structures.dvh import DIFFERENCE, DIFFERENCE_GY, Dvh
from SyntheticCTEvalLib.structures.dvh_points import told_point

DIGITS = 4
DOSE = "Dose (Gy)"
TRUE_CT = "CT"
DVH_ROWS = 401


def metrics_columns(evaluation: Evaluation) -> dict[str, list]:
    """Return the figures: what is measured, then one column a candidate; NaN where there is none.

    Dose-volume figures are in :func:`dose_volume_columns`.
    """
    entries = {name: result.metrics for name, result in evaluation.candidates.items()}
    told = quantities_of(entries.values())
    columns: dict[str, list] = {
        "Metric": [q.label + (f" ({q.unit})" if q.unit else "") for q in told.values()]
    }
    for name, entry in entries.items():
        values = flat(entry)
        found = [values.get(key) for key in told]
        columns[name] = [round(v, DIGITS) if is_number(v) else float("nan") for v in found]
    return columns


def definition_columns(evaluation: Evaluation) -> dict[str, list[str]]:
    """Return the definitions table by column; the notes of the evaluation are its last rows."""
    rows = [
        (QUANTITIES[key].label if key in QUANTITIES else key, text)
        for key, text in evaluation.definitions.items()
    ]
    rows += [("Note", note) for note in evaluation.notes]
    rows.append(("Use", "Research use only, not a medical device"))
    return {"Metric": [row[0] for row in rows], "Definition": [row[1] for row in rows]}


def dose_volume_columns(evaluation: Evaluation) -> dict[str, list]:
    """Return the dose-volume points asked for, a row a structure and point.

    Differences are candidate minus true CT, in the row's unit (of percents: points), and for
    doses in percent of the prescription as well. Empty where there are none.
    """
    own, shown = evaluation.dvh_ct_figures(), evaluation.shown_points()
    rows = [(structure, point) for structure, points in shown.items() for point in points]
    if not rows:
        return {}
    prescription = f"{evaluation.prescription_gy:.4g} Gy"
    units = [describe(("dvh", structure, point)).unit for structure, point in rows]
    columns: dict[str, list] = {
        "Structure": [structure for structure, _ in rows],
        "Volume (cm3)": [round(own[structure]["volume_cm3"], 2) for structure, _ in rows],
        "Point": [told_point(point, prescription) for _, point in rows],
        "Unit": units,
        "CT": [round(own[structure][point], DIGITS) for structure, point in rows],
    }
    for name, result in evaluation.candidates.items():
        if found := result.metrics.get("dvh"):
            percent = [found[structure][point + DIFFERENCE] for structure, point in rows]
            own_unit = [
                found[structure].get(point + DIFFERENCE_GY, found[structure][point + DIFFERENCE])
                for structure, point in rows
            ]
            columns[name] = [round(found[structure][point], DIGITS) for structure, point in rows]
            columns[f"{name} - CT"] = [round(value, DIGITS) for value in own_unit]
            columns[f"{name} - CT (% of prescription)"] = [
                round(value if unit == "Gy" else math.nan, DIGITS)
                for value, unit in zip(percent, units, strict=True)
            ]
    return columns


def hot_spot_columns(spots: Mapping[str, list[HotSpot]]) -> dict[str, list]:
    """Return the hot spots of every candidate, the worst first; places in mm, LPS."""
    rows = [
        (name, float(rank), spot) for name, found in spots.items() for rank, spot in _ranked(found)
    ]
    return {
        "Candidate": [name for name, _, _ in rows],
        "Rank": [rank for _, rank, _ in rows],
        "Largest gamma": [round(spot.maximum, DIGITS) for _, _, spot in rows],
        "Volume (cm3)": [round(spot.volume_cm3, DIGITS) for _, _, spot in rows],
        "L (mm)": [round(spot.point_mm[0], DIGITS) for _, _, spot in rows],
        "P (mm)": [round(spot.point_mm[1], DIGITS) for _, _, spot in rows],
        "S (mm)": [round(spot.point_mm[2], DIGITS) for _, _, spot in rows],
    }


def _ranked(spots: list[HotSpot]) -> list[tuple[int, HotSpot]]:
    return list(enumerate(spots, start=1))


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
    doses = np.linspace(0, 1.02 * max(dvh.max_gy for dvh in curves.values()), DVH_ROWS)
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
