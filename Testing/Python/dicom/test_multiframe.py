"""Multi-frame DICOM files: frames lie where their positions say, or the file is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from dicom_files import edit, save_dicom
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import EnhancedMRImageStorage, ExplicitVRLittleEndian, generate_uid
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.volumes.reading import read_volume

STORED = np.random.default_rng(0).integers(0, 900, (5, 6, 7)).astype(np.uint16)
HEIGHTS = [0.0, 3.0, 6.0, 9.0, 12.0]


def inside(**elements) -> Sequence:
    item = Dataset()
    for name, value in elements.items():
        setattr(item, name, value)
    return Sequence([item])


def write_enhanced(
    path: Path, heights: list[float], placed: bool = True, rescale: list | None = None
) -> Path:
    """Write the frames of ``STORED`` in the order of ``heights`` (mm, of the frame in the file).

    ``rescale``: slope and intercept of every frame.
    """
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = EnhancedMRImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file = FileDataset(str(path), {}, file_meta=meta, preamble=bytes(128))
    file.SOPClassUID, file.SOPInstanceUID = EnhancedMRImageStorage, generate_uid()
    file.Modality, file.NumberOfFrames = "MR", len(heights)
    file.Rows, file.Columns = STORED.shape[1:]
    file.SamplesPerPixel, file.PhotometricInterpretation = 1, "MONOCHROME2"
    file.BitsAllocated, file.BitsStored, file.HighBit, file.PixelRepresentation = 16, 16, 15, 0
    file.SharedFunctionalGroupsSequence = inside(
        PlaneOrientationSequence=inside(ImageOrientationPatient=[1, 0, 0, 0, 1, 0]),
        PixelMeasuresSequence=inside(PixelSpacing=[1.2, 0.8], SliceThickness=5),
    )
    frames = []
    for k, height in enumerate(heights):
        position = {"ImagePositionPatient": [-10, 20, 30 + height]} if placed else {}
        frames += inside(PlanePositionSequence=inside(**position))
        if rescale:
            slope, intercept = rescale[k]
            frames[-1].PixelValueTransformationSequence = inside(
                RescaleSlope=slope, RescaleIntercept=intercept, RescaleType="US"
            )
    file.PerFrameFunctionalGroupsSequence = Sequence(frames)
    order = [HEIGHTS.index(height) if height in HEIGHTS else 0 for height in heights]
    file.PixelData = STORED[order].tobytes()
    save_dicom(file, path)
    return path


@pytest.mark.parametrize("order", [[0, 1, 2, 3, 4], [4, 3, 2, 1, 0], [2, 0, 4, 1, 3]])
def test_frames_come_in_order_of_position_with_their_geometry(tmp_path, order):
    image = read_volume(write_enhanced(tmp_path / "e.dcm", [HEIGHTS[n] for n in order]), "MR")
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), STORED)
    np.testing.assert_allclose(image.GetSpacing(), (0.8, 1.2, 3.0), atol=1e-9)
    np.testing.assert_allclose(image.GetOrigin(), (-10, 20, 30), atol=1e-9)


@pytest.mark.parametrize(
    ("heights", "sentence"),
    [
        ([0.0, 3.0, 9.0, 12.0], "1 slice is missing"),
        ([0.0, 3.0, 6.0, 7.7, 12.0], "not uniform"),
        ([0.0, 0.0, 3.0, 3.0], "on one another"),
    ],
)
def test_frames_that_make_no_volume_are_refused(tmp_path, heights, sentence):
    with pytest.raises(SyntheticCTError, match=sentence):
        read_volume(write_enhanced(tmp_path / "e.dcm", heights), "MR")


def test_frames_without_a_place_are_refused(tmp_path):
    path = write_enhanced(tmp_path / "e.dcm", HEIGHTS, placed=False)
    with pytest.raises(SyntheticCTError, match="does not say where frame 1 lies"):
        read_volume(path, "MR")


@pytest.mark.parametrize("shown", ["MONOCHROME1", "MONOCHROME2"])
def test_every_frame_is_rescaled_by_its_own_values(tmp_path, shown):
    order, rescale = [2, 0, 4, 1, 3], [(1, 0), (2, 5), (0.5, -1), (1.5, 0), (1, -100)]
    path = write_enhanced(tmp_path / "e.dcm", [HEIGHTS[n] for n in order], rescale=rescale)
    edit(path, PhotometricInterpretation=shown)
    found = sitk.GetArrayFromImage(read_volume(path, "MR"))
    for n, (slope, intercept) in zip(order, rescale, strict=True):
        np.testing.assert_allclose(found[n], slope * STORED[n].astype(float) + intercept)


def test_frames_without_preamble_and_alone_in_a_folder_are_read(tmp_path):
    path = write_enhanced(tmp_path / "e.dcm", HEIGHTS)
    path.write_bytes(path.read_bytes()[132:])
    for given in (path, tmp_path):
        np.testing.assert_array_equal(sitk.GetArrayFromImage(read_volume(given, "MR")), STORED)


@pytest.mark.parametrize("length", [500, -100])
def test_truncated_frames_are_refused_by_the_files_name(tmp_path, length):
    path = write_enhanced(tmp_path / "e.dcm", HEIGHTS)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(SyntheticCTError, match=r"e\.dcm"):
        read_volume(path, "MR")


def test_frames_of_another_modality_are_refused(tmp_path):
    with pytest.raises(SyntheticCTError, match=r"e\.dcm is of modality MR, not CT"):
        read_volume(write_enhanced(tmp_path / "e.dcm", HEIGHTS), "CT")
