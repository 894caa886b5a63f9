"""A treatment plan of photon beams as a machine delivers it: beams of control points.

Lengths are mm, angles degrees of IEC 61217, doses Gy, metersets MU. Points of the patient are
x, y, z in mm, LPS (DICOM's patient coordinates). Jaws and leaves are told at the isocentre's plane
in the coordinates of the beam limiting device (IEC 61217 Xb, Yb; at gantry, collimator and couch
0 of a patient head first supine: Xb to the patient's left, Yb to the head); see
:mod:`SyntheticCTEvalLib.plan.geometry` for the axes at other angles and positions.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class MultiLeafCollimator:
    """Pairs of opposing leaves.

    Attributes:
        axis: "X" or "Y": the axis (Xb, Yb) that the leaves travel along (DICOM's MLCX, MLCY).
        boundaries_mm: (pairs + 1) rising values along the other axis, at the isocentre's plane:
            pair n lies between boundaries n and n + 1.
    """

    axis: str
    boundaries_mm: tuple[float, ...]

    @property
    def pairs(self) -> int:
        """Number of pairs of leaves."""
        return len(self.boundaries_mm) - 1


@dataclass(frozen=True, eq=False)
class ControlPoint:
    """The machine's state when a share of the beam's meterset has been delivered.

    Between two control points all values change linearly with the meterset, the gantry in the
    direction that :attr:`gantry_direction` of the first says.

    Attributes:
        meterset_weight: cumulative, 0 at the first control point and the beam's
            final weight (1 here) at the last; never falls.
        gantry_deg: 0 to below 360; 0 shines from above, 90 from Xf positive (the left of a
            patient head first supine).
        gantry_direction: "CW" (the angle rises), "CC" (it falls) or "NONE" until the next control
            point.
        collimator_deg: of the beam limiting device, about the beam's axis.
        couch_deg: of the patient support, about the vertical through the isocentre.
        jaws_x_mm: lower and upper edge along Xb; None where the beam has no such jaws.
        jaws_y_mm: lower and upper edge along Yb; None where the beam has no such jaws.
        leaves_mm: (pairs, 2) lower and upper leaf's end along the MLC's axis, in the order of the
            boundaries; None where the beam has no MLC.
    """

    meterset_weight: float
    gantry_deg: float
    gantry_direction: str = "NONE"
    collimator_deg: float = 0.0
    couch_deg: float = 0.0
    jaws_x_mm: tuple[float, float] | None = None
    jaws_y_mm: tuple[float, float] | None = None
    leaves_mm: np.ndarray | None = field(default=None, repr=False)


@dataclass(frozen=True, eq=False)
class Beam:
    """A photon beam.

    Attributes:
        number: what DICOM calls the beam by; one beam of several fraction groups is told once a
            group, by the same number.
        name: for people.
        isocentre_mm: x, y, z in mm, LPS.
        control_points: at least two, of rising meterset weight.
        meterset_mu: MU of one fraction.
        energy_mv: nominal energy.
        mlc: None where there is none.
        source_axis_mm: from the source to the isocentre.
        fractions: how often it is delivered.
        fraction_group: number of the fraction group.
        flattened: False where the plan says that the flattening filter is out of the beam (FFF).
        machine: name of the treatment machine, "" where it is not told.
    """

    number: int
    name: str
    isocentre_mm: tuple[float, float, float]
    control_points: tuple[ControlPoint, ...] = field(repr=False)
    meterset_mu: float
    energy_mv: float = 6.0
    mlc: MultiLeafCollimator | None = field(default=None, repr=False)
    source_axis_mm: float = 1000.0
    fractions: int = 1
    fraction_group: int = 1
    flattened: bool = True
    machine: str = ""

    @property
    def is_dynamic(self) -> bool:
        """Whether gantry, couch, collimator, jaws or leaves move while the beam is on."""
        pairs = zip(self.control_points, self.control_points[1:], strict=False)
        return any(
            after.meterset_weight > before.meterset_weight and _moves(before, after)
            for before, after in pairs
        )


@dataclass(frozen=True)
class TargetLevel:
    """What is prescribed to one target, of the whole course.

    Attributes:
        name: of the target; "" where the plan does not name it.
        dose_gy: more than 0.
        roi_number: of its structure in the structure set; None where it is not told.
    """

    name: str
    dose_gy: float
    roi_number: int | None = None


@dataclass(frozen=True, eq=False)
class TreatmentPlan:
    """Beams, how often they are delivered, and what they should give.

    Attributes:
        beams: at least one.
        prescription: the levels of the targets, highest first; empty where the plan tells none.
        patient_position: DICOM's Patient Position on the machine ("HFS", "FFP", ...).
        position_told: False where the plan does not say it, and it is assumed.
        frame_of_reference: UID of the coordinates that isocentres lie in; "" is not known.
        uid: SOP Instance UID; "" of a plan that was never written.
        structure_set_uid: SOP Instance UID of the structure set that it was made on; "" none.
        label: short, for people (RT Plan Label).
        description: how it came about, for the report.
        made_on_this_ct: by this run, so that it lies where it should without any header.
    """

    beams: tuple[Beam, ...]
    prescription: tuple[TargetLevel, ...] = ()
    patient_position: str = "HFS"
    position_told: bool = True
    frame_of_reference: str = ""
    uid: str = ""
    structure_set_uid: str = ""
    label: str = "PLAN"
    description: str = ""
    made_on_this_ct: bool = False

    @property
    def prescription_gy(self) -> float | None:
        """The highest level, which percentages refer to; None where none is told."""
        return max((level.dose_gy for level in self.prescription), default=None)

    @property
    def total_mu(self) -> float:
        """MU of the whole course."""
        return sum(beam.meterset_mu * beam.fractions for beam in self.beams)


def _moves(before: ControlPoint, after: ControlPoint) -> bool:
    leaves = (before.leaves_mm, after.leaves_mm)
    return (
        before.gantry_deg != after.gantry_deg
        or before.collimator_deg != after.collimator_deg
        or before.couch_deg != after.couch_deg
        or before.jaws_x_mm != after.jaws_x_mm
        or before.jaws_y_mm != after.jaws_y_mm
        or (leaves[0] is not None and not np.array_equal(*leaves))
    )
