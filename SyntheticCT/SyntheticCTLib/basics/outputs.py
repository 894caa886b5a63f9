"""Writing results so that a failure leaves nothing half-written and no input is overwritten."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from .errors import SyntheticCTError
from .inputs import folder_and_series
from .interrupts import interrupts_wait
from .stages import IN_USE, discard_stages, full_disk_told, stage_in, users_path

_MADE: set[Path] = set()
"""Folders that were not there before, since :func:`nothing_left` began."""


def refuse_overwrite(output: str | os.PathLike, inputs: Iterable[str | os.PathLike]) -> None:
    """Raise SyntheticCTError where ``output`` is one of ``inputs``, or lies in or around one."""
    target = Path(output).resolve()
    for item in inputs:
        source = folder_and_series(item)[0].resolve()
        if target == source or target in source.parents:
            raise SyntheticCTError(
                f"The output {output} would overwrite the input {item}: choose another output."
            )
        if source in target.parents:
            raise SyntheticCTError(
                f"The output {output} lies inside the input {item}: choose a place outside it."
            )


def require_place(output: str | os.PathLike) -> None:
    """Refuse, before the work, a file that could not be written; nothing is made yet.

    Raises:
        SyntheticCTError: it is a folder, or its folder can neither be made nor written to.
    """
    path = Path(output)
    _refuse_folder(path)
    there = next(parent for parent in path.resolve().parents if parent.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        reason = os.strerror(errno.EACCES if there.is_dir() else errno.ENOTDIR)
        raise _unwritable(path.parent, reason)


def _refuse_folder(path: Path) -> None:
    if path.is_dir():
        raise SyntheticCTError(f"The output {path} is a folder: give a file name.")


def _unwritable(folder: Path, reason: str | None) -> SyntheticCTError:
    return SyntheticCTError(
        f"The output folder {users_path(folder)} cannot be written to ({reason}): "
        "choose another folder or change its permissions."
    )


@contextlib.contextmanager
def nothing_left() -> Iterator[None]:
    """Remove the folders made inside that are still empty where what runs inside fails."""
    _MADE.clear()
    try:
        yield
    except BaseException as error:
        with interrupts_wait():
            if isinstance(error, KeyboardInterrupt):
                discard_stages()
            for folder in sorted(_MADE, key=lambda path: len(path.parts), reverse=True):
                with contextlib.suppress(OSError):  # not empty, or gone
                    folder.rmdir()
        raise
    finally:
        _MADE.clear()


def require_writable_folder(folder: str | os.PathLike) -> Path:
    """Create ``folder`` where it is missing and return it; see :func:`nothing_left`.

    Raises:
        SyntheticCTError: the folder cannot be made or written to.
    """
    path = Path(folder)
    place = path.absolute()
    try:
        _MADE.update(one for one in (place, *place.parents) if not one.exists())
        path.mkdir(parents=True, exist_ok=True)
        with interrupts_wait(), tempfile.NamedTemporaryFile(dir=path):
            pass
    except OSError as error:
        raise _unwritable(path, error.strerror) from error
    return path


@contextlib.contextmanager
def staged_file(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary path of the same suffix; it becomes ``path`` only on success."""
    target = Path(path)
    _refuse_folder(target)
    folder = require_writable_folder(target.parent)
    with full_disk_told(target), stage_in(folder) as stage:
        yield stage / target.name
        os.replace(stage / target.name, target)


def named_in(folder: Path, names: Iterable[Any], *, deep: bool = False) -> list[Path]:
    """Return the results in ``folder`` that the list of an earlier run names.

    A name that leads elsewhere is none that this program has written, and left out.

    Args:
        deep: names may have folders within ``folder``.
    """

    def own(name: Any) -> bool:
        parts = name.split("/") if isinstance(name, str) else []
        plain = all(Path(part).name == part and part not in ("", "..") for part in parts)
        return bool(parts) and plain and (deep or len(parts) == 1)

    return [folder / name for name in names if own(name)]


@contextlib.contextmanager
def staged_folder(
    path: str | os.PathLike,
    inputs: Iterable[str | os.PathLike] = (),
    earlier: Iterable[str | os.PathLike] = (),
) -> Iterator[Path]:
    """Yield a temporary folder; on success everything in it is moved into ``path``.

    Files of the same name from an earlier run are replaced, other files stay.

    Args:
        inputs: what may not be replaced.
        earlier: results of an earlier run in ``path``, which go when the new ones come, so that
            none lies beside results that it does not belong to.

    Raises:
        SyntheticCTError: ``path`` is not writable, or a result would replace one of ``inputs``;
            nothing has been moved then.
    """
    inputs, earlier = list(inputs), [Path(item) for item in earlier]
    target = require_writable_folder(path)
    with full_disk_told(target), stage_in(target) as stage:
        yield stage
        results = sorted(item for item in stage.iterdir() if item.name != IN_USE)
        for item in results:
            refuse_overwrite(target / item.name, inputs)
            _refuse_other_folder(target / item.name, item)
        for item in earlier:
            refuse_overwrite(item, inputs)
        with interrupts_wait():
            for item in earlier:
                _remove(item)
            for item in results:
                destination = target / item.name
                if destination.is_dir():
                    _remove(destination)
                os.replace(item, destination)


def _remove(item: Path) -> None:
    if item.is_dir() and not item.is_symlink():
        shutil.rmtree(item)
    else:
        item.unlink(missing_ok=True)


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
