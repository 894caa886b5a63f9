"""A cohort: every patient of a manifest evaluated, those that have not changed taken over."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.inputs import without_folders
from SyntheticCTLib.basics.outputs import refuse_overwrite, require_writable_folder, staged_folder
from SyntheticCTLib.basics.processors import processors
from SyntheticCTLib.basics.progress import SILENT, Progress
from SyntheticCTLib.basics.stages import stage_in
from SyntheticCTLib.bundle.folder import read_card
from SyntheticCTLib.volumes.sameness import given_twice

from SyntheticCTEvalLib.evaluation.limits import Acceptance
from SyntheticCTEvalLib.evaluation.origin import hashes_of, model_entry, origin
from SyntheticCTEvalLib.report.folder import earlier_results

from .card import CARD, is_current, results_in, voxels_of
from .judged import judge_again
from .manifest import SCT, PatientEntry, read_cohort_manifest
from .parallel import Outcome, attempt, evaluate_on_dask, has_dask
from .patient import (
    CohortSettings,
    PatientTask,
    limits_of,
    made_of,
    needing_mr,
    needing_plan,
)
from .records import Cohort, PatientRecord

PATIENTS = "patients"
BASELINE = "MRCAT"


def default_workers() -> int:
    """Patients at once where nothing is said: two, as each needs memory of its own, or one."""
    return min(2, processors())


def run_cohort(
    manifest: str | os.PathLike,
    output: str | os.PathLike,
    settings: CohortSettings | None = None,
    *,
    baseline: str | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
    redo: bool = False,
    progress: Progress = SILENT,
) -> Cohort:
    """Evaluate the patients of a manifest into ``output``/patients/<patient>.

    Patients whose inputs, settings, model and program are those of the results that are there
    are taken over, and held against the limits of now (settings.acceptance).
    Each patient's results are replaced whole or left as they were; other files stay.

    Args:
        manifest: see cohort_manifest.read_cohort_manifest.
        baseline: candidate that the others are compared with; "MRCAT", else the last, when None.
        workers: patients at once on this machine; :func:`default_workers` when None.
        scheduler: address of a dask cluster to use instead.
        redo: evaluate all patients again.

    Raises:
        SyntheticCTError: before any work, nothing can be evaluated or a result would lie where
            something else does; after it, no patient could be evaluated.
    """
    settings = settings or CohortSettings()
    output = Path(output).resolve()
    found = prepare(manifest, output, settings, baseline)
    entries, notes, baseline = found.entries, found.notes, found.baseline
    model_sha256 = found.model_sha256
    if scheduler and not has_dask():
        raise SyntheticCTError(
            "A dask scheduler needs the package distributed, which is not installed: "
            "pip install 'dask[distributed]'"
        )
    folder = require_writable_folder(output / PATIENTS)
    failed = {entry.patient: entry.fault for entry in entries if entry.fault}
    with stage_in(folder) as work:
        tasks = _tasks(entries, settings, model_sha256, work, failed, progress)
        kept = {
            task.entry.patient
            for task in tasks
            if not redo and is_current(folder / task.entry.patient, task.made_of)
        }
        tasks = [
            replace(task, earlier=None if redo else folder / task.entry.patient)
            for task in tasks
            if task.entry.patient not in kept
        ]
        bar = _Bar(progress, len(entries))
        for patient, sentence in failed.items():
            bar.failed(patient, sentence)
        for patient in kept:
            bar.ended(patient, "unchanged")
        workers = min(workers or default_workers(), max(len(tasks), 1))
        if workers > 1 and not scheduler and not has_dask():
            notes.append("dask is not installed: patients were evaluated one after the other.")
            workers = 1
        for outcome in _evaluated(tasks, workers, scheduler, bar):
            patient = outcome.task.entry.patient
            error = outcome.error or _publish(outcome.task, folder, _inputs(entries, settings))
            for warning in outcome.warnings:
                progress.warn(f"{patient}: {warning}")
            if error:
                failed[patient] = error
                bar.failed(patient, error)
            else:
                bar.ended(patient, "done")
    _judge_again(entries, folder, settings, failed)
    cohort = _collect(entries, folder, failed, notes, baseline)
    cohort.acceptance = settings.acceptance
    own = {entry.patient: limits_of(entry, settings) for entry in entries}
    for record in cohort.patients:
        record.acceptance = own[record.patient]
    cohort.origin = _origin(manifest, found, settings)
    return cohort


@dataclass(frozen=True)
class Prepared:
    """What a cohort's run begins with.

    Attributes:
        entries: the manifest's patients.
        notes: what is left out for want of columns.
        baseline: candidate that the others are compared with.
        model_sha256: of the model; "" for none.
        sha256: of the manifest.
    """

    entries: list[PatientEntry]
    notes: list[str]
    baseline: str
    model_sha256: str
    sha256: str


def prepare(
    manifest: str | os.PathLike, output: Path, settings: CohortSettings, baseline: str | None
) -> Prepared:
    """Read a manifest and the model, and check where results would lie, before any work.

    Raises:
        SyntheticCTError: nothing can be evaluated, or a result would lie where something else does.
    """
    sha256 = hashes_of({"manifest": manifest})["manifest"]
    entries, notes = read_cohort_manifest(
        manifest, model=settings.model is not None, dose=settings.evaluation.dose
    )
    entries = [needing_plan(needing_mr(entry, settings), settings) for entry in entries]
    baseline = _baseline(baseline, _candidates(entries, settings))
    _check_places(manifest, output, entries, settings)
    return Prepared(entries, notes, baseline, _model_sha256(settings), sha256)


def _origin(
    manifest: str | os.PathLike, found: Prepared, settings: CohortSettings
) -> dict[str, Any]:
    limits = settings.acceptance
    options = asdict(settings.evaluation) | {
        "acceptance": limits and {"name": limits.name, "sha256": limits.sha256},
        "baseline": found.baseline,
        "end_caps": settings.end_caps,
        "model_sha256": found.model_sha256,
    }
    model = model_entry(settings.model, read_card(settings.model)) if settings.model else None
    inputs, hashes = {"manifest": manifest}, {"manifest": found.sha256}
    for what, acceptance in _acceptances(found.entries, limits).items():
        inputs[what], hashes[what] = acceptance.file, acceptance.sha256
    return origin(inputs, options, hashes=hashes, model=model)


def _acceptances(
    entries: Sequence[PatientEntry], limits: Acceptance | None
) -> dict[str, Acceptance]:
    """Return every file of limits, by whose it is."""
    found, owners = {"acceptance": limits} if limits else {}, {}
    for entry in entries:
        if (own := entry.acceptance) and own != limits:
            owners.setdefault(own, []).append(entry.patient)
    return found | {f"acceptance of {', '.join(names)}": own for own, names in owners.items()}


def _candidates(entries: Sequence[PatientEntry], settings: CohortSettings) -> list[str]:
    made = [SCT] if settings.model and any(entry.mr for entry in entries) else []
    return list(dict.fromkeys([*made, *(name for e in entries for name in e.candidates)]))


def _baseline(baseline: str | None, names: Sequence[str]) -> str:
    if baseline is None:
        return BASELINE if BASELINE in names else (names or [""])[-1]
    if baseline not in names:
        raise SyntheticCTError(
            f"The baseline {baseline} is no candidate of the cohort: give one of "
            f"{', '.join(names) or 'them in the manifest'}."
        )
    return baseline


def _inputs(entries: Sequence[PatientEntry], settings: CohortSettings) -> list[Path]:
    inputs = [path for entry in entries for path in entry.inputs().values()]
    return [*inputs, *filter(None, [settings.model])]


def _check_places(
    manifest: str | os.PathLike,
    output: Path,
    entries: Sequence[PatientEntry],
    settings: CohortSettings,
) -> None:
    """Refuse outputs that would replace anything but results of this command."""
    refuse_overwrite(output, [manifest, *_inputs(entries, settings)])
    if earlier := earlier_results(output):
        raise SyntheticCTError(
            f"The folder {output} holds the results of one patient's evaluation, such as "
            f"{earlier[0].name}: choose another output, or take them away."
        )
    for entry in entries:
        folder = output / PATIENTS / entry.patient
        if folder.exists() and not (folder / CARD).is_file() and any(folder.iterdir()):
            raise SyntheticCTError(
                f"The folder {folder} holds something that this command has not made: choose "
                "another output, or take it away."
            )


def _model_sha256(settings: CohortSettings) -> str:
    if settings.model is None:
        return ""
    from SyntheticCTLib.bundle.folder import load_bundle

    return load_bundle(settings.model).sha256


def _tasks(
    entries: Sequence[PatientEntry],
    settings: CohortSettings,
    model_sha256: str,
    work: Path,
    failed: dict[str, str],
    progress: Progress,
) -> list[PatientTask]:
    """Return the patients whose inputs are there; why others fail goes into ``failed``."""
    entries = [entry for entry in entries if entry.patient not in failed]

    def hashed(entry: PatientEntry) -> dict[str, Any] | str:
        try:
            return made_of(entry, settings, model_sha256)
        except SyntheticCTError as error:
            return str(error)

    tasks = []
    step = "Look for changes"
    progress.report(step, 0)
    with ThreadPoolExecutor(4) as pool:
        for number, (entry, found) in enumerate(
            zip(entries, pool.map(hashed, entries), strict=True), 1
        ):
            if isinstance(found, str):
                failed[entry.patient] = found
            else:
                tasks.append(PatientTask(entry, settings, work / entry.patient, found))
            progress.report(step, number / len(entries))
    return tasks


class _Bar(Progress):
    """One bar over the patients; told the steps of a patient, it names the step."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress, self._total, self._ended = progress, total, 0
        self._last: tuple[str, str] = ("", "")
        self.patient = ""
        self._tell()

    def ended(self, patient: str, state: str) -> None:
        self._ended += 1
        self._tell(patient=patient, state=state)

    def failed(self, patient: str, sentence: str) -> None:
        self.ended(patient, "failed")
        self._progress.warn(f"{patient} failed: {sentence}")

    def report(self, step: str, fraction: float, **details: Any) -> None:
        if self._last != (self.patient, step):
            self._last = self.patient, step
            self._tell(patient=self.patient, state=step)

    def _tell(self, **details: Any) -> None:
        done, total = self._ended, self._total
        self._progress.report("Patients", done / max(total, 1), done=done, total=total, **details)


def _evaluated(
    tasks: Sequence[PatientTask], workers: int, scheduler: str | None, bar: _Bar
) -> Iterator[Outcome]:
    if not tasks:
        return
    if scheduler or workers > 1:
        with closing(evaluate_on_dask(tasks, workers, scheduler)) as outcomes:
            yield from outcomes
        return
    for task in tasks:
        bar.patient = task.entry.patient
        yield attempt(task, bar)


def _publish(task: PatientTask, folder: Path, inputs: Sequence[Path]) -> str:
    """Move a patient's results to their place, in which files that are no results stay.

    Returns why that failed; "" where it did not.
    """
    place = folder / task.folder.name
    if not (task.folder / CARD).is_file():
        return (
            "The results have not arrived: the output folder must be one that this machine and "
            "the dask workers share."
        )
    try:
        # The card stays until the new one comes: without it, the folder would be taken for
        # another's where the program is killed meanwhile.
        earlier = [path for path in results_in(place) if path.name != CARD]
        with staged_folder(place, inputs, earlier) as stage:
            for path in task.folder.iterdir():
                shutil.move(path, stage / path.name)
    except (SyntheticCTError, OSError) as error:
        return str(error)
    return ""


def _judge_again(
    entries: Sequence[PatientEntry], folder: Path, settings: CohortSettings, failed: dict[str, str]
) -> None:
    """Hold patients that were taken over against the limits of now."""
    for entry in entries:
        if entry.patient not in failed:
            try:
                judge_again(folder / entry.patient, limits_of(entry, settings), settings.paper)
            except SyntheticCTError as error:
                failed[entry.patient] = str(error)


def _collect(
    entries: Sequence[PatientEntry],
    folder: Path,
    failed: dict[str, str],
    notes: list[str],
    baseline: str,
) -> Cohort:
    names = [entry.patient for entry in entries]
    failed = {name: failed[name] for name in names if name in failed}
    records = [PatientRecord.read(name, folder / name) for name in names if name not in failed]
    if not records:
        first, sentence = next(iter(failed.items()))
        raise SyntheticCTError(
            f"None of the {len(names)} patients could be evaluated; {first}: {sentence}"
        )
    for what, *both in given_twice([voxels_of(folder / record.patient) for record in records]):
        one, other = (records[number].patient for number in both)
        notes.append(
            f"{one} and {other} have the same {what}, voxel by voxel: check whether one patient "
            "was entered twice, as its figures count twice."
        )
    told: dict[str, list[str]] = {}
    for record in records:
        for note in record.metrics["notes"]:
            told.setdefault(note, []).append(record.patient)
    for note, patients in told.items():
        whom = "every patient" if len(patients) == len(records) else ", ".join(patients)
        notes.append(f"{note} ({whom})")
    if stale := [name for name in failed if (folder / name).exists()]:
        notes.append(
            f"Results of an earlier run are left in the folders of {', '.join(stale)} and not "
            "counted."
        )
    others = [path.parent.name for path in folder.glob(f"*/{CARD}")]
    if gone := sorted(set(others) - set(names)):
        notes.append(
            f"Results of patients that are not in the manifest are left in the folders "
            f"{', '.join(gone)} and not counted."
        )
    read = {entry.patient: entry.inputs().values() for entry in entries}
    failed = {name: without_folders(reason, read[name]) for name, reason in failed.items()}
    return Cohort(patients=records, failed=failed, notes=notes, baseline=baseline)
