"""Folders in which results and working copies are made, and what killed programs left of them.

A folder in use holds a file that its program keeps locked. The system gives the lock back when
the program ends, however it ends, so that the next program knows which folders are abandoned.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from .errors import NoRoomError, SyntheticCTError
from .interrupts import interrupts_wait

STAGE_PREFIX, WORK_PREFIX = ".partial-", "registration-"
"""Begin the names of folders in which results, and working copies of images, are made."""

IN_USE = ".in-use"
"""The file in such a folder that is locked while the folder is used."""

_NO_ROOM = (errno.ENOSPC, errno.EFBIG, errno.EIO, getattr(errno, "EDQUOT", errno.ENOSPC))
_UNMARKED_S = 3600.0  # so old, a folder without the file cannot be one that is just being made
_STAGES: set[Path] = set()


def users_path(path: str | os.PathLike) -> Path:
    """Return ``path`` as its user knows it: where results will lie when they are whole."""
    return Path(*(part for part in Path(path).parts if not part.startswith(STAGE_PREFIX)))


def no_room(path: str | os.PathLike, reason: str | None = None) -> NoRoomError:
    """Return the error that ``path`` cannot be written for want of room."""
    return NoRoomError(
        f"{users_path(path)} cannot be written{f' ({reason})' if reason else ''}: make sure that "
        "there is room on the disk, or choose another place."
    )


@contextlib.contextmanager
def full_disk_told(path: str | os.PathLike) -> Iterator[None]:
    """Raise :func:`no_room` for ``path`` where what runs inside meets a full disk."""
    try:
        yield
    except OSError as error:
        # numpy gives no number: "100 requested and 7 written".
        if error.errno in _NO_ROOM or (error.errno is None and "written" in str(error)):
            raise no_room(path, error.strerror) from error
        raise


@contextlib.contextmanager
def stage_in(folder: Path) -> Iterator[Path]:
    """Yield a new hidden folder in ``folder``, which exists; it is gone afterwards.

    Those that killed programs have left there are removed first.
    """
    with _stage(folder, STAGE_PREFIX) as stage:
        yield stage


@contextlib.contextmanager
def work_folder(prefix: str = WORK_PREFIX) -> Iterator[Path]:
    """Yield a new folder for working copies in the system's temporary folder; gone afterwards.

    Those of that prefix that killed programs have left there are removed first.

    Raises:
        SyntheticCTError: there is no such folder, or no room in it.
    """
    try:
        temporary = Path(tempfile.gettempdir())
    except FileNotFoundError as error:
        raise SyntheticCTError(
            "No temporary folder can be written to: make room on its disk, or name another in "
            "TMPDIR."
        ) from error
    with full_disk_told(temporary), _stage(temporary, prefix) as work:
        yield work


def tidy(folder: str | os.PathLike | None = None, prefix: str = WORK_PREFIX) -> None:
    """Remove what killed programs left in ``folder``.

    When it is None, what they left in the temporary folder under names that begin with ``prefix``.
    """
    with contextlib.suppress(OSError):
        if folder is None:
            _remove_abandoned(Path(tempfile.gettempdir()), prefix)
        else:
            _remove_abandoned(Path(folder), STAGE_PREFIX)


def discard_stages() -> None:
    """Remove what is left where an interrupt came just before a stage was to be removed."""
    for stage in list(_STAGES):
        shutil.rmtree(stage, ignore_errors=True)
        _STAGES.discard(stage)


@contextlib.contextmanager
def _stage(folder: Path, prefix: str) -> Iterator[Path]:
    _remove_abandoned(folder, prefix)
    mark = None
    stage = folder / f"{prefix}{secrets.token_hex(4)}"
    _STAGES.add(stage)
    try:
        stage.mkdir(mode=0o700)
        mark = (stage / IN_USE).open("wb")
        lock(mark, wait=True)
        if not (stage / IN_USE).exists():  # another program took it for abandoned meanwhile
            stage.mkdir(mode=0o700, exist_ok=True)
        yield stage
    finally:
        with interrupts_wait():  # rmtree, interrupted, closes its files twice and fails of that
            if mark is not None:
                mark.close()  # Windows removes no open file
            shutil.rmtree(stage, ignore_errors=True)
        _STAGES.discard(stage)


def _remove_abandoned(folder: Path, prefix: str) -> None:
    for stage in folder.glob(f"{prefix}*"):
        if stage in _STAGES or not stage.is_dir() or stage.is_symlink():
            continue
        with contextlib.suppress(OSError), interrupts_wait():
            mark = stage / IN_USE
            if mark.is_file():
                with mark.open("r+b") as file:
                    if not lock(file, wait=False):
                        continue
            elif time.time() - stage.stat().st_mtime < _UNMARKED_S:
                continue
            shutil.rmtree(stage, ignore_errors=True)


def lock(file: IO[bytes], *, wait: bool) -> bool:
    """Lock a file until it is closed; whether that was done (not every disk can)."""
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        return False
    return True
