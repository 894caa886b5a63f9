"""Exact gamma in a plane of evaluated dose, compiled; imported only where a search needs it.

The search is through the blocks of planes.blocks_of. A block's range of doses and its linear dose
bound gamma from below, the latter closely where the dose is smooth. A block that may hold a smaller
gamma is divided, the likeliest part first. In a cell the bilinear dose is linearised where the step
before led, and what is left of it bounds gamma from below (see cells); where that does not suffice
the cell is divided as well.

Lengths are in distance criteria, doses in dose criteria unless Gy is said; axes are x and y.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from .cells import TOLERANCE

_STEPS = 4
_WALK = 6
_DIVISIONS = 14
_STACK = 200

_inlined = njit(cache=True, error_model="numpy", forceinline=True)


@_inlined
def _limit(best, off):
    """Return what a bound must be below to be worth searching (see cells.worth_searching).

    ``off`` is the squared distance from the plane, which ``best`` and the limit are without.
    """
    limit = max(math.sqrt(best + off) - TOLERANCE, 0.0)
    limit *= limit
    return (max(limit, 1.0) if best + off > 1 + 1e-6 else limit) - off


@_inlined
def _clip(x, first, last):
    return min(max(x, first), last)


@_inlined
def _lowest(curvature, slope, first, last):
    """Return the least of ``curvature z^2 + 2 slope z`` from first to last."""
    if curvature > 0:
        z = _clip(-slope / curvature, first, last)
        return z * (curvature * z + 2 * slope)
    return min(first * (curvature * first + 2 * slope), last * (curvature * last + 2 * slope))


@_inlined
def _nearest(f, ax, ay, gx, gy, x0, x1, y0, y1):
    """Return z in a box that makes ``|a + z|^2 + (f + g z)^2`` least.

    Where the least of all is outside, that of the box is on a side that it is beyond.
    """
    t = (f - gx * ax - gy * ay) / (1 + gx * gx + gy * gy)
    x, y = -ax - t * gx, -ay - t * gy
    zx, zy = _clip(x, x0, x1), _clip(y, y0, y1)
    if zx == x and zy == y:
        return zx, zy
    along_x, along_y = zx, zy
    if zx != x:
        along_y = _clip(-(ay + (f + gx * zx) * gy) / (1 + gy * gy), y0, y1)
        if zy == y:
            return zx, along_y
    along_x = _clip(-(ax + (f + gy * zy) * gx) / (1 + gx * gx), x0, x1)
    if zx == x:
        return along_x, zy
    first = (ax + zx) ** 2 + (ay + along_y) ** 2 + (f + gx * zx + gy * along_y) ** 2
    second = (ax + along_x) ** 2 + (ay + zy) ** 2 + (f + gx * along_x + gy * zy) ** 2
    return (zx, along_y) if first <= second else (along_x, zy)


@_inlined
def _block_bound(rows, row, dose, scale, gx, gy, x, y, x0, x1, y0, y1, limit):
    """Return a bound of gamma squared from below in a block.

    Args:
        rows, row: the block's.
        scale: one over the dose criterion.
        gx, gy: the linear dose's slopes.
        x, y: the block's middle from the point.
        x0, x1, y0, y1: the ends of the block from its middle.
        limit: from which bounds need not be close.
    """
    ax, ay = x + _clip(-x, x0, x1), y + _clip(-y, y0, y1)
    short = max(max(rows[row, 4] - dose, dose - rows[row, 5]), 0.0) * scale
    by_range = ax * ax + ay * ay + short * short
    if by_range >= limit:
        return by_range
    value, rest = (rows[row, 0] - dose) * scale, rows[row, 3] * scale
    miss = value - gx * x - gy * y
    if abs(miss) <= rest:
        return by_range
    side = math.copysign(1.0, miss)
    value -= side * rest
    zx, zy = _nearest(value, x, y, gx, gy, x0, x1, y0, y1)
    t = value + gx * zx + gy * zy
    if t * side <= 0:
        return by_range
    zx, zy = _clip(-x - t * gx, x0, x1), _clip(-y - t * gy, y0, y1)
    bound = t * (2 * (value + gx * zx + gy * zy) - t) + (x + zx) ** 2 + (y + zy) ** 2
    return max(by_range, bound)


@_inlined
def _bound_around(value, ax, ay, gx, gy, gxy, x0, x1, y0, y1):
    """Return a bound of gamma squared from below around a place, close where that is a minimum.

    With ``F = f + g z + gxy zx zy`` and any s, gamma squared is ``|a + z|^2 + F^2`` and ``F^2`` at
    least ``2 (f + s g z) F - (f + s g z)^2``. Where s is 0 this bends down with the mixed slope,
    where it is 1 the cubic term is large; in between what counts bends up.

    Args:
        value, gx, gy, gxy: f and its slopes at the place.
        ax, ay: the place from the point.
        x0, x1, y0, y1: ends of the box from the place.
    """
    bend, steep = abs(value * gxy), gx * gx + gy * gy
    share = 2 * bend / steep if 2 * bend < steep else 1.0
    cubic = share * abs(gxy) * (abs(gx) * max(-x0, x1) + abs(gy) * max(-y0, y1))
    share *= 2 - share
    middle, half = 1 + share * steep / 2, share * (gx * gx - gy * gy) / 2
    mixed = share * gx * gy + value * gxy
    curvature = middle - math.sqrt(half * half + mixed * mixed) - cubic
    bound = ax * ax + ay * ay + value * value
    bound += _lowest(curvature, ax + value * gx, x0, x1)
    return bound + _lowest(curvature, ay + value * gy, y0, y1)


@_inlined
def _in_cell(f, fx, fy, fxy, px, py, wx, wy, found, off, boxes):
    """Lower what is found to the smallest gamma squared in a cell.

    Args:
        f, fx, fy, fxy: the dose difference is ``f + fx x + fy y + fxy x y``.
        px, py: the point from the cell's first corner.
        wx, wy: the cell's edges.
        found: gamma squared and its place from the point, in distance criteria.
        boxes: room for parts of the cell.
    """
    boxes[0] = (0.0, wx, 0.0, wy, 0.0)
    count = 1
    while count:
        count -= 1
        x0, x1, y0, y1, depth = boxes[count]
        x, y = _clip(px, x0, x1), _clip(py, y0, y1)
        closed = False
        for _ in range(_STEPS):
            gx, gy = fx + fxy * y, fy + fxy * x
            value, ax, ay = f + fx * x + gy * y, x - px, y - py
            square = ax * ax + ay * ay
            if square + value * value < found[0]:
                found[0], found[1], found[2] = square + value * value, ax, ay
            limit = _limit(found[0], off)
            if _bound_around(value, ax, ay, gx, gy, fxy, x0 - x, x1 - x, y0 - y, y1 - y) >= limit:
                closed = True
                break
            zx, zy = _nearest(value, ax, ay, gx, gy, x0 - x, x1 - x, y0 - y, y1 - y)
            t = value + gx * zx + gy * zy
            curvature = 1 - abs(t * fxy)
            bound = square + t * (2 * value - t)
            bound += _lowest(curvature, ax + t * gx, x0 - x, x1 - x)
            bound += _lowest(curvature, ay + t * gy, y0 - y, y1 - y)
            if bound >= limit:
                closed = True
                break
            x, y = _clip(x + zx, x0, x1), _clip(y + zy, y0, y1)
        if closed or depth >= _DIVISIONS:
            continue
        x, y = (x0 + x1) / 2, (y0 + y1) / 2
        boxes[count] = (x0, x, y0, y, depth + 1)
        boxes[count + 1] = (x, x1, y0, y, depth + 1)
        boxes[count + 2] = (x0, x, y, y1, depth + 1)
        boxes[count + 3] = (x, x1, y, y1, depth + 1)
        count += 4


@_inlined
def _downhill(nodes, u, v, x, y, dose, scale, sx, sy, found):
    """Lower what is found by steps from x, y to the minimum of the dose linearised there."""
    ny, nx = nodes.shape
    for _ in range(_WALK):
        x, y = _clip(x, 0.0, nx - 1.0), _clip(y, 0.0, ny - 1.0)
        i, j = min(int(x), nx - 2), min(int(y), ny - 2)
        a, b = nodes[j, i] - dose, nodes[j, i + 1] - dose
        c, d = nodes[j + 1, i] - dose, nodes[j + 1, i + 1] - dose
        fx, fy = x - i, y - j
        gx, gy = b - a + fy * (a - b - c + d), c - a + fx * (a - b - c + d)
        value = (a + fx * (b - a) + fy * gy) * scale
        gx, gy = gx * (scale / sx), gy * (scale / sy)
        ax, ay = (x - u) * sx, (y - v) * sy
        gamma = ax * ax + ay * ay + value * value
        if gamma > found[0] * (1 - 1e-6):
            break
        found[0], found[1], found[2] = gamma, ax, ay
        t = (value - gx * ax - gy * ay) / (1 + gx * gx + gy * gy)
        x, y = u - t * gx / sx, v - t * gy / sy


@_inlined
def _push(stack, count, rows, shape, level, j, i, u, v, dose, scale, sx, sy, kx, ky, limit, end):
    """Put a block on the stack where its bound is below the limit; return the stack's height.

    Entries are bound, level, j and i; of those from ``end`` up the least bound is on top.
    """
    size = float(1 << level)
    x, y = (i + 0.5) * size, (j + 0.5) * size
    row = shape[level, 0] + j * shape[level, 2] + i
    bound = _block_bound(
        rows,
        row,
        dose,
        scale,
        rows[row, 1] * kx,
        rows[row, 2] * ky,
        (x - u) * sx,
        (y - v) * sy,
        -size / 2 * sx,
        min(size / 2, shape[0, 2] - x) * sx,
        -size / 2 * sy,
        min(size / 2, shape[0, 1] - y) * sy,
        limit,
    )
    if bound >= limit:
        return count
    place = count
    while place > end and stack[place - 1, 0] < bound:
        stack[place] = stack[place - 1]
        place -= 1
    stack[place] = (bound, float(level), float(j), float(i))
    return count + 1


@_inlined
def _blocks_around(middle, radius, level, count):
    """Return the first and one past the last of a level's blocks that a radius reaches."""
    size = float(1 << level)
    first, last = math.floor((middle - radius) / size), math.floor((middle + radius) / size)
    return int(_clip(first, 0.0, count - 1.0)), int(_clip(last, 0.0, count - 1.0)) + 1


@_inlined
def _of_point(nodes, rows, shape, u, v, dose, scale, sx, sy, found, off, stack, boxes):
    """Lower what is found to the smallest gamma squared of one point.

    It is looked for first at the point, and where it was found for the point before.
    """
    x, y = u + found[1] / sx, v + found[2] / sy
    _downhill(nodes, u, v, u, v, dose, scale, sx, sy, found)
    if _limit(found[0], off) > (sx + sy) ** 2:
        _downhill(nodes, u, v, x, y, dose, scale, sx, sy, found)
    limit = _limit(found[0], off)
    if limit <= 0:
        return
    kx, ky = scale / sx, scale / sy
    radius, level, count = math.sqrt(limit), 0, 0
    while level < len(shape) - 1 and (1 << level) * min(sx, sy) < radius / 2:
        level += 1
    i0, i1 = _blocks_around(u, radius / sx, level, shape[level, 2])
    j0, j1 = _blocks_around(v, radius / sy, level, shape[level, 1])
    for j in range(j0, j1):
        for i in range(i0, i1):
            count = _push(
                stack, count, rows, shape, level, j, i, u, v, dose, scale, sx, sy, kx, ky, limit, 0
            )
    while count:
        count -= 1
        if stack[count, 0] >= limit:
            continue
        level, j, i = int(stack[count, 1]), int(stack[count, 2]), int(stack[count, 3])
        if level == 0:
            a = nodes[j, i] - dose
            b, c = nodes[j, i + 1] - dose - a, nodes[j + 1, i] - dose - a
            d = nodes[j + 1, i + 1] - dose - a - b - c
            _in_cell(
                a * scale,
                b * scale / sx,
                c * scale / sy,
                d * scale / (sx * sy),
                (u - i) * sx,
                (v - j) * sy,
                sx,
                sy,
                found,
                off,
                boxes,
            )
            limit = _limit(found[0], off)
            continue
        level, end = level - 1, count
        for jj in range(2 * j, min(2 * j + 2, shape[level, 1])):
            for ii in range(2 * i, min(2 * i + 2, shape[level, 2])):
                count = _push(
                    stack,
                    count,
                    rows,
                    shape,
                    level,
                    jj,
                    ii,
                    u,
                    v,
                    dose,
                    scale,
                    sx,
                    sy,
                    kx,
                    ky,
                    limit,
                    end,
                )


@njit(cache=True, error_model="numpy")
def search_plane(nodes, rows, shape, place, dose, scale, spacing, best, off):
    """Lower ``best`` to the smallest gamma squared in a plane of evaluated dose.

    Args:
        nodes: dose in Gy (y, x; float32).
        rows, shape: see planes.blocks_of.
        place: points (2, n; x and y) in nodes from the first, on and beyond the plane.
        dose: reference dose in Gy (n).
        scale: one over the dose criterion in 1/Gy, n or one for all.
        spacing: of the nodes along x and y.
        best: gamma squared in the plane (n), changed.
        off: squared distance from the plane (n).
    """
    stack = np.empty((_STACK, 4))
    boxes = np.empty((4 * _DIVISIONS + 4, 5))
    found = np.zeros(3)
    for n in range(dose.size):
        found[0] = best[n]
        _of_point(
            nodes,
            rows,
            shape,
            place[0, n],
            place[1, n],
            dose[n],
            scale[n % scale.size],
            spacing[0],
            spacing[1],
            found,
            off[n],
            stack,
            boxes,
        )
        best[n] = found[0]
