"""Programs that register images, run in a folder of their own: told progress, checked ends."""

from __future__ import annotations

import signal
import subprocess
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from SyntheticCTLib.basics.errors import SyntheticCTError

LAST_LINES = 8
"""Lines of a program's output that an error sentence quotes."""


def run_program(
    command: Sequence[str | Path],
    folder: Path,
    expected: Sequence[str],
    name: str,
    on_line: Callable[[str], str | None] = lambda line: None,
) -> list[str]:
    """Run ``command`` in ``folder`` and return the last lines that it printed.

    Args:
        expected: files that the program must have written when it ends; older ones are removed.
        name: of the program, for people.
        on_line: told each line; returns what the program complains of in it, None for nothing.

    Raises:
        SyntheticCTError: the program cannot be started, ended with an error, told of one while
            ending well, or did not write its results; with its last lines.
    """
    for file in expected:
        (folder / file).unlink(missing_ok=True)
    tail: deque[str] = deque(maxlen=LAST_LINES)
    complaint = None
    try:
        process = subprocess.Popen(
            [str(part) for part in command],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
    except OSError as error:
        raise SyntheticCTError(
            f"The program {name} cannot be started ({error.strerror}): check that "
            f"{Path(command[0]).name} is there and may be run."
        ) from error
    with process:
        try:
            for line in process.stdout or ():
                line = line.rstrip()
                if line:
                    tail.append(line)
                complaint = on_line(line) or complaint
        except BaseException:
            process.kill()
            raise
        status = process.wait()
    missing = [file for file in expected if not (folder / file).is_file()]
    if not (status or complaint or missing):
        return list(tail)
    if status == -signal.SIGKILL:
        raise SyntheticCTError(
            f"The registration failed, {name} was ended by the system, for instance for want of "
            "memory: try again with less at once."
        )
    reason = (
        f"ended with status {status}"
        if status
        else f"said '{complaint}'"
        if complaint
        else f"did not write {', '.join(missing)}"
    )
    raise SyntheticCTError(
        f"The registration failed, {name} {reason}: check that the two images show the same part "
        f"of one patient; its last lines: {' | '.join(tail)}"
    )
