"""Where a beam comes from in the patient's coordinates (IEC 61217 to DICOM's LPS)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .beams import Beam, ControlPoint

PATIENT_AXES = {
    "HFS": ((1, 0, 0), (0, 0, -1)),
    "HFP": ((-1, 0, 0), (0, 0, 1)),
    "FFS": ((-1, 0, 0), (0, 0, -1)),
    "FFP": ((1, 0, 0), (0, 0, 1)),
    "HFDR": ((0, 0, 1), (1, 0, 0)),
    "HFDL": ((0, 0, -1), (-1, 0, 0)),
    "FFDR": ((0, 0, 1), (-1, 0, 0)),
    "FFDL": ((0, 0, -1), (1, 0, 0)),
}
"""The patient's left (LPS x) and back (LPS y) in the table top's Xt, Yt, Zt (IEC 61217: Xt right
of one who faces the gantry, Yt to the gantry, Zt up), by DICOM's Patient Position."""
SAME_DEG = 1e-3
"""Angles this close are one: plans are rounded."""


@dataclass(frozen=True, eq=False)
class BeamAxes:
    """Source and axes of the beam limiting device in the patient's coordinates.

    Attributes:
        source_mm: (3,) x, y, z in mm, LPS.
        xb: (3,) unit vector of Xb (IEC 61217), LPS.
        yb: (3,) unit vector of Yb, LPS.
        zb: (3,) unit vector from the isocentre to the source, LPS; xb, yb, zb are right-handed.
    """

    source_mm: np.ndarray
    xb: np.ndarray
    yb: np.ndarray
    zb: np.ndarray


def beam_axes(beam: Beam, point: ControlPoint, patient_position: str = "HFS") -> BeamAxes:
    """Return where the source is, and the axes of jaws and leaves, at a control point.

    Sources: IEC 61217 (rotations of gantry, beam limiting device and patient support); DICOM PS3.3
    C.8.8.25.6 (its use in RT beams), C.7.3.1.1.2 (patient positions).

    Raises:
        KeyError: ``patient_position`` is not of PATIENT_AXES.
    """
    to_patient = _table_to_patient(patient_position) @ _about_z(-point.couch_deg)
    gantry = _about_y(point.gantry_deg)
    axes = to_patient @ gantry @ _about_z(point.collimator_deg)
    xb, yb, zb = axes.T
    source = np.asarray(beam.isocentre_mm) + beam.source_axis_mm * zb
    return BeamAxes(source, xb, yb, zb)


def gantry_turn_deg(before: ControlPoint, after: ControlPoint) -> float:
    """By how much the gantry turns from a control point to the next; negative against the clock.

    Angles that differ by no more than rounding are no turn, and never a whole one.
    """
    turn = (after.gantry_deg - before.gantry_deg) % 360
    if before.gantry_direction == "NONE" or min(turn, 360 - turn) < SAME_DEG:
        return 0.0
    return turn if before.gantry_direction == "CW" else turn - 360


def _table_to_patient(position: str) -> np.ndarray:
    """Matrix (3, 3) from the table top's coordinates to LPS."""
    left, back = (np.array(axis, dtype=float) for axis in PATIENT_AXES[position])
    return np.stack([left, back, np.cross(left, back)])


def _about_z(degrees: float) -> np.ndarray:
    cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])


def _about_y(degrees: float) -> np.ndarray:
    cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])
