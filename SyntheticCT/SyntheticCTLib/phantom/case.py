"""One phantom: all images of one patient on one grid."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from SyntheticCTLib.anatomy.canvas import Look
from SyntheticCTLib.anatomy.noise import stream
from SyntheticCTLib.anatomy.pelvis import Anatomy
from SyntheticCTLib.anatomy.shapes import Points
from SyntheticCTLib.basics.progress import SILENT, Progress
from SyntheticCTLib.mrcat.bulk_densities import bulk_from_mdixon
from SyntheticCTLib.volumes.grids import grid_of, image_like
from SyntheticCTLib.volumes.marks import PHANTOM_KEY, label_synthetic

from .ct import add_couch, ct_look, finish_ct
from .deformation import Deformation
from .grid import CLINICAL, PhantomGrid
from .mdixon import dixon_look, finish_mdixon
from .mr import bias_field, finish_mr, t2_look
from .texture import Texture

_BLOCK_VOXELS = 500_000
"""Voxels composed at a time: few enough to stay in the cache, many enough for numpy."""


@dataclass(frozen=True)
class Phantom:
    """Every image of one patient; all on :attr:`mr`'s grid or all on :attr:`ct`'s.

    Attributes:
        mr: T2-weighted MR, int16, no unit.
        in_phase, water, fat: mDixon images on the MR's grid, int16, no unit.
        mrcat: bulk-density synthetic CT made of them, int16 HU.
        labels_mr, structures_mr: uint8; names in ``TISSUE_NAMES`` and ``STRUCTURE_NAMES``.
        ct: planning CT, int16 HU, -1024 outside the round field of view.
        labels_ct, structures_ct: the same on the CT's grid.
        displacement: float32 vectors (mm, LPS) on the CT's grid: p + u(p) is the place in the
            MR of what lies at p in the CT, so that ``sitk.Resample(mr, ct,
            sitk.DisplacementFieldTransform(u))`` lays the MR on the CT (the transform takes
            over a float64 copy of u). Exact but for gas, stool and small mesenteric vessels,
            which change between the scans.
    """

    seed: int
    mr: sitk.Image
    ct: sitk.Image
    in_phase: sitk.Image
    water: sitk.Image
    fat: sitk.Image
    mrcat: sitk.Image
    labels_mr: sitk.Image
    labels_ct: sitk.Image
    structures_mr: sitk.Image
    structures_ct: sitk.Image
    displacement: sitk.Image


def make_phantom(seed: int, grid: PhantomGrid = CLINICAL, progress: Progress = SILENT) -> Phantom:
    """Return the patient of ``seed`` as MR, mDixon and CT see her on ``grid``.

    The same seed gives the same bytes; another grid shows the same patient.
    """
    anatomy = Anatomy(seed)
    progress.report("phantom", 0.05)
    mr, in_phase, water, fat, labels_mr, structures_mr = _scan_mr(anatomy, grid, progress)
    mrcat = label_synthetic(bulk_from_mdixon(in_phase, water, fat))
    progress.report("phantom", 0.5)
    ct, labels_ct, structures_ct, displacement = _scan_ct(anatomy, grid, progress)
    for image in (mr, in_phase, water, fat, mrcat, ct):
        image.SetMetaData(PHANTOM_KEY, str(seed))
    progress.report("phantom", 1.0)
    return Phantom(
        seed=seed,
        mr=mr,
        ct=ct,
        in_phase=in_phase,
        water=water,
        fat=fat,
        mrcat=mrcat,
        labels_mr=labels_mr,
        labels_ct=labels_ct,
        structures_mr=structures_mr,
        structures_ct=structures_ct,
        displacement=displacement,
    )


def _axes(image: sitk.Image) -> list[np.ndarray]:
    return [
        origin + spacing * np.arange(size)
        for origin, spacing, size in zip(
            image.GetOrigin(), image.GetSpacing(), image.GetSize(), strict=True
        )
    ]


def _place(
    size: tuple[int, int, int],
    spacing: tuple[float, float, float],
    low: float,
    centre: np.ndarray,
) -> sitk.Image:
    origin = [
        round(float(c - s * (n - 1) / 2), 2)
        for c, s, n in zip(centre[:2], spacing[:2], size[:2], strict=True)
    ]
    return grid_of(size, spacing, (*origin, round(float(low + centre[2]), 2)))


def _slabs(size: tuple[int, int, int]) -> Iterator[slice]:
    step = max(1, _BLOCK_VOXELS // (size[0] * size[1]))
    for first in range(0, size[2], step):
        yield slice(first, min(first + step, size[2]))


def _edge(spacing: tuple[float, float, float]) -> float:
    """Half the width over which a surface blends: the voxel, the slice and the scanner."""
    return float(0.5 * np.sqrt(spacing[0] ** 2 + (0.25 * spacing[2]) ** 2 + 0.6**2))


def _joined(*looks: Look) -> Look:
    return lambda tissue, p, marrow: [v for look in looks for v in look(tissue, p, marrow)]


def _scan_mr(anatomy: Anatomy, grid: PhantomGrid, progress: Progress) -> list[sitk.Image]:
    rng = stream(anatomy.seed, "mr grid")
    centre = rng.uniform(-1, 1, 3) * (4, 6, 1) + (0, 4, 0)
    image = _place(grid.mr_size, grid.mr_spacing, grid.mr_low, centre)
    x, y, z = _axes(image)
    texture = Texture(anatomy.patient, "mr")
    look = _joined(t2_look(anatomy.patient, texture), dixon_look(anatomy.patient, texture))
    shape = grid.mr_size[::-1]
    channels = [np.zeros(shape, np.float32) for _ in range(3)]
    labels, structures = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    for part in _slabs(image.GetSize()):
        zz, yy, xx = np.meshgrid(*(v.astype(np.float32) for v in (z[part], y, x)), indexing="ij")
        p = Points(xx, yy, zz)
        values, labels[part], structures[part] = anatomy.render(
            p, _edge(grid.mr_spacing), look, 3, "mr"
        )
        for channel, value in zip(channels, values, strict=True):
            channel[part] = value
        progress.report("phantom", 0.05 + 0.4 * part.stop / len(z))
    t2 = finish_mr(channels[0], bias_field(anatomy.seed, "t2", x, y, z, 0.12), anatomy.seed)
    bias = bias_field(anatomy.seed, "t1", x, y, z, 0.10)
    dixon = finish_mdixon(channels[1], channels[2], bias, anatomy.seed)
    return [image_like(array, image) for array in (t2, *dixon, labels, structures)]


def _scan_ct(anatomy: Anatomy, grid: PhantomGrid, progress: Progress) -> list[sitk.Image]:
    rng = stream(anatomy.seed, "ct grid")
    deformation = Deformation(anatomy)
    centre = rng.uniform(-1, 1, 3) * (2.5, 12, 2) - (*deformation.translation[:2], 0)
    image = _place(grid.ct_size, grid.ct_spacing, grid.ct_low, centre)
    x, y, z = _axes(image)
    look = ct_look(anatomy.patient, Texture(anatomy.patient, "ct"))
    shape = grid.ct_size[::-1]
    hu = np.empty(shape, np.float32)
    labels, structures = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    displacement = np.empty((*shape, 3), np.float32)
    edge = _edge(grid.ct_spacing)
    for part in _slabs(image.GetSize()):
        p, displacement[part] = deformation.at(x, y, z[part])
        (hu[part],), labels[part], structures[part] = anatomy.render(p, edge, look, 1, "ct")
        progress.report("phantom", 0.5 + 0.4 * part.stop / len(z))
    rows = np.flatnonzero((labels > 0).any(axis=(0, 2)))
    add_couch(hu, x, y, float(y[rows[-1]]) + 1.5, edge)
    ct = finish_ct(hu, anatomy.seed, x, y, grid.ct_spacing[0])
    vectors = sitk.GetImageFromArray(displacement, isVector=True)
    vectors.CopyInformation(image)
    return [
        image_like(ct, image),
        image_like(labels, image),
        image_like(structures, image),
        vectors,
    ]
