"""What a result was made of: when, by which program and packages, with which command and files."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import SimpleITK as sitk
import SyntheticCTLib
from SyntheticCTLib import __version__
from SyntheticCTLib.basics.fingerprint import content_hash
from SyntheticCTLib.basics.inputs import folder_and_series, without_folders
from SyntheticCTLib.bundle.folder import ModelCard
from SyntheticCTLib.dicom.frame_of_reference import FRAME, SERIES, STUDY

from SyntheticCTEvalLib.planning.table import PLAN_DEFINITIONS
from SyntheticCTEvalLib.planning.treatment import PLAN, TABLE, PlannedTreatment

if TYPE_CHECKING:
    from .results import Evaluation

PACKAGES = (
    "numpy", "scipy", "SimpleITK", "pydicom", "torch", "plastimatch", "scikit-image", "numba",
    "pymedphys", "pydosert", "pyradmc",
)  # fmt: skip
"""Packages that make the numbers."""

OUTPUT = "--output"
PATHS = (
    "--ct", "--mr", "--model", "--dose-ct", "--plan", "--structures", "--structures-registration",
    "--objectives", "--region", "--density-curve", "--acceptance",
)  # fmt: skip
NAMED_PATHS = ("--candidate", "--dose")
"""Options of a path as NAME=PATH."""
WORDS = (
    "--target", "--criteria", "--cutoffs", "--dvh-points", "--override", "--couch", "--patient",
    "--note", "--baseline", "--scheduler",
)  # fmt: skip
"""Options whose values are no paths, whatever is in them. What is not known counts as a path."""
_PLAIN = re.compile(r"[\w@%+=:,./\\^~#-]+")
"""Words that mean themselves to a shell."""

MADE_PLAN = "plan made on the CT"
"""What an origin calls the plan that was made for the evaluation."""
ORIGIN_DEFINITION = (
    "inputs: sha256 is of the file (where it is a header, of it and the files of its voxels; of a "
    "folder, of all its files, by their names where they are not DICOM); voxels_sha256 is of the "
    "voxels as they were read, after rescaling, in the order i, j, k, so that it does not change "
    "with headers, names or the format of the file. command: paths are shown by their last part "
    "alone unless --identified was given. uids: of study, series and frame of reference that an "
    "image was read from, with --identified alone."
)


def hashes_of(inputs: Mapping[str, str | os.PathLike]) -> dict[str, str]:
    """Return the hashes of files and folders, by what they are.

    To be asked for when the files are read: they may change while an evaluation runs.

    Raises:
        SyntheticCTError: an input does not exist or cannot be read.
    """
    return {what: content_hash(path, what) for what, path in inputs.items()}


def origin(
    inputs: Mapping[str, str | os.PathLike],
    options: Mapping[str, Any],
    *,
    hashes: Mapping[str, str],
    images: Mapping[str, sitk.Image] | None = None,
    model: Mapping[str, Any] | None = None,
    identified: bool = False,
) -> dict[str, Any]:
    """Return what a result is made of.

    Args:
        inputs: files and folders by what they are.
        options: what was asked for, as JSON has it.
        hashes: those of ``inputs`` (:func:`hashes_of`) as they were read.
        images: volumes that were read of them or made, by what they are.
        model: the model, where one was used (:func:`model_entry`).
        identified: whole paths are told, not their last parts, and the UIDs of DICOM.
    """
    found: dict[str, dict[str, Any]] = {}
    for what, path in inputs.items():
        found[what] = {
            "file": str(Path(path).absolute()) if identified else shown_path(path),
            "sha256": hashes[what],
        }
    for what, image in (images or {}).items():
        found[what] = found.get(what, {}) | _grid_and_voxels(image)
        if identified and (uids := _uids(image)):
            found[what]["uids"] = uids
    return {
        "program": f"synthetic-ct {__version__}",
        "commit": commit(),
        "date": datetime.now().astimezone().isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "packages": packages(),
        "command": shown_command(sys.argv, identified),
        "options": dict(options),
        "model": dict(model) if model else None,
        "inputs": found,
    }


def tell_origin(evaluation: Evaluation, *made_of: Any, **known: Any) -> None:
    """Set an evaluation's origin, and the line that says what is in it.

    Args:
        made_of, known: as of :func:`origin`.
    """
    evaluation.origin = origin(*made_of, **known)
    if made := evaluation.planned:
        evaluation.origin["inputs"][MADE_PLAN] = {"file": PLAN, "sha256": made.sha256}
    evaluation.definitions["origin"] = ORIGIN_DEFINITION


def tell_plan(evaluation: Evaluation, made: PlannedTreatment | None) -> None:
    """Keep the plan that was made for an evaluation, and the lines that say what it is."""
    evaluation.planned = made
    if made:
        evaluation.definitions |= {
            "plan": (
                f"Made by this program on the true CT, and so best there: {made.plan.description}. "
                f"The plan is {PLAN}; its figures, by the pencil beam on the grid that was planned "
                f"on, are in {TABLE}."
            ),
            **{f"plan_{key}": made.table["definitions"][key] for key in PLAN_DEFINITIONS},
        }


def model_entry(folder: str | os.PathLike, card: ModelCard) -> dict[str, Any]:
    """Return what is told of a model: name, hash, and whether it knows digital patients alone."""
    return {"name": Path(folder).name, "sha256": card.sha256, "phantom": card.domain.phantom}


def shown_command(arguments: Sequence[str], identified: bool = False) -> str:
    """Return a command line, of every path its last part alone unless ``identified``.

    The folder of the results is left out: it changes nothing in them.
    """
    words = ["synthetic-ct"]
    found = [each for each in _by_option(arguments[1:]) if each[0] != OUTPUT]
    paths = [value for option, _, value in found if option in PATHS]
    paths += [value.partition("=")[2] for option, _, value in found if option in NAMED_PATHS]
    for option, start, value in found:
        if value is None or identified:
            shown = value
        elif option in WORDS:
            shown = without_folders(value, paths) if option == "--note" else value
        elif option in NAMED_PATHS:
            name, sign, path = value.partition("=")
            shown = f"{name}{sign}{shown_path(path)}"
        else:
            shown = shown_path(value)
        if start and not start.endswith("="):
            words.append(start)
            start = ""
        if shown is not None:
            words.append(f"{start}{shown}")
    return " ".join(_quoted(word) for word in words)


def shown_path(path: str | os.PathLike) -> str:
    """Return the last part of a path, without the folders, which may be named after a patient.

    Of FOLDER#SERIES, the name of the series with it, which may hold what divides folders.
    """
    place, series = folder_and_series(os.path.expanduser(path))
    return (place.name or str(path)) + (f"#{series}" if series else "")


def _by_option(arguments: Iterable[str]) -> Iterator[tuple[str, str, str | None]]:
    """Yield an option's whole name, how it was written, and its value.

    "" for a value without an option, None for an option without a value.
    """
    waiting: tuple[str, str] | None = None
    for argument in arguments:
        if not argument.startswith("--"):
            yield *(waiting or ("", "")), argument
            waiting = None
            continue
        if waiting:
            yield *waiting, None
        name, sign, value = argument.partition("=")
        waiting = (_whole_name(name), name)
        if sign:
            yield waiting[0], f"{name}=", value
            waiting = None
    if waiting:
        yield *waiting, None


def _whole_name(option: str) -> str:
    """Return the name of an option that may have been shortened, as the program lets it be."""
    known = (*PATHS, *NAMED_PATHS, OUTPUT, *WORDS)
    if option in known or option == "--":
        return option
    return next((name for name in known if name.startswith(option)), option)


def _quoted(word: str) -> str:
    if _PLAIN.fullmatch(word):
        return word
    escaped = re.sub(r'(["$`])', r"\\\1", word)
    return f'"{escaped}"'


@cache
def packages() -> dict[str, str]:
    """Return the versions of the packages that make the numbers, of those that are there."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


@cache
def commit() -> str:
    """Return the commit of the program's checkout; "" where it does not run from one."""
    folder = Path(SyntheticCTLib.__file__).resolve().parents[2]
    if not (folder / ".git").exists():
        return ""
    ask = ["git", "-C", str(folder)]
    try:
        found = subprocess.run([*ask, "rev-parse", "HEAD"], capture_output=True, timeout=10)
        changed = subprocess.run(
            [*ask, "status", "--porcelain", "--untracked-files=no"], capture_output=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    if found.returncode:
        return ""
    return found.stdout.decode().strip() + (" with changes" if changed.stdout.strip() else "")


def _uids(image: sitk.Image) -> dict[str, str]:
    keys = {"study": STUDY, "series": SERIES, "frame_of_reference": FRAME}
    return {what: image.GetMetaData(key) for what, key in keys.items() if image.HasMetaDataKey(key)}


def _grid_and_voxels(image: sitk.Image) -> dict[str, Any]:
    values = np.ascontiguousarray(sitk.GetArrayViewFromImage(image))
    values = values.astype(values.dtype.newbyteorder("<"), copy=False)
    made_by = {}
    if image.HasMetaDataKey("SyntheticCTModel"):
        made_by["model_sha256"] = image.GetMetaData("SyntheticCTModel")
    return {
        "voxels_sha256": hashlib.sha256(values.tobytes()).hexdigest(),
        "type": image.GetPixelIDTypeAsString(),
        "size": list(image.GetSize()),
        "spacing_mm": [round(step, 6) for step in image.GetSpacing()],
        "origin_mm": [round(place, 4) for place in image.GetOrigin()],
        **made_by,
    }
