"""From a manifest of MR and CT to aligned pairs on the network grid, kept on disk.

The pairs are memory-mapped, so that a cohort larger than the memory can be trained on.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import SimpleITK as sitk

from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.fingerprint import content_hash
from SyntheticCTLib.basics.inputs import folder_and_series
from SyntheticCTLib.basics.manifest import LINE, read_manifest, resolve
from SyntheticCTLib.basics.outputs import require_writable_folder, staged_folder
from SyntheticCTLib.basics.progress import SILENT, Progress
from SyntheticCTLib.body.contour import body_contour
from SyntheticCTLib.bundle.domain import normalized_histogram, smallest_fov_mm
from SyntheticCTLib.network.slabs import network_grid
from SyntheticCTLib.normalization.foreground import foreground_mask
from SyntheticCTLib.normalization.nyul import NyulStandard
from SyntheticCTLib.normalization.padding import padding_mask
from SyntheticCTLib.volumes.grids import image_like
from SyntheticCTLib.volumes.hounsfield import require_hu
from SyntheticCTLib.volumes.marks import PHANTOM_KEY
from SyntheticCTLib.volumes.reading import read_mask, read_volume
from SyntheticCTLib.volumes.resampling import HU_AIR, HU_OUTSIDE, floored, resample
from SyntheticCTLib.volumes.sameness import SAME_SHARE, equal_share, given_twice, voxel_hash

RAW_BINS = 64
HIGHEST_AIR_HU = -500
"""A CT holds air, which lies below this; an MR does not."""


@dataclass(frozen=True)
class PairSource:
    """One row of the training manifest.

    Attributes:
        mr, ct: volume files or DICOM folders.
        registered: the MR already lies on the CT's anatomy.
        validation: held out, to tell how the model does on patients it has not seen.
        foreground: mask of the MR's voxels that the standard scale is read off; None to find them.
    """

    mr: Path
    ct: Path
    registered: bool
    validation: bool
    foreground: Path | None = None


@dataclass(frozen=True)
class Pairs:
    """Prepared pairs in a folder; arrays are (k, j, i) on each patient's network grid.

    Attributes:
        folder: holds mr_N.npy (float16, standard scale), ct_N.npy (int16, HU, air outside the
            body) and valid_N.npy (bool, inside the MR's field of view).
        training, validation: numbers N of the patients.
        nyul: standard scale of the training MRs.
        mr_range: standard-scale values that become -1 and 1.
        spacing_mm: of the network grid (i, j, k).
        facts: what the model's domain and record need to know.
    """

    folder: Path
    training: tuple[int, ...]
    validation: tuple[int, ...]
    nyul: NyulStandard
    mr_range: tuple[float, float]
    spacing_mm: tuple[float, float, float]
    facts: dict

    def mr(self, number: int) -> np.ndarray:
        return np.load(self.folder / f"mr_{number}.npy", mmap_mode="r", allow_pickle=False)

    def ct(self, number: int) -> np.ndarray:
        return np.load(self.folder / f"ct_{number}.npy", mmap_mode="r", allow_pickle=False)

    def valid(self, number: int) -> np.ndarray:
        return np.load(self.folder / f"valid_{number}.npy", mmap_mode="r", allow_pickle=False)


def read_sources(manifest: str | os.PathLike) -> list[PairSource]:
    """Read the training manifest: patient, mr, ct, and optionally registered and use.

    Raises:
        SyntheticCTError: see :func:`manifest.read_manifest`; a word that is not known.
    """
    rows = read_manifest(manifest, ("mr", "ct"), ("registered", "use", "foreground"))
    sources = []
    for row in rows:
        for column, words in (
            ("registered", ("", "yes", "no")),
            ("use", ("", "train", "validation")),
        ):
            if row[column].lower() not in words:
                raise SyntheticCTError(
                    f"Line {row[LINE]} of the manifest {manifest} has {row[column]!r} in the "
                    f"column {column}: write {' or '.join(words[1:])}."
                )
        sources.append(
            PairSource(
                mr=resolve(manifest, row["mr"]),
                ct=resolve(manifest, row["ct"]),
                registered=row["registered"].lower() == "yes",
                validation=row["use"].lower() == "validation",
                foreground=resolve(manifest, row["foreground"]) if row["foreground"] else None,
            )
        )
    for row, source in zip(rows, sources, strict=True):
        named = (("mr", source.mr), ("ct", source.ct), ("foreground", source.foreground))
        for column, path in named:
            if path is not None and not folder_and_series(path)[0].exists():
                raise SyntheticCTError(
                    f"Line {row[LINE]} of the manifest {manifest} names {path} in the column "
                    f"{column}, which does not exist: correct it."
                )
    if all(source.validation for source in sources):
        raise SyntheticCTError(
            f"The manifest {manifest} leaves no patient to train on: write train in the column "
            "use of at least one row."
        )
    return sources


def fingerprint(sources: Sequence[PairSource]) -> list[dict[str, Any]]:
    """Return what a training is made of, an entry a patient: hashes of MR and CT, and their use.

    Files are known by their content, wherever they lie.

    Raises:
        SyntheticCTError: one of them cannot be read.
    """
    return [
        {
            "MR": content_hash(source.mr, "MR"),
            "CT": content_hash(source.ct, "CT"),
            "registered": source.registered,
            "use": "validation" if source.validation else "train",
        }
        | (
            {"foreground": content_hash(source.foreground, "foreground")}
            if source.foreground
            else {}
        )
        for source in sources
    ]


class _OfPatient(Progress):
    """Names the patient in warnings, and ends the work where the training was interrupted."""

    def __init__(self, progress: Progress, number: int, stop: Event) -> None:
        self._progress, self._number, self._stop = progress, number, stop

    def warn(self, message: str) -> None:
        self._progress.warn(f"Patient {self._number + 1} of the manifest: {message}")

    def report(self, step: str, fraction: float, **details: Any) -> None:
        if self._stop.is_set():
            raise KeyboardInterrupt


def prepare_pairs(
    sources: Sequence[PairSource],
    folder: Path,
    *,
    spacing_mm: float | None = None,
    workers: int = 1,
    progress: Progress = SILENT,
) -> Pairs:
    """Normalize, register and resample the pairs into ``folder``, or return those kept there.

    Args:
        sources: the patients.
        folder: where the pairs are kept; they are made anew when a source changed.
        spacing_mm: in-plane network grid; the first CT's own when None.
        workers: pairs registered at the same time.

    Raises:
        SyntheticCTError: a volume cannot be used, MR and CT do not overlap, or a patient is
            both trained on and held out.
    """
    mark = {"data": fingerprint(sources), "spacing_mm": spacing_mm}
    card = folder / "pairs.json"
    if card.is_file():
        content = json.loads(card.read_text(encoding="utf-8"))
        if content.get("made_of") == mark:
            for sentence in content.get("notes", []):
                progress.warn(sentence)
            return _pairs_from(folder, content)
    require_writable_folder(folder)
    notes = _given_twice(sources, progress)

    training = [source for source in sources if not source.validation]
    nyul = NyulStandard.learn(_scans(training, progress))
    ct = read_volume(sources[0].ct, "CT")
    own = sitk.DICOMOrient(ct, "LPS").GetSpacing()
    spacing = (spacing_mm or own[0], spacing_mm or own[1], own[2])

    with staged_folder(folder) as stage:
        stop = Event()

        def prepare(number: int) -> dict:
            told = _OfPatient(progress, number, stop)
            return _prepare_pair(stage, number, sources[number], nyul, spacing, told)

        found = []
        # The registration program runs outside the interpreter, so threads are enough.
        with ThreadPoolExecutor(workers) as pool:
            try:
                for facts in pool.map(prepare, range(len(sources))):
                    found.append(facts)
                    done = len(found) / len(sources)
                    progress.report("Register pairs", done, patients=len(found))
            except BaseException:
                stop.set()
                raise
        found = [
            facts for source, facts in zip(sources, found, strict=True) if not source.validation
        ]
        facts = {name: [scan[name] for scan in found] for name in found[0]}
        limits = facts.pop("limits")
        low, high = np.mean(limits, axis=0)
        content = {
            "made_of": mark,
            "training": [n for n, source in enumerate(sources) if not source.validation],
            "validation": [n for n, source in enumerate(sources) if source.validation],
            "nyul": nyul.to_json(),
            "mr_range": [float(low), float(high)],
            "spacing_mm": list(spacing),
            "facts": facts,
            "notes": notes,
        }
        (stage / card.name).write_text(json.dumps(content), encoding="utf-8")
    return _pairs_from(folder, content)


def _pairs_from(folder: Path, content: dict) -> Pairs:
    return Pairs(
        folder=folder,
        training=tuple(content["training"]),
        validation=tuple(content["validation"]),
        nyul=NyulStandard.from_json(content["nyul"]),
        mr_range=tuple(content["mr_range"]),
        spacing_mm=tuple(content["spacing_mm"]),
        facts=content["facts"],
    )


def _given_twice(sources: Sequence[PairSource], progress: Progress) -> list[str]:
    """Name patients that share a scan, and refuse a validation on scans that were trained on."""
    hashes = []
    for number, source in enumerate(sources):
        progress.report("Compare patients", number / len(sources))
        paths = {"MR": source.mr, "CT": source.ct}
        hashes.append({what: voxel_hash(read_volume(p, what)) for what, p in paths.items()})
    progress.report("Compare patients", 1)
    notes = []
    for what, one, other in given_twice(hashes):
        start = f"Patients {one + 1} and {other + 1} of the manifest have the same {what}"
        if sources[one].validation != sources[other].validation:
            raise SyntheticCTError(
                f"{start}, one to train on and one for validation, which would tell nothing of "
                "patients that the model has not seen: remove one of the two."
            )
        notes.append(f"{start}, voxel by voxel: check whether one patient was entered twice.")
        progress.warn(notes[-1])
    return notes


def _scans(sources: Sequence[PairSource], progress: Progress):
    for number, source in enumerate(sources):
        progress.report("Learn Nyul standard", number / len(sources))
        mr = read_volume(source.mr, "MR")
        yield mr, _foreground(source, mr)
    progress.report("Learn Nyul standard", 1)


def _raw_histogram(values: np.ndarray) -> dict:
    counts, edges = np.histogram(values, RAW_BINS, (0, float(np.percentile(values, 99.5))))
    return {
        "largest": float(edges[-1]),
        "fractions": [round(float(v), 6) for v in counts / max(counts.sum(), 1)],
    }


def _prepare_pair(
    folder: Path,
    number: int,
    source: PairSource,
    nyul: NyulStandard,
    spacing: tuple[float, float, float],
    progress: Progress,
) -> dict:
    """Write the arrays of one pair and return what the model's domain needs to know of its MR."""
    mr = read_volume(source.mr, "MR", progress)
    foreground = _foreground(source, mr)
    ct = read_volume(source.ct, "CT", progress)
    _require_pair(number, source, mr, ct, foreground)
    require_hu(ct, f"CT of patient {number + 1} of the manifest", progress)
    normalized = nyul.apply(mr, foreground)
    _save_pair(folder, number, normalized, ct, source, spacing, progress)
    values = sitk.GetArrayFromImage(normalized)
    measured = values[~padding_mask(sitk.GetArrayViewFromImage(mr))]
    return {
        "limits": np.percentile(measured, (0.1, 99.9)).tolist(),
        "histograms": normalized_histogram(values[foreground]).tolist(),
        "raw_histograms": _raw_histogram(sitk.GetArrayViewFromImage(mr)[foreground]),
        "fovs_mm": smallest_fov_mm(mr),
        "phantom": mr.HasMetaDataKey(PHANTOM_KEY),
    }


def _foreground(source: PairSource, mr: sitk.Image) -> np.ndarray:
    given = read_mask(source.foreground, "foreground") if source.foreground else None
    return foreground_mask(mr, given)


def _require_pair(
    number: int, source: PairSource, mr: sitk.Image, ct: sitk.Image, foreground: np.ndarray
) -> None:
    """Refuse an MR and a CT that are one volume, or stand in each other's place."""
    who, what = f"of patient {number + 1} of the manifest", f"({source.mr}, {source.ct})"
    advice = "name the MR in the column mr and the CT in the column ct."
    region = image_like(foreground.astype(np.uint8), mr)
    if equal_share(mr, ct, region, tolerance=0.5) >= SAME_SHARE:
        raise SyntheticCTError(f"MR and CT {who} are the same volume {what}: {advice}")
    lowest = [float(sitk.GetArrayViewFromImage(volume).min()) for volume in (mr, ct)]
    if lowest[0] <= HIGHEST_AIR_HU < lowest[1]:
        raise SyntheticCTError(
            f"MR and CT {who} seem to be in each other's place {what}, as only the MR holds air "
            f"in HU: {advice}"
        )


def _save_pair(
    folder: Path,
    number: int,
    mr: sitk.Image,
    ct: sitk.Image,
    source: PairSource,
    spacing: tuple[float, float, float],
    progress: Progress,
) -> None:
    outside = float(sitk.GetArrayViewFromImage(mr).min())
    transform = None
    if not source.registered:
        from SyntheticCTLib.registration.rigid_and_deformable import register

        found = register(ct, mr, metric="mi", fill=outside, progress=progress)
        transform = found.transform
    grid = network_grid(ct, spacing)
    inside = image_like(np.ones(mr.GetSize()[::-1], np.float32), mr)
    valid = sitk.GetArrayFromImage(resample(inside, grid, transform, fill=0)) > 0.5
    if not valid.any():
        raise SyntheticCTError(
            f"MR and CT of patient {number + 1} of the manifest do not overlap: check that they "
            "belong together."
        )
    # The couch cannot be known from the MR, so the network is not asked to draw it.
    body = resample(body_contour(ct, "CT"), grid, fill=0, nearest=True)
    hu = floored(sitk.Cast(ct, sitk.sitkFloat32))
    hu = resample(hu, grid, fill=HU_OUTSIDE, antialias=True)
    hu = np.where(sitk.GetArrayViewFromImage(body) > 0, sitk.GetArrayViewFromImage(hu), HU_AIR)
    warped = resample(mr, grid, transform, fill=outside, antialias=True)
    np.save(folder / f"mr_{number}.npy", sitk.GetArrayViewFromImage(warped).astype(np.float16))
    np.save(folder / f"ct_{number}.npy", np.rint(hu).astype(np.int16))
    np.save(folder / f"valid_{number}.npy", valid)
