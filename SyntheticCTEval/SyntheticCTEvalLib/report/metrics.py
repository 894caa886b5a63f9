"""metrics.json and metrics.csv of an evaluation."""

from __future__ import annotations

import csv
import json
import os
from math import isfinite
from pathlib import Path
from typing import Any

from SyntheticCTLib.basics.outputs import staged_file

from SyntheticCTEvalLib.evaluation.quantities import OF_STRUCTURES, describe, finite, flat
from SyntheticCTEvalLib.evaluation.results import Evaluation
from SyntheticCTEvalLib.structures.dvh import DIFFERENCE


def write_metrics(evaluation: Evaluation, path: str | os.PathLike) -> Path:
    """Write metrics.json and return its path; figures that do not exist are null.

    Raises:
        SyntheticCTError: ``path`` cannot be written.
    """
    path = Path(path)
    with staged_file(path) as stage:
        stage.write_text(metrics_text(evaluation.metrics()), encoding="utf-8")
    return path


def metrics_text(metrics: dict[str, Any]) -> str:
    """Return the text of metrics.json."""
    return json.dumps(finite(metrics), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def write_metrics_csv(evaluation: Evaluation, path: str | os.PathLike) -> Path:
    """Write one row a candidate, structure and figure, and return its path.

    The definition is the key in metrics.json's definitions that says what the figure is.

    Raises:
        SyntheticCTError: ``path`` cannot be written.
    """
    path = Path(path)
    with staged_file(path) as stage, stage.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["candidate", "structure", "figure", "value", "unit", "definition"])
        for name, candidate in evaluation.candidates.items():
            for key, value in flat(candidate.metrics).items():
                if isinstance(value, list | tuple):
                    continue  # histograms are in metrics.json
                structure, figure = _structure_and_figure(key)
                exists = value is not None and (not isinstance(value, float) or isfinite(value))
                unit = describe(key).unit
                line = [name, structure, figure, value if exists else "", unit]
                writer.writerow([*line, definition_key(key)])
    return path


def definition_key(key: tuple[str, ...]) -> str:
    """Return the key of the definition of the figure at ``key`` (see quantities.describe)."""
    if key[0] == "common":
        return definition_key(key[1:])
    if key[0] != "dvh":
        return key[0]
    figure = key[-1]
    if DIFFERENCE in figure:
        return "dvh_differences"
    if figure == "outside_percent":
        return "dvh_outside"
    return "dvh_doses" if figure.startswith("D") else "dvh_volumes"


def _structure_and_figure(key: tuple[str, ...]) -> tuple[str, str]:
    if key[0] in OF_STRUCTURES:
        return key[1], ".".join((key[0], *key[2:]))
    return "", ".".join(part for part in key if part)
