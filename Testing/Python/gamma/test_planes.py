"""Gamma of fine planes, which is searched by blocks of cells: the same values as cell by cell."""

from __future__ import annotations

import numpy as np
import pytest
from doses import dose_image, gamma_of
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation
from SyntheticCTEvalLib.gamma import planes
from SyntheticCTEvalLib.gamma.criteria import GammaCriteria

SHAPE = (34, 41)


def plane(seed, rough, shape=SHAPE):
    """Return a dose (j, i) from 10 to 60 Gy: noise, or noise smoothed."""
    values = gaussian_filter(np.random.default_rng(seed).uniform(size=shape), 0 if rough else 3)
    return 10 + 50 * (values - values.min()) / np.ptp(values)


def both(monkeypatch, reference, evaluated, criteria):
    """Return gamma by blocks and cell by cell."""
    monkeypatch.setattr(planes, "_WORTH_COMPILING", 0)
    by_blocks = gamma_of(reference, evaluated, criteria)
    monkeypatch.setattr(planes, "_WORTH_COMPILING", np.inf)
    return by_blocks, gamma_of(reference, evaluated, criteria)


def agree(found, expected):
    # Either search is to 0.0005, and decides at 1.
    assert ((found >= 0) == (expected >= 0)).all()
    assert ((found <= 1) == (expected <= 1)).all()
    assert np.abs(found - expected).max() < 1e-3


@pytest.mark.parametrize("rough", [False, True])
@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("local", [False, True])
def test_blocks_give_what_every_cell_gives(monkeypatch, rough, axis, local):
    spacing = np.insert([0.3, 0.25], axis, 2.0)
    images = [
        dose_image(np.expand_dims(plane(seed, rough), 2 - axis), spacing, (0, 0, 0))
        for seed in (1, 2)
    ]
    for dose_percent, distance_mm, cap in ((3, 2, 2), (20, 1.5, 1), (1, 1.2, 3)):
        criteria = GammaCriteria(
            dose_percent, distance_mm, local=local, cutoffs_percent=(0,), cap=cap
        )
        agree(*both(monkeypatch, *images, criteria))


def test_blocks_give_what_every_cell_gives_off_the_grid_and_beyond_its_end(monkeypatch):
    turned = Rotation.from_euler("z", 25, degrees=True).as_matrix()
    reference = dose_image(plane(3, False, (30, 30))[None], (0.4, 0.4, 1), (0.1, 0.2, 0))
    for off_mm, direction in ((0, np.eye(3)), (0, turned), (0.9, turned)):
        evaluated = dose_image(plane(4, False)[None], (0.25, 0.2, 1), (3, 1, off_mm), direction)
        criteria = GammaCriteria(4, 2, normalization_gy=60, cutoffs_percent=(0,))
        found, expected = both(monkeypatch, reference, evaluated, criteria)
        agree(found, expected)
        assert (found >= 0).any() and (found == -1).any()


def test_equal_planes_give_exactly_zero(monkeypatch):
    monkeypatch.setattr(planes, "_WORTH_COMPILING", 0)
    dose = dose_image(plane(5, True)[None], (0.25, 0.25, 1))
    assert (gamma_of(dose, dose, GammaCriteria(1, 2, cutoffs_percent=(0,))) == 0).all()
    over = dose_image(np.full((1, 40, 40), 50.5), (0.25, 0.25, 1))
    level = dose_image(np.full((1, 40, 40), 50.0), (0.25, 0.25, 1))
    inner = gamma_of(level, over, GammaCriteria(1, 2, cutoffs_percent=(0,)))[0, 9:-9, 9:-9]
    assert (inner == 1).all()


def test_blocks_bound_the_dose():
    nodes = plane(6, True).astype(np.float32)
    rows, shape = planes.blocks_of(nodes, 64)
    assert len(shape) == 7 and tuple(shape[-1, 1:]) == (1, 1)
    for level, (first, down, across) in enumerate(shape):
        size = 2**level
        for n in range(down * across):
            j, i = size * (n // across), size * (n % across)
            part = nodes[j : j + size + 1, i : i + size + 1].astype(float)
            value, x, y, rest, least, most = rows[first + n].astype(float)
            y_away, x_away = np.indices(part.shape) - size / 2
            assert (np.abs(part - value - x * x_away - y * y_away) <= rest).all()
            assert least == part.min() and most == part.max()


def test_planes_are_searched_without_numba(monkeypatch):
    monkeypatch.setattr(planes, "_WORTH_COMPILING", 0)
    monkeypatch.setattr(planes.importlib.util, "find_spec", lambda _name: None)
    monkeypatch.setattr("SyntheticCTEvalLib.gamma.exact.PlaneDoses", None)
    dose = dose_image(plane(7, False)[None], (0.25, 0.25, 1))
    assert (gamma_of(dose, dose, GammaCriteria(1, 2)) <= 0).all()
