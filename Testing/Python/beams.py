"""Water and single fields for tests of recalculated dose."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from SyntheticCTEvalLib.dose.plan import FLUENCE_PIXELS, Plan, blurred
from SyntheticCTLib.volumes.grids import grid_of, image_like

SPACING = 4.0
CENTRE = (10.0, -20.0, 30.0)


def coordinates(image: sitk.Image) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x, y, z of every voxel of an axis-aligned image, relative to CENTRE."""
    k, j, i = np.indices(image.GetSize()[::-1])
    return tuple(
        origin + step * index - centre
        for origin, step, index, centre in zip(
            image.GetOrigin(), image.GetSpacing(), (i, j, k), CENTRE, strict=True
        )
    )


def cubic_grid(half_x: float, half_y: float, half_z: float, spacing: float = SPACING):
    """A grid symmetric about CENTRE, with a voxel there."""
    halves = [round(half / spacing) for half in (half_x, half_y, half_z)]
    origin = tuple(c - spacing * n for c, n in zip(CENTRE, halves, strict=True))
    return grid_of(tuple(2 * n + 1 for n in halves), (spacing,) * 3, origin)


def cylinder(spacing: float = SPACING) -> tuple[sitk.Image, sitk.Image]:
    """Water, 80 mm radius, 112 mm long, around CENTRE, and its body mask."""
    grid = cubic_grid(96, 96, 56, spacing)
    x, y, _ = coordinates(grid)
    body = np.hypot(x, y) <= 80
    hu = np.where(body, 0, -1000).astype(np.int16)
    return image_like(hu, grid), image_like(body.astype(np.uint8), grid)


def open_field(width: int, height: int) -> np.ndarray:
    """Fluence of one rectangular field, mm at the isocentre."""
    opening = np.zeros((FLUENCE_PIXELS, FLUENCE_PIXELS))
    middle = FLUENCE_PIXELS // 2
    opening[
        middle - height // 2 : middle + height // 2, middle - width // 2 : middle + width // 2
    ] = 1
    return blurred(opening)


def single(gantry: float, width: int = 40, height: int = 40, at=CENTRE) -> Plan:
    return Plan(tuple(at), (gantry,), open_field(width, height)[np.newaxis], (100.0,), 1.0)


def array(image: sitk.Image) -> np.ndarray:
    return sitk.GetArrayFromImage(image)


def along(dose: sitk.Image, start, direction, distances) -> np.ndarray:
    """Dose at ``start`` + distance x direction."""
    return np.array(
        [
            dose.EvaluateAtPhysicalPoint((np.asarray(start) + d * np.asarray(direction)).tolist())
            for d in distances
        ]
    )
