"""A patient who lies in any of the eight positions is where the headers say, and not mirrored."""

from __future__ import annotations

from hashlib import sha256

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from dicom_files import edit, write_series
from SyntheticCTLib.volumes.reading import read_volume
from SyntheticCTLib.volumes.writing import write_volume

# Directions of rows, columns and table (into the scanner) in the patient (LPS), of an axial slice
# that is shown as the scanner lies: PS3.3 C.7.3.1.1.2.
POSITIONS = {
    "HFS": ([1, 0, 0], [0, 1, 0]),
    "HFP": ([-1, 0, 0], [0, -1, 0]),
    "FFS": ([-1, 0, 0], [0, 1, 0]),
    "FFP": ([1, 0, 0], [0, -1, 0]),
    "HFDR": ([0, -1, 0], [1, 0, 0]),
    "HFDL": ([0, 1, 0], [-1, 0, 0]),
    "FFDR": ([0, -1, 0], [-1, 0, 0]),
    "FFDL": ([0, 1, 0], [1, 0, 0]),
}
OPTIONAL = (
    *("SpacingBetweenSlices", "SliceLocation", "InstanceNumber", "RescaleType", "PatientPosition"),
    *("SeriesNumber", "SliceThickness", "SeriesDescription", "FrameOfReferenceUID"),
)
_RNG = np.random.default_rng(4)


def patient(points: np.ndarray) -> np.ndarray:
    """A value for each place in the patient (LPS, mm) that no mirroring keeps."""
    return np.round(500 + points @ [3.0, 7.0, 11.0]).astype(np.uint16)


@pytest.mark.parametrize("bare", [False, True])
@pytest.mark.parametrize("position", POSITIONS)
def test_every_voxel_lies_where_it_was_in_the_patient(tmp_path, position, bare):
    across, down = (np.array(v, float) for v in POSITIONS[position])
    axes = np.stack([across, down, np.cross(across, down)], axis=1)
    spacing, origin = np.array([0.8, 1.2, 3.0]), np.array([4.0, -6.0, 8.0])
    index = np.stack(np.meshgrid(range(5), range(7), range(6), indexing="ij"), -1)[..., ::-1]
    stored = patient(origin + (index * spacing) @ axes.T)
    paths = write_series(
        tmp_path, stored, axes=axes, origin=tuple(origin), spacing=tuple(spacing), rescale=(1, 0)
    )
    for path, number in zip(paths, _RNG.permutation(len(paths)), strict=True):
        edit(path, PatientPosition=position, InstanceNumber=int(number))
        ds = pydicom.dcmread(path)
        for name in OPTIONAL if bare else ():
            if name in ds:
                delattr(ds, name)
        ds.save_as(path)
    image = read_volume(tmp_path, "CT")
    assert np.linalg.det(np.reshape(image.GetDirection(), (3, 3))) == pytest.approx(1)
    values = sitk.GetArrayFromImage(image)
    for k, j, i in np.ndindex(values.shape):
        where = np.array(image.TransformIndexToPhysicalPoint((i, j, k)))
        assert values[k, j, i] == patient(where)


def test_a_volume_keeps_study_and_series_of_its_source_and_its_file_their_hashes(tmp_path):
    stored = patient(np.zeros((5, 6, 7, 3)) + np.arange(7)[:, None])
    paths = write_series(tmp_path / "ct", stored)
    series = str(pydicom.dcmread(paths[0]).SeriesInstanceUID)
    image = read_volume(tmp_path / "ct", "CT")
    assert image.GetMetaData("SeriesInstanceUID") == series
    assert image.GetMetaData("StudyInstanceUID") == "1.2.3.5"
    path = write_volume(image, tmp_path / "a.nrrd", compress=False)
    assert series.encode() not in path.read_bytes()
    back = read_volume(path)
    write_volume(back, path)
    for again in (back, read_volume(path)):
        assert again.GetMetaData("SyntheticCTSeries") == sha256(series.encode()).hexdigest()
        assert again.GetMetaData("SyntheticCTStudy") == sha256(b"1.2.3.5").hexdigest()
