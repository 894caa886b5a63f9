"""Patients one after the other here, or at once in processes of dask, here or on a cluster."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import importlib.util
import logging
import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import SimpleITK as sitk
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.interrupts import interrupts_wait
from SyntheticCTLib.basics.processors import processors
from SyntheticCTLib.basics.progress import SILENT, NotedProgress, Progress
from SyntheticCTLib.basics.stages import tidy

from .patient import PatientTask, evaluate_patient

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_ONE_AT_A_TIME = threading.Lock()
_CONNECT_S = 20
_GONE = (concurrent.futures.CancelledError, asyncio.CancelledError)


@dataclass
class Outcome:
    """How a patient's evaluation ended.

    Attributes:
        task: the patient.
        error: why it failed, in a sentence; empty where it did not.
        warnings: what it warned of.
    """

    task: PatientTask
    error: str = ""
    warnings: list[str] = field(default_factory=list)


def attempt(task: PatientTask, progress: Progress = SILENT) -> Outcome:
    """Evaluate a patient, and return how that ended instead of raising."""
    noted = NotedProgress(progress)
    try:
        evaluate_patient(task, noted)
    except Exception as error:
        return Outcome(task, _sentence(error), noted.warnings)
    return Outcome(task, "", noted.warnings)


def has_dask() -> bool:
    """Whether patients can be evaluated at once."""
    return importlib.util.find_spec("distributed") is not None


def evaluate_on_dask(
    tasks: Sequence[PatientTask], workers: int, scheduler: str | None = None
) -> Iterator[Outcome]:
    """Evaluate patients at once and yield how they ended, as they end.

    When the generator is closed early, local workers and what they started are killed;
    workers of a cluster stop at their next step, as the folder they write to is gone.

    Args:
        workers: processes to start on this machine, which share its processors.
        scheduler: address of a cluster to use instead. Its workers need this program in the
            same version, and must see the files under the same paths.

    Raises:
        SyntheticCTError: nothing answers at ``scheduler``, or no longer.
    """
    from distributed import as_completed
    from distributed.comm import CommClosedError

    waiting = list(reversed(tasks))
    with _client(workers, scheduler) as client:

        def submit() -> Any:
            # Pure tasks of equal arguments would be run once.
            task = waiting.pop()
            return client.submit(_attempt_on_worker, task, key=task.folder.name, pure=False)

        # Here no more than are worked on, so that no patient waits at a worker that dies.
        ahead = len(tasks) if scheduler else min(workers, len(tasks))
        by_key = {task.folder.name: task for task in tasks}
        running = as_completed([submit() for _ in range(ahead)], loop=client.loop)
        for future in running:
            outcome = None
            try:
                if (error := future.exception()) is None:
                    outcome = future.result()
            except _GONE as lost:
                error = lost
            if isinstance(error, (*_GONE, CommClosedError)):
                raise SyntheticCTError(
                    f"The dask scheduler{f' at {scheduler}' if scheduler else ''} is gone: start "
                    "it again and run the same command; what was done until then is kept."
                ) from error
            yield outcome or Outcome(by_key[future.key], _lost(error, scheduler))
            if waiting:
                running.add(submit())


class _StopsWhenGone(Progress):
    """Ends the work of a patient whose cohort was interrupted and has removed its folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def report(self, step: str, fraction: float, **details: Any) -> None:
        if not self._folder.is_dir():
            raise SyntheticCTError(
                "The folder for the results is gone: the cohort was interrupted, or this worker "
                "does not see the output folder; use one that all machines share."
            )


def _attempt_on_worker(task: PatientTask) -> Outcome:
    # Threads of one worker would share ITK's and torch's settings, and the memory.
    with _ONE_AT_A_TIME:
        if os.environ.get("OMP_NUM_THREADS", "").isdigit():
            # dask limits the libraries that heed such variables; ITK has one of its own.
            threads = max(1, int(os.environ["OMP_NUM_THREADS"]))
            sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)
        return attempt(task, _StopsWhenGone(task.folder.parent))


def _sentence(error: BaseException) -> str:
    if isinstance(error, SyntheticCTError):
        return str(error)
    return f"{type(error).__name__}: {error}"


def _lost(error: BaseException, scheduler: str | None) -> str:
    from distributed.scheduler import KilledWorker

    if isinstance(error, KilledWorker):
        return "The process that evaluated this patient died, most likely for want of memory: " + (
            "use workers with more memory." if scheduler else "use fewer --workers."
        )
    if isinstance(error, ImportError):
        return f"The dask workers do not have this program ({error}): install it there."
    return _sentence(error)


@contextlib.contextmanager
def _client(workers: int, scheduler: str | None) -> Iterator[Any]:
    from distributed import Client

    if scheduler is not None:
        try:
            client = Client(scheduler, timeout=_CONNECT_S)
        except (OSError, ValueError) as error:
            raise SyntheticCTError(
                f"No dask scheduler answers at {scheduler}: start one and give its address, such "
                "as tcp://host:8786."
            ) from error
        log = logging.getLogger("distributed.client")
        level = log.level
        log.setLevel(logging.CRITICAL)  # its tracebacks would surround the sentence
        try:
            yield client
        finally:
            with contextlib.suppress(OSError, asyncio.TimeoutError):
                client.close()  # a scheduler that is gone answers no more
            log.setLevel(level)
        return
    with _local_cluster(workers) as cluster, Client(cluster) as client:
        yield client


@contextlib.contextmanager
def _local_cluster(workers: int) -> Iterator[Any]:
    import dask
    from distributed import LocalCluster

    threads = dict.fromkeys(_THREAD_VARIABLES, str(max(1, processors() // workers)))
    before = {name: os.environ.get(name) for name in threads}
    settings = {
        "distributed.nanny.pre-spawn-environ": threads,
        "distributed.scheduler.allowed-failures": 0,  # what wants too much memory does so again
    }
    cluster = None
    try:
        with interrupts_wait(), dask.config.set(settings):
            cluster = LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                processes=True,
                dashboard_address="127.0.0.1:0",  # it serves a page in any case: any free port
                memory_limit=0,  # a share of the memory is no limit for one patient
                silence_logs=logging.CRITICAL,
            )
        yield cluster
    except BaseException:
        if cluster is not None:
            _kill(cluster)
        raise
    finally:
        if cluster is not None:
            cluster.close()
        # dask sets them in this process for its children.
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _kill(cluster: Any) -> None:
    """End the workers and what they started at once: closing would wait for their patients."""
    import psutil

    for nanny in list(cluster.workers.values()):
        nanny.close_gracefully()  # or it would start its worker anew
        with contextlib.suppress(psutil.Error, TypeError):
            worker = psutil.Process(nanny.pid)
            worker.suspend()
            ended = [*worker.children(recursive=True), worker]
            for child in ended:
                with contextlib.suppress(psutil.Error):
                    child.kill()
            psutil.wait_procs(ended, timeout=5)
    tidy()  # working copies of the images that were being registered
