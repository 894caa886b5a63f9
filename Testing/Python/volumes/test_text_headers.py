"""NRRD and MetaImage: what ITK passes over in their headers, or makes up, is refused or told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import NotedProgress, Progress
from SyntheticCTLib.volumes.reading import read_volume
from SyntheticCTLib.volumes.segmentation import read_segmentation

K, J, I = np.indices((12, 14, 15))  # noqa: E741
VALUES = (40 * K - 30 * J + 20 * I).astype(np.int16)


def meta_image(folder: Path, *lines: str, without: str = "nothing", values=VALUES) -> Path:
    """Write a MetaImage of two files, with more lines or without one of the usual."""
    usual = [
        "ObjectType = Image",
        "NDims = 3",
        "BinaryData = True",
        "BinaryDataByteOrderMSB = False",
        "Offset = -30 20 100",
        "ElementSpacing = 4 5 6",
        "DimSize = 15 14 12",
        "ElementType = MET_SHORT",
    ]
    kept = [line for line in usual if not line.startswith(without)]
    path = folder / "a.mhd"
    path.write_text("\n".join([*kept, *lines, "ElementDataFile = a.raw"]) + "\n")
    (folder / "a.raw").write_bytes(values.tobytes())
    return path


def nrrd(folder: Path, *lines: str, without: tuple[str, ...] = (), values=VALUES) -> Path:
    usual = [
        "NRRD0004",
        "type: short",
        "dimension: 3",
        "space: left-posterior-superior",
        "sizes: 15 14 12",
        "space directions: (4,0,0) (0,5,0) (0,0,6)",
        "space origin: (-30,20,100)",
        "endian: little",
        "encoding: raw",
    ]
    kept = [line for line in usual if not line.startswith(without or "nothing")]
    path = folder / "a.nrrd"
    path.write_bytes("\n".join([*kept, *lines, "", ""]).encode() + values.tobytes())
    return path


def told(path: Path) -> list[str]:
    progress = NotedProgress(Progress())
    image = read_volume(path, "dose", progress)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), VALUES)
    return progress.warnings


def test_usual_headers_are_taken_without_a_word(tmp_path):
    identity = "TransformMatrix = 1 0 0 0 1 0 0 0 1"
    for lines in (
        [],
        ["AnatomicalOrientation = RAI", "ElementToIntensityFunctionSlope = 1"],
        [identity, "AnatomicalOrientation = ???", "CompressedData = False"],
    ):
        assert told(meta_image(tmp_path, *lines)) == []
    assert told(nrrd(tmp_path, 'space units: "mm" "mm" "mm"', "DoseUnits:=GY")) == []


@pytest.mark.parametrize(
    ("space", "signs"),
    [("right-anterior-superior", (-1, -1)), ("RAS", (-1, -1)), ("left-anterior-superior", (1, -1))],
)
def test_every_anatomical_space_comes_out_in_one(tmp_path, space, signs):
    x, y = signs
    path = nrrd(
        tmp_path,
        f"space: {space}",
        f"space directions: ({4 * x},0,0) (0,{5 * y},0) (0,0,6)",
        f"space origin: ({-30 * x},{20 * y},100)",
        without=("space",),
    )
    assert told(path) == []
    image = read_volume(path)
    assert image.GetOrigin() == (-30, 20, 100)
    assert image.TransformIndexToPhysicalPoint((14, 13, 11)) == pytest.approx((26, 85, 166))


def test_a_file_that_does_not_say_where_it_lies_is_told(tmp_path):
    for path in (
        meta_image(tmp_path, without="Offset"),
        nrrd(tmp_path, without=("space origin",)),
        nrrd(tmp_path, "space: 3D-right-handed", without=("space: ",)),
        nrrd(tmp_path, "spacings: 4 5 6", without=("space",)),
    ):
        (warning,) = told(path)
        assert "does not say where it lies" in warning and path.name in warning
    (warning,) = told(meta_image(tmp_path, "AnatomicalOrientation = LPI"))
    assert "its axes are LPI" in warning and "its matrix says RAI" in warning


@pytest.mark.parametrize(
    ("write", "sentence"),
    [
        (lambda f: meta_image(f, without="ElementSpacing"), "how large its voxels are"),
        (lambda f: nrrd(f, without=("space",)), "how large its voxels are"),
        (lambda f: nrrd(f, 'space units: "cm" "cm" "cm"'), "voxel sizes in 'cm'"),
        (lambda f: meta_image(f, "ElementToIntensityFunctionSlope = 2"), "rescaled .*Slope 2"),
        (lambda f: meta_image(f, "ElementToIntensityFunctionOffset = -1024"), "rescaled .*Offset"),
        (lambda f: meta_image(f, values=VALUES.astype(np.int32)), r"a\.raw holds 10080 bytes"),
        (lambda f: nrrd(f, values=VALUES.astype(np.float32)), "holds 10080 .* describes 5040"),
    ],
)
def test_what_programs_take_in_different_ways_is_refused(tmp_path, write, sentence):
    path = write(tmp_path)
    with pytest.raises(SyntheticCTError, match=sentence):
        read_volume(path, "dose")


def test_complex_numbers_are_no_volume(tmp_path):
    path = tmp_path / "a.nii"
    image = sitk.GetImageFromArray(VALUES.astype(np.complex64))
    sitk.WriteImage(image, str(path))
    for what in ("MR", "CT", "dose"):
        with pytest.raises(SyntheticCTError, match="holds complex numbers"):
            read_volume(path, what)


def test_an_image_is_no_segmentation(tmp_path):
    with pytest.raises(SyntheticCTError, match=r"holds negative values .* not a label map"):
        read_segmentation(nrrd(tmp_path))
