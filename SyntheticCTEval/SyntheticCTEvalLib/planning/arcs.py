"""Arcs: gantry angles, what the leaves may open to, and beams of leaves and MU."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from SyntheticCTEvalLib.plan.beams import Beam, ControlPoint
from SyntheticCTEvalLib.plan.geometry import beam_axes

from .linac import LEAF_DECIMALS, LINAC, Linac

FIRST_DEG, LAST_DEG = 181.0, 179.0
SEGMENTS = 90
"""Parts of a full arc: a control point about every 4 degrees."""
COLLIMATORS_DEG = (30.0, 330.0, 0.0)
"""Of the first, second and third arc, so that leaves run across each other."""
MARGIN_MM = 7.0
"""What leaves may open beyond the targets' outline (penumbra)."""
_JAW_MARGIN_MM = 2.0


@dataclass(frozen=True, eq=False)
class Arc:
    """The geometry of an arc.

    Attributes:
        gantry_deg: (n + 1,) of the control points, in the order of delivery.
        direction: "CW" or "CC".
        collimator_deg: throughout.
        windows_mm: (n + 1, pairs, 2) between which the leaves may open; the least gap where a pair
            between the jaws has no target behind it, 0 wide and still for pairs beyond the jaws.
    """

    gantry_deg: np.ndarray
    direction: str
    collimator_deg: float
    windows_mm: np.ndarray

    @property
    def turn_deg(self) -> float:
        """Between two control points."""
        return float((LAST_DEG - FIRST_DEG) % 360) / (len(self.gantry_deg) - 1)


def arcs_around(
    points: np.ndarray,
    isocentre_mm: tuple[float, float, float],
    count: int,
    patient_position: str,
    segments: int = SEGMENTS,
    linac: Linac = LINAC,
) -> list[Arc]:
    """Return full arcs whose leaves may open around the targets' outline.

    Args:
        points: (n, 3) of all targets, mm, LPS.
        count: 1 to 3, alternately with and against the clock.
    """
    turned = (LAST_DEG - FIRST_DEG) % 360
    angles = (FIRST_DEG + turned * np.arange(segments + 1) / segments) % 360
    arcs = []
    for number in range(count):
        collimator = COLLIMATORS_DEG[number]
        ordered = angles if number % 2 == 0 else angles[::-1]
        windows = np.stack(
            [
                _window(points, isocentre_mm, gantry, collimator, patient_position, linac)
                for gantry in ordered
            ]
        )
        direction = "CW" if number % 2 == 0 else "CC"
        arcs.append(Arc(ordered, direction, collimator, _with_gaps(windows, linac)))
    return arcs


def seen(
    points: np.ndarray,
    isocentre_mm: tuple[float, float, float],
    gantry_deg: float,
    collimator_deg: float,
    patient_position: str,
    source_axis_mm: float = 1000.0,
) -> np.ndarray:
    """Points (n, 3; LPS) in the axes of the beam limiting device: (n, 3) Xb, Yb and Zb in mm from
    the isocentre, not projected."""
    beam = Beam(0, "", tuple(isocentre_mm), (), 1.0, source_axis_mm=source_axis_mm)
    point = ControlPoint(0, gantry_deg, collimator_deg=collimator_deg)
    axes = beam_axes(beam, point, patient_position)
    return (points - np.asarray(isocentre_mm)) @ np.stack([axes.xb, axes.yb, axes.zb], axis=1)


def _window(
    points: np.ndarray,
    isocentre_mm: tuple[float, float, float],
    gantry_deg: float,
    collimator_deg: float,
    patient_position: str,
    linac: Linac,
) -> np.ndarray:
    """Between which positions (pairs, 2) each pair may open; NaN beside the targets."""
    xb, yb, zb = seen(points, isocentre_mm, gantry_deg, collimator_deg, patient_position).T
    scale = 1000.0 / (1000.0 - zb)
    boundaries = linac.mlc.boundaries_mm
    # What lies beyond the leaves counts as behind the outermost, so that it is not overlooked.
    along, across = xb * scale, np.clip(yb * scale, boundaries[0], boundaries[-1])
    window = np.full((linac.mlc.pairs, 2), np.nan)
    for pair, (low, high) in enumerate(pairwise(boundaries)):
        met = (across > low - MARGIN_MM) & (across < high + MARGIN_MM)
        if met.any():
            window[pair] = along[met].min() - MARGIN_MM, along[met].max() + MARGIN_MM
    return window


def _with_gaps(windows: np.ndarray, linac: Linac) -> np.ndarray:
    """Windows (points, pairs, 2) with those filled in that are NaN.

    Opposing leaves must not touch where they move, and between the jaws nothing else covers them:
    there a pair keeps the least gap, on its way between where it opens before and after (or in the
    middle of all windows, where it never opens). Pairs beyond the jaws stand still, closed.
    """
    opened = ~np.isnan(windows[..., 0])
    used = np.flatnonzero(opened.any(axis=0))
    points = np.arange(len(windows))
    half = linac.planned_gap_mm / 2
    result = np.full(windows.shape, (np.nanmin(windows) + np.nanmax(windows)) / 2)
    for pair in range(used[0], used[-1] + 1):
        own = opened[:, pair]
        if own.any():
            middles = windows[own, pair].mean(axis=-1)
            result[:, pair] = np.interp(points, points[own], middles)[:, np.newaxis]
        result[:, pair] += (-half, half)
        result[own, pair] = windows[own, pair]
    return result


def beam_of(
    arc: Arc,
    number: int,
    leaves_mm: np.ndarray,
    units: np.ndarray,
    isocentre_mm: tuple[float, float, float],
    fractions: int,
    linac: Linac = LINAC,
) -> Beam:
    """Return an arc as a beam; jaws fit all that its leaves open.

    Args:
        leaves_mm: (n + 1, pairs, 2).
        units: (n,) MU of a fraction between the control points.
    """
    leaves = np.round(leaves_mm, LEAF_DECIMALS)
    opened = np.ptp(arc.windows_mm, axis=-1).max(axis=0) > 0
    boundaries = np.array(linac.mlc.boundaries_mm, dtype=float)
    low, high = (leaves[:, opened, 0].min(), leaves[:, opened, 1].max())
    jaws_x = (
        max(float(np.floor(low - _JAW_MARGIN_MM)), -linac.field_mm),
        min(float(np.ceil(high + _JAW_MARGIN_MM)), linac.field_mm),
    )
    jaws_y = (float(boundaries[:-1][opened].min()), float(boundaries[1:][opened].max()))
    weights = np.concatenate([[0], np.cumsum(units)]) / units.sum()
    weights[-1] = 1.0
    points = tuple(
        ControlPoint(
            meterset_weight=float(weight),
            gantry_deg=round(float(gantry), 4) % 360,
            gantry_direction=arc.direction if index < len(units) else "NONE",
            collimator_deg=arc.collimator_deg,
            jaws_x_mm=jaws_x,
            jaws_y_mm=jaws_y,
            leaves_mm=shape,
        )
        for index, (weight, gantry, shape) in enumerate(
            zip(weights, arc.gantry_deg, leaves, strict=True)
        )
    )
    return Beam(
        number=number,
        name=f"Arc {number}",
        isocentre_mm=tuple(isocentre_mm),
        control_points=points,
        meterset_mu=round(float(units.sum()), 3),
        mlc=linac.mlc,
        fractions=fractions,
        machine=linac.name,
    )
