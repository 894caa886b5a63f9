"""Series that hold several contrasts, echoes, b-values, moments or a localizer: parts by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from dicom_files import edit, write_series
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import NotedProgress, Progress
from SyntheticCTLib.volumes.reading import read_volume

STORED = np.random.default_rng(3).integers(0, 900, (4, 5, 6)).astype(np.uint16)


def write(folder: Path, *said: dict, modality: str = "MR") -> Path:
    """One series that holds as many images as headers are said; values tell them apart."""
    for number, header in enumerate(said):
        names = [f"{number}_{k}.dcm" for k in range(len(STORED))]
        stored = STORED + 1000 * number
        for path in write_series(folder, stored, rescale=(1.0, 0.0), names=names):
            edit(path, Modality=modality, SeriesInstanceUID="1.2.9", SeriesNumber=7, **header)
    return folder


def values(path: str | Path) -> np.ndarray:
    return sitk.GetArrayFromImage(read_volume(path, "image"))


MDIXON = [
    {"ImageType": ["DERIVED", "PRIMARY", "W", "W", "DERIVED"], "EchoTime": "0"},
    {"ImageType": ["DERIVED", "PRIMARY", "F", "F", "DERIVED"], "EchoTime": "0"},
    {"ImageType": ["ORIGINAL", "PRIMARY", "IP", "IP"], "EchoTime": "4.6"},
]
SPLIT = {
    "mDixon": (MDIXON, ["W", "F", "IP"]),
    "echoes": (
        [{"EchoNumbers": 1, "EchoTime": "20"}, {"EchoNumbers": 2, "EchoTime": "80"}],
        ["echo 1", "echo 2"],
    ),
    "echo times": ([{"EchoTime": "20.0"}, {"EchoTime": "80"}], ["TE 20", "TE 80"]),
    "b-values": ([{"DiffusionBValue": 0.0}, {"DiffusionBValue": 800.0}], ["b 0", "b 800"]),
    "moments": (
        [{"TemporalPositionIdentifier": n} for n in (1, 2, 3)],
        ["time 1", "time 2", "time 3"],
    ),
    "both": (
        [
            {"DiffusionBValue": b, "TemporalPositionIdentifier": t}
            for b in (0.0, 500.0)
            for t in (1, 2)
        ],
        ["b 0 time 1", "b 0 time 2", "b 500 time 1", "b 500 time 2"],
    ),
}


@pytest.mark.parametrize("kind", SPLIT)
def test_a_reader_names_the_part_that_it_wants(tmp_path, kind):
    said, names = SPLIT[kind]
    folder = write(tmp_path / "mr", *said)
    for number, name in enumerate(names):
        for series in ("7", "1.2.9", "PELVIS"):
            np.testing.assert_array_equal(
                values(f"{folder}#{series}#{name.lower()}"), STORED + 1000 * number
            )
    with pytest.raises(SyntheticCTError) as told:
        values(folder)
    assert all(f"'{name}' (4 slices)" in str(told.value) for name in names)
    assert f"'{folder}#7#{names[0]}'" in str(told.value)
    with pytest.raises(SyntheticCTError, match="has no part 'water' among"):
        values(f"{folder}#7#water")


def test_private_b_values_of_siemens_philips_and_ge(tmp_path):
    offset = ["1000000050\\8\\0\\0", "1000001000\\8\\0\\0"]  # of GE
    for tag, vr, kept in (
        (0x0019100C, "IS", ["50", "1000"]),
        (0x20011003, "FL", [50.0, 1000.0]),
        (0x00431039, "IS", offset),
        (0x00431039, "UN", [value.encode() + b" " for value in offset]),
    ):
        folder = write(tmp_path / f"{tag}{vr}", {"EchoTime": "70"}, {"EchoTime": "70"})
        for path in folder.iterdir():
            ds = pydicom.dcmread(path)
            ds.add_new(tag, vr, kept[int(path.name[0])])
            ds.save_as(path)
        np.testing.assert_array_equal(values(f"{folder}#7#b 1000"), STORED + 1000)


def test_what_differs_from_place_to_place_splits_nothing(tmp_path):
    folder = write(tmp_path / "mr", {})
    for number, path in enumerate(sorted(folder.iterdir())):
        edit(path, AcquisitionNumber=number % 2, EchoTime=f"{100 + number % 2}", TriggerTime=number)
    np.testing.assert_array_equal(values(folder), STORED)
    with pytest.raises(SyntheticCTError, match="has no part 'echo 1' and is not split"):
        values(f"{folder}#7#echo 1")


def test_slices_that_headers_do_not_tell_apart_stay_refused(tmp_path):
    with pytest.raises(SyntheticCTError, match="slices on one another"):
        values(write(tmp_path / "mr", {}, {}))


def test_a_localizer_in_the_series_is_left_out_and_told(tmp_path):
    folder = write(tmp_path / "mr", {"ImageType": ["ORIGINAL", "PRIMARY", "M"]})
    scout = write_series(tmp_path / "scout", STORED[:1], rescale=(1.0, 0.0))[0]
    edit(
        scout,
        Modality="MR",
        SeriesInstanceUID="1.2.9",
        SeriesNumber=7,
        ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"],
        ImageOrientationPatient=[1, 0, 0, 0, 0, -1],
    )
    scout.rename(folder / "scout.dcm")
    progress = NotedProgress(Progress())
    image = read_volume(folder, "image", progress)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), STORED)
    assert any("the only one that is no localizer" in w for w in progress.warnings)


def test_two_stacks_are_parts_by_their_planes(tmp_path):
    folder = write(tmp_path / "mr", {})
    turned = np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]]).T.astype(float)
    for path in write_series(tmp_path / "other", STORED + 50, axes=turned, rescale=(1.0, 0.0)):
        edit(path, Modality="MR", SeriesInstanceUID="1.2.9", SeriesNumber=7)
        path.rename(folder / f"turned_{path.name}")
    np.testing.assert_array_equal(values(f"{folder}#7#axial"), STORED)
    np.testing.assert_array_equal(values(f"{folder}#7#coronal"), STORED + 50)


def test_a_description_with_the_sign_is_still_a_name(tmp_path):
    folder = write(tmp_path / "mr", {"SeriesDescription": "T2 #1"})
    np.testing.assert_array_equal(values(f"{folder}#T2 #1"), STORED)
