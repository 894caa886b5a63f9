"""Hot spots of a gamma map: where a dose fails, the worst place first."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy
import SimpleITK as sitk

PASSES_UP_TO = 1.0
MOST = 1000

HOT_SPOTS_DEFINITION = (
    "Connected voxels (26 neighbours) of gamma above 1, ranked by the sum of (gamma - 1) times "
    "voxel volume; the place is that of the largest gamma, the most central one where several "
    "are equally large (gamma is capped)."
)


@dataclass(frozen=True)
class HotSpot:
    """A connected part of a gamma map in which the dose fails.

    Attributes:
        point_mm: place of its largest gamma in mm, LPS.
        maximum: largest gamma in it.
        volume_cm3: its volume.
        excess_cm3: sum of (gamma - 1) times voxel volume, by which hot spots are ranked.
    """

    point_mm: tuple[float, float, float]
    maximum: float
    volume_cm3: float
    excess_cm3: float = 0.0


def find_hot_spots(gamma: sitk.Image, most: int = MOST) -> list[HotSpot]:
    """Return the hot spots of a gamma map, the worst first (:data:`HOT_SPOTS_DEFINITION`).

    Args:
        gamma: 3D; voxels of -1 were not evaluated.
        most: the worst so many are returned.
    """
    values = sitk.GetArrayViewFromImage(gamma)
    fails = values > PASSES_UP_TO
    labels, count = scipy.ndimage.label(fails, np.ones((3, 3, 3)))
    if not count:
        return []
    places = np.argwhere(fails)
    owner = labels[fails] - 1
    found = values[fails].astype(np.float64)
    voxel_cm3 = float(np.prod(gamma.GetSpacing())) / 1000
    excess = np.bincount(owner, found - PASSES_UP_TO) * voxel_cm3
    volume = np.bincount(owner) * voxel_cm3
    maximum = np.full(count, -np.inf)
    np.maximum.at(maximum, owner, found)
    ranks = np.lexsort((-volume, -maximum, -excess))[:most]
    points = places[_most_central_peaks(places, owner, found >= maximum[owner], count)]
    return [
        HotSpot(
            gamma.TransformIndexToPhysicalPoint([int(n) for n in points[spot][::-1]]),
            float(maximum[spot]),
            float(volume[spot]),
            float(excess[spot]),
        )
        for spot in ranks
    ]


def _most_central_peaks(
    places: np.ndarray, owner: np.ndarray, is_peak: np.ndarray, count: int
) -> np.ndarray:
    """For each hot spot the row of ``places`` that is a peak and nearest to its peaks' middle."""
    rows = np.flatnonzero(is_peak)
    peaks, owners = places[rows], owner[rows]
    number = np.bincount(owners, minlength=count)
    middle = [np.bincount(owners, axis, count) / number for axis in peaks.T.astype(float)]
    distance = sum((peaks[:, axis] - middle[axis][owners]) ** 2 for axis in range(3))
    order = np.lexsort((distance, owners))
    first = np.searchsorted(owners[order], np.arange(count))
    return rows[order[first]]
