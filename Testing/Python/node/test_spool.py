"""The spool: nothing that was acknowledged is lost, and no series is done twice or by half."""

from __future__ import annotations

import io
import time

import pydicom
import pytest
from dicom_files import save_dicom
from spools import PATIENCE_S, QUIET_S, after, made, sent_in, taken
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.node.carrying import Association
from SyntheticCTLib.node.series import KEPT, MADE, RECEIVING, SENDING, SENT, WAITING, load_all
from SyntheticCTLib.node.spool import Spool
from SyntheticCTLib.node.status import put_back


def test_a_series_is_whole_when_its_association_was_released_and_it_is_quiet(spool, images):
    by, series = sent_in(spool, images)
    spool.settle(QUIET_S, PATIENCE_S)
    assert series.state == RECEIVING
    spool.ended(by, in_order=True)
    spool.settle(1000.0, PATIENCE_S)
    assert series.state == RECEIVING
    spool.settle(QUIET_S, PATIENCE_S)
    assert series.state == WAITING
    assert [path.read_bytes() for path in sorted(series.received.iterdir())] == sorted(
        (encoded for encoded, _ in images),
        key=lambda e: next(p.name for p in series.received.iterdir() if p.read_bytes() == e),
    )


def test_a_series_that_broke_off_is_kept_with_its_reason(spool, images):
    by, series = sent_in(spool, images[:7])
    spool.ended(by, in_order=False)
    spool.settle(QUIET_S, PATIENCE_S)
    assert series.state == RECEIVING
    spool.settle(QUIET_S, -1.0)
    assert series.state == KEPT
    assert "broke off, 7 images are here" in series.reason


def test_a_series_kept_as_incomplete_is_whole_when_it_was_sent_again(spool, images):
    by, series = sent_in(spool, images)
    spool.ended(by, in_order=False)
    spool.settle(QUIET_S, -1.0)
    assert series.state == KEPT and "send the series again" in series.reason
    found = after(spool)  # what it was kept for is known by another node, too
    _, again = sent_in(found, images[:5], by := Association("MR1"))
    found.settle(QUIET_S, -1.0)
    assert (again.state, again.open) == (RECEIVING, True)
    sent_in(found, images[5:], by)
    found.ended(by, in_order=True)
    found.settle(1000.0, PATIENCE_S)
    assert again.state == RECEIVING  # it is quiet only since it came again
    found.settle(QUIET_S, PATIENCE_S)
    assert (again.state, again.files) == (WAITING, 12)


def test_a_series_that_was_looked_at_and_refused_is_not_done_again_by_a_repeat(spool, images):
    series = taken(spool, images)
    spool.next_waiting()
    spool.keep(series, "no series of T2-weighted MR alone: T1")
    by, _ = sent_in(spool, images)
    spool.ended(by, in_order=True)
    spool.settle(QUIET_S, PATIENCE_S)
    assert (series.state, series.reason) == (KEPT, "no series of T2-weighted MR alone: T1")


def test_a_repeat_of_what_broke_off_after_the_ct_was_sent_names_what_came_too_late(spool, images):
    series = made(spool, images[:10])
    spool.has_sent(series, "CT_0001.dcm", series.made_from)
    by, _ = sent_in(spool, images)
    spool.ended(by, in_order=False)
    spool.settle(QUIET_S, -1.0)
    assert series.state == KEPT and "send the series again" in series.reason
    by, _ = sent_in(spool, images)
    spool.ended(by, in_order=True)
    spool.settle(QUIET_S, PATIENCE_S)
    assert series.state == KEPT and "2 more images came" in series.reason


def test_an_association_beside_the_one_that_broke_off_does_not_make_a_series_whole(spool, images):
    first, second = Association("MR1"), Association("MR1")
    sent_in(spool, images[:3], first)
    sent_in(spool, images[3:6], second)
    spool.ended(first, in_order=False)
    spool.ended(second, in_order=True)
    spool.settle(QUIET_S, PATIENCE_S)
    assert [one.state for one in spool.series.values()] == [RECEIVING]
    time.sleep(0.01)
    _, series = sent_in(spool, images, third := Association("MR1"))
    spool.ended(third, in_order=True)
    spool.settle(QUIET_S, PATIENCE_S)
    assert series.state == WAITING


def test_an_image_of_an_association_that_has_ended_leaves_no_series_carried_for_ever(spool, images):
    """Its sender was gone while the image was read."""
    by, series = sent_in(spool, images[:3])
    spool.ended(by, in_order=False)
    assert spool.take(*images[3], by)
    spool.settle(QUIET_S, PATIENCE_S)
    assert series.state == RECEIVING
    spool.settle(QUIET_S, -1.0)
    assert series.state == KEPT and "broke off, 4 images are here" in series.reason
    assert spool.remove_older(0.0) == [series]


def test_the_same_series_twice_changes_nothing(spool, images):
    series = made(spool, images)
    spool.has_sent(series, "CT_0001.dcm", series.made_from)
    spool.has_sent(series, "CT_0002.dcm", series.made_from)
    by, again = sent_in(spool, images)
    spool.ended(by, in_order=True)
    spool.settle(QUIET_S, PATIENCE_S)
    assert again is series and (series.state, series.files) == (SENT, 12)


def test_the_same_image_in_another_encoding_is_the_same(spool, images, tmp_path):
    by, series = sent_in(spool, images)
    (tmp_path / "one.dcm").write_bytes(images[0][0])
    ds = pydicom.dcmread(tmp_path / "one.dcm")
    ds.compress(pydicom.uid.RLELossless)
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = images[0][1][2]
    save_dicom(ds, tmp_path / "rle.dcm")
    assert not spool.take((tmp_path / "rle.dcm").read_bytes(), images[0][1], by)
    assert series.files == 12


def test_another_image_with_the_same_uid_is_refused(spool, images):
    by, series = sent_in(spool, images)
    encoded, uids = images[0]
    before = [path.read_bytes() for path in sorted(series.received.iterdir())]
    changed = encoded[:-2] + bytes([encoded[-2] ^ 1]) + encoded[-1:]
    with pytest.raises(SyntheticCTError, match="another content"):
        spool.take(changed, uids, by)
    assert [path.read_bytes() for path in sorted(series.received.iterdir())] == before
    spool.ended(by, in_order=True)
    spool.settle(QUIET_S, -1.0)
    assert series.state == KEPT and "another content" in series.reason


def test_a_series_beside_an_image_that_nobody_knows_is_not_whole(spool, images):
    by, series = sent_in(spool, images[:11])
    by.refused = "an image came that is no DICOM"
    spool.ended(by, in_order=True)
    spool.settle(QUIET_S, -1.0)
    assert series.state == KEPT and "no DICOM, 11 images are here" in series.reason


def test_two_series_on_one_association_are_two(spool, images, tmp_path):
    others = [(e, (s, "1.2.3.999", i)) for e, (s, _, i) in images]
    by = Association("MR1")
    for pair in zip(images, others, strict=True):
        for encoded, uids in pair:
            spool.take(encoded, uids, by)
    spool.ended(by, in_order=True)
    spool.settle(QUIET_S, PATIENCE_S)
    assert [(one.state, one.files) for one in spool.series.values()] == [(WAITING, 12)] * 2


def test_images_that_come_while_the_ct_is_made_are_in_the_next(spool, images):
    series = taken(spool, images[:9])
    assert spool.next_waiting() is series
    time.sleep(0.01)
    by, _ = sent_in(spool, images)
    spool.ended(by, in_order=True)
    assert not spool.generated(series, ["CT_0001.dcm"], to_send=True)
    assert (series.state, series.made) == (RECEIVING, [])
    spool.settle(QUIET_S, PATIENCE_S)
    assert (series.state, series.files) == (WAITING, 12)


def test_images_that_come_after_the_ct_was_sent_are_named_and_nothing_is_sent(spool, images):
    series = made(spool, images[:10])
    spool.has_sent(series, "CT_0001.dcm", series.made_from)
    by, _ = sent_in(spool, images)
    spool.ended(by, in_order=True)
    spool.settle(QUIET_S, PATIENCE_S)
    assert series.state == KEPT
    assert "2 more images came" in series.reason and "the first 10" in series.reason
    put_back(spool.folder, series.id)
    half = spool.folder / "again" / f"{series.id}.part"
    half.touch()
    assert spool.put_back() == [series]
    assert half.exists()
    assert (series.state, series.made, series.sent) == (WAITING, [], [])


def test_a_clock_that_is_set_back_makes_no_series_whole(spool, images, monkeypatch):
    by = Association("MR1")
    clock = time.time
    monkeypatch.setattr(time, "time", lambda: clock() - 3600)
    sent_in(spool, images[:3], by)
    other = pydicom.dcmread(io.BytesIO(images[0][0]))
    other.PatientComments = "another content"
    with pytest.raises(SyntheticCTError, match="another content"):
        spool.take(_encoded(other), images[0][1], by)
    spool.ended(by, in_order=True)
    spool.settle(QUIET_S, PATIENCE_S)
    (series,) = spool.series.values()
    assert series.state == RECEIVING


def test_a_clock_that_is_set_back_holds_nothing_up(spool, images, monkeypatch):
    series = made(spool, images)
    spool.not_sent(series, "PLAN@10.0.0.7:104 does not answer", 3600.0, series.made_from)
    assert spool.next_to_send() is None
    clock, year_s = time.time, 365 * 86400
    monkeypatch.setattr(time, "time", lambda: clock() - year_s)
    assert spool.next_to_send() is series
    spool.settle(QUIET_S, PATIENCE_S)
    monkeypatch.setattr(time, "time", lambda: clock() - year_s + 2 * 86400)
    assert spool.remove_older(1.0) == [series]


def _encoded(dataset):
    buffer = io.BytesIO()
    dataset.save_as(buffer)
    return buffer.getvalue()


def test_an_acknowledgement_of_an_earlier_ct_counts_for_no_later_one(spool, images):
    """More images came while its first file was on its way."""
    series = made(spool, images[:10])
    earlier = series.made_from
    taken(spool, images[10:])
    assert spool.next_waiting() is series
    assert not spool.has_sent(series, "CT_0001.dcm", earlier)
    assert spool.generated(series, ["CT_0001.dcm", "CT_0002.dcm"], to_send=True)
    assert not spool.has_sent(series, "CT_0001.dcm", earlier)
    assert not spool.not_sent(series, "away", 3600.0, earlier)
    assert series.sent == [] and spool.next_to_send() is series
    for name in series.made:
        assert spool.has_sent(series, name, series.made_from)
    assert series.state == SENT


def test_an_acknowledgement_that_comes_while_a_ct_waits_is_none_of_it(spool, images):
    series = made(spool, images[:10])
    earlier = series.made_from
    taken(spool, images[10:])
    assert series.state == WAITING
    assert not spool.has_sent(series, "CT_0001.dcm", earlier) and series.sent == []


def test_data_goes_after_the_days_asked_for_and_the_series_stays_named(spool, images):
    series = made(spool, images)
    spool.not_sent(series, "PLAN@10.0.0.7:104 does not answer", 5.0, series.made_from)
    assert not spool.remove_older(1.0)
    assert spool.remove_older(0.0) == [series]
    assert not series.received.exists() and not series.result.exists()
    assert series.state == KEPT and "does not answer" in series.reason
    (again,) = load_all(spool.folder)
    assert again.removed and again.files == 12
    with pytest.raises(SyntheticCTError, match="removed"):
        put_back(spool.folder, series.id)
    _, anew = sent_in(spool, images)
    assert (anew.state, anew.files, anew.removed) == (RECEIVING, 12, False)


def test_without_a_receiver_the_ct_lies_in_the_spool(spool, images):
    series = taken(spool, images)
    spool.next_waiting()
    spool.generated(series, ["CT_0001.dcm"], to_send=False)
    assert series.state == MADE and spool.next_to_send() is None


def test_only_a_series_that_is_done_is_put_back(spool, images):
    series = taken(spool, images)
    with pytest.raises(SyntheticCTError, match="still waiting"):
        put_back(spool.folder, series.id)
    with pytest.raises(SyntheticCTError, match="no series"):
        put_back(spool.folder, "../../etc")
    assert series.state == WAITING != SENDING


def test_one_node_holds_a_spool(spool):
    with pytest.raises(SyntheticCTError, match="Another node"), Spool(spool.folder).held():
        pass
