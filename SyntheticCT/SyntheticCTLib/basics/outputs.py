"""Writing results so that a failure leaves nothing half-written and no input is overwritten."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from .errors import SyntheticCTError
from .interrupts import interrupts_wait

STAGE_PREFIX = ".partial-"
_STAGES: set[Path] = set()
"""Temporary folders of results that are being written."""


def refuse_overwrite(output: str | os.PathLike, inputs: Iterable[str | os.PathLike]) -> None:
    """Raise SyntheticCTError where ``output`` is one of ``inputs``, or lies in or around one."""
    target = Path(output).resolve()
    for item in inputs:
        source = Path(item).resolve()
        if target == source or target in source.parents:
            raise SyntheticCTError(
                f"The output {output} would overwrite the input {item}: choose another output."
            )
        if source in target.parents:
            raise SyntheticCTError(
                f"The output {output} lies inside the input {item}: choose a place outside it."
            )


def require_writable_folder(folder: str | os.PathLike) -> Path:
    """Create ``folder`` where it is missing and return it.

    Raises:
        SyntheticCTError: the folder cannot be made or written to.
    """
    path = Path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
        with interrupts_wait(), tempfile.NamedTemporaryFile(dir=path):
            pass
    except OSError as error:
        raise SyntheticCTError(
            f"The output folder {path} cannot be written to ({error.strerror}): "
            "choose another folder or change its permissions."
        ) from error
    return path


@contextlib.contextmanager
def staged_file(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary path of the same suffix; it becomes ``path`` only on success."""
    target = Path(path)
    if target.is_dir():
        raise SyntheticCTError(f"The output {target} is a folder: give a file name.")
    with _stage(require_writable_folder(target.parent)) as stage:
        yield stage / target.name
        os.replace(stage / target.name, target)


@contextlib.contextmanager
def staged_folder(
    path: str | os.PathLike, inputs: Iterable[str | os.PathLike] = ()
) -> Iterator[Path]:
    """Yield a temporary folder; on success everything in it is moved into ``path``.

    Files of the same name from an earlier run are replaced, other files stay.

    Raises:
        SyntheticCTError: ``path`` is not writable, or a result would replace one of ``inputs``;
            nothing has been moved then.
    """
    inputs = list(inputs)
    target = require_writable_folder(path)
    with _stage(target) as stage:
        yield stage
        results = sorted(stage.iterdir())
        for item in results:
            refuse_overwrite(target / item.name, inputs)
            _refuse_other_folder(target / item.name, item)
        with interrupts_wait():
            for item in results:
                destination = target / item.name
                if destination.is_dir() and not destination.is_symlink():
                    shutil.rmtree(destination)
                os.replace(item, destination)


def _refuse_other_folder(old: Path, new: Path) -> None:
    """Refuse to replace a folder of the same name with which the results have no file in common."""
    if old.is_dir() and not old.is_symlink():
        there = {path.name for path in old.iterdir()}
        mine = {path.name for path in new.iterdir()} if new.is_dir() else set()
        if there and not there & mine:
            raise SyntheticCTError(
                f"The folder {old} holds files of another kind and would be replaced: choose "
                "another output, or move it."
            )


def discard_stages() -> None:
    """Remove what is left where an interrupt came just before a stage was to be removed."""
    for stage in list(_STAGES):
        shutil.rmtree(stage, ignore_errors=True)
        _STAGES.discard(stage)


@contextlib.contextmanager
def _stage(folder: Path) -> Iterator[Path]:
    """Yield a new temporary folder in ``folder``; it is gone afterwards."""
    stage = folder / f"{STAGE_PREFIX}{secrets.token_hex(4)}"
    _STAGES.add(stage)
    try:
        stage.mkdir(mode=0o700)
        yield stage
    finally:
        with interrupts_wait():  # rmtree, interrupted, closes its files twice and fails of that
            shutil.rmtree(stage, ignore_errors=True)
        _STAGES.discard(stage)
