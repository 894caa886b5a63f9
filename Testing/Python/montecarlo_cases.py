"""Small fields and volumes for Monte Carlo, and scattering tables that take no time."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import SimpleITK as sitk
from SyntheticCTEvalLib.plan.beams import (
    Beam,
    ControlPoint,
    MultiLeafCollimator,
    TargetLevel,
    TreatmentPlan,
)
from SyntheticCTLib.volumes.grids import grid_of, image_like


def gaussian_scattering(progress=None) -> SimpleNamespace:
    """Small-angle (Gaussian) scattering in the form of the tables: 1 - cos is exponential."""
    rest = 1 - np.linspace(0, 1, 513)[:-1]
    upper = np.append(rest * (1 - np.log(rest)), 0.0)  # integral of the quantile from there to 1
    means = (upper[:-1] - upper[1:]) * 512
    return SimpleNamespace(values=np.broadcast_to(means, (2, 2, 512)).copy(), ix0=0, iy0=0)


def square_field(half_mm=50.0, gantry_deg=0.0, mu=100.0, **beam) -> TreatmentPlan:
    jaws = {"jaws_x_mm": (-half_mm, half_mm), "jaws_y_mm": (-half_mm, half_mm)}
    points = tuple(ControlPoint(weight, gantry_deg, **jaws) for weight in (0.0, 1.0))
    values = {"isocentre_mm": (0.0, 0.0, 0.0)} | beam
    field = Beam(number=1, name="square", control_points=points, meterset_mu=mu, **values)
    return TreatmentPlan((field,), (TargetLevel("target", 2.0),))


def turning_beam(direction="CW") -> Beam:
    """Leaves that move while the gantry turns; collimator and couch are turned."""
    mlc = MultiLeafCollimator("X", (-40.0, -10.0, 0.0, 25.0, 40.0))
    states = ((0.0, 350.0, [-30, 10]), (0.25, 20.0, [0, 20]), (1.0, 60.0, [-10, -10]))
    if direction == "CC":
        states = tuple((w, -g % 360, leaves) for w, g, leaves in states)
    points = tuple(
        ControlPoint(
            weight,
            gantry,
            direction,
            collimator_deg=30.0,
            couch_deg=340.0,
            jaws_x_mm=(-25.0, 60.0),
            jaws_y_mm=(-30.0, 40.0),
            leaves_mm=np.add([leaves] * 4, [[0.0], [5.0], [-5.0], [2.0]]),
        )
        for weight, gantry, leaves in states
    )
    return Beam(1, "arc", (5.0, -10.0, 20.0), points, 200.0, mlc=mlc, fractions=3)


def cylinder(spacing_mm=8.0, hu=0.0, length=30) -> tuple[sitk.Image, sitk.Image]:
    """A CT of a cylinder of 20 cm along z around the origin, and its body."""
    grid = grid_of((32, 32, length), (spacing_mm,) * 3, tuple(
        -(n - 1) / 2 * spacing_mm for n in (32, 32, length)
    ))  # fmt: skip
    at = (np.arange(32) - 15.5) * spacing_mm
    inside = np.hypot(at[:, None], at) < 100
    body = np.broadcast_to(inside, (length, 32, 32)).astype(np.uint8)
    return image_like(np.where(body, hu, -1000).astype(np.int16), grid), image_like(body, grid)
