"""An evaluation in the scene as files in a folder."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from SyntheticCTEvalLib.report.folder import write_document_text
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.outputs import staged_folder
from SyntheticCTMRML.display import nodes_of_class
from SyntheticCTMRML.translation import tr as _

from .evaluation_nodes import EvaluationNodes

SCENE = "evaluation.mrb"


def export(
    scene: Any, nodes: EvaluationNodes | None, folder: str, names: Sequence[str]
) -> list[Path]:
    """Write documents of an evaluation, and the scene (evaluation.mrb), and return the paths.

    Documents that the evaluation does not have, such as dvh.csv without structures, are left
    out.

    Raises:
        SyntheticCTError: there is no evaluation, or not that report, the folder cannot be
            written to, or a file would replace one that the scene was loaded from.
    """
    if nodes is None:
        raise SyntheticCTError(_("There is no evaluation to export: evaluate a candidate first."))
    texts = {name: nodes.document(name) for name in names if name != SCENE}
    if "report.html" in texts and not texts["report.html"]:
        raise SyntheticCTError(
            _(
                "This evaluation has no report, because it was made without one or the report "
                "was deleted from the scene: evaluate again."
            )
        )
    written = [name for name, text in texts.items() if text]
    absent = [Path(folder) / name for name, text in texts.items() if not text]
    with staged_folder(folder, _sources(scene), absent) as stage:
        for name in written:
            write_document_text(texts[name], stage / name)
        if SCENE in names:
            written.append(SCENE)
            _write_scene(scene, stage / SCENE)
    return [Path(folder) / name for name in written]


def _write_scene(scene: Any, path: Path) -> None:
    url, root = scene.GetURL(), scene.GetRootDirectory()
    with _uncompressed(scene):
        done = scene.WriteToMRB(str(path.absolute()))
    # The scene stays what it was: it has been copied, not moved.
    scene.SetURL(url)
    scene.SetRootDirectory(root)
    if not done or not path.is_file():
        raise SyntheticCTError(
            _("The scene cannot be written: make sure that there is room on the disk.")
        )


@contextlib.contextmanager
def _uncompressed(scene: Any) -> Iterator[None]:
    """Have volumes and segmentations written as they are: compression takes many times as long."""
    before = []
    for kind in ("vtkMRMLVolumeNode", "vtkMRMLSegmentationNode"):
        for node in nodes_of_class(scene, kind):
            if node.GetStorageNode() is None:
                node.AddDefaultStorageNode()
            storage = node.GetStorageNode()
            if storage is not None:
                before.append((storage, storage.GetUseCompression()))
                storage.SetUseCompression(0)
    try:
        yield
    finally:
        for storage, used in before:
            storage.SetUseCompression(used)


def _sources(scene: Any) -> list[str]:
    """Files that the scene or its nodes were loaded from."""
    found = {scene.GetURL()}
    for storage in nodes_of_class(scene, "vtkMRMLStorageNode"):
        found.add(storage.GetFullNameFromFileName())
    return sorted(path for path in found if path and Path(path).is_file())
