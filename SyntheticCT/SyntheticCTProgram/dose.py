"""The command ``synthetic-ct dose``: the dose of an RTPLAN by Monte Carlo, with its noise."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable
from dataclasses import asdict
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import SimpleITK as sitk
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.inputs import without_folders
from SyntheticCTLib.basics.outputs import (
    named_in,
    refuse_overwrite,
    require_writable_folder,
    staged_folder,
)
from SyntheticCTLib.basics.progress import NotedProgress, Progress
from SyntheticCTLib.dicom.frame_of_reference import frames_differ
from SyntheticCTLib.export.objects import written_here
from SyntheticCTLib.volumes.grids import image_like
from SyntheticCTLib.volumes.reading import read_volume
from SyntheticCTLib.volumes.writing import write_volume

from .arguments import (
    VOLUME_HELP,
    above_zero,
    add_densities,
    densities,
    named_file,
    number,
    require_structures,
    seed_number,
    unique,
)

if TYPE_CHECKING:
    from SyntheticCTEvalLib.gamma.criteria import GammaCriteria
    from SyntheticCTEvalLib.montecarlo.doses import MonteCarloDoses

RESULT = "dose.json"
_BATCHES = "batches"
_FILES = "files"
_OWN = ("dose_*.nrrd", "uncertainty_*.nrrd", "dose_*.dcm")
_ALWAYS = {"noise_percent", "batches", "photons", "definitions", "notes"}
"""What every RESULT of this program holds."""
_VOLUMES = ("dose", "uncertainty")
_CUTOFFS = (10.0, 60.0)


def dose(options: argparse.Namespace, progress: Progress) -> dict[str, Path]:
    """Write the dose of a plan on a CT and on candidates, its uncertainty and pass rates.

    As volumes, and as RTDOSE where CT and plan say whose they are.
    """
    from SyntheticCTEvalLib.delivery.doses import notes_of_plan
    from SyntheticCTEvalLib.dose.electron_density import ELECTRON_DENSITY
    from SyntheticCTEvalLib.dose.overrides import overridden
    from SyntheticCTEvalLib.montecarlo.batches import Effort, remove_batches
    from SyntheticCTEvalLib.montecarlo.dose_files import dose_owner, write_dose_files
    from SyntheticCTEvalLib.montecarlo.doses import montecarlo_doses
    from SyntheticCTEvalLib.montecarlo.recalculation import largest_rate_noise
    from SyntheticCTEvalLib.plan.prescription import require_prescription
    from SyntheticCTEvalLib.plan.reading import read_plan
    from SyntheticCTEvalLib.structures.reading import read_structures
    from SyntheticCTLib.body.contour import body_contour

    candidates = unique(options.candidate, "--candidate")
    earlier = _earlier(Path(options.output))
    given = [options.ct, options.plan, *candidates.values()]
    given += [path for path in (options.density_curve, options.structures) if path]
    require_structures(options)
    if options.prescription:
        require_prescription(options.prescription)
    folder = Path(options.output)
    for path in [*_written(folder, candidates), *earlier]:
        refuse_overwrite(path, given)
    require_writable_folder(folder)
    shown, progress = progress, NotedProgress(progress)
    plan = read_plan(options.plan, progress)
    prescription = options.prescription or plan.prescription_gy
    if candidates and not prescription:
        raise SyntheticCTError(
            "The plan does not say which dose is prescribed, and pass rates refer to it: give the "
            "prescription in Gy by --prescription."
        )
    asked = densities(options)
    curve = asked["density_curve"] or ELECTRON_DENSITY
    ct = read_volume(options.ct, "CT", progress)
    volumes = {
        name: read_volume(path, f"candidate {name}", progress) for name, path in candidates.items()
    }
    owner = dose_owner(options.ct, options.plan, progress)
    body = body_contour(ct, "CT")
    laid, masks = _laid(ct, body, volumes, progress)
    structures = read_structures(options.structures, ct, progress) if options.structures else {}
    laid = overridden(
        asked["overrides"], structures, ct, body, laid, curve=curve, progress=progress
    )
    doses = montecarlo_doses(
        plan,
        *laid[:3],
        spacing_mm=options.spacing,
        effort=Effort(options.noise, options.minutes, options.photons),
        seed=options.seed,
        folder=folder / _BATCHES,
        curve=curve,
        leaf_transmission=options.leaf_transmission / 100,
        rate_noise=largest_rate_noise(_criteria(prescription), [masks[n] for n in laid.candidates]),
        progress=progress,
    )
    doses = laid.told_of(doses)
    doses.notes.extend(notes_of_plan(plan, body, doses.reference, prescription))
    result = _result(doses, masks, prescription, progress)
    result["notes"] = [without_folders(note, given) for note in result["notes"]]
    with staged_folder(folder, given, earlier) as stage:
        for name, image in _images(doses).items():
            write_volume(image, stage / name)
        if owner:
            write_dose_files(doses, volumes, owner, stage, progress)
        files = (path.name for pattern in _OWN for path in stage.glob(pattern))
        result[_FILES] = sorted(files)
        (stage / RESULT).write_text(json.dumps(result, indent=1, ensure_ascii=False), "utf-8")
    if not options.keep_batches:
        remove_batches(folder / _BATCHES)
    shown.tell("dose", _text(result), **result)
    return {"dose": folder / "dose_CT.nrrd", "result": folder / RESULT}


def _laid(
    ct: sitk.Image, body: sitk.Image, volumes: dict[str, sitk.Image], progress: Progress
) -> tuple[dict[str, tuple[sitk.Image, sitk.Image]], dict[str, sitk.Image | None]]:
    """Candidates as they lie on the CT with their bodies, and masks of what counts.

    As in an evaluation: the true CT stands where a candidate does not reach, and does not count.
    """
    from SyntheticCTEvalLib.placement.coverage import completed, coverage_of
    from SyntheticCTEvalLib.placement.place import place_candidates
    from SyntheticCTEvalLib.placement.ways import NONE
    from SyntheticCTLib.body.contour import body_contour

    for name, volume in volumes.items():
        if frames_differ(volume, ct):
            raise SyntheticCTError(
                f"The candidate {name} and the CT are of different frames of reference, and "
                "candidates are taken as they lie: register it first, or use the command evaluate."
            )
    placed = place_candidates(ct, volumes, way=NONE, progress=progress)
    if placed.candidates:
        coverage_of(ct, body, placed.candidates, None, progress)
    laid, masks = {}, {}
    for name, own in placed.candidates.items():
        volume = completed(own.volume, ct, own.covered)
        laid[name] = (volume, body_contour(volume, "CT"))
        whole = own.covered.all()
        masks[name] = None if whole else image_like(own.covered.astype(np.uint8), ct)
    return laid, masks


def _criteria(prescription_gy: float | None) -> GammaCriteria:
    """The study's, at a prescription."""
    from SyntheticCTEvalLib.gamma.criteria import GammaCriteria

    return GammaCriteria(normalization_gy=prescription_gy, cutoffs_percent=_CUTOFFS)


def _images(doses: MonteCarloDoses) -> dict[str, Any]:
    images = {"dose_CT.nrrd": doses.reference, "uncertainty_CT.nrrd": doses.reference_uncertainty}
    for name, image in doses.evaluated.items():
        images[f"dose_{name}.nrrd"] = image
        images[f"uncertainty_{name}.nrrd"] = doses.evaluated_uncertainty[name]
    return images


def _result(
    doses: MonteCarloDoses,
    masks: dict[str, sitk.Image | None],
    prescription: float | None,
    progress: NotedProgress,
) -> dict[str, Any]:
    """What is printed: noise, pass rates with theirs, definitions and notes."""
    from SyntheticCTEvalLib.gamma.engines import definition_of
    from SyntheticCTEvalLib.montecarlo.recalculation import (
        NOISE_DEFINITIONS,
        noise_of_rates,
        warn_of_noise,
    )

    criteria = _criteria(prescription)
    if doses.evaluated:
        warn_of_noise(doses, criteria, progress)
    rates = {
        name: {
            path[-1]: asdict(found)
            for path, found in noise_of_rates(
                doses, n, [criteria], masks[name], progress=progress
            ).items()
            if path[0] == "gpr"
        }
        for n, name in enumerate(doses.evaluated, start=1)
    }
    masked = any(mask is not None for mask in masks.values())
    definitions = {"dose": doses.definition}
    if rates:
        high = sitk.GetArrayViewFromImage(doses.reference) >= min(_CUTOFFS) / 100 * prescription
        definitions |= {key: NOISE_DEFINITIONS[key] for key in ("gpr_noise", "gpr_bias")}
        definitions["gpr"] = definition_of(criteria, "exact", int(high.sum()), masked=masked)
    for note in doses.notes:
        progress.warn(note)
    return {
        "prescription_gy": prescription,
        "noise_percent": doses.batches.noise_percent,
        "batches": len(doses.batches.doses),
        "photons": doses.batches.candidates,
        "pass_rates": rates,
        "definitions": definitions,
        "notes": progress.warnings,
    }


def _text(result: dict[str, Any]) -> str:
    from SyntheticCTEvalLib.evaluation.quantities import MINUS, signed

    lines = [f"Noise {result['noise_percent']:.2f} % ({result['batches']} batches)"]
    for name, rates in result["pass_rates"].items():
        for cutoff, found in rates.items():
            bias = signed(found["bias"]).replace(MINUS, "-")
            lines.append(
                f"{name}: gamma pass rate 1 %/1 mm above {cutoff} %: {found['rate']:.2f} % +- "
                f"{found['noise']:.2f} (its bias by noise: {bias})"
            )
    return "\n".join(lines)


def _written(folder: Path, candidates: Iterable[str]) -> list[Path]:
    """What a run may write."""
    names = [f"{what}_{name}.nrrd" for name in ("CT", *candidates) for what in _VOLUMES]
    names += [f"dose_{name}.dcm" for name in ("CT", *candidates)]
    return [folder / name for name in (*names, RESULT, _BATCHES)]


def _earlier(folder: Path) -> list[Path]:
    """The results of an earlier run in ``folder``: those that its own RESULT names.

    Raises:
        SyntheticCTError: a file of that name is there and is none of this program.
    """
    path = folder / RESULT
    if not path.exists():
        return []
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = None
    if not (isinstance(found, dict) and set(found) >= _ALWAYS):
        raise SyntheticCTError(
            f"The file {path} is not one that this command wrote, or is damaged, and would be "
            "replaced: choose another folder for the results, or move that file."
        )
    named = found.get(_FILES)
    files = named_in(folder, named if isinstance(named, list) else [])
    files = [file for file in files if any(fnmatchcase(file.name, own) for own in _OWN)]
    return [path, *(file for file in files if file.suffix != ".dcm" or written_here(file))]


def _photons(text: str) -> int:
    above_zero(text)
    return int(number(text, "a number from 1000 to 1e10", 1000, 1e10))


def add_dose(command: Callable) -> None:
    sub = command(
        "dose",
        dose,
        "Calculate the dose of an RTPLAN by Monte Carlo",
        "On a CT, and on candidates that lie in its frame, by the same photons and random numbers, "
        "so that the noise of their difference is small. Writes doses and their uncertainties "
        "(.nrrd, Gy), the doses as RTDOSE (.dcm) as well where the CT is DICOM, and "
        f"{RESULT} with pass rates, the noise of these and their bias. A run that "
        "was ended goes on when it is started again.",
    )
    sub.add_argument("--plan", required=True, metavar="RTPLAN", help="photon plan made on the CT")
    sub.add_argument("--ct", required=True, help=f"true CT: {VOLUME_HELP}")
    sub.add_argument(
        "--candidate",
        action="append",
        default=[],
        type=named_file,
        metavar="NAME=VOLUME",
        help="volume in the CT's frame, as it lies; may be given several times",
    )
    sub.add_argument("--output", required=True, metavar="DIR", help="folder of the results")
    sub.add_argument("--prescription", type=above_zero, metavar="GY", help="else the plan's")
    sub.add_argument(
        "--noise",
        type=above_zero,
        default=0.15,
        metavar="PERCENT",
        help="stop at this noise where the dose is high (of the difference, where there are "
        "candidates), once no pass rate is noisier than 0.3 points; default 0.15",
    )
    sub.add_argument(
        "--minutes", type=above_zero, default=15.0, help="stop after this time; default 15"
    )
    sub.add_argument(
        "--photons",
        type=_photons,
        default=1_000_000,
        help="that are drawn in the fields a batch, of which at least six are run; default 1000000",
    )
    sub.add_argument(
        "--spacing",
        type=lambda text: number(text, "a number of mm from 0.5 to 20", 0.5, 20),
        default=3.0,
        metavar="MM",
        help="of the dose grid, 0.5 to 20; default 3",
    )
    sub.add_argument(
        "--structures", metavar="FILE", help="for --override and --couch: RTSTRUCT or masks"
    )
    add_densities(sub)
    sub.add_argument("--seed", type=seed_number, default=1)
    sub.add_argument(
        "--keep-batches",
        action="store_true",
        help="in the folder of the results, so that a smaller noise takes less time later",
    )
