"""The command ``synthetic-ct read-rt``: doses, structures and plans of DICOM as plain files."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.outputs import named_in, require_writable_folder, staged_folder
from SyntheticCTLib.basics.progress import Progress
from SyntheticCTLib.volumes.mask_folder import write_masks
from SyntheticCTLib.volumes.reading import read_volume
from SyntheticCTLib.volumes.writing import write_volume

from .arguments import VOLUME_HELP, add_structures_registration

_LABELS = {"RTDOSE": "SeriesDescription", "RTSTRUCT": "StructureSetLabel", "RTPLAN": "RTPlanLabel"}
INDEX = "rt.json"
"""Lists what was read: for each file its kind, its name, and where it was written."""


def read_rt(options: argparse.Namespace, progress: Progress) -> dict[str, Path]:
    """Write doses in Gy (.nrrd), structures (folders of masks) and the plan's prescription."""
    from SyntheticCTEvalLib.dose.reading import read_dose
    from SyntheticCTEvalLib.dose.rtplan import read_prescription
    from SyntheticCTEvalLib.structures.reading import read_structures

    headers = {file: _header(Path(file)) for file in dict.fromkeys(options.files)}
    kinds = {file: kind for file, (kind, _label, _patient) in headers.items()}
    if not options.several_patients:
        _require_one_patient({file: patient for file, (_, _, patient) in headers.items()})
    if "RTSTRUCT" in kinds.values() and not options.ct:
        raise SyntheticCTError("Structures need the CT that they were drawn on: give it by --ct.")
    require_writable_folder(options.output)
    ct = read_volume(options.ct, "CT", progress) if options.ct else None
    given = [*options.files, *([options.ct] if options.ct else [])]
    found: list[dict[str, Any]] = []
    with staged_folder(options.output, given, _earlier(Path(options.output))) as stage:
        for number, (file, kind) in enumerate(kinds.items()):
            progress.report("Read RT files", number / len(kinds))
            entry: dict[str, Any] = {"kind": kind, "name": headers[file][1]}
            if kind == "RTDOSE":
                entry["file"] = f"{number}.nrrd"
                dose = read_dose(file, progress=progress)
                write_volume(dose, stage / entry["file"], compress=not options.uncompressed)
            elif kind == "RTSTRUCT":
                entry["file"] = f"{number}"
                masks = read_structures(
                    file,
                    ct,
                    progress,
                    end_caps=not options.no_end_caps,
                    registration=options.structures_registration,
                )
                write_masks(masks, stage / entry["file"])
            else:
                entry["prescription_gy"] = read_prescription(file, progress)
            found.append(entry)
        (stage / INDEX).write_text(json.dumps(found, indent=1, ensure_ascii=False), "utf-8")
        progress.report("Read RT files", 1)
    return {"index": Path(options.output) / INDEX}


def _require_one_patient(patients: dict[str, str]) -> None:
    """Raise SyntheticCTError where files are of several patients, by the IDs that they give."""
    known = {file: patient for file, patient in patients.items() if patient}
    first = next(iter(known), "")
    for file, patient in known.items():
        if patient != known[first]:
            raise SyntheticCTError(
                f"The files {first} and {file} are of different patients by their patient IDs: "
                "give the files of one, or say --several-patients."
            )


def _header(path: Path) -> tuple[str, str, str]:
    """The kind of a file, how it calls itself (file names may hold the patient's), patient ID."""
    from SyntheticCTLib.dicom.headers import is_of, read_header

    if not path.is_file():
        raise SyntheticCTError(f"The file {path} does not exist: check the path.")
    header = read_header(path, tags=tuple(_LABELS.values()))
    for kind, label in _LABELS.items():
        if header is not None and is_of(header, kind):
            own = header.get(label) or header.get("SeriesDescription") or ""
            return kind, str(own).strip() or kind, str(header.get("PatientID") or "").strip()
    raise SyntheticCTError(
        f"The file {path} is no RTDOSE, RTSTRUCT or RTPLAN of DICOM: give files of these."
    )


def _earlier(folder: Path) -> list[Path]:
    """The results of an earlier run in ``folder``."""
    try:
        found = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        named = [entry["file"] for entry in found if "file" in entry]
    except (OSError, ValueError, TypeError, KeyError):
        return []
    return [path for path in (folder / INDEX, *named_in(folder, named)) if path.exists()]


def add_read_rt(command: Callable) -> None:
    sub = command(
        "read-rt",
        read_rt,
        "Read RTDOSE, RTSTRUCT and RTPLAN files",
        "Doses are written in Gy (.nrrd), structures as folders of masks, and what a plan "
        f"prescribes into {INDEX}, which lists all.",
    )
    sub.add_argument("files", nargs="+", metavar="FILE", help="RTDOSE, RTSTRUCT or RTPLAN")
    sub.add_argument("--ct", metavar="CT", help=f"of the structures: {VOLUME_HELP}")
    add_structures_registration(sub)
    sub.add_argument(
        "--several-patients", action="store_true", help="files may be of several patients"
    )
    sub.add_argument("--output", required=True, metavar="DIR", help="folder of the results")
    sub.add_argument("--uncompressed", action="store_true", help="volumes, which is faster")
    sub.add_argument(
        "--no-end-caps", action="store_true", help="structures end at their last contours"
    )
