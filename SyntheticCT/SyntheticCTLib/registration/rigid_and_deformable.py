"""Registration of a moving onto a fixed image: rigid, then B-spline in three resolutions.

Source: paper, "Evaluation and implementation": deformable registration after a rigid one, by
plastimatch with a three-layered multi-resolution approach. The program sees working copies of
a few millimetres a voxel (:mod:`working_copies`); the moving image itself is resampled once.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
import SimpleITK as sitk

from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import SILENT, Progress
from SyntheticCTLib.basics.stages import work_folder
from SyntheticCTLib.volumes.checks import check_volume
from SyntheticCTLib.volumes.marks import keep_marks
from SyntheticCTLib.volumes.resampling import HU_OUTSIDE, floored, resample

from .agreement import Agreement
from .any_start import rigid_from_any_start
from .bspline import FINEST_MM, STIFFNESS, Bending, Plastimatch, SplineProgram
from .working_copies import Frame, WorkingCopy, working_copy

RIGID_ONLY = (
    "The deformable registration made the images less alike and was left out: the rigid one is "
    "used; look at both images, one may lack whole tissues."
)

FAILED = (
    "The registration of {name} seems to have failed ({told}, from any start): it was not bent, "
    "and figures that rest on it mean nothing; look at both images, and check that they show the "
    "same part of one patient."
)
APART = (
    "The frames of {name} and of the fixed image lie apart: the registration started from centre "
    "on centre; check that both belong to the same patient."
)


class RigidProgram(Protocol):
    """A program that finds the rigid part."""

    def rigid(
        self, still: WorkingCopy, loose: WorkingCopy, progress: Progress
    ) -> sitk.VersorRigid3DTransform:
        """Return it in the working frame, points of ``still`` to points of ``loose``."""


@dataclass
class Registration:
    """A moving image laid on a fixed one.

    Attributes:
        transform: maps points of the fixed image to points of the moving image (mm, LPS), as
            :func:`resampling.resample` takes it: a displacement field, then a rigid transform
            (the rigid transform alone where nothing was deformed).
        warped: the moving image on the grid of the fixed one, ``fill`` outside its field.
        rigid: the rigid part of ``transform``.
        metric_value: last value of the metric that the program told: minus the mutual
            information in nats, or the mean square in variances of the fixed image.
        deformed: whether a B-spline is part of ``transform``.
        min_jacobian: smallest Jacobian determinant of the deformation; 1 where it is rigid.
        agreement: how well the images lie on one another after the rigid part.
        log: last lines that the program printed.
    """

    transform: sitk.Transform
    warped: sitk.Image
    rigid: sitk.Transform
    metric_value: float | None
    deformed: bool
    min_jacobian: float
    agreement: Agreement
    log: list[str] = field(default_factory=list)


def register(
    fixed: sitk.Image,
    moving: sitk.Image,
    *,
    metric: Literal["mse", "mi"],
    deformable: bool = True,
    fill: float,
    fixed_mask: sitk.Image | None = None,
    moving_mask: sitk.Image | None = None,
    rigid: sitk.Transform | RigidProgram | None = None,
    spline: SplineProgram | None = None,
    name: str = "the moving image",
    progress: Progress = SILENT,
) -> Registration:
    """Register ``moving`` onto ``fixed``: rigid, then by a B-spline.

    By default the rigid part is SimpleITK's, with all voxels (plastimatch draws them by the clock
    there, and two runs differed by 0.1 mm), and the B-spline plastimatch's. The rigid part always
    uses mutual information: bulk densities move the minimum of the mean square by a slice or two.
    Where the scans share no frame, it starts from centre on centre. The same images give the
    same result, but for programs that draw voxels at random (:mod:`brainsfit`).

    Args:
        fixed, moving: 3D scalar images on any grids; CT-like ones, of which couch and clothes
            are taken away in copies, are known by values below -300.
        metric: of the B-spline: "mse" (mean square) between CT-like images, "mi" (mutual
            information, Mattes) between MR and CT.
        fill: value of ``warped`` outside the field of view of ``moving``; -1024 for CT, of which
            lower values count as that.
        fixed_mask, moving_mask: voxels that count (not 0), on any grids; the body and 10 mm
            around it by default.
        rigid: the rigid part (points of the fixed image to points of the moving image, mm, LPS),
            or another program that finds it. It is judged like our own, and replaced where a
            start of our own leads to a better one.
        deformable, spline: whether to bend, and by which program; None for plastimatch.
        name: of the moving image, as warnings call it.

    Raises:
        SyntheticCTError: no start leads to a result, ``rigid`` is not rigid, or a program fails.

    Where the images do not agree after the rigid registration (:mod:`agreement`), or no B-spline
    brings them closer without folds, the result is rigid and ``progress`` is warned.
    """
    if metric not in STIFFNESS:
        raise SyntheticCTError(f"The metric {metric} is unknown: give mse or mi.")
    fixed, moving = check_volume(fixed, "fixed image"), check_volume(moving, "moving image")
    frame = Frame(fixed)
    if rigid is None and _apart(fixed, moving):
        progress.warn(APART.format(name=name))
    still, loose = (
        working_copy(frame.own(image), mask and frame.own(mask), metric, FINEST_MM)
        for image, mask in ((fixed, fixed_mask), (moving, moving_mask))
    )
    given = _given(rigid, frame, still, loose, progress)
    found, turn, value = rigid_from_any_start(still, loose, progress, given)
    rigid = frame.rigid_to_world(turn)
    transform, vectors, lowest, log = sitk.Transform(rigid), None, 1.0, []
    if found.failed:
        progress.warn(FAILED.format(name=name, told=found.told()))
    elif deformable:
        with work_folder() as folder:
            bending = Bending(folder, still, loose, turn, metric)
            program = spline or Plastimatch()
            vectors, lowest, bent, log = bending.run(frame.own(fixed), program, progress)
        if vectors is None:
            progress.warn(RIGID_ONLY)
        else:
            transform = sitk.CompositeTransform([rigid, frame.field_to_world(vectors)])
            value = bent
    last = floored(moving) if fill == HU_OUTSIDE else moving
    return Registration(
        transform=transform,
        warped=keep_marks(resample(last, fixed, transform, fill=fill), moving, moved=True),
        rigid=rigid,
        metric_value=value,
        deformed=vectors is not None,
        min_jacobian=lowest,
        agreement=found,
        log=log,
    )


def _given(
    rigid: sitk.Transform | RigidProgram | None,
    frame: Frame,
    still: WorkingCopy,
    loose: WorkingCopy,
    progress: Progress,
) -> sitk.VersorRigid3DTransform | None:
    """The rigid part in the working frame, where it is known or another program finds it."""
    if rigid is None:
        return None
    if isinstance(rigid, sitk.Transform):
        return frame.rigid_from_world(rigid)
    return rigid.rigid(still, loose, progress)


def _apart(fixed: sitk.Image, moving: sitk.Image) -> bool:
    """Whether the boxes around two images share no place."""
    boxes = []
    for image in (fixed, moving):
        ends = [(-0.5, n - 0.5) for n in image.GetSize()]
        corners = [
            image.TransformContinuousIndexToPhysicalPoint(corner)
            for corner in itertools.product(*ends)
        ]
        boxes.append((np.min(corners, axis=0), np.max(corners, axis=0)))
    (low, high), (other_low, other_high) = boxes
    return bool(np.any(np.maximum(low, other_low) >= np.minimum(high, other_high)))
