"""Dose-volume histograms of structures, sampled more finely than the dose grid.

Source of the figures: ICRU Report 83 (2010), 3.4: D_V is the least dose that V percent of the
volume receive.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import SimpleITK as sitk
from scipy import ndimage
from SyntheticCTLib.errors import SyntheticCTError

FEWEST_SAMPLES = 10_000
MOST_SAMPLES = 500_000
SPREAD = 1.2207440846057596 ** -np.arange(1.0, 4.0)

DOSE_PERCENTS = (98, 95, 50, 2)
VOLUME_PERCENTS = (50, 95, 107)
"""Dose levels, in percent of the prescription, of the volumes that are reported."""

DIFFERENCE = "_difference"
"""Ends the keys of candidate minus true CT."""

DVH_DEFINITIONS = {
    "dvh": (
        "Dose-volume figures of every structure. The structure is cut into samples about half a "
        "voxel of the dose grid wide (10 000 samples at least; wider only where there would be "
        "more than 500 000), each weighted with the part of it that the structure fills; dose is "
        "interpolated trilinearly at one point in each. Contours are filled to half a contour "
        "spacing beyond the last; voxels of a mask count as boxes."
    ),
    "dvh_doses": (
        "D98, D95, D50, D2: the least dose in Gy that 98, 95, 50 and 2 % of the structure's "
        "volume receive (ICRU 83: near-minimum D98, median D50, near-maximum D2). "
        "Dmean, Dmin, Dmax: mean, lowest and highest dose of the samples in Gy."
    ),
    "dvh_volumes": (
        "V50%, V95%, V107%: percent of the structure's volume that receives at least 50, 95 and "
        "107 % of the prescription. volume_cm3: volume of the whole structure."
    ),
    "dvh_outside": (
        "outside_percent: part of the structure's volume that lies outside the dose grid (more "
        "than half a voxel beyond its outermost voxel centres). Dose is not known there; the "
        "other figures are of the part inside."
    ),
    "dvh_differences": (
        "Figures that end in _difference: candidate minus true CT; doses in percent of the "
        "prescription, volumes in percentage points."
    ),
    "dvh_ct": "The same figures for the dose on the true CT.",
}


@dataclass(frozen=True, eq=False)
class Samples:
    """Points that stand for a structure.

    Attributes:
        points: (n, 3) in mm, LPS.
        weights_mm3: (n,) volume that each stands for.
    """

    points: np.ndarray
    weights_mm3: np.ndarray


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

    def figures(self, prescription_gy: float) -> dict[str, float]:
        """Return the figures of metrics.json (see :data:`DVH_DEFINITIONS`)."""
        values = {f"D{percent}": self.dose_at(percent) for percent in DOSE_PERCENTS}
        values |= {"Dmean": self.mean_gy, "Dmin": self.min_gy, "Dmax": self.max_gy}
        for percent in VOLUME_PERCENTS:
            values[f"V{percent}%"] = self.volume_at(percent / 100 * prescription_gy)
        values |= {"volume_cm3": self.volume_cm3, "outside_percent": self.outside_percent}
        return values


def structure_samples(mask: sitk.Image, doses: list[sitk.Image]) -> Samples:
    """Cut a structure into samples about half a voxel of the finest of ``doses`` wide.

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
    # Whole voxels are joined where they are finer than needed, and cut where they are coarser.
    joined = np.maximum(np.floor(limit / spacing + 1e-6), 1).astype(int)
    cuts = np.maximum(np.ceil(spacing / limit - 0.25), 1).astype(int)
    voxels = int(np.count_nonzero(array))
    while voxels * cuts.prod() / joined.prod() > MOST_SAMPLES:
        axis = int((spacing * joined / cuts / limit).argmin())
        joined[axis] += int(cuts[axis] == 1)
        cuts[axis] = max(1, cuts[axis] - 1)
    while voxels * cuts.prod() / joined.prod() < FEWEST_SAMPLES:
        axis = int((spacing * joined / cuts).argmax())
        cuts[axis] += int(joined[axis] == 1)
        joined[axis] = max(1, joined[axis] - 1)
    filled = _joined(array, joined)
    found = np.nonzero(filled)
    weights = filled[found].astype(np.float64) * spacing.prod() * joined.prod() / cuts.prod()
    corners = np.stack(found[::-1], axis=1) * joined + corner - 0.5
    parts = np.stack(np.meshgrid(*map(np.arange, cuts), indexing="ij"), axis=-1).reshape(-1, 3)
    indices = np.concatenate([corners + part * joined / cuts for part in parts])
    # Samples in rows would share doses and make steps of the histogram where dose rises along
    # an axis; each lies elsewhere in its part (R3 sequence, Roberts 2018), always the same.
    number = np.arange(1, len(indices) + 1)[:, None]
    indices += np.modf(number * SPREAD)[0] * joined / cuts
    points = indices @ (directions * spacing).T + mask.GetOrigin()
    return Samples(points, np.tile(weights, len(parts)))


def dose_volume_histogram(
    dose: sitk.Image, mask: sitk.Image, samples: Samples | None = None
) -> Dvh:
    """Return the dose-volume histogram of a structure.

    Args:
        dose: 3D, Gy, any grid.
        mask: as for :func:`structure_samples`.
        samples: of ``mask``, where several doses are looked up in one structure.

    Raises:
        SyntheticCTError: the mask is empty.
    """
    samples = samples or structure_samples(mask, [dose])
    own = np.reshape(dose.GetDirection(), (3, 3)) * dose.GetSpacing()
    indices = (samples.points - dose.GetOrigin()) @ np.linalg.inv(own).T
    size = np.array(dose.GetSize())
    inside = ((indices >= -0.5 - 1e-6) & (indices <= size - 0.5 + 1e-6)).all(axis=1)
    total = samples.weights_mm3.sum()
    weights = samples.weights_mm3[inside]
    outside = 100 * (1 - weights.sum() / total) if not inside.all() else 0.0
    if not inside.any():
        nan, none = float("nan"), np.empty(0, np.float32)
        return Dvh(total / 1000, 100.0, nan, nan, nan, none, none)
    values = ndimage.map_coordinates(
        sitk.GetArrayViewFromImage(dose),
        indices[inside][:, ::-1].T,
        output=np.float32,
        order=1,
        mode="nearest",
    )
    order = np.argsort(-values, kind="stable")
    weights, ordered = weights[order], values[order]
    reached = np.cumsum(weights)
    return Dvh(
        volume_cm3=float(total / 1000),
        outside_percent=float(outside),
        mean_gy=float(np.average(ordered.astype(np.float64), weights=weights)),
        min_gy=float(ordered[-1]),
        max_gy=float(ordered[0]),
        doses_gy=ordered,
        volumes_percent=(100 * (reached - weights / 2) / reached[-1]).astype(np.float32),
    )


def compare_dvhs(
    dose_ct: sitk.Image, doses: Mapping[str, sitk.Image], structures: Mapping[str, sitk.Image]
) -> tuple[dict[str, dict[str, Dvh]], list[str]]:
    """Return the histograms of every structure, on the true CT ("") and by candidate, and notes.

    Notes name the structures that are empty or lie, wholly or in part, outside a dose grid.
    """
    found: dict[str, dict[str, Dvh]] = {}
    notes = []
    every = {"": dose_ct, **doses}
    for name, mask in structures.items():
        try:
            samples = structure_samples(mask, list(every.values()))
        except SyntheticCTError:
            notes.append(f"The structure {name} is empty, so it has no dose-volume histogram.")
            continue
        found[name] = {
            key: dose_volume_histogram(dose, mask, samples) for key, dose in every.items()
        }
        outside = {
            f"the dose on {key or 'the true CT'}": dvh.outside_percent
            for key, dvh in found[name].items()
            if dvh.outside_percent > 0
        }
        if len(set(outside.values())) == 1 and len(outside) == len(every):
            outside = {"the dose grid": next(iter(outside.values()))}
        for where, percent in outside.items():
            part = "lies" if percent >= 100 else f"lies to {_percent(percent)} of its volume"
            notes.append(
                f"The structure {name} {part} outside {where}; "
                + (
                    "it has no dose-volume figures there."
                    if percent >= 100
                    else "its dose-volume figures are of the part inside."
                )
            )
    return found, notes


def dvh_metrics(candidate: Dvh, reference: Dvh, prescription_gy: float) -> dict[str, float]:
    """Return the figures of a candidate with its differences to the true CT."""
    values, own = candidate.figures(prescription_gy), reference.figures(prescription_gy)
    for key in [key for key in values if key[0] in "DV"]:
        scale = 100 / prescription_gy if key[0] == "D" else 1.0
        values[key + DIFFERENCE] = scale * (values[key] - own[key])
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


def _joined(array: np.ndarray, blocks: np.ndarray) -> np.ndarray:
    """The filled part of each block of voxels; ``blocks`` in (i, j, k) order."""
    if (blocks == 1).all():
        return array
    steps = blocks[::-1]
    padded = np.pad(array, [(0, -n % step) for n, step in zip(array.shape, steps, strict=True)])
    k, j, i = (n // step for n, step in zip(padded.shape, steps, strict=True))
    return padded.reshape(k, steps[0], j, steps[1], i, steps[2]).mean(
        axis=(1, 3, 5), dtype=np.float32
    )
