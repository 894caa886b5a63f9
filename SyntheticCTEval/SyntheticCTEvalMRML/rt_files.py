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
from SyntheticCTMRML.roles import PATIENT_ID, patient_id_of, patient_of_file
from SyntheticCTMRML.segments import add_outlines, make_segment
from SyntheticCTMRML.translation import tr as _

from .dose_nodes import DOSE_ATTRIBUTE, DOSE_UNIT_ATTRIBUTE


@dataclass
class RtFiles:
    """The nodes that were made.

    Attributes:
        doses: scalar volume nodes in Gy.
        structures: segmentation nodes.
        plans: RTPLAN files.
        prescription_gy: that of the plan; None where there was none, or several that differ.
        files: by the nodes' IDs, which of the files each is from.
    """

    doses: list[Any] = field(default_factory=list)
    structures: list[Any] = field(default_factory=list)
    plans: list[str] = field(default_factory=list)
    prescription_gy: float | None = None
    files: dict[str, int] = field(default_factory=dict)


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
        given = ["--ct", source.path(job), "--output", output]
        return ["read-rt", *paths, *given, "--uncompressed", "--several-patients"]

    # As the child's messages spell them: Qt writes C:/... on Windows.
    paths = list(dict.fromkeys(str(Path(path)) for path in paths))
    stages: list[Stage] = [
        Steps(source.steps),
        CommandLine(arguments),
        Steps(lambda job: _adding(job.folder / "rt", ct, job.warn, paths)),
    ]
    return Job(stages, listener, [ct])


def _adding(
    folder: Path, ct: Any, warn: Callable[[str], None], paths: Sequence[str]
) -> Generator[None, None, RtFiles]:
    """Add the nodes; closed before it has ended, the generator removes them again.

    Args:
        paths: of the files, in the order of the nodes.
    """
    scene, found = ct.GetScene(), RtFiles()
    patients = [patient_of_file(path) for path in paths]
    try:
        yield from _add_nodes(scene, found, folder, ct, warn, paths)
        _place(scene, found, ct, patients)
    except BaseException:
        remove(scene, [*found.doses, *found.structures])
        raise
    if len({*patients, patient_id_of(ct)} - {""}) > 1:
        warn(
            _(
                "By their DICOM patient IDs the files and the CT are not all of one patient: check "
                "that they belong together."
            )
        )
    return found


def _place(scene: Any, found: RtFiles, ct: Any, patients: Sequence[str]) -> None:
    """Put the nodes into the CT's study, which says the unit, as SlicerRT does.

    What is of another patient stays so: an evaluation then warns.
    """
    tree, study, own = scene.GetSubjectHierarchyNode(), place_of(scene, ct), patient_id_of(ct)
    for node in [*found.doses, *found.structures]:
        patient = patients[found.files[node.GetID()]] if patients else ""
        parent = study
        if own and patient and patient != own:
            parent = tree.CreateSubjectItem(tree.GetSceneItemID(), _("Another patient"))
            tree.SetItemAttribute(parent, PATIENT_ID, patient)
        put(scene, parent, [node])
    tree.SetItemAttribute(study, DOSE_UNIT_ATTRIBUTE, "GY")
    tree.SetItemAttribute(study, "DicomRtImport.DoseUnitValue", "1.0")


def _add_nodes(
    scene: Any,
    found: RtFiles,
    folder: Path,
    ct: Any,
    warn: Callable[[str], None],
    paths: Sequence[str],
) -> Generator[None, None, None]:
    prescribed: list[float] = []
    for number, entry in enumerate(json.loads((folder / "rt.json").read_text("utf-8"))):
        name = entry["name"]
        if entry["kind"] == "RTDOSE":
            data, header = yield from reading_steps(folder / entry["file"], "dose")
            unique = scene.GenerateUniqueName(name)
            node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", unique)
            found.doses.append(node)
            found.files[node.GetID()] = number
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
                node = add_outlines(scene, unique, ct, segments)
            found.structures.append(node)
            found.files[node.GetID()] = number
        else:
            found.plans.append(paths[number])
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
