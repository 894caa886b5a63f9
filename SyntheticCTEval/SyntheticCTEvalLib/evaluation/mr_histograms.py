"""MR histograms before and after Nyul: this scan among the training scans of its model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk
from SyntheticCTLib.bundle.domain import histogram_edges, normalized_histogram
from SyntheticCTLib.bundle.folder import ModelCard
from SyntheticCTLib.normalization.foreground import foreground_mask


def histogram_set(
    mr: sitk.Image,
    bundle: ModelCard,
    normalized: sitk.Image | None = None,
    given: sitk.Image | None = None,
) -> HistogramSet:
    """Return the histograms of the paper's Figure 3: ``mr`` among the model's training scans.

    Args:
        normalized: ``mr`` after Nyul, where it is there already.
        given: mask of its foreground, where it was given.
    """
    foreground = foreground_mask(mr, given)
    values = sitk.GetArrayViewFromImage(mr)[foreground]
    if normalized is None:
        normalized = bundle.nyul.apply(mr, foreground)
    scans = bundle.record.get("raw_histograms", [])
    bins = len(scans[0]["fractions"]) if scans else 64
    own_largest = float(np.percentile(values, 99.5))
    largest = max([own_largest, *(scan["largest"] for scan in scans)])
    edges = np.linspace(0, largest, 2 * bins + 1)
    own = np.histogram(values, edges)[0] / values.size
    return HistogramSet(
        raw_edges=edges.tolist(),
        normalized_edges=histogram_edges().tolist(),
        raw=[*(_rebinned(scan, edges) for scan in scans), own.tolist()],
        normalized=[
            *bundle.record.get("normalized_histograms", []),
            normalized_histogram(sitk.GetArrayViewFromImage(normalized)[foreground]).tolist(),
        ],
    )


def _rebinned(scan: dict[str, Any], edges: np.ndarray) -> list[float]:
    own_edges = np.linspace(0, scan["largest"], len(scan["fractions"]) + 1)
    cumulative = np.concatenate([[0], np.cumsum(scan["fractions"])])
    return np.diff(np.interp(edges, own_edges, cumulative)).tolist()


@dataclass
class HistogramSet:
    """Voxel histograms of MRs before and after Nyul normalization (paper, Figure 3).

    Attributes:
        raw_edges, normalized_edges: bin edges, n + 1 values.
        raw, normalized: one row a scan, n fractions of the foreground voxels each; the last
            row is the scan at hand, the others are the training scans of the model.
    """

    raw_edges: list[float]
    normalized_edges: list[float]
    raw: list[list[float]]
    normalized: list[list[float]]
