"""The dose of a treatment plan on any CT-like volume, by the pencil beam."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import SimpleITK as sitk
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import SILENT, Progress
from SyntheticCTLib.volumes.grids import image_like
from SyntheticCTLib.volumes.resampling import resample

from SyntheticCTEvalLib.dose.electron_density import ELECTRON_DENSITY, density_inside
from SyntheticCTEvalLib.dose.pencil_beam import field_dose, gray_per_mu, pencil_beam_engine
from SyntheticCTEvalLib.dose.plan import SOURCE_AXIS_MM, SOURCE_BLUR_MM
from SyntheticCTEvalLib.dose.recalculation import (
    inside_body,
    told_densities,
    told_engine,
    working_grid,
)
from SyntheticCTEvalLib.plan.beams import Beam, ControlPoint, TreatmentPlan
from SyntheticCTEvalLib.plan.geometry import beam_axes

from .apertures import fluence_of
from .segments import GANTRY_STEP_DEG, Segment, segments_of

_TOGETHER_DEG = 2.0
_BLUR_REACH_MM = 4 * SOURCE_BLUR_MM + 2


def recalculate_plan(
    ct: sitk.Image,
    plan: TreatmentPlan,
    body: sitk.Image,
    grid: sitk.Image,
    progress: Progress = SILENT,
    gantry_step_deg: float = GANTRY_STEP_DEG,
    curve: Sequence[tuple[float, float]] = ELECTRON_DENSITY,
) -> sitk.Image:
    """Return the dose of the whole course in Gy (float32) on exactly the grid of ``grid``.

    As :func:`SyntheticCTEvalLib.dose.recalculation.recalculate_dose`, with its calibration (100 MU
    give 1 Gy in water at 10 cm depth, field 10 x 10 cm, 90 cm from the source to the surface), for
    every part of a plan between its control points.

    Args:
        ct: CT numbers in HU on any grid, flipped and oblique ones included.
        body: mask of the body in ``ct``, on any grid; outside is air and gets no dose (a couch as
            in :func:`~SyntheticCTEvalLib.dose.recalculation.recalculate_dose`).
        grid: image whose grid the dose takes.
        gantry_step_deg: a turning gantry is followed in steps of at most this.
        curve: CT number to density relative to water.

    Raises:
        SyntheticCTError: the body is empty, or the beams miss it.
    """
    groups = _groups(plan, gantry_step_deg)
    angles = {key: _by_gantry(segments) for key, segments in groups.items()}
    done, count = 0, sum(map(len, angles.values()))
    total = np.zeros(grid.GetSize()[::-1], dtype=np.float32)
    for (isocentre, source_axis, couch), directions in angles.items():
        axes = table_axes(couch, plan.patient_position)
        reach = max(segment.reach_mm() for _, segment in groups[isocentre, source_axis, couch])
        far = reach + _BLUR_REACH_MM
        field = _Field(ct, body, grid, isocentre, source_axis, axes, far, curve)
        dose = np.zeros(field.density.shape, dtype=np.float32)
        for gantry, segments in directions.items():
            dose += field.dose(gantry, segments)
            done += 1
            progress.report("dose", done / count, gantry=gantry)
        # A copy: a view would outlive its image.
        total += sitk.GetArrayFromImage(resample(image_like(dose, field.grid), grid, fill=0))
    return inside_body(total, body, grid)


def angles_of(plan: TreatmentPlan) -> int:
    """Number of angles that a plan is calculated from, each as costly as a static field."""
    return sum(len(_by_gantry(segments)) for segments in _groups(plan, GANTRY_STEP_DEG).values())


def _groups(
    plan: TreatmentPlan, gantry_step_deg: float
) -> dict[tuple, list[tuple[float, Segment]]]:
    """MU of the course and parts that are open, by isocentre, source's distance and couch angle."""
    groups: dict[tuple, list[tuple[float, Segment]]] = {}
    for beam in plan.beams:
        for segment in segments_of(beam, gantry_step_deg):
            if segment.is_closed:
                continue
            units = beam.meterset_mu * beam.fractions * segment.share
            key = (beam.isocentre_mm, beam.source_axis_mm, segment.couch_deg)
            groups.setdefault(key, []).append((units, segment))
    if not groups:
        raise SyntheticCTError("The plan gives no dose: every field is closed.")
    return groups


def _by_gantry(
    segments: list[tuple[float, Segment]],
) -> dict[float, list[tuple[float, Segment]]]:
    """Parts by the angle that they are calculated from.

    Static ones keep theirs; those of arcs within 2 degrees of each other are calculated together,
    from their mean angle.
    """
    found: dict[tuple, list[tuple[float, Segment]]] = {}
    for units, segment in segments:
        gantry = segment.gantry_deg % 360
        key = (True, int(gantry / _TOGETHER_DEG)) if segment.turns else (False, gantry)
        found.setdefault(key, []).append((units, segment))
    result: dict[float, list[tuple[float, Segment]]] = {}
    for parts in found.values():
        weights = [units for units, _ in parts]
        mean = float(
            np.average([segment.gantry_deg % 360 for _, segment in parts], weights=weights)
        )
        result.setdefault(round(mean, 4), []).extend(parts)
    return result


def table_axes(couch_deg: float = 0.0, patient_position: str = "HFS") -> np.ndarray:
    """Axes (3, 3; columns i, j, k in LPS) in which the gantry turns about k and shines along j at 0
    degrees, for a couch angle."""
    level = ControlPoint(0, 0.0, couch_deg=couch_deg)
    axes = beam_axes(Beam(0, "", (0.0, 0.0, 0.0), (), 1.0), level, patient_position)
    exact = np.stack([axes.xb, -axes.zb, axes.yb], axis=1)
    return np.round(exact, 12) + 0.0  # so that right angles share the dose grid's voxels


def delivery_notes(plan: TreatmentPlan) -> list[str]:
    """What the pencil beam does not follow in a plan, for the reader of its dose."""
    notes = []
    energies = sorted({beam.energy_mv for beam in plan.beams} - {6.0})
    if energies:
        told = ", ".join(f"{energy:g}" for energy in energies)
        notes.append(
            f"The plan's beams are of {told} MV and are calculated as those of 6 MV: doses are "
            "comparable to each other, but not to the planning system's."
        )
    if not all(beam.flattened for beam in plan.beams):
        notes.append(
            "The plan's beams have no flattening filter (FFF) and are calculated as flat ones: "
            "doses are comparable to each other, but not to the planning system's."
        )
    return notes


def describe_plan(plan: TreatmentPlan, grid: sitk.Image | None = None) -> str:
    """Return one line that defines a dose calculated from ``plan`` (on ``grid``)."""
    beams = "; ".join(
        f"{beam.name}: {beam.meterset_mu:.1f} MU x {beam.fractions}, "
        f"{len(beam.control_points)} control points"
        for beam in plan.beams
    )
    return (
        f"{told_engine(grid)}; plan {plan.label} as it is delivered, every part between two "
        "control points with its share of the meterset, jaws and leaves moving through it and the "
        f"gantry in "
        f"steps of at most {GANTRY_STEP_DEG:g} degrees, parts of arcs within {_TOGETHER_DEG:g} "
        f"degrees together ({beams}); leaves and jaws let nothing "
        "through and have straight ends; 100 MU give 1 Gy in water at 10 cm depth, 10 x 10 cm, "
        f"SSD 90 cm; {told_densities()}"
    )


class _Field:
    """The engine on a patient's densities in the axes of one couch angle."""

    def __init__(
        self,
        ct: sitk.Image,
        body: sitk.Image,
        grid: sitk.Image,
        isocentre_mm: tuple[float, float, float],
        source_axis_mm: float,
        axes: np.ndarray,
        reach_mm: float,
        curve: Sequence[tuple[float, float]],
    ) -> None:
        import torch

        self.grid = working_grid(
            body,
            grid,
            isocentre_mm,
            (-reach_mm, reach_mm),
            axes=axes,
            source_axis_mm=source_axis_mm,
        )
        self.density = torch.from_numpy(density_inside(ct, body, self.grid, curve))
        self._pixels = 2 * math.ceil(reach_mm)
        spacing = self.grid.GetSpacing()[0]
        from_first = (np.array(isocentre_mm) - np.array(self.grid.GetOrigin())) @ axes
        self._isocentre = tuple(from_first[::-1].tolist())  # z, y, x
        self._source_axis = source_axis_mm
        self._engine = pencil_beam_engine(spacing, tuple(self.density.shape))
        # A unit of fluence at the isocentre is that of a source 1000 mm away.
        self._scale = gray_per_mu(spacing) * (SOURCE_AXIS_MM / source_axis_mm) ** 2

    def dose(self, gantry_deg: float, segments: list[tuple[float, Segment]]) -> np.ndarray:
        """Dose in Gy, (k, j, i) on the grid, of parts from one angle and their MU."""
        fluence = sum(
            np.float32(units) * fluence_of(segment, self._pixels) for units, segment in segments
        )
        return self._scale * field_dose(
            self._engine, self.density, gantry_deg, fluence, self._isocentre, self._source_axis
        )
