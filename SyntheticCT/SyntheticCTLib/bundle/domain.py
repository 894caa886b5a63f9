"""Whether an MR lies inside the domain that a model was trained for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import SimpleITK as sitk

from SyntheticCTLib.normalization.nyul import SCALE_RANGE
from SyntheticCTLib.volumes.marks import PHANTOM_KEY

from .folder import Domain

BINS = 64
LARGEST_TILT_DEG = 30.0
"""Slices of an oblique axial series are tilted by less, of sagittal and coronal ones by 90."""
TOLERANCE = 1.5
"""A scan is inside up to this multiple of the training scans' largest distance."""


def normalized_histogram(values: np.ndarray) -> np.ndarray:
    """Return the histogram (fractions) of normalized foreground ``values`` (any shape)."""
    edges = histogram_edges()
    counts = np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0]
    return counts / max(counts.sum(), 1)


def histogram_edges() -> np.ndarray:
    """Return the bin edges, on the standard scale with a margin on both sides."""
    low, high = SCALE_RANGE
    return np.linspace(low - 0.1 * (high - low), high + 0.4 * (high - low), BINS + 1)


def distance(first: np.ndarray, second: np.ndarray) -> float:
    """Return half the sum of absolute differences of two histograms: 0 alike, 1 disjoint."""
    return float(np.abs(first - second).sum() / 2)


def describe_domain(
    text: str, phantom: bool, histograms: Sequence[np.ndarray], fovs_mm: Sequence[float]
) -> Domain:
    """Return the domain of a model trained on scans with these histograms and fields of view."""
    mean = np.mean(histograms, axis=0)
    return Domain(
        text=text,
        phantom=phantom,
        mean_histogram=tuple(round(float(v), 6) for v in mean),
        histogram_edges=tuple(float(v) for v in histogram_edges()),
        largest_distance=max(distance(row, mean) for row in histograms),
        smallest_fov_mm=float(min(fovs_mm)),
    )


def smallest_fov_mm(mr: sitk.Image) -> float:
    """Return the smaller in-plane extent of ``mr`` in mm (axes sorted to run axially)."""
    axial = sitk.DICOMOrient(mr, "LPS")
    return min(
        n * spacing for n, spacing in zip(axial.GetSize()[:2], axial.GetSpacing()[:2], strict=True)
    )


def tilt_deg(image: sitk.Image) -> float:
    """Return the angle between the slices of ``image`` and axial ones, 0 to 90 degrees."""
    return float(np.degrees(np.arccos(min(abs(image.GetDirection()[8]), 1.0))))


def outside_domain(mr: sitk.Image, histogram: np.ndarray, domain: Domain) -> list[str]:
    """Return one sentence for each reason why ``mr`` lies outside ``domain``.

    Args:
        mr: the MR as it was read.
        histogram: :func:`normalized_histogram` of its foreground after Nyul.
        domain: of the model.
    """
    reasons = []
    if domain.phantom and not mr.HasMetaDataKey(PHANTOM_KEY):
        reasons.append(
            "This model was trained on the digital phantom only, and this MR is not one of its "
            "images: the synthetic CT shows how the program works and means nothing clinically."
        )
    if tilt_deg(mr) > LARGEST_TILT_DEG:
        reasons.append(
            f"The slices of this MR are tilted by {tilt_deg(mr):.0f} degrees against axial ones, "
            "which the network reads: between thick slices it is made of blurred tissue."
        )
    found = distance(histogram, np.asarray(domain.mean_histogram))
    # Very alike training scans would make any new scan an outlier; 0.1 is the least allowance.
    allowed = max(TOLERANCE * domain.largest_distance, 0.1)
    if found > allowed:
        reasons.append(
            f"The intensities of this MR after normalization differ from the training scans "
            f"(histogram distance {found:.2f}, allowed {allowed:.2f}): check that the sequence "
            "is the one the model was trained for."
        )
    fov = smallest_fov_mm(mr)
    if fov < 0.9 * domain.smallest_fov_mm:
        reasons.append(
            f"The field of view of this MR ({fov:.0f} mm) is smaller than in training "
            f"({domain.smallest_fov_mm:.0f} mm): tissue outside it is missing in the synthetic "
            "CT, so dose computed on it is wrong."
        )
    return reasons
