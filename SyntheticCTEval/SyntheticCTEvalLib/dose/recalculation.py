"""The same plan calculated on any CT-like volume, so that doses differ by CT numbers only."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable, Iterator

import numpy as np
import SimpleITK as sitk
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import SILENT, Progress
from SyntheticCTLib.body.labels import patient_on
from SyntheticCTLib.volumes.grids import corners_of, grid_of, image_like
from SyntheticCTLib.volumes.resampling import resample

from .electron_density import ELECTRON_DENSITY, density_inside
from .pencil_beam import (
    KERNEL_RADIUS_MM,
    TPR_20_10,
    field_dose,
    gray_per_mu,
    pencil_beam_engine,
)
from .plan import (
    SEVEN_FIELDS,
    SOURCE_AXIS_MM,
    Plan,
    conformal_fluence,
    mask_points,
)

FIELD_MARGIN_MM = 8.0
SPHERE_RADIUS_MM = 35.0


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
    inside = patient_on(body, grid)
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

    Everything outside ``body`` (clothes, noise) counts as air and receives no dose. Give
    the body of the volume that is calculated, not the true CT's: a candidate with another
    outline attenuates the beam differently, and that belongs to its dose error. Dose further
    than 100 mm from a field's edge is not modelled and is 0.

    Args:
        ct: CT numbers in HU on any grid, flipped and oblique ones included.
        body: mask of the body in ``ct``, on any grid; beams pass what is labelled
            body.labels.COUCH, and it receives no dose.
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
    return inside_body(total, body, grid)


def inside_body(total: np.ndarray, body: sitk.Image, grid: sitk.Image) -> sitk.Image:
    """Return a dose (k, j, i; Gy; changed in place) on ``grid`` as an image, 0 outside the body.

    Raises:
        SyntheticCTError: there is none.
    """
    np.maximum(total, 0, out=total)  # the kernel's transforms round to a little below 0
    total[~patient_on(body, grid)] = 0
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
    angles = ", ".join(f"{angle:.0f}" for angle in plan.gantry_angles_deg)
    return (
        f"{told_engine(grid)}; {len(plan.gantry_angles_deg)} fields at gantry {angles} degrees; "
        f"{plan.description}; {told_densities()}"
    )


def told_engine(grid: sitk.Image | None = None) -> str:
    """Return what calculates a dose (on ``grid``), for its definition line."""
    steps = " x ".join(f"{step:g}" for step in grid.GetSpacing()) if grid is not None else ""
    return (
        f"pydosert {importlib.metadata.version('pydosert')} pencil beam"
        f"{f' on a grid of {steps} mm' if steps else ''}, 6 MV-like "
        f"(TPR20,10 {TPR_20_10}; flat fields without leakage or electron contamination)"
    )


def told_densities() -> str:
    """Return how a dose follows from CT numbers, for its definition line."""
    table = ", ".join(f"{hu:.0f} HU {density:g}" for hu, density in ELECTRON_DENSITY)
    return (
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

    work = working_grid(body, grid, plan.isocentre_mm, _opened_rows(plan.fluence))
    density = torch.from_numpy(density_inside(ct, body, work))
    spacing = work.GetSpacing()[0]
    isocentre = tuple(
        (np.array(plan.isocentre_mm) - np.array(work.GetOrigin()))[::-1].tolist()  # z, y, x
    )
    engine = pencil_beam_engine(spacing, tuple(density.shape))
    scale = gray_per_mu(spacing)
    fields = list(zip(plan.gantry_angles_deg, plan.fluence, strict=True))
    for number, (gantry, fluence) in enumerate(fields, start=1):
        dose = image_like(scale * field_dose(engine, density, gantry, fluence, isocentre), work)
        yield sitk.GetArrayFromImage(resample(dose, grid, fill=0))
        progress.report("dose", number / len(fields), gantry=round(gantry, 1))


def working_grid(
    body: sitk.Image,
    grid: sitk.Image,
    isocentre_mm: tuple[float, float, float],
    rows_mm: tuple[float, float],
    *,
    axes: np.ndarray | None = None,
    source_axis_mm: float = SOURCE_AXIS_MM,
) -> sitk.Image:
    """The engine's grid: cubic voxels, all that the beams pass at any gantry angle.

    It shares the voxel centres of ``grid`` where that is axis-aligned and cubic, so that its
    dose is copied, not interpolated. Across the gantry's axis it holds the cylinder that the body
    sweeps around the isocentre (pydosert loses tissue outside), along it the fields and the
    reach of the kernel.

    Args:
        rows_mm: first and last row of the fields along the gantry's axis, at the isocentre.
        axes: (3, 3) whose columns are the grid's i, j and k in the patient's coordinates (LPS): k
            along the gantry's axis, j from a gantry at 0 degrees to the isocentre; the patient's
            own axes by default, as for a patient on the back, head first.

    Raises:
        SyntheticCTError: the body is empty, or the fields miss it.
    """
    axes = np.eye(3) if axes is None else axes
    spacing = min(grid.GetSpacing())
    isocentre = np.array(isocentre_mm) @ axes
    first, last = _extent(body, axes)
    corner = np.maximum(np.abs(first - isocentre), np.abs(last - isocentre))[:2]
    start, end = _extent(body)
    coarse = grid_of(
        tuple(int(n) for n in np.ceil((end - start) / spacing) + 1),
        (spacing,) * 3,
        tuple(start.tolist()),
    )
    around = (mask_points(resample(body, coarse, fill=0, nearest=True)) @ axes - isocentre)[:, :2]
    radius = float(np.hypot(*around.T).max()) if len(around) else float(np.hypot(*corner))
    radius += 2 * spacing

    widest = (source_axis_mm + radius) / source_axis_mm
    low = isocentre - radius
    high = isocentre + radius
    low[2] = max(first[2], isocentre[2] + rows_mm[0] * widest - KERNEL_RADIUS_MM) - spacing
    high[2] = min(last[2], isocentre[2] + rows_mm[1] * widest + KERNEL_RADIUS_MM) + spacing
    if high[2] <= low[2] + spacing:
        raise SyntheticCTError(
            "The plan gives no dose: its fields miss the body, so plan and volume do not belong "
            "together or are not registered."
        )
    lattice = np.array(grid.GetOrigin()) @ axes
    start = lattice + np.floor((low - lattice) / spacing) * spacing
    size = np.ceil((high - start) / spacing).astype(int) + 1
    origin = axes @ start
    return grid_of(
        tuple(int(n) for n in size),
        (spacing,) * 3,
        tuple(origin.tolist()),
        tuple(axes.ravel().tolist()),
    )


def _opened_rows(fluence: np.ndarray) -> tuple[float, float]:
    """First and last row (mm from the isocentre) that a field of (fields, rows, columns) opens."""
    opened = np.flatnonzero(fluence.max(axis=(0, 2)) > 1e-4) - fluence.shape[1] / 2
    if not len(opened):
        raise SyntheticCTError("The plan gives no dose: every field is closed.")
    return float(opened[0]), float(opened[-1]) + 1


def _extent(body: sitk.Image, axes: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Smallest and largest x, y, z (mm, LPS) of a box around the voxels of ``body``, or along the
    columns of ``axes``."""
    corners = corners_of(body)
    if corners is None:
        raise SyntheticCTError("The body is empty: give a CT in HU that shows a patient.")
    corners = corners if axes is None else corners @ axes
    return corners.min(axis=0), corners.max(axis=0)


def _sphere(grid: sitk.Image, centre: np.ndarray) -> sitk.Image:
    """Mask (uint8) of the default target on ``grid``."""
    everything = image_like(np.ones(grid.GetSize()[::-1], dtype=np.uint8), grid)
    near = np.linalg.norm(mask_points(everything) - centre, axis=1) <= SPHERE_RADIUS_MM
    return image_like(near.reshape(grid.GetSize()[::-1]).astype(np.uint8), grid)
