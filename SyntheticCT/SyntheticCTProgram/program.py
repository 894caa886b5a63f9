"""The command line ``synthetic-ct``: its options, its exit codes and its error sentences."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Sequence

from SyntheticCTLib import __version__
from SyntheticCTLib.basics.errors import IncompleteError, SyntheticCTError
from SyntheticCTLib.basics.outputs import nothing_left
from SyntheticCTLib.basics.progress import JsonProgress, Progress, terminal_progress
from SyntheticCTLib.basics.stages import full_disk_told, tidy

from .cohort import add_cohort
from .demo import add_demo
from .dose import add_dose
from .evaluate import add_evaluate
from .export import add_export
from .images import add_generate, add_normalize, add_register
from .phantom import add_phantom
from .plan import add_plan
from .read_rt import add_read_rt
from .serve import add_serve
from .sort import add_sort
from .train import add_train

BAD_INPUT = 2
INTERRUPTED = 130
FAILED = 1

COMMANDS = (
    add_demo,
    add_phantom,
    add_sort,
    add_train,
    add_normalize,
    add_generate,
    add_register,
    add_export,
    add_read_rt,
    add_serve,
    add_plan,
    add_dose,
    add_evaluate,
    add_cohort,
)
"""Each adds one command: its options, and the function that runs it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    0: the result is complete and written; 1: a fault of the program, or a cohort without some
    of its patients; 2: bad input or usage; 130: interrupted. After anything but 0 nothing
    half-written is left, and no empty folder that was not there.
    """
    options = build_parser().parse_args(arguments)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _asked_to_end)
        if hasattr(signal, "SIGHUP"):  # the terminal was closed
            signal.signal(signal.SIGHUP, _asked_to_end)
    progress: Progress = JsonProgress() if options.progress == "json" else terminal_progress()
    try:
        tidy()
        with nothing_left(), full_disk_told("A file"):
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
        if threading.current_thread() is threading.main_thread():
            signal.signal(
                signal.SIGINT, signal.SIG_IGN
            )  # all is tidied; one more would show a trace
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
    """Return the parser of all"""
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

    for add in COMMANDS:
        add(command)
    return parser
