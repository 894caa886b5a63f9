"""Dose-volume histograms of structures, sampled more finely than the dose grid.

Source of the figures: ICRU Report 83 (2010), 3.4: D_V is the least dose that V percent of the
volume receive.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import scipy
import SimpleITK as sitk
from SyntheticCTLib.basics.errors import SyntheticCTError

from .dvh_points import DVH_POINT_DEFINITIONS, DvhPoint

FEWEST_SAMPLES = 50_000
MOST_SAMPLES = 2_000_000
GOLDEN = 0.6180339887498949
SPREAD = 1.2207440846057596 ** -np.arange(1.0, 4.0)

DOSE_PERCENTS = (98, 95, 50, 2)
VOLUME_PERCENTS = (50, 95, 107)
"""Dose levels, in percent of the prescription, of the volumes that are reported."""

DIFFERENCE = "_difference"
"""Ends the keys of candidate minus true CT."""

DIFFERENCE_GY = "_difference_gy"
"""Ends those of doses in Gy; DIFFERENCE has them in percent of the prescription."""

DVH_DEFINITIONS = {
    "dvh": (
        "Dose-volume figures of every structure. Dose is interpolated trilinearly at points spread "
        "evenly over the structure, one to a cube of half a voxel of the dose grid (50 000 points "
        "at least, 2 000 000 at most). Contours are filled to half a contour spacing beyond the "
        "last, unless a note says that they end there; voxels of a mask count as boxes."
    ),
    "dvh_doses": (
        "D98, D95, D50, D2: the least dose in Gy that 98, 95, 50 and 2 % of the structure's "
        "volume receive (ICRU 83: near-minimum D98, median D50, near-maximum D2). "
        "Dmean, Dmin, Dmax: mean, lowest and highest dose of the samples in Gy. Dose below 0, "
        "which is noise, counts as 0 in all but the mean, and a mean below 0 is 0."
    ),
    "dvh_volumes": (
        "V50%, V95%, V107%: percent of the structure's volume that receives at least 50, 95 and "
        "107 % of the prescription. volume_cm3: volume of the whole structure."
    ),
    "dvh_outside": (
        "outside_percent: part of the structure's volume that lies outside the dose grid (more "
        "than half a voxel beyond its outermost voxel centres), for a candidate outside its own "
        "or the true CT's, or in that half voxel of one of them only. Dose is not known there; the "
        "other figures are of the part inside."
    ),
    "dvh_differences": (
        "Figures that end in _difference: candidate minus true CT, both over the part of the "
        "structure that both doses cover; doses in percent of the prescription, volumes in "
        "percentage points, or in cm3 where they are in cm3. Figures that end in _difference_gy: "
        "the same of doses in Gy."
    ),
    "dvh_ct": (
        "The same figures for the dose on the true CT, over all of the structure that it covers."
    ),
} | DVH_POINT_DEFINITIONS


@dataclass(frozen=True, eq=False)
class Samples:
    """Points that stand for a structure.

    Attributes:
        points: (n, 3) in mm, LPS; each stands for the same volume.
        volume_mm3: volume of the structure.
    """

    points: np.ndarray
    volume_mm3: float


@dataclass(frozen=True, eq=False)
class Dvh:
    """Cumulative dose-volume histogram of one structure; figures are of the part in the grid.

    Attributes:
        volume_cm3: volume of the whole structure.
        outside_percent: part of it outside the dose grid, where dose is not known.
        mean_gy, min_gy, max_gy: NaN where the whole structure lies outside.
        doses_gy: (n,) doses of the samples, from the highest down.
        volumes_percent: (n,) percent of the volume up to the middle of each sample.
    """

    volume_cm3: float
    outside_percent: float
    mean_gy: float
    min_gy: float
    max_gy: float
    doses_gy: np.ndarray = field(repr=False)
    volumes_percent: np.ndarray = field(repr=False)

    @staticmethod
    def volumes_of(count: int) -> np.ndarray:
        """Return ``volumes_percent`` of a histogram of ``count`` samples."""
        return 100 * (np.arange(count, dtype=np.float32) + np.float32(0.5)) / max(count, 1)

    def dose_at(self, volume_percent: float) -> float:
        """Return D_V: the least dose in Gy that ``volume_percent`` of the volume receive."""
        if not self.doses_gy.size:
            return float("nan")
        return float(np.interp(volume_percent, self.volumes_percent, self.doses_gy))

    def volume_at(self, dose_gy: float) -> float:
        """Return V_D: percent of the volume that receive at least ``dose_gy``."""
        if not self.doses_gy.size:
            return float("nan")
        # Doses are stored in single precision: equal doses must count as reached.
        if dose_gy <= self.min_gy * (1 + 1e-6):
            return 100.0
        if dose_gy > self.max_gy * (1 + 1e-6):
            return 0.0
        reached = int(np.searchsorted(-self.doses_gy, -dose_gy * (1 - 1e-6), side="right"))
        if reached == self.doses_gy.size:
            return 100.0
        above, below = self.doses_gy[max(reached - 1, 0)], self.doses_gy[reached]
        start, end = self.volumes_percent[max(reached - 1, 0)], self.volumes_percent[reached]
        part = np.clip((above - dose_gy) / (above - below), 0, 1) if above > below else 1.0
        return float(start + part * (end - start))

    def figures(self, prescription_gy: float, points: Iterable[DvhPoint] = ()) -> dict[str, float]:
        """Return the figures of metrics.json (see :data:`DVH_DEFINITIONS`), then ``points``."""
        values = {f"D{percent}": self.dose_at(percent) for percent in DOSE_PERCENTS}
        values |= {"Dmean": self.mean_gy, "Dmin": self.min_gy, "Dmax": self.max_gy}
        for percent in VOLUME_PERCENTS:
            values[f"V{percent}%"] = self.volume_at(percent / 100 * prescription_gy)
        values |= {"volume_cm3": self.volume_cm3, "outside_percent": self.outside_percent}
        asked = {point.name: point.value(self, prescription_gy) for point in points}
        return values | {name: value for name, value in asked.items() if name not in values}


def structure_samples(mask: sitk.Image, doses: list[sitk.Image]) -> Samples:
    """Spread samples evenly over a structure, about half a voxel of the finest dose apart.

    Args:
        mask: 3D, any grid; voxels other than 0 belong to the structure, as boxes.
        doses: doses that will be looked up at the samples.

    Raises:
        SyntheticCTError: the mask is empty.
    """
    array, corner = _cropped(mask)
    spacing = np.array(mask.GetSpacing())
    directions = np.reshape(mask.GetDirection(), (3, 3))
    limit = np.min([_spacing_along(dose, directions) for dose in doses], axis=0) / 2
    voxels = np.flatnonzero(array)
    volume = float(len(voxels) * spacing.prod())
    count = int(np.clip(volume / limit.prod(), FEWEST_SAMPLES, MOST_SAMPLES))
    # Voxels are cut into parts until there are enough to choose the samples' places from.
    cuts = np.maximum(np.ceil(spacing / limit - 0.25), 1).astype(int)
    while len(voxels) * cuts.prod() < count:
        cuts[(spacing / cuts).argmax()] += 1
    # One part of each run of parts, and one place in each part: samples in rows would share
    # doses and make steps of the histogram (R3 sequence, Roberts 2018; always the same).
    number = np.arange(count)
    runs = (number + np.modf((number + 1) * GOLDEN)[0]) * (len(voxels) * cuts.prod() / count)
    voxel, part = np.divmod(runs.astype(np.int64), cuts.prod())
    first = np.stack(np.unravel_index(voxels[voxel], array.shape)[::-1], axis=1)
    within = np.stack(np.unravel_index(part, cuts), axis=1)
    places = (within + np.modf((number[:, None] + 1) * SPREAD)[0]) / cuts
    points = (first + corner + places - 0.5) @ (directions * spacing).T + mask.GetOrigin()
    return Samples(points, volume)


def doses_at(dose: sitk.Image, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the dose at points (n, 3; mm, LPS), and which of them lie in its rim.

    Returns:
        The dose (n,; float32), trilinear, NaN outside the grid; and whether the point lies
        beyond the outermost voxel centres, in the half voxel that has their dose.
    """
    own = np.reshape(dose.GetDirection(), (3, 3)) * dose.GetSpacing()
    indices = (points - dose.GetOrigin()) @ np.linalg.inv(own).T
    last = np.array(dose.GetSize()) - 1
    beyond = np.maximum(-indices, indices - last).max(axis=1)
    inside = beyond <= 0.5 + 1e-6
    values = np.full(len(points), np.nan, np.float32)
    values[inside] = scipy.ndimage.map_coordinates(
        sitk.GetArrayViewFromImage(dose),
        indices[inside][:, ::-1].T,
        output=np.float32,
        order=1,
        mode="nearest",
    )
    return values, inside & (beyond > 1e-6)


def histogram_of(values: np.ndarray, volume_mm3: float) -> Dvh:
    """Return the histogram of samples (n,; Gy, NaN where dose is not known) of a structure."""
    known = values[np.isfinite(values)]
    volume = volume_mm3 / 1000
    if not known.size:
        nan, none = float("nan"), np.empty(0, np.float32)
        return Dvh(volume, 100.0, nan, nan, nan, none, none)
    ordered = np.sort(np.maximum(known, 0))[::-1]
    return Dvh(
        volume_cm3=volume,
        outside_percent=100 * (1 - known.size / values.size),
        mean_gy=max(float(known.mean(dtype=np.float64)), 0.0),
        min_gy=float(ordered[-1]),
        max_gy=float(ordered[0]),
        doses_gy=ordered,
        volumes_percent=Dvh.volumes_of(known.size),
    )


def dose_volume_histogram(dose: sitk.Image, mask: sitk.Image) -> Dvh:
    """Return the dose-volume histogram of a structure.

    Args:
        dose: 3D, Gy, any grid.
        mask: as for :func:`structure_samples`.

    Raises:
        SyntheticCTError: the mask is empty.
    """
    samples = structure_samples(mask, [dose])
    return histogram_of(doses_at(dose, samples.points)[0], samples.volume_mm3)


@dataclass(frozen=True)
class StructureDvhs:
    """The histograms of one structure.

    Attributes:
        ct: of the dose on the true CT, over what it covers.
        candidates: by name, over what the candidate's dose and that on the true CT cover.
        same_part: of the dose on the true CT over the same part, by candidate.
        points: computed besides the figures that every structure has.
    """

    ct: Dvh
    candidates: dict[str, Dvh]
    same_part: dict[str, Dvh]
    points: tuple[DvhPoint, ...] = ()


def compare_dvhs(
    dose_ct: sitk.Image, doses: Mapping[str, sitk.Image], structures: Mapping[str, sitk.Image]
) -> tuple[dict[str, StructureDvhs], list[str]]:
    """Return the histograms of every structure, and notes.

    Notes name the structures that are empty or lie, wholly or in part, outside a dose grid.
    """
    found: dict[str, StructureDvhs] = {}
    notes = []
    for name, mask in structures.items():
        try:
            samples = structure_samples(mask, [dose_ct, *doses.values()])
        except SyntheticCTError:
            notes.append(f"The structure {name} is empty, so it has no dose-volume histogram.")
            continue
        volume = samples.volume_mm3
        reference, reference_rim = doses_at(dose_ct, samples.points)
        known = np.isfinite(reference)
        ct = histogram_of(reference, volume)
        candidates, same_part = {}, {}
        outside = {"": ct.outside_percent}
        for candidate, dose in doses.items():
            values, rim = doses_at(dose, samples.points)
            # In the rim of one dose only, the other would be held against a repeated value.
            both = known & np.isfinite(values) & (rim == reference_rim)
            outside[candidate] = 100 * (1 - np.count_nonzero(np.isfinite(values)) / values.size)
            candidates[candidate] = histogram_of(np.where(both, values, np.nan), volume)
            same_part[candidate] = (
                ct
                if (both == known).all()
                else histogram_of(np.where(both, reference, np.nan), volume)
            )
        found[name] = StructureDvhs(ct, candidates, same_part)
        notes += _outside_notes(name, outside, candidates)
    return found, notes


def _outside_notes(
    name: str, outside: Mapping[str, float], candidates: Mapping[str, Dvh]
) -> list[str]:
    """Sentences on what of a structure lies outside a dose; ``outside`` by dose, "" the CT's."""
    places = {
        f"the dose on {key or 'the true CT'}": percent
        for key, percent in outside.items()
        if percent > 0
    }
    if len(set(places.values())) == 1 and len(places) == len(outside):
        places = {"the dose grid": next(iter(places.values()))}
    notes = []
    for where, percent in places.items():
        if percent >= 100:
            notes.append(
                f"The structure {name} lies outside {where}; it has no dose-volume figures there."
            )
            continue
        notes.append(
            f"The structure {name} lies to {_percent(percent)} of its volume outside {where}; its "
            "dose-volume figures are of the part inside, and differences of what both doses cover."
        )
    for key, dvh in candidates.items():
        if dvh.outside_percent >= 100 and max(outside[""], outside[key]) < 100:
            notes.append(
                f"No part of the structure {name} lies in both the dose on {key} and the dose on "
                f"the true CT; {key} has no dose-volume figures of it."
            )
    return notes


def dvh_metrics(
    candidate: Dvh, reference: Dvh, prescription_gy: float, points: Iterable[DvhPoint] = ()
) -> dict[str, float]:
    """Return the figures of a candidate with its differences to the true CT.

    Args:
        candidate, reference: over the same part of the structure.
        points: computed besides the figures that every structure has.
    """
    points = tuple(points)
    values = candidate.figures(prescription_gy, points)
    own = reference.figures(prescription_gy, points)
    for key in [key for key in values if key[0] in "DV"]:
        difference = values[key] - own[key]
        if key[0] == "D":
            values[key + DIFFERENCE] = 100 / prescription_gy * difference
            values[key + DIFFERENCE_GY] = difference
        else:
            values[key + DIFFERENCE] = difference
    return values


def _percent(value: float) -> str:
    return f"{value:.1f} %" if value >= 0.1 else "less than 0.1 %"


def _cropped(mask: sitk.Image) -> tuple[np.ndarray, np.ndarray]:
    """The part of the mask (k, j, i; bool) that holds all of it, and its first index (i, j, k)."""
    array = sitk.GetArrayViewFromImage(mask) != 0
    rest = array.any(axis=0)
    spans = [array.any(axis=(1, 2)), rest.any(axis=1), rest.any(axis=0)]
    if not spans[0].any():
        raise SyntheticCTError("The structure is empty: give one that has voxels.")
    ends = [np.flatnonzero(span)[[0, -1]] for span in spans]
    part = array[tuple(slice(first, last + 1) for first, last in ends)]
    return part, np.array([first for first, _ in ends[::-1]])


def _spacing_along(dose: sitk.Image, directions: np.ndarray) -> np.ndarray:
    """Spacing of the dose grid along the axes of a mask: that of the axis nearest to each."""
    nearest = np.abs(np.reshape(dose.GetDirection(), (3, 3)).T @ directions).argmax(axis=0)
    return np.array(dose.GetSpacing())[nearest]
