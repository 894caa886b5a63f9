"""Distances between the surfaces of two masks, in mm."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy
import SimpleITK as sitk
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.volumes.grids import same_grid

SURFACE_DEFINITION = (
    "surface: the centres of the mask's voxels that share a face with a voxel outside it, the end "
    "of the image or of the evaluated region not counted as outside; n/a where a mask has no "
    "surface"
)


@dataclass(frozen=True)
class SurfaceDistances:
    """Distances between two surfaces in mm; NaN where one of them is empty.

    Attributes:
        mean: mean of the distances of every point of either surface to the other surface.
        hd95: 95 % Hausdorff distance: the larger of the two 95th percentiles, of the distances
            of the first surface's points to the second surface and of the second's to the first.
    """

    mean: float
    hd95: float


def surface_distances(
    first: sitk.Image, second: sitk.Image, region: sitk.Image | None = None
) -> SurfaceDistances:
    """Return mean surface distance and 95 % Hausdorff distance of two masks on one grid.

    The points are voxel centres, exact in mm whatever the spacing; what counts as surface says
    :data:`SURFACE_DEFINITION`.

    Args:
        first, second: voxels that are not 0 belong to the mask.
        region: mask to which both are limited; its edge is no surface.

    Raises:
        SyntheticCTError: the grids differ.
    """
    for mask in (second, region):
        if mask is not None and not same_grid(first, mask):
            raise SyntheticCTError(
                "The masks lie on different grids: resample one onto the grid of the other first."
            )
    spacing = np.array(first.GetSpacing()[::-1])
    inside = None if region is None else sitk.GetArrayViewFromImage(region) != 0
    points = [
        np.argwhere(_surface(sitk.GetArrayViewFromImage(mask) != 0, inside)) * spacing
        for mask in (first, second)
    ]
    if not all(map(len, points)):
        return SurfaceDistances(float("nan"), float("nan"))
    trees = [scipy.spatial.cKDTree(surface) for surface in points]
    there, back = trees[1].query(points[0])[0], trees[0].query(points[1])[0]
    return SurfaceDistances(
        mean=float(np.concatenate([there, back]).mean()),
        hd95=float(max(np.percentile(there, 95), np.percentile(back, 95))),
    )


def _surface(mask: np.ndarray, inside: np.ndarray | None) -> np.ndarray:
    """Voxels of ``mask`` next to one that is not, both ``inside``."""
    outside = ~mask
    if inside is not None:
        mask, outside = mask & inside, outside & inside
    surface = np.zeros_like(mask)
    for axis in range(mask.ndim):
        low, high = [slice(None)] * mask.ndim, [slice(None)] * mask.ndim
        low[axis], high[axis] = slice(None, -1), slice(1, None)
        surface[tuple(low)] |= outside[tuple(high)]
        surface[tuple(high)] |= outside[tuple(low)]
    return surface & mask
