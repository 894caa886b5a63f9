"""A training as a stage of a job, with pairs from a manifest or from the scene, and its chart."""

from __future__ import annotations

import csv
import os
import time
from collections.abc import Generator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import slicer
from slicer.i18n import tr as _
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.outputs import require_writable_folder
from SyntheticCTLib.bundle.folder import read_card
from SyntheticCTLib.training.checkpoint import read_history
from SyntheticCTLib.training.epochs import CHECKPOINT, work_folder
from SyntheticCTLib.training.settings import TrainingSettings

from .charts import LossChart
from .child_process import CommandLine
from .handover import writing_steps
from .job_volumes import Source
from .jobs import Job, JobListener, Stage, Steps, Turn
from .nodes import image_steps
from .pairs import Pair
from .roles import other_patients, require_roles
from .synthesis import Results
from .views import show_chart

SHOWN_EVERY_S = 1.0
_OPTIONS = {
    "epochs": "--epochs",
    "width": "--width",
    "depth": "--depth",
    "blocks": "--blocks",
    "size": "--size",
    "batch": "--batch",
    "learning_rate": "--learning-rate",
    "decay_epochs": "--decay-epochs",
    "l1_weight": "--l1-weight",
    "adversarial_weight": "--adversarial-weight",
    "spacing_mm": "--spacing",
    "seed": "--seed",
    "device": "--device",
    "domain": "--domain",
}


def can_resume(output: str | os.PathLike) -> bool:
    """Whether there is a training of this model that can go on."""
    return bool(str(output)) and (work_folder(output) / CHECKPOINT).is_file()


def asked_settings(parameters: Any) -> TrainingSettings:
    """Return the settings that the panel's parameter node asks for."""
    return TrainingSettings(
        epochs=parameters.epochs,
        width=parameters.width,
        size=parameters.size,
        batch=parameters.batch,
        learning_rate=parameters.learningRate,
        decay_epochs=parameters.decayEpochs,
        adversarial_weight=parameters.adversarialWeight,
        spacing_mm=parameters.spacing or None,
        seed=parameters.seed,
        device=parameters.device.value,
        domain=parameters.domain,
    )


class Training(JobListener):
    """One training; as a listener it draws the chart and passes everything on.

    Args:
        pairs: a manifest file, or pairs of volume nodes. These are written into the training's
            folder, so that it can be resumed without the scene.
        output: folder of the model.

    Raises:
        SyntheticCTError: settings or pairs that cannot be used.
    """

    def __init__(
        self,
        pairs: str | os.PathLike | Sequence[Pair],
        output: str | os.PathLike,
        settings: TrainingSettings,
        results: Results,
        *,
        resume: bool = False,
        listener: JobListener | None = None,
    ) -> None:
        settings.check()
        if not str(output):
            raise SyntheticCTError(_("No folder for the model is given: choose one."))
        self._output, self._settings, self._resume = Path(output), settings, resume
        self._results, self._listener = results, listener or JobListener()
        self._chart: LossChart | None = None
        self._shown = (0, 0.0)
        kept = work_folder(output) / "scene" / "manifest.csv"
        self._pairs: list[Pair] = []
        self._sources: list[tuple[Source, Source]] = []
        if isinstance(pairs, str | os.PathLike):
            self._manifest = Path(pairs)
            if not self._manifest.is_file():
                raise SyntheticCTError(
                    _("There is no manifest {path}: choose a CSV file.").format(path=pairs)
                )
        else:
            self._manifest = kept
            if not (resume and kept.is_file()):
                self._take(list(pairs))
        if not resume and can_resume(output):
            raise SyntheticCTError(
                _(
                    "A training of {model} is there already: resume it, or choose another folder."
                ).format(model=self._output.name)
            )

    def stages(self) -> list[Stage]:
        """Return the stages of the job."""
        return [
            Steps(self._write_pairs),
            Turn(self._add_chart),
            CommandLine(self._arguments),
            Turn(self._read),
        ]

    def onProgress(self, step: str, fraction: float, details: dict[str, Any]) -> None:
        epoch = details.get("epoch")
        now = time.monotonic()
        if epoch and self._chart is not None:
            whole = "validation_mae_hu" in details
            if whole or epoch != self._shown[0] or now - self._shown[1] > SHOWN_EVERY_S:
                self._chart.show(epoch, details)
                self._shown = epoch, now
        self._results.device = details.get("device", self._results.device)
        self._listener.onProgress(step, fraction, details)

    def onWarning(self, message: str) -> None:
        self._listener.onWarning(message)

    def onEnd(self, job: Job) -> None:
        self._listener.onEnd(job)

    def _take(self, pairs: list[Pair]) -> None:
        if not pairs:
            raise SyntheticCTError(_("There are no pairs to train on: add a pair of MR and CT."))
        if all(pair.validation for pair in pairs):
            raise SyntheticCTError(
                _("All pairs are for validation: leave at least one to train on.")
            )
        for pair in pairs:
            require_roles(pair.mr, pair.ct)
            if fault := other_patients({"MR": pair.mr, "CT": pair.ct}):
                raise SyntheticCTError(fault)
        self._pairs = pairs
        self._sources = [(Source(pair.mr, "MR"), Source(pair.ct, "CT")) for pair in pairs]

    def _write_pairs(self, job: Job) -> Generator[None, None, None]:
        if not self._pairs:
            return
        folder = require_writable_folder(self._manifest.parent)
        rows = []
        for number, (pair, sources) in enumerate(zip(self._pairs, self._sources, strict=True), 1):
            files = []
            for role, source in zip(("mr", "ct"), sources, strict=True):
                if source.node.GetScene() is None:
                    raise SyntheticCTError(
                        _("{name} was removed before it was used: choose another pair.").format(
                            name=source.name
                        )
                    )
                image = yield from image_steps(source.node, role.upper())
                yield
                files.append(f"{role}_{number}.mha")
                job.names[str(folder / files[-1])] = source.name
                yield from writing_steps(image, folder / files[-1])
            rows.append(
                {
                    "patient": number,
                    "mr": files[0],
                    "ct": files[1],
                    "registered": "yes" if pair.registered else "no",
                    "use": "validation" if pair.validation else "train",
                }
            )
        with self._manifest.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)

    def _add_chart(self, job: Job) -> None:
        self._chart = LossChart(slicer.mrmlScene, self._output, self._resume)
        self._results.charts, self._results.table = (self._chart.chart,), self._chart.table
        if self._resume:
            checkpoint = work_folder(self._output) / CHECKPOINT
            for epoch, losses in enumerate(read_history(checkpoint), 1):
                self._chart.show(epoch, losses)
        show_chart(self._chart.chart)
        job.result = self._results

    def _arguments(self, job: Job) -> list[str]:
        arguments = ["train", str(self._manifest), "--output", str(self._output)]
        for name, option in _OPTIONS.items():
            value = asdict(self._settings)[name]
            if value is not None:
                arguments += [option, str(value)]
        arguments += ["--hu-range", *map(str, self._settings.hu_range)]
        return [*arguments, "--resume"] if self._resume else arguments

    def _read(self, job: Job) -> Results:
        for epoch, losses in enumerate(read_card(self._output).record["history"], 1):
            if self._chart is not None:
                self._chart.show(epoch, losses)
        self._results.model = str(self._output)
        return self._results
