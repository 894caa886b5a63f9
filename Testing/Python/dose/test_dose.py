"""Doses from RTDOSE and from volume files: in Gy, at the right place, or refused."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from dicom_files import edit
from dose_files import STORED, rtdose, volume
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from scipy.spatial.transform import Rotation
from structure_files import rtplan
from SyntheticCTEvalLib.dose.reading import read_dose
from SyntheticCTEvalLib.dose.units import check_dose
from SyntheticCTEvalLib.gamma.criteria import GammaCriteria
from SyntheticCTEvalLib.gamma.engines import compute_gamma
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import NotedProgress, Progress

SMOOTH = np.linspace(0, 50, 60).reshape(3, 4, 5)


def at(image: sitk.Image, point) -> float:
    return image[image.TransformPhysicalPointToIndex(np.asarray(point, float).tolist())]


def test_rtdose_is_scaled_to_gray_and_lies_where_its_header_says(tmp_path):
    dose = read_dose(rtdose(tmp_path / "dose.dcm"))
    assert dose.GetPixelID() == sitk.sitkFloat32
    assert (dose.GetSize(), dose.GetSpacing()) == ((5, 3, 4), (2.5, 2.0, 3.0))
    assert dose.GetOrigin() == (-10, -20, -30)
    np.testing.assert_allclose(sitk.GetArrayFromImage(dose), STORED * 1e-4, rtol=1e-6)
    assert dose.GetMetaData("DoseUnits") == "GY"
    assert dose.GetMetaData("FrameOfReferenceUID") == "1.2.3.4"
    assert dose.GetMetaData("DoseSummationType") == "PLAN"


def test_a_single_plane_is_read_where_it_lies(tmp_path):
    path = rtdose(tmp_path / "p.dcm", stored=STORED[1:2], GridFrameOffsetVector=None)
    plane = read_dose(path)
    assert plane.GetSize() == (5, 3, 1)
    assert plane.GetOrigin() == (-10, -20, -30) and plane.GetSpacing()[:2] == (2.5, 2.0)
    np.testing.assert_allclose(sitk.GetArrayFromImage(plane)[0], STORED[1] * 1e-4, rtol=1e-6)
    criteria = GammaCriteria(1, 1)
    assert compute_gamma(plane, plane, criteria).pass_rates == {10: 100}


def test_offsets_rounded_to_a_tenth_of_a_millimetre_are_a_regular_grid(tmp_path):
    path = rtdose(tmp_path / "dose.dcm", GridFrameOffsetVector=[0, 1.3, 2.5, 3.8])
    assert read_dose(path).GetSpacing()[2] == pytest.approx(3.8 / 3)


@pytest.mark.parametrize(
    ("elements", "words"),
    [
        ({}, ""),
        ({"DoseSummationType": "MULTI_PLAN"}, ""),
        (
            {"DoseSummationType": "BEAM"},
            "part of the treatment (DoseSummationType BEAM, ",
        ),
        ({"DoseSummationType": "FRACTION"}, "part of the treatment"),
        ({"DoseSummationType": "BEAM_SESSION"}, "part of the treatment"),
        ({"DoseType": "EFFECTIVE"}, "effective dose"),
        ({"stored": STORED[1:2], "GridFrameOffsetVector": None}, "1 mm was taken"),
    ],
)
def test_what_makes_a_dose_another_than_the_plans_is_told(tmp_path, elements, words):
    progress = NotedProgress(Progress())
    path = rtdose(tmp_path / "dose.dcm", **elements)
    read_dose(path, progress=progress)
    assert len(progress.warnings) == bool(words)
    assert all("dose.dcm" in told and words in told for told in progress.warnings)


def test_of_a_fraction_group_the_planned_fractions_are_told(tmp_path):
    """DICOM's FRACTION is the whole group; the plan beside it says of how many fractions."""
    plan = rtplan(tmp_path / "rp.dcm", 60.0)
    groups = [Dataset(), Dataset()]
    for number, (group, count) in enumerate(zip(groups, (25, 8), strict=True), start=1):
        group.FractionGroupNumber, group.NumberOfFractionsPlanned = number, count
    edit(plan, FractionGroupSequence=groups)
    named, group = Dataset(), Dataset()
    named.ReferencedSOPInstanceUID = pydicom.dcmread(plan).SOPInstanceUID
    group.ReferencedFractionGroupNumber = 2
    named.ReferencedFractionGroupSequence = [group]
    path = rtdose(
        tmp_path / "dose.dcm", DoseSummationType="FRACTION", ReferencedRTPlanSequence=[named]
    )
    progress = NotedProgress(Progress())
    dose = read_dose(path, progress=progress)
    (told,) = progress.warnings
    assert "FRACTION, fraction group 2, 8 fractions planned" in told
    assert "all fractions of the group" in told
    assert dose.GetMetaData("DoseFractions") == "8"
    plan.unlink()
    read_dose(path, progress=progress)
    assert "fraction group 2, the number of fractions is not told" in progress.warnings[-1]


@settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    angles=st.tuples(*[st.floats(-180, 180).map(lambda angle: round(angle, 9))] * 3),
    step=st.sampled_from([-4.0, -2.5, 2.5, 4.0]),
)
def test_every_orientation_puts_every_voxel_at_its_point(tmp_path, angles, step):
    """The standard: position + column x spacing x row direction + ... + offset x normal."""
    along_row, along_column, _ = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    # what a DS element of 16 characters holds
    row, column = (
        np.array([float(f"{v:.10f}") for v in axis]) for axis in (along_row, along_column)
    )
    path = rtdose(
        tmp_path / "dose.dcm",
        ImageOrientationPatient=[f"{v:.10f}" for v in (*row, *column)],
        GridFrameOffsetVector=[0, step, 2 * step, 3 * step],
    )
    dose = read_dose(path)
    normal = np.cross(row, column)
    for frame, r, c in ((0, 0, 0), (3, 0, 0), (1, 2, 4), (3, 2, 1)):
        point = np.array([-10, -20, -30]) + 2.5 * c * row + 2 * r * column + frame * step * normal
        assert at(dose, point) == pytest.approx(STORED[frame, r, c] * 1e-4)
    assert np.linalg.det(np.reshape(dose.GetDirection(), (3, 3))) == pytest.approx(1)


@pytest.mark.parametrize("down", [False, True])
def test_absolute_frame_offsets_are_patient_coordinates(tmp_path, down):
    """DICOM C.8.8.3.2, second way: the vector starts with the z of the first frame."""
    step = -3 if down else 3
    offsets = [-30 + step * n for n in range(4)]
    for orientation in ([1, 0, 0, 0, 1, 0], [1, 0, 0, 0, -1, 0]):
        path = rtdose(
            tmp_path / "dose.dcm",
            GridFrameOffsetVector=offsets,
            ImageOrientationPatient=orientation,
        )
        dose = read_dose(path)
        for frame in range(4):
            assert at(dose, (-10, -20, offsets[frame])) == pytest.approx(STORED[frame, 0, 0] * 1e-4)


def test_a_folder_with_one_rtdose_and_a_file_without_preamble_are_read(tmp_path):
    path = rtdose(tmp_path / "RD.1.2.3")
    (tmp_path / "readme.txt").write_text("not DICOM")
    assert read_dose(tmp_path).GetSize() == (5, 3, 4)
    bare = tmp_path / "bare.dcm"
    bare.write_bytes(path.read_bytes()[132:])
    np.testing.assert_allclose(sitk.GetArrayFromImage(read_dose(bare)), STORED * 1e-4, rtol=1e-6)
    with pytest.raises(SyntheticCTError, match="holds 2 DICOM RTDOSE"):
        read_dose(tmp_path)


@pytest.mark.parametrize(
    ("elements", "sentence"),
    [
        ({"DoseUnits": "RELATIVE"}, "percent of a reference"),
        ({"DoseUnits": None}, "does not say its unit"),
        ({"DoseUnits": "MU"}, '"MU", which is not an absorbed dose'),
        ({"DoseType": "ERROR"}, "difference between doses"),
        ({"DoseGridScaling": None}, "no DoseGridScaling"),
        ({"DoseGridScaling": "-0.0001"}, r"DoseGridScaling that cannot be \(-0\.0001\)"),
        ({"DoseGridScaling": "nan"}, "DoseGridScaling that cannot be"),
        ({"DoseGridScaling": "0"}, "DoseGridScaling that cannot be"),
        ({"PixelData": None}, "no dose grid, as where only dose-volume histograms"),
        ({"PixelSpacing": [0, 0]}, "PixelSpacing that is not above 0"),
        ({"PixelSpacing": [2, -2.5]}, "PixelSpacing that is not above 0"),
        ({"ImagePositionPatient": ["nan", "0", "0"]}, "that cannot be"),
        ({"GridFrameOffsetVector": ["0", "3", "nan", "9"]}, "that cannot be"),
        ({"GridFrameOffsetVector": [0, 3, 6, 10]}, "not equally spaced"),
        ({"GridFrameOffsetVector": [0, 0, 0, 0]}, "not equally spaced"),
        ({"GridFrameOffsetVector": [0, 3, 6]}, "4 frames but 3 entries"),
        ({"GridFrameOffsetVector": [5, 8, 11, 14]}, "starts at 5"),
        ({"GridFrameOffsetVector": None}, "where it lies"),
        ({"ImagePositionPatient": None}, "where it lies"),
        ({"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]}, "perpendicular"),
        ({"Modality": "CT", "storage": "1.2.840.10008.5.1.4.1.1.2"}, "modality CT, not RTDOSE"),
        ({"stored": STORED * 0}, "empty"),
        ({"PixelData": STORED.tobytes()[:40]}, "truncated"),
    ],
)
def test_rtdose_that_cannot_be_used_is_refused_with_the_reason(tmp_path, elements, sentence):
    path = rtdose(tmp_path / "dose.dcm", **elements)
    with pytest.raises(SyntheticCTError, match=sentence):
        read_dose(path)


def test_a_truncated_file_is_refused(tmp_path):
    path = rtdose(tmp_path / "dose.dcm")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(SyntheticCTError, match="truncated"):
        read_dose(path)


def test_a_missing_unit_can_be_given_and_a_stated_one_cannot_be_contradicted(tmp_path):
    silent = rtdose(tmp_path / "silent.dcm", DoseUnits=None)
    np.testing.assert_allclose(
        sitk.GetArrayFromImage(read_dose(silent, "cGy")), STORED * 1e-6, rtol=1e-6
    )
    with pytest.raises(SyntheticCTError, match="says that it is in GY"):
        read_dose(rtdose(tmp_path / "gray.dcm"), "cGy")
    with pytest.raises(SyntheticCTError, match='"rad", which is not an absorbed dose'):
        read_dose(silent, "rad")


@pytest.mark.parametrize("suffix", [".nrrd", ".mha", ".nii.gz"])
def test_a_volume_file_is_gray_unless_said_otherwise(tmp_path, suffix):
    path = volume(tmp_path / f"dose{suffix}", SMOOTH)
    dose = read_dose(path)
    np.testing.assert_allclose(sitk.GetArrayFromImage(dose), SMOOTH, rtol=1e-6)
    np.testing.assert_allclose(dose.GetOrigin(), (5, 6, 7), atol=1e-5)
    np.testing.assert_allclose(
        sitk.GetArrayFromImage(read_dose(path, "cGy")), SMOOTH / 100, rtol=1e-6
    )


def test_the_unit_in_a_volume_files_metadata_counts(tmp_path):
    path = volume(tmp_path / "dose.nrrd", SMOOTH * 100, DoseUnits="cGy")
    np.testing.assert_allclose(sitk.GetArrayFromImage(read_dose(path)), SMOOTH, rtol=1e-6)
    with pytest.raises(SyntheticCTError, match="says that it is in cGy"):
        read_dose(path, "Gy")
    per_history = volume(tmp_path / "mc.nrrd", SMOOTH, dose_unit="Gy/primary")
    with pytest.raises(SyntheticCTError, match='"Gy/primary", which is not an absorbed dose'):
        read_dose(per_history)


def test_centigray_without_a_unit_is_noticed(tmp_path):
    path = volume(tmp_path / "dose.nrrd", SMOOTH * 100)
    with pytest.raises(SyntheticCTError, match="reaches 5000, which cannot be Gy"):
        read_dose(path)
    assert sitk.GetArrayFromImage(read_dose(path, "cGy")).max() == pytest.approx(50)
    assert sitk.GetArrayFromImage(read_dose(path, "Gy")).max() == pytest.approx(5000)


def test_what_is_written_as_dose_is_read_back_unchanged(tmp_path):
    """A dose that was scaled once (SlicerRT, this module) is never scaled again."""
    first = read_dose(rtdose(tmp_path / "dose.dcm"))
    sitk.WriteImage(first, str(tmp_path / "dose.nrrd"))
    again = read_dose(tmp_path / "dose.nrrd")
    np.testing.assert_array_equal(sitk.GetArrayFromImage(again), sitk.GetArrayFromImage(first))
    assert again.GetMetaData("FrameOfReferenceUID") == "1.2.3.4"


def test_negative_nan_and_missing_doses_are_refused(tmp_path):
    with pytest.raises(SyntheticCTError, match=r"negative.nrrd is negative dose, down to -5 Gy"):
        read_dose(volume(tmp_path / "negative.nrrd", SMOOTH - 5))
    broken = SMOOTH.copy()
    broken[1, 1, 1] = np.nan
    with pytest.raises(SyntheticCTError, match="NaN"):
        read_dose(volume(tmp_path / "nan.nrrd", broken))
    with pytest.raises(SyntheticCTError, match="NaN"):
        check_dose(sitk.GetImageFromArray(broken), "dose")
    with pytest.raises(SyntheticCTError, match="does not exist"):
        read_dose(tmp_path / "nothing.dcm")
    with pytest.raises(SyntheticCTError, match="holds no DICOM RTDOSE"):
        (tmp_path / "empty").mkdir()
        read_dose(tmp_path / "empty")


def test_a_clinical_rtdose(real_data):
    """Against the file's own header and, for the grid, against SimpleITK's reader."""
    path = real_data / "rt_dicom" / "rtdose.dcm"
    dose = read_dose(path)
    assert dose.GetSize() == (194, 129, 98)
    assert dose.GetSpacing() == (2.5, 2.5, 3.0)
    values = sitk.GetArrayFromImage(dose)
    assert values.max() == pytest.approx(14.68, abs=0.005)
    raw = sitk.ReadImage(str(path))
    assert raw.GetOrigin() == pytest.approx(dose.GetOrigin())
    assert raw.GetDirection() == pytest.approx(dose.GetDirection())
    header = pydicom.dcmread(path)
    scaled = sitk.GetArrayFromImage(raw) * float(header.DoseGridScaling)
    np.testing.assert_allclose(values, scaled, rtol=1e-6)
    assert dose.GetMetaData("FrameOfReferenceUID") == header.FrameOfReferenceUID
