"""Whether a CT is in HU: every way to lose them is refused, no true CT is."""

from __future__ import annotations

import numpy as np
import places
import pytest
import SimpleITK as sitk
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import NotedProgress, Progress
from SyntheticCTLib.mrcat.bulk_densities import BULK_HU, CT_THRESHOLDS
from SyntheticCTLib.phantom import TINY, make_phantom
from SyntheticCTLib.volumes.hounsfield import require_hu
from SyntheticCTLib.volumes.reading import read_volume


@pytest.fixture(scope="module")
def patient():
    """CT numbers of a phantom (k, j, i; float) and the voxels of patient and couch."""
    case = make_phantom(5, TINY)
    hu = sitk.GetArrayFromImage(case.ct).astype(np.float32)
    return hu, hu > -600


def doubts(values) -> list[str]:
    progress = NotedProgress(Progress())
    require_hu(sitk.GetImageFromArray(values), "true CT", progress)
    return progress.warnings


def round_field(values):
    _, j, i = np.indices(values.shape)
    middle = (values.shape[1] - 1) / 2, (values.shape[2] - 1) / 2
    return np.hypot(j - middle[0], i - middle[1]) < middle[0]


TRUE = {
    "as it is": lambda hu, body: hu,
    "whole numbers": lambda hu, body: hu.astype(np.int16),
    "a noisy scanner": lambda hu, body: hu + np.random.default_rng(0).normal(0, 40, hu.shape),
    "masked with -1024": lambda hu, body: np.where(body, hu, -1024),
    "masked with -1000": lambda hu, body: np.where(body, hu, -1000),
    "masked with -2000": lambda hu, body: np.where(body, hu, -2000),
    "masked with -3024": lambda hu, body: np.where(body, hu, -3024),
    "corners of -3024": lambda hu, body: np.where(round_field(hu), hu, -3024),
    "two kinds of corners": lambda hu, body: np.where(
        round_field(hu), hu, np.where(np.indices(hu.shape)[1] < 20, -1024, -2000)
    ),
    "cut at left and right": lambda hu, body: hu[:, :, 25:55],
    "four slices": lambda hu, body: hu[10:14],
    "a large prosthesis": lambda hu, body: np.where(
        body & (np.indices(hu.shape)[2] > 55), 8000, hu
    ),
    "extended scale of metal": lambda hu, body: np.where(hu > 900, 14000, hu),
}


@pytest.mark.parametrize("name", TRUE)
def test_a_true_ct_is_taken_without_a_word(patient, name):
    assert doubts(TRUE[name](*patient)) == []


WRONG = {
    "offset lost": lambda hu, body: hu + 1024,
    "offset lost, unsigned": lambda hu, body: (hu + 1024).astype(np.uint16),
    "offset lost, cut tightly": lambda hu, body: (hu + 1024)[:, 30:50, 30:50],
    "offset lost, masked": lambda hu, body: np.where(body, hu + 1024, 0),
    "offset taken twice": lambda hu, body: hu - 1024,
    "offset of half": lambda hu, body: hu + 500,
    "wrapped around": lambda hu, body: (hu.astype(np.int32) % 65536).astype(np.float32),
    "8 bits": lambda hu, body: np.rint((hu + 1024) / 4095 * 255).astype(np.uint8),
    "window of 8 bits": lambda hu, body: np.rint(np.clip((hu + 160) / 400, 0, 1) * 255),
    "0 to 1": lambda hu, body: (hu + 1024) / 4095,
    "-1 to 1": lambda hu, body: (hu + 1024) / 4095 * 2 - 1,
    "by mean and deviation": lambda hu, body: (hu - hu.mean()) / hu.std(),
    "twice": lambda hu, body: 2 * hu,
    "half": lambda hu, body: hu / 2,
    "a tenth": lambda hu, body: hu / 10,
    "ten times": lambda hu, body: 10 * hu,
    "density": lambda hu, body: np.maximum(1 + hu / 1000, 0),
    "upside down": lambda hu, body: -hu,
    "cut off at 0": lambda hu, body: np.maximum(hu, 0),
    "masked with 0": lambda hu, body: np.where(body, hu, 0),
    "masked with 65535": lambda hu, body: np.where(body, hu, 65535),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_not_in_hu_is_refused(patient, name):
    with pytest.raises(SyntheticCTError, match=r"^The true CT is not in HU: .*; give it in HU"):
        doubts(WRONG[name](*patient))


def test_an_mr_is_no_ct():
    mr = sitk.GetArrayFromImage(make_phantom(5, TINY).mr)
    with pytest.raises(SyntheticCTError, match=r"not in HU: .* an MR given as a CT"):
        doubts(mr)


@pytest.mark.parametrize(
    ("change", "doubt"),
    [
        (lambda hu, body: hu + 100, "air around the patient lies at -9"),
        (lambda hu, body: 0.8 * hu, "air around the patient lies at -8"),
        (lambda hu, body: np.where(body, 2 * hu, -2000), "fat lies at -2"),
        (lambda hu, body: np.where(body, hu + 120, -1024), "holds no fat"),
        (lambda hu, body: hu[12:15, 34:46, 34:46].clip(-150), "holds no air"),
    ],
)
def test_a_doubtful_ct_is_taken_with_a_warning(patient, change, doubt):
    found = doubts(change(*patient))
    assert any(doubt in sentence for sentence in found), found
    assert all(sentence.startswith("The true CT may not be in HU") for sentence in found)


@pytest.mark.parametrize("change", [1.1, 1.2, 1.3, 1.5, 1.6, 1.9, 0.8, 100, -100])
@pytest.mark.parametrize("kind", ["bulk", "masked with air", "masked with -1024"])
def test_a_scaled_or_shifted_volume_of_one_value_around_the_patient_is_found(patient, kind, change):
    hu, body = patient
    values = {
        "bulk": np.asarray(BULK_HU)[np.digitize(hu, CT_THRESHOLDS)],
        "masked with air": np.where(body, hu, -1000),
        "masked with -1024": np.where(body, hu, -1024),
    }[kind].astype(np.float32)
    assert doubts(values) == []
    wrong = values * np.float32(change) if abs(change) < 2 else values + np.float32(change)
    try:
        assert doubts(wrong)
    except SyntheticCTError as refused:
        assert "is not in HU" in str(refused)


@pytest.mark.parametrize(
    "name", ["ct_pelvis/ct.nrrd", "mrcat/MRCAT_P3.nrrd", "mrcat/MRCAT_P8.nrrd"]
)
def test_real_ones_are_taken(name):
    path = places.REAL_DATA / name
    if not path.exists():
        pytest.skip(f"{path} is not here")
    ct = read_volume(path, "CT")
    require_hu(ct, "true CT")
    with pytest.raises(SyntheticCTError, match="is not in HU"):
        require_hu(sitk.Cast(ct, sitk.sitkFloat32) + 1024, "true CT")
