"""The command ``synthetic-ct phantom``: digital patients."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.outputs import require_writable_folder
from SyntheticCTLib.basics.progress import Progress

from .arguments import seed_number


def phantom(options: argparse.Namespace, progress: Progress) -> dict[str, Path]:
    """Write digital patients and their manifest."""
    from SyntheticCTLib.phantom import CLINICAL, COARSE, TINY, write_cohort

    if options.count < 1:
        raise SyntheticCTError("The count must be at least 1.")
    grid = {"clinical": CLINICAL, "coarse": COARSE, "tiny": TINY}[options.grid]
    require_writable_folder(options.output)
    return {"manifest": write_cohort(options.seed, options.count, options.output, grid, progress)}


def add_phantom(command: Callable) -> None:
    sub = command(
        "phantom",
        phantom,
        "Make digital patients",
        "Each has MR, CT, mDixon, MRCAT, labels, structures and the known deformation between "
        "MR and CT; a manifest.csv lists them for train and cohort, manifest_sib.csv with nested "
        "targets for plans that cohort makes. Same seed, same bytes.",
    )
    sub.add_argument("--seed", type=seed_number, required=True, help="of the first patient")
    sub.add_argument("--count", type=int, default=1, help="patients, seeds N, N+1, ... (1)")
    sub.add_argument("--output", required=True, metavar="DIR", help="folder of the cohort")
    sub.add_argument(
        "--grid",
        choices=("clinical", "coarse", "tiny"),
        default="clinical",
        help="voxel sizes: as in the study, as in the demo, or for quick trials (%(default)s)",
    )
