"""A plan made on a true CT, as a file and as it is read back from it, with its table."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from SyntheticCTLib import __version__
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.outputs import staged_file
from SyntheticCTLib.basics.progress import SILENT, Progress
from SyntheticCTLib.body.contour import body_contour
from SyntheticCTLib.dicom.frame_of_reference import frame_of, position_of
from SyntheticCTLib.dicom.headers import is_of, read_header
from SyntheticCTLib.export.objects import new_uid
from SyntheticCTLib.export.source import SourceSeries, read_source
from SyntheticCTLib.volumes.checks import filled
from SyntheticCTLib.volumes.hounsfield import require_hu

from SyntheticCTEvalLib.delivery.dose import describe_plan
from SyntheticCTEvalLib.dose.electron_density import ELECTRON_DENSITY
from SyntheticCTEvalLib.dose.overrides import Override, overridden, require_numbers
from SyntheticCTEvalLib.plan.beams import TreatmentPlan
from SyntheticCTEvalLib.plan.reading import ASSUMED_POSITION, read_plan
from SyntheticCTEvalLib.plan.writing import write_plan

from .linac import seconds_of
from .objectives import SHIPPED, read_objectives
from .planner import Effort, make_plan
from .request import PlanRequest
from .table import PLAN_DEFINITIONS, doubts_of, table_of

PLAN, TABLE = "plan.dcm", "plan.json"


@dataclass(frozen=True)
class DrawnOn:
    """What the files of a CT and of its structures say, and volumes do not.

    Attributes:
        source: patient, study and frame of a CT that is DICOM; None for others.
        structure_set_uid: SOP Instance UID of an RTSTRUCT; "" of others.
    """

    source: SourceSeries | None = None
    structure_set_uid: str = ""

    @classmethod
    def read(cls, ct: Path, structures: Path, progress: Progress = SILENT) -> DrawnOn:
        """Read them; ``progress`` is warned where the CT names no patient."""
        header = read_header(structures, tags=("SOPInstanceUID",)) if structures.is_file() else None
        drawn = header is not None and is_of(header, "RTSTRUCT")
        uid = str(header.get("SOPInstanceUID") or "") if drawn else ""
        try:
            return cls(read_source(ct), uid)  # reading the CT has told what its headers lack
        except SyntheticCTError:
            progress.warn(
                "The CT is no DICOM series that names its study and frame of reference, so the "
                "plan names no patient, and the patient is taken to lie head first, on the back."
            )
            return cls(None, uid)


@dataclass(frozen=True, eq=False)
class PlannedTreatment:
    """A plan that was made, as it was written and read back.

    Attributes:
        plan: read back from ``dicom``: doses are of what the file says.
        dicom: the RTPLAN file.
        table: coverage and organ doses (table.table_of), and how the plan came about.
    """

    plan: TreatmentPlan
    dicom: bytes
    table: dict[str, Any]

    def figures(self) -> dict[str, Any]:
        """Return what metrics.json holds of the plan: coverage and organ doses, MU, how it was
        made; all but how long that took."""
        left_out = ("seconds", "definitions", "made_of")
        return {key: value for key, value in self.table.items() if key not in left_out}

    @property
    def sha256(self) -> str:
        """Of the RTPLAN file."""
        return hashlib.sha256(self.dicom).hexdigest()

    def write(self, plan: Path, table: Path) -> None:
        """Write the RTPLAN and its table."""
        with staged_file(plan) as stage, staged_file(table) as beside:
            Path(stage).write_bytes(self.dicom)
            text = json.dumps(self.table, indent=1, ensure_ascii=False)
            Path(beside).write_text(text + "\n", encoding="utf-8")


def planned_treatment(
    ct: sitk.Image,
    structures: Mapping[str, sitk.Image],
    request: PlanRequest,
    drawn_on: DrawnOn = DrawnOn(),
    *,
    overrides: Sequence[Override] = (),
    curve: Sequence[tuple[float, float]] = ELECTRON_DENSITY,
    earlier: Path | None = None,
    progress: Progress = SILENT,
) -> PlannedTreatment:
    """Make the plan that is asked for on a true CT; ``progress`` is warned of what is not covered.

    Args:
        ct: in HU; voxels that are no numbers are as the evaluation takes them.
        structures: masks by name, any grid.
        drawn_on: what stands in the plan's file besides.
        overrides: structures and the CT numbers in HU that dose is calculated with in them
            (dose.overrides).
        curve: what they must have a place on; the plan itself is made by the program's own, where
            numbers beyond its ends count as those.
        earlier: folder of an earlier result, whose plan is taken where it was made of the same.

    Raises:
        SyntheticCTError: a CT that is not in HU; see planner.make_plan.
    """
    request.require_targets(structures)
    ct = filled(ct)[0]
    require_hu(ct, "true CT", SILENT)
    mark = _made_of(ct, structures, request, drawn_on, overrides)
    found = earlier and read_planned(earlier, mark)
    if not found:
        require_numbers(overrides, structures, curve)
        low, high = ELECTRON_DENSITY[0][0], ELECTRON_DENSITY[-1][0]  # by which it is planned
        own = [one._replace(hu=min(max(one.hu, low), high)) for one in overrides]
        laid = overridden(own, structures, ct, body_contour(ct, "CT"), {})
        found = _made((laid.ct, laid.body), structures, request, drawn_on, mark, progress)
    for note in doubts_of(found.table):
        progress.warn(note)
    return found


def read_planned(folder: Path, made_of: str = "") -> PlannedTreatment | None:
    """Return a plan and its table in a folder of results; None where it is not whole.

    Args:
        made_of: what it must have been made of; "" for anything.
    """
    try:
        table = json.loads((folder / TABLE).read_text(encoding="utf-8"))
        dicom = (folder / PLAN).read_bytes()
        if made_of and table["made_of"] != made_of:
            return None
        if hashlib.sha256(dicom).hexdigest() != table["plan_sha256"]:
            return None
        return PlannedTreatment(_of_this_ct(read_plan(folder / PLAN)), dicom, table)
    except (OSError, ValueError, KeyError, TypeError, SyntheticCTError):
        return None


def is_table(path: Path) -> bool:
    """Whether a file is the table of a plan that this program made."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and {"targets", "organs", "plan_sha256"} <= set(found)


def _made(
    patient: tuple[sitk.Image, sitk.Image],
    structures: Mapping[str, sitk.Image],
    request: PlanRequest,
    drawn_on: DrawnOn,
    mark: str,
    progress: Progress,
) -> PlannedTreatment:
    (ct, body), source = patient, drawn_on.source
    objectives = _objectives(request)
    levels = dict(request.levels)
    planned = make_plan(
        ct,
        body,
        structures,
        levels,
        objectives,
        fractions=request.fractions,
        arcs=request.arcs,
        patient_position=position_of(ct) or (source and source.position) or ASSUMED_POSITION,
        effort=Effort(spacing_mm=request.spacing_mm),
        progress=progress,
    )
    plan = dataclasses.replace(
        planned.plan,
        frame_of_reference=frame_of(ct) or new_uid(f"frame {mark}".encode()),
        structure_set_uid=drawn_on.structure_set_uid,
    )
    with tempfile.TemporaryDirectory(prefix="synthetic-ct-plan-") as folder:
        file = Path(folder) / PLAN
        write_plan(plan, file, source)
        back = read_plan(file)  # what cannot be read back is no plan
        dicom = file.read_bytes()
    table = table_of(planned.dose, body, structures, levels, objectives)
    table |= {"iterations": planned.iterations, "seconds": round(planned.seconds, 1)}
    table["definitions"] |= {"dose": describe_plan(planned.plan, planned.dose)}
    table["delivery_s"] = round(sum(float(seconds_of(one).sum()) for one in plan.beams))
    table |= {"MU": plan.total_mu / request.fractions, "plan": plan.description}
    table |= {"made_of": mark, "plan_sha256": hashlib.sha256(dicom).hexdigest()}
    return PlannedTreatment(_of_this_ct(back), dicom, table)


def _of_this_ct(plan: TreatmentPlan) -> TreatmentPlan:
    return dataclasses.replace(plan, made_on_this_ct=True)


def _objectives(request: PlanRequest):
    return read_objectives(SHIPPED) if request.objectives is None else request.objectives


def _made_of(
    ct: sitk.Image,
    structures: Mapping[str, sitk.Image],
    request: PlanRequest,
    drawn_on: DrawnOn,
    overrides: Sequence[Override],
) -> str:
    """Hash of all that a plan depends on."""
    digest = hashlib.sha256()
    source = drawn_on.source
    own = {"objectives": [dataclasses.asdict(one) for one in _objectives(request)]}
    told = {
        "program": __version__,
        "table": PLAN_DEFINITIONS,  # an earlier plan with a table of other figures is made anew
        "request": dataclasses.asdict(request) | own,
        "header": source.handed_on().to_json_dict() if source else None,
        "position": [position_of(ct), source.position if source else ""],
        "overrides": list(overrides),
        "frame": frame_of(ct) or "",
        "structure_set": drawn_on.structure_set_uid,
    }
    digest.update(json.dumps(told, sort_keys=True, default=str).encode())
    for name, image in {"": ct, **structures}.items():
        voxels = np.ascontiguousarray(sitk.GetArrayViewFromImage(image))
        place = (image.GetOrigin(), image.GetSpacing(), image.GetDirection(), image.GetSize())
        digest.update(repr((name, place, voxels.dtype.str)).encode())
        digest.update(voxels.tobytes())
    return digest.hexdigest()
