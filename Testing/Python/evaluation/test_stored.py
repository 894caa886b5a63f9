"""An evaluation written to a folder and read back is the same evaluation."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from SyntheticCTEvalLib.evaluation.one_patient import evaluate
from SyntheticCTEvalLib.evaluation.settings import EvaluationSettings
from SyntheticCTEvalLib.evaluation.stored import read_evaluation
from SyntheticCTEvalLib.gamma.criteria import Criterion
from SyntheticCTEvalLib.report.folder import documents_in, write_evaluation
from SyntheticCTEvalLib.report.tables import DOSE, dvh_columns
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.volumes.grids import grid_of, image_like, same_grid
from SyntheticCTLib.volumes.marks import label_synthetic
from SyntheticCTLib.volumes.mask_folder import crop, read_masks, write_masks

OBLIQUE = (0.8, 0.6, 0, 0.6, -0.8, 0, 0, 0, 1)


def box(grid, value, low, high, outside=0, dtype=np.int16):
    array = np.full(grid.GetSize()[::-1], outside, dtype)
    array[low:high, low:high, low:high] = value
    return image_like(array, grid)


def evaluated():
    """A block of water whose two candidates differ, one of them without a dose."""
    grid = grid_of((32, 30, 28), (3.0, 3.5, 4.0), (-40.5, 33.25, 7.125), OBLIQUE)
    ct = box(grid, 40, 4, 24, -1000)
    candidate = label_synthetic(box(grid, 52, 4, 24, -1000)[:, :, 3:], "abc")
    dose_grid = grid_of((20, 20, 20), (4.0, 4.0, 4.0), (-20.0, 0.0, 20.0), OBLIQUE)
    dose = box(dose_grid, 50, 4, 16, 10, np.float32)
    structures = {
        "PTV Ü": box(grid, 1, 8, 16, dtype=np.uint8),
        "far": box(grid_of((5, 5, 5), (1, 1, 1), (900, 0, 0)), 1, 1, 3, dtype=np.uint8),
    }
    return evaluate(
        ct,
        {"sCT of T2 (synthetic)": candidate, "bulk": ct},
        dose_ct=dose,
        doses={"sCT of T2 (synthetic)": dose * 1.03},
        structures=structures,
        mr=sitk.Cast(ct + 1000, sitk.sitkUInt16),
        settings=EvaluationSettings(
            registration="none", target="PTV Ü", criteria=(Criterion(1, 2),)
        ),
    )


@pytest.fixture(scope="module")
def original():
    return evaluated()


@pytest.fixture(scope="module")
def folder(original, tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    write_evaluation(original, folder)
    return folder


@pytest.fixture(scope="module")
def stored(folder):
    return read_evaluation(folder)


def same_image(found, expected):
    assert same_grid(found, expected, 1e-9)
    assert found.GetPixelID() == expected.GetPixelID()
    assert np.array_equal(sitk.GetArrayFromImage(found), sitk.GetArrayFromImage(expected))


def same_numbers(found, expected):
    if isinstance(expected, dict):
        assert list(found) == [str(key) for key in expected]
        for key, value in expected.items():
            same_numbers(found[str(key)], value)
    elif isinstance(expected, list | tuple):
        for one, other in zip(found, expected, strict=True):
            same_numbers(one, other)
    elif isinstance(expected, float) and math.isnan(expected):
        assert math.isnan(found)
    else:
        assert found == expected


def test_figures_come_back_exactly_also_those_that_are_not_finite(original, stored):
    assert list(stored.candidates) == list(original.candidates)
    assert original.candidates["bulk"].metrics["psnr_body"] == math.inf
    same_numbers(stored.metrics(), original.metrics())
    assert stored.target == "PTV Ü"
    assert stored.prescription_gy == 50
    assert stored.definitions == original.definitions
    assert any("far" in note for note in stored.notes)


def test_volumes_come_back_voxel_by_voxel(original, stored):
    for name in ("ct", "mr", "body", "dose_ct"):
        same_image(getattr(stored, name), getattr(original, name))
    for name, mask in original.structures.items():
        same_image(stored.structures[name], mask)
    for name, candidate in original.candidates.items():
        found = stored.candidates[name]
        for part in ("volume", "body", "dose", "dose_difference"):
            if getattr(candidate, part) is None:
                assert getattr(found, part) is None
            else:
                same_image(getattr(found, part), getattr(candidate, part))
        difference = sitk.GetArrayFromImage(candidate.difference)
        back = sitk.GetArrayFromImage(found.difference)
        assert np.array_equal(difference, back, equal_nan=True)
    synthetic = stored.candidates["sCT of T2 (synthetic)"].volume
    assert synthetic.GetMetaData("SyntheticCTModel") == "abc"


def test_gamma_comes_back_with_pass_rates_and_hot_spots(original, stored):
    found = stored.candidates["sCT of T2 (synthetic)"]
    gamma, expected = found.gamma, original.candidates["sCT of T2 (synthetic)"].gamma
    same_image(gamma.gamma, expected.gamma)
    same_image(gamma.evaluated, sitk.Cast(expected.evaluated, sitk.sitkUInt8))
    assert gamma.pass_rates == expected.pass_rates
    assert gamma.criteria == expected.criteria
    assert (gamma.engine, gamma.definition) == (expected.engine, expected.definition)
    assert found.hot_spots == original.candidates["sCT of T2 (synthetic)"].hot_spots
    assert found.hot_spots
    assert stored.candidates["bulk"].gamma is None


def test_histograms_come_back_as_curves(original, stored):
    for found, expected in (
        (stored.dvh_ct, original.dvh_ct),
        (stored.candidates["sCT of T2 (synthetic)"].dvh,
         original.candidates["sCT of T2 (synthetic)"].dvh),
    ):  # fmt: skip
        assert list(found) == list(expected)
        for name, dvh in expected.items():
            assert np.array_equal(found[name].doses_gy, dvh.doses_gy)
            assert np.array_equal(found[name].volumes_percent, dvh.volumes_percent)
            assert math.isnan(found[name].mean_gy) == math.isnan(dvh.mean_gy)


def test_the_table_of_curves_tells_the_volume_that_reaches_a_dose(original):
    columns = dvh_columns(original)
    assert list(columns) == [DOSE, "PTV Ü, CT", "PTV Ü, sCT of T2 (synthetic)"]
    dvh = original.dvh_ct["PTV Ü"]
    for dose, percent in zip(columns[DOSE], columns["PTV Ü, CT"], strict=True):
        assert percent == pytest.approx(100 * np.mean(dvh.doses_gy >= dose), abs=1e-4)


def test_documents_for_people_are_text_files(folder):
    documents = documents_in(folder)
    names = ["report.html", "metrics.json", "metrics.csv", "dvh.csv", "report.pdf"]
    assert list(documents) == names
    assert "not a medical device" in documents["report.html"]
    assert documents["dvh.csv"].splitlines()[0].startswith('Dose (Gy),"PTV Ü, CT"')


def test_a_folder_without_an_evaluation_is_named(tmp_path):
    with pytest.raises(SyntheticCTError, match="does not hold an evaluation"):
        read_evaluation(tmp_path)


def test_masks_keep_names_order_overlaps_and_grids(tmp_path):
    masks = {name: mask for name, mask in reversed(list(evaluated().structures.items()))}
    masks["overlap"] = masks["PTV Ü"]
    found = read_masks(write_masks(masks, tmp_path / "masks"))
    assert list(found) == list(masks)
    for name, mask in masks.items():
        same_image(found[name], mask)


def test_an_evaluation_without_dose_or_structures_comes_back(original, tmp_path):
    candidate = replace(
        original.candidates["bulk"], gamma=None, dose=None, dose_difference=None, dvh={}
    )
    bare = replace(
        original, candidates={"bulk": candidate}, dose_ct=None, mr=None, structures={}, dvh_ct={},
        prescription_gy=None, target=None,
    )  # fmt: skip
    write_evaluation(bare, tmp_path)
    found = read_evaluation(tmp_path)
    assert found.dose_ct is None and found.mr is None and not found.structures
    assert found.candidates["bulk"].gamma is None
    same_numbers(found.metrics(), bare.metrics())


def test_a_mask_is_cropped_to_what_it_holds():
    mask = evaluated().structures["PTV Ü"]
    part = crop(mask)
    array = sitk.GetArrayFromImage(part)
    assert array.all() and array.sum() == sitk.GetArrayFromImage(mask).sum()
    back = sitk.Resample(part, mask, sitk.Transform(), sitk.sitkNearestNeighbor)
    assert np.array_equal(sitk.GetArrayFromImage(back), sitk.GetArrayFromImage(mask))
    assert crop(mask * 0) is None
