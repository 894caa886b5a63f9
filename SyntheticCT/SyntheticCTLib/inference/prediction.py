"""The generator run over all slabs of a volume."""

from __future__ import annotations

import numpy as np

from SyntheticCTLib.basics.progress import SILENT, Progress
from SyntheticCTLib.network.slabs import (
    SLAB,
    SlabBlend,
)

BATCH = 4


def predict(
    generator, slices: np.ndarray, *, device: str = "cpu", progress: Progress = SILENT
) -> tuple[np.ndarray, np.ndarray]:
    """Run the generator over all slabs of a volume and blend them.

    Args:
        generator: network that maps (batch, SLAB, j, i) to the same shape.
        slices: volume (k, j, i) in -1..1, float32, padded to what the network accepts.

    Returns:
        Mean and standard deviation over the slabs of each slice, (k, j, i), in -1..1.
    """
    import torch

    blend = SlabBlend(slices.shape)
    starts = range(slices.shape[0] - SLAB + 1)
    volume = torch.from_numpy(slices).to(device)
    with torch.inference_mode():
        for first in range(0, len(starts), BATCH):
            batch = starts[first : first + BATCH]
            predicted = generator(torch.stack([volume[k : k + SLAB] for k in batch])).cpu().numpy()
            for k, slab in zip(batch, predicted, strict=True):
                blend.add(k, slab)
            progress.report(
                "Generate synthetic CT", (first + len(batch)) / len(starts), device=device
            )
    return blend.mean(), blend.spread()


def scale_to_network(values: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    """Return ``values`` with ``limits`` mapped to -1 and 1, clipped, float32."""
    low, high = limits
    return np.clip((values - low) * (2 / (high - low)) - 1, -1, 1).astype(np.float32)
