"""An evaluation of MRML nodes as a job: inputs handed over, child process, results as nodes."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import SimpleITK as sitk
from SyntheticCTEvalLib.evaluation.names import is_candidate_name
from SyntheticCTEvalLib.evaluation.results import Evaluation
from SyntheticCTEvalLib.evaluation.settings import MONTE_CARLO, EvaluationSettings
from SyntheticCTEvalLib.evaluation.stored import reading_steps
from SyntheticCTEvalLib.montecarlo.density_curve import write_density_curve
from SyntheticCTEvalLib.planning.request import PlanRequest, named_target
from SyntheticCTEvalLib.report.folder import documents_in
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.volumes.mask_folder import write_index, write_mask
from SyntheticCTMRML.child_process import CommandLine
from SyntheticCTMRML.dicom_database import marks_of
from SyntheticCTMRML.handover import writing_steps
from SyntheticCTMRML.jobs import Job, Stage, Steps
from SyntheticCTMRML.nodes import checked_steps, image_steps
from SyntheticCTMRML.roles import (
    other_patients,
    patient_id_of,
    patient_of_file,
    role_fault,
    taken_twice,
)
from SyntheticCTMRML.segments import segment_masks
from SyntheticCTMRML.translation import tr as _

from .display import adding_steps
from .dose_nodes import dose_steps, unit_of
from .evaluation_nodes import EvaluationNodes

RESULTS = "results"
_CURVE = "density_curve.csv"


@dataclass
class EvaluationInputs:
    """The nodes that are evaluated.

    Attributes:
        ct: true CT in HU, scalar volume node.
        candidates: scalar volume nodes in HU by name.
        dose_ct: dose on the true CT; without it dose is recalculated, if at all.
        doses: doses by candidate, where ``dose_ct`` is given.
        dose_unit: "Gy" or "cGy", of doses that SlicerRT has not loaded; None for Gy.
        structures: segmentation node.
        region: label map or volume; voxels of 0 are left out of every figure.
        mr: MR that the report shows, and that carries the candidates where the registration is by
            it.
        plan: RTPLAN file whose dose is recalculated; "" for none.
        limits: acceptance file, or the name of a shipped one, that candidates are held against.
        patient: the patient's pseudonym, for the report.
        show: says at the end whether the slice views are to show the result.
    """

    ct: Any
    candidates: Mapping[str, Any]
    dose_ct: Any = None
    doses: Mapping[str, Any] = field(default_factory=dict)
    dose_unit: str | None = None
    structures: Any = None
    region: Any = None
    mr: Any = None
    plan: str = ""
    limits: str = ""
    patient: str = ""
    show: Callable[[], bool] = lambda: True

    def check(self, settings: EvaluationSettings) -> None:
        """Raise SyntheticCTError where something is missing or cannot be what it should be."""
        if self.ct is None:
            raise SyntheticCTError(_("No true CT is selected: choose the volume of the true CT."))
        if not self.candidates:
            raise SyntheticCTError(_("There is no candidate: add a synthetic CT to the table."))
        for name, node in self.candidates.items():
            if node is None:
                raise SyntheticCTError(
                    _("The candidate {name} has no volume: choose one.").format(name=name)
                )
            if not is_candidate_name(name):
                raise SyntheticCTError(
                    _(
                        "A candidate cannot be called '{name}': use letters, digits, spaces and "
                        "-_.,()+, and not CT."
                    ).format(name=name)
                )
        if settings.dose and self.dose_ct is not None and not any(self.doses.values()):
            raise SyntheticCTError(
                _(
                    "There is a dose on the true CT, but on no candidate: choose a candidate's "
                    "dose in the table, or no reference dose."
                )
            )
        if settings.dose and self.dose_ct is None and any(self.doses.values()):
            raise SyntheticCTError(
                _(
                    "There is a dose on a candidate, but not on the true CT: choose the reference "
                    "dose."
                )
            )
        self._check_plan(settings)
        if settings.target is not None and self.structures is None:
            raise SyntheticCTError(
                _("The target {name} needs the structures: choose their segmentation.").format(
                    name=settings.target
                )
            )
        if fault := role_fault(self.mr, self.ct):
            raise SyntheticCTError(fault)
        if fault := self._taken_twice():
            raise SyntheticCTError(fault)

    def _check_plan(self, settings: EvaluationSettings) -> None:
        recalculated = settings.dose and self.dose_ct is None
        made = settings.planning.levels
        if recalculated and settings.dose_engine == MONTE_CARLO and not (self.plan or made):
            raise SyntheticCTError(
                _("Monte Carlo calculates the dose of a plan: choose the RTPLAN file of the plan.")
            )
        if made and (self.plan or not recalculated):
            raise SyntheticCTError(
                _("A plan is to be made, and a plan or doses are given as well: leave one of them.")
            )
        if made and self.structures is None:
            raise SyntheticCTError(_("A plan is made for structures: choose their segmentation."))
        if made and settings.planning != PlanRequest(
            made, settings.planning.fractions, settings.planning.arcs
        ):
            raise SyntheticCTError(
                _(
                    "Of a plan that is made, targets, fractions and arcs are handed over here: use "
                    "the command evaluate for objectives of your own."
                )
            )
        of_media = (settings.overrides, settings.density_curve, settings.leaf_transmission_percent)
        if any(of_media) and not recalculated:
            raise SyntheticCTError(
                _(
                    "CT numbers of structures, a couch, a density curve and leaf transmission are "
                    "of a dose that is calculated, and none is: leave them out, or have the dose "
                    "recalculated."
                )
            )
        if settings.overrides and self.structures is None:
            raise SyntheticCTError(
                _("Structures whose CT numbers are given are not there: choose their segmentation.")
            )
        if self.plan and not recalculated:
            raise SyntheticCTError(
                _(
                    "The dose of the plan is calculated, and doses are given as well or none is "
                    "wanted: choose no plan, or have the dose recalculated."
                )
            )
        if self.plan and not Path(self.plan).is_file():
            raise SyntheticCTError(_("The file of the plan is not there: choose it again."))

    def _taken_twice(self) -> str:
        """A sentence where one volume is two things: it would agree with itself perfectly."""
        roles = [(_("true CT"), self.ct), (_("MR"), self.mr)]
        roles.append((_("dose on the true CT"), self.dose_ct))
        for name, node in self.candidates.items():
            roles.append((_("candidate {name}").format(name=name), node))
            roles.append((_("dose on {name}").format(name=name), self.doses.get(name)))
        return taken_twice(roles)

    def nodes(self) -> dict[str, Any]:
        """Return the volume nodes that are evaluated, by the names of their files."""
        every = {"ct": self.ct, "region": self.region, "mr": self.mr}
        for number, (name, node) in enumerate(self.candidates.items()):
            every[f"candidate{number}"] = node
            if self.dose_ct is not None:
                every[f"dose{number}"] = self.doses.get(name)
        every["dose_ct"] = self.dose_ct
        return {file: node for file, node in every.items() if node is not None}

    def other_patients(self) -> list[str]:
        """Return warnings where nodes and plan belong to different patients."""
        given = {"CT": self.ct, "MR": self.mr, "structures": self.structures}
        given |= {"dose on the CT": self.dose_ct, "region": self.region}
        given |= {f"candidate {name}": node for name, node in self.candidates.items()}
        given |= {f"dose on {name}": node for name, node in self.doses.items()}
        own = patient_id_of(self.ct)
        other = patient_of_file(self.plan) if self.plan else ""
        told = _(
            "By their DICOM patient IDs the plan and the CT are of different patients: check that "
            "the plan was made on this CT."
        )
        strange = own and other not in ("", own)
        return list(filter(None, [other_patients(given), told if strange else ""]))

    def image_steps(self, file: str) -> Generator[None, None, sitk.Image]:
        """Return one of the volumes as a checked image, doses in Gy, in steps."""
        node = self.nodes()[file]
        if file == "region":
            return (yield from image_steps(node, "region"))
        if file.startswith("dose"):
            return (yield from dose_steps(node, self.dose_unit))
        what = {"ct": "CT", "mr": "MR"}.get(file, "candidate")
        image = yield from checked_steps(node, what)
        for key, value in (marks_of(node) if file == "ct" and self.plan else {}).items():
            image.SetMetaData(key, value)  # by which a plan of another CT is known
        return image

    def shown_doses(self) -> dict[str, Any]:
        """Return the dose nodes that hold Gy and are in the scene, "" the one on the true CT."""
        every = {"": self.dose_ct, **self.doses}
        return {
            name: node
            for name, node in every.items()
            if node is not None
            and node.GetScene() is not None
            and unit_of(node, self.dose_unit) in (None, "Gy")
        }


def evaluation_job(
    scene: Any, inputs: EvaluationInputs, settings: EvaluationSettings, listener: Any = None
) -> Job:
    """Return the job, not yet started; its result is (Evaluation, EvaluationNodes).

    Raises:
        SyntheticCTError: an input is missing or cannot be what it should be.
    """
    inputs.check(settings)
    stages: list[Stage] = [
        Steps(lambda job: _handing_over(job, inputs, settings)),
        CommandLine(lambda job: _arguments(job.folder, inputs, settings)),
        Steps(lambda job: _adding(job, scene, inputs)),
    ]
    return Job(stages, listener, [*inputs.nodes().values(), inputs.structures])


def _handing_over(
    job: Job, inputs: EvaluationInputs, settings: EvaluationSettings
) -> Generator[None, None, None]:
    nodes = inputs.nodes()
    job.names |= {str(job.folder / f"{file}.mha"): node.GetName() for file, node in nodes.items()}
    if inputs.plan:  # a file's name may hold the patient's
        job.names[str(Path(inputs.plan))] = _("file")
    count = len(nodes) + (inputs.structures is not None)
    for number, file in enumerate(nodes):
        job.report("Hand volumes over", number / count)
        yield
        image = yield from inputs.image_steps(file)
        yield
        yield from writing_steps(image, job.folder / f"{file}.mha")
    if inputs.structures is not None:
        folder = job.folder / "structures"
        folder.mkdir()
        job.names[str(folder)] = inputs.structures.GetName()
        names = []
        for name, mask in segment_masks(inputs.structures):
            yield
            write_mask(mask, folder, len(names))
            names.append(name)
            yield
        if not names:
            raise SyntheticCTError(
                _("The segmentation {name} is empty: choose another one, or none.").format(
                    name=inputs.structures.GetName()
                )
            )
        write_index(names, folder)
    if settings.density_curve:
        write_density_curve(settings.density_curve, job.folder / _CURVE)
    job.report("Hand volumes over", 1.0)


def _arguments(
    folder: Path, inputs: EvaluationInputs, settings: EvaluationSettings
) -> list[str | Path]:
    """The command line that evaluates what has been handed over.

    What has a name that people gave stands behind a "=", as names may begin with "-".
    """
    given = inputs.nodes()

    def path(file: str) -> Path:
        return folder / f"{file}.mha"

    arguments: list[str | Path] = ["evaluate", "--ct", path("ct")]
    for number, name in enumerate(inputs.candidates):
        arguments += [f"--candidate={name}={path(f'candidate{number}')}"]
        if f"dose{number}" in given:
            arguments += [f"--dose={name}={path(f'dose{number}')}"]
    for file, option in (("dose_ct", "--dose-ct"), ("region", "--region"), ("mr", "--mr")):
        if file in given:
            arguments += [option, path(file)]
    if inputs.plan:
        arguments += ["--plan", Path(inputs.plan)]
    arguments += _of_calculation(folder, inputs, settings)
    if inputs.structures is not None:
        arguments += ["--structures", folder / "structures"]
    if settings.target is not None:
        arguments += [f"--target={named_target(settings.target)}"]
    if settings.prescription_gy is not None:
        arguments += ["--prescription", repr(float(settings.prescription_gy))]
    flags = {"--no-dose": not settings.dose, "--mask-nan": settings.mask_nan}
    arguments += [flag for flag, asked in flags.items() if asked]
    arguments += ["--registration", settings.registration]
    arguments += ["--registration-by", settings.registration_by]
    if settings.dose:
        arguments += ["--criteria", ",".join(one.name for one in settings.criteria)]
        cutoffs = ",".join(repr(float(cutoff)) for cutoff in settings.cutoffs_percent)
        arguments += ["--cutoffs", cutoffs, "--gamma-cap", repr(float(settings.gamma_cap))]
        arguments += ["--gamma-engine", settings.gamma_engine]
    for option, asked in (
        ("--dvh-points", settings.dvh_points),
        ("--acceptance", inputs.limits),
        ("--patient", inputs.patient),
    ):
        arguments += [f"{option}={asked}"] if asked else []
    for warning in inputs.other_patients():
        arguments += [f"--note={warning}"]
    return [*arguments, "--no-scene", "--output", folder / RESULTS]


def _of_calculation(
    folder: Path, inputs: EvaluationInputs, settings: EvaluationSettings
) -> list[str | Path]:
    """Of the command line, how dose is calculated; nothing where it is not."""
    arguments: list[str | Path] = []
    if not settings.dose or inputs.dose_ct is not None:
        return arguments
    arguments += ["--dose-spacing", repr(float(settings.dose_spacing_mm))]
    for name, dose in settings.planning.levels:
        arguments += [f"--target={name}={float(dose)!r}"]
    if settings.planning.levels:
        arguments += ["--fractions", str(settings.planning.fractions)]
        arguments += ["--arcs", str(settings.planning.arcs)]
    if inputs.plan or settings.planning.levels:
        arguments += ["--dose-engine", settings.dose_engine]
        if settings.dose_engine == MONTE_CARLO:
            arguments += ["--dose-noise", repr(float(settings.dose_noise_percent))]
            arguments += ["--dose-minutes", repr(float(settings.dose_minutes))]
            arguments += ["--leaf-transmission", repr(float(settings.leaf_transmission_percent))]
    if settings.density_curve:
        arguments += ["--density-curve", folder / _CURVE]
    for one in settings.overrides:
        option = "--couch" if one.couch else "--override"
        arguments += [f"{option}={one.name}={float(one.hu)!r}"]
    return arguments


def _adding(
    job: Job, scene: Any, inputs: EvaluationInputs
) -> Generator[None, None, tuple[Evaluation, EvaluationNodes]]:
    """Read the results and show them; inputs that have been deleted meanwhile are not missed."""
    job.report("Show results", 0.0)
    folder = job.folder / RESULTS
    evaluation = yield from reading_steps(folder)
    documents = documents_in(folder)
    job.report("Show results", 0.5)
    nodes = yield from adding_steps(
        scene,
        evaluation,
        ct_node=_still_there(inputs.ct, scene),
        mr_node=_still_there(inputs.mr, scene),
        dose_nodes=inputs.shown_doses(),
        structures_node=_still_there(inputs.structures, scene),
        documents=documents,
        show=inputs.show,
    )
    job.report("Show results", 1.0)
    return evaluation, nodes


def _still_there(node: Any, scene: Any) -> Any:
    return node if node is not None and node.GetScene() is scene else None
