"""Which series the node makes a synthetic CT of."""

from __future__ import annotations

import pytest
from dicom_node import NAME, write_series
from mr_series import mr_and_sct
from SyntheticCTLib.archive.sorting import sort_folder
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.node.generating import _the_mr

MR, _ = mr_and_sct()


def taken(folder, take="", **elements):
    write_series(folder, MR, 1, **elements)
    return _the_mr(sort_folder(folder), take)


@pytest.mark.parametrize(
    ("elements", "sentence"),
    [
        ({"SeriesDescription": "T2 TSE SPAIR"}, "fat suppressed .*--take"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "P"]}, "phase"),
        ({"SeriesDescription": "survey"}, "localizer"),
        ({"EchoTime": 12.0, "SeriesDescription": "ax"}, "no role here"),
        ({"ImagesInAcquisition": 13}, "12 of 13 images"),
    ],
)
def test_what_is_no_plain_t2_is_told(tmp_path, elements, sentence):
    with pytest.raises(SyntheticCTError, match=sentence):
        taken(tmp_path, **elements)


def test_a_plain_t2_is_taken_by_its_headers(tmp_path):
    assert taken(tmp_path) == str(tmp_path)


def test_series_are_taken_by_name_where_that_is_asked_for(tmp_path):
    called = {"SeriesDescription": "Sim_T2_SPAIR tra"}
    assert taken(tmp_path / "a", "sim_t2*", **called) == str(tmp_path / "a")
    with pytest.raises(SyntheticCTError, match=r"called 'sim_t2\*' \(--take\) alone"):
        taken(tmp_path / "b", "sim_t2*")
    with pytest.raises(SyntheticCTError, match="phase"):
        taken(tmp_path / "c", "sim*", **called, ImageType=["ORIGINAL", "PRIMARY", "P"])


def test_two_patients_or_two_scans_under_one_series_uid_are_not_one_mr(tmp_path):
    for number, name in enumerate(("one", "two"), start=1):
        uids = {"StudyInstanceUID": "1.2.3.7", "SeriesInstanceUID": "1.2.3.8"}
        for path in write_series(tmp_path / name, MR, number, **uids).iterdir():
            path.rename(tmp_path / f"{name}_{path.name}")
        (tmp_path / name).rmdir()
    with pytest.raises(SyntheticCTError, match="2 series or parts") as told:
        _the_mr(sort_folder(tmp_path), "")
    assert NAME not in str(told.value)
