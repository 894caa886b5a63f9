"""A training between two epochs, on disk as one safetensors file."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.outputs import staged_file
from SyntheticCTLib.basics.stages import no_room

from .settings import TrainingSettings


class TrainingState:
    """Networks, optimizers and loss history; saved as one safetensors file.

    Args:
        data: what it is trained on (pairs.fingerprint).
    """

    def __init__(self, settings: TrainingSettings, device: str, data: list[dict]) -> None:
        import torch

        from SyntheticCTLib.network.gan import Discriminator, Generator

        torch.manual_seed(settings.seed)
        self.settings = settings
        self.device = device
        self.data = data
        # Channels-last convolutions take about 0.8 of the time on a CPU.
        self.generator = Generator(settings.width, settings.depth, settings.blocks).to(
            device, memory_format=torch.channels_last
        )
        self.discriminator = Discriminator(settings.width).to(
            device, memory_format=torch.channels_last
        )
        self._parts = {"generator": self.generator, "discriminator": self.discriminator}
        self.optimizers = {
            name: torch.optim.Adam(part.parameters(), settings.learning_rate, betas=(0.5, 0.999))
            for name, part in self._parts.items()
        }
        self.history: list[dict[str, float]] = []

    def save(self, path: Path) -> None:
        """Write the whole state to ``path``, whole or not at all."""
        from safetensors import SafetensorError
        from safetensors.torch import save_file

        tensors = {}
        for name, part in self._parts.items():
            tensors |= {f"{name}.{key}": value for key, value in part.state_dict().items()}
            for index, values in self.optimizers[name].state_dict()["state"].items():
                tensors |= {f"{name}.adam.{index}.{key}": v for key, v in values.items()}
        facts = {
            "history": self.history,
            "settings": _fixed_settings(self.settings),
            "data": self.data,
        }
        with staged_file(path) as stage:
            try:
                save_file(
                    {key: value.detach().cpu().contiguous() for key, value in tensors.items()},
                    stage,
                    metadata={"training": json.dumps(facts)},
                )
            except SafetensorError as error:
                raise no_room(path) from error

    def load(self, path: Path) -> None:
        """Restore what :meth:`save` wrote (see :func:`check_checkpoint`).

        Raises:
            SyntheticCTError: unreadable.
        """
        with _opened(path, "pt", device=self.device) as file:
            facts = json.loads(file.metadata()["training"])
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        for name, part in self._parts.items():
            part.load_state_dict({key: tensors[f"{name}.{key}"] for key in part.state_dict()})
            optimizer = self.optimizers[name].state_dict()
            for key, value in tensors.items():
                if key.startswith(f"{name}.adam."):
                    index, field = key.removeprefix(f"{name}.adam.").split(".")
                    optimizer["state"].setdefault(int(index), {})[field] = value
            self.optimizers[name].load_state_dict(optimizer)
        self.history = facts["history"]

    def start_epoch(self) -> None:
        """Set the learning rate of the epoch that comes next."""
        left = self.settings.epochs - len(self.history)
        share = min(1.0, left / (self.settings.decay_epochs + 1))
        for optimizer in self.optimizers.values():
            optimizer.param_groups[0]["lr"] = share * self.settings.learning_rate


def check_checkpoint(path: Path, settings: TrainingSettings, data: list[dict]) -> None:
    """Refuse to resume with anything else than what a checkpoint was trained with.

    Args:
        data: see pairs.fingerprint.

    Raises:
        SyntheticCTError: unreadable, or other settings or data, with what has changed.
    """
    with _opened(path, "np") as file:
        facts = json.loads(file.metadata()["training"])
    mine = _fixed_settings(settings)
    changed = sorted(key for key, value in mine.items() if facts["settings"].get(key) != value)
    if changed:
        raise SyntheticCTError(
            f"The checkpoint {path} was trained with another {', '.join(changed)}: resume "
            "with the same settings (only the number of epochs may grow, without a decay)."
        )
    if changed := _changed_data(facts.get("data") or [], data):
        raise SyntheticCTError(
            f"The checkpoint {path} was trained on other data ({'; '.join(changed)}): resume with "
            "the manifest and the files that it began with, or train a new model."
        )


def _changed_data(before: list[dict], now: list[dict]) -> list[str]:
    """Say what is not as it was, patient by patient; nothing where all is."""
    if before == now:
        return []
    if not before:
        return ["it does not say which"]

    def marks(entries: list[dict]) -> list[str]:
        return sorted(json.dumps(entry, sort_keys=True) for entry in entries)

    if marks(before) == marks(now):
        return ["the patients stand in another order in the manifest"]
    found = []
    if len(before) != len(now):
        found.append(f"{len(now)} patients instead of {len(before)}")
    for number, (old, new) in enumerate(zip(before, now, strict=False), start=1):
        if other := [name for name, value in old.items() if new.get(name) != value]:
            found.append(f"patient {number} of the manifest has another {' and '.join(other)}")
    return found[:5] + ["and more"] * (len(found) > 5)


def _fixed_settings(settings: TrainingSettings) -> dict:
    fixed = asdict(settings)
    for name in ("device", "domain"):
        del fixed[name]
    if not settings.decay_epochs:
        del fixed["epochs"]  # without a decay, more epochs only add to those done
    fixed["hu_range"] = list(fixed["hu_range"])
    return fixed


def read_history(path: Path) -> list[dict[str, float]]:
    """Return the losses of every epoch that a checkpoint knows.

    Raises:
        SyntheticCTError: unreadable.
    """
    with _opened(path, "np") as file:
        return json.loads(file.metadata()["training"])["history"]


@contextlib.contextmanager
def _opened(path: Path, framework: str, **options: str) -> Iterator[Any]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework, **options) as file:
            yield file
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise SyntheticCTError(
            f"The checkpoint {path} is truncated or altered: remove its folder and train anew."
        ) from error
