"""What a training of the GAN is made with."""

from __future__ import annotations

import math
from dataclasses import dataclass

from SyntheticCTLib.basics.errors import SyntheticCTError


@dataclass(frozen=True)
class TrainingSettings:
    """Settings of a training; the defaults are the paper's where it gives them.

    Attributes:
        epochs: passes over all slabs.
        width, depth, blocks: of the generator; the discriminator takes the same width.
        size: pixels of a training slab; larger slices are cropped at random around the body,
            smaller ones padded.
        batch: slabs a step.
        learning_rate: of both Adam optimizers.
        decay_epochs: over the last epochs, so many, the learning rate falls linearly towards 0,
            which takes the noise out of the last weights; the paper has none.
        l1_weight, adversarial_weight: of the generator's loss; at adversarial weight 0 no
            discriminator is trained.
        spacing_mm: in-plane network grid; the CT's own when None.
        hu_range: CT numbers that -1 and 1 stand for.
        seed: of initial weights, order and crops.
        device: "auto", "cpu" or "cuda".
        domain: what the model is for, in words (sequence, scanner, patients).
    """

    epochs: int = 100
    width: int = 64
    depth: int = 4
    blocks: int = 4
    size: int = 512
    batch: int = 3
    learning_rate: float = 2e-4
    decay_epochs: int = 0
    l1_weight: float = 1.0
    adversarial_weight: float = 1.0
    spacing_mm: float | None = None
    hu_range: tuple[float, float] = (-1024.0, 2048.0)
    seed: int = 0
    device: str = "auto"
    domain: str = ""

    def check(self) -> None:
        """Raise SyntheticCTError with one sentence where a setting makes no sense."""
        if min(self.epochs, self.width, self.depth, self.batch) < 1 or self.blocks < 0:
            raise SyntheticCTError("Epochs, width, depth and batch must be at least 1.")
        if not 0 <= self.decay_epochs <= self.epochs:
            raise SyntheticCTError("The decay must take between 0 and all of the epochs.")
        if self.size < 32 or self.size % 2**self.depth:
            raise SyntheticCTError(
                f"The size {self.size} does not fit: it must be at least 32 and a multiple of "
                f"{2**self.depth} at depth {self.depth}."
            )
        numbers = (self.learning_rate, self.l1_weight, self.adversarial_weight, *self.hu_range)
        if not all(math.isfinite(number) for number in numbers) or self.seed < 0:
            raise SyntheticCTError("Settings must be finite numbers, and the seed not negative.")
        low, high = self.hu_range
        if not -32768 <= low < high <= 32767:
            raise SyntheticCTError(
                f"The range of CT numbers {low:g} to {high:g} HU has no meaning: give the lowest "
                "and the highest, such as -1024 and 2048."
            )
        if self.learning_rate <= 0 or self.l1_weight < 0 or self.adversarial_weight < 0:
            raise SyntheticCTError("The learning rate must be positive and weights not negative.")
        if self.spacing_mm is not None and not 0.1 <= self.spacing_mm <= 20:
            raise SyntheticCTError("The spacing must lie between 0.1 and 20 mm.")
