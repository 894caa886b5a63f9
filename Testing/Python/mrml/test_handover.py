"""Volumes that are handed over to a child process arrive exactly as they were."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.volumes.marks import label_synthetic
from SyntheticCTLib.volumes.reading import read_volume
from SyntheticCTMRML import handover
from SyntheticCTMRML.handover import writing_steps

DIRECTION = (0.8, 0.6, 0.0, 0.36, -0.48, -0.8, -0.48, 0.64, -0.6)


@pytest.mark.parametrize(
    "kind", ["int8", "uint8", "int16", "uint16", "int32", "float32", "float64"]
)
def test_voxels_place_and_marks_arrive_exactly(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(handover, "CHUNK_BYTES", 100)
    values = np.arange(5 * 4 * 3).reshape(5, 4, 3).astype(kind)
    image = label_synthetic(sitk.GetImageFromArray(values), "abc")
    image.SetSpacing((1 / 3, 2.5, 0.1))
    image.SetOrigin((-100.123456789, 1e-9, 7.0))
    image.SetDirection(DIRECTION)
    steps = sum(1 for _ in writing_steps(image, tmp_path / "volume.mha"))
    assert steps == -(-values.nbytes // (100 // values.itemsize * values.itemsize))
    found = read_volume(tmp_path / "volume.mha")
    assert np.array_equal(sitk.GetArrayFromImage(found), values)
    assert found.GetPixelID() == image.GetPixelID()
    for part in ("GetSpacing", "GetOrigin", "GetDirection"):
        assert getattr(found, part)() == getattr(image, part)()
    for key in image.GetMetaDataKeys():
        assert found.GetMetaData(key) == image.GetMetaData(key)


def test_a_place_that_cannot_be_written_to_is_told(tmp_path):
    image = sitk.Image(3, 3, 3, sitk.sitkUInt8)
    with pytest.raises(SyntheticCTError, match="temporary files"):
        list(writing_steps(image, tmp_path / "none" / "volume.mha"))
