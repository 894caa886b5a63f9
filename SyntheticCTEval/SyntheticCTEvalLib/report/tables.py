"""An evaluation as tables, by column: figures, definitions, doses of structures, hot spots."""

from __future__ import annotations

from collections.abc import Mapping

from SyntheticCTEvalLib.evaluation.quantities import (
    QUANTITIES,
    flat,
    is_number,
    quantities_of,
)
from SyntheticCTEvalLib.evaluation.results import Evaluation
from SyntheticCTEvalLib.gamma.hot_spots import HotSpot
from SyntheticCTEvalLib.structures.dvh import DIFFERENCE

DIGITS = 4
DOSE_FIGURES = ("D98", "D95", "D50", "D2", "Dmean", "V95%")


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
    """Return the dose-volume figures, a row a structure and dose; empty where there are none.

    Differences to the true CT are in percent of the prescription, of volumes in points.
    """
    own = evaluation.metrics()["dvh_ct"]
    rows: list[tuple[str, str, Mapping[str, float]]] = []
    for structure, figures in own.items():
        rows.append((structure, "CT", figures))
        for name, result in evaluation.candidates.items():
            found = result.metrics.get("dvh", {}).get(structure)
            if found is not None:
                rows.append((structure, name, found))
    if not rows:
        return {}
    columns: dict[str, list] = {
        "Structure": [structure for structure, _, _ in rows],
        "Dose on": [name for _, name, _ in rows],
        "Volume (cm3)": [round(figures["volume_cm3"], 2) for _, _, figures in rows],
    }
    for key in DOSE_FIGURES:
        unit = "%" if key.startswith("V") else "Gy"
        columns[f"{key.rstrip('%')} ({unit})"] = [round(f[key], DIGITS) for _, _, f in rows]
    for key in DOSE_FIGURES:
        columns[f"{key.rstrip('%')}, difference (%)"] = [
            round(figures.get(key + DIFFERENCE, 0.0), DIGITS) for _, _, figures in rows
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
