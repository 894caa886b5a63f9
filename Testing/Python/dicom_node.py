"""The node as a program of its own, DCMTK's storescu and storescp as the other sides."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
import SimpleITK as sitk
from mr_series import write_mr
from pydicom.errors import InvalidDicomError
from pydicom.uid import generate_uid

T2 = {
    "SeriesDescription": "T2w TSE tra",
    "EchoTime": 100.0,
    "RepetitionTime": 4000.0,
    "ScanningSequence": "SE",
}
NAME = "Quastenflosser"
RECEIVER, NODE = "PLAN", "SCT"


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def write_series(folder: Path, mr: sitk.Image, number: int = 0, **elements: object) -> Path:
    """An MR as a T2-weighted series of a patient, study and frame of its own."""
    own = {
        "StudyInstanceUID": generate_uid(),
        "SeriesInstanceUID": generate_uid(),
        "FrameOfReferenceUID": generate_uid(),
        "PatientID": f"QX{number}99",
        "PatientName": f"{NAME}{number}^Wilhelmine",
    }
    write_mr(folder, mr, **(T2 | own | elements))
    return folder


def program(name: str) -> str:
    """Path of a program of DCMTK; skips where it is not installed."""
    found = shutil.which(name)
    if not found:
        pytest.skip(f"{name} (Debian's dcmtk) is not installed")
    return found


def storescu(port: int, *paths: Path, title: str = "MR1", called: str = NODE, more=()) -> int:
    command = [program("storescu"), "-aet", title, "-aec", called, "+sd", *more]
    where = ["127.0.0.1", str(port), *map(str, paths)]
    return subprocess.run([*command, *where], capture_output=True, check=False).returncode


@contextlib.contextmanager
def storescp(folder: Path, port: int, *more: str) -> Iterator[subprocess.Popen]:
    """A receiver that keeps what it gets in ``folder``, a file an instance."""
    folder.mkdir(exist_ok=True)
    command = [program("storescp"), "--fork", "-aet", RECEIVER, "-od", str(folder), *more]
    with subprocess.Popen([*command, str(port)], stdout=subprocess.DEVNULL) as process:
        try:
            wait(lambda: listens(port))
            yield process
        finally:
            process.kill()


def listens(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def wait(until, seconds: float = 180.0) -> None:
    ends = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < ends, "it takes too long"
        time.sleep(0.05)


def at_receiver(folder: Path) -> Counter:
    """How many different CT slices the receiver has, by MR study; it may be at work."""
    found: dict[str, set[str]] = {}
    for path in folder.iterdir():
        try:
            header = pydicom.dcmread(path, stop_before_pixels=True)
        except (InvalidDicomError, EOFError, FileNotFoundError):  # it is just being written
            continue
        if header.get("Modality") == "CT" and "SeriesInstanceUID" in header:
            found.setdefault(header.StudyInstanceUID, set()).add(header.SOPInstanceUID)
    return Counter({study: len(names) for study, names in found.items()})


class NodeProcess:
    """``synthetic-ct serve`` as a process that can be killed and started again."""

    def __init__(self, folder: Path, model: str, *more: str) -> None:
        self.spool, self.port, self._log = folder / "spool", 0, folder / "serve.out"
        self._options = ["--model", model, *more]
        self.process: subprocess.Popen | None = None

    def start(self) -> NodeProcess:
        """Start it, at first on a port that the system chooses, later on the same."""
        command = [sys.executable, "-m", "SyntheticCTLib", "serve", "--folder", str(self.spool)]
        command += ["--port", str(self.port), *self._options]
        with self._log.open("ab") as log:
            before = log.tell()
            self.process = subprocess.Popen(command, stdout=log, stderr=log)

        def port() -> re.Match | None:
            return re.search(rb"started: .* port (\d+)\n", self._log.read_bytes()[before:])

        self.wait(port)
        self.port = int(port()[1])
        return self

    def wait(self, until, seconds: float = 180.0) -> None:
        """Wait, however slow the machine is, but not for a node that has ended."""
        ends = time.monotonic() + seconds
        while not until():
            assert self.process.poll() is None, f"the node has ended:\n{self.said()}"
            assert time.monotonic() < ends, f"it takes too long:\n{self.said()}"
            time.sleep(0.05)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(180)

    def __enter__(self) -> NodeProcess:
        return self.start()

    def __exit__(self, *error: object) -> None:
        if any(error):
            print(self.said())
        if self.process.poll() is None:
            self.kill()

    def series(self) -> list[dict]:
        """What its records say, as any other program sees them."""
        paths = sorted((self.spool / "series").glob("*/series.json"))
        return [json.loads(path.read_text()) | {"folder": path.parent} for path in paths]

    def states(self) -> Counter:
        return Counter(one["state"] for one in self.series())

    def said(self) -> str:
        """All that it writes for people."""
        logs = [self._log, *self.spool.glob("node.log*"), *self.spool.glob("series/*/*.json")]
        return "\n".join(path.read_text(errors="replace") for path in logs)
