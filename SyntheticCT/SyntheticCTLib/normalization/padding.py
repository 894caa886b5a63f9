"""Constant padding around a volume: voxels that nobody measured."""

from __future__ import annotations

import numpy as np

SMALLEST_SHARE = 0.002  # of the volume, of middles of padding; less is noise of one value


def padding_mask(values: np.ndarray) -> np.ndarray:
    """Return where ``values`` (k, j, i) is padding: one value that nobody measured.

    Padding is what an export, a resampling, a masking or a defacing left around what was
    measured: whole planes of one value at the sides, and areas at least 5 x 5 voxels wide that
    hold that value alone and reach a side of their plane, whatever the value is. The largest
    value is none, as it may be saturated. Areas of the same value that do not reach a side
    (between the legs of a masked patient) are padding too; single voxels of it, in noise or in
    a signal void, are not.

    Returns:
        Booleans of the shape of ``values``; none where nothing else would be left.
    """
    padding = np.zeros(values.shape, dtype=bool)
    if min(values.shape[1:]) < 3:
        return padding
    highest = values.max()
    box = _measured_box(values, highest)
    inner = values[box]
    if not inner.size:
        return padding
    padding[...] = True
    padding[box] = False
    flat = ~widened(~_flat(inner))
    at_sides = flat.copy()
    at_sides[:, 1:-1, 1:-1] = False
    candidates, counts = np.unique(inner[at_sides], return_counts=True)
    for value in candidates[counts > 0.01 * counts.sum()]:
        if value == highest:
            continue
        same = inner == value
        middles = flat & same
        if np.count_nonzero(middles) < SMALLEST_SHARE * values.size:
            continue
        areas = widened(widened(middles))
        # The window leaves corners of an area out: steps along its own value reach them.
        for _ in range(4):
            areas = widened(areas) & same
        padding[box] |= areas
    return padding


def widened(mask: np.ndarray) -> np.ndarray:
    """Return ``mask`` (k, j, i) with the 3 x 3 neighbours in the plane of its voxels."""
    rows = mask.copy()
    rows[:, 1:] |= mask[:, :-1]
    rows[:, :-1] |= mask[:, 1:]
    wide = rows.copy()
    wide[..., 1:] |= rows[..., :-1]
    wide[..., :-1] |= rows[..., 1:]
    return wide


def _measured_box(values: np.ndarray, highest: float) -> tuple[slice, ...]:
    """Box left when planes of one value, not the highest, are taken off the sides; or empty."""
    box = [slice(0, n) for n in values.shape]
    changed = True
    while changed and values[tuple(box)].size:
        changed = False
        for axis in range(3):
            for end in (0, -1):
                inner = values[tuple(box)]
                if not inner.size:
                    break
                plane = np.moveaxis(inner, axis, 0)[end]
                if plane.flat[0] != highest and (plane == plane.flat[0]).all():
                    here = box[axis]
                    box[axis] = slice(here.start + (end == 0), here.stop - (end == -1))
                    changed = True
    return tuple(box)


def _flat(values: np.ndarray) -> np.ndarray:
    """Voxels whose 3 x 3 neighbours in the plane have the same value; beyond the sides too."""
    across = values[..., 1:] == values[..., :-1]
    rows = np.ones(values.shape, dtype=bool)
    rows[..., 1:] &= across
    rows[..., :-1] &= across
    down = values[:, 1:] == values[:, :-1]
    flat = rows.copy()
    flat[:, 1:] &= down & rows[:, :-1]
    flat[:, :-1] &= down & rows[:, 1:]
    return flat
