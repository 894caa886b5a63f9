"""Whether a CT reaches beyond the fields of a plan."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from SyntheticCTLib.basics.errors import SyntheticCTError

from SyntheticCTEvalLib.plan.beams import Beam, ControlPoint, TreatmentPlan
from SyntheticCTEvalLib.plan.geometry import beam_axes

from .segments import Segment, segments_of

END_SHARE = 0.001
"""Of what passes the openings, that may cross the CT's first or last slice in the body."""
_MOST_POINTS = 2000


def require_ct_around(plan: TreatmentPlan, body: sitk.Image) -> None:
    """Refuse a CT that ends inside a field, where tissue that the beam passes is missing.

    Args:
        body: mask of the body on the CT's own grid.

    Raises:
        SyntheticCTError: more than END_SHARE of what passes the openings crosses the outer faces
            of the first or the last slice inside the body.
    """
    crossing, passing = np.zeros(2), 0.0
    faces = [_face(body, last) for last in (False, True)]
    for beam in plan.beams:
        for segment in segments_of(beam, 30.0):
            units = beam.meterset_mu * beam.fractions * segment.share
            passing += units * _opened_mm2(segment)
            for number, (points, normal, area) in enumerate(faces):
                if len(points):
                    seen = _seen_mm2(beam, segment, plan.patient_position, points, normal) * area
                    crossing[number] += units * seen
    if passing and crossing.max() > END_SHARE * passing:
        raise SyntheticCTError(
            "The CT ends inside a field of the plan, so that tissue which the beam passes is "
            "missing: give a CT that reaches beyond the fields."
        )


def _face(body: sitk.Image, last: bool) -> tuple[np.ndarray, np.ndarray, float]:
    """Points (n, 3; LPS) of the body in an outer face, its normal, and mm2 a point."""
    inside = sitk.GetArrayViewFromImage(body)[-1 if last else 0] != 0
    row, column = np.nonzero(inside)
    step = max(1, len(row) // _MOST_POINTS)
    row, column = row[::step], column[::step]
    axes = np.array(body.GetDirection()).reshape(3, 3)
    spacing = np.array(body.GetSpacing())
    at = np.full(len(row), body.GetSize()[2] - 0.5 if last else -0.5)
    points = np.stack([column, row, at], axis=1) * spacing @ axes.T + np.array(body.GetOrigin())
    return points, axes[:, 2], float(spacing[0] * spacing[1] * step)


def _seen_mm2(
    beam: Beam, segment: Segment, position: str, points: np.ndarray, normal: np.ndarray
) -> float:
    """Sum over the points in a segment's opening of their size in the isocentre's plane."""
    state = ControlPoint(
        0,
        segment.gantry_deg,
        collimator_deg=segment.collimator_deg,
        couch_deg=segment.couch_deg,
    )
    axes = beam_axes(beam, state, position)
    rays = points - axes.source_mm
    depth = -rays @ axes.zb
    scale = beam.source_axis_mm / depth
    along, across = rays @ axes.xb * scale, rays @ axes.yb * scale
    if segment.axis == "Y":
        along, across = across, along
    pair = np.searchsorted(segment.sides_mm[:, 0], across, side="right") - 1
    leaves = segment.leaves_mm.mean(axis=0)[np.clip(pair, 0, len(segment.sides_mm) - 1)]
    jaws = segment.jaws_mm.mean(axis=0)
    opened = (pair >= 0) & (across < segment.sides_mm[-1, 1])
    opened &= along > np.maximum(leaves[:, 0], jaws[0, 0])
    opened &= along < np.minimum(leaves[:, 1], jaws[0, 1])
    opened &= (across > jaws[1, 0]) & (across < jaws[1, 1])
    slope = np.abs(rays @ normal) / depth
    return float((slope * scale**2)[opened].sum())


def _opened_mm2(segment: Segment) -> float:
    leaves, jaws = segment.leaves_mm.mean(axis=0), segment.jaws_mm.mean(axis=0)
    along = np.ptp(np.clip(leaves, *jaws[0]), axis=1)
    return float((along * np.ptp(np.clip(segment.sides_mm, *jaws[1]), axis=1)).sum())
