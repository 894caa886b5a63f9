"""What generate costs against the bare forward passes over the same slabs, in one run.

    python Testing/Benchmarks/inference_overhead.py [--model BUNDLE] [--repeat N] [--size I J K]

Prints CPU time of both and their ratio, which is to stay under 1.3.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np
import SimpleITK as sitk
import torch
from SyntheticCTLib.bundle.folder import demo_bundle_folder, load_bundle
from SyntheticCTLib.inference.prediction import BATCH
from SyntheticCTLib.inference.synthesis import generate
from SyntheticCTLib.network.slabs import Padding, network_grid, to_network


def made_mr(size: list[int], spacing: tuple[float, ...]) -> sitk.Image:
    """Return an ellipsoid of two tissues in noisy air."""
    rng = np.random.default_rng(0)
    grids = np.meshgrid(*[np.linspace(-1.3, 1.3, n) for n in size[::-1]], indexing="ij")
    radius = np.sqrt(sum(g**2 for g in grids))
    values = 400 * (radius < 1) - 250 * (radius < 0.5) + np.abs(rng.normal(0, 9, radius.shape))
    image = sitk.GetImageFromArray(values.astype(np.float32))
    image.SetSpacing(spacing)
    return image


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=None)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--size", type=int, nargs=3, default=[192, 192, 40])
    options = parser.parse_args()
    bundle = load_bundle(options.model or demo_bundle_folder())
    mr = made_mr(options.size, bundle.spacing_mm)
    generator = bundle.generator()
    grid = network_grid(mr, bundle.spacing_mm)
    slices = to_network(mr, grid, 0)
    padding = Padding.to_multiple(slices.shape, 2 ** bundle.network["depth"], 3)
    volume = torch.from_numpy(padding.add(slices, -1))
    starts = range(volume.shape[0] - 2)
    batches = [
        torch.stack([volume[k : k + 3] for k in starts[n : n + BATCH]])
        for n in range(0, len(starts), BATCH)
    ]
    ratios = []
    for _ in range(options.repeat):
        start = time.process_time()
        with torch.inference_mode():
            for batch in batches:
                generator(batch)
        bare = time.process_time() - start
        start = time.process_time()
        generate(mr, bundle, device="cpu")
        whole = time.process_time() - start
        ratios.append(whole / bare)
        print(f"forward {bare:.2f} s, generate {whole:.2f} s CPU, ratio {ratios[-1]:.3f}")
    print(f"median ratio {statistics.median(ratios):.3f}")


if __name__ == "__main__":
    main()
