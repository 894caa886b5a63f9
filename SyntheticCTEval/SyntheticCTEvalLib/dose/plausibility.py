"""Doses that cannot be, and pairs of doses that cannot be of one plan: refused, or named."""

from __future__ import annotations

import math

import numpy as np
import scipy
import SimpleITK as sitk
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.volumes.resampling import resample

from SyntheticCTEvalLib.plan.prescription import IMPLAUSIBLE_GY

ROUNDING_SHARE = 1e-6
"""Share of the largest dose down to which a negative dose is rounding, and not worth a word."""

NEGATIVE_SHARE = 0.05
"""Share of the largest dose down to which a single voxel may be negative: noise of 1 %, which film
and Monte Carlo have, goes as far as five standard deviations in a million voxels."""

NEGATIVE_MEAN_SHARE = 0.01
"""The same for the mean of 5 x 5 x 5 voxels, in which noise averages out and an offset stays."""

IMPOSSIBLE_GY = 100_000.0
"""Not even beside a source of brachytherapy."""

RATIOS = (0.8, 1.25)
"""Mean dose on a candidate over that on the true CT that CT numbers alone can explain."""

PRESCRIPTION_SHARES = (0.8, 2.0)
"""Largest dose over the prescription; a plan reaches it and does not double it."""

TARGET_SHARE = 0.5
"""Share of the prescription below which the mean dose of a target is no plan for it."""

SAME_SHARE = 1e-4
"""Share of the largest dose within which doses are the same; storing a dose rounds it by less."""

SUM_KEYS = {
    "DoseSummationType": "the DoseSummationType",
    "DoseType": "the DoseType",
    "DosePlans": "the number of plans",
    "DoseFractions": "the number of fractions",
    "DoseFractionGroups": "the fraction groups",
    "DoseFraction": "the fraction",
    "DoseBeams": "the beams",
}
"""Metadata of a dose that say what was summed up, as :mod:`.rtdose` keeps them, in words."""


def require_possible(dose: sitk.Image, what: str) -> None:
    """Refuse a dose in Gy that is clearly negative, or larger than any can be.

    Negative values of at most :data:`NEGATIVE_SHARE` of the largest dose are noise, unless the
    mean around a voxel is below :data:`NEGATIVE_MEAN_SHARE` of it.

    Raises:
        SyntheticCTError: with ``what`` naming the dose.
    """
    values = sitk.GetArrayViewFromImage(dose)
    lowest, highest = float(values.min()), float(values.max())
    if highest > IMPOSSIBLE_GY:
        raise SyntheticCTError(
            f"The {what} reaches {highest:.4g} Gy, which cannot be: its scaling or its unit is "
            "wrong; export it again in Gy."
        )
    negative = lowest < -NEGATIVE_SHARE * highest
    if not negative and lowest < -NEGATIVE_MEAN_SHARE * highest:
        around = scipy.ndimage.uniform_filter(values.astype(np.float32), 5, mode="nearest")
        negative = float(around.min()) < -NEGATIVE_MEAN_SHARE * highest
    if negative:
        raise SyntheticCTError(
            f"The {what} is negative dose, down to {lowest:.3g} Gy, which is more than noise: give "
            "a dose, not a difference of doses, and resample doses with linear interpolation."
        )


def notes_of(dose: sitk.Image, whose: str) -> list[str]:
    """Return what must be said of a dose in Gy on ``whose`` volume: noise below 0, its size."""
    values = sitk.GetArrayViewFromImage(dose)
    lowest, highest = float(values.min()), float(values.max())
    notes = []
    if lowest < -ROUNDING_SHARE * highest:
        count = int(np.count_nonzero(values < 0))
        notes.append(
            f"The dose on {whose} is negative in {count} of {values.size} voxels, down to "
            f"{lowest:.3g} Gy ({100 * -lowest / highest:.2g} % of its largest dose), as noise is; "
            "gamma and differences take it as it is, dose-volume histograms as 0."
        )
    if highest > IMPLAUSIBLE_GY:
        notes.append(
            f"The dose on {whose} reaches {highest:.6g} Gy, which cannot be the dose of a "
            "patient's external beams: check its scaling, and whether it is in cGy; every figure "
            "in Gy depends on it."
        )
    return notes


def notes_of_pair(reference: sitk.Image, dose: sitk.Image, name: str) -> list[str]:
    """Return what must be said of the dose on the candidate ``name`` beside that on the true CT.

    That they are the same, that one is a multiple of the other, or that their RTDOSE headers say
    that they are sums of different things.
    """
    notes = _different_sums(reference, dose, name)
    values = sitk.GetArrayViewFromImage(reference)
    other = sitk.GetArrayFromImage(
        resample(sitk.Cast(dose, sitk.sitkFloat32), reference, fill=math.nan)
    )
    known = np.isfinite(other)
    highest = float(values.max())
    compared = known & (values >= 0.01 * highest)
    if compared.any() and (
        np.abs(other[compared] - values[compared]).max() <= SAME_SHARE * highest
    ):
        notes.append(
            f"The dose on {name} is the same as the dose on the true CT, voxel by voxel: its gamma "
            "is perfect by construction; check which files were given."
        )
    compared = known & (values >= 0.5 * highest)
    if compared.any():
        own, expected = (float(v[compared].mean(dtype=np.float64)) for v in (other, values))
        if not RATIOS[0] <= own / expected <= RATIOS[1]:
            notes.append(
                f"The dose on {name} is out of proportion: its mean is {own:.4g} Gy, "
                f"{own / expected:.3g} times the {expected:.4g} Gy of the dose on the true CT "
                "(where that is at least "
                "half its largest), more than CT numbers can change; check units (Gy, cGy), "
                "numbers of fractions, and that both are of the same plan and lie in one place."
            )
    return notes


def notes_of_prescription(dose: sitk.Image, prescription_gy: float) -> list[str]:
    """Return a note where the dose on the true CT cannot be that of a plan so prescribed."""
    highest = float(sitk.GetArrayViewFromImage(dose).max())
    share = highest / prescription_gy
    if PRESCRIPTION_SHARES[0] <= share <= PRESCRIPTION_SHARES[1]:
        return []
    return [
        f"The largest dose on the true CT is {highest:.4g} Gy, {share:.3g} times the prescription "
        f"of {prescription_gy:g} Gy: check that the dose is of all fractions, and its unit; "
        "percentages and cutoffs refer to the prescription."
    ]


def notes_of_target(
    dose: sitk.Image, whose: str, target: str, mask: sitk.Image, prescription_gy: float
) -> list[str]:
    """Return a note where a target gets next to no dose."""
    placed = sitk.GetArrayFromImage(
        resample(sitk.Cast(dose, sitk.sitkFloat32), mask, fill=math.nan)
    )
    values = placed[sitk.GetArrayViewFromImage(mask) != 0]
    values = values[np.isfinite(values)]
    if not values.size:
        return []  # the dose-volume histograms say that it lies outside
    mean = float(values.mean(dtype=np.float64))
    if mean >= TARGET_SHARE * prescription_gy:
        return []
    return [
        f"The target {target} gets {mean:.2f} Gy in the mean by the dose on {whose}, less than "
        f"half of {prescription_gy:g} Gy: check that dose and structures belong together."
    ]


def _different_sums(reference: sitk.Image, dose: sitk.Image, name: str) -> list[str]:
    different = []
    for key, words in SUM_KEYS.items():
        values = [
            image.GetMetaData(key) if image.HasMetaDataKey(key) else ""
            for image in (dose, reference)
        ]
        if all(values) and values[0] != values[1]:
            different.append(f"{words} {values[0]}, not {values[1]}")
    if not different:
        return []
    return [
        f"The dose on {name} and the dose on the true CT are not sums of the same: the candidate's "
        f"has {'; '.join(different)}. Their comparison says nothing of CT numbers: export both in "
        "the same way."
    ]
