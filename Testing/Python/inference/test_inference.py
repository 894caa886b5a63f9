"""The synthetic CT lies exactly where its MR lies; blend, domain warnings, devices."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import SimpleITK as sitk
from models import blob_mr, tiny_bundle
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import Progress
from SyntheticCTLib.bundle.domain import tilt_deg
from SyntheticCTLib.dicom.frame_of_reference import FRAME
from SyntheticCTLib.inference.device import choose_device
from SyntheticCTLib.inference.prediction import predict
from SyntheticCTLib.inference.synthesis import generate
from SyntheticCTLib.volumes.marks import (
    FRAME_KEY,
    OUTSIDE_KEY,
    PHANTOM_KEY,
    SYNTHETIC_NOTE,
    keep_marks,
)

TILTED = tuple(sitk.Euler3DTransform((0, 0, 0), 0.25, -0.1, 0.4).GetMatrix())
FLIPPED = (-1, 0, 0, 0, -1, 0, 0, 0, 1)
SAGITTAL = (0, 0, -1, 1, 0, 0, 0, -1, 0)


@pytest.mark.parametrize("direction", [None, TILTED, FLIPPED, SAGITTAL])
@pytest.mark.parametrize("spacing", [(4.0, 4.0, 5.0), (2.3, 3.1, 7.7)])
def test_result_has_exactly_the_grid_of_the_mr(direction, spacing):
    mr = blob_mr(spacing=spacing, direction=direction)
    result = generate(mr, tiny_bundle())
    for image in (result.sct, result.uncertainty, result.normalized):
        assert image.GetSize() == mr.GetSize()
        assert image.GetOrigin() == mr.GetOrigin()
        assert image.GetSpacing() == mr.GetSpacing()
        assert image.GetDirection() == mr.GetDirection()
    assert result.sct.GetPixelID() == sitk.sitkInt16


@pytest.mark.parametrize("axes", [(0, 1), (0, 2), (1, 2), (1,), (2,)])
def test_a_flipped_scan_gives_the_same_patient(axes):
    """The same anatomy stored with reversed axes gives the same HU at the same places."""
    mr = blob_mr()
    flip = [axis in axes for axis in range(3)]
    first = generate(mr, tiny_bundle()).sct
    second = generate(sitk.Flip(mr, flip, False), tiny_bundle()).sct
    back = sitk.Flip(second, flip, False)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(first), sitk.GetArrayFromImage(back))


class PassThrough:
    """A network that returns its input, so that what enters must leave."""

    def __call__(self, batch):
        return batch


@pytest.mark.parametrize("slices", [3, 4, 9])
def test_blend_of_a_network_that_changes_nothing_changes_nothing(slices):
    volume = np.random.default_rng(0).uniform(-1, 1, (slices, 8, 12)).astype(np.float32)
    mean, spread = predict(PassThrough(), volume)
    np.testing.assert_allclose(mean, volume, atol=1e-6)
    single = [0, slices - 1] if slices > 3 else range(slices)
    assert (spread[list(single)] == -1).all()
    inner = np.delete(spread, list(single), axis=0)
    assert (inner >= 0).all()
    assert (inner < 1e-3).all()


def test_uncertainty_is_marked_where_one_slab_predicts_and_in_hu_elsewhere():
    spread = sitk.GetArrayFromImage(generate(blob_mr(), tiny_bundle()).uncertainty)
    assert (spread[[0, -1]] == -1).all()
    assert (spread[1:-1] >= 0).all()
    assert 0.01 < spread[1:-1].mean() < 3072


def test_uncertainty_is_a_spread_or_its_mark_on_other_slice_distances_too():
    spread = sitk.GetArrayFromImage(generate(blob_mr(spacing=(4, 4, 7)), tiny_bundle()).uncertainty)
    assert ((spread == -1) | (spread >= 0)).all()
    assert (spread[0] == -1).all() and (spread[2:-2] >= 0).all()


def test_two_slices_are_enough():
    result = generate(blob_mr(size=(20, 16, 2)), tiny_bundle())
    assert result.sct.GetSize() == (20, 16, 2)


def test_result_is_marked_with_the_frame_of_its_mr_and_loses_it_on_another_image():
    mr = blob_mr()
    assert not generate(mr, tiny_bundle()).sct.HasMetaDataKey(FRAME_KEY)
    mr.SetMetaData(FRAME, "1.2.3.4")
    sct = generate(mr, tiny_bundle()).sct
    assert sct.GetMetaData(FRAME_KEY) == hashlib.sha256(b"1.2.3.4").hexdigest()
    assert keep_marks(mr[:], sct).HasMetaDataKey(FRAME_KEY)
    assert not keep_marks(mr[:], sct, moved=True).HasMetaDataKey(FRAME_KEY)


def test_result_is_labelled_synthetic_with_the_hash_of_its_model():
    sct = generate(blob_mr(), tiny_bundle()).sct
    assert sct.GetMetaData("SyntheticCT") == SYNTHETIC_NOTE


class Collected(Progress):
    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, message: str) -> None:
        self.warnings.append(message)


def test_a_real_scan_in_a_phantom_model_is_warned_about():
    progress = Collected()
    result = generate(blob_mr(), tiny_bundle(phantom=True), progress=progress)
    assert any("digital phantom only" in sentence for sentence in progress.warnings)
    assert result.warnings == progress.warnings
    assert result.sct.GetMetaData(OUTSIDE_KEY) == " ".join(result.outside)
    marked = blob_mr()
    marked.SetMetaData(PHANTOM_KEY, "1")
    again = generate(marked, tiny_bundle(phantom=True))
    assert not any("digital phantom only" in sentence for sentence in again.warnings)


def test_a_small_field_of_view_and_strange_intensities_are_warned_about():
    result = generate(blob_mr(spacing=(2.0, 2.0, 5.0)), tiny_bundle())
    assert any("field of view" in sentence for sentence in result.warnings)
    assert any("histogram distance" in sentence for sentence in result.warnings)


@pytest.mark.parametrize(
    ("direction", "tilt"), [(None, 0), (TILTED, None), (FLIPPED, 0), (SAGITTAL, 90)]
)
def test_slices_that_are_not_axial_are_warned_about(direction, tilt):
    mr = blob_mr(direction=direction)
    normal = np.reshape(mr.GetDirection(), (3, 3))[:, 2]
    expected = np.degrees(np.arctan2(np.hypot(*normal[:2]), abs(normal[2])))
    assert tilt_deg(mr) == pytest.approx(expected, abs=1e-4)
    assert tilt in (None, pytest.approx(expected, abs=1e-4))
    result = generate(mr, tiny_bundle())
    assert any("tilted by 90 degrees" in sentence for sentence in result.warnings) == (tilt == 90)


def test_a_missing_gpu_is_told():
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    assert choose_device("auto") == "cpu"
    with pytest.raises(SyntheticCTError, match="--device cpu"):
        choose_device("cuda")
