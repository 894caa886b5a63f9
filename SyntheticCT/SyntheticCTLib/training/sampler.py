"""The slabs that an epoch shows the network, cut and flipped at random."""

from __future__ import annotations

import numpy as np

from SyntheticCTLib.inference.prediction import scale_to_network

from .pairs import Pairs
from .settings import TrainingSettings


class SlabSampler:
    """Draws training batches: MR slab, CT slab and validity, (batch, 3, size, size)."""

    def __init__(self, pairs: Pairs, settings: TrainingSettings) -> None:
        self._pairs = pairs
        self._settings = settings
        self._volumes = {n: (pairs.mr(n), pairs.ct(n), pairs.valid(n)) for n in pairs.training}
        self._boxes = {}
        self.slabs = []
        for number, (_, ct, _) in self._volumes.items():
            tissue = ct > -500
            self._boxes[number] = [
                np.flatnonzero(tissue.any(axis=axes))[[0, -1]] for axes in ((0, 2), (0, 1))
            ]
            self.slabs += [(number, k) for k in range(ct.shape[0] - 2)]

    def batches(self, epoch: int):
        """Yield the batches of an epoch, in an order that depends on seed and epoch alone."""
        rng = np.random.default_rng([self._settings.seed, epoch])
        order = rng.permutation(len(self.slabs))
        batch = self._settings.batch
        for first in range(0, len(order), batch):
            drawn = [self._draw(*self.slabs[n], rng) for n in order[first : first + batch]]
            yield tuple(np.stack(part) for part in zip(*drawn, strict=True))

    def __len__(self) -> int:
        return -(-len(self.slabs) // self._settings.batch)

    def _draw(self, number: int, k: int, rng: np.random.Generator) -> list[np.ndarray]:
        size = self._settings.size
        where = [slice(k, k + 3)]
        for extent, (first, last) in zip(
            self._volumes[number][0].shape[1:], self._boxes[number], strict=True
        ):
            low = min(max(first - size // 8, 0), max(last + 1 - size, 0))
            high = max(min(last + 1 + size // 8, extent) - size, low)
            start = int(rng.integers(low, high + 1))
            where.append(slice(start, start + size))
        mr, ct, valid = (volume[tuple(where)] for volume in self._volumes[number])
        return [
            _padded(scale_to_network(mr.astype(np.float32), self._pairs.mr_range), size, -1),
            _padded(scale_to_network(ct.astype(np.float32), self._settings.hu_range), size, -1),
            _padded(valid.astype(np.float32), size, 0),
        ]


def _padded(slab: np.ndarray, size: int, value: float) -> np.ndarray:
    rows, columns = (size - n for n in slab.shape[1:])
    return np.pad(slab, ((0, 0), (0, rows), (0, columns)), constant_values=value)
