"""Phantoms and cohorts as files."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

from SyntheticCTLib import __version__
from SyntheticCTLib.anatomy.tissues import STRUCTURE_NAMES, TISSUE_NAMES
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.outputs import staged_file, staged_folder
from SyntheticCTLib.basics.progress import SILENT, Progress
from SyntheticCTLib.volumes.mask_folder import write_masks
from SyntheticCTLib.volumes.segmentation import write_segmentation
from SyntheticCTLib.volumes.writing import write_volume

from .case import Phantom, make_phantom
from .grid import CLINICAL, PhantomGrid
from .targets import LEVELS_GY, planning_structures

PRESCRIPTION_GY = 45.0
SIB_MANIFEST = "manifest_sib.csv"
_NOTE = "Digital phantom computed from a seed; no patient's data"
_VOLUMES = {
    "mr": "mr",
    "ct": "ct",
    "mdixon_in_phase": "in_phase",
    "mdixon_water": "water",
    "mdixon_fat": "fat",
    "mrcat": "mrcat",
    "deformation": "displacement",
}


def write_phantom(phantom: Phantom, folder: str | os.PathLike) -> dict[str, Path]:
    """Write every image of ``phantom`` into ``folder`` and return the paths by name.

    mr, ct, mdixon_in_phase, mdixon_water, mdixon_fat, mrcat, deformation (.nrrd), labels_mr,
    labels_ct, structures_mr, structures_ct (.seg.nrrd), planning_ct (folder of masks: nested
    targets and organs), case (.json). All or nothing.
    """
    names = {name: f"{name}.nrrd" for name in _VOLUMES}
    with staged_folder(folder) as stage:
        for name, attribute in _VOLUMES.items():
            write_volume(getattr(phantom, attribute), stage / names[name])
        for kind, labels in (("labels", TISSUE_NAMES), ("structures", STRUCTURE_NAMES)):
            for scan in ("mr", "ct"):
                name = f"{kind}_{scan}"
                names[name] = f"{name}.seg.nrrd"
                write_segmentation(getattr(phantom, name), labels, stage / names[name])
        names["planning_ct"] = write_masks(planning_structures(phantom), stage / "planning_ct").name
        names["case"] = "case.json"
        case = {
            "note": _NOTE,
            "made_by": f"synthetic-ct {__version__}",
            "seed": phantom.seed,
            "prescription_gy": PRESCRIPTION_GY,
            "levels_gy": LEVELS_GY,
            "grids": {
                name: {
                    "size": image.GetSize(),
                    "spacing_mm": image.GetSpacing(),
                    "origin_mm": image.GetOrigin(),
                }
                for name, image in (("mr", phantom.mr), ("ct", phantom.ct))
            },
            "deformation": "p + u(p) is the place in mr.nrrd of what lies at p in ct.nrrd; mm, LPS",
            "tissues": TISSUE_NAMES,
            "structures": STRUCTURE_NAMES,
            "files": names,
        }
        (stage / names["case"]).write_text(json.dumps(case, indent=2) + "\n", encoding="utf-8")
    return {name: Path(folder) / file for name, file in names.items()}


def write_cohort(
    seed: int,
    count: int,
    folder: str | os.PathLike,
    grid: PhantomGrid = CLINICAL,
    progress: Progress = SILENT,
) -> Path:
    """Write the phantoms of ``seed``, ``seed + 1``, ... and return the path of their manifest.

    Each lies in ``phantom_<seed>``; manifest.csv has the columns patient, mr, ct,
    candidate_MRCAT, structures (relative paths) and prescription_gy. Beside it, manifest_sib.csv
    has the nested targets as structures and the column levels, for plans that are to be made.

    Raises:
        SyntheticCTError: ``count`` is below one, or the folder is not writable.
    """
    if count < 1:
        raise SyntheticCTError(f"A cohort of {count} patients is empty: ask for at least one.")
    folder = Path(folder)
    rows, sib = [], []
    for n in range(count):
        name = f"phantom_{seed + n}"
        progress.report("cohort", n / count, patient=name)
        files = write_phantom(make_phantom(seed + n, grid), folder / name)
        row = {"patient": name}
        for column, file in (
            ("mr", "mr"),
            ("ct", "ct"),
            ("candidate_MRCAT", "mrcat"),
            ("structures", "structures_ct"),
        ):
            row[column] = files[file].relative_to(folder).as_posix()
        rows.append(row | {"prescription_gy": f"{PRESCRIPTION_GY:g}"})
        levels = ";".join(f"{target}={dose:g}" for target, dose in LEVELS_GY.items())
        planned = {"structures": files["planning_ct"].relative_to(folder).as_posix()}
        sib.append(rows[-1] | planned | {"levels": levels})
    manifest = folder / "manifest.csv"
    for path, lines in ((folder / SIB_MANIFEST, sib), (manifest, rows)):
        with staged_file(path) as stage, stage.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(lines[0]))
            writer.writeheader()
            writer.writerows(lines)
    progress.report("cohort", 1.0)
    return manifest
