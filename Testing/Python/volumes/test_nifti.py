"""NIfTI: NaN, damage, sheared axes and two places are found, which ITK does not tell."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import NotedProgress, Progress
from SyntheticCTLib.volumes.nifti import read_nifti_header
from SyntheticCTLib.volumes.reading import read_mask, read_volume
from SyntheticCTLib.volumes.segmentation import read_segmentation

VALUES = np.random.default_rng(0).integers(-900, 900, (12, 14, 15)).astype(np.int16)
EVERY = [".nii", ".nii.gz", ".hdr", ".nrrd", ".mha"]


def image_of(values: np.ndarray, direction=(1, 0, 0, 0, 1, 0, 0, 0, 1)) -> sitk.Image:
    image = sitk.GetImageFromArray(values)
    image.SetSpacing((4, 5, 6))
    image.SetOrigin((-30, 20, 100))
    image.SetDirection(direction)
    return image


def written(path: Path, change: Callable[[bytearray], None] = lambda content: None) -> Path:
    sitk.WriteImage(image_of(VALUES), str(path))
    content = bytearray(path.read_bytes())
    change(content)
    path.write_bytes(content)
    return path


def with_sform(change: Callable[[np.ndarray], None], qform: int, sform: int):
    """A change of a header: the matrix (3, 4; mm, RAS), and which of the two is valid."""

    def edit(content: bytearray) -> None:
        matrix = np.array(struct.unpack_from("<12f", content, 280)).reshape(3, 4)
        change(matrix)
        struct.pack_into("<12f", content, 280, *matrix.ravel())
        struct.pack_into("<hh", content, 252, qform, sform)

    return edit


def moved(mm: float):
    return lambda matrix: matrix.__setitem__((0, 3), matrix[0, 3] + mm)


def replaced_by(new: np.ndarray):
    return lambda matrix: matrix.__setitem__(..., new)


def sheared(mm: float):
    return lambda matrix: matrix.__setitem__((1, 2), matrix[1, 2] + mm)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("suffix", EVERY)
def test_nan_and_infinite_voxels_are_refused_with_their_number(tmp_path, suffix, dtype):
    values = VALUES.astype(dtype)
    values[2, 3, 4:8], values[5, 6, 7] = np.nan, -np.inf
    path = tmp_path / f"holes{suffix}"
    sitk.WriteImage(image_of(values), str(path), useCompression=True)
    for read in (read_volume, read_mask):
        with pytest.raises(SyntheticCTError, match=rf"holes{suffix} holds 5 NaN or infinite"):
            read(path, "candidate")
    with pytest.raises(SyntheticCTError):
        read_segmentation(path)


def test_nan_is_found_whatever_the_order_of_bytes(tmp_path):
    path = written(tmp_path / "a.nii")
    content = bytearray(path.read_bytes())[:352]
    for kind, offsets in {"i": (0,), "h": (40, 42, 44, 46, 48, 50, 52, 54, 252, 254)}.items():
        for at in offsets:
            struct.pack_into(f">{kind}", content, at, *struct.unpack_from(f"<{kind}", content, at))
    for at in (*range(76, 108, 4), 108, *range(256, 328, 4)):
        struct.pack_into(">f", content, at, *struct.unpack_from("<f", content, at))
    struct.pack_into(">hh", content, 70, 16, 32)
    struct.pack_into(">ff", content, 112, 1, 0)
    values = VALUES.astype(">f4")
    path.write_bytes(content + values.tobytes())
    np.testing.assert_array_equal(sitk.GetArrayFromImage(read_volume(path)), VALUES)
    values[0, 0, 0] = np.nan
    path.write_bytes(content + values.tobytes())
    with pytest.raises(SyntheticCTError, match="holds 1 NaN"):
        read_volume(path)


@pytest.mark.parametrize(("qform", "sform"), [(1, 1), (1, 2), (2, 1), (4, 1)])
def test_two_places_are_refused(tmp_path, qform, sform):
    path = written(tmp_path / "twice.nii", with_sform(moved(20), qform, sform))
    with pytest.raises(SyntheticCTError, match=r"twice\.nii names two places .* 20\.0 mm apart"):
        read_volume(path, "candidate")


@pytest.mark.parametrize(("qform", "sform", "expected"), [(0, 1, -50), (1, 0, -30)])
def test_the_one_valid_place_is_taken(tmp_path, qform, sform, expected):
    path = written(tmp_path / "a.nii", with_sform(moved(20), qform, sform))
    assert read_volume(path).GetOrigin()[0] == pytest.approx(expected)


def test_places_that_differ_by_rounding_are_one(tmp_path):
    read_volume(written(tmp_path / "a.nii", with_sform(moved(0.01), 1, 1)))


def test_a_file_without_a_place_is_told(tmp_path):
    progress = NotedProgress(Progress())
    read_volume(written(tmp_path / "a.nii", with_sform(moved(0), 0, 0)), "image", progress)
    assert any("does not say where it lies" in warning for warning in progress.warnings)


@pytest.mark.parametrize("qform", [0, 1])
def test_sheared_axes_are_refused_for_that(tmp_path, qform):
    path = written(tmp_path / "tilted.nii", with_sform(sheared(1.2), qform, 1))
    with pytest.raises(SyntheticCTError, match=r"tilted\.nii has sheared axes \(two of them at 10"):
        read_volume(path, "candidate")


def test_sheared_axes_of_other_formats_are_refused(tmp_path):
    path = tmp_path / "a.nrrd"
    sitk.WriteImage(image_of(VALUES), str(path))
    path.write_bytes(path.read_bytes().replace(b"(0,0,6)", b"(0,1,6)"))
    with pytest.raises(SyntheticCTError, match=r"a\.nrrd has sheared axes"):
        read_volume(path)


def test_axes_at_right_angles_but_for_rounding_come_where_the_matrix_says(tmp_path):
    """ITK refuses them, and where it does not, it turns them anywhere."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        turn = sitk.Euler3DTransform()
        turn.SetRotation(*rng.uniform(-3, 3, 3))
        axes = np.round(np.reshape(turn.GetMatrix(), (3, 3)) * (4, 5, 6), 4)
        matrix = np.column_stack([axes, rng.uniform(-500, 500, 3)])
        path = written(tmp_path / "a.nii", with_sform(replaced_by(matrix), 0, 1))
        image = read_volume(path)
        for corner in ((0, 0, 0), (14, 13, 11)):
            ras = matrix[:, :3] @ corner + matrix[:, 3]
            found = image.TransformIndexToPhysicalPoint(corner)
            np.testing.assert_allclose(found, ras * (-1, -1, 1), atol=0.02)


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        (
            with_sform(lambda m: m.__setitem__(np.s_[:, :3], m[:, :3] * 2), 0, 1),
            "voxel sizes .* that contradict its matrix",
        ),
        (with_sform(lambda m: m.__setitem__(np.s_[:, 1], m[:, 0]), 0, 1), "two axes are the same"),
        (with_sform(lambda m: m.__setitem__((0, 0), np.nan), 0, 1), r"matrix .* with NaN"),
        (lambda c: struct.pack_into("<3f", c, 80, 0, 0, 0), "contradict"),
        (lambda c: struct.pack_into("<2f", c, 112, 1, np.inf), "intercept .* no number"),
        (lambda c: struct.pack_into("<2f", c, 112, 0, -1024), "-1024.* without a slope"),
        (lambda c: struct.pack_into("<2f", c, 112, np.nan, -1024), "-1024.* without a slope"),
        (lambda c: c.__setitem__(slice(344, 348), b"\0\0\0\0"), "format Analyze"),
        (lambda c: struct.pack_into("<i", c, 0, 540), "NIfTI-2: convert"),
        (lambda c: c.__setitem__(123, 1), r"voxels of 4e\+03 x 5e\+03 x 6e\+03 mm"),
    ],
)
def test_headers_that_cannot_be_are_refused(tmp_path, edit, sentence):
    path = written(tmp_path / "a.nii", edit)
    with pytest.raises(SyntheticCTError, match=rf"a\.nii .*{sentence}|a\.nii is {sentence}"):
        read_volume(path)


def test_matrices_of_a_header_are_those_that_itk_reads(tmp_path):
    rng = np.random.default_rng(1)
    for flip in (1, -1):
        turn = sitk.Euler3DTransform()
        turn.SetRotation(*rng.uniform(-3, 3, 3))
        direction = np.reshape(turn.GetMatrix(), (3, 3)) @ np.diag([1, 1, flip])
        sitk.WriteImage(image_of(VALUES, direction.ravel()), str(tmp_path / "a.nii"))
        header = read_nifti_header(tmp_path / "a.nii")
        for matrix in (header.qform, header.sform):
            np.testing.assert_allclose(matrix[:, :3], direction * (4, 5, 6), atol=1e-5)
            np.testing.assert_allclose(matrix[:, 3], (-30, 20, 100), atol=1e-4)
        assert header.size == (15, 14, 12)


DAMAGE = {
    "a byte": lambda c: c.__setitem__(len(c) * 3 // 4, c[len(c) * 3 // 4] ^ 255),
    "the check sum": lambda c: c.__setitem__(-6, c[-6] ^ 255),
    "the length": lambda c: c.__setitem__(-2, c[-2] ^ 255),
    "the end": lambda c: c.__delitem__(slice(-1, None)),
    "a third": lambda c: c.__delitem__(slice(len(c) * 2 // 3, None)),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
@pytest.mark.parametrize("suffix", [".nrrd", ".mha", ".mhd", ".nii.gz", ".seg.nrrd"])
def test_compressed_volumes_that_are_damaged_are_refused_by_name(tmp_path, suffix, damage):
    path = tmp_path / f"arrived{suffix}"
    sitk.WriteImage(image_of(VALUES), str(path), useCompression=True)
    held = path.with_suffix(".zraw") if suffix == ".mhd" else path
    content = bytearray(held.read_bytes())
    damage(content)
    held.write_bytes(content)
    reads = (
        (read_segmentation,) if suffix == ".seg.nrrd" else (read_volume, lambda p: read_mask(p, ""))
    )
    for read in reads:
        with pytest.raises(
            SyntheticCTError, match=rf"arrived{suffix} cannot be read as an image: it is trunc"
        ):
            read(path)


@pytest.mark.parametrize("suffix", [".nrrd", ".nhdr", ".mha", ".mhd", ".nii.gz", ".hdr"])
def test_whole_volumes_are_read(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    sitk.WriteImage(image_of(VALUES), str(path), useCompression=True)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(read_volume(path)), VALUES)


@pytest.mark.parametrize("suffix", [".nrrd", ".mha", ".nii"])
def test_an_empty_file_is_named_so(tmp_path, suffix):
    (tmp_path / f"a{suffix}").write_bytes(b"")
    with pytest.raises(SyntheticCTError, match=rf"a{suffix} is an empty file"):
        read_volume(tmp_path / f"a{suffix}")
