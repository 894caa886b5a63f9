"""The known deformation between the anatomy that the CT finds and the one the MR found.

u(p), p a point of the CT: p + u(p) is the same point of the patient in the MR. u is a rigid
pose and, inside the soft tissue, a cubic B-spline of bladder and rectum filling, bowel motion
and the shift of skin and fat on the table. Bones move with the pose only.
"""

from __future__ import annotations

import numpy as np

from SyntheticCTLib.anatomy.bones import any_bone
from SyntheticCTLib.anatomy.noise import SmoothNoise, stream
from SyntheticCTLib.anatomy.pelvis import Anatomy
from SyntheticCTLib.anatomy.shapes import Points

KNOT_MM = 10.0
_LOW = np.array([-240.0, -184.0, -152.0])
_HIGH = np.array([240.0, 184.0, 200.0])
MIN_JACOBIAN = 0.35


class Deformation:
    """Maps points of the CT into the MR's anatomy; see the module."""

    def __init__(self, anatomy: Anatomy) -> None:
        rng = stream(anatomy.seed, "pose")
        angles = np.deg2rad(np.clip(rng.normal(0, 1, 3) * (1.1, 0.7, 1.1), -2, 2))
        self.rotation = _rotation(angles)
        self.translation = np.clip(rng.normal(0, 1, 3) * (2.2, 2.5, 2.2), -5, 5)
        self._pivot = np.array([0.0, 20.0, 20.0])
        shape = ((_HIGH - _LOW) / KNOT_MM).astype(int)[::-1] + 1
        k, j, i = (np.arange(n) for n in shape)
        z, y, x = np.meshgrid(
            *(_LOW[a] + KNOT_MM * n for a, n in ((2, k), (1, j), (0, i))), indexing="ij"
        )
        knots = self._pose(Points(*(q.astype(np.float32) for q in (x, y, z))))
        free, shift = _soft_shift(anatomy, knots)
        self._knots = (free * shift).astype(np.float32)
        while self.jacobian(step=8.0).min() < MIN_JACOBIAN:
            self._knots *= np.float32(0.85)

    def _pose(self, p: Points) -> Points:
        c, r = self._pivot, self.rotation.astype(np.float32)
        x, y, z = (q - np.float32(m) for q, m in zip((p.x, p.y, p.z), c, strict=True))
        t = (c + self.translation).astype(np.float32)
        return Points(*(r[n, 0] * x + r[n, 1] * y + r[n, 2] * z + t[n] for n in range(3)))

    def at(self, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> tuple[Points, np.ndarray]:
        """Evaluate on the grid spanned by coordinates ``x``, ``y`` and ``z`` (mm, CT).

        Returns:
            The points in the MR's anatomy and the displacement u, shape (k, j, i, 3), float32.
        """
        local = self._knots
        # One axis at a time, four weighted neighbours each: no library whose sums could depend
        # on the number of threads.
        for axis, low, values in ((1, _LOW[2], z), (2, _LOW[1], y), (3, _LOW[0], x)):
            local = _spline_axis(local, (np.asarray(values) - low) / KNOT_MM, axis)
        grid = np.meshgrid(*(np.asarray(v, np.float32) for v in (z, y, x)), indexing="ij")
        at = Points(grid[2], grid[1], grid[0])
        pose = self._pose(at)
        moved = [q + d for q, d in zip((pose.x, pose.y, pose.z), local, strict=True)]
        u = np.stack([m - q for m, q in zip(moved, (at.x, at.y, at.z), strict=True)], axis=-1)
        return Points(*moved), u

    def jacobian(self, step: float) -> np.ndarray:
        """Return det(I + du/dp) by central differences on a grid of ``step`` mm."""
        axes = [np.arange(_LOW[n] + 16, _HIGH[n] - 16, step) for n in range(3)]
        _, u = self.at(*axes)
        gradient = [np.gradient(u[..., n], step, axis=(2, 1, 0)) for n in range(3)]
        m = [[gradient[r][c] + (r == c) for c in range(3)] for r in range(3)]
        return (
            m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1])
            - m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0])
            + m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0])
        )


def _rotation(angles: np.ndarray) -> np.ndarray:
    """Return Rz Ry Rx for angles about x, y and z (radians)."""
    (cx, cy, cz), (sx, sy, sz) = np.cos(angles), np.sin(angles)
    return np.array(
        [
            [cz * cy, cz * sy * sx - sz * cx, cz * sy * cx + sz * sx],
            [sz * cy, sz * sy * sx + cz * cx, sz * sy * cx - cz * sx],
            [-sy, cy * sx, cy * cx],
        ]
    )


def _spline_axis(values: np.ndarray, place: np.ndarray, axis: int) -> np.ndarray:
    """Evaluate a uniform cubic B-spline along ``axis`` at ``place`` (in knots)."""
    count = values.shape[axis]
    first = np.floor(place).astype(int)
    t = place - first
    weights = (
        (1 - t) ** 3 / 6,
        (3 * t**3 - 6 * t**2 + 4) / 6,
        (-3 * t**3 + 3 * t**2 + 3 * t + 1) / 6,
        t**3 / 6,
    )
    shape = [-1 if n == axis else 1 for n in range(values.ndim)]
    result = None
    for n, weight in enumerate(weights):
        index = np.clip(first + n - 1, 0, count - 1)
        term = np.take(values, index, axis=axis) * weight.astype(np.float32).reshape(shape)
        result = term if result is None else result + term
    return result


def _soft_shift(anatomy: Anatomy, p: Points) -> tuple[np.ndarray, np.ndarray]:
    """Return how free the tissue is at ``p`` (0 in bone, 1 beyond) and its shift (3, k, j, i)."""
    patient, seed = anatomy.patient, anatomy.seed
    rng = stream(seed, "filling")
    firm, soft, _ = anatomy.canonical(p)
    free = np.clip((any_bone(firm) - 3) / 14, 0, 1)
    free = free * free * (3 - 2 * free)
    shift = np.zeros((3, *p.x.shape), np.float32)

    def swell(centre: tuple, reach: tuple, amount: float) -> None:
        """Pull points towards (amount > 0) a centre: what is there is larger on the CT."""
        offsets = [q - c for q, c in zip((soft.x, soft.y, soft.z), centre, strict=True)]
        t = sum((o / r) ** 2 for o, r in zip(offsets, reach, strict=True))
        kernel = np.clip(1 - t, 0, 1) ** 2
        for n in range(3):
            shift[n] -= amount * kernel * offsets[n]

    bladder = patient.bladder_centre
    # Time passes between MR and CT: mostly the bladder fills.
    filling = rng.uniform(0.14, 0.36) * (1 if rng.random() < 0.75 else -1)
    swell((bladder[0], bladder[1], bladder[2] - 6), (72, 62, 66), filling)
    swell((0, 62, 5), (42, 34, 46), rng.uniform(-0.22, 0.22))
    inside = np.clip((soft.z - 26) / 30, 0, 1) * np.clip((40 - soft.y) / 30, 0, 1)
    motion = SmoothNoise(seed, "bowel motion", 62).vector_at(p.x, p.y, p.z)
    sag = SmoothNoise(seed, "sag", 110).vector_at(p.x, p.y, p.z)
    for n, reach in enumerate((2.6, 2.2, 2.0)):
        shift[n] += reach * inside * motion[n] + 1.3 * sag[n]
    return free, shift
