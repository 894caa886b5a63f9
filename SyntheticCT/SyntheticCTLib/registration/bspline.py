"""The deformable part: a B-spline by another program, accepted where it folds nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import SimpleITK as sitk

from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import Progress
from SyntheticCTLib.volumes.grids import grid_of
from SyntheticCTLib.volumes.resampling import resample
from SyntheticCTLib.volumes.writing import write_volume

from .first_shift import mutual_information
from .plastimatch import command_file, extended, read_bspline, run_register
from .rigid import HISTOGRAM_BINS
from .working_copies import (
    SKIN_MM,
    WorkingCopy,
    blurred,
    cropped,
)

FINEST_MM = 2.5
"""Voxel size of the finest stage, or the image's own where that is larger."""


STAGES_MM = (10.0, 5.0, FINEST_MM)


KNOTS_MM = (60.0, 40.0, 30.0)


EVALUATIONS = {"mse": (40, 40, 30), "mi": (30, 25, 15)}
"""Voxel size, knot spacing and most evaluations of the metric in the three B-spline stages."""


CONVERGED = {"mse": 1e-5, "mi": 1e-4}
"""Gain of the metric in a step below which a stage ends."""


STIFFNESS = {"mse": 1e-5, "mi": 1e-4}
"""Weight of the bending energy at :data:`FINEST_MM`, where it left the smallest target
registration error on phantoms; the mean square is in units of the fixed image's variance."""


SOFTEST_JACOBIAN = 0.05
"""A B-spline that compresses more than this (volume ratio), or makes the images less alike, is
repeated ten times stiffer."""


ATTEMPTS = 3


DENSER = 0.52
"""Voxel size of the moving copy in voxels of the fixed one; see :func:`_around`."""


def _subsampling(image: sitk.Image, voxel_mm: float) -> str:
    """Whole numbers of voxels that come nearest to ``voxel_mm``, at least 8 voxels left."""
    return " ".join(
        str(max(1, min(round(voxel_mm / s), n // 8)))
        for s, n in zip(image.GetSpacing(), image.GetSize(), strict=True)
    )


def _teller(progress: Progress, step: str) -> Callable[[float], None]:
    return lambda part: progress.report(step, 0.99 * min(part, 1.0))


FIXED, MOVING, REGION = "fixed.mha", "moving.mha", "fixed_region.mha"
"""Files in :attr:`Bending.folder`: both working copies, and the voxels of the first that count."""


@dataclass
class Bent:
    """What a program found.

    Attributes:
        spline: points of the fixed to points of the moving working copy (mm, working frame).
        value: of the metric at the end, where the program tells it.
        log: last lines that it printed.
    """

    spline: sitk.BSplineTransform
    value: float | None
    log: list[str]


class SplineProgram(Protocol):
    """A program that bends one image onto another."""

    def bend(self, bending: Bending, attempt: int, tell: Callable[[float], None]) -> Bent:
        """Bend the moving onto the fixed working copy.

        Args:
            attempt: 0, then 1 and 2 where the result folded or made the images less alike: the
                next must be stiffer.
            tell: told the part that is done, from 0 to 1.

        Raises:
            SyntheticCTError: the program is absent or fails.
        """


class Bending:
    """The B-spline stages, from the working copies after the rigid transform."""

    def __init__(
        self,
        folder: Path,
        still: WorkingCopy,
        loose: WorkingCopy,
        rigid: sitk.Transform,
        metric: str,
    ) -> None:
        self.folder, self.metric = folder, metric
        self.fixed = cropped(still.image, still.region, SKIN_MM)
        region = cropped(still.region, still.region, SKIN_MM)
        region = region * resample(loose.region, region, rigid, fill=0, nearest=True)
        self.counted = sitk.GetArrayFromImage(region) > 0
        if not self.counted.any():
            raise SyntheticCTError(
                "The parts of the two images that count do not overlap after the rigid "
                "registration: check that they show the same part of one patient."
            )
        # The copy goes on beyond its field with its outermost values: were points that leave
        # it not counted, the metric would jump, and the optimizer would stick at the jumps.
        self.moving = resample(loose.image, _around(self.fixed, 30.0), rigid, fill=None)
        if metric == "mse":
            unit = float(sitk.GetArrayFromImage(self.fixed)[self.counted].std()) or 1.0
            self.fixed, self.moving = self.fixed / unit, self.moving / unit
        # Linear interpolation between voxels that are not blurred makes the metric rough.
        sigma = tuple(0.7 * s for s in self.fixed.GetSpacing())
        write_volume(blurred(self.fixed, sigma), folder / FIXED, compress=False)
        write_volume(blurred(self.moving, sigma), folder / MOVING, compress=False)
        write_volume(region, folder / REGION, compress=False)
        # The coarser the voxels, the less they tell about the bending.
        voxel_mm = float(np.prod(self.fixed.GetSpacing()) ** (1 / 3))
        self.stiffness = STIFFNESS[metric] * (voxel_mm / FINEST_MM) ** 2

    def run(
        self, whole: sitk.Image, program: SplineProgram, progress: Progress
    ) -> tuple[sitk.Image | None, float, float | None, list[str]]:
        """Return displacements (mm) over ``whole``, their least Jacobian, the metric, the log.

        The displacements are None where every B-spline folds or lowers the mutual information
        that the rigid registration reached: a candidate that lacks bones, say, has its least
        mean square far from where it belongs.
        """
        rigid = self._likeness(None)
        for attempt in range(ATTEMPTS):
            step = "deformable registration" + (f", stiffer {attempt}" if attempt else "")
            progress.report(step, 0.0)
            found = program.bend(self, attempt, _teller(progress, step))
            vectors = _sampled(found.spline, whole)
            jacobian = sitk.GetArrayFromImage(sitk.DisplacementFieldJacobianDeterminant(vectors))
            progress.report(step, 1.0)
            if jacobian.min() > SOFTEST_JACOBIAN and self._likeness(vectors) > rigid:
                return vectors, float(jacobian.min()), found.value, found.log
        return None, 1.0, found.value, found.log

    def _likeness(self, vectors: sitk.Image | None) -> float:
        """Return the mutual information of the two working copies under displacements."""
        there = vectors and sitk.DisplacementFieldTransform(sitk.Image(vectors))
        values = sitk.GetArrayFromImage(resample(self.moving, self.fixed, there, fill=None))
        fixed = sitk.GetArrayFromImage(self.fixed)
        return mutual_information(fixed[self.counted], values[self.counted])


class Plastimatch:
    """The program plastimatch: B-spline in three resolutions, held by its bending energy."""

    def bend(self, bending: Bending, attempt: int, tell: Callable[[float], None]) -> Bent:
        """Return the B-spline; each attempt is ten times stiffer (see :class:`SplineProgram`)."""
        totals = EVALUATIONS[bending.metric]

        def on_evaluation(stage: int, count: int) -> None:
            stage = min(stage, len(totals) - 1)
            tell((sum(totals[:stage]) + min(count, totals[stage])) / sum(totals))

        log, value = run_register(
            self.commands(bending, bending.stiffness * 10**attempt),
            bending.folder,
            ["bspline.txt"],
            on_evaluation,
        )
        return Bent(read_bspline(bending.folder / "bspline.txt"), value, log)

    @staticmethod
    def commands(bending: Bending, stiffness: float) -> str:
        """Return the text of the command file."""
        everywhere = {
            "fixed": FIXED,
            "moving": MOVING,
            "fixed_roi": REGION,
            "xform_out": "bspline.txt",
        }
        stages = [
            {
                "xform": "bspline",
                "impl": "plastimatch",
                "optim": "lbfgsb",
                "metric": bending.metric,
                "mi_histogram_bins": HISTOGRAM_BINS,
                "res_vox_fixed": _subsampling(bending.fixed, voxel_mm),
                "res_vox_moving": _subsampling(bending.moving, voxel_mm * DENSER),
                "grid_spac": " ".join([str(knots_mm)] * 3),
                "regularization_lambda": f"{stiffness:.6g}",
                "max_its": evaluations,
                "min_its": 5,
                "convergence_tol": CONVERGED[bending.metric],
                "pgtol": 1e-9,  # its default ends stages early, as the metrics are below 1
            }
            for voxel_mm, knots_mm, evaluations in zip(
                STAGES_MM, KNOTS_MM, EVALUATIONS[bending.metric], strict=True
            )
        ]
        return command_file(everywhere, stages)


def _around(image: sitk.Image, margin_mm: float) -> sitk.Image:
    """Return a grid around ``image`` whose voxels are smaller and fall into step nowhere.

    Where the voxels of both images coincide, the joint histogram is sharper than anywhere else,
    and mutual information holds on to that place.
    """
    spacing = [DENSER * s for s in image.GetSpacing()]
    size = [
        int(np.ceil((n * s + 2 * margin_mm) / d))
        for n, s, d in zip(image.GetSize(), image.GetSpacing(), spacing, strict=True)
    ]
    origin = [o - margin_mm for o in image.GetOrigin()]
    return grid_of(tuple(size), tuple(spacing), tuple(origin))


def _sampled(spline: sitk.BSplineTransform, whole: sitk.Image) -> sitk.Image:
    """Sample a B-spline over ``whole`` (axes aligned) and a voxel beyond it.

    A field costs an eighth of the B-spline each time that an image is warped, and between its
    voxels it differs by hundredths of a millimetre.
    """
    spacing = [max(s, FINEST_MM) for s in whole.GetSpacing()]
    low = np.array(whole.GetOrigin()) - whole.GetSpacing()
    high = low + (np.array(whole.GetSize()) + 1) * whole.GetSpacing()
    size = [int(np.ceil((b - a) / s)) + 1 for a, b, s in zip(low, high, spacing, strict=True)]
    grid = grid_of(tuple(size), tuple(spacing), tuple(low.tolist()))
    return sitk.TransformToDisplacementField(
        extended(spline, low, high + spacing),
        sitk.sitkVectorFloat64,
        grid.GetSize(),
        grid.GetOrigin(),
        grid.GetSpacing(),
        grid.GetDirection(),
    )
