"""A treatment plan of fixed fields, and the conformal fields that fit a target."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import SimpleITK as sitk
from scipy import ndimage
from SyntheticCTLib.basics.errors import SyntheticCTError

SOURCE_AXIS_MM = 1000.0
FLUENCE_PIXELS = 400
"""Rows and columns of a fluence map: 400 x 400 mm at the isocentre in pixels of 1 mm."""
LEAF_WIDTH_MM = 5
SOURCE_BLUR_MM = 2.0
"""Standard deviation of the Gaussian that blurs a field's edge (the source's finite size); the
80 % to 20 % penumbra in water at 10 cm depth is then 6 to 7 mm, as on a 6 MV linac."""

SEVEN_FIELDS = tuple(round(360.0 * n / 7, 4) for n in range(7))


@dataclass(frozen=True, eq=False)
class Plan:
    """Fields with fixed monitor units; the same plan is recalculated on every volume.

    Angles follow IEC 61217 for a patient on the back, head first: a gantry at 0 degrees shines
    from anterior, at 90 degrees from the patient's left.

    Attributes:
        isocentre_mm: x, y, z in mm, LPS.
        gantry_angles_deg: one angle a field.
        fluence: (fields, 400, 400) relative fluence at the isocentre plane in pixels of 1 mm,
            centred on the isocentre; rows along +z (superior), columns along the beam's
            lateral axis (see :func:`beams_eye_view`).
        monitor_units: one value a field; 100 MU give 1 Gy in water at 10 cm depth, 90 cm from
            the source to the surface, field 10 x 10 cm.
        prescription_gy: mean dose of the target that the monitor units were set for.
        description: how target and monitor units came about, for the report.
    """

    isocentre_mm: tuple[float, float, float]
    gantry_angles_deg: tuple[float, ...]
    fluence: np.ndarray = field(repr=False)
    monitor_units: tuple[float, ...]
    prescription_gy: float
    description: str = ""

    def __post_init__(self) -> None:
        fields = len(self.gantry_angles_deg)
        if self.fluence.shape != (fields, FLUENCE_PIXELS, FLUENCE_PIXELS) or fields == 0:
            raise ValueError(f"fluence has the shape {self.fluence.shape} for {fields} fields")
        if len(self.monitor_units) != fields:
            raise ValueError(f"{len(self.monitor_units)} monitor units for {fields} fields")


def beams_eye_view(
    points_mm: np.ndarray, isocentre_mm: tuple[float, float, float], gantry_deg: float
) -> np.ndarray:
    """Project points (n, 3; mm, LPS) from the source onto the isocentre plane.

    Returns:
        (n, 2) mm: row (along +z) and column, the latter along x cos(gantry) + y sin(gantry),
        at gantry 0 therefore the patient's left.
    """
    angle = np.deg2rad(gantry_deg)
    x, y, z = (points_mm - np.asarray(isocentre_mm)).T
    beyond_isocentre = y * np.cos(angle) - x * np.sin(angle)
    lateral = x * np.cos(angle) + y * np.sin(angle)
    magnification = SOURCE_AXIS_MM / (SOURCE_AXIS_MM + beyond_isocentre)
    return np.stack([z * magnification, lateral * magnification], axis=1)


def blurred(field_opening: np.ndarray) -> np.ndarray:
    """Fluence of an opening (rows, columns; 0 or 1, pixels of 1 mm) with the source's blur."""
    return ndimage.gaussian_filter(field_opening.astype(np.float32), SOURCE_BLUR_MM)


def conformal_fluence(
    points_mm: np.ndarray,
    isocentre_mm: tuple[float, float, float],
    gantry_angles_deg: tuple[float, ...],
    margin_mm: float,
) -> np.ndarray:
    """Fluence (fields, 400, 400) of fields that fit the target's beam's-eye view.

    The margin is drawn around the projected target, then every leaf of 5 mm opens from the
    first to the last point of that outline which it meets.

    Raises:
        SyntheticCTError: the target does not fit into a field of 40 x 40 cm.
    """
    centre = FLUENCE_PIXELS // 2
    limit = centre - margin_mm - LEAF_WIDTH_MM
    maps = []
    for gantry in gantry_angles_deg:
        projected = beams_eye_view(points_mm, isocentre_mm, gantry)
        if np.abs(projected).max() > limit:
            raise SyntheticCTError(
                f"The target reaches {np.abs(projected).max():.0f} mm from the isocentre, more "
                f"than the {limit:.0f} mm that a field can open: give the right target structure."
            )
        outside = np.ones((FLUENCE_PIXELS, FLUENCE_PIXELS), dtype=bool)
        rows, columns = np.floor(projected + centre).astype(int).T
        outside[rows, columns] = False
        outline = ndimage.distance_transform_edt(outside) <= margin_mm
        leaves = outline.reshape(-1, LEAF_WIDTH_MM, FLUENCE_PIXELS).any(axis=1)
        open_from = np.logical_or.accumulate(leaves, axis=1)
        open_to = np.logical_or.accumulate(leaves[:, ::-1], axis=1)[:, ::-1]
        maps.append(blurred(np.repeat(open_from & open_to, LEAF_WIDTH_MM, axis=0)))
    return np.stack(maps)


def mask_points(mask: sitk.Image) -> np.ndarray:
    """Centres (n, 3; mm, LPS) of the voxels of ``mask`` that are not 0."""
    index = np.argwhere(sitk.GetArrayViewFromImage(mask) != 0)[:, ::-1]
    axes = np.array(mask.GetDirection()).reshape(3, 3) * np.array(mask.GetSpacing())
    return index @ axes.T + np.array(mask.GetOrigin())
