"""The GAN of the study: U-Net generator with residual bottleneck, five-block discriminator.

Source: paper, "Data preprocessing and network training" and Figure 4b. Imported only where a
network is used, because torch is heavy.
"""

from __future__ import annotations

import itertools

import torch
from torch import nn

from .slabs import SLAB


def _convolutions(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
        nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class ResidualBlock(nn.Module):
    """Two convolutions whose result is added to their input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x + self.body(x))


class Generator(nn.Module):
    """U-Net with skip connections and a residual bottleneck; MR slab in, CT slab out.

    Args:
        width: channels of the first level; they double at each level.
        depth: number of down-samplings; height and width must be multiples of 2**depth.
        blocks: residual blocks in the bottleneck.
    """

    def __init__(self, width: int = 64, depth: int = 4, blocks: int = 4) -> None:
        super().__init__()
        channels = [width * 2**level for level in range(depth + 1)]
        self.encoders = nn.ModuleList(
            _convolutions(inputs, outputs)
            for inputs, outputs in zip([SLAB, *channels], channels[:-1], strict=False)
        )
        self.down = nn.MaxPool2d(2)
        self.bottleneck = nn.Sequential(
            _convolutions(channels[-2], channels[-1]),
            *(ResidualBlock(channels[-1]) for _ in range(blocks)),
        )
        self.ups = nn.ModuleList(
            nn.ConvTranspose2d(below, above, 2, stride=2)
            for below, above in zip(channels[:0:-1], channels[-2::-1], strict=True)
        )
        self.decoders = nn.ModuleList(_convolutions(2 * above, above) for above in channels[-2::-1])
        self.last = nn.Conv2d(width, SLAB, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (batch, 3, height, width) in -1..1 to the same shape in -1..1."""
        skips = []
        for encoder in self.encoders:
            x = encoder(x)
            skips.append(x)
            x = self.down(x)
        x = self.bottleneck(x)
        for up, decoder in zip(self.ups, self.decoders, strict=True):
            x = decoder(torch.cat([up(x), skips.pop()], dim=1))
        return torch.tanh(self.last(x))


class Discriminator(nn.Module):
    """Five down-sampling convolution blocks with ReLU, then one probability a slab.

    The last feature map is averaged over its extent before the sigmoid, so that slabs of any
    size are judged.

    Args:
        width: channels of the first block; they double at each block, up to eight times.
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        channels = [SLAB, *(width * min(2**block, 8) for block in range(5))]
        self.blocks = nn.Sequential(
            *(
                nn.Sequential(nn.Conv2d(inputs, outputs, 4, stride=2, padding=1), nn.ReLU())
                for inputs, outputs in itertools.pairwise(channels)
            )
        )
        self.last = nn.Linear(channels[-1], 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (batch, 1): the probability that each slab (batch, 3, h, w) is a true CT."""
        return torch.sigmoid(self.last(self.blocks(x).mean(dim=(2, 3))))
