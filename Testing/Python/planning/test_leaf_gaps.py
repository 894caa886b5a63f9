"""Gaps between opposing leaves and their speed, in plans as they are read back from plan.dcm."""

from __future__ import annotations

import numpy as np
import pytest
from beams import CENTRE, coordinates, cylinder
from SyntheticCTEvalLib.plan.beams import Beam
from SyntheticCTEvalLib.plan.reading import read_plan
from SyntheticCTEvalLib.plan.writing import write_plan
from SyntheticCTEvalLib.planning.arcs import arcs_around, beam_of
from SyntheticCTEvalLib.planning.linac import LINAC, within_reach
from SyntheticCTEvalLib.planning.optimiser import first_shapes
from SyntheticCTEvalLib.planning.planner import Effort, make_plan
from SyntheticCTLib.volumes.grids import image_like

QUICK = Effort(spacing_mm=8.0, segments=24, gantry_step_deg=30.0, iterations=(12,))
STRING_MM = 1e-6
"""What the decimal strings of a file may differ by."""


def targets() -> dict[str, np.ndarray]:
    """One target; and one of two parts, apart in all directions."""
    x, y, z = coordinates(cylinder()[0])
    parts = [np.sqrt((x - d) ** 2 + (y + d) ** 2 + (z - d) ** 2) < 14 for d in (-28, 28)]
    return {"one": np.sqrt(x**2 + y**2 + (z / 1.5) ** 2) < 20, "two": parts[0] | parts[1]}


def require_limits(beam: Beam) -> None:
    leaves = np.stack([point.leaves_mm for point in beam.control_points])
    gaps = leaves[..., 1] - leaves[..., 0]
    boundaries = np.array(beam.mlc.boundaries_mm)
    jaws = {(*point.jaws_x_mm, *point.jaws_y_mm) for point in beam.control_points}
    (left, right, low, high) = jaws.pop()
    assert not jaws
    inside = (boundaries[1:] > low) & (boundaries[:-1] < high)
    moves = np.ptp(leaves, axis=0).max(axis=-1) > 0
    assert inside.sum() > 5 and not inside.all()
    assert gaps[:, inside | moves].min() >= LINAC.least_gap_mm - STRING_MM
    assert not moves[~inside].any() and (gaps[:, ~inside] == 0).all()
    turn = 358 / (len(leaves) - 1)
    assert np.abs(np.diff(leaves, axis=0)).max() <= LINAC.leaf_way_mm(turn) + STRING_MM
    assert leaves[:, inside].min() >= left >= -LINAC.field_mm
    assert leaves[:, inside].max() <= right <= LINAC.field_mm


@pytest.mark.parametrize("name", ["one", "two"])
def test_pairs_between_the_jaws_keep_the_least_gap_and_others_stand_still(name, tmp_path):
    ct, body = cylinder()
    masks = {name: image_like(targets()[name].astype(np.uint8), ct)}
    made = make_plan(ct, body, masks, {name: 50.0}, (), arcs=3, effort=QUICK)
    write_plan(made.plan, tmp_path / "plan.dcm")
    for beam in read_plan(tmp_path / "plan.dcm").beams:
        require_limits(beam)


def test_closed_pairs_wait_where_they_open_next():
    """None travels while nothing of a target is behind it and it opens at one place alone."""
    mask = targets()["two"]
    points = np.stack([c[mask] for c in coordinates(cylinder()[0])], axis=1) + CENTRE
    (arc,) = arcs_around(points, CENTRE, 1, "HFS", 45)
    shut = np.ptp(arc.windows_mm, axis=-1) < 1
    moved = np.abs(np.diff(arc.windows_mm.mean(axis=-1), axis=0))[shut[1:] & shut[:-1]]
    assert moved.max() < LINAC.leaf_way_mm(arc.turn_deg)
    require_limits(beam_of(arc, 1, first_shapes(arc).leaves, np.ones(45), CENTRE, 1))


def test_the_gap_is_kept_where_windows_shut_faster_than_leaves_follow():
    gap = LINAC.planned_gap_mm / 2
    windows = np.tile((-gap, gap), (9, 1, 1))
    windows[3:5] = (40.0, 70.0)
    windows[5:] += 60
    for wished in (np.full((9, 1, 2), 55.0), np.zeros((9, 1, 2)), windows):
        kept = within_reach(wished, windows, 10.0)
        assert np.ptp(kept, axis=-1).min() >= LINAC.least_gap_mm + 0.01 - 1e-9
        assert np.abs(np.diff(kept, axis=0)).max() <= 10.0
