"""Reading DICOM folders: order, geometry, values, and a sentence for every bad folder."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from dicom_files import dataset, edit, save_dicom, write_series
from pydicom.uid import (
    MRImageStorage,
    RTDoseStorage,
    RTStructureSetStorage,
    generate_uid,
)
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.dicom.frame_of_reference import frame_of
from SyntheticCTLib.dicom.series import read_dicom_folder
from SyntheticCTLib.volumes.reading import read_volume


@pytest.fixture
def stored() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 2000, (5, 6, 7)).astype(np.uint16)


def oblique_axes() -> np.ndarray:
    turn = sitk.Euler3DTransform()
    turn.SetRotation(0.3, -0.2, 0.5)
    return np.reshape(turn.GetMatrix(), (3, 3))


def test_oblique_slices_come_in_order_of_position_with_geometry_and_hu(tmp_path, stored):
    axes = oblique_axes()
    # File names and slice thickness both tell something else than the positions.
    write_series(tmp_path, stored, axes=axes, names=[f"{n}.dcm" for n in "dbeac"], thickness=5.0)
    image = read_dicom_folder(tmp_path, "CT")
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), stored.astype(int) - 1024)
    np.testing.assert_allclose(image.GetSpacing(), (0.8, 1.2, 3.0), atol=1e-6)
    np.testing.assert_allclose(np.reshape(image.GetDirection(), (3, 3)), axes, atol=1e-9)
    last = image.TransformIndexToPhysicalPoint((6, 5, 4))
    expected = np.array((-10, 20, 30)) + axes @ np.array((6 * 0.8, 5 * 1.2, 4 * 3.0))
    np.testing.assert_allclose(last, expected, atol=1e-5)
    assert frame_of(image) == "1.2.3.4"


def test_slices_stored_from_head_to_feet_are_turned_round(tmp_path, stored):
    write_series(tmp_path, stored, positions=[12.0, 9.0, 6.0, 3.0, 0.0])
    image = read_dicom_folder(tmp_path, "CT")
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image)[::-1] + 1024, stored)
    assert image.GetOrigin()[2] == pytest.approx(30.0)


def test_rescale_of_each_slice_is_applied(tmp_path, stored):
    rescale = [(1.0, 0.0), (0.5, 1.0), (2.0, -3.0), (1.25, 0.0), (40.0, 0.0)]
    write_series(tmp_path, stored, rescale=rescale)
    image = sitk.GetArrayFromImage(read_dicom_folder(tmp_path, "CT"))
    for k, (slope, intercept) in enumerate(rescale):
        np.testing.assert_allclose(image[k], slope * stored[k] + intercept, rtol=1e-6)


def test_other_files_rtdose_and_rtstruct_beside_the_slices_do_not_matter(tmp_path, stored):
    write_series(tmp_path, stored)
    (tmp_path / "notes.txt").write_text("no DICOM")
    (tmp_path / "empty").write_bytes(b"")
    dose = dataset(tmp_path / "dose.dcm", RTDoseStorage, "RTDOSE")
    dose.SeriesInstanceUID, dose.Rows, dose.Columns = generate_uid(), 4, 4
    save_dicom(dose, tmp_path / "dose.dcm")
    contours = dataset(tmp_path / "rs.dcm", RTStructureSetStorage, "RTSTRUCT")
    contours.SeriesInstanceUID = generate_uid()
    save_dicom(contours, tmp_path / "rs.dcm")
    assert read_dicom_folder(tmp_path, "CT").GetSize() == (7, 6, 5)


def test_the_only_subfolder_with_dicom_is_taken_but_none_of_two(tmp_path, stored):
    write_series(tmp_path / "IMAGES", stored)
    (tmp_path / "empty").mkdir()
    assert read_dicom_folder(tmp_path, "CT").GetSize() == (7, 6, 5)
    write_series(tmp_path / "MORE", stored)
    with pytest.raises(SyntheticCTError, match="choose one of its subfolders IMAGES, MORE"):
        read_dicom_folder(tmp_path, "CT")


def test_real_prostate_mr_lies_where_its_headers_say(real_data):
    image = read_volume(real_data / "mr_t2_prostate_dicom", "MR")
    assert image.GetSize() == (384, 384, 19)
    headers = [
        pydicom.dcmread(path) for path in sorted((real_data / "mr_t2_prostate_dicom").glob("*.dcm"))
    ]
    for header in headers:
        position = [float(v) for v in header.ImagePositionPatient]
        i, j, k = image.TransformPhysicalPointToIndex(position)
        assert (i, j) == (0, 0)
        there = image.TransformIndexToPhysicalPoint((0, 0, k))
        np.testing.assert_allclose(there, position, atol=0.01)
        np.testing.assert_array_equal(sitk.GetArrayViewFromImage(image)[k], header.pixel_array)


def test_folder_without_dicom(tmp_path):
    (tmp_path / "a.txt").write_text("nothing here")
    with pytest.raises(SyntheticCTError, match=r"^The MR folder .* holds no DICOM file: choose"):
        read_volume(tmp_path, "MR")


def test_folder_with_rt_objects_only(tmp_path):
    contours = dataset(tmp_path / "rs.dcm", RTStructureSetStorage, "RTSTRUCT")
    save_dicom(contours, tmp_path / "rs.dcm")
    with pytest.raises(SyntheticCTError, match="no image slices, only 1 RTSTRUCT"):
        read_volume(tmp_path, "CT")


def test_mixed_series_are_named_with_counts_but_never_the_patient(tmp_path, stored):
    write_series(tmp_path, stored, description="T2 pelvis")
    write_series(tmp_path, stored[:3], description="DWI b800")
    with pytest.raises(SyntheticCTError) as caught:
        read_volume(tmp_path, "MR")
    sentence = str(caught.value)
    assert "several series, CT 'T2 pelvis' (5 slices), CT 'DWI b800' (3 slices)" in sentence
    assert "Doe" not in sentence and "Jane" not in sentence and "4711" not in sentence


def test_missing_slice_is_located(tmp_path, stored):
    paths = write_series(tmp_path, stored)
    paths[2].unlink()
    with pytest.raises(SyntheticCTError, match=r"1 slice is missing: the gap after pelvis001"):
        read_volume(tmp_path, "CT")


def test_non_uniform_slice_spacing(tmp_path, stored):
    write_series(tmp_path, stored, positions=[0.0, 3.0, 6.0, 9.0, 13.0])
    with pytest.raises(
        SyntheticCTError, match=r"slice spacing is not uniform: .* is 4\.00 mm, 3 of 4 are 3\.00 mm"
    ):
        read_volume(tmp_path, "CT")


def test_two_slice_spacings_are_not_taken_for_missing_slices(tmp_path):
    heights = [0.0, 3.0, 6.0, 9.0, 12.0, 18.0, 24.0, 30.0]
    write_series(tmp_path, np.zeros((8, 4, 5), np.uint16), positions=heights)
    with pytest.raises(SyntheticCTError, match=r"not uniform: .* is 6\.00 mm, 4 of 7 are 3\.00 mm"):
        read_volume(tmp_path, "CT")


def test_slices_at_the_same_place(tmp_path, stored):
    write_series(tmp_path, stored, positions=[0.0, 3.0, 3.0, 6.0, 9.0])
    with pytest.raises(SyntheticCTError, match=r"slices on one another at 33\.0 mm"):
        read_volume(tmp_path, "CT")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"ImageOrientationPatient": [1, 0, 0, 0, 0, -1]}, "differ in orientation"),
        ({"PixelSpacing": [2, 2]}, "differ in pixel spacing"),
        ({"Rows": 7, "Columns": 6}, r"differ in size \(7 x 6 and 6 x 7 pixels\)"),
        ({"ImagePositionPatient": None}, "does not say where it lies"),
        ({"NumberOfFrames": 2}, "multi-frame file: give that file"),
    ],
)
def test_a_slice_unlike_the_others(tmp_path, stored, change, sentence):
    edit(write_series(tmp_path, stored)[3], **change)
    with pytest.raises(SyntheticCTError, match=sentence):
        read_volume(tmp_path, "CT")


def test_a_tilt_that_positions_do_not_show_is_refused_with_its_angle(tmp_path, stored):
    for path in write_series(tmp_path, stored):
        edit(path, GantryDetectorTilt="-12.5")
    with pytest.raises(SyntheticCTError, match=r"tilted by 12\.5 degrees \(GantryDetectorTilt\)"):
        read_volume(tmp_path, "CT")
    for path in tmp_path.iterdir():
        edit(path, GantryDetectorTilt="0")
    read_volume(tmp_path, "CT")


def test_tilted_gantry(tmp_path, stored):
    for k, path in enumerate(write_series(tmp_path, stored)):
        edit(path, ImagePositionPatient=[-10, 20 + 0.5 * k, 30 + 3 * k])
    with pytest.raises(SyntheticCTError, match=r"gantry tilted by 9\.5 degrees, 0\.50 mm a slice"):
        read_volume(tmp_path, "CT")


def test_single_slice(tmp_path, stored):
    write_series(tmp_path, stored[:1])
    with pytest.raises(SyntheticCTError, match="a single slice: give the whole series"):
        read_volume(tmp_path, "CT")


@pytest.mark.parametrize(
    "wrong", [{"PixelSpacing": [0.8]}, {"PixelSpacing": [0, 1]}, {"ImagePositionPatient": [1, 2]}]
)
def test_headers_that_say_nothing_usable_are_as_good_as_none(tmp_path, stored, wrong):
    for path in write_series(tmp_path, stored):
        edit(path, **wrong)
    with pytest.raises(SyntheticCTError, match="does not say where it lies"):
        read_volume(tmp_path, "CT")


@pytest.mark.parametrize("missing", [1, 60])
def test_truncated_slice(tmp_path, stored, missing):
    path = write_series(tmp_path, stored)[2]
    path.write_bytes(path.read_bytes()[:-missing])
    with pytest.raises(SyntheticCTError, match=rf"{path.name} cannot be read: copy the file again"):
        read_volume(tmp_path, "CT")


def test_mr_is_read_like_ct(tmp_path, stored):
    for path in write_series(tmp_path, stored, rescale=(1.0, 0.0)):
        edit(path, Modality="MR", SOPClassUID=MRImageStorage)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(read_volume(tmp_path, "MR")), stored)
