"""The couch under a patient, and the mattress that a patient sinks into."""

from __future__ import annotations

import numpy as np
import scipy

from .covers import SOFT_HU
from .morphology import COARSE_MM, Blocks

STEP_SHARE = 0.6  # of the slices show the couch top at one place
COUCH_FIT_MM = 3.0  # by which the couch top may leave a flat or parabolic shape
PITCH_DEGREES = 5.0  # between couch and slices, at most
COUCH_WIDTH_MM = 100.0  # of couch top that is seen beside the patient
SHELL_MM = 15.0  # a couch top thinner than this is told by its lower side as well,
SHELL_WIDTH_MM = 20.0  # so that less of it must be seen
YIELDING_HU = SOFT_HU - 50  # highest CT number of a couch top less dense than fat, blurred
SUNK_MM = 3.0  # by which a patient lies deeper than the material beside, where the couch yields
SUNK_WIDTH_MM = 30.0  # over at least so much of a slice


def couch_voxels(
    tissue: np.ndarray, values: np.ndarray, patient: np.ndarray, blocks: Blocks
) -> np.ndarray | None:
    """Return the voxels (k, j, i) at and below the couch top that are no patient, or None.

    Args:
        tissue: voxels of a CT-like image in LPS orientation that are no air.
        values: its HU.
        patient: blocks of the patient.
    """
    solid = blocks.share(tissue) > 0.5
    filled = np.stack([scipy.ndimage.binary_fill_holes(plane) for plane in solid])
    closed = tissue | blocks.enlarge(filled & ~solid)
    patient = blocks.enlarge(patient)
    for flip in (slice(None), slice(None, None, -1)):  # supine, prone
        top, seen = _couch_top(closed[:, flip], tissue[:, flip], patient[:, flip], blocks)
        if top is not None:
            below = np.arange(tissue.shape[1])[:, None] >= top[:, None]
            below &= ~_sunk(top, seen, tissue[:, flip], values[:, flip], patient[:, flip], blocks)
            return below[:, flip]
    return None


def _couch_top(
    closed: np.ndarray, tissue: np.ndarray, patient: np.ndarray, blocks: Blocks
) -> tuple[np.ndarray, np.ndarray] | tuple[None, None]:
    """First row of the couch, (k, i), and the columns where it is seen; None where there is none.

    A couch is the same in every slice but for its pitch, so its top shows as steps from air to
    material at one place in most slices, beside the patient; a flat or concave curve through
    them gives the top where the patient lies on it. ``closed``: tissue with enclosed air
    filled, as the floor of gas and the lower shell of a couch do not count.
    """
    _, rows, columns = closed.shape
    row_mm, column_mm = _voxel_mm(blocks)
    middle = int(np.average(np.arange(rows), weights=patient.sum(axis=(0, 2))))
    edges = np.zeros(closed.shape, dtype=bool)
    edges[:, middle + 1 :] = closed[:, middle + 1 :] & ~closed[:, middle:-1]
    lower = _pitch(edges, blocks)
    steps = _mean_over_slices(edges, lower)
    found = _found(steps)
    x = np.nonzero(found.any(axis=0))[0]
    y = found.argmax(axis=0)[x]
    y += steps[y, x] < 0.1
    shell = _is_shell(tissue, lower, x, y, round(SHELL_MM / row_mm))
    curve = _couch_curve(x * column_mm, y * row_mm, shell)
    if curve is None:
        return None, None
    top = np.polyval(curve, np.arange(columns) * column_mm) / row_mm
    near = np.abs(y - np.rint(top[x])) * row_mm <= COUCH_FIT_MM
    x, y = x[near], y[near]
    top = np.rint(top)
    top[x] = y
    lower = lower + _sag(edges, lower, x, y, row_mm)
    tops = np.clip(top + lower[:, None], 0, rows).astype(int)
    below = np.arange(rows)[:, None] >= tops[:, None]
    if np.count_nonzero(patient & below) > 0.5 * np.count_nonzero(patient):
        return None, None
    return tops, x


def _pitch(edges: np.ndarray, blocks: Blocks) -> np.ndarray:
    """Rows by which the couch lies lower in each slice (k) than in the middle one."""
    row_mm, column_mm = _voxel_mm(blocks)
    some = edges[:, :, :: max(1, round(COARSE_MM / column_mm))]
    k_mm = (np.arange(len(edges)) - len(edges) // 2) * blocks.spacing[0]
    best, seen = np.zeros(len(edges), dtype=int), 0.0
    for degrees in sorted(np.arange(-PITCH_DEGREES, PITCH_DEGREES + 0.1, 0.5), key=abs):
        lower = np.rint(np.tan(np.deg2rad(degrees)) * k_mm / row_mm).astype(int)
        count = np.count_nonzero(_found(_mean_over_slices(some, lower)).any(axis=0))
        # Level unless clearly tilted: the floor of gas and the patient are seen at any pitch.
        if count > 1.2 * seen + (5 if degrees else 0):
            best, seen = lower, count
    return best


def _mean_over_slices(masks: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """Share of the slices, (j, i), each moved up by as many rows as the couch lies lower."""
    total = np.zeros(masks.shape[1:], dtype=np.float32)
    for mask, rows in zip(masks, lower, strict=True):
        if rows > 0:
            total[:-rows] += mask[rows:]
        else:
            total[-rows:] += mask[: len(mask) + rows]
    return total / len(masks)


def _found(steps: np.ndarray) -> np.ndarray:
    """Where most slices have a step; noise moves it between two neighbouring rows."""
    pair = steps.copy()
    pair[:-1] += steps[1:]
    return pair >= STEP_SHARE


def _sag(
    edges: np.ndarray, lower: np.ndarray, x: np.ndarray, y: np.ndarray, row_mm: float
) -> np.ndarray:
    """Rows by which the couch lies lower still in each slice (k), a line through what is seen."""
    reach = max(1, round(2 * COUCH_FIT_MM / row_mm))
    shifts = np.arange(-reach, reach + 1)
    k = np.arange(len(edges))
    rows = np.clip(y + shifts[:, None] + lower[:, None, None], 0, edges.shape[1] - 1)
    counts = edges[k[:, None, None], rows, x].sum(axis=2)  # (k, shift)
    clear = k[counts.max(axis=1) > 0.5 * len(x)]
    if len(clear) < 3 or np.ptp(clear) < 0.5 * len(k):
        return np.zeros(len(k))
    # Of shifts that are seen alike, the smallest.
    found = shifts[(counts[clear] - 1e-3 * np.abs(shifts)).argmax(axis=1)]
    return np.rint(np.polyval(np.polyfit(clear, found, 1), k))


def _is_shell(
    tissue: np.ndarray, lower: np.ndarray, x: np.ndarray, y: np.ndarray, rows: int
) -> np.ndarray:
    """Whether material that begins at ``y`` ends within ``rows`` at one place in most slices."""
    ends = np.zeros(tissue.shape, dtype=bool)
    ends[:, :-1] = tissue[:, :-1] & ~tissue[:, 1:]
    found = _found(_mean_over_slices(ends, lower))
    return np.array([found[b : b + rows, a].any() for a, b in zip(x, y, strict=True)], dtype=bool)


def _sunk(
    top: np.ndarray,
    seen: np.ndarray,
    tissue: np.ndarray,
    values: np.ndarray,
    patient: np.ndarray,
    blocks: Blocks,
) -> np.ndarray:
    """Voxels of a patient below the couch top (k, j, i), where a mattress yields.

    Under the patient, material as dense as fat goes deeper than beside: by what the patient has
    sunk in. What lies as deep as the couch is thick beside the patient is couch, unless it is
    less dense than fat, or a gap lies between.
    """
    row_mm, column_mm = _voxel_mm(blocks)
    rows = np.arange(tissue.shape[1])[:, None]
    dense = values > SOFT_HU
    under = np.take_along_axis(patient, np.maximum(top - 1, 0)[:, None], axis=1)[:, 0]
    thick = _run(tissue[:, :, seen], top[:, seen])
    thickness = int(np.median(thick))
    upper = np.minimum(thick, round(SHELL_MM / row_mm))
    upper = (rows >= top[:, None, seen]) & (rows < (top[:, seen] + upper)[:, None])
    if np.median(np.where(upper, values[:, :, seen], -1024).max(axis=1)) <= YIELDING_HU:
        thickness = 0
    depth = _run(dense, top)
    deeper = under & ((depth - thickness) * row_mm > SUNK_MM)
    deeper[deeper.sum(axis=1) * column_mm < SUNK_WIDTH_MM] = False
    # In a slice where the patient has sunk in, so has its edge, though by less.
    deeper = under & deeper.any(axis=1, keepdims=True)
    end = (top + depth)[:, None]
    apart = (tissue & (rows > end) & (rows <= end + round(SHELL_MM / row_mm))).any(axis=1)
    keep = np.where(deeper, np.where(apart, depth, np.maximum(depth - thickness, 0)), 0)
    return rows < (top + keep)[:, None]


def _run(dense: np.ndarray, top: np.ndarray) -> np.ndarray:
    """Number of rows that are dense without a break from ``top`` on, (k, i)."""
    rows = np.arange(dense.shape[1])[:, None]
    broken = ~dense & (rows >= top[:, None])
    return np.where(broken.any(axis=1), broken.argmax(axis=1) - top, dense.shape[1] - top)


def _voxel_mm(blocks: Blocks) -> tuple[float, float]:
    row_mm, column_mm = (s / f for s, f in zip(blocks.spacing[1:], blocks.factor[1:], strict=True))
    return row_mm, column_mm


def _couch_curve(x: np.ndarray, y: np.ndarray, shell: np.ndarray) -> np.ndarray | None:
    """Polynomial (mm) of the flat or concave couch top through most of the steps, or None.

    Consensus over lines and parabolas through triples of steps; y grows downwards, so that a
    concave couch, whose sides are higher, has a negative leading coefficient. A couch holds
    at least 100 mm of steps, less where its top is a thin ``shell``; arms and supports bend the
    other way or hold less.
    """
    if len(x) < 3:
        return None
    column_mm = float(np.min(np.diff(x)))
    generator = np.random.default_rng(0)
    best, best_count = None, 0
    for trial in range(300):
        degree = (0, 2)[trial % 2]
        picked = generator.choice(len(x), size=degree + 1, replace=False)
        curve = np.polyfit(x[picked], y[picked], degree) if degree else y[picked].astype(float)
        if degree and not -1 / 400 <= curve[0] <= 0:
            continue
        count = np.count_nonzero(np.abs(np.polyval(curve, x) - y) <= COUCH_FIT_MM)
        if count > best_count * (1.1 if degree else 1.0):
            best, best_count = curve, count
    if best is None or best_count < 0.4 * len(x):
        return None
    agree = np.abs(np.polyval(best, x) - y) <= COUCH_FIT_MM
    least = SHELL_WIDTH_MM if shell[agree].mean() > 0.6 else COUCH_WIDTH_MM
    if best_count * column_mm < least:
        return None
    return np.polyfit(x[agree], y[agree], len(best) - 1)
