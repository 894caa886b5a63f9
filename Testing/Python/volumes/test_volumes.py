"""Reading and writing volumes, and the sentence for every volume that cannot be used."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.dicom.frame_of_reference import STUDY
from SyntheticCTLib.volumes.checks import check_volume
from SyntheticCTLib.volumes.grids import copied, image_like
from SyntheticCTLib.volumes.marks import (
    SYNTHETIC_NOTE,
    is_synthetic,
    keep_marks,
    label_synthetic,
)
from SyntheticCTLib.volumes.reading import read_volume
from SyntheticCTLib.volumes.resampling import resample
from SyntheticCTLib.volumes.writing import write_volume


@pytest.fixture
def image() -> sitk.Image:
    values = np.random.default_rng(1).integers(-1000, 1000, (5, 6, 7)).astype(np.int16)
    result = sitk.GetImageFromArray(values)
    turn = sitk.Euler3DTransform()
    turn.SetRotation(0.2, -0.1, 0.4)
    matrix = np.reshape(turn.GetMatrix(), (3, 3)) @ np.diag([1, -1, 1])
    result.SetDirection(matrix.ravel().tolist())
    result.SetSpacing((0.76, 1.06, 3.0))
    result.SetOrigin((-12.5, 7.25, 1000.125))
    return result


@pytest.mark.parametrize("suffix", [".nrrd", ".nii.gz", ".mha"])
def test_a_written_volume_comes_back_with_voxels_and_geometry(image, tmp_path, suffix):
    back = read_volume(write_volume(image, tmp_path / f"a{suffix}"))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(back), sitk.GetArrayFromImage(image))
    assert back.GetPixelID() == image.GetPixelID()
    # NIfTI holds its geometry in single precision.
    for corner in ((0, 0, 0), (6, 5, 4)):
        np.testing.assert_allclose(
            back.TransformIndexToPhysicalPoint(corner),
            image.TransformIndexToPhysicalPoint(corner),
            atol=1e-4,
        )


def test_writing_leaves_only_the_volume(image, tmp_path):
    write_volume(image, tmp_path / "a.nrrd")
    assert [p.name for p in tmp_path.iterdir()] == ["a.nrrd"]


@pytest.mark.parametrize("suffix", [".unknown", ".mhd", ".nhdr", ".img", ".tif", ".h5"])
def test_a_format_that_does_not_keep_a_volume_whole_leaves_nothing(image, tmp_path, suffix):
    with pytest.raises(SyntheticCTError, match=r"cannot be written: end the name with \.nrrd"):
        write_volume(image, tmp_path / f"a{suffix}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("compress", [True, False])
@pytest.mark.parametrize("missing", [1, 100])
def test_a_volume_that_ends_early_is_not_a_result(image, tmp_path, monkeypatch, compress, missing):
    """On a full disk the NRRD writer loses the last bytes without a word."""
    write = sitk.WriteImage

    def shortened(image, path, **options):
        write(image, path, **options)
        with open(path, "r+b") as stream:
            stream.truncate(stream.seek(0, 2) - missing)

    monkeypatch.setattr(sitk, "WriteImage", shortened)
    with pytest.raises(SyntheticCTError, match=r"ct\.nrrd cannot be written.*room on the disk"):
        write_volume(image, tmp_path / "ct.nrrd", compress=compress)
    assert list(tmp_path.iterdir()) == []


def test_image_like_lies_exactly_where_its_reference_lies(image):
    other = image_like(np.zeros((5, 6, 7), np.float32), image)
    assert other.GetOrigin() == image.GetOrigin()
    assert other.GetSpacing() == image.GetSpacing()
    assert other.GetDirection() == image.GetDirection()


def test_a_synthetic_ct_says_so_in_its_file(image, tmp_path):
    write_volume(label_synthetic(image, "abc"), tmp_path / "a.nrrd")
    back = sitk.ReadImage(str(tmp_path / "a.nrrd"))
    assert back.GetMetaData("SyntheticCT") == SYNTHETIC_NOTE
    assert back.GetMetaData("SyntheticCTModel") == "abc"
    write_volume(image, tmp_path / "a.nii.gz")
    assert "research use" in sitk.ReadImage(str(tmp_path / "a.nii.gz")).GetMetaData("descrip")


@pytest.mark.parametrize("suffix", [".nrrd", ".nii", ".nii.gz", ".mha"])
def test_the_mark_is_that_of_the_volume_whatever_file_it_came_from(image, tmp_path, suffix):
    write_volume(label_synthetic(image), tmp_path / f"a{suffix}")
    back = read_volume(tmp_path / f"a{suffix}")
    assert is_synthetic(back)
    moved = keep_marks(resample(back, back[1:, :, :], fill=0), back)
    write_volume(moved, tmp_path / f"b{suffix}")
    assert is_synthetic(read_volume(tmp_path / f"b{suffix}"))


def test_what_names_the_patient_is_not_read(image, tmp_path):
    for key in ("PatientName", "0008|0090", "Referring Physician", "SyntheticCT"):
        image.SetMetaData(key, "Doe")
    sitk.WriteImage(image, str(tmp_path / "a.nrrd"))
    kept = read_volume(tmp_path / "a.nrrd")
    assert [key for key in kept.GetMetaDataKeys() if kept.GetMetaData(key) == "Doe"] == [
        "SyntheticCT"
    ]


def test_a_4d_image_of_one_time_point_is_a_volume(image, tmp_path):
    sitk.WriteImage(sitk.JoinSeries([image]), str(tmp_path / "a.nrrd"))
    assert read_volume(tmp_path / "a.nrrd").GetSize() == (7, 6, 5)


def test_missing_file(tmp_path):
    with pytest.raises(
        SyntheticCTError, match=r"^The CT .*ct\.nrrd does not exist: check the path"
    ):
        read_volume(tmp_path / "ct.nrrd", "CT")


@pytest.mark.parametrize("suffix", [".nrrd", ".nii.gz", ".mha"])
def test_truncated_file(image, tmp_path, suffix):
    path = write_volume(image, tmp_path / f"ct{suffix}")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3])
    with pytest.raises(
        SyntheticCTError, match=r"^The CT .* cannot be read as an image: it is truncated"
    ):
        read_volume(path, "CT")


def test_file_that_is_no_image(tmp_path):
    (tmp_path / "ct.nrrd").write_text("hello")
    with pytest.raises(SyntheticCTError, match="cannot be read as an image"):
        read_volume(tmp_path / "ct.nrrd", "CT")


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        (sitk.Image(8, 8, sitk.sitkInt16), r"is not a 3D volume \(its size is 8 x 8\)"),
        (sitk.Image([8, 8, 1], sitk.sitkInt16), r"is not a 3D volume \(its size is 8 x 8 x 1\)"),
        (
            sitk.Image([4, 4, 4, 2], sitk.sitkInt16),
            r"is not a 3D volume \(its size is 4 x 4 x 4 x 2\)",
        ),
        (sitk.Image([4, 4, 4], sitk.sitkVectorFloat32, 3), "has 3 values a voxel"),
        (sitk.Image([4, 4, 4], sitk.sitkInt16), "is empty: every voxel is 0;"),
        (sitk.Image([4, 4, 4], sitk.sitkInt16) - 1024, "is empty: every voxel is -1024;"),
    ],
)
def test_images_that_are_no_usable_volume(bad, sentence, tmp_path):
    with pytest.raises(SyntheticCTError, match=f"^The MR {sentence}"):
        check_volume(bad, "MR")
    sitk.WriteImage(bad, str(tmp_path / "mr.nrrd"))
    with pytest.raises(SyntheticCTError, match=sentence):
        read_volume(tmp_path / "mr.nrrd", "MR")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_single_nan_or_infinite_voxel(value):
    values = np.random.default_rng(0).normal(size=(4, 5, 6)).astype(np.float32)
    values[2, 3, 1] = value
    with pytest.raises(SyntheticCTError, match="holds 1 NaN or infinite voxel: replace them"):
        check_volume(sitk.GetImageFromArray(values), "MR")


def test_cosines_too_small_for_itk_do_not_lose_the_volume(image):
    image.SetDirection((1.0, -1e-300, 0.0, 1e-300, 1.0, 0.0, 0.0, 0.0, 1.0))
    checked = check_volume(image, "MR")
    place = checked.TransformIndexToPhysicalPoint((2, 3, 4))
    assert checked.TransformPhysicalPointToContinuousIndex(place) == pytest.approx((2, 3, 4))


def test_a_copy_that_is_changed_keeps_its_metadata_and_leaves_the_first_alone(tmp_path):
    image = label_synthetic(sitk.Image(3, 3, 3, sitk.sitkInt16), "abc")
    image.SetMetaData(STUDY, "1.2.3")
    copy = copied(image)
    copy.SetOrigin((5.0, 0.0, 0.0))
    copy[0, 0, 0] = 7
    assert is_synthetic(copy) and copy.GetMetaData(STUDY) == "1.2.3"
    assert image.GetOrigin() == (0, 0, 0) and image[0, 0, 0] == 0
    write_volume(image, tmp_path / "sct.nrrd")
    written = sitk.ReadImage(tmp_path / "sct.nrrd")
    assert is_synthetic(written) and written.GetMetaData("SyntheticCTModel") == "abc"
    assert not written.HasMetaDataKey(STUDY) and image.HasMetaDataKey(STUDY)
    tilted = copied(image)
    tilted.SetDirection((1.0, 1e-200, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0))
    tilted[1, 1, 1] = 1
    assert is_synthetic(check_volume(tilted, "CT"))
