"""How far a registration bent the image, inside the body."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from SyntheticCTLib.volumes.grids import grid_of

_SLICES = 16
"""Slices at a time: fields of vectors over a whole CT take gigabytes."""


@dataclass(frozen=True)
class Displacement:
    """Figures of the deformable part of a registration over the voxels of a mask.

    Attributes:
        mean_mm, largest_mm: displacement beyond the rigid part, mm.
        least_jacobian, largest_jacobian: of the Jacobian determinant of the whole transform; 1
            keeps volumes, 0 and below folds.
        folded_percent: share of the voxels whose determinant is 0 or below.
    """

    mean_mm: float = 0.0
    largest_mm: float = 0.0
    least_jacobian: float = 1.0
    largest_jacobian: float = 1.0
    folded_percent: float = 0.0


def displacement_inside(
    mask: sitk.Image, whole: sitk.Transform, rigid: sitk.Transform
) -> Displacement:
    """Return how far ``whole`` bends beyond ``rigid`` over ``mask`` (not 0), on any grid.

    Both map points of the fixed image to points of the moving image (mm, LPS). Displacements are
    taken at the voxel centres of the mask, derivatives along physical axes from the voxels on
    either side of them (central differences; beyond the grid, too).
    """
    inside = sitk.GetArrayViewFromImage(mask) != 0
    if not inside.any():
        return Displacement()
    k, j, i = (np.flatnonzero(inside.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1)))
    box = (slice(j[0], j[-1] + 1), slice(i[0], i[-1] + 1))
    lengths, determinants = [], []
    for first in range(k[0], k[-1] + 1, _SLICES):
        part = (slice(first, min(first + _SLICES, k[-1] + 1)), *box)
        counted = inside[part]
        if counted.any():
            to, stiff = _displacements(whole, mask, part), _displacements(rigid, mask, part)
            apart = (to - stiff)[1:-1, 1:-1, 1:-1][counted]
            lengths.append(np.linalg.norm(apart, axis=-1))
            determinants.append(_determinants(to, mask, counted))
    lengths, determinants = np.concatenate(lengths), np.concatenate(determinants)
    return Displacement(
        mean_mm=float(lengths.mean()),
        largest_mm=float(lengths.max()),
        least_jacobian=float(determinants.min()),
        largest_jacobian=float(determinants.max()),
        folded_percent=100 * float((determinants <= 0).mean()),
    )


def _displacements(
    transform: sitk.Transform, grid: sitk.Image, part: tuple[slice, slice, slice]
) -> np.ndarray:
    """Displacements (k, j, i, 3; mm, LPS) in a part of a grid and one voxel around it."""
    first = [float(along.start - 1) for along in part[::-1]]
    size = tuple(int(along.stop - along.start + 2) for along in part[::-1])
    origin = grid.TransformContinuousIndexToPhysicalPoint(first)
    field = grid_of(size, grid.GetSpacing(), origin, grid.GetDirection())
    return sitk.GetArrayFromImage(
        sitk.TransformToDisplacementField(
            transform,
            sitk.sitkVectorFloat64,
            field.GetSize(),
            field.GetOrigin(),
            field.GetSpacing(),
            field.GetDirection(),
        )
    )


def _determinants(vectors: np.ndarray, grid: sitk.Image, counted: np.ndarray) -> np.ndarray:
    """Jacobian determinants of x + u(x) at the voxels that count; ``vectors`` go one beyond."""
    middle = slice(1, -1)
    along = (  # du / di, du / dj, du / dk
        vectors[middle, middle, 2:] - vectors[middle, middle, :-2],
        vectors[middle, 2:, middle] - vectors[middle, :-2, middle],
        vectors[2:, middle, middle] - vectors[:-2, middle, middle],
    )
    steps = np.stack([(each / 2)[counted] for each in along], axis=-1)
    axes = np.reshape(grid.GetDirection(), (3, 3)) * grid.GetSpacing()
    a, b, c = np.moveaxis(np.eye(3) + steps @ np.linalg.inv(axes), 1, 0)
    return np.einsum("nx,nx->n", a, np.cross(b, c))
