"""Dose in several volumes by the same source photons and random numbers, batch by batch."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from SyntheticCTLib.basics.processors import processors
from SyntheticCTLib.body.labels import patient_on

from SyntheticCTEvalLib.dose.electron_density import AIR, ELECTRON_DENSITY, density_inside
from SyntheticCTEvalLib.plan.beams import TreatmentPlan
from SyntheticCTEvalLib.plan.source import plan_source

from .spectrum import GRAY_PER_MEV_PER_GRAM, drawn, photons_per_mu

_CHUNK = 250_000


@dataclass(frozen=True, eq=False)
class Volume:
    """A patient as dose is calculated in.

    Attributes:
        density: (k, j, i) relative to water, air outside the body and its couch, float32.
        inside: (k, j, i) bool, the body without a couch.
    """

    density: np.ndarray
    inside: np.ndarray


def volume_on(
    grid: sitk.Image,
    ct: sitk.Image,
    body: sitk.Image,
    curve: Sequence[tuple[float, float]] = ELECTRON_DENSITY,
) -> Volume:
    """Return the densities of a CT-like image (HU) inside its body (body.labels.COUCH), on an
    axis-aligned grid."""
    density = np.maximum(density_inside(ct, body, grid, curve), AIR).astype(np.float32)
    return Volume(density, patient_on(body, grid))


class Calculation:
    """The dose of one plan in volumes on one grid, by common random numbers.

    The same photons enter all volumes, every particle has its own random stream, and the majorant
    is one, so that a history differs only from where the volumes do.
    """

    def __init__(
        self,
        plan: TreatmentPlan,
        volumes: Sequence[Volume],
        grid: sitk.Image,
        tables,  # montecarlo.transport.Tables
        seed: int = 1,
        leaf_transmission: float = 0.0,
    ) -> None:
        """``leaf_transmission`` as of plan.source.plan_source."""
        from .transport import Medium

        spacing = np.array(grid.GetSpacing())
        first = (np.array(grid.GetOrigin()) - spacing / 2) / 10
        last = first + np.array(grid.GetSize()) * spacing / 10
        majorant = max(float(volume.density.max()) for volume in volumes)
        self._media = [
            Medium(
                np.ascontiguousarray(volume.density, dtype=np.float32),
                majorant,
                tuple(first.tolist()),
                tuple((spacing / 10).tolist()),
                tuple(last.tolist()),
            )
            for volume in volumes
        ]
        self._volumes = volumes
        self.source = plan_source(plan, photons_per_mu, leaf_transmission)
        self._tables, self._seed = tables, seed
        self._voxel_cm3 = float(np.prod(spacing / 10))

    def batch(self, number: int, candidates: int) -> np.ndarray:
        """Return the doses of an independent batch in Gy of the whole course.

        The same for the same seed, number and candidates, whatever the processors.

        Args:
            candidates: photons that are drawn in the fields' boxes (see plan.source.PlanSource).

        Returns:
            (volumes, k, j, i) float32; 0 outside each volume's body.
        """
        chunks = max(1, round(candidates / _CHUNK))
        with ThreadPoolExecutor(processors()) as pool:
            parts = pool.map(
                self._chunk, [number] * chunks, range(chunks), [candidates // chunks] * chunks
            )
            total = np.zeros((len(self._media), *self._volumes[0].density.shape))
            for part in parts:
                total += part
        scale = GRAY_PER_MEV_PER_GRAM * self.source.output
        scale /= chunks * (candidates // chunks) * self._voxel_cm3
        doses = np.empty(total.shape, dtype=np.float32)
        for dose, energy, volume in zip(doses, total, self._volumes, strict=True):
            dose[:] = np.where(volume.inside, scale * energy / volume.density, 0)
        return doses

    def _chunk(self, batch: int, chunk: int, candidates: int) -> np.ndarray:
        from .transport import follow

        part = batch * 100_000 + chunk
        energies, positions, directions = drawn(self.source, self._seed, part, candidates)
        left = np.zeros((len(self._media), *self._volumes[0].density.shape))
        for energy, medium in zip(left, self._media, strict=True):
            follow(
                energies,
                positions / 10,
                directions,
                self._seed,
                part * 2**32,
                medium,
                self._tables,
                energy,
            )
        return left
