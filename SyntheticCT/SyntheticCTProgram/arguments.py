"""What the commands' options accept."""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.bundle.folder import bundle_folder

from .given import given_with_effect

if TYPE_CHECKING:
    from SyntheticCTEvalLib.evaluation.settings import EvaluationSettings
    from SyntheticCTEvalLib.gamma.criteria import Criterion

VOLUME_HELP = (
    "volume file (NRRD, NIfTI, MetaImage) or DICOM folder; of several series in a folder, "
    "FOLDER#SERIES takes one by its number, description or UID"
)


def seed_number(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no seed: give a whole number from 0 up")
    return int(text)


def model_folder(text: str) -> str:
    return str(read_as(bundle_folder, text))


def named_file(text: str) -> tuple[str, str]:
    from SyntheticCTEvalLib.evaluation.names import is_candidate_name

    name, separator, path = text.partition("=")
    if not separator or not path or not is_candidate_name(name):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not NAME=FILE with a name of letters, digits, spaces and -_.,()+ "
            "that is not CT"
        )
    return name, os.path.expanduser(path)


def _percents(text: str) -> tuple[float, ...]:
    from SyntheticCTEvalLib.gamma.criteria import parse_percents

    return read_as(parse_percents, text)


def _parsed_criteria(text: str) -> tuple[Criterion, ...]:
    from SyntheticCTEvalLib.gamma.criteria import parse_criteria

    return read_as(parse_criteria, text)


def read_as(read: Callable[[str], Any], text: str) -> Any:
    try:
        return read(text)
    except SyntheticCTError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def whole_count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of at least 1")
    return int(text)


def number(
    text: str, what: str, low: float, high: float, kind: Callable[[str], float] = float
) -> float:
    """Return a number from ``low`` to ``high``, or tell that ``text`` is not ``what``."""
    try:
        value = kind(text)
    except ValueError:
        value = math.nan
    if not low <= value <= high:
        raise argparse.ArgumentTypeError(f"{text!r} is not {what}")
    return value


def above_zero(text: str, below: float = math.inf) -> float:
    return number(text, "a number above 0", math.nextafter(0.0, 1.0), math.nextafter(below, 0.0))


def unique(pairs: list[tuple[str, str]], option: str) -> dict[str, str]:
    """Return what an option gives by name, or refuse a name that it gives twice."""
    names = [name.casefold() for name, _ in pairs]  # files of some systems know no case
    twice = [name for name, _ in pairs if names.count(name.casefold()) > 1]
    if twice:
        raise SyntheticCTError(f"{option} names {twice[0]} twice: give every one its own name.")
    return dict(pairs)


def _add_end_caps(sub: argparse.ArgumentParser) -> None:
    """Add how structures of an RTSTRUCT end."""
    sub.add_argument(
        "--no-end-caps",
        action="store_true",
        help="structures of an RTSTRUCT end at their last contours, as in some planning systems, "
        "not half a contour spacing beyond them",
    )


def _dvh_points(text: str) -> str:
    from SyntheticCTEvalLib.structures.dvh_points import checked_points

    return read_as(checked_points, text)


def _add_dvh_points(sub: argparse.ArgumentParser) -> None:
    """Add which points of dose-volume histograms are told."""
    sub.add_argument(
        "--dvh-points",
        type=_dvh_points,
        default="",
        metavar="TEXT",
        help='dose-volume points by structure, such as "PTV*: D98 D95 D2; Bladder: V40Gy Dmean" '
        "(those of common pelvic practice; +Bladder: ... adds to them)",
    )


def _add_acceptance(sub: argparse.ArgumentParser) -> None:
    """Add the limits that figures are held against."""
    sub.add_argument(
        "--acceptance",
        metavar="FILE_OR_NAME",
        help="limits that every candidate is held against: a TOML file, tg218 or korsholm2014; "
        "gamma criteria and dose-volume points that it names are computed as well",
    )


def _add_registration(sub: argparse.ArgumentParser, mr: str) -> None:
    """Add how candidates are laid on the true CT; ``mr`` says where the MR is given."""
    from SyntheticCTEvalLib.placement.ways import BYS, DEFORMABLE, EACH, WAYS

    sub.add_argument(
        "--registration",
        choices=WAYS,
        help="of the candidates onto the true CT: none (they lie there already), rigid, or rigid "
        f"and then deformable ({DEFORMABLE})",
    )
    sub.add_argument("--no-registration", action="store_true", help="short for --registration none")
    sub.add_argument(
        "--registration-by",
        choices=BYS,
        default=EACH,
        help="candidate: each candidate is registered onto the CT by itself, and bent by its own "
        f"errors; mr: one transform, found between the MR ({mr}) and the CT, carries the MR and "
        "all candidates (%(default)s)",
    )


def _add_dry_run(sub: argparse.ArgumentParser) -> None:
    """Add that nothing is to be done, but said what would be."""
    sub.add_argument(
        "--dry-run",
        action="store_true",
        help="read and check every input, say what would be used as what, what is missing and how "
        "long it will take, and write nothing; the exit code is 2 where something cannot be "
        "evaluated",
    )


def _add_paper(sub: argparse.ArgumentParser) -> None:
    """Add the paper that report.pdf is laid out for."""
    sub.add_argument(
        "--paper", choices=("a4", "letter"), default="a4", help="of report.pdf (%(default)s)"
    )


def _add_mask_nan(sub: argparse.ArgumentParser) -> None:
    """Add what becomes of voxels that are no numbers."""
    sub.add_argument(
        "--mask-nan",
        action="store_true",
        help="leave voxels of CT and candidates that are NaN or infinite out of every image "
        "figure; without it, and always in doses and in the MR, they are refused",
    )


def _add_gamma(sub: argparse.ArgumentParser) -> None:
    """Add the gamma criteria, what computes gamma, and the grid of a recalculated dose."""
    sub.add_argument(
        "--dose-spacing",
        type=float,
        default=3.0,
        metavar="MM",
        help="grid of a recalculated dose (%(default)s)",
    )
    sub.add_argument(
        "--dose-engine",
        choices=("pencil-beam", "montecarlo"),
        default="pencil-beam",
        help="what recalculates dose: a pencil beam, of the plan that is given or of seven fields "
        "of its own, or Monte Carlo of the plan that is given (%(default)s)",
    )
    sub.add_argument(
        "--dose-noise",
        type=float,
        metavar="PERCENT",
        help="Monte Carlo stops at this noise of the dose difference (0.15), once no pass rate by "
        "the first criterion is noisier than 0.3 points ...",
    )
    sub.add_argument(
        "--dose-minutes", type=float, metavar="MIN", help="... or after this time (15)"
    )
    sub.add_argument(
        "--criteria",
        type=_parsed_criteria,
        metavar="P/MM,...",
        help="gamma criteria, such as 1/1,2/2,3/2,3/3local: percent of the prescription (local: of "
        "the voxel's dose) and mm; the first makes the gamma map (1/1)",
    )
    sub.add_argument("--dose-percent", type=float, metavar="P", help="of one gamma criterion (1)")
    sub.add_argument("--distance-mm", type=float, metavar="MM", help="of one gamma criterion (1)")
    sub.add_argument(
        "--local",
        action="store_true",
        help="one gamma criterion whose dose difference is in percent of the voxel's dose",
    )
    sub.add_argument(
        "--cutoffs",
        type=_percents,
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


def add_densities(sub: argparse.ArgumentParser) -> None:
    """Add what is made of CT numbers and of leaves where dose is calculated."""
    sub.add_argument(
        "--leaf-transmission",
        type=lambda text: number(text, "a percentage from 0 to 10", 0, 10),
        default=0.0,
        metavar="PERCENT",
        help="of the photons, that closed leaves let through in Monte Carlo, as your machine's "
        "are measured (common: 0.5 to 2); default 0",
    )
    sub.add_argument(
        "--density-curve",
        metavar="CSV",
        help="columns HU and density (relative to water) that Monte Carlo takes in place of the "
        "program's own",
    )
    sub.add_argument(
        "--override",
        action="append",
        default=[],
        metavar="NAME=HU",
        help="CT number of a structure (of --structures) in every volume that dose is calculated "
        "in; may be given several times",
    )
    sub.add_argument(
        "--couch",
        action="append",
        default=[],
        metavar="NAME=HU",
        help="structure (of --structures) that is laid in outside the body in every volume that "
        "dose is calculated in, where all is air otherwise; may be given several times",
    )


def require_structures(options: argparse.Namespace) -> None:
    """Refuse overrides and a couch without the structures that they name."""
    if (options.override or options.couch) and not options.structures:
        raise SyntheticCTError("--override and --couch name structures: give --structures as well.")


def densities(options: argparse.Namespace) -> dict[str, Any]:
    """Return the curve (empty for the program's own) and the overrides that are asked for."""
    from SyntheticCTEvalLib.dose.overrides import parse_overrides
    from SyntheticCTEvalLib.montecarlo.density_curve import read_density_curve

    path = options.density_curve
    return {
        "density_curve": read_density_curve(path) if path else (),
        "overrides": (
            *parse_overrides(options.override),
            *parse_overrides(options.couch, couch=True),
        ),
    }


def add_evaluation(sub: argparse.ArgumentParser, mr: str) -> None:
    """Add the options that evaluate and cohort share; ``mr`` says where the MR is given."""
    sub.add_argument("--no-dose", action="store_true", help="images only")
    _add_end_caps(sub)
    _add_registration(sub, mr)
    _add_mask_nan(sub)
    _add_gamma(sub)
    add_densities(sub)
    _add_dvh_points(sub)
    _add_acceptance(sub)
    _add_paper(sub)
    _add_dry_run(sub)


def evaluation_settings(options: argparse.Namespace, **own: Any) -> EvaluationSettings:
    """Return what the options that evaluate and cohort share ask for, and what is ``own``.

    Raises:
        SyntheticCTError: options that contradict each other, or a value without meaning.
    """
    from SyntheticCTEvalLib.evaluation.settings import MONTE_CARLO, EvaluationSettings

    effort = given_with_effect(
        options,
        "dose_noise",
        "dose_minutes",
        done=options.dose_engine == MONTE_CARLO,
        otherwise=f"says when Monte Carlo stops: give --dose-engine {MONTE_CARLO} as well",
    )
    if "dose_noise" in effort:
        effort["dose_noise_percent"] = effort.pop("dose_noise")
    return EvaluationSettings(
        registration=_registration(options),
        registration_by=options.registration_by,
        dose=not options.no_dose,
        criteria=_criteria(options),
        cutoffs_percent=options.cutoffs,
        dose_spacing_mm=options.dose_spacing,
        gamma_cap=options.gamma_cap,
        gamma_engine=options.gamma_engine,
        dose_engine=options.dose_engine,
        **effort,
        leaf_transmission_percent=options.leaf_transmission,
        **densities(options),
        dvh_points=options.dvh_points,
        mask_nan=options.mask_nan,
        **own,
    )


def _registration(options: argparse.Namespace) -> str:
    from SyntheticCTEvalLib.placement.ways import DEFORMABLE, NONE

    if not options.no_registration:
        return options.registration or DEFORMABLE
    if options.registration not in (None, NONE):
        raise SyntheticCTError(
            f"--no-registration and --registration {options.registration} contradict each other: "
            "give one of them."
        )
    return NONE


def _criteria(options: argparse.Namespace) -> tuple[Criterion, ...]:
    from SyntheticCTEvalLib.gamma.criteria import Criterion

    one = {"dose_percent": options.dose_percent, "distance_mm": options.distance_mm}
    one = {name: value for name, value in one.items() if value is not None}
    if options.local:
        one["local"] = True
    if options.criteria and one:
        raise SyntheticCTError(
            "--criteria names whole criteria: leave out --dose-percent, --distance-mm and --local, "
            "or write them as one, such as --criteria 2/3local."
        )
    return options.criteria or (Criterion(**one),)


def add_structures_registration(sub: argparse.ArgumentParser) -> None:
    sub.add_argument(
        "--structures-registration",
        metavar="REG",
        help="DICOM Spatial Registration between the frames of reference of an RTSTRUCT and of "
        "the image, or a deformable one into the image's; without it, one that lies beside the "
        "RTSTRUCT",
    )
