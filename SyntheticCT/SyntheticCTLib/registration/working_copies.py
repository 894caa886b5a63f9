"""Working copies for registration: in the fixed image's frame, coarse, clamped, without couch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.normalization.foreground import foreground_mask
from SyntheticCTLib.volumes.grids import copied, grid_of, image_like
from SyntheticCTLib.volumes.resampling import floored, mask_on, resample

AIR_HU = -400.0
CT_LIKE_BELOW_HU = -300.0
HU_WINDOW = {"mse": (-300.0, 600.0), "mi": (-500.0, 700.0)}
"""CT numbers are clamped, so that neither gas nor metal outweighs the tissues."""
SKIN_MM = 10.0
"""Air around the body that counts, so that the skin is matched too."""


class Frame:
    """The frame in which the program works: the axes of the fixed image, centred in it.

    Rotations and translations are of like size there, and oblique or flipped grids ask nothing
    of the program.
    """

    def __init__(self, fixed: sitk.Image) -> None:
        self.axes = np.reshape(fixed.GetDirection(), (3, 3))
        middle = [(n - 1) / 2 for n in fixed.GetSize()]
        self.centre = np.array(fixed.TransformContinuousIndexToPhysicalPoint(middle))

    def own(self, image: sitk.Image) -> sitk.Image:
        """Return ``image`` with its geometry told in this frame; its voxels are the same."""
        moved = copied(image)
        moved.SetOrigin((self.axes.T @ (np.array(image.GetOrigin()) - self.centre)).tolist())
        direction = self.axes.T @ np.reshape(image.GetDirection(), (3, 3))
        moved.SetDirection(direction.ravel().tolist())
        return moved

    def rigid_to_world(self, rigid: sitk.VersorRigid3DTransform) -> sitk.Euler3DTransform:
        """Return ``rigid``, found in this frame, as a transform of physical points."""
        matrix = np.reshape(rigid.GetMatrix(), (3, 3))
        offset = np.array(rigid.TransformPoint((0.0, 0.0, 0.0)))
        world = sitk.Euler3DTransform()
        world.SetCenter(self.centre.tolist())
        world.SetMatrix((self.axes @ matrix @ self.axes.T).ravel().tolist(), 1e-6)
        world.SetTranslation((self.axes @ offset).tolist())
        return world

    def rigid_from_world(self, world: sitk.Transform) -> sitk.VersorRigid3DTransform:
        """Return a transform of physical points that is rigid as it is in this frame.

        Raises:
            SyntheticCTError: it scales, shears, mirrors or bends.
        """
        start = np.array(world.TransformPoint(self.centre.tolist()))
        ends = [world.TransformPoint((self.centre + 100 * axis).tolist()) for axis in self.axes.T]
        matrix = self.axes.T @ (np.array(ends) - start).T / 100
        left, _, right = np.linalg.svd(matrix)
        turn = left @ right
        rigid = np.allclose(turn, matrix, atol=1e-3) and np.linalg.det(turn) > 0
        if not (world.IsLinear() and rigid):
            raise SyntheticCTError(
                "The rigid transform that was given is not rigid: give one that only turns and "
                "shifts."
            )
        own = sitk.VersorRigid3DTransform()
        own.SetMatrix(turn.ravel().tolist(), 1e-6)
        own.SetTranslation((self.axes.T @ (start - self.centre)).tolist())
        return own

    def field_to_world(self, vectors: sitk.Image) -> sitk.DisplacementFieldTransform:
        """Return displacements (mm) found in this frame as a transform of physical points."""
        turned = sitk.GetImageFromArray(
            sitk.GetArrayViewFromImage(vectors) @ self.axes.T, isVector=True
        )
        turned.SetSpacing(vectors.GetSpacing())
        turned.SetOrigin((self.axes @ np.array(vectors.GetOrigin()) + self.centre).tolist())
        turned.SetDirection(self.axes.ravel().tolist())
        return sitk.DisplacementFieldTransform(turned)


@dataclass
class WorkingCopy:
    """What the program sees of an image.

    Attributes:
        image: float32, at a few millimetres a voxel, clamped; air where a CT's couch was.
        body: rough body, uint8 on the same grid.
        region: voxels that count, uint8 on the same grid.
    """

    image: sitk.Image
    body: sitk.Image
    region: sitk.Image


def working_copy(
    image: sitk.Image, mask: sitk.Image | None, metric: str, voxel_mm: float
) -> WorkingCopy:
    """Return the working copy of ``image`` at ``voxel_mm`` or its own spacing, if larger.

    Args:
        mask: voxels that count (not 0); the body and :data:`SKIN_MM` around it when None.
        metric: "mse" or "mi", which chooses the window of CT-like images; these are known by
            values below :data:`CT_LIKE_BELOW_HU`.

    Raises:
        SyntheticCTError: the mask is empty inside the image.
    """
    grid = coarser_grid(image, voxel_mm)
    spacing = grid.GetSpacing()
    working = floored(sitk.Cast(image, sitk.sitkFloat32))
    working = resample(working, grid, fill=None, antialias=True)
    values = sitk.GetArrayFromImage(working)
    ct_like = float(values.min()) < CT_LIKE_BELOW_HU
    body = _rough_body(working, ct_like)
    if ct_like:
        values[~_dilated(body, spacing, 1.5 * max(spacing))] = -1000
        values = np.clip(values, *HU_WINDOW[metric])
    else:
        values = np.clip(values, None, np.percentile(values[body], 99.5))
    if mask is None:
        region = _dilated(body, spacing, SKIN_MM)
    else:
        region = mask_on(mask, grid)
        if not region.any():
            raise SyntheticCTError(
                "A mask given for registration is empty inside its image: give the right mask."
            )
    return WorkingCopy(
        image_like(values.astype(np.float32), grid),
        image_like(body.astype(np.uint8), grid),
        image_like(region.astype(np.uint8), grid),
    )


def coarser_grid(image: sitk.Image, voxel_mm: float) -> sitk.Image:
    """Return a grid over the field of ``image`` with voxels of at least ``voxel_mm``."""
    spacing = [max(s, voxel_mm) for s in image.GetSpacing()]
    steps = [c / s for c, s in zip(spacing, image.GetSpacing(), strict=True)]
    size = [max(2, round(n / step)) for n, step in zip(image.GetSize(), steps, strict=True)]
    first = [
        ((n - 1) - (m - 1) * step) / 2
        for n, m, step in zip(image.GetSize(), size, steps, strict=True)
    ]
    origin = image.TransformContinuousIndexToPhysicalPoint(first)
    return grid_of(tuple(size), tuple(spacing), origin, image.GetDirection())


def cropped(image: sitk.Image, region: sitk.Image, margin_mm: float) -> sitk.Image:
    """Return the box of ``image`` that holds ``region`` (1, same grid) and a margin."""
    shape = sitk.LabelShapeStatisticsImageFilter()
    shape.Execute(region)
    box = shape.GetBoundingBox(1)
    cut = []
    for axis, (n, s) in enumerate(zip(image.GetSize(), image.GetSpacing(), strict=True)):
        extra = int(np.ceil(margin_mm / s))
        first, count = box[axis], box[axis + 3]
        cut.append(slice(max(0, first - extra), min(n, first + count + extra)))
    return image[tuple(cut)]


def blurred(image: sitk.Image, sigma_mm: tuple[float, ...]) -> sitk.Image:
    """Return ``image`` (float32) blurred by a Gaussian of ``sigma_mm`` (i, j, k)."""
    sigma = [w / s for w, s in zip(sigma_mm, image.GetSpacing(), strict=True)]
    values = sitk.GetArrayFromImage(image)
    return image_like(ndimage.gaussian_filter(values, sigma[::-1], mode="nearest"), image)


def centre_of(mask: sitk.Image) -> np.ndarray:
    """Return the centre (mm, LPS) of the voxels of a mask."""
    k, j, i = ndimage.center_of_mass(sitk.GetArrayViewFromImage(mask))
    return np.array(mask.TransformContinuousIndexToPhysicalPoint((i, j, k)))


def _rough_body(image: sitk.Image, ct_like: bool) -> np.ndarray:
    """Rough body (k, j, i): what is thick and no air, holes filled; all where none is found."""
    values = sitk.GetArrayViewFromImage(image)
    everything = np.ones(values.shape, dtype=bool)
    try:
        tissue = values > AIR_HU if ct_like else foreground_mask(image)
    except SyntheticCTError:
        return everything
    # What is thinner than twice 6 mm is couch top or cloth. A couch is a closed shell, so it is
    # cut away before holes are filled.
    spacing = image.GetSpacing()
    thick = _dilated(~_dilated(~tissue, spacing, 6.0), spacing, 6.0) & tissue
    labels, _ = ndimage.label(thick)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    body = (sizes > 0.1 * sizes.max())[labels]
    for plane in body:
        ndimage.binary_fill_holes(plane, output=plane)
    return body if body.mean() > 0.02 else everything


def _dilated(mask: np.ndarray, spacing: tuple[float, ...], radius_mm: float) -> np.ndarray:
    if not mask.any():
        return mask.copy()
    return ndimage.distance_transform_edt(~mask, sampling=spacing[::-1]) <= radius_mm
