"""Electron density relative to water from CT numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import SimpleITK as sitk
from SyntheticCTLib.volumes.grids import image_like, same_grid
from SyntheticCTLib.volumes.resampling import resample

AIR = 0.001
ELECTRON_DENSITY = (
    (-1000.0, AIR),
    (-98.0, 0.933),  # adipose tissue
    (0.0, 1.0),  # water
    (40.0, 1.041),  # skeletal muscle
    (100.0, 1.073),  # marrow and bone
    (1524.0, 1.781),  # cortical bone
    (3071.0, 2.550),  # the line from marrow to cortical bone, continued
)
"""CT number in HU and electron density relative to water. Mass densities and CT numbers of the
tissues are those of Schneider et al., Phys Med Biol 45:459, 2000; electrons per gram follow from
their elemental compositions, 0 HU is water. Linear between, constant outside."""


def electron_density(
    hu: np.ndarray, curve: Sequence[tuple[float, float]] = ELECTRON_DENSITY
) -> np.ndarray:
    """Electron density relative to water (float32) of CT numbers in HU."""
    numbers, densities = zip(*curve, strict=True)
    return np.interp(hu, numbers, densities).astype(np.float32)


def density_inside(
    ct: sitk.Image,
    body: sitk.Image,
    grid: sitk.Image,
    curve: Sequence[tuple[float, float]] = ELECTRON_DENSITY,
) -> np.ndarray:
    """Relative electron density (float32, k j i) on ``grid``, air outside the body.

    Fine voxels are averaged down to the grid's spacing, so that noise and thin walls count with
    their volume and not by where a grid point happens to fall.
    """
    if not same_grid(body, ct):
        body = resample(body, ct, fill=0, nearest=True)
    numbers = sitk.GetArrayViewFromImage(ct)
    inside = sitk.GetArrayViewFromImage(body)
    density = np.full(numbers.shape, AIR, dtype=np.float32)
    for slice_out, slice_hu, slice_in in zip(density, numbers, inside, strict=True):
        slice_out[slice_in != 0] = electron_density(slice_hu[slice_in != 0], curve)
    image = image_like(density, ct)
    factors = [max(1, int(grid.GetSpacing()[0] / s + 1e-6)) for s in ct.GetSpacing()]
    if max(factors) > 1:
        upper = [-n % f for n, f in zip(ct.GetSize(), factors, strict=True)]
        image = sitk.BinShrink(sitk.ConstantPad(image, [0, 0, 0], upper, AIR), factors)
    return sitk.GetArrayFromImage(resample(image, grid, fill=AIR))
