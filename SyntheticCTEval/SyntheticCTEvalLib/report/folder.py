"""The files that an evaluation leaves: metrics, maps, report, scene."""

from __future__ import annotations

import base64
import json
import logging
import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import SimpleITK as sitk
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.outputs import refuse_overwrite
from SyntheticCTLib.basics.progress import SILENT, Progress
from SyntheticCTLib.volumes.grids import image_like
from SyntheticCTLib.volumes.writing import write_volume

from SyntheticCTEvalLib.evaluation.limits import LIMITS_DEFINITION
from SyntheticCTEvalLib.evaluation.results import NO_DIFFERENCE, Evaluation
from SyntheticCTEvalLib.evaluation.stored import PARTS, RECORD, maps_of, write_parts
from SyntheticCTEvalLib.planning.treatment import PLAN, TABLE

from . import pdf
from .blocks import Document
from .document import TITLE, document_of
from .metrics import write_metrics, write_metrics_csv
from .page import write_page
from .tables import write_dvh_csv

METRICS, REPORT, PDF, SCENE = "metrics.json", "report.html", "report.pdf", "scene.mrb"
ACCEPTANCE = "acceptance.toml"
DOCUMENTS = (REPORT, METRICS, "metrics.csv", "dvh.csv", ACCEPTANCE)
"""Files that are not volumes; dvh.csv is there with dose and structures only, acceptance.toml
where limits were given."""
_BINARY = (PDF, PLAN)
"""Documents that are no text."""

DEFINITIONS = {
    "acceptance": LIMITS_DEFINITION,
    "maps": (
        "difference_NAME.nrrd: candidate minus true CT in HU on the true CT's grid, "
        f"{NO_DIFFERENCE} where nothing was compared; evaluated.nrrd: 1 where all candidates were "
        "compared with the true CT, else 0; gamma_NAME.nrrd: gamma on the grid of the dose on the "
        "true CT, -1 where it was not evaluated."
    ),
}


def result_names(candidates: Iterable[str]) -> list[str]:
    """Return the name of every file and folder that an evaluation of ``candidates`` may write."""
    kinds = ("registered", "difference", "dose", "dose_difference", "gamma")
    maps = ["dose_CT", "evaluated", "registered_MR"]
    maps += [f"{kind}_{name}" for name in candidates for kind in kinds]
    return [*DOCUMENTS, PDF, SCENE, PARTS, *(f"{name}.nrrd" for name in dict.fromkeys(maps))]


def require_place(
    folder: str | os.PathLike,
    candidates: Iterable[str],
    inputs: Iterable[str | os.PathLike],
    *,
    plans: bool = False,
) -> None:
    """Refuse, before any work, a folder that an evaluation of ``candidates`` may not write to.

    Args:
        plans: the evaluation makes a plan.

    Raises:
        SyntheticCTError: results would replace an input or lie in one, an input is a result of
            an earlier run that would go, a cohort's results lie there, or a plan that no
            evaluation has made.
    """
    inputs, folder = list(inputs), Path(folder)
    if "patients" in _metrics_in(folder):
        raise SyntheticCTError(
            f"The folder {folder} holds the results of a cohort, of which the report and the "
            "metrics would be replaced: choose another output."
        )
    for name in result_names(candidates):
        refuse_overwrite(folder / name, inputs)
    earlier = earlier_results(folder)
    for path in earlier:
        refuse_overwrite(path, inputs)
    for path in (folder / PLAN, folder / TABLE) if plans else ():
        if path.exists() and path not in earlier:
            raise SyntheticCTError(
                f"The folder {folder} holds {path.name}, which the plan that is made would "
                "replace: choose another output, or take it away."
            )


def earlier_results(folder: str | os.PathLike) -> list[Path]:
    """Return what an evaluation of one patient has left in ``folder``, by its metrics.json.

    Files that such an evaluation does not write are never among them.
    """
    folder = Path(folder)
    metrics = _metrics_in(folder)
    if "candidates" not in metrics or "patients" in metrics:
        return []
    paths = [folder / name for name in result_names(metrics["candidates"])]
    paths += [folder / name for name in (PLAN, TABLE) if metrics.get("plan")]
    own = (folder / PARTS / RECORD).is_file()
    return [path for path in paths if path.exists() and (path.name != PARTS or own)]


def _metrics_in(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / METRICS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) and "definitions" in found else {}


class SceneWriter(Protocol):
    """What writes an evaluation as a scene; it comes from a layer above, which knows MRML."""

    def missing(self) -> str | None:
        """Return in a sentence why no scene can be written here; None where it can."""

    def write(self, evaluation: Evaluation, path: Path, documents: Mapping[str, str]) -> None:
        """Write ``evaluation`` to ``path`` (.mrb), with texts by file name."""


def write_evaluation(
    evaluation: Evaluation,
    folder: Path,
    *,
    scene: SceneWriter | None = None,
    paper: str = "a4",
    progress: Progress = SILENT,
) -> None:
    """Write results (see :func:`write_results`) and, where ``scene`` is given, scene.mrb.

    Without it, what Slicer's module makes its scene of is written instead (see
    evaluation.stored), uncompressed.
    """
    whole = scene is not None
    write_results(evaluation, folder, paper=paper, compress=whole, progress=progress)
    if scene is not None:
        add_scene(evaluation, folder, scene, progress=progress)
    else:
        progress.report("Results", 0)
        write_parts(evaluation, folder)
        progress.report("Results", 1)


def add_scene(
    evaluation: Evaluation, folder: Path, scene: SceneWriter, *, progress: Progress = SILENT
) -> None:
    """Write scene.mrb into ``folder``, with the documents that are there already.

    It holds nothing that is not in the other files: where it cannot be written, ``progress`` is
    warned, and the results stand.
    """
    progress.report("Scene", 0)
    try:
        scene.write(evaluation, folder / SCENE, documents_in(folder))
    except Exception as error:
        logging.debug("No scene", exc_info=True)
        told = f"{error}" if isinstance(error, SyntheticCTError) else f"{type(error).__name__}"
        progress.warn(f"scene.mrb was left out, all other results are whole: {told}")
    progress.report("Scene", 1)


def write_results(
    evaluation: Evaluation,
    folder: Path,
    *,
    title: str = TITLE,
    paper: str = "a4",
    compress: bool = True,
    progress: Progress = SILENT,
) -> Document:
    """Write the documents (:data:`DOCUMENTS`), report.pdf and the maps, and return the report.

    Maps: those of evaluation.stored.maps_of, and evaluated.nrrd. How voxels are marked that
    were not evaluated is in :data:`DEFINITIONS`, which joins those of the evaluation.
    """
    evaluation = replace(evaluation, definitions=evaluation.definitions | DEFINITIONS)
    write_metrics(evaluation, folder / METRICS)
    write_metrics_csv(evaluation, folder / "metrics.csv")
    if evaluation.dvh_ct:
        write_dvh_csv(evaluation, folder / "dvh.csv")
    if evaluation.acceptance is not None:
        (folder / ACCEPTANCE).write_bytes(evaluation.acceptance.text.encode("utf-8"))
    if evaluation.planned is not None:
        evaluation.planned.write(folder / PLAN, folder / TABLE)
    for name, image in maps_of(evaluation):
        write_volume(image, folder / f"{name}.nrrd", compress=compress)
    differences = [candidate.difference for candidate in evaluation.candidates.values()]
    write_volume(_compared(differences), folder / "evaluated.nrrd", compress=compress)
    progress.report("Report", 0)
    document = document_of(evaluation, title)
    write_page(document, folder / REPORT)
    progress.report("Report", 0.5)
    if why := pdf.missing():
        progress.warn(why)
    else:
        pdf.write_pdf(document, folder / PDF, paper)
    progress.report("Report", 1)
    return document


def _compared(differences: list[sitk.Image]) -> sitk.Image:
    found = [np.isfinite(sitk.GetArrayViewFromImage(each)) for each in differences]
    return image_like(np.logical_and.reduce(found).astype(np.uint8), differences[0])


def documents_in(folder: Path) -> dict[str, str]:
    """Return the text of the documents in ``folder`` by file name, of binary ones in base 64.

    Without acceptance.toml, which metrics.json holds, too.
    """
    paths = [folder / name for name in (*DOCUMENTS, TABLE) if name != ACCEPTANCE]
    texts = {path.name: path.read_text(encoding="utf-8") for path in paths if path.is_file()}
    for name in _BINARY:
        if (folder / name).is_file():
            texts[name] = base64.b64encode((folder / name).read_bytes()).decode("ascii")
    return texts


def write_document_text(text: str, path: Path) -> None:
    """Write what :func:`documents_in` returned of a document as the file that it was."""
    if path.name in _BINARY:
        path.write_bytes(base64.b64decode(text))
    else:
        path.write_text(text, encoding="utf-8")
