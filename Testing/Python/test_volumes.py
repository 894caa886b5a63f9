"""Reading and writing volumes: what is no volume gets a sentence; outputs are whole or absent."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from models import blob_mr
from SyntheticCTLib.errors import SyntheticCTError
from SyntheticCTLib.outputs import refuse_overwrite, staged_file, staged_folder
from SyntheticCTLib.resampling import grid_of, resample, same_grid
from SyntheticCTLib.volumes import image_like, read_volume, write_volume


def refused(image: sitk.Image, tmp_path, sentence: str) -> None:
    path = tmp_path / "image.nrrd"
    sitk.WriteImage(image, str(path))
    with pytest.raises(SyntheticCTError, match=sentence):
        read_volume(path, "MR")


def test_a_volume_is_read_back_as_it_was_written(tmp_path):
    image = blob_mr(direction=tuple(sitk.Euler3DTransform((0, 0, 0), 0.1, 0.2, 0.3).GetMatrix()))
    back = read_volume(write_volume(image, tmp_path / "new" / "image.nrrd"), "MR")
    assert same_grid(back, image, 1e-9)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(back), sitk.GetArrayFromImage(image))


def test_images_that_are_no_volume_are_told(tmp_path):
    ramp = np.arange(60.0)
    refused(sitk.GetImageFromArray(ramp.reshape(6, 10)), tmp_path, "not a 3D volume")
    refused(sitk.GetImageFromArray(ramp.reshape(1, 6, 10)), tmp_path, "not a 3D volume")
    phases = sitk.GetImageFromArray(ramp.reshape(3, 2, 2, 5), isVector=False)
    refused(phases, tmp_path, "not a 3D volume")
    vectors = sitk.GetImageFromArray(ramp.reshape(2, 5, 3, 2), isVector=True)
    refused(vectors, tmp_path, "2 values a voxel")


def test_images_without_content_are_told(tmp_path):
    refused(sitk.Image([4, 5, 6], sitk.sitkInt16), tmp_path, "every voxel is 0")
    refused(sitk.Image([4, 5, 6], sitk.sitkInt16) + 7, tmp_path, "every voxel is 7")
    for wrong in (np.nan, np.inf):
        values = np.ones((4, 5, 6), np.float32)
        values[2, 2, 2] = wrong
        refused(sitk.GetImageFromArray(values), tmp_path, "NaN or infinite")


def test_missing_and_truncated_files_are_told(tmp_path):
    with pytest.raises(SyntheticCTError, match="does not exist"):
        read_volume(tmp_path / "none.nrrd", "MR")
    path = write_volume(blob_mr(), tmp_path / "image.nrrd")
    path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(SyntheticCTError, match="cannot be read"):
        read_volume(path, "MR")


def test_a_format_that_cannot_be_written_leaves_nothing(tmp_path):
    with pytest.raises(SyntheticCTError, match=r"end the name with \.nrrd"):
        write_volume(blob_mr(), tmp_path / "image.docx")
    assert list(tmp_path.iterdir()) == []


def test_a_failure_leaves_the_earlier_file_and_nothing_half_written(tmp_path):
    target = tmp_path / "result.txt"
    target.write_text("before")
    with pytest.raises(KeyboardInterrupt), staged_file(target) as stage:
        stage.write_text("half")
        raise KeyboardInterrupt
    assert target.read_text() == "before"
    with pytest.raises(ValueError, match="broke"), staged_folder(tmp_path) as stage:
        (stage / "result.txt").write_text("half")
        raise ValueError("broke")
    assert [path.name for path in tmp_path.iterdir()] == ["result.txt"]
    assert target.read_text() == "before"


def test_results_are_not_moved_where_one_would_replace_an_input(tmp_path):
    source = tmp_path / "ct.nrrd"
    source.write_text("input")
    with (
        pytest.raises(SyntheticCTError, match="overwrite the input"),
        staged_folder(tmp_path, [source]) as stage,
    ):
        (stage / "a.txt").write_text("new")
        (stage / "ct.nrrd").write_text("new")
    assert source.read_text() == "input"
    assert [path.name for path in tmp_path.iterdir()] == ["ct.nrrd"]


def test_outputs_in_and_around_inputs_are_refused(tmp_path):
    folder = tmp_path / "dicom"
    folder.mkdir()
    refuse_overwrite(tmp_path / "new.nrrd", [folder])
    for output in (folder, folder / "new.nrrd", tmp_path):
        with pytest.raises(SyntheticCTError, match="choose"):
            refuse_overwrite(output, [folder])


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SyntheticCTError, match="cannot be written to"):
        write_volume(blob_mr(), tmp_path / "file" / "image.nrrd")


@settings(max_examples=25, deadline=None)
@given(st.tuples(*[st.floats(-3, 3)] * 3), st.floats(-0.5, 0.5), st.floats(0.6, 2.0))
def test_resampling_keeps_a_linear_image_at_its_places(shift, angle, spacing):
    k, j, i = np.meshgrid(*map(np.arange, (12, 14, 16)), indexing="ij")
    image = sitk.GetImageFromArray((3 * i - 2 * j + 5 * k).astype(np.float32))
    image.SetOrigin((-7.5, -6.5, -5.5))
    grid = grid_of((4, 4, 4), (spacing,) * 3, tuple(s - 1.5 * spacing for s in shift))
    turn = sitk.Euler3DTransform((0, 0, 0), 0, 0, angle)
    result = resample(image, grid, turn, fill=-999)
    for index in ((0, 0, 0), (3, 1, 2)):
        point = np.array(turn.TransformPoint(grid.TransformIndexToPhysicalPoint(index)))
        expected = (point - image.GetOrigin()) @ (3, -2, 5)
        assert result.GetPixel(index) == pytest.approx(expected, abs=1e-3)


def test_whole_numbers_are_rounded_and_the_outside_is_filled():
    image = image_like(
        np.array([[[0, 99]] * 2] * 2, np.int16), grid_of((2, 2, 2), (1,) * 3, (0,) * 3)
    )
    grid = grid_of((4, 1, 1), (0.25,) * 3, (0.25, 0, 0))
    assert sitk.GetArrayFromImage(resample(image, grid, fill=-1024)).ravel().tolist() == [
        25, 50, 74, 99,
    ]  # fmt: skip
    away = grid_of((2, 1, 1), (1,) * 3, (50, 0, 0))
    assert set(sitk.GetArrayFromImage(resample(image, away, fill=-1024)).ravel()) == {-1024}
    assert set(sitk.GetArrayFromImage(resample(image, away, fill=None)).ravel()) == {99}


def test_averaging_does_not_depend_on_where_a_coarse_point_falls():
    stripes = np.tile(np.array([0, 100], np.float32), (8, 8, 20))
    image = image_like(stripes, grid_of((40, 8, 8), (1,) * 3, (0,) * 3))
    grid = grid_of((8, 2, 2), (4,) * 3, (4.0, 2.0, 2.0))
    bare = sitk.GetArrayFromImage(resample(image, grid, fill=0))
    mean = sitk.GetArrayFromImage(resample(image, grid, fill=0, antialias=True))
    assert np.abs(bare - 50).max() == 50
    assert np.abs(mean - 50).max() < 5
