"""Shapes, ranges and structure of the networks."""

from __future__ import annotations

import pytest
import torch
from SyntheticCTLib.network.gan import Discriminator, Generator, ResidualBlock


@pytest.mark.parametrize("depth", [2, 4])
def test_generator_keeps_the_shape_and_the_range(depth):
    generator = Generator(width=4, depth=depth, blocks=2)
    result = generator(torch.randn(2, 3, 48, 32))
    assert result.shape == (2, 3, 48, 32)
    assert result.abs().max() <= 1


def test_generator_has_skip_connections_and_a_residual_bottleneck():
    generator = Generator(width=4, depth=3, blocks=2)
    assert sum(isinstance(m, ResidualBlock) for m in generator.bottleneck) == 2
    for up, decoder in zip(generator.ups, generator.decoders, strict=True):
        assert decoder[0].in_channels == 2 * up.out_channels


def test_discriminator_halves_five_times_and_gives_one_probability():
    discriminator = Discriminator(width=4)
    assert len(discriminator.blocks) == 5
    x = torch.randn(2, 3, 64, 96)
    assert discriminator.blocks(x).shape[-2:] == (2, 3)
    score = discriminator(x)
    assert score.shape == (2, 1)
    assert ((score > 0) & (score < 1)).all()
