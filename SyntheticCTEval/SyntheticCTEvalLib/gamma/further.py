"""Pass rates by further criteria, from the gamma map of a first one where that settles them.

What a voxel's gamma is by one criterion bounds it by another: at any position the two differ by no
more than the ratios of the dose and the distance criteria. So only voxels between the bounds are
searched again, and only up to a gamma of 1.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import SimpleITK as sitk
from SyntheticCTLib.basics.progress import SILENT, Progress

from .criteria import NOT_EVALUATED, GammaCriteria, GammaPasses, GammaResult
from .edges import mark_undecided
from .engines import (
    LEAST_CAP,
    counts_by_cutoff,
    definition_of,
    left_out,
    pass_rates,
    searched,
    wanted_voxels,
)

_SAFE = 1e-4
"""How far inside a bound gamma must lie to settle a voxel: more than single precision loses."""


def further_passes(
    reference: sitk.Image,
    evaluated: sitk.Image,
    first: GammaResult,
    criteria: GammaCriteria,
    mask: sitk.Image | None = None,
    progress: Progress = SILENT,
) -> GammaPasses:
    """Return what passes by ``criteria`` of two doses that were compared by another criterion.

    The pass rates are those of engines.compute_gamma; pymedphys, whose gamma depends on its
    sampling, searches all voxels anew.

    Args:
        reference, evaluated, mask: as given for ``first``, 3D.
        first: the comparison that was made; its normalisation dose and engine hold here, too.
        progress: is warned of what could not be evaluated.
    """
    criteria = replace(criteria, normalization_gy=first.criteria.normalization_gy, cap=1)
    region = wanted_voxels(reference, criteria, mask)
    asked = counts_by_cutoff(region, reference, criteria)
    gamma = np.full(region.shape, np.float32(NOT_EVALUATED))
    if first.engine == "exact":
        passes, fails = _settled(reference, first, criteria)
        gamma[passes & region], gamma[fails & region] = 0, LEAST_CAP
    still_open = region & (gamma == NOT_EVALUATED)
    note = ""
    if still_open.any():
        found, note = searched(reference, evaluated, still_open, criteria, first.engine, progress)
        gamma[still_open] = found[still_open]
    mark_undecided(gamma, reference, evaluated, criteria.distance_mm)
    region &= gamma != NOT_EVALUATED
    passed = region & (gamma <= 1)
    counts = counts_by_cutoff(region, reference, criteria)
    good = counts_by_cutoff(passed, reference, criteria)
    note += left_out(asked, counts, good, mask is not None, progress)
    return GammaPasses(
        passed=passed,
        evaluated=region,
        pass_rates=pass_rates(good, counts),
        criteria=criteria,
        definition=definition_of(criteria, first.engine, max(counts.values()), mask is not None)
        + note,
    )


def _settled(
    reference: sitk.Image, first: GammaResult, criteria: GammaCriteria
) -> tuple[np.ndarray, np.ndarray]:
    """Return the voxels (k, j, i; bool) that pass by ``criteria`` for sure, and that fail."""
    gamma = sitk.GetArrayViewFromImage(first.gamma)
    tolerance, before = (_dose_tolerance(reference, c) for c in (criteria, first.criteria))
    with np.errstate(divide="ignore", invalid="ignore"):
        in_dose = np.nan_to_num(tolerance / before, posinf=np.inf)
    in_distance = criteria.distance_mm / first.criteria.distance_mm
    smaller, larger = np.minimum(in_dose, in_distance), np.maximum(in_dose, in_distance)
    known = gamma != NOT_EVALUATED
    found = known & (gamma < max(first.criteria.cap, LEAST_CAP))
    return found & (gamma < smaller * (1 - _SAFE)), known & (gamma > larger * (1 + _SAFE))


def _dose_tolerance(reference: sitk.Image, criteria: GammaCriteria) -> np.ndarray:
    """Return the dose criterion in Gy: of each voxel where it is local, else one for all."""
    if criteria.local:
        return criteria.dose_percent / 100 * sitk.GetArrayViewFromImage(reference)
    return np.asarray(criteria.dose_percent / 100 * criteria.normalization_gy)
