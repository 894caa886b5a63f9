"""Source photons of a plan: where they start and where they go.

Photons leave a point at the source and cross the isocentre's plane evenly inside the opening of
jaws and leaves (flat fields), whose edge is blurred by a Gaussian there. Closed leaves let through
what is asked for, as one share everywhere between the jaws; what jaws let through, scatter of the
head and contaminating electrons are left out. Between control points
everything moves linearly with the meterset, and photons are drawn all along the way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from SyntheticCTLib.basics.errors import SyntheticCTError

from .beams import Beam, ControlPoint, TreatmentPlan
from .geometry import beam_axes, gantry_turn_deg

EDGE_BLUR_MM = 2.5
"""Standard deviation of the Gaussian at the isocentre's plane that stands for the focal spot and
for the leaves' rounded ends: 80 % to 20 % in water at 10 cm depth is then about 6 mm."""
_FAR_MM = 200.0
"""Where the opening ends along the leaves when no jaws limit it: half of 40 cm."""


class Rays(NamedTuple):
    """Photons that were drawn.

    Attributes:
        shares: (2, n) two numbers from 0 to 1 that choose each one's energy.
        energy_mv: (n,) nominal, of the beam.
        positions: (n, 3) mm in LPS, the source's.
        directions: (n, 3) in LPS.
    """

    shares: np.ndarray
    energy_mv: np.ndarray
    positions: np.ndarray
    directions: np.ndarray


@dataclass(frozen=True, eq=False)
class PlanSource:
    """A plan as boxes in the isocentre's plane that photons are drawn from.

    A box is one pair of leaves between two control points: all that it opens on the way, or all
    that lies between the jaws where leaves let something through. A photon is drawn in it evenly
    over place and meterset, and kept where the opening is at that moment, or is not.

    Attributes:
        boxes: (boxes, 4) across from, to; along from, to; mm.
        pairs: (boxes, 2, 2) the leaves' lower and upper end at the first and the second control
            point, mm.
        jaws: (intervals, 2, 4) across from, to; along from, to at both control points, mm.
        interval: (boxes,) which two control points a box lies between.
        closed: (boxes,) whether photons are those that closed leaves let through.
        cumulative: (boxes,) running sum of what is drawn from, of the whole course: photons, or
            MU mm2 (see :func:`plan_source`).
        energy_mv: (intervals,) nominal.
        gantry: (intervals, 2) angle at the first control point and how far it turns, degrees.
        frames: (intervals, 3, 3) from the gantry's coordinates at 0 degrees to LPS.
        collimator: (intervals, 2) cosine and sine.
        isocentres: (intervals, 3) mm, LPS.
        source_axis: (intervals,) mm.
        along_x: (intervals,) whether leaves travel along Xb.
    """

    boxes: np.ndarray
    pairs: np.ndarray
    jaws: np.ndarray
    interval: np.ndarray
    closed: np.ndarray
    cumulative: np.ndarray
    energy_mv: np.ndarray
    gantry: np.ndarray
    frames: np.ndarray
    collimator: np.ndarray
    isocentres: np.ndarray
    source_axis: np.ndarray
    along_x: np.ndarray

    @property
    def output(self) -> float:
        """Photons (or MU mm2) that all candidates of a call of :meth:`rays` stand for."""
        return float(self.cumulative[-1])

    def rays(self, seed: int, batch: int, candidates: int) -> Rays:
        """Draw photons: the same ones for the same numbers.

        Args:
            candidates: how many are drawn in the boxes; those outside the opening are dropped.
        """
        rng = np.random.default_rng([seed, batch])
        spread = (np.arange(candidates) + rng.random(candidates)) / candidates
        box = np.searchsorted(self.cumulative, spread * self.cumulative[-1], side="right")
        box = np.minimum(box, len(self.cumulative) - 1)
        interval = self.interval[box]
        t, u, v = rng.random((3, candidates))
        ends = self.boxes[box]
        across = ends[:, 0] + u * (ends[:, 1] - ends[:, 0])
        along = ends[:, 2] + v * (ends[:, 3] - ends[:, 2])
        leaves = _between(self.pairs[box, 0], self.pairs[box, 1], t)
        jaws = _between(self.jaws[interval, 0], self.jaws[interval, 1], t)
        open_here = (along >= leaves[:, 0]) & (along <= leaves[:, 1])
        open_here ^= self.closed[box]
        open_here &= (along >= jaws[:, 2]) & (along <= jaws[:, 3])
        open_here &= (across >= jaws[:, 0]) & (across <= jaws[:, 1])
        shares = rng.random((2, candidates))
        blur = rng.normal(0.0, EDGE_BLUR_MM, (2, candidates))
        kept = np.flatnonzero(open_here)
        across, along = (across + blur[0])[kept], (along + blur[1])[kept]
        positions, directions = self._in_patient(interval[kept], t[kept], across, along)
        return Rays(shares[:, kept], self.energy_mv[interval[kept]], positions, directions)

    def _in_patient(
        self, interval: np.ndarray, t: np.ndarray, across: np.ndarray, along: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Source and direction through a point of the isocentre's plane (geometry.beam_axes)."""
        along_x = self.along_x[interval]
        xb, yb = np.where(along_x, along, across), np.where(along_x, across, along)
        cos, sin = self.collimator[interval].T
        xg, yg = cos * xb - sin * yb, sin * xb + cos * yb
        angle = np.deg2rad(self.gantry[interval, 0] + t * self.gantry[interval, 1])
        turn = np.stack([np.cos(angle), np.sin(angle)])
        frames = self.frames[interval]
        distance = self.source_axis[interval]
        on_plane = np.stack([turn[0] * xg, yg, -turn[1] * xg], axis=1)
        source = np.stack([turn[1] * distance, np.zeros_like(distance), turn[0] * distance], axis=1)
        direction = on_plane - source
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        positions = self.isocentres[interval] + np.einsum("nij,nj->ni", frames, source)
        return positions, np.einsum("nij,nj->ni", frames, direction)


def plan_source(
    plan: TreatmentPlan,
    photons_per_mu: Callable[[float], float] = lambda energy_mv: 1.0,
    leaf_transmission: float = 0.0,
) -> PlanSource:
    """Return the source of a plan's photons.

    Args:
        photons_per_mu: by nominal energy in MV, photons a MU and mm2 at the isocentre's plane;
            by default beams of all energies count by their MU.
        leaf_transmission: share of the photons that closed leaves let through.

    Raises:
        SyntheticCTError: no field is open.
    """
    intervals: list[tuple] = []
    boxes, pairs, owner, closed, weights = [], [], [], [], []
    for beam in plan.beams:
        for before, after in pairwise(beam.control_points):
            units = (after.meterset_weight - before.meterset_weight) * beam.meterset_mu
            if units <= 0:
                continue
            jaws, strips, leaves = _openings(beam, before, after)
            photons = units * beam.fractions * photons_per_mu(beam.energy_mv)
            behind = strips.copy()  # what leaves may be over
            behind[:, 2:] = jaws[:, 2].min(), jaws[:, 3].max()
            shares = ((strips, 1.0, False), (behind, leaf_transmission, True))
            for ends, share, is_closed in shares if beam.mlc is not None else shares[:1]:
                area = (ends[:, 1] - ends[:, 0]) * (ends[:, 3] - ends[:, 2])
                boxes.append(ends)
                pairs.append(leaves)
                owner.append(np.full(len(ends), len(intervals)))
                closed.append(np.full(len(ends), is_closed))
                weights.append(share * area * photons)
            own = _geometry(beam, before, after, plan.patient_position)
            intervals.append((jaws, beam.energy_mv, *own))
    weight = np.concatenate(weights) if weights else np.zeros(0)
    if not weight.sum() > 0:
        raise SyntheticCTError("The plan gives no dose: every field is closed.")
    jaws, energy, gantry, frames, collimator, isocentres, distance, along_x = map(
        np.array, zip(*intervals, strict=True)
    )
    some = weight > 0
    return PlanSource(
        boxes=np.concatenate(boxes)[some],
        pairs=np.concatenate(pairs)[some],
        jaws=jaws,
        interval=np.concatenate(owner)[some],
        closed=np.concatenate(closed)[some],
        cumulative=np.cumsum(weight[some]),
        energy_mv=energy,
        gantry=gantry,
        frames=frames,
        collimator=collimator,
        isocentres=isocentres,
        source_axis=distance,
        along_x=along_x,
    )


def _openings(
    beam: Beam, before: ControlPoint, after: ControlPoint
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Jaws (2, 4), boxes (n, 4) and leaves (n, 2, 2) between two control points."""
    along_x = beam.mlc is None or beam.mlc.axis == "X"
    far = (-_FAR_MM, _FAR_MM)
    jaws = np.array(
        [
            (*(point.jaws_y_mm or far), *(point.jaws_x_mm or far))
            if along_x
            else (*(point.jaws_x_mm or far), *(point.jaws_y_mm or far))
            for point in (before, after)
        ],
        dtype=float,
    )
    if beam.mlc is None:
        edges = np.array([jaws[:, 0].min(), jaws[:, 1].max()])
        leaves = np.array([[far, far]], dtype=float)
    else:
        edges = np.array(beam.mlc.boundaries_mm, dtype=float)
        leaves = np.stack([before.leaves_mm, after.leaves_mm], axis=1).astype(float)
    low = np.maximum(edges[:-1], jaws[:, 0].min())
    high = np.minimum(edges[1:], jaws[:, 1].max())
    start = np.maximum(leaves[:, :, 0].min(axis=1), jaws[:, 2].min())
    end = np.minimum(leaves[:, :, 1].max(axis=1), jaws[:, 3].max())
    boxes = np.stack([low, np.maximum(low, high), start, np.maximum(start, end)], axis=1)
    return jaws, boxes, leaves


def _geometry(beam: Beam, before: ControlPoint, after: ControlPoint, position: str) -> tuple:
    level = ControlPoint(0.0, 0.0, couch_deg=before.couch_deg)
    axes = beam_axes(beam, level, position)
    collimator = np.deg2rad(before.collimator_deg)
    return (
        (before.gantry_deg, gantry_turn_deg(before, after)),
        np.stack([axes.xb, axes.yb, axes.zb], axis=1),
        (np.cos(collimator), np.sin(collimator)),
        beam.isocentre_mm,
        beam.source_axis_mm,
        beam.mlc is None or beam.mlc.axis == "X",
    )


def _between(first: np.ndarray, second: np.ndarray, share: np.ndarray) -> np.ndarray:
    return first + share[:, np.newaxis] * (second - first)
