"""Rigid registration by Slicer's command line module BRAINSFit, as stages of a job.

BRAINSFit sees copies of the two volumes that share their voxels, in a frame whose origin is the
middle of the fixed volume and in which the moving volume lies where :mod:`first_shift` puts it:
rotation and translation are of like size there, scans that share no frame start near each
other, and Slicer, which puts the result on the moving volume, puts it on a copy.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
import vtk
from slicer.i18n import tr as _

from .cli_module import CliModule
from .job_volumes import Source
from .jobs import Job, Stage, Steps, Turn
from .nodes import image_steps, update_node_from_image
from .transforms import array_of, linear_transform, matrix_from_node, matrix_of, vtk_matrix

SAMPLES = 100_000
"""At least so many voxels are drawn, and 2 % of large volumes (BRAINSFit's own is 0.2 %)."""
SHARE = 0.02


def available() -> bool:
    """Whether this Slicer has BRAINSFit; not with --disable-cli-modules."""
    import slicer

    return hasattr(slicer.modules, "brainsfit")


class BrainsFit:
    """One rigid registration.

    Args:
        fixed, moving: the volumes.
        start: file with the transform that the start is taken from (fixed to moving points).
        result: file for the rigid transform (fixed to moving points, mm, LPS); names are in the
            job's folder.
    """

    def __init__(self, fixed: Source, moving: Source, start: str, result: str) -> None:
        self._fixed, self._moving, self._start, self._result = fixed, moving, start, result
        self._nodes: list[Any] = []
        self._to_frame = self._from_frame = np.eye(4)

    def stages(self) -> list[Stage]:
        """Return the stages; the nodes that they need go when the job ends."""
        import slicer

        run = CliModule(slicer.modules.brainsfit, self._parameters, _("Rigid registration"))
        return [Steps(self._prepare), run, Turn(self._take)]

    def _prepare(self, job: Job) -> Generator[None, None, None]:
        import slicer

        job.at_end(self._remove)
        start = matrix_of(sitk.ReadTransform(str(job.folder / self._start)))
        for source in (self._fixed, self._moving):
            self._nodes.append((yield from _copy_steps(source.node)))
            yield
        centre = _centre(self._nodes[0])
        self._to_frame = _shift(-centre)
        self._from_frame = _shift((start @ [*centre, 1.0])[:3])
        _move(self._nodes[0], self._to_frame)
        _move(self._nodes[1], np.linalg.inv(self._from_frame))
        transform = slicer.vtkMRMLLinearTransformNode()
        transform.SetName("SyntheticCT rigid")
        self._nodes.append(_hidden(transform))

    def _parameters(self, job: Job) -> dict[str, Any]:
        fixed, moving, transform = self._nodes
        voxels = fixed.GetImageData().GetNumberOfPoints()
        return {
            "fixedVolume": fixed,
            "movingVolume": moving,
            "linearTransform": transform,
            "initializeTransformMode": "Off",
            "useRigid": True,
            "costMetric": "MMI",
            "samplingPercentage": float(min(1.0, max(SHARE, SAMPLES / voxels))),
        }

    def _take(self, job: Job) -> None:
        inner = matrix_from_node(self._nodes[2])
        whole = self._from_frame @ inner @ self._to_frame
        sitk.WriteTransform(linear_transform(whole), str(Path(job.folder) / self._result))
        self._remove()

    def _remove(self) -> None:
        for node in self._nodes:
            if node.GetScene() is not None:
                node.GetScene().RemoveNode(node)
        self._nodes = []


def _copy_steps(node: Any) -> Generator[None, None, Any]:
    """A hidden volume node with the same voxels, where the user sees them.

    Only parents that shear or bend make new voxels.
    """
    import slicer

    copy = slicer.vtkMRMLScalarVolumeNode()
    copy.SetName("SyntheticCT rigid")
    parent = node.GetParentTransformNode()
    placed = _world_matrix(node) if parent is None or parent.IsTransformToWorldLinear() else None
    if placed is None or not _orthogonal(placed):
        update_node_from_image(copy, (yield from image_steps(node)))
    else:
        copy.SetAndObserveImageData(node.GetImageData())
        copy.SetIJKToRASMatrix(vtk_matrix(placed))
    return _hidden(copy)


def _hidden(node: Any) -> Any:
    import slicer

    node.SetHideFromEditors(True)
    node.SetSaveWithScene(False)
    return slicer.mrmlScene.AddNode(node)


def _world_matrix(node: Any) -> np.ndarray:
    """Voxel indices to points (RAS) of a volume node under linear parents."""
    own, parent = vtk.vtkMatrix4x4(), vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(own)
    if node.GetParentTransformNode() is not None:
        node.GetParentTransformNode().GetMatrixTransformToWorld(parent)
    return array_of(parent) @ array_of(own)


def _orthogonal(matrix: np.ndarray) -> bool:
    axes = matrix[:3, :3] / np.linalg.norm(matrix[:3, :3], axis=0)
    return np.allclose(axes.T @ axes, np.eye(3), atol=1e-6)


def _centre(node: Any) -> np.ndarray:
    """The middle of a volume node in the scene's coordinates, LPS."""
    index = [(n - 1) / 2 for n in node.GetImageData().GetDimensions()]
    point = _world_matrix(node) @ [*index, 1.0]
    return np.array([-point[0], -point[1], point[2]])


def _shift(vector: np.ndarray) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, 3] = vector
    return matrix


def _move(node: Any, shift_lps: np.ndarray) -> None:
    matrix = _world_matrix(node)
    matrix[:3, 3] += shift_lps[:3, 3] * (-1, -1, 1)
    node.SetIJKToRASMatrix(vtk_matrix(matrix))
