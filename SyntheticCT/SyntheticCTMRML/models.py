"""Which model is meant, what its card tells, and whether it fits an MR; without torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import SimpleITK as sitk
import vtk
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.bundle.domain import normalized_histogram, outside_domain
from SyntheticCTLib.bundle.folder import ModelCard, bundle_folder, read_card
from SyntheticCTLib.normalization.foreground import foreground_mask
from vtk.util.numpy_support import vtk_to_numpy

from .nodes import MARKS
from .transforms import array_of

MOST_VOXELS = 300_000
"""As many are looked at, evenly spread, to tell whether an MR fits a model."""


def model_card(model: str) -> ModelCard:
    """Return the card of a model; SyntheticCTError where there is none."""
    return read_card(bundle_folder(model))


def model_fit(node: Any, card: ModelCard) -> list[str]:
    """Return one sentence for each reason why an MR lies outside the domain of a model.

    Looks at every few voxels only, so that it takes a small part of a second; the synthetic CT
    is made with a check of all voxels.
    """
    image = _thinned(node)
    if image is None:
        return []
    try:
        foreground = foreground_mask(image)
        normalized = card.nyul.apply(image, foreground)
    except SyntheticCTError as error:
        return [str(error)]
    values = sitk.GetArrayViewFromImage(normalized)[foreground]
    return outside_domain(image, normalized_histogram(values), card.domain)


def _thinned(node: Any) -> sitk.Image | None:
    """Every few voxels of a volume node, None without voxels; linear parents are respected."""
    data = node.GetImageData()
    scalars = data.GetPointData().GetScalars() if data is not None else None
    if scalars is None or data.GetNumberOfScalarComponents() != 1:
        return None
    i, j, k = data.GetDimensions()
    step = [1, 1, 1]
    while np.prod([n // s for n, s in zip((i, j, k), step, strict=True)]) > MOST_VOXELS:
        finest = np.argmin([w * s for w, s in zip(node.GetSpacing(), step, strict=True)])
        step[int(finest)] += 1
    ends = [n // s * s for n, s in zip((i, j, k), step, strict=True)]
    array = vtk_to_numpy(scalars).reshape(k, j, i)
    array = array[: ends[2] : step[2], : ends[1] : step[1], : ends[0] : step[0]]
    image = sitk.GetImageFromArray(np.ascontiguousarray(array))
    axes, parent = vtk.vtkMatrix4x4(), vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(axes)
    transform = node.GetParentTransformNode()
    if transform is not None and transform.IsTransformToWorldLinear():
        transform.GetMatrixTransformToWorld(parent)
    vtk.vtkMatrix4x4.Multiply4x4(parent, axes, axes)
    columns = array_of(axes)[:3, :3]
    columns[:2] *= -1
    spacing = np.linalg.norm(columns, axis=0)
    left, _, right = np.linalg.svd(columns / spacing)
    image.SetSpacing((spacing * step).tolist())
    image.SetDirection((left @ right).ravel().tolist())
    for mark in MARKS:
        if node.GetAttribute(mark):
            image.SetMetaData(mark, node.GetAttribute(mark))
    return image
