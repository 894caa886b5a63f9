"""An evaluation written to a folder and read back, whole: for Slicer, which evaluates elsewhere.

The maps lie in the folder itself, for people; what else is needed lies in a folder in it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Generator, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.stepwise import finished
from SyntheticCTLib.volumes.grids import image_like
from SyntheticCTLib.volumes.mask_folder import masks_in, write_masks
from SyntheticCTLib.volumes.reading import read_image_file
from SyntheticCTLib.volumes.writing import write_volume

from SyntheticCTEvalLib.gamma.criteria import NOT_EVALUATED, GammaCriteria, GammaResult
from SyntheticCTEvalLib.gamma.hot_spots import HotSpot
from SyntheticCTEvalLib.placement.ways import BY_MR
from SyntheticCTEvalLib.structures.dvh import Dvh

from .limits import Acceptance, Limit, Verdict
from .mr_histograms import HistogramSet
from .results import NO_DIFFERENCE, CandidateResult, Evaluation

PARTS = "evaluation"
RECORD = "evaluation.json"

_NOT_NUMBERS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_DVH_NUMBERS = ("volume_cm3", "outside_percent", "mean_gy", "min_gy", "max_gy")


def maps_of(evaluation: Evaluation) -> Iterator[tuple[str, sitk.Image]]:
    """Yield name and image of every map that is written for people.

    registered_MR (no unit; where it carried the candidates), registered_NAME (HU),
    difference_NAME (int16, whole HU, -32768 where there is none),
    dose_CT and dose_NAME (float32 Gy), dose_difference_NAME (float32 Gy, -1000 where there is
    none), gamma_NAME (float32, -1 where not evaluated).
    """
    if evaluation.dose_ct is not None:
        yield "dose_CT", evaluation.dose_ct
    if evaluation.mr_registered is not None:
        yield "registered_MR", evaluation.mr_registered
    for name, candidate in evaluation.candidates.items():
        yield f"registered_{name}", candidate.volume
        yield f"difference_{name}", whole_hu(candidate.difference)
        if candidate.dose is not None:
            yield f"dose_{name}", candidate.dose
        if candidate.dose_difference is not None:
            yield f"dose_difference_{name}", candidate.dose_difference
        if candidate.gamma is not None:
            yield f"gamma_{name}", candidate.gamma.gamma


def whole_hu(difference: sitk.Image) -> sitk.Image:
    """Return a difference in whole HU (int16), :data:`NO_DIFFERENCE` where it is NaN.

    One that is stored so already is returned as it is.
    """
    if difference.GetPixelID() == sitk.sitkInt16:
        return difference
    values = np.rint(sitk.GetArrayViewFromImage(difference))
    limit = -NO_DIFFERENCE - 1
    whole = np.nan_to_num(np.clip(values, -limit, limit), nan=NO_DIFFERENCE)
    return image_like(whole.astype(np.int16), difference)


def write_parts(evaluation: Evaluation, folder: Path) -> None:
    """Write what :func:`read_evaluation` needs beside the maps into ``folder``/evaluation."""
    parts = folder / PARTS
    parts.mkdir()
    write_volume(evaluation.ct, parts / "ct.nrrd", compress=False)
    if evaluation.mr is not None:
        write_volume(evaluation.mr, parts / "mr.nrrd", compress=False)
    candidates = evaluation.candidates
    bodies = {"": evaluation.body, **{name: c.body for name, c in candidates.items()}}
    write_masks(bodies, parts / "bodies")
    write_masks(evaluation.structures, parts / "structures")
    dvhs = {"": evaluation.dvh_ct, **{name: c.dvh for name, c in candidates.items()}}
    doses = [dvh.doses_gy for found in dvhs.values() for dvh in found.values()]
    np.savez(parts / "dvh.npz", *doses)
    record = {
        "target": evaluation.target,
        "dvh_points": evaluation.dvh_points,
        "prescription_gy": evaluation.prescription_gy,
        "prescription_kind": evaluation.prescription_kind,
        "patient": evaluation.patient,
        "acceptance": evaluation.acceptance and asdict(evaluation.acceptance),
        "verdicts": {n: [asdict(v) for v in found] for n, found in evaluation.verdicts.items()},
        "registration": evaluation.registration,
        "definitions": evaluation.definitions,
        "notes": evaluation.notes,
        "origin": evaluation.origin,
        "histograms": asdict(evaluation.histograms) if evaluation.histograms else None,
        "candidates": {name: _candidate_record(c) for name, c in candidates.items()},
        "dvh": {
            name: {s: {key: getattr(dvh, key) for key in _DVH_NUMBERS} for s, dvh in found.items()}
            for name, found in dvhs.items()
        },
    }
    text = json.dumps(_written(record), ensure_ascii=False, allow_nan=False, indent=1)
    (parts / RECORD).write_text(text, encoding="utf-8")


def read_evaluation(folder: Path) -> Evaluation:
    """Return the evaluation in a folder that ``synthetic-ct evaluate --no-scene`` has written.

    Differences come back in whole HU, everything else as it was.

    Raises:
        SyntheticCTError: the folder does not hold one, or not the whole of it.
    """
    result = finished(reading_steps(folder))
    for candidate in result.candidates.values():
        candidate.difference = _with_nan(candidate.difference)
    return result


def reading_steps(folder: Path) -> Generator[None, None, Evaluation]:
    """Do what :func:`read_evaluation` does in short steps, of one volume at most.

    Differences stay as they are stored: whole HU (int16), :data:`NO_DIFFERENCE` where there is
    none, which is what Slicer shows.
    """
    parts = folder / PARTS
    try:
        record = _read(json.loads((parts / RECORD).read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise SyntheticCTError(
            f"The folder {folder} does not hold an evaluation: write it with "
            "synthetic-ct evaluate --no-scene."
        ) from error
    ct = read_image_file(parts / "ct.nrrd", "CT")
    yield
    mr = read_image_file(parts / "mr.nrrd", "MR") if (parts / "mr.nrrd").is_file() else None
    yield
    mr_registered = (
        _map(folder, "registered_MR") if record["registration"].get("by") == BY_MR else None
    )
    yield
    bodies = yield from _masks(parts / "bodies")
    structures = yield from _masks(parts / "structures")
    dvhs = _read_dvhs(record["dvh"], parts / "dvh.npz")
    yield
    result = Evaluation(
        ct=ct,
        body=bodies[""],
        candidates={},
        dose_ct=_map(folder, "dose_CT"),
        mr=mr,
        mr_registered=mr_registered,
        registration=record["registration"],
        histograms=HistogramSet(**record["histograms"]) if record["histograms"] else None,
        structures=structures,
        target=record["target"],
        dvh_ct=dvhs[""],
        dvh_points=record["dvh_points"],
        prescription_gy=record["prescription_gy"],
        prescription_kind=record["prescription_kind"],
        patient=record["patient"],
        acceptance=_acceptance(record["acceptance"]),
        verdicts={n: [_verdict(v) for v in found] for n, found in record["verdicts"].items()},
        definitions=record["definitions"],
        notes=record["notes"],
        origin=record["origin"],
    )
    for name, found in record["candidates"].items():
        yield
        volume = _map(folder, f"registered_{name}")
        yield
        difference = _map(folder, f"difference_{name}")
        yield
        dose = _map(folder, f"dose_{name}")
        yield
        dose_difference = _map(folder, f"dose_difference_{name}")
        yield
        result.candidates[name] = CandidateResult(
            name=name,
            volume=volume,
            difference=difference,
            body=bodies[name],
            dose=dose,
            dose_difference=dose_difference,
            gamma=_gamma(found["gamma"], _map(folder, f"gamma_{name}")),
            metrics=found["metrics"],
            dvh=dvhs[name],
            hot_spots=[
                HotSpot(**{**spot, "point_mm": tuple(spot["point_mm"])})
                for spot in found["hot_spots"]
            ],
        )
    return result


def _acceptance(record: dict[str, Any] | None) -> Acceptance | None:
    if record is None:
        return None
    limits = tuple(Limit(**limit) for limit in record["limits"])
    return Acceptance(**{**record, "limits": limits})


def _verdict(record: dict[str, Any]) -> Verdict:
    limit, path = Limit(**record["limit"]), tuple(record["path"])
    return Verdict(**{**record, "limit": limit, "path": path})


def _candidate_record(candidate: CandidateResult) -> dict[str, Any]:
    gamma = candidate.gamma
    return {
        "metrics": candidate.metrics,
        "hot_spots": [asdict(spot) for spot in candidate.hot_spots],
        "gamma": gamma
        and {
            "criteria": asdict(gamma.criteria),
            "engine": gamma.engine,
            "definition": gamma.definition,
            "pass_rates": list(gamma.pass_rates.items()),
        },
    }


def _gamma(record: dict[str, Any] | None, gamma: sitk.Image | None) -> GammaResult | None:
    if record is None:
        return None
    evaluated = sitk.Cast(gamma != NOT_EVALUATED, sitk.sitkUInt8)
    criteria = record["criteria"]
    criteria["cutoffs_percent"] = tuple(criteria["cutoffs_percent"])
    return GammaResult(
        gamma=gamma,
        evaluated=evaluated,
        pass_rates={cutoff: rate for cutoff, rate in record["pass_rates"]},
        criteria=GammaCriteria(**criteria),
        engine=record["engine"],
        definition=record["definition"],
    )


def _read_dvhs(records: dict[str, dict[str, dict]], path: Path) -> dict[str, dict[str, Dvh]]:
    with np.load(path, allow_pickle=False) as arrays:
        doses = iter([arrays[f"arr_{number}"] for number in range(len(arrays.files))])
    result = {}
    for name, structures in records.items():
        result[name] = {}
        for structure, numbers in structures.items():
            values = next(doses)
            result[name][structure] = Dvh(
                **numbers, doses_gy=values, volumes_percent=Dvh.volumes_of(values.size)
            )
    return result


def _masks(folder: Path) -> Generator[None, None, dict[str, sitk.Image]]:
    masks = {}
    for name, mask in masks_in(folder):
        masks[name] = mask
        yield
    return masks


def _map(folder: Path, name: str) -> sitk.Image | None:
    path = folder / f"{name}.nrrd"
    return read_image_file(path, "map") if path.is_file() else None


def _with_nan(whole: sitk.Image) -> sitk.Image:
    """A difference in whole HU as float32, NaN where there is none."""
    values = sitk.GetArrayViewFromImage(whole)
    difference = np.where(values == NO_DIFFERENCE, np.float32(np.nan), values)
    return image_like(difference.astype(np.float32, copy=False), whole)


def _written(value: Any) -> Any:
    """``value`` for strict JSON: plain Python, and words where numbers are not finite."""
    if isinstance(value, dict):
        return {str(key): _written(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_written(inner) for inner in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return next(word for word, number in _NOT_NUMBERS.items() if repr(number) == repr(value))
    return value


def _read(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _read(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_read(inner) for inner in value]
    return _NOT_NUMBERS.get(value, value) if isinstance(value, str) else value
