"""The files that an evaluation leaves: metrics, maps, report, scene."""

from __future__ import annotations

from pathlib import Path

import SimpleITK as sitk
from SyntheticCTLib.progress import SILENT, Progress
from SyntheticCTLib.volumes import write_volume

from .report import write_metrics, write_report
from .results import Evaluation
from .scene import write_scene


def write_evaluation(evaluation: Evaluation, folder: Path, *, progress: Progress = SILENT) -> None:
    """Write metrics.json, the maps, report.html and scene.mrb into ``folder``.

    Maps: registered_NAME.nrrd (int16 HU), dose_CT.nrrd and dose_NAME.nrrd (float32 Gy),
    gamma_NAME.nrrd (float32, -1 where not evaluated).
    """
    write_metrics(evaluation, folder / "metrics.json")
    for name, image in _maps(evaluation).items():
        write_volume(image, folder / f"{name}.nrrd")
    progress.report("Report", 0)
    write_report(evaluation, folder / "report.html")
    progress.report("Report", 1)
    progress.report("Scene", 0)
    write_scene(evaluation, folder / "scene.mrb")
    progress.report("Scene", 1)


def _maps(evaluation: Evaluation) -> dict[str, sitk.Image]:
    maps = {}
    if evaluation.dose_ct is not None:
        maps["dose_CT"] = evaluation.dose_ct
    for name, candidate in evaluation.candidates.items():
        maps[f"registered_{name}"] = candidate.volume
        if candidate.dose is not None:
            maps[f"dose_{name}"] = candidate.dose
        if candidate.gamma is not None:
            maps[f"gamma_{name}"] = candidate.gamma.gamma
    return maps
