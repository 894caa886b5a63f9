"""Volumes that were given twice are named; good candidates are not."""

from __future__ import annotations

import numpy as np
import places
import pytest
import SimpleITK as sitk
from SyntheticCTEvalLib.evaluation.one_patient import evaluate
from SyntheticCTEvalLib.evaluation.same_inputs import warn_of_same_inputs
from SyntheticCTEvalLib.evaluation.settings import EvaluationSettings
from SyntheticCTLib.basics.progress import NotedProgress, Progress
from SyntheticCTLib.mrcat.bulk_densities import bulk_from_ct
from SyntheticCTLib.phantom import TINY, make_phantom
from SyntheticCTLib.volumes.grids import grid_of, image_like
from SyntheticCTLib.volumes.marks import label_synthetic
from SyntheticCTLib.volumes.reading import read_volume
from SyntheticCTLib.volumes.writing import write_volume

SETTINGS = EvaluationSettings(registration="none", dose=False)


@pytest.fixture(scope="module")
def ct():
    grid = grid_of((40, 36, 20), (4.0, 4.0, 5.0), (-80.0, -70.0, -50.0))
    values = np.full((20, 36, 40), -1000.0)
    values[:, 6:30, 6:34] = 40
    values[4:16, 10:14, 10:30] = 700
    values += np.random.default_rng(0).normal(0, 10, values.shape)
    return image_like(values.astype(np.int16), grid)


def told(ct, candidates, **options):
    progress = NotedProgress(Progress())
    result = evaluate(ct, candidates, settings=SETTINGS, progress=progress, **options)
    assert set(progress.warnings) >= set(result.notes)
    return result.notes


def test_the_ct_as_its_own_candidate_is_named_whatever_its_file(ct):
    copies = {
        "copy": ct,
        "float": sitk.Cast(ct, sitk.sitkFloat32) + 0.2,
        "flipped": sitk.Flip(ct, (False, True, False)),
        "cropped": ct[2:38, 3:33, 2:18],
        "good": ct + 12,
    }
    moved = sitk.Image(ct)
    moved.SetOrigin([o + 1e-5 for o in ct.GetOrigin()])
    copies["rounded"] = moved
    notes = told(ct, copies)
    named = {name for name in copies if any(f"{name} is the true CT itself" in n for n in notes)}
    assert named == set(copies) - {"good"}


def test_volumes_given_twice_or_in_each_others_place_are_named(ct):
    other = ct + 12
    notes = told(ct, {"sCT": other, "MRCAT": sitk.Image(other)}, mr=sitk.Image(other))
    assert any("candidates sCT and MRCAT are the same volume" in note for note in notes)
    assert any("MR and the candidate sCT are the same volume" in note for note in notes)
    swapped = told(label_synthetic(sitk.Image(ct)), {"sCT": other})
    assert any("true CT is marked as a synthetic CT" in note for note in swapped)
    assert not any("same volume" in note or "itself" in note for note in told(ct, {"sCT": other}))


def smooth(image):
    return sitk.SmoothingRecursiveGaussian(sitk.Cast(image, sitk.sitkFloat32), 6.0)


@pytest.fixture(scope="module")
def phantom():
    return make_phantom(4, TINY)


def test_a_measured_candidate_beside_a_computed_ct_is_named(phantom):
    measured, bulk = phantom.ct, unmarked(bulk_from_ct(phantom.ct))
    for computed, words in ((bulk, "as bulk densities do"), (smooth(measured), "less noise")):
        for truth, other, named in ((computed, measured, 1), (measured, computed, 0)):
            notes = told(truth, {"sCT": other})
            assert sum("each other's place" in note for note in notes) == named, notes
            assert named == any(words in note for note in notes)
    noisy = image_like(
        sitk.GetArrayFromImage(measured)
        + np.random.default_rng(0).normal(0, 15, measured.GetSize()[::-1]),
        measured,
    )
    assert not any("place" in note for note in told(measured, {"sCT": noisy, "MRCAT": bulk}))


def test_the_mark_of_a_synthetic_ct_in_nifti_is_seen(phantom, tmp_path):
    write_volume(label_synthetic(sitk.Image(phantom.ct)), tmp_path / "ct.nii.gz")
    ct = read_volume(tmp_path / "ct.nii.gz", "CT")
    assert any("true CT is marked as a synthetic CT" in n for n in told(ct, {"sCT": phantom.ct}))


@pytest.mark.parametrize("name", ["ct_pelvis/ct.nrrd", "mrcat/MRCAT_P3.nrrd"])
def test_real_cts_are_not_taken_for_computed_ones(name):
    files = [places.REAL_DATA / file for file in ("ct_pelvis/ct.nrrd", name)]
    if not all(file.exists() for file in files):
        pytest.skip("the real files are not here")
    ct, candidate = (read_volume(file, "CT") for file in files)
    progress = NotedProgress(Progress())
    warn_of_same_inputs(ct, ct > -300, {"candidate": candidate}, None, progress)
    assert not any("place" in warning for warning in progress.warnings)


def unmarked(image):
    return image_like(sitk.GetArrayFromImage(image), image)
