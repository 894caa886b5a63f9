"""Small model bundles and MRs for tests."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk


def tiny_bundle(spacing_mm=(4.0, 4.0, 5.0), seed: int = 0, phantom: bool = False):
    """Return a bundle with an untrained network of two channels."""
    import torch
    from SyntheticCTLib.bundle import ModelBundle
    from SyntheticCTLib.domain import describe_domain, histogram_edges
    from SyntheticCTLib.networks import Generator
    from SyntheticCTLib.normalization import NyulStandard

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
