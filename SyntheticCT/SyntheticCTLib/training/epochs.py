"""Training of the GAN on prepared pairs, with checkpoints that resume exactly.

Source: paper, "Evaluation and implementation": L1 plus adversarial loss, weight 1 each, Adam
with 2e-4, batches of three slabs, 100 epochs, intensities in -1..1, 512 x 512.
"""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from SyntheticCTLib import __version__
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.outputs import refuse_overwrite, require_writable_folder
from SyntheticCTLib.basics.progress import SILENT, Progress
from SyntheticCTLib.basics.stages import tidy
from SyntheticCTLib.bundle.domain import describe_domain
from SyntheticCTLib.bundle.folder import ModelBundle, save_bundle
from SyntheticCTLib.inference.device import choose_device
from SyntheticCTLib.inference.prediction import predict, scale_to_network
from SyntheticCTLib.network.slabs import Padding

from .checkpoint import TrainingState, check_checkpoint
from .pairs import Pairs, PairSource, fingerprint, prepare_pairs
from .sampler import SlabSampler
from .settings import TrainingSettings

CHECKPOINT = "checkpoint.safetensors"
WORSE = 1.05
"""From epoch to epoch errors rise by a few percent even where a training goes well."""

PHANTOM_TEXT = "Digital pelvis phantom only; not for real scans"


def work_folder(output: str | os.PathLike) -> Path:
    """Return the folder in which a training keeps its pairs and its checkpoint."""
    output = Path(output)
    return output.with_name(output.name + ".training")


def train(
    sources: Sequence[PairSource],
    output: str | os.PathLike,
    settings: TrainingSettings,
    *,
    resume: bool = False,
    workers: int = 1,
    progress: Progress = SILENT,
) -> ModelBundle:
    """Train a model and write its bundle.

    Pairs and the checkpoint of the last finished epoch are kept in ``output`` + ".training".

    Args:
        sources: the patients, from :func:`training_pairs.read_sources`.
        output: folder of the bundle.
        resume: go on from the checkpoint; the result equals that of a run without the break.
        workers: pairs registered at the same time.

    Raises:
        SyntheticCTError: settings, data, nothing to resume, or a training is there already.
    """
    settings.check()
    output = Path(output)
    work = work_folder(output)
    inputs = [path for source in sources for path in (source.mr, source.ct)]
    # Pairs of a scene are kept in the work folder, beside what the training writes there.
    kept = [path for path in inputs if work.resolve() in path.resolve().parents]
    for folder in (output, work):
        refuse_overwrite(folder, [path for path in inputs if path not in kept])
        if folder.exists() and not folder.is_dir():
            raise SyntheticCTError(f"The output {folder} is a file: give a folder.")
    checkpoint = work / CHECKPOINT
    if resume and not checkpoint.is_file():
        raise SyntheticCTError(f"There is no training to resume in {work}: leave out --resume.")
    if not resume and checkpoint.is_file():
        raise SyntheticCTError(
            f"A training of {output} is there already: go on with --resume, or remove {work}."
        )
    data = fingerprint(sources)
    if resume:
        check_checkpoint(checkpoint, settings, data)
    require_writable_folder(output.parent)
    for folder in (work, output):
        tidy(folder)
    device = choose_device(settings.device)
    pairs = prepare_pairs(
        sources,
        work / "pairs",
        spacing_mm=settings.spacing_mm,
        workers=workers,
        progress=progress,
    )
    state = TrainingState(settings, device, data)
    if resume:
        state.load(checkpoint)
    sampler = SlabSampler(pairs, settings)
    while len(state.history) < settings.epochs:
        losses = _run_epoch(state, sampler, settings, progress)
        if pairs.validation:
            losses["validation_mae_hu"] = _validation_mae(state.generator, pairs, settings, device)
            epoch = len(state.history) + 1
            progress.report("Train", epoch / settings.epochs, epoch=epoch, **losses)
        state.history.append(losses)
        state.save(checkpoint)
    bundle = _bundle(state, pairs, settings, device)
    if sentence := _worse(state.history):
        progress.warn(sentence)
        bundle.record["warnings"] = [sentence]  # the model is warned of wherever it is used
    save_bundle(bundle, output)
    return bundle


def _run_epoch(
    state: TrainingState, sampler: SlabSampler, settings: TrainingSettings, progress: Progress
) -> dict[str, float]:
    import torch
    from torch.nn.functional import binary_cross_entropy

    state.generator.train()
    state.start_epoch()
    epoch = len(state.history)
    half = (settings.hu_range[1] - settings.hu_range[0]) / 2
    adversarial = settings.adversarial_weight > 0
    sums = {"l1_hu": 0.0, "adversarial": 0.0, "discriminator": 0.0}
    for step, arrays in enumerate(sampler.batches(epoch)):
        mr, ct, valid = (torch.from_numpy(a).to(state.device) for a in arrays)
        fake = state.generator(mr)
        # Outside the MR's field of view both are shown alike, so nothing is to be told there.
        shown = fake * valid + ct * (1 - valid)
        found = dict.fromkeys(sums, 0.0)
        if adversarial:
            real_score = state.discriminator(ct)
            fake_score = state.discriminator(shown.detach())
            loss = (
                binary_cross_entropy(real_score, torch.ones_like(real_score))
                + binary_cross_entropy(fake_score, torch.zeros_like(fake_score))
            ) / 2
            _step(state.optimizers["discriminator"], loss)
            found["discriminator"] = loss.item()
        l1 = (torch.abs(fake - ct) * valid).sum() / valid.sum().clamp(min=1)
        loss = settings.l1_weight * l1
        if adversarial:
            score = state.discriminator(shown)
            fooling = binary_cross_entropy(score, torch.ones_like(score))
            loss = loss + settings.adversarial_weight * fooling
            found["adversarial"] = fooling.item()
        _step(state.optimizers["generator"], loss)
        found["l1_hu"] = l1.item() * half
        if not all(math.isfinite(value) for value in found.values()):
            raise SyntheticCTError(
                f"The training diverged in epoch {epoch + 1}: lower the learning rate and train "
                "anew, the checkpoint holds the epoch before."
            )
        for name, value in found.items():
            sums[name] += value
        progress.report(
            "Train",
            (epoch + (step + 1) / len(sampler)) / settings.epochs,
            epoch=epoch + 1,
            device=state.device,
            **{name: value / (step + 1) for name, value in sums.items()},
        )
    return {name: value / len(sampler) for name, value in sums.items()}


def _step(optimizer, loss) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()


def _validation_mae(generator, pairs: Pairs, settings: TrainingSettings, device: str) -> float:
    generator.eval()
    errors = []
    half = (settings.hu_range[1] - settings.hu_range[0]) / 2
    for number in pairs.validation:
        mr = scale_to_network(pairs.mr(number).astype(np.float32), pairs.mr_range)
        padding = Padding.to_multiple(mr.shape, 2**settings.depth, 3)
        mean = padding.remove(predict(generator, padding.add(mr, -1), device=device)[0])
        hu = (mean + 1) * half + settings.hu_range[0]
        ct, valid = pairs.ct(number), pairs.valid(number)
        tissue = valid & (ct > -500)
        errors.append(float(np.abs(hu[tissue] - ct[tissue]).mean()))
    return float(np.mean(errors))


def _worse(history: Sequence[dict[str, float]]) -> str:
    """Say that the last epoch is worse than an earlier one; nothing where it is not.

    Judged by the patients that were held out, else by the L1 loss over those trained on.
    """
    held_out = all("validation_mae_hu" in losses for losses in history)
    name, what = ("validation_mae_hu", "held out") if held_out else ("l1_hu", "trained on")
    errors = [losses[name] for losses in history]
    best = min(range(len(errors)), key=errors.__getitem__)
    if errors[-1] <= WORSE * errors[best] and errors[-1] <= errors[0]:
        return ""
    return (
        f"The training ended worse than it was: on patients {what} the error was "
        f"{errors[best]:.1f} HU after epoch {best + 1} and is {errors[-1]:.1f} HU after epoch "
        f"{len(errors)}, of which the model is. Train for more epochs, or lower the adversarial "
        "weight (--adversarial-weight 0.01) or the learning rate."
    )


def _bundle(
    state: TrainingState, pairs: Pairs, settings: TrainingSettings, device: str
) -> ModelBundle:
    import torch

    facts = pairs.facts
    phantom = all(facts["phantom"])
    real = "T2-weighted MR of the pelvis of the department that trained this model"
    text = settings.domain or (PHANTOM_TEXT if phantom else real)
    return ModelBundle(
        network={"width": settings.width, "depth": settings.depth, "blocks": settings.blocks},
        nyul=pairs.nyul,
        mr_range=pairs.mr_range,
        hu_range=settings.hu_range,
        spacing_mm=pairs.spacing_mm,
        domain=describe_domain(
            text, phantom, [np.asarray(row) for row in facts["histograms"]], facts["fovs_mm"]
        ),
        record={
            "settings": asdict(settings),
            "patients_training": len(pairs.training),
            "patients_validation": len(pairs.validation),
            "history": state.history,
            "raw_histograms": facts["raw_histograms"],
            "normalized_histograms": facts["histograms"],
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "versions": {
                "synthetic-ct": __version__,
                "torch": torch.__version__,
                "python": platform.python_version(),
            },
            "device": device,
        },
        # Half precision moves the result by far less than 1 HU and halves the file.
        weights={
            key: value.detach().cpu().half() if value.ndim == 4 else value.detach().cpu().clone()
            for key, value in state.generator.state_dict().items()
        },
    )
