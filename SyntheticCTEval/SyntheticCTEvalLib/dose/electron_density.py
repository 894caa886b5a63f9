"""Electron density relative to water from CT numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

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

_SATURATED_HU = 3071.0
"""The largest CT number of 12 bits, where metal ends whatever its density is."""
_WORTH_TELLING_CM3 = 0.1


def electron_density(
    hu: np.ndarray, curve: Sequence[tuple[float, float]] = ELECTRON_DENSITY
) -> np.ndarray:
    """Electron density relative to water (float32) of CT numbers in HU."""
    numbers, densities = zip(*curve, strict=True)
    return np.interp(hu, numbers, densities).astype(np.float32)


def notes_beyond_curve(
    volumes: Mapping[str, tuple[sitk.Image, sitk.Image]],
    curve: Sequence[tuple[float, float]] = ELECTRON_DENSITY,
) -> list[str]:
    """Return what must be said of CT numbers inside bodies that the curve does not reach.

    Args:
        volumes: CT numbers in HU and mask of the body, by whose they are ("the true CT").
    """
    (first, lightest), (last, heaviest) = curve[0], curve[-1]
    notes = []
    for whose, (ct, body) in volumes.items():
        own = body if same_grid(body, ct) else resample(body, ct, fill=0, nearest=True)
        hu = sitk.GetArrayViewFromImage(ct)[sitk.GetArrayViewFromImage(own) != 0]
        ends = [("upper", (hu > last) | (hu >= _SATURATED_HU), last, heaviest, "denser")]
        if lightest > 2 * AIR:
            ends.append(("lower", hu < first, first, lightest, "lighter"))
        for end, beyond, number, density, wrong in ends:
            volume_cm3 = np.count_nonzero(beyond) * math.prod(ct.GetSpacing()) / 1000
            if volume_cm3 > _WORTH_TELLING_CM3:
                notes.append(
                    f"{volume_cm3:.2g} cm3 inside the body of {whose} have CT numbers at or beyond "
                    f"the {end} end of the density curve ({number:g} HU) and get its density of "
                    f"{density:g}: dose in them and behind them is wrong where they are {wrong}."
                )
    return notes


def density_inside(
    ct: sitk.Image,
    body: sitk.Image,
    grid: sitk.Image,
    curve: Sequence[tuple[float, float]] = ELECTRON_DENSITY,
) -> np.ndarray:
    """Relative electron density (float32, k j i) on ``grid``, air outside the body and its couch.

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
