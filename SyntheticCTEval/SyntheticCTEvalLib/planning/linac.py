"""What a common linac can do, and leaf movements that it can follow."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from SyntheticCTEvalLib.plan.beams import Beam, MultiLeafCollimator
from SyntheticCTEvalLib.plan.geometry import gantry_turn_deg

MILLENNIUM_120 = MultiLeafCollimator(
    "X", (*range(-200, -100, 10), *range(-100, 100, 5), *range(100, 201, 10))
)

LEAF_DECIMALS = 2
"""Of the leaves of a plan in mm; limits are kept after they are rounded to these."""
_ROUNDING_MM = 10.0**-LEAF_DECIMALS


@dataclass(frozen=True)
class Linac:
    """Limits of a C-arm linac: those of a Varian TrueBeam, 6 MV, with a Millennium 120 MLC.

    Attributes:
        leaf_speed_mm_s: of a leaf, at the isocentre.
        gantry_speed_deg_s: at most; slower is possible.
        dose_rate_mu_min: at most; lower is possible.
        least_gap_mm: between opposing leaves that move, or lie between the jaws.
        field_mm: how far jaws and leaves open from the axis.
        mlc: 60 pairs: 40 of 5 mm in the middle, 10 of 10 mm on either side.
    """

    name: str = "C-arm 6 MV"
    leaf_speed_mm_s: float = 25.0
    gantry_speed_deg_s: float = 6.0
    dose_rate_mu_min: float = 600.0
    least_gap_mm: float = 0.5
    field_mm: float = 200.0
    mlc: MultiLeafCollimator = MILLENNIUM_120

    @property
    def planned_gap_mm(self) -> float:
        """What is left between opposing leaves, so that rounding leaves the least gap."""
        return self.least_gap_mm + _ROUNDING_MM

    def leaf_way_mm(self, turn_deg: float) -> float:
        """How far a leaf can travel while the gantry turns at full speed."""
        return self.leaf_speed_mm_s * abs(turn_deg) / self.gantry_speed_deg_s


LINAC = Linac()


def seconds_of(beam: Beam, linac: Linac = LINAC) -> np.ndarray:
    """Least time (n - 1,) between the control points of a beam: gantry, MU and leaves in time."""
    times = []
    for before, after in pairwise(beam.control_points):
        units = beam.meterset_mu * (after.meterset_weight - before.meterset_weight)
        way = 0.0
        if before.leaves_mm is not None:
            way = float(np.abs(after.leaves_mm - before.leaves_mm).max())
        times.append(
            max(
                abs(gantry_turn_deg(before, after)) / linac.gantry_speed_deg_s,
                60 * units / linac.dose_rate_mu_min,
                way / linac.leaf_speed_mm_s,
            )
        )
    return np.array(times)


def within_reach(
    leaves: np.ndarray, windows: np.ndarray, way_mm: float, linac: Linac = LINAC
) -> np.ndarray:
    """Return leaves (points, pairs, 2) that the linac can follow, near those that are wished for.

    Args:
        leaves: wished positions along an arc, mm.
        windows: (points, pairs, 2) between which a pair may open; a pair whose windows are 0 wide
            everywhere stays closed.
        way_mm: how far a leaf may travel between two control points; kept before the windows.
    """
    low, high = windows[..., :1], windows[..., 1:]
    result = np.clip(leaves, low, high)
    opens = (high > low).any(axis=0)
    half = np.where(opens, linac.planned_gap_mm, 0.0) / 2
    middle = np.clip(result.mean(axis=-1, keepdims=True), low + half, high - half)
    result[..., :1] = np.minimum(result[..., :1], middle - half)
    result[..., 1:] = np.maximum(result[..., 1:], middle + half)
    way = max(way_mm - _ROUNDING_MM, 0.0)
    for point in range(1, len(result)):
        before = result[point - 1]
        # The same clamp for both banks keeps their order, and the gap that both points have.
        result[point] = np.clip(result[point], before - way, before + way)
    return result
