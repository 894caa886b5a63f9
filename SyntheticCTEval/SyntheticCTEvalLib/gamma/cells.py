"""The smallest gamma squared inside trilinear cells of a dose, many cells at a time.

Lengths are in units of the distance criterion and doses in units of the dose criterion, so that
gamma squared at a position x is ``|x - p|^2 + f(x)^2``, where p is the reference voxel's centre
and f is the evaluated minus the reference dose. Inside a cell

    f(x) = c0 + c1 x + c2 y + c3 z + c12 xy + c13 xz + c23 yz + c123 xyz

which is neither linear nor convex. Steps that linearise f and solve the box-constrained least
squares problem that remains find a minimum; that no smaller one lies in the cell is shown by a
bound. With value f and gradient g at x, a = x - p and any number t,

    gamma^2(x + y) >= |a + y|^2 + 2 t (f + g y + r(y)) - t^2

because f^2 >= 2 t f - t^2; t is the f at the minimum of the linear problem, which makes the bound
tight there. The mixed terms r(y) are at most half the mixed slopes times the squares of y, so that
the right side separates by axis and its minimum over a box is closed. Where the bound stays below
the best value known, the box is split and both are repeated in its parts.
"""

from __future__ import annotations

from itertools import product

import numpy as np

TOLERANCE = 5e-4
"""Gamma is searched to this accuracy, and farther where gamma above 1 might be at most 1."""
LEAST_CURVATURE = np.float32(0.05)

_ONE = np.float32(1 + 1e-6)
_STEPS = 5
_STEPS_IN_PART = 2
_SPLITS = 10


def worth_searching(bound: np.ndarray, best: np.ndarray) -> np.ndarray:
    """Whether a region of lower bound ``bound`` could still lower ``best`` (gamma squared)."""
    limit = np.sqrt(best)
    limit -= np.float32(TOLERANCE)
    np.maximum(limit, 0, out=limit)
    limit *= limit
    np.maximum(limit, best > _ONE, out=limit)
    return bound < limit


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
    out = np.empty((8, dose.size), np.float32)
    _differences(corners, dose, out)
    x, y, z = per_length
    scale = np.array([1, x, y, x * y, z, x * z, y * z, x * y * z], np.float32)[:, None]
    out *= scale * per_dose if np.ndim(per_dose) == 0 else scale
    if np.ndim(per_dose):
        out *= per_dose
    return out


def _differences(corners: list[np.ndarray], dose: np.ndarray | float, out: np.ndarray) -> None:
    """Store the coefficients of cells of edges 1; equal doses give exactly zero."""
    e0, e1, e2, e3, e4, e5, e6, e7 = corners
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


def _step(t: np.ndarray, gradient: np.ndarray, away: np.ndarray) -> np.ndarray:
    """Return the y that makes ``|away + y|^2 + 2 t gradient y`` least."""
    y = t * -gradient
    y -= away
    return y


def _linear_minimum(
    value: np.ndarray,
    gradient: np.ndarray,
    away: np.ndarray,
    first: np.ndarray,
    last: np.ndarray,
) -> np.ndarray:
    """Return t (n) where ``|away + y|^2 + t^2`` with ``t = f + gradient y`` is least.

    With y in the box from ``first`` to ``last`` it is y = clip(-away - t gradient): one equation
    in t, piecewise linear, for which two Newton steps do in most cases.
    """
    square = gradient * gradient
    t = (value - _sum_over_axes(gradient * away)) / (1 + _sum_over_axes(square))
    free = _step(t, gradient, away)
    y = np.minimum(np.maximum(free, first), last)
    miss = t - value
    miss -= _sum_over_axes(gradient * y)
    square *= free == y
    t -= miss / (1 + _sum_over_axes(square))
    return t


def _linear_minimum_always(
    value: np.ndarray,
    gradient: np.ndarray,
    away: np.ndarray,
    first: np.ndarray,
    last: np.ndarray,
) -> np.ndarray:
    """Return the t of :func:`_linear_minimum`, found between the corners of the equation."""
    low, high = np.full_like(value, -np.inf), np.full_like(value, np.inf)
    miss_low, miss_high = np.full_like(value, -1), np.full_like(value, 1)
    steepness = np.where(gradient == 0, np.inf, gradient)
    for corner in (*(-(away + first) / steepness), *(-(away + last) / steepness)):
        y = np.minimum(np.maximum(_step(corner, gradient, away), first), last)
        miss = corner - value - _sum_over_axes(gradient * y)
        below = (miss <= 0) & (corner > low)
        above = (miss > 0) & (corner < high)
        low, miss_low = np.where(below, corner, low), np.where(below, miss, miss_low)
        high, miss_high = np.where(above, corner, high), np.where(above, miss, miss_high)
    # Beyond the outermost corners y is constant, so that the equation has slope 1.
    low, miss_low = (
        np.where(np.isinf(low), high - miss_high - 1, low),
        np.where(np.isinf(low), -1, miss_low),
    )
    high, miss_high = (
        np.where(np.isinf(high), low - miss_low + 1, high),
        np.where(np.isinf(high), 1, miss_high),
    )
    return low - miss_low * (high - low) / (miss_high - miss_low)


def _mixed_slopes(c: np.ndarray, width: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the smallest and largest mixed slope in xy, xz and yz over each cell (3, n)."""
    one = c[[3, 5, 6]]
    other = c[7] * width[::-1]
    other += one
    return np.minimum(one, other), np.maximum(one, other)


def _axis_sums(pairs: np.ndarray, x=1, y=1, z=1) -> np.ndarray:
    """Return for each axis the two of (xy, xz, yz) it is part of, weighted and added (3, n)."""
    xy, xz, yz = pairs
    return np.stack((xy * y + xz * z, xy * x + yz * z, xz * x + yz * y))


def _least_drop(
    t: np.ndarray,
    slope: np.ndarray,
    mixed: tuple[np.ndarray, np.ndarray],
    first: np.ndarray,
    last: np.ndarray,
) -> np.ndarray:
    """Return a bound from below of ``|y|^2 + 2 slope y + 2 t r(y)`` in boxes around y = 0.

    The mixed terms r are the ``mixed`` slopes times the products of two y. A product that cannot
    be negative counts only with slopes that can, and so on. An axis whose slope holds y at an end
    of the box against all of them takes no part.
    """
    low, high = (t * mixed[0], t * mixed[1])
    low, high = np.minimum(low, high), np.maximum(low, high)
    above, below = first >= 0, last <= 0
    i, j = [0, 0, 1], [1, 2, 2]
    positive = (above[i] & above[j]) | (below[i] & below[j])
    negative = (above[i] & below[j]) | (below[i] & above[j])
    pairs = np.maximum(np.where(positive, 0, high), np.where(negative, 0, -low))
    np.maximum(pairs, 0, out=pairs)
    free = np.abs(slope) < _axis_sums(pairs, *(last - first))
    free |= ~(((slope > 0) & above) | ((slope < 0) & below))
    pairs *= free[i] & free[j]
    curvature = 1 - _axis_sums(pairs)
    convex = curvature > LEAST_CURVATURE
    # Parabolas that are almost flat lie above straight lines, which have their least at an end.
    curvature = np.where(convex, curvature, np.minimum(curvature, 0))
    vertex = np.where(convex, slope / -np.maximum(curvature, LEAST_CURVATURE), first)
    vertex = np.minimum(np.maximum(vertex, first), last)
    slope = 2 * slope
    least = vertex * (curvature * vertex + slope)
    ends = np.minimum(least, last * (curvature * last + slope))
    return _sum_over_axes(np.where(convex, least, ends) * free)


def minimise_in_cells(
    coefficients: np.ndarray,
    point: np.ndarray,
    width: np.ndarray,
    best: np.ndarray,
    thorough: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Return ``best`` lowered to the smallest gamma squared in each of n cells, and which are open.

    The open cells (indices) are those that :func:`minimise_by_splitting` must search as well.

    Args:
        coefficients: (8, n) from :func:`cell_coefficients`.
        point: reference voxel centre from the cell's first corner (3, n), inside or outside it.
        width: (3, 1) or (3, n) edges of the cells, which begin at 0; flat where an edge is 0.
        best: (n) gamma squared known so far.
        thorough: whether each linearisation is solved in all cases, not in most of them.
    """
    best = best.copy()
    c, left = coefficients, np.arange(best.size)
    mixed = _mixed_slopes(c, width)
    bend = np.maximum(-mixed[0], mixed[1])
    bend = _sum_over_axes(bend) - bend.min(axis=0)
    x = np.minimum(np.maximum(point, 0), width)
    linear_minimum = _linear_minimum_always if thorough else _linear_minimum
    for _ in range(_STEPS_IN_PART if thorough else _STEPS):
        value, gradient = _value_and_gradient(c, x)
        away = x - point
        bound = _sum_over_axes(away * away)
        known = np.minimum(best[left], bound + value * value)
        best[left] = known
        first, last = -x, width - x
        t = linear_minimum(value, gradient, away, first, last)
        x += _step(t, gradient, away)
        x = np.minimum(np.maximum(x, 0), width)
        bound += t * (2 * value - t)
        slope = gradient
        slope *= t
        slope += away
        curvature = 1 - np.abs(t) * bend
        y = slope / -np.maximum(curvature, LEAST_CURVATURE)
        y = np.minimum(np.maximum(y, first), last)
        drop = curvature * y
        drop += slope
        drop += slope
        drop *= y
        keep = worth_searching(bound + _sum_over_axes(drop), known)
        curved = np.flatnonzero((curvature < LEAST_CURVATURE) & (known > TOLERANCE**2))
        if curved.size:
            first, last, away, slope, *pairs = (
                np.take(a, curved, axis=1) for a in (first, last, away, slope, *mixed)
            )
            reach = np.sqrt(known[curved])
            np.maximum(first, -away - reach, out=first)
            np.minimum(last, reach - away, out=last)
            drop = _least_drop(t[curved], slope, pairs, first, last)
            keep[curved] = worth_searching(bound[curved] + drop, known[curved])
            keep[curved] &= (first <= last).all(axis=0)
        keep = np.flatnonzero(keep)
        if keep.size < left.size:
            left, bend = left[keep], bend[keep]
            c, x, point, *mixed = (np.take(a, keep, axis=1) for a in (c, x, point, *mixed))
            if width.shape[1] > 1:
                width = np.take(width, keep, axis=1)
        if left.size == 0:
            break
    return best, left


def minimise_by_splitting(
    coefficients: np.ndarray, point: np.ndarray, width: np.ndarray, best: np.ndarray
) -> np.ndarray:
    """Return ``best`` lowered to the smallest gamma squared in cells far from convex.

    The arguments are those of :func:`minimise_in_cells`; time and memory a cell are much larger.
    """
    c, point, best = (a.astype(float) for a in (coefficients, point, best))
    reach = np.sqrt(best)
    low, high = np.maximum(point - reach, 0), np.minimum(point + reach, width)
    values = np.empty((8, best.size))
    for corner, (z, y, x) in enumerate(product((low, high), repeat=3)):
        values[corner] = _value_and_gradient(c, np.stack((x[0], y[1], z[2])))[0]
    away = np.maximum(np.maximum(low - point, point - high), 0)
    bound = np.maximum(np.maximum(values.min(axis=0), -values.max(axis=0)), 0) ** 2
    bound += _sum_over_axes(away * away)
    owner = np.flatnonzero(worth_searching(bound, best) & (low <= high).all(axis=0))
    low, high, values = low[:, owner], high[:, owner], values[:, owner]
    flat = width[:, 0] == 0
    for _ in range(_SPLITS):
        # An edge of no length has no slope along it.
        size = high - low
        per_length = 1 / np.where(size > 0, size, np.inf)
        x, y, z = per_length
        local = np.empty_like(values)
        _differences(values, 0.0, local)
        local *= np.stack((np.ones_like(x), x, y, x * y, z, x * z, y * z, x * y * z))
        near = np.take(point, owner, axis=1) - low
        found, left = minimise_in_cells(local, near, size, best[owner], thorough=True)
        np.minimum.at(best, owner, found)
        if left.size == 0:
            break
        owner, values, low, high = _parts(
            owner[left], values[:, left], low[:, left], high[:, left], point, best, flat
        )
        if owner.size == 0:
            break
    return best


def _parts(
    owner: np.ndarray,
    values: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    point: np.ndarray,
    best: np.ndarray,
    flat: np.ndarray,
) -> tuple[np.ndarray, ...]:
    """Halve boxes along each axis that is not flat; return the parts that can lower ``best``.

    Args:
        owner: place of the box's point (n) in ``point`` and ``best``.
        values: f at the corners (8, n), between which it is linear along the edges.
        low, high: ends of the box (3, n).
    """
    nodes = np.empty((3, 3, 3, owner.size))
    nodes[::2, ::2, ::2] = values.reshape(2, 2, 2, -1)
    nodes[::2, ::2, 1] = (nodes[::2, ::2, 0] + nodes[::2, ::2, 2]) / 2
    nodes[::2, 1] = (nodes[::2, 0] + nodes[::2, 2]) / 2
    nodes[1] = (nodes[0] + nodes[2]) / 2
    smallest, largest = nodes, nodes
    for axis in range(3):
        ends = [(slice(None),) * axis + (part,) for part in (slice(0, 2), slice(1, 3))]
        smallest = np.minimum(*(smallest[end] for end in ends))
        largest = np.maximum(*(largest[end] for end in ends))
    bound = np.maximum(np.maximum(smallest, -largest), 0) ** 2
    near = np.take(point, owner, axis=1)
    middle = (low + high) / 2
    for axis in range(3):
        ends = np.stack((low[axis], middle[axis], high[axis]))
        short = np.maximum(np.maximum(ends[:2] - near[axis], near[axis] - ends[1:]), 0)
        bound += np.expand_dims(short**2, tuple(2 - a for a in range(3) if a != axis))
    keep = worth_searching(bound, best[owner])
    for axis in np.flatnonzero(flat):
        np.moveaxis(keep, 2 - axis, 0)[1] = False
    z, y, x, box = np.nonzero(keep)
    values = np.stack([nodes[z + c, y + b, x + a, box] for c, b, a in product((0, 1), repeat=3)])
    upper = np.stack((x, y, z)).astype(bool)
    low, middle, high = (np.take(a, box, axis=1) for a in (low, middle, high))
    return owner[box], values, np.where(upper, middle, low), np.where(upper, high, middle)
