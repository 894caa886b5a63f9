"""The dose of one field on electron densities, by pydosert's pencil beam.

Every pencil has its own radiological depth, and kernels follow from the beam quality (Nyholm et
al., Radiother Oncol 78:347, 2006). pydosert's machine presets are for 10 MV; what they add to the
fluence (off-axis profile, head scatter, output factors, leakage) is left out: fields are flat,
with a blurred edge and no leakage.
"""

from __future__ import annotations

import contextlib
import functools
import math
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from .plan import FLUENCE_PIXELS, SOURCE_AXIS_MM, blurred

if TYPE_CHECKING:
    from pydosert.engine.pencil_depth_engine import PencilDepthEngine

TPR_20_10 = 0.675
"""Beam quality of a 6 MV beam; in water, 10 x 10 cm, SSD 100 cm: PDD(10 cm) is 67 %."""

KERNEL_RADIUS_MM = 100.0


def pencil_beam_engine(spacing_mm: float, shape: tuple[int, int, int]) -> PencilDepthEngine:
    """Return pydosert's engine for densities of ``shape`` (z, y, x) with cubic voxels."""
    from pydosert.data import MachineConfig
    from pydosert.engine.pencil_depth_engine import PencilDepthEngine

    machine = MachineConfig(
        preset=None,
        tpr_20_10=TPR_20_10,
        number_of_leaf_pairs=1,
        mean_photon_energy_MeV=1.0,
        electron_contamination=None,
    )
    return PencilDepthEngine(
        machine,
        kernel_size=2 * round(KERNEL_RADIUS_MM / spacing_mm) + 1,
        dose_grid_spacing=(spacing_mm,) * 3,
        dose_grid_shape=shape,
        device="cpu",
    )


def field_dose(
    engine: PencilDepthEngine,
    density,  # torch.Tensor (z, y, x)
    gantry_deg: float,
    fluence: np.ndarray,
    isocentre_mm: tuple[float, float, float],
    source_axis_mm: float = SOURCE_AXIS_MM,
) -> np.ndarray:
    """Dose (z, y, x) of one field in the engine's own unit.

    Args:
        fluence: (rows, columns) at the isocentre's plane, pixels of 1 mm, even in number.
        isocentre_mm: z, y, x from the first voxel's centre.
    """
    import torch
    from pydosert.data import BeamSequence

    beam = BeamSequence(
        mus=torch.ones(1),
        leaf_positions=torch.zeros(1, 1, 2),  # not used: the fluence is given
        jaw_positions=torch.zeros(1, 2),
        field_size=fluence.shape,
        iso_center=isocentre_mm,
        sid=source_axis_mm,
        gantry_angles=torch.deg2rad(torch.tensor([float(gantry_deg)])),
        collimator_angles=torch.zeros(1),
    )
    with warnings.catch_warnings(), torch.no_grad(), _one_thread():
        warnings.filterwarnings("ignore", message="In CPU autocast")
        dose = engine.compute_dose(
            beam, density_image=density, fluence_maps=torch.from_numpy(fluence[np.newaxis])
        )
    return dose[0].numpy()


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """One thread: the last bits of a dose then do not depend on the machine's cores, and the
    many small transforms do not wait for each other."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@functools.cache
def gray_per_mu(spacing_mm: float) -> float:
    """Gy a MU for one unit of the engine's dose, whose kernel is normalised voxel by voxel.

    100 MU give 1 Gy in water at 10 cm depth, field 10 x 10 cm, SSD 90 cm.
    """
    import torch

    depth = 100.0
    half = math.ceil((50 + KERNEL_RADIUS_MM) / spacing_mm)
    water = torch.ones(2 * half + 1, math.ceil(depth / spacing_mm) + 2, 2 * half + 1)
    # The surface lies half a voxel in front of the first plane's centres.
    isocentre = (half * spacing_mm, depth - spacing_mm / 2, half * spacing_mm)
    opening = np.zeros((FLUENCE_PIXELS, FLUENCE_PIXELS))
    middle = slice(FLUENCE_PIXELS // 2 - 50, FLUENCE_PIXELS // 2 + 50)
    opening[middle, middle] = 1
    engine = pencil_beam_engine(spacing_mm, tuple(water.shape))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*lie further than")  # water to every edge
        dose = field_dose(engine, water, 0.0, blurred(opening), isocentre)
    depths = (np.arange(water.shape[1]) + 0.5) * spacing_mm
    return 0.01 / float(np.interp(depth, depths, dose[half, :, half]))
