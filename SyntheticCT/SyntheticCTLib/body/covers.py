"""What lies thinly on a patient: covers of mattresses and pads, clothes, blankets."""

from __future__ import annotations

import numpy as np
import scipy

from .morphology import Blocks

SOFT_HU = -200
"""Fat lies above; covers, foam and clothing, and voxels that skin fills in part, lie below."""
EDGE_MM = 2.5  # width of a skin edge that the reconstruction blurs
EDGE_DROP_HU = 250  # by which CT numbers fall across it; a cover stays level
SHEET_MM = 7.0  # what is thinner and a few millimetres off the skin is a sheet
SHEET_WIDTH_MM = 50.0  # ears, fingers and folds of skin are narrower


def without_covers(tissue: np.ndarray, values: np.ndarray, blocks: Blocks) -> np.ndarray:
    """Return ``tissue`` (k, j, i) of a CT-like image without covers.

    A cover less dense than fat is told by its CT numbers, where it touches the skin too: beyond
    the last voxels as dense as fat, only those count across which the numbers fall to those of
    air. A denser one is told by its shape: a thin wide sheet with a gap behind it.
    """
    column_mm = min(s / f for s, f in zip(blocks.spacing[1:], blocks.factor[1:], strict=True))
    reach = max(1, round(EDGE_MM / column_mm))
    dense = tissue & (values > SOFT_HU)
    near = _in_window(np.maximum, dense, 2 * reach + 1)
    lowest = _in_window(np.minimum, values, 2 * reach + 1)
    # Between two sides of a cleft the numbers need not fall.
    cleft = _in_window(np.minimum, near, 2 * reach + 1)
    edge = tissue & (cleft | (near & (lowest <= values - EDGE_DROP_HU)))
    return _without_sheets(dense | edge, column_mm)


def _without_sheets(tissue: np.ndarray, column_mm: float) -> np.ndarray:
    window = max(3, round(SHEET_MM / column_mm))
    thick = _in_window(np.maximum, _in_window(np.minimum, tissue, window), window)
    rest = tissue & ~_in_window(np.maximum, thick, 2 * max(1, round(EDGE_MM / column_mm)) + 1)
    labels, _ = scipy.ndimage.label(rest)
    sheets = np.zeros(labels.max() + 1, dtype=bool)
    for number, box in enumerate(scipy.ndimage.find_objects(labels), start=1):
        sheets[number] = (box[2].stop - box[2].start) * column_mm >= SHEET_WIDTH_MM
    return tissue & ~sheets[labels]


def _in_window(extreme: np.ufunc, values: np.ndarray, size: int) -> np.ndarray:
    """Highest or lowest value in an in-plane square of ``size`` voxels; odd sizes are centred."""
    as_bool = values.dtype == bool
    result = values.view(np.uint8) if as_bool else values
    run = (
        scipy.ndimage.maximum_filter1d if extreme is np.maximum else scipy.ndimage.minimum_filter1d
    )
    # An even window is moved by one voxel, back and forth in an opening.
    origin = -1 if size % 2 == 0 and extreme is np.maximum else 0
    for axis in (1, 2):
        result = run(result, size, axis=axis, mode="nearest", origin=origin)
    return result.view(bool) if as_bool else result
