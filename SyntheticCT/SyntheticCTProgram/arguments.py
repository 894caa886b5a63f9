"""What the commands' options accept."""

from __future__ import annotations

import argparse
import os

from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.bundle.folder import bundle_folder

VOLUME_HELP = (
    "volume file (NRRD, NIfTI, MetaImage) or DICOM folder; of several series in a folder, "
    "FOLDER#SERIES takes one by its number, description or UID"
)


def seed_number(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no seed: give a whole number from 0 up")
    return int(text)


def model_folder(text: str) -> str:
    try:
        return str(bundle_folder(text))
    except SyntheticCTError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def named_file(text: str) -> tuple[str, str]:
    from SyntheticCTEvalLib.evaluation.names import is_candidate_name

    name, separator, path = text.partition("=")
    if not separator or not path or not is_candidate_name(name):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not NAME=FILE with a name of letters, digits, spaces and -_.,()+ "
            "that is not CT"
        )
    return name, os.path.expanduser(path)


def percents(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a list of percents: write, for example, 10,60"
        ) from None


def whole_count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of at least 1")
    return int(text)


def add_end_caps(sub: argparse.ArgumentParser) -> None:
    """Add how structures of an RTSTRUCT end."""
    sub.add_argument(
        "--no-end-caps",
        action="store_true",
        help="structures of an RTSTRUCT end at their last contours, as in some planning systems, "
        "not half a contour spacing beyond them",
    )


def add_mask_nan(sub: argparse.ArgumentParser) -> None:
    """Add what becomes of voxels that are no numbers."""
    sub.add_argument(
        "--mask-nan",
        action="store_true",
        help="leave voxels of CT and candidates that are NaN or infinite out of every image "
        "figure; without it, and always in doses and in the MR, they are refused",
    )


def add_gamma(sub: argparse.ArgumentParser) -> None:
    """Add the gamma criterion and what computes it."""
    sub.add_argument(
        "--dose-percent", type=float, default=1.0, metavar="P", help="gamma criterion (%(default)s)"
    )
    sub.add_argument(
        "--distance-mm", type=float, default=1.0, metavar="MM", help="gamma criterion (%(default)s)"
    )
    sub.add_argument(
        "--local",
        action="store_true",
        help="gamma's dose difference in percent of the voxel's dose, not of the prescription",
    )
    sub.add_argument(
        "--cutoffs",
        type=percents,
        default=(10.0, 60.0),
        metavar="P,P",
        help="a pass rate each: of the voxels with at least so many percent of the "
        "prescription (10,60)",
    )
    sub.add_argument(
        "--gamma-cap", type=float, default=2.0, metavar="G", help="largest gamma (%(default)s)"
    )
    sub.add_argument(
        "--gamma-engine",
        choices=("exact", "pymedphys"),
        default="exact",
        help="exact minimum in each voxel cell, or pymedphys' sampling (%(default)s)",
    )
