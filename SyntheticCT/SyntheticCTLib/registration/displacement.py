"""How far a registration bent the image, inside the body."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk


@dataclass(frozen=True)
class Displacement:
    """Figures of the deformable part of a registration over the voxels of a mask.

    Attributes:
        mean_mm, largest_mm: displacement beyond the rigid part, mm.
        least_jacobian, largest_jacobian: of the Jacobian determinant of the whole transform; 1
            keeps volumes, 0 and below folds.
    """

    mean_mm: float = 0.0
    largest_mm: float = 0.0
    least_jacobian: float = 1.0
    largest_jacobian: float = 1.0


def displacement_inside(
    mask: sitk.Image, whole: sitk.Transform, rigid: sitk.Transform
) -> Displacement:
    """Return how far ``whole`` bends beyond ``rigid`` over ``mask`` (not 0).

    Both map points of the fixed image to points of the moving image (mm, LPS); displacements are
    taken at the voxel centres of the mask, Jacobian determinants by differences between them.
    """
    inside = sitk.GetArrayViewFromImage(mask) != 0
    if not inside.any():
        return Displacement()
    vectors, stiff = (
        sitk.TransformToDisplacementField(
            transform,
            sitk.sitkVectorFloat64,
            mask.GetSize(),
            mask.GetOrigin(),
            mask.GetSpacing(),
            mask.GetDirection(),
        )
        for transform in (whole, rigid)
    )
    apart = sitk.GetArrayFromImage(vectors) - sitk.GetArrayFromImage(stiff)
    lengths = np.linalg.norm(apart[inside], axis=-1)
    jacobian = sitk.GetArrayFromImage(sitk.DisplacementFieldJacobianDeterminant(vectors))[inside]
    return Displacement(
        mean_mm=float(lengths.mean()),
        largest_mm=float(lengths.max()),
        least_jacobian=float(jacobian.min()),
        largest_jacobian=float(jacobian.max()),
    )
