"""A smooth CT-like body for tests of registration."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from SyntheticCTLib.volumes.grids import grid_of, image_like


def blobs(
    grid: sitk.Image, shift: tuple[float, ...] = (0, 0, 0), organs: float = 1.0
) -> sitk.Image:
    """A smooth CT-like body with organs, defined at every physical point."""
    k, j, i = np.indices(grid.GetSize()[::-1]).reshape(3, -1)
    index = np.stack([i, j, k]) * np.array(grid.GetSpacing())[:, None]
    points = np.reshape(grid.GetDirection(), (3, 3)) @ index + np.array(grid.GetOrigin())[:, None]
    x, y, z = points - np.array(shift)[:, None]
    body = 1 / (1 + np.exp((np.hypot(x / 75, y / 55) - 1) * 12))
    values = -1000 + 1000 * body
    for cx, cy, cz, radius, hu in (
        (-35, 5, -10, 14, 700),
        (38, -8, 12, 12, 600),
        (0, 25, 20, 15, 300),
        (5, -25, -25, 18, -120),
        (-10, 0, 30, 10, 250),
    ):
        values += organs * hu * np.exp(-((x - cx) ** 2 + (y - cy) ** 2 + (z - cz) ** 2) / radius**2)
    return image_like(values.reshape(grid.GetSize()[::-1]).astype(np.float32), grid)


BLOB_GRID = grid_of((48, 40, 24), (4.0, 4.0, 5.0), (-94, -78, -57.5))
