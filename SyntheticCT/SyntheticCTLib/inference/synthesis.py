"""Synthetic CT from an MR: Nyul, slabs, generator, blend, back on exactly the MR's grid."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import SimpleITK as sitk

from .bundle import ModelBundle
from .domain import normalized_histogram, outside_domain
from .errors import SyntheticCTError
from .normalization import foreground_mask
from .progress import SILENT, Progress
from .resampling import HU_AIR, resample
from .slabs import (
    NO_SPREAD,
    SLAB,
    Padding,
    SlabBlend,
    from_network,
    network_grid,
    to_network,
)
from .volumes import label_synthetic

BATCH = 4


@dataclass
class Generated:
    """What :func:`generate` returns.

    Attributes:
        sct: synthetic CT, int16 HU, on the grid of the MR.
        uncertainty: standard deviation in HU over the slabs that predicted each slice
            (float32, same grid); -1 where only one slab did, which is in the end slices.
        normalized: the MR on the standard scale (float32, same grid).
        warnings: one sentence for each reason why the MR lies outside the model's domain.
        device: where the network ran.
    """

    sct: sitk.Image
    uncertainty: sitk.Image
    normalized: sitk.Image
    warnings: list[str] = field(default_factory=list)
    device: str = "cpu"


def generate(
    mr: sitk.Image,
    bundle: ModelBundle,
    *,
    device: str = "auto",
    body: sitk.Image | None = None,
    progress: Progress = SILENT,
) -> Generated:
    """Make the synthetic CT of ``mr``.

    Args:
        mr: 3D MR of any grid (oblique, flipped, anisotropic, any size).
        bundle: the model.
        device: "cpu", "cuda", or "auto" for the GPU where there is one.
        body: mask (not 0) of the patient's body on any grid; the synthetic CT is air,
            :data:`resampling.HU_AIR`, outside it.

    Raises:
        SyntheticCTError: the MR has no foreground, the body lies outside it, or the device is
            not there.
    """
    inside = None if body is None else _inside(body, mr)
    progress.report("Nyul normalization", 0)
    foreground = foreground_mask(mr)
    normalized = bundle.nyul.apply(mr, foreground)
    warnings = outside_domain(
        mr,
        normalized_histogram(sitk.GetArrayViewFromImage(normalized)[foreground]),
        bundle.domain,
    )
    for sentence in warnings:
        progress.warn(sentence)
    progress.report("Nyul normalization", 1)

    grid = network_grid(mr, bundle.spacing_mm)
    slices = scale_to_network(to_network(normalized, grid, bundle.mr_range[0]), bundle.mr_range)
    padding = Padding.to_multiple(slices.shape, 2 ** bundle.network["depth"], SLAB)
    device = choose_device(device)
    mean, spread = predict(
        bundle.generator(device), padding.add(slices, -1), device=device, progress=progress
    )
    mean, spread = padding.remove(mean), padding.remove(spread)

    half = (bundle.hu_range[1] - bundle.hu_range[0]) / 2
    hu = (mean + 1) * half + bundle.hu_range[0]
    sct = sitk.Cast(sitk.Round(from_network(hu, grid, mr)), sitk.sitkInt16)
    if inside is not None:
        sct = sitk.Mask(sct, inside, outsideValue=HU_AIR)
    spread[spread > 0] *= half
    uncertainty = from_network(spread, grid, mr, fill=NO_SPREAD)
    # Between a slice with a spread and one without there is none.
    uncertainty = sitk.Mask(uncertainty, uncertainty >= 0, outsideValue=NO_SPREAD)
    return Generated(
        sct=label_synthetic(sct, bundle.sha256),
        uncertainty=uncertainty,
        normalized=normalized,
        warnings=warnings,
        device=device,
    )


def _inside(body: sitk.Image, mr: sitk.Image) -> sitk.Image:
    inside = resample(sitk.Cast(body != 0, sitk.sitkUInt8), mr, fill=0, nearest=True)
    if not sitk.GetArrayViewFromImage(inside).any():
        raise SyntheticCTError(
            "The body contour holds no voxel of the MR, so nothing would be left of the "
            "synthetic CT: give the contour of this MR's patient."
        )
    return inside


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


def choose_device(device: str) -> str:
    """Return the torch device for "auto", "cpu" or "cuda"; SyntheticCTError where it is absent."""
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise SyntheticCTError(
            "No CUDA GPU can be used by torch here: choose --device cpu, or install a torch "
            "build that matches the GPU's driver."
        )
    return device
