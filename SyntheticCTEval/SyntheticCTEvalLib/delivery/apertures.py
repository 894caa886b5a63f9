"""Fluence of what jaws and leaves leave open, differentiable in their positions (torch)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from SyntheticCTEvalLib.dose.plan import SOURCE_BLUR_MM

from .segments import Segment

if TYPE_CHECKING:
    import torch

_STILL_MM = 1e-3


def open_share(
    start: torch.Tensor, end: torch.Tensor, borders: torch.Tensor, jaws: torch.Tensor
) -> torch.Tensor:
    """Share of time and pixel that lies between two moving edges: (..., pixels).

    Args:
        start: (..., 2) lower and upper edge at first, mm; they move linearly.
        end: (..., 2) at last.
        borders: (pixels + 1) rising borders of the pixels, mm.
        jaws: (2, 2) lower and upper edge of the jaws at first and at last. Exact where they stand
            still; where they move, their share multiplies.
    """
    widest = borders.clamp(jaws[:, 0].min(), jaws[:, 1].max())
    share = _passed(start[..., 0], end[..., 0], widest) - _passed(
        start[..., 1], end[..., 1], widest
    )
    share = share / (borders[1:] - borders[:-1])
    if not bool((jaws[0] == jaws[1]).all()):
        moving = [_passed(jaws[0, side], jaws[1, side], borders) for side in (0, 1)]
        share = share * (moving[0] - moving[1]) / (borders[1:] - borders[:-1])
    return share


def _passed(start: torch.Tensor, end: torch.Tensor, borders: torch.Tensor) -> torch.Tensor:
    """mm of every pixel (..., pixels) that lie beyond a moving edge (...), in the mean of time."""
    import torch

    low = torch.minimum(start, end)[..., None]
    way = (torch.maximum(start, end)[..., None] - low).clamp_min(_STILL_MM)
    beyond = borders - low
    # The integral of the share of time that the edge lies below a place.
    ramp = torch.minimum(beyond.clamp_min(0), way)
    integral = ramp**2 / (2 * way) + (beyond - way).clamp_min(0)
    return integral[..., 1:] - integral[..., :-1]


def fluence_of(segment: Segment, pixels: int) -> np.ndarray:
    """Fluence (rows, columns; float32) of a segment at the isocentre's plane, pixels of 1 mm.

    1 where the field is open the whole time; the edges are blurred by the source
    (dose.plan.SOURCE_BLUR_MM) and leaves let nothing through. Rows go along the gantry's axis (at
    couch 0 to the head of a patient head first), columns along Xg of IEC 61217.

    Args:
        pixels: rows and columns, even; the beam's axis is in the middle.
    """
    import torch

    borders = torch.arange(pixels + 1, dtype=torch.float64) - pixels / 2
    leaves, sides, jaws = map(
        torch.from_numpy, (segment.leaves_mm, segment.sides_mm, segment.jaws_mm)
    )
    along = open_share(leaves[0], leaves[1], borders, jaws[:, 0])
    shares = open_share(sides, sides, borders, jaws[:, 1]).T @ along
    if segment.axis == "Y":
        shares = shares.T
    fluence = _turned(_blurred(shares), segment.collimator_deg)
    return fluence.clamp(0, 1).to(torch.float32).numpy()


def _blurred(shares: torch.Tensor) -> torch.Tensor:
    import torch

    radius = int(4 * SOURCE_BLUR_MM + 0.5)
    at = torch.arange(-radius, radius + 1, dtype=shares.dtype)
    weights = torch.exp(-0.5 * (at / SOURCE_BLUR_MM) ** 2)
    weights = (weights / weights.sum()).reshape(1, 1, -1, 1)
    result = torch.nn.functional.conv2d(shares[None, None], weights, padding=(radius, 0))
    return torch.nn.functional.conv2d(result, weights.mT, padding=(0, radius))[0, 0]


def _turned(fluence: torch.Tensor, collimator_deg: float) -> torch.Tensor:
    """From the axes of the beam limiting device to the gantry's (after the blur: it is round)."""
    import torch

    if collimator_deg % 360 == 0:
        return fluence
    angle = np.deg2rad(collimator_deg)
    cos, sin = float(np.cos(angle)), float(np.sin(angle))
    size = fluence.shape[0]
    at = (torch.arange(size, dtype=fluence.dtype) + 0.5) * (2 / size) - 1
    yg, xg = torch.meshgrid(at, at, indexing="ij")
    grid = torch.stack([xg * cos + yg * sin, yg * cos - xg * sin], dim=-1)
    return torch.nn.functional.grid_sample(
        fluence[None, None], grid[None], mode="bilinear", align_corners=False
    )[0, 0]
