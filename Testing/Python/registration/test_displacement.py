"""How far a transform bends, held against a plain implementation."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import SimpleITK as sitk
from SyntheticCTLib.registration.displacement import Displacement, displacement_inside
from SyntheticCTLib.registration.lying import agreement_after, as_they_lie
from SyntheticCTLib.volumes.grids import grid_of, image_like

OBLIQUE = (0.8, 0.6, 0, 0.6, -0.8, 0, 0, 0, -1)  # turned, and two axes that run backwards


def spline(largest_mm: float) -> sitk.BSplineTransform:
    found = sitk.BSplineTransform(3, 3)
    found.SetTransformDomainOrigin((-150.0, -150.0, -150.0))
    found.SetTransformDomainPhysicalDimensions((300.0, 300.0, 300.0))
    found.SetTransformDomainMeshSize((8, 8, 8))
    knots = np.random.default_rng(4).uniform(-1, 1, len(found.GetParameters()))
    found.SetParameters((largest_mm * knots).tolist())
    return found


def plain(mask: sitk.Image, whole: sitk.Transform, rigid: sitk.Transform) -> Displacement:
    """The definitions, point by point: derivatives between the neighbours along each voxel axis."""
    lengths, determinants = [], []
    axes = np.reshape(mask.GetDirection(), (3, 3)) * mask.GetSpacing()
    for index in itertools.product(*map(range, mask.GetSize())):
        if not mask[index]:
            continue
        point = np.array(mask.TransformIndexToPhysicalPoint(index))
        to = np.array(whole.TransformPoint(point.tolist()))
        lengths.append(np.linalg.norm(to - rigid.TransformPoint(point.tolist())))
        slopes = [
            np.subtract(
                whole.TransformPoint((point + axis).tolist()),
                whole.TransformPoint((point - axis).tolist()),
            )
            / 2
            for axis in axes.T
        ]
        determinants.append(np.linalg.det(np.stack(slopes, axis=1) @ np.linalg.inv(axes)))
    folded = np.array(determinants) <= 0
    return Displacement(
        float(np.mean(lengths)),
        float(np.max(lengths)),
        float(np.min(determinants)),
        float(np.max(determinants)),
        100 * float(folded.mean()),
    )


@pytest.mark.parametrize("largest_mm", [6.0, 60.0])
@pytest.mark.parametrize("direction", [OBLIQUE, (1, 0, 0, 0, 1, 0, 0, 0, 1)])
def test_figures_are_those_of_the_plain_formula_at_the_edge_of_the_grid_too(largest_mm, direction):
    grid = grid_of((9, 8, 19), (4.0, 5.0, 3.0), (-20.0, 10.0, 25.0), direction)
    inside = np.random.default_rng(1).random(grid.GetSize()[::-1]) > 0.5
    inside[0] = inside[-1] = True
    mask = image_like(inside.astype(np.uint8), grid)
    rigid = sitk.Euler3DTransform((10.0, 0.0, 5.0), 0.1, -0.05, 0.2, (3.0, -2.0, 4.0))
    whole = sitk.CompositeTransform([rigid, spline(largest_mm)])
    found, expected = displacement_inside(mask, whole, rigid), plain(mask, whole, rigid)
    for name in vars(expected):
        assert getattr(found, name) == pytest.approx(getattr(expected, name), abs=1e-9)
    assert (found.folded_percent > 0) == (largest_mm > 50)


def test_a_rigid_transform_bends_and_folds_nothing():
    mask = grid_of((6, 6, 6), (2.0, 2.0, 2.0), (0, 0, 0)) + 1
    rigid = sitk.Euler3DTransform((0.0, 0.0, 0.0), 0.3, 0.2, -1.0, (30.0, 0.0, 0.0))
    found = displacement_inside(mask, rigid, rigid)
    assert found.mean_mm == found.largest_mm == found.folded_percent == 0
    assert found.least_jacobian == pytest.approx(1) == found.largest_jacobian
    mirrored = sitk.AffineTransform([-1, 0, 0, 0, 1, 0, 0, 0, 1], [0, 0, 0])
    assert displacement_inside(mask, mirrored, rigid).folded_percent == 100
    assert displacement_inside(mask * 0, rigid, rigid) == Displacement()


def block(at: tuple[float, float, float]) -> sitk.Image:
    """A body in air with two organs, its middle at ``at``."""
    grid = grid_of((40, 36, 24), (5.0, 5.0, 5.0), (-97.5, -87.5, -57.5))
    k, j, i = np.indices(grid.GetSize()[::-1])
    x, y, z = (5.0 * n + o - a for n, o, a in zip((i, j, k), grid.GetOrigin(), at, strict=True))
    hu = np.where(np.hypot(x / 70, y / 55) < 1, 20.0, -1000.0)
    hu += 500 * np.exp(-((x + 30) ** 2 + y**2 + (z - 10) ** 2) / 15**2)
    hu -= 120 * np.exp(-((x - 25) ** 2 + (y - 10) ** 2 + (z + 20) ** 2) / 18**2)
    return image_like(hu.astype(np.float32), grid)


def test_how_images_lie_is_told_before_and_after_a_transform():
    still, others = block((0, 0, 0)), {"same": block((0, 0, 0)), "away": block((16, 0, 0))}
    lying = as_they_lie(still, others, metric="mse")
    assert lying["same"].agreement.sure and lying["same"].apart_mm < 1
    assert 12 <= lying["away"].apart_mm <= 20
    shift = sitk.Euler3DTransform((0.0, 0.0, 0.0), 0.0, 0.0, 0.0, (16.0, 0.0, 0.0))
    after = agreement_after(still, others, shift, metric="mse")
    assert after["away"].body_dice > 0.98 > after["same"].body_dice
