"""The same plan calculated on any CT-like volume, so that doses differ by CT numbers only.

The engine is pydosert's pencil beam with its own radiological depth for every pencil and
kernels that follow from the beam quality (Nyholm et al., Radiother Oncol 78:347, 2006). Its
machine presets are for 10 MV; what they add to the fluence (off-axis profile, head scatter,
output factors, leakage) is left out: fields are flat, with a blurred edge and no leakage.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import math
import warnings
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import SimpleITK as sitk
from SyntheticCTLib.errors import SyntheticCTError
from SyntheticCTLib.progress import SILENT, Progress
from SyntheticCTLib.resampling import grid_of, resample, same_grid
from SyntheticCTLib.volumes import image_like

from .plan import (
    FLUENCE_PIXELS,
    SEVEN_FIELDS,
    SOURCE_AXIS_MM,
    Plan,
    blurred,
    conformal_fluence,
    mask_points,
)

if TYPE_CHECKING:
    from pydosert.engine.pencil_depth_engine import PencilDepthEngine

TPR_20_10 = 0.675
"""Beam quality of a 6 MV beam; in water, 10 x 10 cm, SSD 100 cm: PDD(10 cm) is 67 %."""

KERNEL_RADIUS_MM = 100.0
FIELD_MARGIN_MM = 8.0
SPHERE_RADIUS_MM = 35.0

AIR = 0.001
ELECTRON_DENSITY = (
    (-1000.0, AIR),
    (-98.0, 0.933),  # adipose tissue
    (0.0, 1.0),  # water
    (40.0, 1.041),  # skeletal muscle
    (100.0, 1.073),  # marrow and bone
    (1524.0, 1.781),  # cortical bone
    (3071.0, 2.550),  # the line from marrow to cortical bone, continued
)
"""CT number in HU and electron density relative to water. Mass densities and CT numbers of the
tissues are those of Schneider et al., Phys Med Biol 45:459, 2000; electrons per gram follow from
their elemental compositions, 0 HU is water. Linear between, constant outside."""


def electron_density(hu: np.ndarray) -> np.ndarray:
    """Electron density relative to water (float32) of CT numbers in HU."""
    numbers, densities = zip(*ELECTRON_DENSITY, strict=True)
    return np.interp(hu, numbers, densities).astype(np.float32)


def dose_grid(body: sitk.Image, spacing_mm: float = 3.0) -> sitk.Image:
    """Return an axis-aligned grid (LPS) that covers ``body`` with a margin of two voxels.

    Raises:
        SyntheticCTError: the body is empty.
    """
    first, last = _extent(body)
    first = first - 2 * spacing_mm
    size = np.ceil((last + 2 * spacing_mm - first) / spacing_mm).astype(int) + 1
    return grid_of(tuple(int(n) for n in size), (spacing_mm,) * 3, tuple(first.tolist()))


def plan_for_target(
    target: sitk.Image | None,
    ct: sitk.Image,
    body: sitk.Image,
    prescription_gy: float = 45.0,
    *,
    gantry_angles_deg: tuple[float, ...] = SEVEN_FIELDS,
    margin_mm: float = FIELD_MARGIN_MM,
    grid: sitk.Image | None = None,
    progress: Progress = SILENT,
) -> tuple[Plan, sitk.Image]:
    """Return a plan whose target gets ``prescription_gy`` in the mean on ``ct``, and its dose.

    The dose is that of :func:`recalculate_dose` on ``ct``, which making the plan takes anyway.

    Fields are conformal to the target, the isocentre is its centroid, and every field gives
    the same mean dose to the target, so that their depth-dose slopes cancel. The monitor units
    are set here, once, on the true CT; candidates are recalculated with them.

    Args:
        target: mask of the target, any grid; None takes a sphere of 35 mm radius at the
            body's centroid, and ``description`` says so.
        ct: true CT in HU.
        body: mask of the body in ``ct``.
        grid: dose grid; :func:`dose_grid` of the body by default.

    Raises:
        SyntheticCTError: body or target is empty, or the target lies outside the body or does
            not fit into a field.
    """
    grid = grid if grid is not None else dose_grid(body)
    inside = sitk.GetArrayFromImage(resample(body, grid, fill=0, nearest=True)) != 0
    if target is None:
        centre = mask_points(image_like(inside.astype(np.uint8), grid)).mean(axis=0)
        target = _sphere(grid, centre)
        name = f"a sphere of {SPHERE_RADIUS_MM:.0f} mm radius at the centroid of the body"
    else:
        name = "the target structure"
    points = mask_points(target)
    if not len(points):
        raise SyntheticCTError("The target is empty: give a structure that has voxels.")
    scored = (sitk.GetArrayFromImage(resample(target, grid, fill=0, nearest=True)) != 0) & inside
    if not scored.any():
        raise SyntheticCTError(
            "The target lies outside the body, or is smaller than a voxel of the dose grid: "
            "check that target and CT belong together."
        )
    isocentre = tuple(points.mean(axis=0).tolist())
    plan = Plan(
        isocentre_mm=isocentre,
        gantry_angles_deg=tuple(gantry_angles_deg),
        fluence=conformal_fluence(points, isocentre, gantry_angles_deg, margin_mm),
        monitor_units=(1.0,) * len(gantry_angles_deg),
        prescription_gy=prescription_gy,
    )
    doses = list(_field_doses(ct, plan, body, grid, progress))
    means = [float(dose[scored].mean()) for dose in doses]
    if min(means) <= 0:
        raise SyntheticCTError(
            "A field gives no dose to the target: check that target, body and CT belong together."
        )
    share = prescription_gy / len(means)
    plan = Plan(
        isocentre_mm=plan.isocentre_mm,
        gantry_angles_deg=plan.gantry_angles_deg,
        fluence=plan.fluence,
        monitor_units=tuple(share / mean for mean in means),
        prescription_gy=prescription_gy,
        description=(
            f"target is {name}; fields conformal to its beam's-eye view plus {margin_mm:g} mm in "
            f"leaves of 5 mm; every field gives the same mean dose to the target; monitor units "
            f"fixed so that the mean dose of the target on the true CT is {prescription_gy:g} Gy"
        ),
    )
    return plan, _total(doses, plan, body, grid)


def recalculate_dose(
    ct: sitk.Image,
    plan: Plan,
    body: sitk.Image,
    grid: sitk.Image,
    progress: Progress = SILENT,
) -> sitk.Image:
    """Return the dose of ``plan`` on ``ct`` in Gy (float32) on exactly the grid of ``grid``.

    Everything outside ``body`` (couch, clothes, noise) counts as air and receives no dose. Give
    the body of the volume that is calculated, not the true CT's: a candidate with another
    outline attenuates the beam differently, and that belongs to its dose error. Dose further
    than 100 mm from a field's edge is not modelled and is 0.

    Args:
        ct: CT numbers in HU on any grid, flipped and oblique ones included.
        body: mask of the body in ``ct``, on any grid.
        grid: image whose grid the dose takes.

    Raises:
        SyntheticCTError: the body is empty, or the fields miss it.
    """
    return _total(_field_doses(ct, plan, body, grid, progress), plan, body, grid)


def _total(
    doses: Iterable[np.ndarray], plan: Plan, body: sitk.Image, grid: sitk.Image
) -> sitk.Image:
    """The fields' doses of 1 MU, weighted by their monitor units, inside the body."""
    total = np.zeros(grid.GetSize()[::-1], dtype=np.float32)
    for units, dose in zip(plan.monitor_units, doses, strict=True):
        total += np.float32(units) * dose
    total[sitk.GetArrayFromImage(resample(body, grid, fill=0, nearest=True)) == 0] = 0
    if not total.any():
        raise SyntheticCTError(
            "The plan gives no dose: its fields miss the body, so plan and volume do not belong "
            "together or are not registered."
        )
    dose = image_like(total, grid)
    dose.SetMetaData("DoseUnits", "GY")
    return dose


def describe(plan: Plan, grid: sitk.Image | None = None) -> str:
    """Return one line that defines a dose calculated from ``plan`` (on ``grid``)."""
    steps = " x ".join(f"{step:g}" for step in grid.GetSpacing()) if grid is not None else ""
    angles = ", ".join(f"{angle:.0f}" for angle in plan.gantry_angles_deg)
    table = ", ".join(f"{hu:.0f} HU {density:g}" for hu, density in ELECTRON_DENSITY)
    return (
        f"pydosert {importlib.metadata.version('pydosert')} pencil beam"
        f"{f' on a grid of {steps} mm' if steps else ''}, 6 MV-like "
        f"(TPR20,10 {TPR_20_10}; flat fields without leakage or electron contamination); "
        f"{len(plan.gantry_angles_deg)} fields at gantry {angles} degrees; {plan.description}; "
        "the same monitor units on every volume; CT number to relative electron density linear "
        f"between {table} (tissues of Schneider 2000); outside each volume's own body air and no "
        "dose; dose to water scaled by density along each beam, without the materials themselves "
        "and without lateral electron transport at gas and bone: within about 1 % of Monte Carlo "
        "in soft tissue, up to 3.5 % off inside bone"
    )


def _field_doses(
    ct: sitk.Image, plan: Plan, body: sitk.Image, grid: sitk.Image, progress: Progress
) -> Iterator[np.ndarray]:
    """Dose of 1 MU of each field in Gy, an array (k, j, i) on ``grid``."""
    import torch

    work = _working_grid(body, grid, plan)
    density = torch.from_numpy(_density(ct, body, work))
    spacing = work.GetSpacing()[0]
    isocentre = tuple(
        (np.array(plan.isocentre_mm) - np.array(work.GetOrigin()))[::-1].tolist()  # z, y, x
    )
    engine = _engine(spacing, tuple(density.shape))
    scale = _gray_per_mu(spacing)
    fields = list(zip(plan.gantry_angles_deg, plan.fluence, strict=True))
    for number, (gantry, fluence) in enumerate(fields, start=1):
        dose = image_like(scale * _engine_dose(engine, density, gantry, fluence, isocentre), work)
        yield sitk.GetArrayFromImage(resample(dose, grid, fill=0))
        progress.report("dose", number / len(fields), gantry=round(gantry, 1))


def _engine(spacing_mm: float, shape: tuple[int, int, int]) -> PencilDepthEngine:
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


def _engine_dose(
    engine: PencilDepthEngine,
    density,  # torch.Tensor (z, y, x)
    gantry_deg: float,
    fluence: np.ndarray,
    isocentre_mm: tuple[float, float, float],
) -> np.ndarray:
    """Dose of one field in the engine's own unit; isocentre z, y, x from the first voxel."""
    import torch
    from pydosert.data import BeamSequence

    beam = BeamSequence(
        mus=torch.ones(1),
        leaf_positions=torch.zeros(1, 1, 2),  # not used: the fluence is given
        jaw_positions=torch.zeros(1, 2),
        field_size=(FLUENCE_PIXELS, FLUENCE_PIXELS),
        iso_center=isocentre_mm,
        sid=SOURCE_AXIS_MM,
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
def _gray_per_mu(spacing_mm: float) -> float:
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
    engine = _engine(spacing_mm, tuple(water.shape))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*lie further than")  # water to every edge
        dose = _engine_dose(engine, water, 0.0, blurred(opening), isocentre)
    depths = (np.arange(water.shape[1]) + 0.5) * spacing_mm
    return 0.01 / float(np.interp(depth, depths, dose[half, :, half]))


def _density(ct: sitk.Image, body: sitk.Image, work: sitk.Image) -> np.ndarray:
    """Relative electron density (float32, k j i) on ``work``, air outside the body.

    Fine voxels are averaged down to the grid's spacing, so that noise and thin walls count with
    their volume and not by where a grid point happens to fall.
    """
    if not same_grid(body, ct):
        body = resample(body, ct, fill=0, nearest=True)
    numbers = sitk.GetArrayViewFromImage(ct)
    inside = sitk.GetArrayViewFromImage(body)
    density = np.full(numbers.shape, AIR, dtype=np.float32)
    for slice_out, slice_hu, slice_in in zip(density, numbers, inside, strict=True):
        slice_out[slice_in != 0] = electron_density(slice_hu[slice_in != 0])
    image = image_like(density, ct)
    factors = [max(1, int(work.GetSpacing()[0] / s + 1e-6)) for s in ct.GetSpacing()]
    if max(factors) > 1:
        upper = [-n % f for n, f in zip(ct.GetSize(), factors, strict=True)]
        image = sitk.BinShrink(sitk.ConstantPad(image, [0, 0, 0], upper, AIR), factors)
    return sitk.GetArrayFromImage(resample(image, work, fill=AIR))


def _working_grid(body: sitk.Image, grid: sitk.Image, plan: Plan) -> sitk.Image:
    """The engine's grid: axis-aligned, cubic voxels, all that the beams pass at any angle.

    It shares the voxel centres of ``grid`` where that is axis-aligned and cubic, so that its
    dose is copied, not interpolated. In the axial plane it holds the cylinder that the body
    sweeps around the isocentre (pydosert loses tissue outside), along z the fields and the
    reach of the kernel.
    """
    spacing = min(grid.GetSpacing())
    isocentre = np.array(plan.isocentre_mm)
    first, last = _extent(body)
    corner = np.maximum(np.abs(first - isocentre), np.abs(last - isocentre))[:2]
    coarse = grid_of(
        tuple(int(n) for n in np.ceil((last - first) / spacing) + 1),
        (spacing,) * 3,
        tuple(first.tolist()),
    )
    around = mask_points(resample(body, coarse, fill=0, nearest=True))[:, :2] - isocentre[:2]
    radius = float(np.hypot(*around.T).max()) if len(around) else float(np.hypot(*corner))
    radius += 2 * spacing

    opened = np.flatnonzero(plan.fluence.max(axis=(0, 2)) > 1e-4) - FLUENCE_PIXELS / 2
    if not len(opened):
        raise SyntheticCTError("The plan gives no dose: every field is closed.")
    widest = (SOURCE_AXIS_MM + radius) / SOURCE_AXIS_MM
    low = isocentre - radius
    high = isocentre + radius
    low[2] = max(first[2], isocentre[2] + opened[0] * widest - KERNEL_RADIUS_MM) - spacing
    high[2] = min(last[2], isocentre[2] + (opened[-1] + 1) * widest + KERNEL_RADIUS_MM) + spacing
    if high[2] <= low[2] + spacing:
        raise SyntheticCTError(
            "The plan gives no dose: its fields miss the body, so plan and volume do not belong "
            "together or are not registered."
        )
    lattice = np.array(grid.GetOrigin())
    start = lattice + np.floor((low - lattice) / spacing) * spacing
    size = np.ceil((high - start) / spacing).astype(int) + 1
    return grid_of(tuple(int(n) for n in size), (spacing,) * 3, tuple(start.tolist()))


def _extent(body: sitk.Image) -> tuple[np.ndarray, np.ndarray]:
    """Smallest and largest x, y, z (mm, LPS) of a box around the voxels of ``body``."""
    labels = sitk.LabelShapeStatisticsImageFilter()
    labels.Execute(sitk.Cast(body != 0, sitk.sitkUInt8))
    if not labels.HasLabel(1):
        raise SyntheticCTError("The body is empty: give a CT in HU that shows a patient.")
    box = labels.GetBoundingBox(1)
    corners = [
        body.TransformContinuousIndexToPhysicalPoint(
            [box[a] - 0.5 + box[a + 3] * (corner >> a & 1) for a in range(3)]
        )
        for corner in range(8)
    ]
    return np.min(corners, axis=0), np.max(corners, axis=0)


def _sphere(grid: sitk.Image, centre: np.ndarray) -> sitk.Image:
    """Mask (uint8) of the default target on ``grid``."""
    everything = image_like(np.ones(grid.GetSize()[::-1], dtype=np.uint8), grid)
    near = np.linalg.norm(mask_points(everything) - centre, axis=1) <= SPHERE_RADIUS_MM
    return image_like(near.reshape(grid.GetSize()[::-1]).astype(np.uint8), grid)
