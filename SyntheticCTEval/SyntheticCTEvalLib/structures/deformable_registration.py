"""DICOM Deformable Spatial Registration: structures brought over by it (PS3.3 C.20.3)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from pydicom.dataset import Dataset
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import Progress
from SyntheticCTLib.dicom.frame_of_reference import FRAME
from SyntheticCTLib.volumes.grids import grid_of
from SyntheticCTLib.volumes.resampling import reached, resample

from .registration_matrix import AGAIN, matrix_of

_SEARCH_MM = 4.0
"""Distance of the points among which a bent structure is looked for."""
_LEAST_BEYOND = 0.01
"""Share of a structure beyond the grid of vectors from which it is told."""


@dataclass(frozen=True)
class DeformableRegistration:
    """One deformable registration object.

    Attributes:
        path: the file.
        registered: UID of the frame of reference that its grids lie in.
        transforms: by the UID of a frame, points of ``registered`` to its points (mm, LPS).
    """

    path: Path
    registered: str
    transforms: dict[str, sitk.Transform]

    def matrix(self, source: str, target: str) -> sitk.Transform | None:
        """Return what takes points of ``target`` to those of ``source``; None: it does not say.

        Raises:
            SyntheticCTError: it says only the opposite.
        """
        if target == self.registered:
            return self.transforms.get(source)
        if source == self.registered and target in self.transforms:
            raise SyntheticCTError(
                f"The registration {self.path} is deformable and tells where the structures' "
                "points come from, not where they go in the CT's frame: export the deformable "
                "registration with the CT as the fixed image, or give the structures as they lie "
                "on the CT."
            )
        return None


def read_deformable(dataset: Dataset, path: Path) -> DeformableRegistration:
    """Return what a Deformable Spatial Registration says of whole frames.

    Raises:
        SyntheticCTError: it is damaged, undefined in places, or says several things of one frame.
    """
    registered = str(dataset.get(FRAME) or "")
    found: dict[str, sitk.Transform] = {}
    for item in dataset.get("DeformableRegistrationSequence") or []:
        frame = str(item.get("SourceFrameOfReferenceUID") or "")
        if not frame or frame == registered:
            continue
        if frame in found:
            raise SyntheticCTError(
                f"The registration {path} has several grids for one frame of reference, so that "
                f"it is not known which holds: {AGAIN}."
            )
        found[frame] = _transform(item, path)
    if not registered or not found:
        raise SyntheticCTError(
            f"The registration {path} does not say which frames of reference it is between: "
            f"{AGAIN}."
        )
    return DeformableRegistration(path, registered, found)


def _transform(item: Dataset, path: Path) -> sitk.Transform:
    """Points of the registered frame to those of the item's: post (pre x + vector (x))."""
    before, after = (
        _only_matrix(item.get(f"{name}DeformationMatrixRegistrationSequence"), path)
        for name in ("Pre", "Post")
    )
    matrix = after @ before
    whole = sitk.CompositeTransform(3)
    linear = sitk.AffineTransform(3)
    linear.SetMatrix(matrix[:3, :3].ravel().tolist())
    linear.SetTranslation(matrix[:3, 3].tolist())
    whole.AddTransform(linear)
    for grid in item.get("DeformableRegistrationGridSequence") or []:
        field = _field(grid, path)
        # Vectors are added after the first matrix, and the transform applies it after them.
        turned = sitk.GetArrayFromImage(field) @ np.linalg.inv(before[:3, :3]).T
        vectors = sitk.GetImageFromArray(turned, isVector=True)
        vectors.CopyInformation(field)
        whole.AddTransform(sitk.DisplacementFieldTransform(vectors))
    return whole


def _only_matrix(items: list[Dataset] | None, path: Path) -> np.ndarray:
    if not items:
        return np.eye(4)
    if len(items) > 1:
        raise SyntheticCTError(
            f"The registration {path} has several matrices where one may be: {AGAIN}."
        )
    return matrix_of(items[0], path)


def _field(grid: Dataset, path: Path) -> sitk.Image:
    """The vectors (mm) on their grid."""
    try:
        size = [int(n) for n in grid.GridDimensions]
        spacing = [float(v) for v in grid.GridResolution]
        origin = [float(v) for v in grid.ImagePositionPatient]
        rows, columns = np.reshape([float(v) for v in grid.ImageOrientationPatient], (2, 3))
        values = np.frombuffer(grid.VectorGridData, "<f4").reshape(*size[::-1], 3)
        axes = np.stack([rows, columns, np.cross(rows, columns)], axis=1)
        usable = len(size) == 3 and min(spacing) > 0 and np.isfinite([*spacing, *origin]).all()
        usable = usable and np.abs(axes.T @ axes - np.eye(3)).max() < 1e-3
    except (AttributeError, TypeError, ValueError):
        usable = False
    if not usable:
        raise SyntheticCTError(
            f"The registration {path} has a grid of vectors that is damaged or does not say where "
            f"it lies: {AGAIN}."
        )
    if not np.isfinite(values).all():
        raise SyntheticCTError(
            f"The registration {path} is undefined in places (vectors that are no numbers): warp "
            "the structures in the program that it is of, and give them as they lie on the CT."
        )
    field = sitk.GetImageFromArray(values.astype(np.float64), isVector=True)
    field.SetOrigin(origin)
    field.SetSpacing(spacing)
    field.SetDirection(axes.ravel().tolist())
    return field


def bent(
    mask: sitk.Image,
    transform: sitk.Transform,
    reference: sitk.Image,
    name: str,
    progress: Progress,
) -> sitk.Image | None:
    """Return a mask of another frame as it lies in that of ``reference``, along its axes.

    None, with a warning, where no part of it comes to lie in the field of view of ``reference``.

    Args:
        mask: uint8, 0 or 1.
        transform: points of ``reference`` to points of ``mask`` (mm, LPS).
    """
    grid = _grid(mask, transform, reference)
    values = None
    if grid is not None:
        share = resample(sitk.Cast(mask != 0, sitk.sitkFloat32), grid, transform, fill=0)
        values = sitk.GetArrayFromImage(share) >= 0.5
    if values is None or not values.any():
        progress.warn(
            f"The structure {name} does not come to lie in the CT by the registration, and is "
            "left out."
        )
        return None
    for step in _fields(transform):
        beyond = 1 - float(reached(step, None, grid)[values].mean())
        if beyond > _LEAST_BEYOND:
            progress.warn(
                f"The structure {name} lies to {100 * beyond:.0f} % beyond the grid of the "
                "deformable registration, where only its matrices hold: check where it lies."
            )
    result = sitk.GetImageFromArray(values.astype(np.uint8))
    result.CopyInformation(grid)
    return result


def _fields(transform: sitk.Transform) -> list[sitk.Image]:
    """Images on the grids of a transform's vectors."""
    whole = sitk.CompositeTransform(transform)
    steps = [whole.GetNthTransform(n) for n in range(whole.GetNumberOfTransforms())]
    return [
        sitk.VectorIndexSelectionCast(sitk.DisplacementFieldTransform(s).GetDisplacementField())
        for s in steps
        if s.GetTransformEnum() == sitk.sitkDisplacementField
    ]


def _grid(mask: sitk.Image, transform: sitk.Transform, reference: sitk.Image) -> sitk.Image | None:
    """The grid on which a bent mask is drawn; None where it does not reach ``reference``."""
    extent = np.array(reference.GetSize()) * reference.GetSpacing()
    size = np.maximum(np.ceil(extent / _SEARCH_MM), 1).astype(int)
    axes = np.reshape(reference.GetDirection(), (3, 3))
    first = np.array(reference.TransformContinuousIndexToPhysicalPoint([-0.5] * 3))
    search = grid_of(
        tuple(size.tolist()),
        tuple((extent / size).tolist()),
        tuple((first + axes @ (extent / size) / 2).tolist()),
        reference.GetDirection(),
    )
    # Widened by as much as lies between the points.
    radius = [int(np.ceil(2 * _SEARCH_MM / step)) for step in mask.GetSpacing()]
    padded = sitk.ConstantPad(sitk.Cast(mask != 0, sitk.sitkUInt8), radius, radius, 0)
    wide = sitk.BinaryDilate(padded, radius, sitk.sitkBox)
    inside = np.argwhere(
        sitk.GetArrayFromImage(resample(wide, search, transform, fill=0, nearest=True))
    )
    if not len(inside):
        return None
    low, high = inside.min(axis=0)[::-1] - 1.0, inside.max(axis=0)[::-1] + 1.0
    pixel, step = mask.GetSpacing()[0], min(mask.GetSpacing()[2], reference.GetSpacing()[2])
    spacing = np.array([pixel, pixel, step])
    count = np.ceil((high - low) * (extent / size) / spacing).astype(int) + 1
    return grid_of(
        tuple(count.tolist()),
        tuple(spacing.tolist()),
        search.TransformContinuousIndexToPhysicalPoint(low.tolist()),
        reference.GetDirection(),
    )
