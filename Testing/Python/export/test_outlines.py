"""Outlines of masks: every pixel inside them again, holes joined, islands apart."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage
from SyntheticCTLib.export.outlines import outlines


def inside(lines, shape) -> np.ndarray:
    """Pixels whose centres a ray to the right leaves an odd number of times."""
    rows, columns = np.indices(shape)
    crossings = np.zeros(shape, int)
    for line in lines:
        for (x0, y0), (x1, y1) in zip(line, np.roll(line, -1, axis=0), strict=True):
            if y0 != y1:
                passed = (rows + 1e-7 > y0) != (rows + 1e-7 > y1)
                crossings += passed & (x0 + (rows - y0) / (y1 - y0) * (x1 - x0) > columns)
    return crossings % 2 == 1


@pytest.mark.parametrize("seed", range(12))
def test_outlines_hold_exactly_the_pixels_of_the_mask(seed):
    rng = np.random.default_rng(seed)
    mask = rng.random((17, 21)) < rng.uniform(0.2, 0.9)
    if seed % 2:
        mask = ndimage.binary_closing(mask)
    lines = outlines(mask)
    assert np.array_equal(inside(lines, mask.shape), mask)
    assert len(lines) == ndimage.label(mask)[1]  # one polygon each, holes joined to them


def test_a_keyhole_is_walked_twice_and_corners_are_all_that_is_kept():
    mask = np.zeros((12, 12), bool)
    mask[1:11, 1:11] = True
    mask[4:7, 4:7] = False
    (line,) = outlines(mask)
    assert len(line) == 8 + 8 + 3  # where the keyhole begins, and its two ends again
    after = np.roll(line, -1, axis=0)
    area = abs(np.sum(line[:, 0] * after[:, 1] - after[:, 0] * line[:, 1])) / 2
    # Half a pixel is cut off at the four corners, of which each hole has four as well.
    assert area == pytest.approx(100 - 0.5 - (9 - 0.5))
    assert outlines(np.zeros((5, 5), bool)) == []
