"""Dose in several volumes by the same source photons and random numbers, batch by batch."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from scipy import ndimage
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.processors import processors
from SyntheticCTLib.basics.progress import SILENT, Progress
from SyntheticCTLib.volumes.resampling import resample

from SyntheticCTEvalLib.dose.electron_density import AIR, ELECTRON_DENSITY, density_inside

from .source import GRAY_PER_MEV_PER_GRAM, PlanSource

SMOOTHING_MM = 4.0
"""Standard deviation of the Gaussian that smooths the difference between a volume's dose and the
first one's: noise of a millimetre's scale is not what the volumes do (Testing/VALIDATION.md)."""
_CHUNK = 250_000
_COMING_IN, _CUT_OFF = 0.001, 0.05
"""Shares of photons: what comes in through a CT's end has passed tissue that is not there; what
leaves through it has not, but then the field is cut off, as where it passes beyond that end."""
_ALONG_MM = range(-300, 301, 20)
"""Where a photon's way is looked at, from its point nearest to the CT's middle."""


@dataclass(frozen=True, eq=False)
class Volume:
    """A patient as dose is calculated in.

    Attributes:
        density: (k, j, i) relative to water, air outside the body, float32.
        inside: (k, j, i) bool, the body.
    """

    density: np.ndarray
    inside: np.ndarray


def volume_on(
    grid: sitk.Image,
    ct: sitk.Image,
    body: sitk.Image,
    curve: Sequence[tuple[float, float]] = ELECTRON_DENSITY,
) -> Volume:
    """Return the densities of a CT-like image (HU) inside its body, on an axis-aligned grid."""
    density = np.maximum(density_inside(ct, body, grid, curve), AIR).astype(np.float32)
    inside = sitk.GetArrayFromImage(resample(body, grid, fill=0, nearest=True)) != 0
    return Volume(density, inside)


class Calculation:
    """The dose of one plan in volumes on one grid, by common random numbers.

    The same photons enter all volumes, every particle has its own random stream, and the majorant
    is one, so that a history differs only from where the volumes do.
    """

    def __init__(
        self,
        source: PlanSource,
        volumes: Sequence[Volume],
        grid: sitk.Image,
        tables,  # montecarlo.transport.Tables
        seed: int = 1,
    ) -> None:
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
        self._source, self._tables, self._seed = source, tables, seed
        self._sigmas = tuple((SMOOTHING_MM / spacing[::-1]).tolist())
        self._voxel_cm3 = float(np.prod(spacing / 10))

    def batch(self, number: int, candidates: int) -> np.ndarray:
        """Return the doses of an independent batch in Gy of the whole course.

        The same for the same seed, number and candidates, whatever the processors.

        Args:
            candidates: photons that are drawn in the fields' boxes (see source.PlanSource).

        Returns:
            (volumes, k, j, i) float32; 0 outside each volume's body. Of the further volumes, the
            difference to the first is smoothed (:data:`SMOOTHING_MM`) where both have a body.
        """
        chunks = max(1, round(candidates / _CHUNK))
        with ThreadPoolExecutor(processors()) as pool:
            parts = pool.map(
                self._chunk, [number] * chunks, range(chunks), [candidates // chunks] * chunks
            )
            total = np.zeros((len(self._media), *self._volumes[0].density.shape))
            for part in parts:
                total += part
        scale = GRAY_PER_MEV_PER_GRAM * self._source.output
        scale /= chunks * (candidates // chunks) * self._voxel_cm3
        doses = np.empty(total.shape, dtype=np.float32)
        for dose, energy, volume in zip(doses, total, self._volumes, strict=True):
            dose[:] = np.where(volume.inside, scale * energy / volume.density, 0)
        for dose, volume in zip(doses[1:], self._volumes[1:], strict=True):
            both = volume.inside & self._volumes[0].inside
            dose += smoothed(dose - doses[0], both, self._sigmas) - (dose - doses[0])
        return doses

    def _chunk(self, batch: int, chunk: int, candidates: int) -> np.ndarray:
        from .transport import follow

        part = batch * 100_000 + chunk
        energies, positions, directions = self._source.drawn(self._seed, part, candidates)
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


def smoothed(
    values: np.ndarray, where: np.ndarray, sigmas: tuple[float, float, float]
) -> np.ndarray:
    """Return values (k, j, i) smoothed by a Gaussian among the voxels of ``where`` alone.

    Args:
        sigmas: standard deviations along k, j, i, in voxels.
    """
    weights = ndimage.gaussian_filter(where.astype(np.float32), sigmas)
    sums = ndimage.gaussian_filter(np.where(where, values, 0).astype(np.float32), sigmas)
    return np.where(where, sums / np.maximum(weights, 1e-6), values)


def require_ct_around_fields(
    source: PlanSource, body: sitk.Image, progress: Progress = SILENT
) -> None:
    """Refuse a CT that ends inside a field; warn where a field only grazes its end.

    Args:
        body: mask of the body on the CT's own grid.

    Raises:
        SyntheticCTError: photons come in through the first or the last slice of the body, or more
            than a few percent go out through it or pass beyond it, where the body goes on.
    """
    positions, directions = source.rays(0, 0, 50_000)
    size = body.GetSize()
    axes = np.array(body.GetDirection()).reshape(3, 3)
    origin = np.array(body.GetOrigin())
    inside = sitk.GetArrayViewFromImage(body) != 0
    start = (positions - origin) @ axes / np.array(body.GetSpacing())  # continuous indices
    along = directions @ axes / np.array(body.GetSpacing())
    shares = {True: 0.0, False: 0.0}
    crossed = np.zeros(len(positions), dtype=bool)
    for k, plane, outward in ((-0.5, inside[0], -1), (size[2] - 0.5, inside[-1], 1)):
        with np.errstate(divide="ignore", invalid="ignore"):
            t = (k - start[:, 2]) / along[:, 2]
            i, j = (start + t[:, np.newaxis] * along)[:, :2].T
            there = np.isfinite(t) & (t > 0) & (i > -0.5) & (j > -0.5)
            there &= (i < size[0] - 0.5) & (j < size[1] - 0.5)
        i, j = np.rint(i[there]).astype(int), np.rint(j[there]).astype(int)
        crossed[there] |= plane[j, i] != 0
        comes_in = along[there, 2] * outward < 0
        for way in shares:
            shares[way] += float(plane[j, i][comes_in == way].sum()) / len(positions)
    middle = body.TransformContinuousIndexToPhysicalPoint([(n - 1) / 2 for n in size])
    nearest = ((np.array(middle) - positions) * directions).sum(axis=1)
    beyond = np.zeros(len(positions), dtype=bool)
    for step in _ALONG_MM:
        i, j, k = np.rint(start + (nearest + step)[:, np.newaxis] * along).astype(int).T
        there = ((k < 0) | (k >= size[2])) & (i >= 0) & (j >= 0) & (i < size[0]) & (j < size[1])
        ends = np.where(k[there] < 0, 0, -1)
        beyond[there] |= inside[ends, j[there], i[there]]
    shares[False] += float((beyond & ~crossed).mean())
    if shares[True] > _COMING_IN or shares[False] > _CUT_OFF:
        raise SyntheticCTError(
            "The CT ends inside a field of the plan, so that tissue which the beam passes is "
            "missing: give a CT that reaches beyond the fields."
        )
    if shares[False] > _COMING_IN:
        progress.warn(
            f"{max(100 * shares[False], 0.1):.1f} % of the plan's photons leave the CT through its "
            "first or last slice inside the body, or pass beyond it: near there, scatter of the "
            "tissue beyond is missing."
        )
