"""Two runs of ``evaluate`` on the same files tell the same, whatever the number of threads."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import SimpleITK as sitk
from SyntheticCTLib.volumes.grids import grid_of, image_like
from SyntheticCTLib.volumes.resampling import resample
from SyntheticCTLib.volumes.writing import write_volume
from SyntheticCTProgram.program import main


def body() -> sitk.Image:
    """A body in air with organs of several densities."""
    grid = grid_of((44, 38, 22), (4.5, 4.5, 5.0), (-96.75, -83.25, -52.5))
    k, j, i = np.indices(grid.GetSize()[::-1])
    x, y, z = (s * n + o for n, s, o in zip((i, j, k), grid.GetSpacing(), grid.GetOrigin(),
                                            strict=True))  # fmt: skip
    hu = -1000 + 1020 / (1 + np.exp((np.hypot(x / 72, y / 56) - 1) * 14))
    for cx, cy, cz, radius, more in (
        (-35, 5, -10, 14, 700), (38, -8, 12, 12, 600), (0, 25, 20, 15, 300), (5, -25, -25, 18, -120)
    ):  # fmt: skip
        hu += more * np.exp(-((x - cx) ** 2 + (y - cy) ** 2 + (z - cz) ** 2) / radius**2)
    return image_like(hu.astype(np.float32), grid)


def bend() -> sitk.Transform:
    spline = sitk.BSplineTransform(3, 3)
    spline.SetTransformDomainOrigin((-200.0, -200.0, -200.0))
    spline.SetTransformDomainPhysicalDimensions((400.0, 400.0, 400.0))
    spline.SetTransformDomainMeshSize((6, 6, 6))
    knots = np.random.default_rng(2).uniform(-1, 1, len(spline.GetParameters()))
    spline.SetParameters((9.0 * knots).tolist())
    return spline


def test_two_runs_differ_in_the_date_only(tmp_path, monkeypatch):
    sct = body()
    hu = sitk.GetArrayFromImage(sct)
    mr = np.where(hu > -500, 60 + 240 * np.exp(-(((hu - 60) / 300) ** 2)), 5)
    write_volume(sct, tmp_path / "sct.nrrd")
    write_volume(image_like(mr.astype(np.float32), sct), tmp_path / "mr.nrrd")
    write_volume(resample(sct, sct, bend(), fill=-1000), tmp_path / "ct.nrrd")
    command = ["evaluate", "--ct", "ct.nrrd", "--mr", "mr.nrrd", "--candidate", "sCT=sct.nrrd"]
    command += ["--registration-by", "mr", "--no-scene", "--output", "out"]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["synthetic-ct", *command])  # which metrics.json tells
    assert main(command) == 0  # in this process, which has one thread
    told = [json.loads((tmp_path / "out" / "metrics.json").read_text())]
    subprocess.run(
        [sys.executable, "-m", "SyntheticCTLib", *command],
        env={**os.environ, "OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "2"},
        check=True,
        capture_output=True,
    )
    told.append(json.loads((tmp_path / "out" / "metrics.json").read_text()))
    assert told[0]["candidates"]["sCT"]["displacement_max_mm"] > 0.5
    for metrics in told:
        del metrics["origin"]["date"]
    assert told[0] == told[1]
