"""RTDOSE, RTSTRUCT and RTPLAN files as a job, into the nodes that SlicerRT would make of them.

Without SlicerRT, Slicer itself loads a dose as its stored integers, and structures not at all.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.volumes.mask_folder import masks_in
from SyntheticCTMRML import display
from SyntheticCTMRML.child_process import CommandLine
from SyntheticCTMRML.handover import reading_steps
from SyntheticCTMRML.hierarchy import place_of, put, remove
from SyntheticCTMRML.job_volumes import Source
from SyntheticCTMRML.jobs import Job, JobListener, Stage, Steps
from SyntheticCTMRML.nodes import set_node_data
from SyntheticCTMRML.segments import add_outlines, make_segment
from SyntheticCTMRML.translation import tr as _

from .evaluation_job import DOSE_ATTRIBUTE, DOSE_UNIT_ATTRIBUTE


@dataclass
class RtFiles:
    """The nodes that were made.

    Attributes:
        doses: scalar volume nodes in Gy.
        structures: segmentation nodes.
        prescription_gy: that of the plan; None where there was none.
    """

    doses: list[Any] = field(default_factory=list)
    structures: list[Any] = field(default_factory=list)
    prescription_gy: float | None = None


def rt_files_job(paths: Sequence[str], ct: Any, listener: JobListener | None = None) -> Job:
    """Return the job, not yet started; its result is :class:`RtFiles`.

    Args:
        ct: volume node of the CT that the structures were drawn on, and to which the new nodes
            belong.

    Raises:
        SyntheticCTError: no file, or no CT.
    """
    if not paths:
        raise SyntheticCTError(_("No file was chosen: choose RTDOSE, RTSTRUCT or RTPLAN files."))
    source = Source(ct, "CT")

    def arguments(job: Job) -> list[str | Path]:
        # A file's name may hold the patient's: messages call it by its number.
        job.names |= {path: _("file {n}").format(n=n + 1) for n, path in enumerate(paths)}
        output = job.folder / "rt"
        return ["read-rt", *paths, "--ct", source.path(job), "--output", output, "--uncompressed"]

    # As the child's messages spell them: Qt writes C:/... on Windows.
    paths = [str(Path(path)) for path in paths]
    stages: list[Stage] = [
        Steps(source.steps),
        CommandLine(arguments),
        Steps(lambda job: _adding(job.folder / "rt", ct, job.warn)),
    ]
    return Job(stages, listener, [ct])


def _adding(folder: Path, ct: Any, warn: Callable[[str], None]) -> Generator[None, None, RtFiles]:
    """Add the nodes; closed before it has ended, the generator removes them again."""
    scene, found = ct.GetScene(), RtFiles()
    try:
        yield from _add_nodes(scene, found, folder, ct, warn)
    except BaseException:
        remove(scene, [*found.doses, *found.structures])
        raise
    return found


def _add_nodes(
    scene: Any, found: RtFiles, folder: Path, ct: Any, warn: Callable[[str], None]
) -> Generator[None, None, None]:
    prescribed: list[float] = []
    for entry in json.loads((folder / "rt.json").read_text(encoding="utf-8")):
        name = entry["name"]
        if entry["kind"] == "RTDOSE":
            data, header = yield from reading_steps(folder / entry["file"], "dose")
            unique = scene.GenerateUniqueName(name)
            node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", unique)
            found.doses.append(node)
            set_node_data(node, data, header)
            node.SetAttribute(DOSE_ATTRIBUTE, "1")
            display.show_dose(node, display.highest(node))
        elif entry["kind"] == "RTSTRUCT":
            segments: list[Any] = []
            for label, mask in masks_in(folder / entry["file"]):
                segments.append(make_segment(label, mask, len(segments)))
                yield
            with display.added_together(scene):
                unique = scene.GenerateUniqueName(name)
                found.structures.append(add_outlines(scene, unique, ct, segments))
        else:
            prescribed.append(float(entry["prescription_gy"]))
        yield
    if len(set(prescribed)) > 1:
        told = ", ".join(f"{dose:g}" for dose in prescribed)
        warn(
            _("The plans prescribe different doses ({doses} Gy): give the prescription.").format(
                doses=told
            )
        )
    elif prescribed:
        found.prescription_gy = prescribed[0]
    # As SlicerRT does: in the CT's study, which says the unit.
    study = place_of(scene, ct)
    put(scene, study, [*found.doses, *found.structures])
    tree = scene.GetSubjectHierarchyNode()
    tree.SetItemAttribute(study, DOSE_UNIT_ATTRIBUTE, "GY")
    tree.SetItemAttribute(study, "DicomRtImport.DoseUnitValue", "1.0")
