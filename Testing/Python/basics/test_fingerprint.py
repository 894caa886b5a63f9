"""Hashes of inputs: whatever holds the voxels counts, and names where they mean something."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.fingerprint import content_hash
from SyntheticCTLib.basics.inputs import voxel_files
from SyntheticCTLib.volumes.mask_folder import write_masks

NOTHING = hashlib.sha256(b"").hexdigest()


def volume(shift: int = 0) -> sitk.Image:
    return sitk.GetImageFromArray(np.arange(60, dtype=np.int16).reshape(3, 4, 5) + shift)


def values(path: Path) -> list[int]:
    return sitk.GetArrayFromImage(sitk.ReadImage(path)).ravel().tolist()


def change(path: Path) -> None:
    """Change the last byte of a file."""
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def pointed_elsewhere(header: Path, voxels: str, names: list[str]) -> None:
    """Let a header name other files for its voxels, which are cut into as many parts."""
    field = {".mhd": "ElementDataFile = ", ".nhdr": "data file: "}[header.suffix]
    lines = header.read_text().splitlines()
    old = next(line for line in lines if line.startswith(field)).removeprefix(field)
    content = (header.parent / old).read_bytes()
    (header.parent / old).unlink()
    size = len(content) // len(names)
    for number, name in enumerate(names):
        (header.parent / name).parent.mkdir(exist_ok=True)
        (header.parent / name).write_bytes(content[number * size : (number + 1) * size])
    lines = [f"{field}{voxels}" if line.startswith(field) else line for line in lines]
    header.write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("name", ["p1.mrcat.mhd", "p1.mrcat.nhdr", "p1.mrcat.hdr", "p1.mrcat.img"])
def test_voxels_beside_a_header_with_a_dot_in_its_name_count(tmp_path, name):
    sitk.WriteImage(volume(), tmp_path / name)
    before = content_hash(tmp_path / name)
    assert before != NOTHING and len(list(tmp_path.iterdir())) == 2
    for path in tmp_path.iterdir():
        old = path.read_bytes()
        change(path)
        assert content_hash(tmp_path / name) != before, path.name
        path.write_bytes(old)
    (tmp_path / "p1.other.raw").write_text("other")
    assert content_hash(tmp_path / name) == before


SLICES = [f"slice{number:03d}.raw" for number in (9, 10, 11)]


@pytest.mark.parametrize(
    ("header", "voxels", "names"),
    [
        ("a.mhd", "voxels.raw", ["voxels.raw"]),
        ("a.mhd", "of p1/the voxels.raw", ["of p1/the voxels.raw"]),
        ("a.mhd", "LIST\n" + "\n".join(SLICES), SLICES),
        ("a.mhd", "slice%03d.raw 9 11 1", SLICES),
        ("a.nhdr", "voxels.raw", ["voxels.raw"]),
        ("a.nhdr", "LIST\n" + "\n".join(SLICES), SLICES),
        ("a.nhdr", "slice%03d.raw 9 11 1", SLICES),
    ],
)
def test_every_file_that_a_header_names_counts_in_its_place(tmp_path, header, voxels, names):
    path = tmp_path / header
    sitk.WriteImage(volume(), path)
    if path.suffix == ".nhdr":  # written packed, which cannot be cut
        path.write_text(path.read_text().replace("encoding: gzip", "encoding: raw"))
        (tmp_path / "a.raw.gz").write_bytes(sitk.GetArrayFromImage(volume()).tobytes())
    pointed_elsewhere(path, voxels, names)
    assert values(path) == list(range(60))  # ITK reads the same files
    files = [tmp_path / name for name in names]
    assert voxel_files(path) == files
    before = content_hash(path)
    for file in files:
        old = file.read_bytes()
        change(file)
        assert content_hash(path) != before, file.name
        file.write_bytes(old)
    assert content_hash(path) == before
    if len(files) > 1:
        first, second = (file.read_bytes() for file in files[:2])
        files[0].write_bytes(second)
        files[1].write_bytes(first)
        assert content_hash(path) != before
    files[0].unlink()
    if "%" not in voxels:
        with pytest.raises(SyntheticCTError, match=r"The CT .*a\..* has its voxels in .*raw"):
            content_hash(path, "CT")


@pytest.mark.parametrize("name", ["a.mha", "a.nrrd", "a.nii", "a.nii.gz"])
def test_a_file_that_holds_its_voxels_has_the_hash_that_others_tell(tmp_path, name):
    sitk.WriteImage(volume(), tmp_path / name)
    expected = hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
    assert content_hash(tmp_path / name) == expected


def test_masks_that_are_exchanged_in_their_folder_are_another_input(tmp_path):
    mask = volume() > 30
    write_masks({"Bladder": mask, "Rectum": mask == 0}, tmp_path / "masks")
    before = content_hash(tmp_path / "masks")
    first, second = (tmp_path / "masks" / name for name in ("0.nrrd", "1.nrrd"))
    one, other = first.read_bytes(), second.read_bytes()
    first.write_bytes(other)
    second.write_bytes(one)
    assert content_hash(tmp_path / "masks") != before
    first.write_bytes(one)
    second.write_bytes(other)
    assert content_hash(tmp_path / "masks") == before
    (tmp_path / "masks").rename(tmp_path / "moved")
    assert content_hash(tmp_path / "moved") == before


@pytest.mark.parametrize("preamble", [bytes(128) + b"DICM", b"\x08\x00\x05\x00"])
def test_dicom_files_may_be_called_anything(tmp_path, preamble):
    for number in range(2):
        (tmp_path / f"{number}.dcm").write_bytes(preamble + b"%d" % number)
    before = content_hash(tmp_path)
    (tmp_path / "0.dcm").rename(tmp_path / "IM9")
    (tmp_path / "1.dcm").rename(tmp_path / "0.dcm")
    assert content_hash(tmp_path) == before
    change(tmp_path / "IM9")
    assert content_hash(tmp_path) != before


def test_no_hash_is_of_nothing(tmp_path):
    with pytest.raises(SyntheticCTError, match=r"The MR .* is an empty folder"):
        content_hash(tmp_path, "MR")
