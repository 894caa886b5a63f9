"""The smallest gamma squared inside trilinear cells of a dose, many cells at a time.

Lengths are in units of the distance criterion and doses in units of the dose criterion, so that
gamma squared at a position x is ``|x - p|^2 + f(x)^2``, where p is the reference voxel's centre
and f is the evaluated minus the reference dose. Inside a cell

    f(x) = c0 + c1 x + c2 y + c3 z + c12 xy + c13 xz + c23 yz + c123 xyz

which is neither linear nor convex. Steps that linearise f and solve the remaining box-constrained
least squares problem find a minimum; that no smaller one lies in the cell is shown by a bound.
With H half the gradient of gamma squared at x and S the sum of the absolute mixed coefficients,

    gamma^2(x + y) >= gamma^2(x) + sum over axes of (1 - |f| S) y^2 + 2 H y

because (f + a)^2 >= f^2 + 2 f a and |y1 y2| <= (y1^2 + y2^2) / 2. The right side separates by
axis and its minimum over a box is closed. Where it stays below the best value known, the box is
split and both are repeated in its parts.
"""

from __future__ import annotations

from itertools import product

import numpy as np

RELATIVE_TOLERANCE = 2e-4
"""Relative error of gamma squared that is left unsearched: 1e-4 of gamma."""
ABSOLUTE_TOLERANCE = 1e-7
"""Gamma squared that counts as zero: 3e-4 of gamma."""

_STEPS = 5
_STEPS_IN_PART = 3
_SPLITS = 7
_LEAST_CURVATURE = np.float32(0.05)


def worth_searching(bound: np.ndarray, best: np.ndarray) -> np.ndarray:
    """Whether a region of lower bound ``bound`` could still lower ``best`` (gamma squared)."""
    return bound < best * np.float32(1 - RELATIVE_TOLERANCE) - np.float32(ABSOLUTE_TOLERANCE)


def cell_coefficients(
    corners: list[np.ndarray],
    dose: np.ndarray,
    per_dose: np.ndarray | np.float32,
    per_length: tuple[float, float, float],
) -> np.ndarray:
    """Return c0, c1, c2, c12, c3, c13, c23, c123 of n cells as an array (8, n).

    Args:
        corners: the eight corner doses in Gy, bit a of the place telling the end along axis a.
        dose: reference dose in Gy (n).
        per_dose: one over the dose criterion, 1/Gy, a number or n of them.
        per_length: distance criterion over voxel spacing along each axis.
    """
    e0, e1, e2, e3, e4, e5, e6, e7 = corners
    out = np.empty((8, dose.size), np.float32)
    # Doses are subtracted before they are scaled, so that equal doses give exactly zero.
    np.subtract(e0, dose, out=out[0])
    np.subtract(e1, e0, out=out[1])
    np.subtract(e2, e0, out=out[2])
    np.subtract(e3, e2, out=out[3])
    out[3] -= out[1]
    np.subtract(e4, e0, out=out[4])
    along = e5 - e4
    np.subtract(along, out[1], out=out[5])
    np.subtract(e6, e4, out=out[6])
    out[6] -= out[2]
    np.subtract(e7, e6, out=out[7])
    out[7] -= along
    out[7] -= out[3]
    x, y, z = per_length
    scale = np.array([1, x, y, x * y, z, x * z, y * z, x * y * z], np.float32)[:, None]
    out *= scale * per_dose if np.ndim(per_dose) == 0 else scale
    if np.ndim(per_dose):
        out *= per_dose
    return out


def _value_and_gradient(c: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return f (n) and its gradient (3, n) at positions x (3, n)."""
    gradient = np.empty_like(x)
    mixed = c[5] + c[7] * x[1]
    mixed *= x[2]
    mixed += c[1]
    np.add(mixed, c[3] * x[1], out=gradient[0])
    mixed = c[7] * x[0]
    mixed += c[6]
    np.multiply(mixed, x[2], out=gradient[1])
    gradient[1] += c[2]
    gradient[1] += c[3] * x[0]
    mixed *= x[1]
    mixed += c[4]
    np.add(mixed, c[5] * x[0], out=gradient[2])
    value = c[6] * x[2]
    value += c[2]
    value *= x[1]
    value += x[0] * gradient[0]
    value += x[2] * c[4]
    value += c[0]
    return value, gradient


def _sum_over_axes(rows: np.ndarray) -> np.ndarray:
    total = rows[0] + rows[1]
    total += rows[2]
    return total


def _step(
    x: np.ndarray,
    value: np.ndarray,
    gradient: np.ndarray,
    point: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
) -> np.ndarray:
    """Return the minimum of ``|x - p|^2 + (f linearised at x)^2`` over the box.

    It is x = clip(p - t g) where t is the linearised f there: one equation in t, piecewise
    linear, which two Newton steps solve but for rare cases that the next call repairs.
    """
    at_origin = value - _sum_over_axes(gradient * x)
    square = gradient * gradient
    toward = gradient * point
    t = (at_origin + _sum_over_axes(toward)) / (1 + _sum_over_axes(square))
    for _ in range(2):
        free = point - t * gradient
        x = np.minimum(np.maximum(free, low), high)
        inside = free == x
        known = np.where(inside, toward, gradient * x)
        t = (at_origin + _sum_over_axes(known)) / (1 + _sum_over_axes(square * inside))
    return np.minimum(np.maximum(point - t * gradient, low), high)


def minimise_in_cells(
    coefficients: np.ndarray, point: np.ndarray, width: np.ndarray, best: np.ndarray
) -> np.ndarray:
    """Return the smaller of ``best`` and the smallest gamma squared in each of n cells.

    Args:
        coefficients: (8, n) from :func:`cell_coefficients`.
        point: reference voxel centre from the cell's first corner (3, n), inside or outside it.
        width: (3, 1) edges of the cells, which begin at 0; an edge of 0 makes the cell flat.
        best: (n) gamma squared known so far.
    """
    best = best.copy()
    c, left = coefficients, None
    low = np.zeros((3, 1), np.float32)
    mixed = np.abs(c[3])
    for row in (5, 6):
        mixed += np.abs(c[row])
    if width.min() > 0:
        mixed += np.abs(c[7]) * width.min()
    x = np.minimum(np.maximum(point, low), width)
    for step in range(_STEPS):
        value, gradient = _value_and_gradient(c, x)
        away = x - point
        here = _sum_over_axes(away * away)
        here += value * value
        if left is None:
            np.minimum(best, here, out=best)
            known = best
        else:
            known = np.minimum(best[left], here)
            best[left] = known
        slope = away
        slope += value * gradient
        curvature = 1 - np.abs(value) * mixed
        y = slope / -np.maximum(curvature, _LEAST_CURVATURE)
        y = np.minimum(np.maximum(y, -x), width - x)
        slope *= 2
        slope += curvature * y
        slope *= y
        here += _sum_over_axes(slope)
        open_ = worth_searching(here, known)
        open_ |= (curvature < _LEAST_CURVATURE) & (known > ABSOLUTE_TOLERANCE)
        keep = np.flatnonzero(open_)
        if keep.size == 0:
            return best
        if keep.size < 0.9 * open_.size:
            left = keep if left is None else left[keep]
            c, x, gradient, point = (np.take(a, keep, axis=1) for a in (c, x, gradient, point))
            value, mixed = value[keep], mixed[keep]
        if step < _STEPS - 1:
            x = _step(x, value, gradient, point, low, width)
        elif keep.size < value.size:
            left = keep if left is None else left[keep]
            c, point, mixed = np.take(c, keep, axis=1), np.take(point, keep, axis=1), mixed[keep]
    left = np.arange(best.size) if left is None else left
    best[left] = _minimise_by_splitting(c, point, width, mixed, best[left])
    return best


def _minimise_by_splitting(
    c: np.ndarray, point: np.ndarray, width: np.ndarray, mixed: np.ndarray, best: np.ndarray
) -> np.ndarray:
    """Return ``best`` lowered to the smallest gamma squared in cells far from convex."""
    best = best.copy()
    owner = np.arange(best.size)
    split = width[:, 0] > 0
    low = np.zeros_like(point)
    high = np.broadcast_to(width, point.shape).astype(np.float32)
    # Which end of a box each of its eight parts has along each axis; of a flat box the parts
    # that coincide are left out.
    ends = [e for e in product((False, True), repeat=3) if not (np.array(e) & ~split).any()]
    for level in range(_SPLITS + 1):
        if level:
            middle = (low + high) / 2
            halves = [np.array(end)[:, None] for end in ends]
            low, high = (
                np.concatenate([np.where(half, middle, low) for half in halves], axis=1),
                np.concatenate([np.where(half, high, middle) for half in halves], axis=1),
            )
            owner = np.tile(owner, len(ends))
        owner, low, high = _search_parts(c, point, mixed, best, owner, low, high)
        if owner.size == 0:
            break
    return best


def _range_in_box(
    c: np.ndarray, low: np.ndarray, high: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the smallest and largest f in boxes, which it takes at corners."""
    values = []
    for x in (low[0], high[0]):
        d0, d2, d3, d23 = c[0] + c[1] * x, c[2] + c[3] * x, c[4] + c[5] * x, c[6] + c[7] * x
        for y in (low[1], high[1]):
            e0, e3 = d0 + d2 * y, d3 + d23 * y
            values += [e0 + e3 * low[2], e0 + e3 * high[2]]
    return np.minimum.reduce(values), np.maximum.reduce(values)


def _search_parts(
    c: np.ndarray,
    point: np.ndarray,
    mixed: np.ndarray,
    best: np.ndarray,
    owner: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lower ``best`` in place by a search in each box; return the boxes that are still open."""
    near = np.take(point, owner, axis=1)
    reach = np.sqrt(best[owner])
    low, high = np.maximum(low, near - reach), np.minimum(high, near + reach)
    x = np.minimum(np.maximum(near, low), high)
    bound = _sum_over_axes((x - near) ** 2)
    keep = np.flatnonzero((low <= high).all(axis=0) & worth_searching(bound, best[owner]))
    owner, low, high, x, bound = owner[keep], low[:, keep], high[:, keep], x[:, keep], bound[keep]
    smallest, largest = _range_in_box(np.take(c, owner, axis=1), low, high)
    bound += np.maximum(np.maximum(smallest, -largest), 0) ** 2
    keep = np.flatnonzero(worth_searching(bound, best[owner]))
    owner, low, high, x = owner[keep], low[:, keep], high[:, keep], x[:, keep]
    for step in range(_STEPS_IN_PART):
        near = np.take(point, owner, axis=1)
        value, gradient = _value_and_gradient(np.take(c, owner, axis=1), x)
        away = x - near
        here = _sum_over_axes(away * away) + value * value
        np.minimum.at(best, owner, here)
        slope = 2 * (away + value * gradient)
        curvature = 1 - np.abs(value) * mixed[owner]
        convex = curvature > _LEAST_CURVATURE
        curvature = np.where(convex, curvature, np.minimum(curvature, 0))
        first, last = low - x, high - x
        vertex = slope / (-2 * np.maximum(curvature, _LEAST_CURVATURE))
        vertex = np.minimum(np.maximum(vertex, first), last)
        ends = np.minimum(first * (curvature * first + slope), last * (curvature * last + slope))
        drop = np.where(convex, vertex * (curvature * vertex + slope), ends)
        keep = np.flatnonzero(worth_searching(here + _sum_over_axes(drop), best[owner]))
        owner, low, high = owner[keep], low[:, keep], high[:, keep]
        if keep.size == 0 or step == _STEPS_IN_PART - 1:
            return owner, low, high
        x = _step(
            x[:, keep],
            value[keep],
            gradient[:, keep],
            np.take(point, owner, axis=1),
            low,
            high,
        )
    return owner, low, high
