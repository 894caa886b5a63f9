"""The program BRAINSFit, which every Slicer brings along: rigid, and a B-spline.

Source: BRAINSTools, BRAINSFit.xml (parameters) and BRAINSFitHelperTemplate (a B-spline is found
by LBFGSB in one resolution, of voxels drawn at random; each stage starts where the last ended).
It draws voxels at random, so that two runs differ in the last digits.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import Progress
from SyntheticCTLib.basics.stages import work_folder
from SyntheticCTLib.volumes.grids import copied, image_like
from SyntheticCTLib.volumes.writing import write_volume

from .bspline import FIXED, MOVING, REGION, Bending, Bent
from .first_shift import first_shift
from .program_run import run_program
from .working_copies import WorkingCopy

NAME = "BRAINSFit"
SAMPLES = 150_000
"""Voxels that are drawn, of those that count; BRAINSFit's own 0.2 % of all are few."""
KNOTS_MM = 45.0
"""Knot spacing. BRAINSFit has no bending energy: with 30 mm, or with a third of the samples, it
follows the noise (target registration error on a phantom: Testing/README.md)."""
STIFFER = 1.5
"""Knots are so much farther apart in each further attempt."""
EVALUATIONS = 40
METRICS = {"mse": "MSE", "mi": "MMI"}

_COMPLAINT = re.compile(r"exception caught|unsupported initial transform|^error:", re.IGNORECASE)


def find_brainsfit(program: str | Path | None = None) -> Path:
    """Return the program: ``program``, or BRAINSFit on the PATH.

    Raises:
        SyntheticCTError: it is not there.
    """
    found = shutil.which(str(program)) if program else shutil.which(NAME)
    if found is None:
        raise SyntheticCTError(
            "The program BRAINSFit is not there: give its place (Slicer has it among its "
            "cli-modules), or choose another program for the registration."
        )
    return Path(found)


@dataclass(frozen=True)
class BrainsFit:
    """The program, to be used for the rigid part, the B-spline, or both.

    Attributes:
        program: its file.
    """

    program: Path

    def rigid(
        self, still: WorkingCopy, loose: WorkingCopy, progress: Progress
    ) -> sitk.VersorRigid3DTransform:
        """Return the rigid transform in the working frame (points of ``still`` to ``loose``).

        Raises:
            SyntheticCTError: the program fails.
        """
        step = f"rigid registration by {NAME}"
        progress.report(step, 0.0)
        shift = first_shift(still, loose)
        with work_folder() as folder:
            for name, image, moved in (
                (FIXED, still.image, None),
                (REGION, still.region, None),
                (MOVING, loose.image, shift),
                ("moving_region.mha", loose.region, shift),
            ):
                write_volume(_shifted(image, moved), folder / name, compress=False)
            self._run(folder, "rigid.h5", still.region, ["--useRigid", "--costMetric", "MMI"])
            matrix, offset = _rigid(folder / "rigid.h5")
        found = sitk.VersorRigid3DTransform()
        found.SetMatrix(matrix.ravel().tolist(), 1e-6)
        found.SetTranslation((offset + shift).tolist())
        progress.report(step, 1.0)
        return found

    def bend(self, bending: Bending, attempt: int, tell: Callable[[float], None]) -> Bent:
        """Return the B-spline; see :class:`bspline.SplineProgram`."""
        folder = bending.folder
        region = sitk.ReadImage(str(folder / REGION))
        everywhere = np.ones(bending.moving.GetSize()[::-1], np.uint8)
        mask = image_like(everywhere, bending.moving)
        write_volume(mask, folder / "moving_region.mha", compress=False)
        extent = np.array(bending.fixed.GetSize()) * bending.fixed.GetSpacing()
        mesh = np.maximum(3, np.round(extent / (KNOTS_MM * STIFFER**attempt))).astype(int)
        # fmt: off
        options = [
            "--useBSpline", "--splineGridSize", ",".join(map(str, mesh)),
            "--costMetric", METRICS[bending.metric],
            "--maximumNumberOfEvaluations", str(EVALUATIONS),
            "--numberOfIterations", str(EVALUATIONS),
            "--costFunctionConvergenceFactor", "1e9",
        ]
        # fmt: on
        log = self._run(folder, "bspline.h5", region, options)
        tell(1.0)
        return Bent(_spline(folder / "bspline.h5"), None, log)

    def _run(
        self, folder: Path, result: str, region: sitk.Image, options: Sequence[str | Path]
    ) -> list[str]:
        counted = max(1, int(np.count_nonzero(sitk.GetArrayViewFromImage(region))))
        share = min(1.0, SAMPLES / counted)
        threads = os.environ.get("ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS")
        kind = "--linearTransform" if "--useRigid" in options else "--bsplineTransform"
        # fmt: off
        command: list[str | Path] = [
            self.program, "--fixedVolume", FIXED, "--movingVolume", MOVING,
            "--maskProcessingMode", "ROI", "--fixedBinaryVolume", REGION,
            "--movingBinaryVolume", "moving_region.mha",
            "--samplingPercentage", f"{share:.6f}", "--numberOfHistogramBins", "32",
            "--initializeTransformMode", "Off", kind, result, *options,
        ]
        # fmt: on
        command += ["--numberOfThreads", threads] if threads else []
        return run_program(command, folder, [result], NAME, _complaint)


def _complaint(line: str) -> str | None:
    return line.strip() if _COMPLAINT.search(line) else None


def _shifted(image: sitk.Image, shift: np.ndarray | None) -> sitk.Image:
    """``image`` where it lies before ``shift`` (mm) is applied to points of the fixed one."""
    if shift is None:
        return image
    moved = copied(image)
    moved.SetOrigin((np.array(image.GetOrigin()) - shift).tolist())
    return moved


def _only(path: Path) -> sitk.Transform:
    """The transform in a file: BRAINSFit writes one alone, or as a composite of one."""
    try:
        whole = sitk.ReadTransform(str(path))
    except RuntimeError as error:
        raise _unreadable() from error
    if whole.GetTransformEnum() != sitk.sitkComposite:
        return whole
    composite = sitk.CompositeTransform(whole)
    if composite.GetNumberOfTransforms() != 1:
        raise _unreadable()
    return composite.GetNthTransform(0)


def _rigid(path: Path) -> tuple[np.ndarray, np.ndarray]:
    found = _only(path)
    offset = np.array(found.TransformPoint((0.0, 0.0, 0.0)))
    matrix = np.transpose([found.TransformPoint(axis.tolist()) for axis in np.eye(3)] - offset)
    left, _, right = np.linalg.svd(matrix)
    if not np.allclose(left @ right, matrix, atol=1e-4) or np.linalg.det(matrix) < 0:
        raise _unreadable()
    return left @ right, offset


def _spline(path: Path) -> sitk.BSplineTransform:
    found = _only(path)
    if found.GetTransformEnum() != sitk.sitkBSplineTransform:
        raise _unreadable()
    if not np.isfinite(found.GetParameters()).all():
        raise _unreadable()
    return sitk.BSplineTransform(found)


def _unreadable() -> SyntheticCTError:
    return SyntheticCTError(
        "The transform that BRAINSFit wrote is not the one that was asked for: choose another "
        "program for the registration."
    )
