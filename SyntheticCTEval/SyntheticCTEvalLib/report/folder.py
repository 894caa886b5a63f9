"""The files that an evaluation leaves: metrics, maps, report, scene."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from SyntheticCTLib.progress import SILENT, Progress
from SyntheticCTLib.volumes import image_like, write_volume

from .dvh_table import write_dvh_csv
from .report import write_metrics, write_metrics_csv, write_report
from .results import NO_DIFFERENCE, Evaluation
from .stored_evaluation import maps_of, write_parts

METRICS, REPORT, SCENE = "metrics.json", "report.html", "scene.mrb"
DOCUMENTS = (REPORT, METRICS, "metrics.csv", "dvh.csv")
"""Files that are not volumes; dvh.csv is there with dose and structures only."""

DEFINITIONS = {
    "maps": (
        "difference_NAME.nrrd: candidate minus true CT in HU on the true CT's grid, "
        f"{NO_DIFFERENCE} where nothing was compared; evaluated.nrrd: 1 where all candidates were "
        "compared with the true CT, else 0; gamma_NAME.nrrd: gamma on the grid of the dose on the "
        "true CT, -1 where it was not evaluated."
    )
}


def write_evaluation(
    evaluation: Evaluation, folder: Path, *, scene: bool = True, progress: Progress = SILENT
) -> None:
    """Write results (see :func:`write_results`) and scene.mrb into ``folder``.

    Without ``scene``, what Slicer's module makes its scene of is written instead (see
    :mod:`stored_evaluation`), uncompressed.
    """
    write_results(evaluation, folder, compress=scene, progress=progress)
    if scene:
        add_scene(evaluation, folder, progress=progress)
    else:
        progress.report("Results", 0)
        write_parts(evaluation, folder)
        progress.report("Results", 1)


def add_scene(evaluation: Evaluation, folder: Path, *, progress: Progress = SILENT) -> None:
    """Write scene.mrb into ``folder``, with the documents that are there already."""
    from SyntheticCTEvalMRML.scene import write_scene  # a layer above: only on request

    progress.report("Scene", 0)
    write_scene(evaluation, folder / SCENE, documents_in(folder))
    progress.report("Scene", 1)


def write_results(
    evaluation: Evaluation,
    folder: Path,
    *,
    title: str = "Evaluation of synthetic CT",
    compress: bool = True,
    progress: Progress = SILENT,
) -> None:
    """Write metrics.json, metrics.csv, dvh.csv, report.html and the maps into ``folder``.

    Maps: those of stored_evaluation.maps_of, and evaluated.nrrd. How voxels are marked that
    were not evaluated is in :data:`DEFINITIONS`, which joins those of the evaluation.
    """
    evaluation = replace(evaluation, definitions=evaluation.definitions | DEFINITIONS)
    write_metrics(evaluation, folder / METRICS)
    write_metrics_csv(evaluation, folder / "metrics.csv")
    if evaluation.dvh_ct:
        write_dvh_csv(evaluation, folder / "dvh.csv")
    for name, image in maps_of(evaluation):
        write_volume(image, folder / f"{name}.nrrd", compress=compress)
    for candidate in list(evaluation.candidates.values())[:1]:  # one region for all of them
        write_volume(_compared(candidate.difference), folder / "evaluated.nrrd", compress=compress)
    progress.report("Report", 0)
    write_report(evaluation, folder / REPORT, title)
    progress.report("Report", 1)


def _compared(difference: sitk.Image) -> sitk.Image:
    found = np.isfinite(sitk.GetArrayViewFromImage(difference))
    return image_like(found.astype(np.uint8), difference)


def documents_in(folder: Path) -> dict[str, str]:
    """Return the text of the documents in ``folder`` by file name."""
    paths = [folder / name for name in DOCUMENTS]
    return {path.name: path.read_text(encoding="utf-8") for path in paths if path.is_file()}
