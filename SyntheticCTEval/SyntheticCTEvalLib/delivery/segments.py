"""A beam between its control points: parts of the meterset, each from one gantry angle."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from SyntheticCTEvalLib.plan.beams import Beam, ControlPoint
from SyntheticCTEvalLib.plan.geometry import gantry_turn_deg

GANTRY_STEP_DEG = 4.0
"""A turning gantry is followed in steps of at most this."""
_WIDE_MM = 1e4
"""An edge that is not there: no jaws or no leaves."""


@dataclass(frozen=True, eq=False)
class Segment:
    """A part of a beam that is delivered from one gantry angle.

    Attributes:
        share: of the beam's meterset.
        gantry_deg: in the middle of the part.
        turns: whether the gantry turns meanwhile.
        collimator_deg: of the beam limiting device.
        couch_deg: of the patient support.
        axis: "X" or "Y": the axis that the leaves travel along.
        leaves_mm: (2, pairs, 2) edges along that axis, lower and upper, at the part's start and
            end; between them they move linearly with the meterset. One wide pair without an MLC.
        sides_mm: (pairs, 2) the pairs' edges along the other axis.
        jaws_mm: (2, 2, 2) start and end; jaws along the leaves' axis and across; lower and upper
            edge.
    """

    share: float
    gantry_deg: float
    turns: bool
    collimator_deg: float
    couch_deg: float
    axis: str
    leaves_mm: np.ndarray = field(repr=False)
    sides_mm: np.ndarray = field(repr=False)
    jaws_mm: np.ndarray = field(repr=False)

    @property
    def is_closed(self) -> bool:
        """Whether nothing passes."""
        return not self._open()[0].any()

    def reach_mm(self) -> float:
        """How far from the beam's axis (mm at the isocentre) the opening reaches; 0 if closed."""
        opened, along, across = self._open()
        if not opened.any():
            return 0.0
        farthest = [np.abs(edges).max(axis=-1)[opened] for edges in (along, across)]
        return float(np.hypot(*farthest).max())

    def _open(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Which pairs (pairs,) open at any time, and how wide (pairs, 2) along and across."""
        along = np.stack([self.leaves_mm[..., 0].min(axis=0), self.leaves_mm[..., 1].max(axis=0)])
        widest = np.stack([self.jaws_mm[..., 0].min(axis=0), self.jaws_mm[..., 1].max(axis=0)])
        along = np.clip(along.T, *widest[:, 0])
        across = np.clip(self.sides_mm, *widest[:, 1])
        gaps = np.ptp(self.leaves_mm, axis=-1).max(axis=0)
        return (
            (gaps > 0) & (np.ptp(along, axis=1) > 0) & (np.ptp(across, axis=1) > 0),
            along,
            across,
        )


def segments_of(beam: Beam, gantry_step_deg: float = GANTRY_STEP_DEG) -> Iterator[Segment]:
    """Return the parts of a beam that get meterset; their shares add up to 1.

    Between control points everything moves linearly with the meterset (DICOM PS3.3 C.8.8.14); a
    turning gantry is followed in equal steps of at most ``gantry_step_deg``.
    """
    boundaries = (-_WIDE_MM, _WIDE_MM) if beam.mlc is None else beam.mlc.boundaries_mm
    sides = np.stack([boundaries[:-1], boundaries[1:]], axis=1).astype(float)
    for before, after in pairwise(beam.control_points):
        share = after.meterset_weight - before.meterset_weight
        if share <= 0:
            continue
        turn = gantry_turn_deg(before, after)
        parts = max(1, math.ceil(abs(turn) / gantry_step_deg - 1e-9))
        first, last = _edges(beam, before), _edges(beam, after)
        for part in range(parts):
            at = (part / parts, (part + 1) / parts)
            leaves, jaws = (
                np.stack([(1 - t) * one + t * other for t in at])
                for one, other in zip(first, last, strict=True)
            )
            yield Segment(
                share=share / parts,
                gantry_deg=(before.gantry_deg + turn * (part + 0.5) / parts) % 360,
                turns=turn != 0,
                collimator_deg=before.collimator_deg,
                couch_deg=before.couch_deg,
                axis=beam.mlc.axis if beam.mlc is not None else "X",
                leaves_mm=leaves,
                sides_mm=sides,
                jaws_mm=jaws,
            )


def _edges(beam: Beam, point: ControlPoint) -> tuple[np.ndarray, np.ndarray]:
    """Leaves (pairs, 2) of a control point, and jaws (2, 2) along and across them."""
    wide = (-_WIDE_MM, _WIDE_MM)
    jaws = [point.jaws_x_mm or wide, point.jaws_y_mm or wide]
    if beam.mlc is None:
        return np.array([wide], dtype=float), np.array(jaws, dtype=float)
    if beam.mlc.axis == "Y":
        jaws = jaws[::-1]
    leaves = np.asarray(point.leaves_mm, dtype=float)
    leaves = np.stack([leaves[:, 0], np.maximum(leaves[:, 0], leaves[:, 1])], axis=1)
    return leaves, np.array(jaws, dtype=float)
