"""An evaluation as tables, by column: figures, definitions, doses of structures, hot spots."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from SyntheticCTEvalLib.evaluation.results import Evaluation
from SyntheticCTEvalLib.gamma.hot_spots import HotSpot
from SyntheticCTEvalLib.structures.dvh import DIFFERENCE, DIFFERENCE_GY

from .quantities import describe

DIGITS = 4

LABELS = {
    "mae_image": "MAE, whole image (HU)",
    "mae_body": "MAE, body (HU)",
    "me_image": "Mean error, whole image (HU)",
    "me_body": "Mean error, body (HU)",
    "rmse_image": "RMSE, whole image (HU)",
    "rmse_body": "RMSE, body (HU)",
    "psnr_image": "PSNR, whole image (dB)",
    "psnr_body": "PSNR, body (dB)",
    "ssim": "SSIM, whole image",
    "ssim_body": "SSIM, body",
    "ssim_3d": "SSIM in 3D, whole image",
    "ssim_3d_body": "SSIM in 3D, body",
    "ms_ssim": "MS-SSIM, whole image",
    "ms_ssim_body": "MS-SSIM, body",
    "dsc_body": "DSC of the body contour",
    "hd95_body": "95 % Hausdorff distance of the body contour (mm)",
    "dsc_bone": "DSC of the bones",
    "msd_bone": "Mean surface distance of the bones (mm)",
    "hd95_bone": "95 % Hausdorff distance of the bones (mm)",
    "hu_histogram": "HU histogram",
    "tissue_mae": "MAE, {} (HU)",
    "background_hu": "Around the patient, where air is -1000 (HU)",
    "coverage_body_percent": "Body covered by all candidates (%)",
    "gpr": "Gamma pass rate above {} % of the prescription (%)",
}
"""How the keys of metrics.json are called in the table; others appear under their own name."""


def metrics_columns(evaluation: Evaluation) -> dict[str, list]:
    """Return the figures: what is measured, then one column a candidate; NaN where there is none.

    Dose-volume figures are in :func:`dose_volume_columns`.
    """
    measured = {
        name: _flat({key: value for key, value in result.metrics.items() if key != "dvh"})
        for name, result in evaluation.candidates.items()
    }
    rows = list(dict.fromkeys(key for values in measured.values() for key in values))
    columns: dict[str, list] = {"Metric": rows}
    for name, values in measured.items():
        columns[name] = [round(values.get(row, float("nan")), DIGITS) for row in rows]
    return columns


def definition_columns(evaluation: Evaluation) -> dict[str, list[str]]:
    """Return the definitions table by column; the notes of the evaluation are its last rows."""
    rows = [
        (LABELS.get(key, key).replace("{}", "..."), text)
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
    own, shown = evaluation.metrics()["dvh_ct"], evaluation.shown_points()
    rows = [(structure, point) for structure, points in shown.items() for point in points]
    if not rows:
        return {}
    units = [describe(("dvh", structure, point)).unit for structure, point in rows]
    columns: dict[str, list] = {
        "Structure": [structure for structure, _ in rows],
        "Volume (cm3)": [round(own[structure]["volume_cm3"], 2) for structure, _ in rows],
        "Point": [point for _, point in rows],
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


def _flat(metrics: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """The numbers of a nested dictionary by readable name, in its order."""
    flat: dict[str, float] = {}
    for key, value in metrics.items():
        path = f"{prefix}{key}"
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{path} ")
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            group, _, rest = path.partition(" ")
            flat[LABELS.get(group, path).format(rest)] = float(value)
    return flat
