"""Rigid registration of working copies, from a first shift, in two resolutions."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import numpy as np
import SimpleITK as sitk

from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.interrupts import interrupts_wait
from SyntheticCTLib.basics.progress import Progress

from .first_shift import first_shift
from .working_copies import WorkingCopy

RIGID_STAGES_MM = (10.0, 5.0)
RIGID_ITERATIONS = 150
HISTOGRAM_BINS = 32
_ITK_THREADS = threading.Lock()


def rigid_registration(
    still: WorkingCopy,
    loose: WorkingCopy,
    progress: Progress,
    start: sitk.VersorRigid3DTransform | None = None,
) -> tuple[sitk.VersorRigid3DTransform, float]:
    """Return the rigid transform in the working frame and the metric's last value.

    SimpleITK's, by mutual information of all voxels that count, so that it is repeatable.

    Args:
        start: where it starts; a shift of :mod:`first_shift` when None.

    Raises:
        SyntheticCTError: the images do not overlap enough.
    """
    step = "rigid registration"
    progress.report(step, 0.0)
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(HISTOGRAM_BINS)
    method.SetMetricSamplingStrategy(method.NONE)
    method.SetMetricFixedMask(still.region)
    method.SetMetricMovingMask(loose.region)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(
        learningRate=3.0,
        minStep=0.005,
        numberOfIterations=RIGID_ITERATIONS,
        relaxationFactor=0.8,  # at the usual 0.5 it stops before the flattest direction is done
        gradientMagnitudeTolerance=1e-7,
    )
    # A versor is half an angle, and turning by an angle moves the body by about 100 mm times it.
    method.SetOptimizerScales([200.0**2] * 3 + [1.0] * 3)
    voxel_mm = max(still.image.GetSpacing())
    method.SetShrinkFactorsPerLevel([max(1, round(mm / voxel_mm)) for mm in RIGID_STAGES_MM])
    method.SetSmoothingSigmasPerLevel([0.4 * mm for mm in RIGID_STAGES_MM])
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
    found = sitk.VersorRigid3DTransform()
    if start is None:
        found.SetTranslation(first_shift(still, loose).tolist())
    else:
        method.SetMovingInitialTransform(start)  # a versor has no derivative at half a turn
    method.SetInitialTransform(found, inPlace=True)

    interrupts: list[BaseException] = []

    def tell() -> None:
        try:
            done = method.GetCurrentLevel() + method.GetOptimizerIteration() / RIGID_ITERATIONS
            progress.report(step, 0.1 + 0.44 * done)
        except BaseException as interrupt:  # ITK would make a failure of it
            interrupts.append(interrupt)
        if interrupts or came:
            method.StopRegistration()

    method.AddCommand(sitk.sitkIterationEvent, tell)
    try:
        # Ctrl-C that came between ITK and the function above would be a failure to ITK, too.
        with interrupts_wait() as came, _one_thread():
            method.Execute(still.image, loose.image)
        if interrupts:
            raise interrupts[0]
    except RuntimeError as error:
        if interrupts:
            raise interrupts[0] from None
        raise SyntheticCTError(
            "The rigid registration failed: check that the two images overlap and show the same "
            f"part of one patient ({str(error).strip().splitlines()[-1]})."
        ) from error
    progress.report(step, 1.0)
    return _after(found, start), method.GetMetricValue()


def _after(
    first: sitk.VersorRigid3DTransform, then: sitk.VersorRigid3DTransform | None
) -> sitk.VersorRigid3DTransform:
    """Return ``first`` followed by ``then`` as one rigid transform."""
    if then is None:
        return first
    both = sitk.VersorRigid3DTransform()
    turn, last = (np.reshape(one.GetMatrix(), (3, 3)) for one in (first, then))
    both.SetMatrix((last @ turn).ravel().tolist(), 1e-6)
    both.SetTranslation(then.TransformPoint(first.TransformPoint((0.0, 0.0, 0.0))))
    return both


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Let ITK's metrics sum in one order; they heed the setting of the whole process only."""
    with _ITK_THREADS:
        before = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
        try:
            yield
        finally:
            sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(before)
