"""The command ``synthetic-ct sort``: patients, series and roles of a folder, and their manifest."""

from __future__ import annotations

import argparse
import csv
import re
from collections.abc import Callable
from pathlib import Path

from SyntheticCTLib.archive.index import is_index
from SyntheticCTLib.archive.manifest import COHORT, TRAIN, manifest_lines, write_manifest
from SyntheticCTLib.archive.roles import ROLES
from SyntheticCTLib.archive.rows import Row
from SyntheticCTLib.archive.sorting import sort_folder
from SyntheticCTLib.archive.table import as_values, counted, table
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.outputs import refuse_overwrite, require_place
from SyntheticCTLib.basics.progress import NotedProgress, Progress

_COLUMN = re.compile(r"patient|ct|mr|structures|prescription_gy|candidate_.+|dose_(?!unit$).+")
"""Columns of the manifests that this command writes; users add others by hand."""
_KEY_COLUMN = re.compile("patient|patient_id|issuer")


def sort(options: argparse.Namespace, progress: Progress) -> dict[str, Path]:
    """Tell what a folder holds, and write the manifest where one is asked for."""
    folder = Path(options.folder)
    output = Path(options.output) if options.output else None
    index, key = _beside(options, output)
    places = [path for path in (output, index, key) if path is not None]
    if len({path.resolve() for path in places}) < len(places):
        raise SyntheticCTError("Manifest, index and key are of one name: give each its own.")
    for path in places:
        refuse_overwrite(path, [folder])
        require_place(path)
    if index is not None and not is_index(index):
        raise SyntheticCTError(
            f"The file {index.name} is no index of an earlier run and would be replaced: choose "
            "another by --index."
        )
    _keep_what_is_not_ours(output, key)
    result = sort_folder(folder, index, options.role, progress)
    shown = table(result.rows) if result.rows else "No DICOM series."
    text = f"{shown}\n{counted(result.scan, result.copies)}"
    progress.tell("series", text, series=as_values(result.rows), read=result.scan.read)
    written = {"index": index} if index is not None else {}
    if output is None:
        return written
    lines, notes = manifest_lines(
        result.rows, options.purpose, lambda row: _prescription(row, result.scan.path)
    )
    for note in notes:
        progress.warn(note)
    for note in write_manifest(
        lines, options.purpose, output, result.scan, identified=options.identified, key=key
    ):
        progress.warn(note)
    return {"manifest": output, **written, **({"key": key} if key else {})}


def _keep_what_is_not_ours(output: Path | None, key: Path | None) -> None:
    """Refuse to replace tables of others, and manifests with columns that would be lost."""
    for path, what, own in ((output, "manifest", _COLUMN), (key, "key", _KEY_COLUMN)):
        if path is None or not path.is_file() or not path.stat().st_size:
            continue
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            header = next(csv.reader([file.readline()]), [])
        others = [name for name in header if not own.fullmatch(name)]
        if others or "patient" not in header:
            raise SyntheticCTError(
                f"The file {path.name} is no {what} as this command writes it, and would be "
                "replaced (it has other columns): choose another name, or move it away."
            )


def _beside(options: argparse.Namespace, output: Path | None) -> tuple[Path | None, Path | None]:
    """Where index and key are to lie."""
    if output is None:
        if options.key or options.identified:
            raise SyntheticCTError("--key and --identified go with a manifest: give --output.")
        return (Path(options.index) if options.index else None), None
    if output.suffix.lower() != ".csv":
        raise SyntheticCTError(f"The output {output.name} is no .csv file: give such a name.")
    index = Path(options.index) if options.index else output.with_suffix(".index.jsonl")
    return index, Path(options.key) if options.key else None


def _prescription(row: Row, path: Callable) -> tuple[str, str]:
    """The dose that a plan prescribes; or why it is not certain, without the name of its file."""
    from SyntheticCTEvalLib.dose.rtplan import read_prescription

    noted = NotedProgress(Progress())
    try:
        dose = read_prescription(path(row.entries[0]), noted)
    except SyntheticCTError:
        return "", f"the plan {row.label} says no dose that could be prescribed."
    if noted.warnings:
        return "", f"the plan {row.label} prescribes several doses."
    return f"{dose:g}", ""


def add_sort(command: Callable) -> None:
    sub = command(
        "sort",
        sort,
        "Sort a folder of DICOM files: patients, studies, series, and their roles",
        "The folder may be of any depth and of many patients, as an archive or a planning system "
        "exports it. A table shows, under pseudonyms, each series, what it refers to, the role "
        "proposed for it and why; what is ambiguous has none. With --output, a manifest is "
        "written, in which nothing stands that is not certain.",
    )
    sub.add_argument("folder", metavar="FOLDER", help="with DICOM files at any depth")
    sub.add_argument(
        "--role",
        action="append",
        default=[],
        metavar="SERIES=ROLE",
        help="set the role of a series, named as in the table or by its UID: "
        f"{', '.join(ROLES)}; of an RT file, SERIES=ROLE@SERIES also says on which image it is",
    )
    sub.add_argument("--output", metavar="FILE", help="manifest to be written (.csv)")
    sub.add_argument(
        "--for",
        dest="purpose",
        choices=(COHORT, TRAIN),
        default=COHORT,
        help="command that the manifest is for (%(default)s)",
    )
    sub.add_argument(
        "--identified", action="store_true", help="patient IDs in the manifest, not pseudonyms"
    )
    sub.add_argument(
        "--key", metavar="FILE", help="write which patient ID each pseudonym stands for (.csv)"
    )
    sub.add_argument(
        "--index",
        metavar="FILE",
        help="what was read, so that the next run reads new and changed files only (beside the "
        "manifest, if there is one); it holds paths, and no names from headers",
    )
