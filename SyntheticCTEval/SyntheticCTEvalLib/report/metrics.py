"""metrics.json and metrics.csv of an evaluation."""

from __future__ import annotations

import csv
import json
import math
import os
from pathlib import Path

from SyntheticCTLib.basics.outputs import staged_file

from SyntheticCTEvalLib.evaluation.quantities import (
    finite,
    flat,
)
from SyntheticCTEvalLib.evaluation.results import Evaluation


def write_metrics(evaluation: Evaluation, path: str | os.PathLike) -> Path:
    """Write metrics.json and return its path; figures that do not exist are null.

    Raises:
        SyntheticCTError: ``path`` cannot be written.
    """
    path = Path(path)
    text = json.dumps(finite(evaluation.metrics()), indent=2, ensure_ascii=False, allow_nan=False)
    with staged_file(path) as stage:
        stage.write_text(text + "\n", encoding="utf-8")
    return path


def write_metrics_csv(evaluation: Evaluation, path: str | os.PathLike) -> Path:
    """Write the figures as a table, one row a candidate and figure, and return its path.

    Raises:
        SyntheticCTError: ``path`` cannot be written.
    """
    path = Path(path)
    with staged_file(path) as stage, stage.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["candidate", "metric", "value"])
        for name, candidate in evaluation.candidates.items():
            for key, value in flat(candidate.metrics).items():
                if isinstance(value, list | tuple):
                    continue  # histograms are in metrics.json
                exists = not isinstance(value, float) or math.isfinite(value)
                figure = ".".join(part for part in key if part)
                writer.writerow([name, figure, value if exists and value is not None else ""])
    return path
