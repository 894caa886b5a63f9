"""The doses of a plan on the true CT and on candidates, by Monte Carlo, and what is not sure."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import SILENT, Progress
from SyntheticCTLib.volumes.grids import grid_of, image_like

from SyntheticCTEvalLib.delivery.dose import recalculate_plan
from SyntheticCTEvalLib.dose.doses import dose_on_each
from SyntheticCTEvalLib.dose.electron_density import ELECTRON_DENSITY, notes_beyond_curve
from SyntheticCTEvalLib.dose.recalculation import dose_grid
from SyntheticCTEvalLib.plan.beams import TreatmentPlan
from SyntheticCTEvalLib.plan.field_ends import require_ct_around_fields
from SyntheticCTEvalLib.plan.reading import require_frame_of
from SyntheticCTEvalLib.plan.source import EDGE_BLUR_MM

from .batches import NOISE_DEFINITION, Batches, Effort, fingerprint_of, run_batches
from .calculation import Calculation, volume_on
from .smoothing import SMOOTHING_MM, Smoothing
from .spectrum import SPECTRA, require_spectra
from .tables import scattering_tables, water_tables

MATERIALS_TOLD = (
    "against real materials, by ompMC: inside 3 cm of cortical bone 4.3 % above the dose to bone, "
    "behind it 1.1 % too high for 2 cm and within 0.5 % further on; in lung, behind lung and "
    "behind gas within 1 %"
)
"""How far water scaled by density is from real materials (Testing/VALIDATION.md)."""
_PACKAGE = "pyradmc"
_ENGINE = 3
"""Raised where the same inputs would give other doses, so that kept batches are not taken."""


@dataclass(frozen=True, eq=False)
class MonteCarloDoses:
    """Doses in Gy of the whole course, on one grid.

    Attributes:
        reference: on the true CT.
        evaluated: on the candidates, by name.
        reference_uncertainty, evaluated_uncertainty: one standard deviation of the mean, Gy.
        batches: all batches; volume 0 is the true CT, then the candidates in order.
        definition: the line that says where the doses come from.
        notes: what the reader must know.
    """

    reference: sitk.Image
    evaluated: dict[str, sitk.Image]
    reference_uncertainty: sitk.Image
    evaluated_uncertainty: dict[str, sitk.Image]
    batches: Batches
    definition: str
    notes: list[str] = field(default_factory=list)


def montecarlo_doses(
    plan: TreatmentPlan,
    ct: sitk.Image,
    body: sitk.Image,
    candidates: Mapping[str, tuple[sitk.Image, sitk.Image]],
    *,
    spacing_mm: float = 3.0,
    curve: Sequence[tuple[float, float]] = ELECTRON_DENSITY,
    leaf_transmission: float = 0.0,
    effort: Effort | None = None,
    seed: int = 1,
    folder: Path | None = None,
    rate_noise: Callable[[np.ndarray, sitk.Image], float] | None = None,
    progress: Progress = SILENT,
) -> MonteCarloDoses:
    """Calculate the dose of a plan on the true CT and on every candidate, by the same histories.

    Args:
        body: mask of the body in ``ct``; outside is air without dose (a couch as in
            dose.recalculation.recalculate_dose).
        candidates: volume in HU and its own body by name, in the CT's frame, on any grids.
        curve: CT number to density relative to water.
        leaf_transmission: share of the photons that closed leaves let through.
        folder: keeps batches, so that a run that was ended goes on (see batches.run_batches).
        rate_noise: batches of doses and their grid to the noise of the noisiest pass rate (see
            batches.run_batches); None goes by the noise of the dose alone.

    Raises:
        SyntheticCTError: a plan of another frame of reference or energy, fields that miss the
            body, or a CT that ends inside a field.
    """
    effort = effort or Effort()
    require_frame_of(plan, ct, progress)
    require_spectra(plan)
    require_ct_around_fields(plan, body, progress)
    grid = _covering([body, *(own for _, own in candidates.values())], spacing_mm)
    patients = {"the true CT": (ct, body), **candidates}
    volumes = [volume_on(grid, volume, own, curve) for volume, own in patients.values()]
    smoothing = Smoothing(
        _by_pencil_beam(plan, patients, grid, curve, progress),
        [volume.inside for volume in volumes],
        grid.GetSpacing(),
    )
    tables = water_tables(scattering_tables(progress))
    run = Calculation(plan, volumes, grid, tables, seed, leaf_transmission)
    inputs = [part for v in volumes for part in (v.density, v.inside)]
    inputs += [getattr(run.source, name) for name in run.source.__dataclass_fields__]
    inputs.append(smoothing.pencil_beam)
    told = (_ENGINE, importlib.metadata.version(_PACKAGE), grid.GetOrigin(), grid.GetSpacing())
    mark = fingerprint_of(*inputs, *told, EDGE_BLUR_MM, SMOOTHING_MM, seed, effort.candidates)

    def batch(number: int, photons: int) -> np.ndarray:
        raw = run.batch(number, photons)
        if not raw[0].any():
            raise SyntheticCTError(
                "The plan gives no dose: its fields miss the body, so plan and volume do not "
                "belong together or are not registered."
            )
        return smoothing(raw)

    of_rates = rate_noise and (lambda doses: rate_noise(doses, grid))
    batches = run_batches(batch, mark, effort, folder, progress, of_rates)
    reference, *others = (_dose(batches.mean(n), grid) for n in range(len(volumes)))
    own, *further = (_dose(batches.uncertainty(n), grid) for n in range(len(volumes)))
    beyond = notes_beyond_curve(patients, curve)
    return MonteCarloDoses(
        reference=reference,
        evaluated=dict(zip(candidates, others, strict=True)),
        reference_uncertainty=own,
        evaluated_uncertainty=dict(zip(candidates, further, strict=True)),
        batches=batches,
        definition=describe(plan, grid, batches, curve, leaf_transmission, seed),
        notes=_notes(plan, batches, effort, leaf_transmission) + beyond,
    )


def _by_pencil_beam(
    plan: TreatmentPlan,
    patients: Mapping[str, tuple[sitk.Image, sitk.Image]],
    grid: sitk.Image,
    curve: Sequence[tuple[float, float]],
    progress: Progress,
) -> np.ndarray:
    """Doses (volumes, k, j, i) in Gy."""
    doses = dose_on_each(
        patients,
        lambda volume, own: recalculate_plan(volume, plan, own, grid, progress, curve=curve),
        progress,
    )
    return np.stack([sitk.GetArrayFromImage(dose) for dose in doses.values()])


def describe(
    plan: TreatmentPlan,
    grid: sitk.Image,
    batches: Batches,
    curve: Sequence[tuple[float, float]],
    leaf_transmission: float,
    seed: int,
) -> str:
    """Return one line that defines a dose of Monte Carlo."""
    steps = " x ".join(f"{step:g}" for step in grid.GetSpacing())
    table = ", ".join(f"{hu:.0f} HU {density:g}" for hu, density in curve)
    spectra = ", ".join(sorted({SPECTRA[beam.energy_mv].name for beam in plan.beams}))
    return (
        f"Monte Carlo by the physics of pyRadMC {importlib.metadata.version(_PACKAGE)} on a grid "
        f"of {steps} mm; {_told_beams(plan)} of the plan, {plan.total_mu:.0f} MU in all; "
        f"spectrum {spectra} (Ali and Rogers 2012), flat fields whose edges are blurred by a "
        f"Gaussian of {EDGE_BLUR_MM:g} mm at the isocentre; closed leaves let "
        f"{100 * leaf_transmission:g} % through and jaws nothing, and scatter of the head and "
        "contaminating electrons are left out; 100 MU are 1 Gy in water at 10 cm depth, field 10 x "
        "10 cm, 90 cm from the source; the cross-sections are water's at the "
        f"electron density of the CT number ({MATERIALS_TOLD}), linear between {table}; outside "
        "each volume's own body air and no dose; "
        f"{len(batches.doses)} batches, {batches.candidates:.3g} photons drawn in the fields, the "
        f"same and with the same random numbers in every volume (seed {seed}); what the dose, and "
        "its difference to the first volume's, have beyond pydosert's pencil beam (by the same "
        "densities) is smoothed by "
        f"a Gaussian of {SMOOTHING_MM:g} mm inside the body, so that what is smaller than that is "
        "the pencil beam's; noise "
        f"{batches.noise_percent:.2f} %: {NOISE_DEFINITION}"
    )


def _told_beams(plan: TreatmentPlan) -> str:
    """How many beams there are: one that several fraction groups deliver is one."""
    count = len({beam.number for beam in plan.beams})
    return f"{count} beam{'s' if count > 1 else ''}"


def _notes(
    plan: TreatmentPlan, batches: Batches, effort: Effort, leaf_transmission: float
) -> list[str]:
    notes = []
    if not batches.reached:
        notes.append(
            f"Monte Carlo stopped at a noise of {batches.noise_percent:.2f} %, above the "
            f"{effort.noise_percent:g} % that was asked for: give it more time."
        )
    if leaf_transmission and all(beam.mlc is None for beam in plan.beams):
        notes.append(
            "The plan has no multileaf collimator, so that what closed leaves let through is "
            "without effect."
        )
    if not all(beam.flattened for beam in plan.beams):
        notes.append(
            "The plan has beams without a flattening filter, and all fields are calculated as "
            "flat ones of a harder spectrum: dose far from the axis and at depth is too high."
        )
    return notes


def _covering(bodies: Sequence[sitk.Image], spacing_mm: float) -> sitk.Image:
    """An axis-aligned grid on the voxel centres of the first body's dose grid, around all."""
    own, *others = (dose_grid(body, spacing_mm) for body in bodies)
    first, spacing = np.array(own.GetOrigin()), np.array(own.GetSpacing())
    low, high = np.zeros(3, dtype=int), np.array(own.GetSize())
    for grid in others:
        start = np.floor((np.array(grid.GetOrigin()) - first) / spacing - 1e-6).astype(int)
        low = np.minimum(low, start)
        high = np.maximum(high, start + np.array(grid.GetSize()) + 1)
    size = tuple(int(n) for n in high - low)
    return grid_of(size, tuple(spacing.tolist()), tuple((first + low * spacing).tolist()))


def _dose(values: np.ndarray, grid: sitk.Image) -> sitk.Image:
    image = image_like(values, grid)
    image.SetMetaData("DoseUnits", "GY")
    return image
