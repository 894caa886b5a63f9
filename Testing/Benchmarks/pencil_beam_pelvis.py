"""Where in a pelvis, and by how much, the pencil beam differs from Monte Carlo: table and picture.

A phantom (coarse grid) and the plan that `synthetic-ct plan` makes for its target, or --plan. The
table is of means over many voxels, of the dose as Monte Carlo gives it; the picture is of the
smoothed difference (montecarlo.smoothing).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from SyntheticCTEvalLib.delivery.dose import recalculate_plan
from SyntheticCTEvalLib.dose.recalculation import dose_grid
from SyntheticCTEvalLib.montecarlo.calculation import Calculation, volume_on
from SyntheticCTEvalLib.montecarlo.smoothing import Smoothing
from SyntheticCTEvalLib.montecarlo.tables import scattering_tables, water_tables
from SyntheticCTEvalLib.plan.beams import TreatmentPlan
from SyntheticCTEvalLib.plan.reading import read_plan
from SyntheticCTEvalLib.planning.objectives import SHIPPED, read_objectives
from SyntheticCTEvalLib.planning.planner import make_plan
from SyntheticCTLib.basics.progress import terminal_progress
from SyntheticCTLib.body.contour import body_contour
from SyntheticCTLib.phantom import COARSE, STRUCTURE_NAMES, make_phantom
from SyntheticCTLib.volumes.resampling import resample

GRAY = 45.0
SHOWN_PERCENT = 4.0


def regions(phantom, body: sitk.Image, grid: sitk.Image) -> dict[str, np.ndarray]:
    """Masks (k, j, i) on the dose grid: structures, tissues by CT number, and the skin."""
    masks = {
        name: sitk.Cast(phantom.structures_ct == label, sitk.sitkUInt8)
        for label, name in STRUCTURE_NAMES.items()
    }
    found = {
        name: sitk.GetArrayFromImage(resample(mask, grid, fill=0, nearest=True)) != 0
        for name, mask in masks.items()
    }
    inside = sitk.GetArrayFromImage(resample(body, grid, fill=0, nearest=True)) != 0
    hu = sitk.GetArrayFromImage(resample(phantom.ct, grid, fill=-1000))
    depth = -sitk.GetArrayFromImage(
        resample(
            sitk.SignedMaurerDistanceMap(body, squaredDistance=False, useImageSpacing=True),
            grid,
            fill=100,
        )
    )
    deep = inside & (depth > 15)
    found["skin, 0 to 5 mm"] = inside & (depth < 5)
    found["5 to 15 mm deep"] = inside & (depth >= 5) & (depth <= 15)
    found["soft tissue, deeper"] = deep & (hu > -200) & (hu < 150)
    found["bone (150 HU and more), deeper"] = deep & (hu >= 150)
    found["gas (under -300 HU), deeper"] = deep & (hu < -300)
    return found


def table(
    pencil: np.ndarray, batches: np.ndarray, masks: dict[str, np.ndarray]
) -> list[tuple[str, float, float, float, float]]:
    """Rows of region, Monte Carlo's mean in Gy, pencil beam less Monte Carlo in percent of the
    prescription with its standard deviation by noise, and in percent of the region's dose.

    Args:
        batches: (batches, k, j, i) Monte Carlo's doses in Gy, not smoothed.
    """
    rows = []
    for name, mask in masks.items():
        for where, suffix in ((mask, ""), (mask & (pencil > 0.6 * GRAY), ", above 60 %")):
            if np.count_nonzero(where) < 20:
                continue
            means = batches[:, where].mean(axis=1, dtype=float)
            error = means.std(ddof=1) / np.sqrt(len(means))
            difference = float(pencil[where].mean(dtype=float) - means.mean())
            rows.append(
                (
                    name + suffix,
                    float(means.mean()),
                    100 * difference / GRAY,
                    100 * float(error) / GRAY,
                    100 * difference / float(means.mean()),
                )
            )
    return rows


def told(rows: list[tuple[str, float, float, float, float]]) -> str:
    lines = [
        "| region | Monte Carlo, mean | pencil beam less Monte Carlo, of 45 Gy | of its dose |",
        "|---|---|---|---|",
    ]
    for name, mean, percent, error, own in rows:
        lines.append(f"| {name} | {mean:.1f} Gy | {percent:+.2f} ± {error:.2f} % | {own:+.1f} % |")
    return "\n".join(lines)


def picture(
    difference: np.ndarray, ct: sitk.Image, target: np.ndarray, grid: sitk.Image, file: Path
) -> None:
    """Three planes through the target's middle, with a difference in percent of 45 Gy on the CT."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    hu = sitk.GetArrayFromImage(resample(ct, grid, fill=-1000))
    k, j, i = (int(n) for n in np.argwhere(target).mean(axis=0).round())
    spacing = grid.GetSpacing()
    cuts = {
        "axial": (np.s_[k], spacing[1] / spacing[0], "upper"),
        "coronal": (np.s_[:, j], spacing[2] / spacing[0], "lower"),
        "sagittal": (np.s_[:, :, i], spacing[2] / spacing[1], "lower"),
    }
    figure = Figure(figsize=(13, 4.4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, 3)
    for axis, (name, (cut, aspect, origin)) in zip(axes, cuts.items(), strict=True):
        shape = {"aspect": aspect, "origin": origin}
        axis.imshow(hu[cut], cmap="gray", vmin=-300, vmax=400, **shape)
        shown = np.ma.masked_less(np.abs(difference[cut]), 0.3)
        colours = axis.imshow(
            np.ma.array(difference[cut], mask=shown.mask),
            cmap="RdBu_r",
            vmin=-SHOWN_PERCENT,
            vmax=SHOWN_PERCENT,
            alpha=0.75,
            **shape,
        )
        axis.contour(target[cut], levels=[0.5], colors="lime", linewidths=1.2)
        axis.set_title(name)
        axis.set_axis_off()
    figure.colorbar(
        colours,
        ax=axes,
        shrink=0.8,
        extend="both",
        label="pencil beam less Monte Carlo\nin % of 45 Gy (under 0.3 % left out)",
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=110)


def report(
    phantom, body: sitk.Image, grid: sitk.Image, pencil: np.ndarray, batches: np.ndarray, file: Path
) -> None:
    """Print the table and write the picture.

    Args:
        pencil: (k, j, i) Gy; batches (batches, k, j, i) Gy, not smoothed.
    """
    masks = regions(phantom, body, grid)
    print(told(table(pencil, batches, masks)))
    inside = sitk.GetArrayFromImage(resample(body, grid, fill=0, nearest=True)) != 0
    mean = batches.mean(axis=0, dtype=float)
    smooth = Smoothing(pencil[np.newaxis], [inside], grid.GetSpacing())(mean[np.newaxis])[0]
    picture(100 * (pencil - smooth) / GRAY, phantom.ct, masks["target"], grid, file)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1001, help="of the phantom")
    parser.add_argument("--plan", help="RTPLAN; else one is made")
    parser.add_argument("--photons", type=float, default=2e6, help="drawn in the fields a batch")
    parser.add_argument("--batches", type=int, default=20)
    parser.add_argument("--spacing", type=float, default=3.0)
    parser.add_argument("--picture", type=Path, default=Path("pencil_beam_pelvis.png"))
    options = parser.parse_args()
    progress = terminal_progress()
    phantom = make_phantom(options.seed, COARSE)
    body = body_contour(phantom.ct, "CT")
    plan: TreatmentPlan
    if options.plan:
        plan = read_plan(options.plan, progress)
    else:
        masks = {
            name: sitk.Cast(phantom.structures_ct == label, sitk.sitkUInt8)
            for label, name in STRUCTURE_NAMES.items()
        }
        objectives = read_objectives(SHIPPED)
        plan = make_plan(
            phantom.ct, body, masks, {"target": GRAY}, objectives, progress=progress
        ).plan

    grid = dose_grid(body, options.spacing)
    pencil = sitk.GetArrayFromImage(recalculate_plan(phantom.ct, plan, body, grid, progress))
    tables = water_tables(scattering_tables(progress))
    run = Calculation(plan, [volume_on(grid, phantom.ct, body)], grid, tables)
    doses = np.stack([run.batch(n, int(options.photons))[0] for n in range(options.batches)])
    report(phantom, body, grid, pencil, doses, options.picture)


if __name__ == "__main__":
    main()
