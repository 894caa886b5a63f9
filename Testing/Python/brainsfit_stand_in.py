"""Stands in for Slicer's program BRAINSFit: the same options, the same method, by SimpleITK.

As in BRAINSTools: Mattes' mutual information of voxels drawn at random inside both masks; a
versor by regular steps, a B-spline by LBFGSB in one resolution; one transform is written alone.
"""

from __future__ import annotations

import argparse
import stat
import sys
from pathlib import Path

import SimpleITK as sitk

RUNS = "runs.txt"
"""Holds the arguments of each run, a line a run."""


def install(folder: Path) -> Path:
    """Write an executable file that runs this stand-in, and return its path."""
    path = folder / "BRAINSFit"
    path.write_text(
        f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        f"open({str(folder / RUNS)!r}, 'a').write(' '.join(sys.argv[1:]) + '\\n')\n"
        "from brainsfit_stand_in import main\nmain(sys.argv[1:])\n"
    )
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def main(arguments: list[str]) -> None:
    """Register as the options say; unknown options are an error, as they are to BRAINSFit."""
    parser = argparse.ArgumentParser()
    for name in ("fixedVolume", "movingVolume", "fixedBinaryVolume", "movingBinaryVolume"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--maskProcessingMode", choices=("ROI",), required=True)
    parser.add_argument("--initializeTransformMode", choices=("Off",), default="Off")
    parser.add_argument("--samplingPercentage", type=float, default=0.002)
    parser.add_argument("--numberOfHistogramBins", type=int, default=50)
    parser.add_argument("--numberOfIterations", type=int, default=1500)
    parser.add_argument("--maximumNumberOfEvaluations", type=int, default=900)
    parser.add_argument("--costFunctionConvergenceFactor", type=float, default=2e13)
    parser.add_argument("--costMetric", choices=("MMI", "MSE"), default="MMI")
    parser.add_argument("--numberOfThreads", type=int, default=-1)
    parser.add_argument("--useRigid", action="store_true")
    parser.add_argument("--useBSpline", action="store_true")
    parser.add_argument("--splineGridSize", default="14,10,12")
    parser.add_argument("--linearTransform")
    parser.add_argument("--bsplineTransform")
    options = parser.parse_args(arguments)
    fixed, moving = (
        sitk.ReadImage(file, sitk.sitkFloat32)
        for file in (options.fixedVolume, options.movingVolume)
    )
    method = sitk.ImageRegistrationMethod()
    if options.costMetric == "MMI":
        method.SetMetricAsMattesMutualInformation(options.numberOfHistogramBins)
    else:
        method.SetMetricAsMeanSquares()
    method.SetMetricFixedMask(sitk.ReadImage(options.fixedBinaryVolume, sitk.sitkUInt8))
    method.SetMetricMovingMask(sitk.ReadImage(options.movingBinaryVolume, sitk.sitkUInt8))
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetMetricSamplingPercentage(options.samplingPercentage)
    method.SetInterpolator(sitk.sitkLinear)
    if options.useRigid:
        found: sitk.Transform = sitk.VersorRigid3DTransform()
        method.SetOptimizerAsRegularStepGradientDescent(2.0, 0.01, 80)
        method.SetOptimizerScales([4e4] * 3 + [1.0] * 3)
    else:
        mesh = [int(part) for part in options.splineGridSize.split(",")]
        found = sitk.BSplineTransformInitializer(fixed, mesh)
        method.SetOptimizerAsLBFGSB(
            gradientConvergenceTolerance=1e-5,
            numberOfIterations=options.numberOfIterations,
            maximumNumberOfFunctionEvaluations=options.maximumNumberOfEvaluations,
            costFunctionConvergenceFactor=options.costFunctionConvergenceFactor,
        )
    method.SetInitialTransform(found, inPlace=True)
    method.Execute(fixed, moving)
    sitk.WriteTransform(found, options.linearTransform or options.bsplineTransform)
