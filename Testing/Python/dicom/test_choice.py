"""Which series is read: of the role's modality, of one patient, and the one that is meant."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from dicom_files import edit, write_series
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import NotedProgress, Progress
from SyntheticCTLib.volumes.reading import read_volume

STORED = np.random.default_rng(0).integers(0, 2000, (5, 6, 7)).astype(np.uint16)


def write(folder: Path, modality: str = "CT", stored: np.ndarray = STORED, **header) -> Path:
    text = header.pop("description", modality)
    for path in write_series(folder, stored, description=text, rescale=(1.0, 0.0)):
        edit(path, Modality=modality, **header)
    return folder


def read(path: Path | str, what: str) -> tuple[sitk.Image, list[str]]:
    progress = NotedProgress(Progress())
    # All volumes here are of a few millimetres, which is told.
    image = read_volume(path, what, progress)
    return image, [w for w in progress.warnings if "mm large" not in w]


@pytest.mark.parametrize(
    ("modality", "what"),
    [("CT", "MR"), ("MR", "CT"), ("PT", "CT"), ("NM", "MR"), ("PT", "candidate sCT")],
)
def test_a_series_of_another_modality_than_the_role_is_refused(tmp_path, modality, what):
    wanted = "CT or MR" if what.startswith("candidate") else what
    with pytest.raises(
        SyntheticCTError, match=f"^The {what} folder .* is of modality {modality}, not {wanted}:"
    ):
        read(write(tmp_path, modality), what)


@pytest.mark.parametrize("modality", ["CT", "MR"])
@pytest.mark.parametrize("what", ["candidate MRCAT", "moving volume"])
def test_a_candidate_may_be_labelled_as_ct_or_mr(tmp_path, modality, what):
    image, warnings = read(write(tmp_path, modality), what)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), STORED)
    assert not warnings


@pytest.mark.parametrize("modality", ["", "OT"])
def test_a_series_without_a_modality_is_told(tmp_path, modality):
    _, (warning,) = read(write(tmp_path, modality), "CT")
    assert "does not say of which modality" in warning


def test_one_series_identifier_for_ct_and_mr_is_refused(tmp_path):
    edit(sorted(write(tmp_path).iterdir())[3], Modality="MR")
    with pytest.raises(SyntheticCTError, match="is of modality MR, not CT"):
        read(tmp_path, "CT")


@pytest.mark.parametrize(
    ("element", "values"),
    [
        ("PatientID", ("A17", "B23")),
        ("PatientName", ("One^A", "Two^B")),
        ("PatientBirthDate", ("19500101", "19600101")),
    ],
)
def test_slices_of_two_patients_are_refused_without_naming_them(tmp_path, element, values):
    files = sorted(write(tmp_path).iterdir())
    for k, path in enumerate(files):
        edit(path, **{element: values[k > 2]})
    with pytest.raises(SyntheticCTError) as told:
        read(tmp_path, "CT")
    assert f"slices of 2 patients in one series ({element} differs" in str(told.value)
    assert files[0].name in str(told.value) and files[3].name in str(told.value)
    assert not any(value in str(told.value) for value in values)


def test_one_patient_written_in_two_ways_and_empty_elements_are_one(tmp_path):
    for k, path in enumerate(sorted(write(tmp_path).iterdir())):
        edit(path, PatientName=["Doe^Jane", "DOE^JANE^^", ""][k % 3])
    read(tmp_path, "CT")


def test_frames_of_reference_that_differ_within_a_series_are_told(tmp_path):
    edit(sorted(write(tmp_path).iterdir())[0], FrameOfReferenceUID="1.9")
    _, warnings = read(tmp_path, "CT")
    assert any("name 2 frames of reference" in warning for warning in warnings)


@pytest.fixture
def two(tmp_path) -> Path:
    write(tmp_path, SeriesNumber=3, description="pelvis")
    write(tmp_path, stored=STORED[::-1], SeriesNumber=4, description="pelvis thin")
    return tmp_path


def test_of_two_series_that_can_be_meant_the_sentence_says_how_to_choose(two):
    with pytest.raises(SyntheticCTError) as told:
        read(two, "CT")
    assert "CT 'pelvis' (5 slices, number 3), CT 'pelvis thin' (5 slices, number 4)" in str(
        told.value
    )
    assert f"choose one by its number, description or UID after the folder and #, such as " \
           f"'{two}#3'" in str(told.value)  # fmt: skip


def test_a_series_is_chosen_by_number_description_or_identifier(two):
    import pydicom

    uid = pydicom.dcmread(two / "pelvis_thin000.dcm").SeriesInstanceUID
    for name in ("4", "pelvis thin", "PELVIS THIN", uid):
        image, _ = read(f"{two}#{name}", "CT")
        np.testing.assert_array_equal(sitk.GetArrayFromImage(image), STORED[::-1])
    with pytest.raises(SyntheticCTError, match="holds no series '7' among CT 'pelvis'"):
        read(f"{two}#7", "CT")


def test_series_of_one_number_and_description_are_told_apart_by_their_identifier(tmp_path):
    write(tmp_path / "a"), write(tmp_path / "b")
    for k, path in enumerate((tmp_path / "b").iterdir()):
        path.rename(tmp_path / "a" / f"other{k}.dcm")
    with pytest.raises(SyntheticCTError) as told:
        read(tmp_path / "a", "CT")
    named = str(told.value).split("such as '")[1].split("'")[0]
    assert read(named, "CT")[0].GetSize() == (7, 6, 5)
    with pytest.raises(SyntheticCTError, match="holds several series 'CT' among"):
        read(f"{tmp_path / 'a'}#CT", "CT")


def test_the_only_series_of_the_modality_is_taken_and_named(tmp_path):
    write(tmp_path, "MR"), write(tmp_path, "CT", STORED[::-1])
    image, (warning,) = read(tmp_path, "CT")
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), STORED[::-1])
    assert "CT 'CT' (5 slices) was taken, as the only one that can be the CT" in warning
    with pytest.raises(SyntheticCTError, match="holds several series"):
        read(tmp_path, "candidate sCT")


def test_a_localizer_is_not_taken(tmp_path):
    write(tmp_path, description="pelvis")
    write(
        tmp_path,
        stored=STORED[:3],
        description="scout",
        ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"],
    )
    image, (warning,) = read(tmp_path, "CT")
    assert image.GetSize() == (7, 6, 5) and "scout" in warning


def test_a_folder_whose_name_holds_the_sign_is_taken_as_it_is(tmp_path):
    assert read(write(tmp_path / "scan#2"), "CT")[0].GetSize() == (7, 6, 5)
