"""The node under load: series at once over several associations, kills at random moments, memory.

    .venv/bin/python Testing/Benchmarks/node_load.py --series 20 --associations 4
    .venv/bin/python Testing/Benchmarks/node_load.py --series 50 --kills 25

Prints how many series ended exactly once at the receiver (DCMTK's storescp), how long it took, and
the memory of the node and of its child that generates, after the first tenth and at the end.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import SimpleITK as sitk

sys.path.insert(0, str(Path(__file__).parents[1] / "Python"))

from dicom_node import (
    RECEIVER,
    NodeProcess,
    at_receiver,
    free_port,
    storescp,
    storescu,
    wait,
    write_series,
)
from SyntheticCTLib.phantom import TINY, make_phantom

HOURS_S = 4 * 3600.0


def memory_mb(process: int) -> list[float]:
    """Resident memory of a process and of its children (Linux)."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    found = []
    for number in (process, *map(int, children)):
        try:
            pages = int(Path(f"/proc/{number}/statm").read_text().split()[1])
        except OSError:
            continue
        if pages * 4096 / 2**20 > 30:  # not the tracker of multiprocessing
            found.append(round(pages * 4096 / 2**20))
    return found


def send_all(node: NodeProcess, folders: list[Path], associations: int) -> None:
    """Send every series until it was taken, several at once."""

    def one(folder: Path) -> None:
        while storescu(node.port, folder) != 0:
            time.sleep(0.5)

    with ThreadPoolExecutor(associations) as pool:
        list(pool.map(one, folders))


def kill_at_random(node: NodeProcess, times: int, stop: threading.Event) -> None:
    for _ in range(times):
        if stop.wait(random.uniform(2.0, 12.0)):
            return
        node.kill()
        node.start()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--series", type=int, default=20)
    parser.add_argument("--associations", type=int, default=4)
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--slices", type=int, default=12)
    options = parser.parse_args()
    mr = sitk.Cast(make_phantom(3001, TINY).mr, sitk.sitkUInt16)[:, :, 10 : 10 + options.slices]
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        folders = [write_series(root / f"mr{n}", mr, n) for n in range(options.series)]
        port = free_port()
        node = NodeProcess(
            root, "demo", "--quiet", "1", "--patience", "3600", "--outside-domain", "send",
            "--send-to", f"{RECEIVER}@127.0.0.1:{port}",
        )  # fmt: skip
        stop = threading.Event()
        with storescp(root / "rx", port), node:
            began = time.monotonic()
            killer = threading.Thread(target=kill_at_random, args=(node, options.kills, stop))
            killer.start()
            send_all(node, folders, options.associations)
            received = time.monotonic() - began
            early: list[float] = []
            while node.states() != {"sent": options.series} and time.monotonic() - began < HOURS_S:
                if not early and node.states()["sent"] >= max(options.series // 10, 2):
                    early = memory_mb(node.process.pid)
                time.sleep(0.5)
                if killer.is_alive() and node.process.poll() is not None:
                    wait(lambda: node.process.poll() is None)
            stop.set()
            killer.join()
            took = time.monotonic() - began
            late = memory_mb(node.process.pid)
            states = dict(node.states())
        whole = sum(number == options.slices for number in at_receiver(root / "rx").values())
        stray = len(at_receiver(root / "rx")) - whole
    print(
        f"{options.series} series over {options.associations} associations, {options.kills} kills"
    )
    print(f"states: {states}; at the receiver exactly once: {whole}, otherwise: {stray}")
    print(f"received in {received:.1f} s, all done in {took:.1f} s")
    print(f"memory of node and child (MiB): {early} after the first, {late} at the end")


if __name__ == "__main__":
    main()
