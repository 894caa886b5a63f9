"""Whether a machine could deliver a beam: what a plan that is read or written must fulfil."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
from SyntheticCTLib.basics.errors import SyntheticCTError

from .beams import Beam, ControlPoint, TreatmentPlan
from .geometry import PATIENT_AXES, SAME_DEG
from .prescription import require_prescribed

DIRECTIONS = ("NONE", "CW", "CC")
_CLOSE_MM = 0.01
"""By how much opposing leaves may overlap: plans are rounded."""
_UNCOVERED_MM = 1.0
_EXPORT = "export the plan again from the planning system."


def require_deliverable(plan: TreatmentPlan, what: str = "plan") -> None:
    """Refuse a plan that no machine could deliver as it is told.

    Args:
        what: the plan in sentences ("plan /data/p.dcm").

    Raises:
        SyntheticCTError: naming the beam and what is wrong.
    """
    if not plan.beams:
        raise SyntheticCTError(f"The {what} has no beam that treats: give a plan with beams.")
    if plan.patient_position not in PATIENT_AXES:
        raise SyntheticCTError(
            f"The patient of the {what} lies in a position that is not known "
            f"({plan.patient_position}): known are {', '.join(PATIENT_AXES)}."
        )
    for level in plan.prescription:
        require_prescribed(level, what)
    for group in {beam.fraction_group for beam in plan.beams}:
        if len({beam.fractions for beam in plan.beams if beam.fraction_group == group}) > 1:
            raise SyntheticCTError(
                f"The beams of fraction group {group} of the {what} are delivered in different "
                "numbers of fractions: give each number a fraction group of its own."
            )
    for beam in plan.beams:
        require_deliverable_beam(beam, f"beam {beam.number} ({beam.name}) of the {what}")


def require_deliverable_beam(beam: Beam, what: str) -> None:
    """Refuse a beam that no machine could deliver.

    Raises:
        SyntheticCTError: see :func:`require_deliverable`.
    """
    _require_output(beam, what)
    if beam.mlc is not None:
        _require_leaves(beam, what)
    for number, point in enumerate(beam.control_points):
        _require_opening(beam, point, f"control point {number} of the {what}")
    _require_known_turn(beam, what)
    for number, (before, after) in enumerate(pairwise(beam.control_points)):
        _require_movement(before, after, f"between control points {number} and {number + 1}", what)


def _require_output(beam: Beam, what: str) -> None:
    weights = [point.meterset_weight for point in beam.control_points]
    if not (math.isfinite(beam.meterset_mu) and beam.meterset_mu > 0):
        raise SyntheticCTError(
            f"The {what} has a meterset of {beam.meterset_mu:g} MU and so gives no dose: {_EXPORT}"
        )
    if not (math.isfinite(beam.energy_mv) and beam.energy_mv > 0):
        raise SyntheticCTError(
            f"The {what} has a nominal energy of {beam.energy_mv:g} MV, which none can have: "
            f"{_EXPORT}"
        )
    if beam.fractions < 1:
        raise SyntheticCTError(
            f"The {what} is delivered in {beam.fractions} fractions and so gives no dose: {_EXPORT}"
        )
    if len(weights) < 2:
        raise SyntheticCTError(
            f"The {what} has {len(weights) or 'no'} control point, and a beam has at least two: "
            f"{_EXPORT}"
        )
    if any(after < before for before, after in pairwise(weights)):
        raise SyntheticCTError(
            f"The meterset weights of the {what} fall between control points, which would take "
            f"dose back: {_EXPORT}"
        )
    if weights[0] != 0 or not math.isclose(weights[-1], 1, rel_tol=1e-6):
        raise SyntheticCTError(
            f"The meterset weights of the {what} do not go from 0 to their final value, so that "
            f"parts of its meterset are missing: {_EXPORT}"
        )
    if not beam.source_axis_mm > 0:
        raise SyntheticCTError(
            f"The {what} has a source {beam.source_axis_mm:g} mm from its isocentre: {_EXPORT}"
        )


def _require_leaves(beam: Beam, what: str) -> None:
    boundaries = np.asarray(beam.mlc.boundaries_mm, dtype=float)
    if beam.mlc.axis not in ("X", "Y"):
        raise SyntheticCTError(
            f"The leaves of the {what} travel along {beam.mlc.axis}, which is not X or Y: {_EXPORT}"
        )
    if len(boundaries) < 2 or not np.isfinite(boundaries).all() or (np.diff(boundaries) <= 0).any():
        raise SyntheticCTError(
            f"The leaf boundaries of the {what} do not rise, so that its leaves have no place: "
            f"{_EXPORT}"
        )


def _require_opening(beam: Beam, point: ControlPoint, what: str) -> None:
    if beam.mlc is None and (point.jaws_x_mm is None or point.jaws_y_mm is None):
        raise SyntheticCTError(
            f"The field at {what} is not limited by jaws and leaves on all sides: {_EXPORT}"
        )
    for axis, jaws in (("X", point.jaws_x_mm), ("Y", point.jaws_y_mm)):
        if jaws is not None and not jaws[0] <= jaws[1] + _CLOSE_MM:
            raise SyntheticCTError(
                f"The {axis} jaws cross at {what} ({jaws[0]:g} and {jaws[1]:g} mm): {_EXPORT}"
            )
    if beam.mlc is None:
        return
    leaves = point.leaves_mm
    if leaves is None or np.shape(leaves) != (beam.mlc.pairs, 2):
        count = 0 if leaves is None else np.size(leaves)
        raise SyntheticCTError(
            f"There are {count} leaf positions at {what}, and its {beam.mlc.pairs} pairs of leaves "
            f"need {2 * beam.mlc.pairs}: {_EXPORT}"
        )
    crossing = np.flatnonzero(~(leaves[:, 0] <= leaves[:, 1] + _CLOSE_MM))
    if len(crossing):
        raise SyntheticCTError(
            f"The opposing leaves of pair {crossing[0] + 1} cross at {what} "
            f"({leaves[crossing[0], 0]:g} and {leaves[crossing[0], 1]:g} mm): {_EXPORT}"
        )
    across = point.jaws_y_mm if beam.mlc.axis == "X" else point.jaws_x_mm
    first, last = beam.mlc.boundaries_mm[0], beam.mlc.boundaries_mm[-1]
    if across and (across[0] < first - _UNCOVERED_MM or across[1] > last + _UNCOVERED_MM):
        raise SyntheticCTError(
            f"The MLC has too few leaves at {what}: they reach from {first:g} to {last:g} mm, and "
            f"the jaws open from {across[0]:g} to {across[1]:g} mm: {_EXPORT}"
        )


def _require_known_turn(beam: Beam, what: str) -> None:
    """A gantry that is said to turn, and is told at one angle alone, turns once or not at all."""
    first, *others = beam.control_points
    directions = {
        before.gantry_direction
        for before, after in pairwise(beam.control_points)
        if after.meterset_weight > before.meterset_weight
    }
    if directions & {"CW", "CC"} and not any(
        _turned(first.gantry_deg, point.gantry_deg) for point in others
    ):
        raise SyntheticCTError(
            f"The gantry of the {what} is said to turn ({', '.join(sorted(directions))}) and "
            f"stands at {first.gantry_deg:g} degrees at every control point, which is a whole turn "
            "or none: give a plan that tells angles on the way, or no direction."
        )


def _require_movement(before: ControlPoint, after: ControlPoint, where: str, what: str) -> None:
    """While the beam is on, only the gantry turns, and its direction is known."""
    if before.gantry_direction not in DIRECTIONS:
        raise SyntheticCTError(
            f"The gantry of the {what} turns in a direction that is not known "
            f"({before.gantry_direction}): {_EXPORT}"
        )
    if after.meterset_weight == before.meterset_weight:
        return
    if before.gantry_direction == "NONE" and _turned(before.gantry_deg, after.gantry_deg):
        raise SyntheticCTError(
            f"The gantry of the {what} turns {where} without a direction: {_EXPORT}"
        )
    for name, one, other in (
        ("collimator", before.collimator_deg, after.collimator_deg),
        ("couch", before.couch_deg, after.couch_deg),
    ):
        if _turned(one, other):
            raise SyntheticCTError(
                f"The {name} of the {what} turns {where} while the beam is on, which is not "
                "calculated: give a plan in which only gantry, jaws and leaves move."
            )


def _turned(one: float, other: float) -> bool:
    return abs((other - one + 180) % 360 - 180) > SAME_DEG
