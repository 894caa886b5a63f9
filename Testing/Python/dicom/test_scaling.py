"""Intensities of MR: Philips' scale slope, real world values, slices of different slopes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from dicom_files import save_dicom, write_series
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import NotedProgress, Progress
from SyntheticCTLib.volumes.reading import read_volume

MEASURED = np.random.default_rng(2).integers(1, 200, (5, 6, 7)).astype(float)
"""Intensities that every scaling below stands for."""
SCALE = [(0.5, 0.0), (2.0, 0.0), (4.0, 0.0), (1.0, 0.0), (2.5, 10.0)]
"""Philips' scale slope and intercept of each slice: stored = measured x slope + intercept."""
RESCALE = [(1.2, 0.0), (0.7, 0.0), (3.0, 0.0), (1.0, 0.0), (2.0, -20.0)]


def write(
    folder: Path,
    *,
    private: bool = True,
    creator: str = "Philips MR Imaging DD 001",
    syntax: str = ExplicitVRLittleEndian,
    without: tuple[int, ...] = (),
    rescale: list | None = RESCALE,
) -> Path:
    stored = np.stack([v * s + i for v, (s, i) in zip(MEASURED, SCALE, strict=True)])
    paths = write_series(folder, np.round(2 * stored).astype(np.uint16), rescale=RESCALE)
    for number, path in enumerate(paths):
        ds = pydicom.dcmread(path)
        ds.Modality, ds.Manufacturer = "MR", "Philips Medical Systems"
        if rescale is None:
            del ds.RescaleSlope, ds.RescaleIntercept
        if private and number not in without:
            block = ds.private_block(0x2005, creator, create=True)
            block.add_new(0x0D, "FL", 2 * SCALE[number][1])
            block.add_new(0x0E, "FL", 2 * SCALE[number][0])
        if syntax != ds.file_meta.TransferSyntaxUID:
            content = Dataset()
            content.update(ds)
            content.file_meta, content.preamble = ds.file_meta, bytes(128)
            content.file_meta.TransferSyntaxUID = syntax
            ds = content
        save_dicom(ds, path)
    return folder


def values(path: Path, what: str = "image", progress: Progress | None = None) -> np.ndarray:
    return sitk.GetArrayFromImage(read_volume(path, what, progress or Progress()))


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
@pytest.mark.parametrize("rescale", [RESCALE, None])
def test_an_mr_of_philips_has_the_intensities_of_its_scale_slope(tmp_path, syntax, rescale):
    folder = write(tmp_path / "mr", syntax=syntax, rescale=rescale)
    for what in ("MR", "image"):
        np.testing.assert_allclose(values(folder, what), MEASURED, rtol=1e-6)


def test_elements_of_another_creator_are_no_scale_slope(tmp_path):
    folder, progress = write(tmp_path, creator="SOMEBODY"), NotedProgress(Progress())
    found = values(folder, "MR", progress)
    np.testing.assert_allclose(found[0], RESCALE[0][0] * 2 * SCALE[0][0] * MEASURED[0], rtol=1e-6)
    assert any("different rescale slopes" in warning for warning in progress.warnings)


def test_a_candidate_stays_as_its_rescale_says(tmp_path):
    found = values(write(tmp_path), "candidate sCT")
    np.testing.assert_allclose(found[1], RESCALE[1][0] * 2 * SCALE[1][0] * MEASURED[1], rtol=1e-6)


def test_slices_with_and_without_scale_slope_are_never_mixed(tmp_path):
    with pytest.raises(
        SyntheticCTError, match=r"Philips' scale slope is missing in pelvis002\.dcm"
    ):
        values(write(tmp_path, without=(2,)), "MR")


def test_slices_of_which_some_are_not_rescaled_are_refused(tmp_path):
    write(tmp_path, private=False)
    path = tmp_path / "pelvis001.dcm"
    ds = pydicom.dcmread(path)
    del ds.RescaleSlope, ds.RescaleIntercept
    ds.save_as(path)
    with pytest.raises(SyntheticCTError, match=r"only for 4 of its 5 .* missing in pelvis001\.dcm"):
        values(tmp_path, "MR")


def test_real_world_values_where_there_is_no_rescale(tmp_path):
    write(tmp_path, private=False, rescale=None)
    for path, (slope, intercept) in zip(sorted(tmp_path.iterdir()), SCALE, strict=True):
        ds, item = pydicom.dcmread(path), Dataset()
        item.RealWorldValueFirstValueMapped, item.RealWorldValueLastValueMapped = 0, 65535
        item.RealWorldValueSlope = 0.5 / slope
        item.RealWorldValueIntercept = -intercept / slope
        ds.RealWorldValueMappingSequence = Sequence([item])
        ds.save_as(path)
    np.testing.assert_allclose(values(tmp_path, "MR"), MEASURED, rtol=1e-6)
    ds.RealWorldValueMappingSequence[0].RealWorldValueLUTData = [1.0, 2.0]
    del ds.RealWorldValueMappingSequence[0].RealWorldValueSlope
    ds.save_as(path)
    with pytest.raises(SyntheticCTError, match="real world values by a table"):
        values(tmp_path, "MR")
