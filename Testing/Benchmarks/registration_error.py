"""How well registration finds the known deformation between the MR and the CT of phantoms.

    python Testing/Benchmarks/registration_error.py [--grid clinical|coarse] [--seed N] [--count K]
        [--brainsfit PROGRAM] [--rigid-by brainsfit] [--deformable-by brainsfit]

MR onto CT, rigid and then deformable by mutual information. Prints the mean target registration
error over the body of the CT in mm, before and after, and the smallest Jacobian determinant.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import SimpleITK as sitk
from SyntheticCTLib.phantom import CLINICAL, COARSE, Phantom, make_phantom
from SyntheticCTLib.registration.brainsfit import BrainsFit, find_brainsfit
from SyntheticCTLib.registration.rigid_and_deformable import register

GRIDS = {grid.name: grid for grid in (CLINICAL, COARSE)}


def error_mm(phantom: Phantom, transform: sitk.Transform) -> float:
    """Return the mean distance, over the body of the CT, from the true place in the MR."""
    ct = phantom.ct
    grid = (sitk.sitkVectorFloat64, ct.GetSize(), ct.GetOrigin(), ct.GetSpacing())
    found = sitk.TransformToDisplacementField(transform, *grid, ct.GetDirection())
    body = sitk.GetArrayViewFromImage(phantom.labels_ct) > 0
    miss = sitk.GetArrayViewFromImage(found)[body]
    miss = miss - sitk.GetArrayViewFromImage(phantom.displacement)[body]
    return float(np.linalg.norm(miss, axis=1).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--grid", choices=GRIDS, default="clinical")
    parser.add_argument("--seed", type=int, default=1001)
    parser.add_argument("--count", type=int, default=3)
    parser.add_argument("--brainsfit", help="Slicer's program, in its folder cli-modules")
    parser.add_argument("--rigid-by", choices=("library", "brainsfit"), default="library")
    parser.add_argument(
        "--deformable-by", choices=("plastimatch", "brainsfit"), default="plastimatch"
    )
    options = parser.parse_args()
    by = "brainsfit" in (options.rigid_by, options.deformable_by)
    brainsfit = BrainsFit(find_brainsfit(options.brainsfit)) if by else None
    programs = {
        "rigid": brainsfit if options.rigid_by == "brainsfit" else None,
        "spline": brainsfit if options.deformable_by == "brainsfit" else None,
    }
    print("seed  before   rigid  deformable  least Jacobian  minutes")
    for seed in range(options.seed, options.seed + options.count):
        phantom = make_phantom(seed, GRIDS[options.grid])
        start = time.monotonic()
        result = register(phantom.ct, phantom.mr, metric="mi", fill=0, **programs)
        minutes = (time.monotonic() - start) / 60
        before = error_mm(phantom, sitk.Transform(3, sitk.sitkIdentity))
        rigid, deformed = error_mm(phantom, result.rigid), error_mm(phantom, result.transform)
        print(
            f"{seed:4d}  {before:6.2f}  {rigid:6.2f}  {deformed:10.2f}  "
            f"{result.min_jacobian:14.2f}  {minutes:7.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
