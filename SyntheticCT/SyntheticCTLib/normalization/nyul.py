"""Nyul intensity normalization of MR: landmarks, standard scale, piecewise linear mapping.

Source: Nyul, Udupa, Zhang, "New variants of a method of MRI scale standardization", IEEE TMI
19 (2000), in the variant of the study: landmarks at 1, 10, 20, ..., 90 and 99 percent of the
foreground, standard scale as the mean over the training MRs.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.outputs import staged_file
from SyntheticCTLib.volumes.grids import image_like
from SyntheticCTLib.volumes.plausible import usual_range

from .foreground import foreground_mask
from .padding import padding_mask

PERCENTILES = (1.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0, 99.0)
SCALE_RANGE = (1.0, 100.0)
"""Values that the 1st and 99th percentile of every training MR get before the mean is taken."""


def landmarks(values: np.ndarray) -> np.ndarray:
    """Return the intensities at :data:`PERCENTILES` of the foreground ``values`` (any shape)."""
    if values.size == 0:
        raise SyntheticCTError("The foreground of the MR is empty: give a mask that holds voxels.")
    return np.percentile(values, PERCENTILES)


@dataclass(frozen=True)
class NyulStandard:
    """The standard scale: where each landmark of any MR is mapped to.

    Attributes:
        scale: one value for each of :data:`PERCENTILES`, not decreasing.
        count: number of MRs it was learned from.
    """

    scale: tuple[float, ...]
    count: int

    @classmethod
    def learn(cls, images: Iterable[tuple[sitk.Image, np.ndarray]]) -> NyulStandard:
        """Learn the standard scale from MRs and their foregrounds (booleans, k, j, i).

        Every MR's landmarks are mapped linearly so that its 1st and 99th percentile lie at
        :data:`SCALE_RANGE`; the standard scale is their mean.

        Raises:
            SyntheticCTError: no image, an empty foreground, or one without contrast.
        """
        scaled = []
        for image, mask in images:
            found = landmarks(sitk.GetArrayViewFromImage(image)[mask])
            if found[-1] <= found[0]:
                raise SyntheticCTError(
                    "An MR cannot be normalized because the 1st and 99th percentile of its "
                    "foreground are the same value: check that volume."
                )
            scaled.append(np.interp(found, found[[0, -1]], SCALE_RANGE))
        if not scaled:
            raise SyntheticCTError("No MR was given to learn the Nyul standard scale from.")
        return cls(tuple(float(v) for v in np.mean(scaled, axis=0)), len(scaled))

    def apply(self, image: sitk.Image, mask: np.ndarray | None = None) -> sitk.Image:
        """Return ``image`` mapped to the standard scale (float32, same grid).

        Args:
            image: MR in any intensity unit.
            mask: its foreground (booleans, k, j, i); :func:`foreground_mask` when None.

        Outside the landmarks the first and last segment are continued, so the mapping is
        defined and not decreasing everywhere. Landmarks that coincide are merged and mapped
        to the mean of their standard values. Padding, which nobody measured, gets the lowest
        value of what was measured, whatever it was filled with; spikes far beyond all other
        intensities are cut (volumes.plausible.usual_range).

        Raises:
            SyntheticCTError: empty foreground or all landmarks equal.
        """
        values = sitk.GetArrayViewFromImage(image)
        found = landmarks(values[foreground_mask(image) if mask is None else mask])
        source, group = np.unique(found, return_inverse=True)
        if source.size < 2:
            raise SyntheticCTError(
                "The MR cannot be normalized because all landmarks of its foreground are the "
                "same value: check that it is the right volume."
            )
        target = np.bincount(group, weights=np.asarray(self.scale)) / np.bincount(group)
        padding = padding_mask(values)
        usual = usual_range(values[~padding])
        mapped = _piecewise_linear(np.clip(values, *usual), source, target)
        mapped[padding] = mapped.min(where=~padding, initial=np.inf)
        return image_like(mapped, image)

    def save(self, path: str | os.PathLike) -> Path:
        """Write the standard as JSON, whole or not at all."""
        with staged_file(path) as stage:
            stage.write_text(json.dumps(self.to_json(), indent=2) + "\n", encoding="utf-8")
        return Path(path)

    @classmethod
    def load(cls, path: str | os.PathLike) -> NyulStandard:
        """Read a standard written by :meth:`save`; SyntheticCTError where it is none."""
        try:
            content = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise SyntheticCTError(f"The Nyul standard {path} cannot be read as JSON.") from error
        return cls.from_json(content)

    def to_json(self) -> dict:
        """Return the standard as JSON values."""
        return {
            "method": "Nyul",
            "percentiles": list(PERCENTILES),
            "scale": list(self.scale),
            "count": self.count,
        }

    @classmethod
    def from_json(cls, content: dict) -> NyulStandard:
        """Return the standard described by :meth:`to_json`; SyntheticCTError where it is none."""
        try:
            scale = tuple(float(v) for v in content["scale"])
            sound = (
                tuple(content["percentiles"]) == PERCENTILES
                and len(scale) == len(PERCENTILES)
                and bool(np.all(np.diff(scale) >= 0))
                and scale[0] < scale[-1]
            )
            count = int(content["count"])
        except (KeyError, TypeError, ValueError):
            sound = False
        if not sound:
            raise SyntheticCTError(
                "The Nyul standard is not one of this program's (11 landmarks at 1, 10, ..., "
                "90, 99 percent, not decreasing): learn it again with the train command."
            )
        return cls(scale, count)


def _piecewise_linear(values: np.ndarray, source: np.ndarray, target: np.ndarray) -> np.ndarray:
    mapped = np.interp(values, source, target).astype(np.float32)
    for end, neighbour in ((0, 1), (-1, -2)):
        slope = (target[end] - target[neighbour]) / (source[end] - source[neighbour])
        beyond = values < source[0] if end == 0 else values > source[-1]
        mapped[beyond] = target[end] + slope * (values[beyond] - source[end])
    return mapped
