"""A plan of two or three arcs for targets with doses of their own (SIB), made on the true CT."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import SILENT, Progress
from SyntheticCTLib.body.labels import part_in_body, patient_on
from SyntheticCTLib.volumes.resampling import resample

from SyntheticCTEvalLib.delivery.dose import recalculate_plan
from SyntheticCTEvalLib.delivery.segments import GANTRY_STEP_DEG
from SyntheticCTEvalLib.dose.plan import mask_points
from SyntheticCTEvalLib.dose.recalculation import dose_grid
from SyntheticCTEvalLib.plan.beams import TargetLevel, TreatmentPlan
from SyntheticCTEvalLib.plan.field_ends import require_ct_around_fields
from SyntheticCTEvalLib.structures.dvh import dose_volume_histogram

from .arcs import SEGMENTS, Arc, arcs_around, beam_of
from .goals import Goals, goals_of
from .influence import Depths, Influence, influence_of, parts_of
from .linac import LINAC
from .objectives import Objective
from .optimiser import Optimiser, Shapes, first_shapes
from .request import PlanRequest, highest_first

SHARE_OF_LEVEL = 0.97
"""D95 of the target that is covered least, of its level, that the MU are set for."""
HOTTEST_SHARE = 1.09
"""Of the highest level, that the largest dose may reach for a target's coverage."""
_MOST_ENTRIES = 200_000_000
_REACH_MM = 60.0
_LATER_PACE = 0.4
_WITHIN = 0.98
"""Share of a target in another of which it is a part."""


@dataclass(frozen=True)
class Effort:
    """How much is calculated.

    Attributes:
        spacing_mm: of the dose grid.
        segments: of an arc.
        gantry_step_deg: in which the pencil beam follows the gantry.
        iterations: before each dose of the pencil beam, which corrects the following.
    """

    spacing_mm: float = 5.0
    segments: int = SEGMENTS
    gantry_step_deg: float = GANTRY_STEP_DEG
    iterations: tuple[int, ...] = (150, 40)


@dataclass(frozen=True, eq=False)
class Planned:
    """A plan and how it came about.

    Attributes:
        plan: as it can be written.
        dose: in Gy on the true CT, on the planning grid.
        seconds: that it took.
        iterations: of the optimiser.
    """

    plan: TreatmentPlan
    dose: sitk.Image
    seconds: float
    iterations: int


def make_plan(
    ct: sitk.Image,
    body: sitk.Image,
    structures: Mapping[str, sitk.Image],
    levels: Mapping[str, float],
    objectives: tuple[Objective, ...],
    *,
    fractions: int = 25,
    arcs: int = 2,
    patient_position: str = "HFS",
    effort: Effort = Effort(),
    progress: Progress = SILENT,
) -> Planned:
    """Return a plan of full arcs that gives every target its level, and spares organs.

    Leaves and MU are optimised together from arcs that are open around the targets: gradients
    of a dose by pydosert's kernels at sample points, corrected by the pencil beam's dose on the
    CT after every round. Leaf speed, gap and gantry speed of :data:`linac.LINAC` are kept. MU are
    set so that D95 of the target that is covered least (of its part in the body) is 97 % of its
    level, as far as the largest dose stays under 110 % of the highest level; the plan's description
    says which of both.

    Args:
        ct: CT in HU.
        body: mask of the body in ``ct`` (a couch as in dose.recalculation.recalculate_dose).
        structures: masks of targets and organs by name, any grid.
        levels: dose in Gy of the whole course by name of the target.
        objectives: of organs by name (objectives.read_objectives).
        fractions: how often the plan is delivered.
        arcs: 1 to 3.
        patient_position: on the machine.

    Raises:
        SyntheticCTError: a target that is not there, empty, outside the body or too large for
            the field; levels that are no dose; a body that is empty; a CT that ends inside a field.
    """
    started = time.monotonic()
    request = PlanRequest(tuple(levels.items()), fractions, arcs)
    request.require_targets(structures)
    case = _case(
        ct, body, structures, levels, objectives, fractions, arcs, patient_position, effort
    )
    opened = case.plan_of([first_shapes(arc) for arc in case.arcs])
    require_ct_around_fields(opened, body, progress)
    influences = _influences(ct, body, case, progress)
    optimiser = Optimiser(case.arcs, influences, case.goals)
    shapes = _first(case.arcs, optimiser, case.goals)
    correction, done = np.zeros(len(case.goals.voxels), np.float32), 0
    for number, iterations in enumerate(effort.iterations):

        def told(iteration: int, loss: float, before: int = done) -> None:
            progress.report(
                "optimise",
                (before + iteration) / sum(effort.iterations),
                iteration=before + iteration,
                loss=round(loss, 5),
                seconds=round(time.monotonic() - started),
            )

        pace = 1.0 if number == 0 else _LATER_PACE
        shapes = optimiser.improve(shapes, correction, iterations, told, pace)
        done += iterations
        plan = case.plan_of(shapes)
        dose = recalculate_plan(ct, plan, body, case.grid, progress, effort.gantry_step_deg)
        values = sitk.GetArrayFromImage(dose).ravel()[case.goals.voxels]
        correction = values - optimiser.dose(shapes)
    targets = {name: part_in_body(structures[name], body) for name in levels}
    scale, reached = _scale(dose, targets, levels)
    plan = case.plan_of([Shapes(own.leaves, own.units * scale) for own in shapes])
    told_effort = f"leaves and MU optimised in {done} iterations"
    plan = dataclasses.replace(plan, description=f"{request.told}, {told_effort}; {reached}")
    return Planned(plan, _scaled(dose, scale), time.monotonic() - started, done)


@dataclass(frozen=True, eq=False)
class _Case:
    """What is planned: where, with which arcs, and for what."""

    grid: sitk.Image
    arcs: list[Arc]
    goals: Goals
    isocentre_mm: tuple[float, float, float]
    patient_position: str
    levels: Mapping[str, float]
    fractions: int

    def plan_of(self, shapes: list[Shapes]) -> TreatmentPlan:
        beams = tuple(
            beam_of(
                arc,
                number,
                own.leaves,
                own.units / self.fractions,
                self.isocentre_mm,
                self.fractions,
            )
            for number, (arc, own) in enumerate(zip(self.arcs, shapes, strict=True), start=1)
        )
        falling = highest_first(self.levels.items())
        levels = tuple(TargetLevel(name, float(dose)) for name, dose in falling)
        return TreatmentPlan(beams, levels, self.patient_position, label="SYNTHETICCT ARCS")


def _case(
    ct: sitk.Image,
    body: sitk.Image,
    structures: Mapping[str, sitk.Image],
    levels: Mapping[str, float],
    objectives: tuple[Objective, ...],
    fractions: int,
    arcs: int,
    patient_position: str,
    effort: Effort,
) -> _Case:
    grid = dose_grid(body, effort.spacing_mm)
    inside = patient_on(body, grid)
    masks = {name: _target(structures[name], name, grid, inside) for name in levels}
    _require_rising(masks, levels)
    points = mask_points(grid == 0)[np.any(list(masks.values()), axis=0).ravel()]
    isocentre = tuple(np.round(points.mean(axis=0), 1).tolist())
    geometry = arcs_around(points, isocentre, arcs, patient_position, effort.segments)
    for arc in geometry:
        _require_field(arc, list(levels))
    goals = goals_of(
        {name: (mask & inside, levels[name]) for name, mask in masks.items()},
        {name: _on(mask, grid) for name, mask in structures.items() if name not in levels},
        inside,
        objectives,
        effort.spacing_mm,
    )
    return _Case(grid, geometry, goals, isocentre, patient_position, levels, fractions)


def _scale(
    dose: sitk.Image, targets: Mapping[str, sitk.Image], levels: Mapping[str, float]
) -> tuple[float, str]:
    """What MU are multiplied by for the targets' D95, no further than the largest dose allows; and
    which of both they are set for, in words."""
    shares = {
        name: dose_volume_histogram(dose, mask).dose_at(95) / levels[name]
        for name, mask in targets.items()
    }
    least = min(shares, key=lambda name: shares[name])
    wanted = SHARE_OF_LEVEL / shares[least] if shares[least] > 0 else math.inf
    largest = float(sitk.GetArrayViewFromImage(dose).max())
    allowed = HOTTEST_SHARE * max(levels.values()) / largest
    aim = f"{100 * SHARE_OF_LEVEL:g} %"
    if wanted <= allowed:
        return wanted, f"MU for D95 of at least {aim} of every level"
    got = math.floor(1000 * allowed * shares[least]) / 10
    return allowed, (
        f"MU limited by the largest dose, {100 * HOTTEST_SHARE:g} % of the highest level: D95 of "
        f"{least}, which is covered least, is {got:g} % of its level instead of {aim}"
    )


def _scaled(dose: sitk.Image, scale: float) -> sitk.Image:
    scaled = sitk.Cast(dose * scale, sitk.sitkFloat32)
    scaled.SetMetaData("DoseUnits", "GY")
    return scaled


def _require_rising(masks: Mapping[str, np.ndarray], levels: Mapping[str, float]) -> None:
    """Refuse a target that lies within another of a higher level: it cannot get less."""
    for name, mask in masks.items():
        for other, outer in masks.items():
            within = np.count_nonzero(mask & outer) >= _WITHIN * np.count_nonzero(mask)
            if name != other and within and levels[name] < levels[other]:
                raise SyntheticCTError(
                    f"The target {name} ({levels[name]:g} Gy) lies within {other} "
                    f"({levels[other]:g} Gy), so that its level cannot be lower: give the inner "
                    "target the higher dose, or leave it out."
                )


def _target(mask: sitk.Image, name: str, grid: sitk.Image, inside: np.ndarray) -> np.ndarray:
    if not sitk.GetArrayViewFromImage(mask).any():
        raise SyntheticCTError(f"The target {name} is empty: give a structure that has voxels.")
    found = _on(mask, grid)
    if not (found & inside).any():
        raise SyntheticCTError(
            f"The target {name} lies outside the body, or is smaller than a voxel of the dose "
            "grid: check that structures and CT belong together."
        )
    return found


def _require_field(arc: Arc, names: list[str]) -> None:
    opened = np.ptp(arc.windows_mm, axis=-1) > 0
    used = opened.any(axis=0)
    reach = max(
        float(np.abs(arc.windows_mm[opened]).max()),
        LINAC.field_mm if used[0] or used[-1] else 0.0,
    )
    if reach >= LINAC.field_mm:
        raise SyntheticCTError(
            f"The targets ({', '.join(names)}) do not fit into a field of "
            f"{2 * LINAC.field_mm / 10:g} x {2 * LINAC.field_mm / 10:g} cm around their middle: "
            "give smaller targets."
        )


def _influences(
    ct: sitk.Image, body: sitk.Image, case: _Case, progress: Progress
) -> list[Influence]:
    """Of every arc; the parts of a field are wider where there would be too many."""
    places = mask_points(case.grid == 0)[case.goals.voxels]
    for along in (5.0, 10.0, 20.0):
        parts = [parts_of(arc, along) for arc in case.arcs]
        if len(places) * sum(int(one[-1].sum()) for one in parts) <= _MOST_ENTRIES:
            break
    reach = max(float(np.abs(rows).max()) for _, rows, _, _ in parts) + _REACH_MM
    at = (case.isocentre_mm, case.patient_position)
    depths = Depths(ct, body, case.grid, case.isocentre_mm, reach, case.patient_position)
    found = []
    for number, (arc, own) in enumerate(zip(case.arcs, parts, strict=True), start=1):
        found.append(influence_of(arc, places, own, depths, *at))
        progress.report("influence", number / len(case.arcs))
    return found


def _first(arcs: list[Arc], optimiser: Optimiser, goals: Goals) -> list[Shapes]:
    """Open arcs whose MU give the targets their level in the mean."""
    shapes = [first_shapes(arc) for arc in arcs]
    dose = optimiser.dose(shapes)
    wanted = goals.least > 0
    scale = float(goals.least[wanted].mean() / dose[wanted].mean())
    return [Shapes(one.leaves, one.units * scale) for one in shapes]


def _on(mask: sitk.Image, grid: sitk.Image) -> np.ndarray:
    return sitk.GetArrayFromImage(resample(mask, grid, fill=0, nearest=True)) != 0
