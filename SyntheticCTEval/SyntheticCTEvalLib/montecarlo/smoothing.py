"""What Monte Carlo finds beyond the pencil beam, smoothed: little noise, and edges stay sharp.

The pencil beam is a control variate: it has the edges of fields, skin and gas, so that what is left
to smooth is small and broad. A dose that is noisy itself would flatter every pass rate, as gamma
finds the dose that it looks for somewhere in the noise (Testing/VALIDATION.md).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

SMOOTHING_MM = 6.0
"""Standard deviation of the Gaussian (Testing/VALIDATION.md)."""


class Smoothing:
    """Doses of a batch in several volumes, smoothed beyond those of the pencil beam.

    Attributes:
        pencil_beam: (volumes, k, j, i) Gy.
        inside: (volumes, k, j, i) bool, the volumes' bodies.
        sigmas: of the Gaussian along k, j, i, in voxels.
    """

    def __init__(
        self,
        pencil_beam: np.ndarray,
        inside: Sequence[np.ndarray],
        spacing_mm: tuple[float, float, float],
    ) -> None:
        """``spacing_mm`` along i, j, k."""
        self.inside = np.asarray(inside)
        self.pencil_beam = np.where(self.inside, pencil_beam, 0).astype(np.float32)
        self.sigmas = tuple((SMOOTHING_MM / np.array(spacing_mm[::-1])).tolist())

    def __call__(self, doses: np.ndarray) -> np.ndarray:
        """Return doses (volumes, k, j, i) in Gy, 0 outside each volume's body, float32.

        In the first volume, the pencil beam's dose and the smoothed rest. In a further one the
        first one's, the pencil beam's difference, and the smoothed rest of the difference; where
        the first has no body, as in the first. Linear in the doses, so that the mean of batches is
        that of their mean.
        """
        rest = doses - self.pencil_beam
        result = np.empty(doses.shape, dtype=np.float32)
        for number, own in enumerate(self.inside):
            both = own & self.inside[0]
            if number == 0:
                result[0] = self.pencil_beam[0] + self._smoothed(rest[0], own)
                continue
            # A difference of 0 is added to the first dose, so that the same volume has the same.
            difference = self.pencil_beam[number] - self.pencil_beam[0]
            difference += self._smoothed(rest[number] - rest[0], both)
            alone = own & ~both
            beyond = self._smoothed(rest[number], own) if alone.any() else 0
            result[number] = np.where(
                both,
                result[0] + difference,
                np.where(alone, self.pencil_beam[number] + beyond, 0),
            )
        return result

    def _smoothed(self, values: np.ndarray, where: np.ndarray) -> np.ndarray:
        """Values (k, j, i) smoothed among the voxels of ``where``; 0 elsewhere."""
        own, weights = (
            ndimage.gaussian_filter(array.astype(np.float32), self.sigmas, mode="constant")
            for array in (np.where(where, values, 0), where)
        )
        return np.where(where, own / np.maximum(weights, 1e-6), 0)
