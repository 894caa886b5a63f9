"""The command line ``synthetic-ct``: its options, its exit codes and its error sentences."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Sequence

from . import __version__, commands
from .bundle import bundle_folder
from .cohort_command import add_cohort
from .errors import IncompleteError, SyntheticCTError
from .image_commands import add_generate, add_normalize, add_register
from .outputs import discard_stages
from .progress import JsonProgress, Progress, TerminalProgress

BAD_INPUT = 2
INTERRUPTED = 130
FAILED = 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    0: the result is complete and written; 1: a fault of the program, or a cohort without some
    of its patients; 2: bad input or usage; 130: interrupted. After anything but 0 nothing
    half-written is left.
    """
    options = build_parser().parse_args(arguments)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _asked_to_end)
        if hasattr(signal, "SIGHUP"):  # the terminal was closed
            signal.signal(signal.SIGHUP, _asked_to_end)
    progress: Progress = JsonProgress() if options.progress == "json" else TerminalProgress()
    try:
        outputs = options.run(options, progress)
    except IncompleteError as error:
        return _failed(options, progress, str(error), FAILED)
    except SyntheticCTError as error:
        return _failed(options, progress, str(error), BAD_INPUT)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nobody reads any more
        sentence = "Nobody reads the progress any more: the work was stopped."
        return _failed(options, progress, sentence, FAILED)
    except KeyboardInterrupt:
        discard_stages()
        return _failed(options, progress, "Interrupted; nothing half-written is left.", INTERRUPTED)
    except Exception as error:
        sentence = f"The program failed ({type(error).__name__}: {error}): run again with --debug."
        return _failed(options, progress, sentence, FAILED)
    progress.done(**outputs)
    progress.close()
    return 0


def _asked_to_end(number: int, frame: object) -> None:
    """Tidy up as after Ctrl-C where another program asks for the end, and only once."""
    signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _failed(options: argparse.Namespace, progress: Progress, sentence: str, code: int) -> int:
    progress.close()
    if options.debug:
        traceback.print_exc()
    print(f"synthetic-ct: {sentence}", file=sys.stderr)
    return code


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="synthetic-ct",
        description="Synthetic CT from T2-weighted MR of the pelvis, held against CT and MRCAT. "
        "For research use, not a medical device.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)

    def command(name: str, run: Callable, summary: str, details: str) -> argparse.ArgumentParser:
        sub = subparsers.add_parser(name, help=summary, description=f"{summary}. {details}")
        sub.set_defaults(run=run)
        sub.add_argument(
            "--progress",
            choices=("bar", "json"),
            default="bar",
            help="bars on the terminal, or one JSON line an event on standard output",
        )
        sub.add_argument("--debug", action="store_true", help="show the traceback of an error")
        return sub

    _add_demo(command)
    _add_phantom(command)
    _add_train(command)
    add_normalize(command, _model)
    add_generate(command, _model)
    add_register(command)
    _add_evaluate(command)
    add_cohort(command, _model)
    return parser


def _add_demo(command: Callable) -> None:
    sub = command(
        "demo",
        commands.demo,
        "Run the whole chain on a digital patient",
        "Makes a phantom that the demo model has not seen, its synthetic CT and MRCAT, registers "
        "both onto the CT, recalculates dose, and writes report.html, scene.mrb and metrics.json.",
    )
    sub.add_argument("--output", required=True, metavar="DIR", help="folder of the results")
    sub.add_argument(
        "--seed", type=_seed, default=1001, help="of the digital patient (%(default)s)"
    )
    sub.add_argument(
        "--full", action="store_true", help="the clinical grid (512 x 512), which takes longer"
    )
    sub.add_argument(
        "--model", type=_model, metavar="BUNDLE", help="another model than the demo model"
    )


def _add_phantom(command: Callable) -> None:
    sub = command(
        "phantom",
        commands.phantom,
        "Make digital patients",
        "Each has MR, CT, mDixon, MRCAT, labels, structures and the known deformation between "
        "MR and CT; a manifest.csv lists them for train and cohort. Same seed, same bytes.",
    )
    sub.add_argument("--seed", type=_seed, required=True, help="of the first patient")
    sub.add_argument("--count", type=int, default=1, help="patients, seeds N, N+1, ... (1)")
    sub.add_argument("--output", required=True, metavar="DIR", help="folder of the cohort")
    sub.add_argument(
        "--grid",
        choices=("clinical", "coarse", "tiny"),
        default="clinical",
        help="voxel sizes: as in the study, as in the demo, or for quick trials (%(default)s)",
    )


def _add_train(command: Callable) -> None:
    sub = command(
        "train",
        commands.train,
        "Train a model on pairs of MR and CT",
        "The manifest has the columns patient, mr, ct and optionally registered (yes: the MR "
        "already lies on the CT) and use (train or validation). Defaults are the study's. Pairs "
        "and the last checkpoint are kept in BUNDLE.training.",
    )
    sub.add_argument("manifest", metavar="MANIFEST.csv")
    sub.add_argument("--output", required=True, metavar="BUNDLE", help="folder of the model")
    sub.add_argument("--epochs", type=int, default=100, help="passes over all slabs (%(default)s)")
    sub.add_argument("--width", type=int, default=64, help="channels of level one (%(default)s)")
    sub.add_argument("--depth", type=int, default=4, help="down-samplings (%(default)s)")
    sub.add_argument("--blocks", type=int, default=4, help="residual blocks (%(default)s)")
    sub.add_argument("--size", type=int, default=512, help="pixels of a slab (%(default)s)")
    sub.add_argument("--batch", type=int, default=3, help="slabs a step (%(default)s)")
    sub.add_argument("--learning-rate", type=float, default=2e-4, help="of Adam (%(default)s)")
    sub.add_argument(
        "--decay-epochs",
        type=int,
        default=0,
        help="last epochs over which the learning rate falls towards 0 (%(default)s)",
    )
    sub.add_argument("--l1-weight", type=float, default=1.0, help="of the L1 loss (%(default)s)")
    sub.add_argument(
        "--adversarial-weight", type=float, default=1.0, help="of the other loss (%(default)s)"
    )
    sub.add_argument("--spacing", type=float, metavar="MM", help="in-plane grid (the CT's own)")
    sub.add_argument(
        "--hu-range",
        type=float,
        nargs=2,
        default=(-1024.0, 2048.0),
        metavar=("LOW", "HIGH"),
        help="CT numbers that -1 and 1 stand for (-1024 2048)",
    )
    sub.add_argument("--seed", type=_seed, default=0, help="of weights and order (%(default)s)")
    sub.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    sub.add_argument("--workers", type=int, default=1, help="pairs registered at once (1)")
    sub.add_argument("--domain", default="", help="what the model is for, in words")
    sub.add_argument("--resume", action="store_true", help="go on from the last checkpoint")


def _add_evaluate(command: Callable) -> None:
    sub = command(
        "evaluate",
        commands.evaluate,
        "Hold synthetic CTs against the true CT",
        "Registers every candidate onto the CT, then MAE, SSIM, body DSC and gamma of dose. "
        "Without dose files the dose is recalculated on every volume with one plan.",
    )
    sub.add_argument("--ct", required=True, help="true CT: volume file or DICOM folder")
    sub.add_argument(
        "--candidate",
        required=True,
        action="append",
        type=_named,
        metavar="NAME=VOLUME",
        help="volume to judge; may be given several times",
    )
    sub.add_argument("--mr", help="the MR, shown in the report")
    sub.add_argument(
        "--model",
        type=_model,
        metavar="BUNDLE",
        help="with --mr: shows its histogram among the model's scans; demo for the demo model",
    )
    sub.add_argument("--dose-ct", metavar="DOSE", help="dose on the true CT (RTDOSE or volume)")
    sub.add_argument(
        "--dose",
        action="append",
        default=[],
        type=_named,
        metavar="NAME=DOSE",
        help="dose on that candidate; may be given several times",
    )
    sub.add_argument("--dose-unit", choices=("Gy", "cGy"), help="of dose volumes that name none")
    sub.add_argument("--no-dose", action="store_true", help="images only")
    sub.add_argument(
        "--prescription",
        type=float,
        metavar="GY",
        help="prescription dose: gamma's percentages and cutoffs refer to it "
        "(45 when dose is recalculated, the largest reference dose when it is imported)",
    )
    sub.add_argument("--structures", metavar="FILE", help="RTSTRUCT, .seg.nrrd or label map")
    sub.add_argument(
        "--no-end-caps",
        action="store_true",
        help="structures of an RTSTRUCT end at their last contours, as in some planning systems, "
        "not half a contour spacing beyond them",
    )
    sub.add_argument("--target", metavar="NAME", help="structure that the fields are shaped to")
    sub.add_argument("--region", metavar="MASK", help="limits every figure to this mask")
    sub.add_argument(
        "--no-registration", action="store_true", help="the candidates already lie on the CT"
    )
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
    sub.add_argument(
        "--no-scene",
        action="store_true",
        help="no scene.mrb, which needs slicer-core; instead, uncompressed, what Slicer's module "
        "makes its scene of",
    )
    sub.add_argument("--output", required=True, metavar="DIR", help="folder of the results")


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no seed: give a whole number from 0 up")
    return int(text)


def _model(text: str) -> str:
    try:
        return str(bundle_folder(text))
    except SyntheticCTError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _named(text: str) -> tuple[str, str]:
    name, separator, path = text.partition("=")
    if not separator or not path or not is_candidate_name(name):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not NAME=FILE with a name of letters, digits, spaces and -_.,()+ "
            "that is not CT"
        )
    return name, os.path.expanduser(path)


def is_candidate_name(name: str) -> bool:
    """Whether a candidate may be called so: its name becomes part of file names."""
    allowed = all(letter.isalnum() or letter in " -_.,()+" for letter in name)
    taken = name.lower() == "ct" or name.lower().startswith("difference_")
    return allowed and 0 < len(name) <= 100 and name == name.strip(" .") and not taken


def _percents(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a list of percents: write, for example, 10,60"
        ) from None
