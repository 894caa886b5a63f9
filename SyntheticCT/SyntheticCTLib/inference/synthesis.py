"""Synthetic CT from an MR: Nyul, slabs, generator, blend, back on exactly the MR's grid."""

from __future__ import annotations

from dataclasses import dataclass, field

import SimpleITK as sitk

from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import SILENT, Progress
from SyntheticCTLib.bundle.domain import normalized_histogram, outside_domain
from SyntheticCTLib.bundle.folder import ModelBundle
from SyntheticCTLib.dicom.frame_of_reference import frame_of
from SyntheticCTLib.network.slabs import (
    NO_SPREAD,
    SLAB,
    Padding,
    from_network,
    network_grid,
    to_network,
)
from SyntheticCTLib.normalization.foreground import foreground_mask
from SyntheticCTLib.volumes.marks import OUTSIDE_KEY, label_synthetic, mark_source
from SyntheticCTLib.volumes.resampling import HU_AIR, resample

from .device import choose_device
from .prediction import predict, scale_to_network


@dataclass
class Generated:
    """What :func:`generate` returns.

    Attributes:
        sct: synthetic CT, int16 HU, on the grid of the MR.
        uncertainty: standard deviation in HU over the slabs that predicted each slice
            (float32, same grid); -1 where only one slab did, which is in the end slices.
        normalized: the MR on the standard scale (float32, same grid).
        warnings: one sentence for each reason why the MR lies outside the model's domain, after
            those that the model's training left.
        outside: the reasons alone, which the synthetic CT carries as a mark, too.
        device: where the network ran.
    """

    sct: sitk.Image
    uncertainty: sitk.Image
    normalized: sitk.Image
    warnings: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)
    device: str = "cpu"


def generate(
    mr: sitk.Image,
    bundle: ModelBundle,
    *,
    device: str = "auto",
    body: sitk.Image | None = None,
    foreground: sitk.Image | None = None,
    progress: Progress = SILENT,
) -> Generated:
    """Make the synthetic CT of ``mr``.

    Args:
        mr: 3D MR of any grid (oblique, flipped, anisotropic, any size).
        bundle: the model.
        device: "cpu", "cuda", or "auto" for the GPU where there is one.
        body: mask (not 0) of the patient's body on any grid; the synthetic CT is air,
            :data:`resampling.HU_AIR`, outside it.

        foreground: mask (not 0) on any grid of the voxels that the standard scale is read off,
            where air and patient cannot be told apart by the signal.

    Raises:
        SyntheticCTError: the MR has no foreground, the body lies outside it, or the device is
            not there.
    """
    inside = None if body is None else _inside(body, mr)
    progress.report("Nyul normalization", 0)
    tissue = foreground_mask(mr, foreground)
    normalized = bundle.nyul.apply(mr, tissue)
    outside = outside_domain(
        mr,
        normalized_histogram(sitk.GetArrayViewFromImage(normalized)[tissue]),
        bundle.domain,
    )
    warnings = [*bundle.record.get("warnings", []), *outside]
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
    sct = mark_source(label_synthetic(sct, bundle.sha256, bundle.domain.text, frame_of(mr)), mr)
    if outside:
        sct.SetMetaData(OUTSIDE_KEY, " ".join(outside))
    return Generated(
        sct=sct,
        uncertainty=uncertainty,
        normalized=normalized,
        warnings=warnings,
        outside=outside,
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
