"""What no volume of a patient can be: noise, voxels of another unit, CT numbers in an MR."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import Progress

from .marks import is_synthetic

SMALLEST_VOXELS = 125
"""Fewer voxels are no image of a patient."""
SMALLEST_FIELD_MM = 50
"""A field of view below this in two directions is named."""
LEAST_LIKENESS = 0.2
"""Correlation of neighbouring voxels below which a volume is noise; of patients it is > 0.9."""
_ENOUGH = 16
"""Voxels along each axis from which the correlation of neighbours tells something."""
AIR_HU = (-1100, -900)
"""Values that are of air in a CT, and in no MR."""
FEWEST_GREYS = 64
"""Fewer different values are what is left of an MR that was stored for display."""
_USUAL_PERCENT = (0.1, 99.9)
_SPIKES = (0.1, 10.0)  # ranges below and above what is usual; vessels reach twice as far as fat


def check_patient(image: sitk.Image, what: str, role: str, progress: Progress) -> None:
    """Refuse or warn of a volume that cannot be of a patient, or cannot be the MR.

    Args:
        image: one that volumes.checks.check_volume takes.
        what: names the image in sentences.
        role: "MR", "CT" or anything else for volumes of other kinds.

    Raises:
        SyntheticCTError: a few voxels; noise only; CT numbers, or a synthetic CT, as the MR.
    """
    size = image.GetSize()
    text = " x ".join(str(n) for n in size)
    if np.prod(size) < SMALLEST_VOXELS:
        raise SyntheticCTError(
            f"The {what} has only {text} voxels, which is no image of a patient: give the whole "
            "volume."
        )
    field = [n * s for n, s in zip(size, image.GetSpacing(), strict=True)]
    if sorted(field)[1] < SMALLEST_FIELD_MM:
        progress.warn(
            f"The {what} is only {' x '.join(f'{v:.3g}' for v in field)} mm large ({text} voxels): "
            "check its voxel size (mm), and that it is the whole volume."
        )
    values = sitk.GetArrayViewFromImage(image)
    if min(size) >= _ENOUGH and _likeness(values) < LEAST_LIKENESS:
        raise SyntheticCTError(
            f"The {what} holds noise only (neighbouring voxels are not alike): give the right "
            "volume."
        )
    if is_synthetic(image) and role in ("MR", "CT"):
        sentence = f"The {what} is marked as a synthetic CT, and not a measured {role}"
        if role == "MR":
            raise SyntheticCTError(f"{sentence}: give the MR.")
        progress.warn(f"{sentence}: the figures tell nothing of the true CT.")
    if role == "MR":
        _check_mr(values, what, progress)


def usual_range(values: np.ndarray) -> tuple[float, float]:
    """Return the lowest and highest intensity of an MR (any shape) that is no spike.

    Spikes lie a tenth of the range of the usual intensities (0.1 to 99.9 percent of ``values``)
    below these, or ten ranges above. Where nearly all is one value, nothing is a spike.
    """
    low, high = (float(v) for v in np.percentile(values, _USUAL_PERCENT))
    if low == high:
        return float(values.min()), float(values.max())
    least, most = low - _SPIKES[0] * (high - low), high + _SPIKES[1] * (high - low)
    return float(values[values >= least].min()), float(values[values <= most].max())


def _check_mr(values: np.ndarray, what: str, progress: Progress) -> None:
    lowest, highest = float(values.min()), float(values.max())
    low, high = usual_range(values)
    if spikes := int(np.count_nonzero((values < low) | (values > high))):
        progress.warn(
            f"The {what} holds {spikes} voxel{'s' if spikes > 1 else ''} far beyond all others "
            f"(values of {lowest:g} to {highest:g}; all others are {low:g} to {high:g}): a "
            "correction of the image may have failed there; they count as the nearest of the "
            "others."
        )
    step = max(1, round(values.size / 1_000_000))
    greys = np.unique(values.ravel()[::step]).size
    if greys < FEWEST_GREYS and values.size > 1000:
        progress.warn(
            f"The {what} holds only {greys} different values, as a picture for display does: give "
            "the MR as it was measured."
        )
    if lowest >= 0:
        return
    air = float(((values >= AIR_HU[0]) & (values <= AIR_HU[1])).mean())
    if air > 0.05 and float((values < AIR_HU[0]).mean()) < 0.5:
        raise SyntheticCTError(
            f"The {what} holds CT numbers ({100 * air:.0f} % of its voxels are of air, about -1000 "
            "HU) and is no MR: give the MR."
        )
    share = 100 * float((values < 0).mean())
    highest = float(np.percentile(values, 99))
    if share > 0.1 and lowest < -0.01 * abs(highest):
        progress.warn(
            f"The {what} holds negative values (down to {lowest:g}, {share:.1f} % of its voxels), "
            "which a magnitude image of MR does not: check that it is no phase image, no CT, and "
            "not shifted or inverted."
        )


def _likeness(values: np.ndarray) -> float:
    """Largest correlation of neighbours along an axis, over a part of the volume's middle.

    Spikes are cut: a few of them would outweigh everything else.
    """
    middle = tuple(slice(max(0, n // 2 - 64), n // 2 + 64) for n in values.shape)
    part = values[middle].astype(np.float64)
    part = part if part.min() < part.max() else values.astype(np.float64)
    part = np.clip(part, *usual_range(part))
    found = []
    for axis in range(3):
        moved = np.moveaxis(part, axis, 0)
        one, other = moved[1:].ravel(), moved[:-1].ravel()
        if one.std() > 0 and other.std() > 0:
            found.append(float(np.corrcoef(one, other)[0, 1]))
    return max(found, default=1.0)
