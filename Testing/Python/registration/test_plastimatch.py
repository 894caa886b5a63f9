"""The program plastimatch: its transforms are read as it means them, its failures are told."""

from __future__ import annotations

import importlib.util
import sys

import numpy as np
import pytest
import SimpleITK as sitk
from blobs import BLOB_GRID, blobs
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.registration import plastimatch
from SyntheticCTLib.registration.plastimatch import (
    command_file,
    extended,
    find_plastimatch,
    read_bspline,
    run_register,
)
from SyntheticCTLib.volumes.resampling import HU_OUTSIDE, resample


def test_the_transform_is_the_one_the_program_warps_with(tmp_path):
    fixed = blobs(BLOB_GRID)
    moving = blobs(BLOB_GRID, (4.0, -5.0, 3.0))
    sitk.WriteImage(fixed, str(tmp_path / "fixed.mha"))
    sitk.WriteImage(moving, str(tmp_path / "moving.mha"))
    everywhere = {
        "fixed": "fixed.mha",
        "moving": "moving.mha",
        "xform_out": "bspline.txt",
        "img_out": "warped.mha",
        "default_value": HU_OUTSIDE,
    }
    stage = {
        "xform": "bspline",
        "impl": "plastimatch",
        "optim": "lbfgsb",
        "metric": "mse",
        "regularization_lambda": 0.1,
        "res_vox": "2 2 2",
        "grid_spac": "40 40 40",
        "max_its": 15,
    }
    run_register(command_file(everywhere, [stage]), tmp_path, ["bspline.txt", "warped.mha"])
    low = np.array(BLOB_GRID.GetOrigin())
    spline = extended(
        read_bspline(tmp_path / "bspline.txt"), low - 10, low + np.array((200, 170, 130))
    )
    ours = sitk.GetArrayFromImage(resample(moving, fixed, spline, fill=HU_OUTSIDE))
    theirs = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "warped.mha")))
    inside = (slice(3, -3),) * 3  # at the border the two take different voxels for outside
    np.testing.assert_allclose(ours[inside], theirs[inside], atol=0.1)
    before = np.abs(sitk.GetArrayFromImage(moving - fixed))[inside].mean()
    assert np.abs(ours - sitk.GetArrayFromImage(fixed))[inside].mean() < 0.3 * before


def test_absent_program_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        SyntheticCTError, match=r"plastimatch, .* is not installed: install it with"
    ):
        find_plastimatch()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[GLOBAL]\nfixed=none.mha\nmoving=none.mha\n[STAGE]\nxform=rigid\n", "ended with status"),
        ("[GLOBAL]\nnonsense=1\n", "nonsense"),
    ],
)
def test_failure_of_the_program_is_told_with_its_last_lines(text, reason, tmp_path):
    with pytest.raises(
        SyntheticCTError, match=r"registration failed, plastimatch .*last lines: ."
    ) as e:
        run_register(text, tmp_path, ["out.txt"])
    assert reason in str(e.value)


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo fine", "did not write out.txt"),
        (
            "echo working; echo 'ITK failed with too few samples.'; touch out.txt",
            "said 'ITK failed",
        ),
        ("touch out.txt; exit 3", "ended with status 3"),
        ("kill -9 $$", "was ended by the system, for instance for want of memory"),
    ],
)
@pytest.mark.skipif(sys.platform == "win32", reason="stands in for the program with a shell script")
def test_a_program_that_ends_well_without_results_is_a_failure(
    script, reason, tmp_path, monkeypatch
):
    program = tmp_path / "plastimatch"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setattr(plastimatch, "find_plastimatch", lambda: program)
    with pytest.raises(SyntheticCTError, match=f"plastimatch {reason}"):
        run_register("", tmp_path, ["out.txt"])


@pytest.mark.parametrize("value", ["-nan", "nan", "inf"])
@pytest.mark.skipif(sys.platform == "win32", reason="stands in for the program with a shell script")
def test_a_metric_that_is_no_number_is_looked_for_once_more(value, tmp_path, monkeypatch):
    """Plastimatch loses it now and then, of images that it registers in the next run."""
    program = tmp_path / "plastimatch"
    monkeypatch.setattr(plastimatch, "find_plastimatch", lambda: program)
    lost = f"[ 0,  0] SCORE  {value} NV 164122 GM {value} GN {value} [     0.209 s ]"
    found = "[ 0,  0] SCORE  -1.25e-1 NV 164122 GM 1 GN 1 [     0.209 s ]"
    for second, told in ((found, None), (lost, "twice found no number")):
        (tmp_path / "runs").write_text("")
        program.write_text(
            "#!/bin/sh\nfirst=$(cat runs)\necho again >> runs\ntouch out.txt\n"
            f'if [ -z "$first" ]; then echo "{lost}"; else echo "{second}"; fi\n'
        )
        program.chmod(0o755)
        if told:
            with pytest.raises(SyntheticCTError, match=told):
                run_register("", tmp_path, ["out.txt"])
        else:
            assert run_register("", tmp_path, ["out.txt"]) == ([found], -0.125)
        assert len((tmp_path / "runs").read_text().split()) == 2


def test_a_transform_that_is_incomplete_or_not_finite_is_refused(tmp_path):
    header = (
        "MGH_GPUIT_BSP <experimental>\nimg_origin = 0 0 0\nimg_spacing = 1 1 1\n"
        "img_dim = 4 4 4\nroi_offset = 0 0 0\nroi_dim = 4 4 4\nvox_per_rgn = 4 4 4\n"
        "direction_cosines = 1 0 0 0 1 0 0 0 1\n"
    )
    path = tmp_path / "bspline.txt"
    path.write_text(header + "0.5\n" * 192)
    assert read_bspline(path).TransformPoint((2.0, 2.0, 2.0)) == pytest.approx((2.5,) * 3)
    for values in ("0.5\n" * 191, "0.5\n" * 191 + "nan\n"):
        path.write_text(header + values)
        with pytest.raises(SyntheticCTError, match="incomplete or not finite"):
            read_bspline(path)
    path.write_text("something else")
    with pytest.raises(SyntheticCTError, match="cannot be read"):
        read_bspline(path)
