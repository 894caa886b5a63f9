"""Small model bundles and MRs for tests."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from SyntheticCTLib.volumes.grids import grid_of


def tiny_bundle(spacing_mm=(4.0, 4.0, 5.0), seed: int = 0, phantom: bool = False):
    """Return a bundle with an untrained network of two channels."""
    import torch
    from SyntheticCTLib.bundle.domain import describe_domain, histogram_edges
    from SyntheticCTLib.bundle.folder import ModelBundle
    from SyntheticCTLib.network.gan import Generator
    from SyntheticCTLib.normalization.nyul import NyulStandard

    torch.manual_seed(seed)
    network = {"width": 2, "depth": 2, "blocks": 1}
    bins = len(histogram_edges()) - 1
    return ModelBundle(
        network=network,
        nyul=NyulStandard(tuple(np.linspace(1, 100, 11)), 1),
        mr_range=(-10.0, 130.0),
        hu_range=(-1024.0, 2048.0),
        spacing_mm=spacing_mm,
        domain=describe_domain("test", phantom, [np.full(bins, 1 / bins)], [100.0]),
        record={"history": []},
        weights=Generator(**network).state_dict(),
    )


def blob_mr(size=(21, 18, 9), spacing=(4.0, 4.0, 5.0), direction=None, seed=0) -> sitk.Image:
    """Return an MR-like volume: air with noise around an ellipsoid of two tissues."""
    rng = np.random.default_rng(seed)
    grids = np.meshgrid(*[np.linspace(-1, 1, n) for n in size[::-1]], indexing="ij")
    radius = np.sqrt(sum(g**2 for g in grids))
    values = np.where(radius < 0.85, 300.0, 0.0) + np.where(radius < 0.4, 250.0, 0.0)
    image = sitk.GetImageFromArray(np.abs(values + rng.normal(0, 6, values.shape)))
    image = sitk.Cast(image, sitk.sitkFloat32)
    image.SetSpacing(spacing)
    image.SetOrigin((-40.0, 10.0, 230.5))
    if direction is not None:
        image.SetDirection(direction)
    return image


def ct_like(extra=0) -> sitk.Image:
    """A body in air, narrower upwards, with bones; its soft tissue is ``extra`` HU denser."""
    grid = grid_of((30, 26, 16), (6.0, 6.0, 6.0), (-87, -75, 20))
    k, j, i = np.indices(grid.GetSize()[::-1])
    narrow = 1 - 0.02 * k
    body = ((i - 14.5) / 12 / narrow) ** 2 + ((j - 12.5) / 10 / narrow) ** 2 < 1
    bone = (abs(i - 8) < 2) & (abs(j - 12) < 3) & (abs(k - 6) < 3)
    bone |= (abs(i - 20) < 3) & (abs(j - 14) < 2) & (k > 8)
    values = np.where(body, np.where(bone, 600, 20 + extra), -1000).astype(np.int16)
    image = sitk.GetImageFromArray(values + (k % 2).astype(np.int16))
    image.CopyInformation(grid)
    return image
