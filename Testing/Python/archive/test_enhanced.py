"""Enhanced files: what their frames say decides on parts and roles."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from archives import BULK
from dicom_files import dataset, save_dicom
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import EnhancedMRImageStorage, generate_uid
from SyntheticCTLib.archive.rows import Row
from SyntheticCTLib.archive.sorting import sort_folder
from SyntheticCTLib.volumes.reading import read_volume


def inside(**elements: object) -> Sequence:
    item = Dataset()
    for name, value in elements.items():
        setattr(item, name, value)
    return Sequence([item])


def write(path: Path, kinds: list[str], stored: np.ndarray, echo: float, slope: float = 1) -> Path:
    """Write an enhanced MR of five slices for each kind of frame."""
    ds = dataset(path, EnhancedMRImageStorage, "MR")
    ds.SeriesInstanceUID, ds.SeriesDescription = generate_uid(), "enhanced"
    ds.NumberOfFrames, (ds.Rows, ds.Columns) = len(kinds) * 5, stored.shape[1:]
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 1
    ds.SharedFunctionalGroupsSequence = inside(
        PlaneOrientationSequence=inside(ImageOrientationPatient=[1, 0, 0, 0, 1, 0]),
        PixelMeasuresSequence=inside(PixelSpacing=[1.2, 0.8], SliceThickness=3),
        MREchoSequence=inside(EffectiveEchoTime=echo),
        MRTimingAndRelatedParametersSequence=inside(RepetitionTime=5000.0),
        PixelValueTransformationSequence=inside(
            RescaleSlope=slope, RescaleIntercept=0, RescaleType="US"
        ),
    )
    ds.PerFrameFunctionalGroupsSequence = Sequence()
    for kind in kinds:
        for k in range(5):
            ds.PerFrameFunctionalGroupsSequence += inside(
                PlanePositionSequence=inside(ImagePositionPatient=[-10, 20, 3 * k]),
                MRImageFrameTypeSequence=inside(FrameType=["ORIGINAL", "PRIMARY", kind, "NONE"]),
            )
    ds.PixelData = np.concatenate([stored] * len(kinds)).astype("<i2").tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    save_dicom(ds, path)
    return path


def rows(folder: Path) -> list[Row]:
    return sort_folder(folder).rows


NOISE = np.random.default_rng(0).integers(0, 900, (5, 6, 7))


def test_echo_time_and_geometry_of_frames(tmp_path):
    path = write(tmp_path / "e.dcm", ["T2"], NOISE, 100.0)
    (row,) = rows(tmp_path)
    assert (row.slices, row.size, row.cell) == (5, (7, 6, 5), ("e.dcm", ""))
    assert row.spacing == (0.8, 1.2, 3.0)
    assert "TE 100 ms" in row.ambiguous  # neither its name nor its sequence says T2
    assert read_volume(path, "MR").GetSize() == (7, 6, 5)


def test_contrasts_of_one_file_are_parts_that_a_manifest_names(tmp_path):
    write(tmp_path / "e.dcm", ["WATER", "FAT", "IN_PHASE", "OUT_OF_PHASE"], NOISE, 3.0)
    found = {row.part: row for row in rows(tmp_path)}
    assert {part: row.role for part, row in found.items()} == {
        "WATER": "mDixon water",
        "FAT": "mDixon fat",
        "IN_PHASE": "mDixon in-phase",
        "OUT_OF_PHASE": "mDixon opposed",
    }
    for row in found.values():
        assert row.slices == 5 and row.cell == ("e.dcm", row.part)


def test_an_enhanced_mrcat_is_known_by_rescaled_values(tmp_path):
    stored = np.random.default_rng(0).choice(BULK, (5, 6, 7)) * 2
    write(tmp_path / "e.dcm", ["NONE"], stored, 3.0, slope=0.5)
    (row,) = rows(tmp_path)
    assert row.role == "MRCAT"
