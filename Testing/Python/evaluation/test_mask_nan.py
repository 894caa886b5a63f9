"""Voxels that are no numbers: refused by name, or left out of every image figure."""

from __future__ import annotations

import json

import numpy as np
import pytest
import SimpleITK as sitk
from evaluation_case import water
from SyntheticCTEvalLib.evaluation.one_patient import evaluate
from SyntheticCTEvalLib.evaluation.settings import EvaluationSettings
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.volumes.checks import filled
from SyntheticCTLib.volumes.grids import image_like
from SyntheticCTLib.volumes.reading import read_volume
from SyntheticCTLib.volumes.writing import write_volume
from SyntheticCTProgram.program import main

HOLE = (slice(8, 12), slice(20, 26), slice(14, 22))  # in the block of water, beside its bone
MASKING = EvaluationSettings(registration="none", dose=False, mask_nan=True)


def with_hole(image: sitk.Image, value: float = np.nan, at=HOLE) -> sitk.Image:
    values = sitk.GetArrayFromImage(image).astype(np.float32)
    values[at] = value
    return image_like(values, image)


def figures(ct, candidate, settings=MASKING, **options):
    found = evaluate(ct, {"sCT": candidate}, settings=settings, **options)
    return found.candidates["sCT"], found.notes


@pytest.mark.parametrize("whose", ["candidate", "CT"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_figures_are_those_over_a_region_without_such_voxels(whose, value):
    noise = np.random.default_rng(0).normal(0, 20, water().GetSize()[::-1])
    candidate = image_like((sitk.GetArrayFromImage(water()) + noise).astype(np.float32), water())
    known = np.ones(noise.shape, np.uint8)
    known[HOLE] = 0
    plain = figures(water(), candidate, region=image_like(known, water()))[0].metrics
    pair = {"candidate": candidate, "CT": sitk.Cast(water(), sitk.sitkFloat32)}
    pair[whose] = with_hole(pair[whose], value)
    found, notes = figures(pair["CT"], pair["candidate"])
    assert np.isnan(sitk.GetArrayFromImage(found.difference)[known == 0]).all()
    assert np.isfinite(sitk.GetArrayFromImage(found.volume)).all()
    histograms = [metrics.pop("hu_histogram") for metrics in (plain, found.metrics)]
    for part in ("true_ct", "candidate"):
        assert histograms[0][part] == histograms[1][part]
    assert set(plain) == set(found.metrics)
    for name, number in plain.items():
        if name != "coverage_body_percent":
            assert found.metrics[name] == pytest.approx(number, nan_ok=True), name
    start = "sCT holds" if whose == "candidate" else "The true CT holds"
    assert [n for n in notes if n.startswith(f"{start} 192 NaN or infinite voxels, left out")]


def test_a_voxel_of_another_grid_that_touches_one_is_left_out_too():
    shifted = with_hole(water(60))
    shifted.SetOrigin(
        [o + 0.5 * s for o, s in zip(shifted.GetOrigin(), shifted.GetSpacing(), strict=True)]
    )
    marked = sitk.GetArrayFromImage(figures(water(), shifted)[0].difference)
    wide = tuple(slice(part.start, part.stop + 1) for part in HOLE)
    assert np.isnan(marked[wide]).all()
    assert np.isfinite(marked[4:18, 10:18, 10:30]).all()


def test_the_body_and_a_recalculated_dose_see_neighbours_inside_and_air_outside():
    values = sitk.GetArrayFromImage(water()).astype(np.float32)
    values[values < -500] = np.nan  # masked
    values[HOLE] = np.nan
    values[0, 15:18, 14:18] = np.nan  # at the first slice
    whole, known = filled(image_like(values, water()))
    np.testing.assert_array_equal(known, np.isfinite(values))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(whole), sitk.GetArrayFromImage(water()))
    assert filled(water())[1] is None


def test_without_the_option_they_are_refused_in_the_library():
    for ct, candidate in ((water(), with_hole(water())), (with_hole(water()), water())):
        with pytest.raises(SyntheticCTError, match=r"192 NaN .* give --mask-nan"):
            figures(ct, candidate, EvaluationSettings(registration="none", dose=False))


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha"])
def test_files_of_every_format_are_masked_or_refused(tmp_path, capsys, suffix):
    path, ct = tmp_path / f"holes{suffix}", tmp_path / "ct.nrrd"
    sitk.WriteImage(with_hole(with_hole(water(60)), np.inf, (0, 0, 0)), str(path))
    write_volume(water(), ct)
    read = read_volume(path, "candidate sCT", mask_nan=True)
    assert int(np.isnan(sitk.GetArrayFromImage(read)).sum()) == 193
    options = ["evaluate", "--ct", ct, "--candidate", f"sCT={path}", "--no-registration"]
    options += ["--no-dose", "--no-scene", "--output", tmp_path / "result"]
    assert main([str(o) for o in options]) == 2
    told = capsys.readouterr().err
    assert f"holes{suffix} holds 193 NaN" in told and "--mask-nan" in told
    assert main([str(o) for o in [*options, "--mask-nan"]]) == 0
    metrics = json.loads((tmp_path / "result" / "metrics.json").read_text())
    assert any("sCT holds 193 NaN" in note for note in metrics["notes"])
    assert metrics["candidates"]["sCT"]["mae_body"] == pytest.approx(20)


def test_other_commands_do_not_offer_what_they_have_not(tmp_path, capsys):
    path = tmp_path / "holes.nii"
    sitk.WriteImage(with_hole(water()), str(path))
    options = ["register", "--fixed", path, "--moving", path, "--metric", "mse", "--fill", -1024]
    assert main([str(o) for o in [*options, "--output", tmp_path / "moved.nrrd"]]) == 2
    told = capsys.readouterr().err
    assert "NaN" in told and "--mask-nan" not in told
