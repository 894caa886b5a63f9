"""The spool after kills and full disks: what was acknowledged is there, what lacks images waits."""

from __future__ import annotations

import errno
import os
import time

import pytest
from spools import PATIENCE_S, QUIET_S, after, made, sent_in, taken
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.node import series as series_module
from SyntheticCTLib.node import spool as spool_module
from SyntheticCTLib.node.carrying import Association
from SyntheticCTLib.node.series import KEPT, RECEIVING, WAITING, Series, load_all
from SyntheticCTLib.node.status import put_back


def test_what_was_acknowledged_is_there_after_a_kill(spool, images):
    sent_in(spool, images[:7])
    found = after(spool)
    (series,) = found.series.values()
    assert (series.state, series.files, series.caller) == (RECEIVING, 7, "MR1")
    found.settle(QUIET_S, PATIENCE_S)  # the kill broke the association off: more may come
    assert series.state == RECEIVING
    sent_in(found, images, again := Association("MR1"))
    found.ended(again, in_order=True)
    found.settle(QUIET_S, PATIENCE_S)
    assert (series.state, series.files) == (WAITING, 12)


def test_a_series_that_was_whole_needs_no_second_sending_after_a_kill(spool, images):
    by, _ = sent_in(spool, images)
    spool.ended(by, in_order=True)
    found = after(spool)
    found.settle(QUIET_S, PATIENCE_S)
    assert [one.state for one in found.series.values()] == [WAITING]


def test_what_the_receiver_has_is_known_after_a_kill(spool, images):
    series = made(spool, images)
    spool.has_sent(series, "CT_0001.dcm", series.made_from)
    spool.not_sent(series, "away", 3600.0, series.made_from)
    found = after(spool)
    again = found.next_to_send()  # at once: the node was started for it
    assert (again.id, again.sent, again.reason) == (series.id, ["CT_0001.dcm"], "away")


def test_a_ct_that_was_being_made_is_made_again_after_a_kill(spool, images):
    series = taken(spool, images)
    spool.next_waiting()
    (series.folder / "made").mkdir()
    (series.folder / "made" / "CT_0001.dcm").write_bytes(b"half")
    found = after(spool)
    again = found.next_waiting()
    assert again.id == series.id and not again.result.exists()


def test_a_full_disk_acknowledges_nothing_and_leaves_nothing(spool, images, monkeypatch):
    by, series = sent_in(spool, images[:5])

    def full(path, content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(spool_module, "write_through", full)
        with pytest.raises(OSError, match="space"):
            spool.take(*images[5], by)
    assert series.files == len(list(series.received.iterdir())) == 5
    spool.ended(by, in_order=True)  # some senders go on, or end, as if nothing was
    spool.settle(QUIET_S, PATIENCE_S)
    assert series.state == RECEIVING
    spool.settle(QUIET_S, -1.0)
    assert series.state == KEPT and "want of room" in series.reason
    time.sleep(0.01)
    by, _ = sent_in(spool, images)
    spool.ended(by, in_order=True)
    spool.settle(QUIET_S, PATIENCE_S)
    assert (series.state, series.files) == (WAITING, 12)


def test_a_series_whose_first_image_found_no_room_even_for_its_record_is_not_whole(
    spool, images, monkeypatch
):
    by = Association("MR1")
    with monkeypatch.context() as patch:
        full = OSError(errno.ENOSPC, "No space left on device")
        patch.setattr(Series, "save", lambda series: (_ for _ in ()).throw(full))
        with pytest.raises(OSError, match="No space"):
            spool.take(*images[0], by)
    _, series = sent_in(spool, images[1:], by)
    spool.ended(by, in_order=True)
    spool.settle(QUIET_S, PATIENCE_S)
    assert series.state == RECEIVING
    assert taken(spool, images).state == WAITING  # sent again, all of it


def test_a_series_of_which_no_image_could_be_written_is_forgotten(spool, images, monkeypatch):
    by = Association("MR1")
    with monkeypatch.context() as patch:
        patch.setattr(spool_module, "write_through", lambda *a: (_ for _ in ()).throw(OSError()))
        with pytest.raises(OSError):
            spool.take(*images[0], by)
    spool.ended(by, in_order=True)
    spool.settle(QUIET_S, PATIENCE_S)
    assert not spool.series and not load_all(spool.folder)


def test_a_ct_is_not_made_of_the_images_that_came_before_a_kill(spool, images):
    """Nine were whole, and their CT was being made; the rest was coming when the node ended."""
    series = taken(spool, images[:9])
    spool.next_waiting()
    sent_in(spool, images[9:11])
    found = after(spool)
    assert found.next_waiting() is None
    found.settle(QUIET_S, PATIENCE_S)
    (again,) = found.series.values()
    assert (again.id, again.state, again.files) == (series.id, RECEIVING, 11)
    sent_in(found, images[9:], by := Association("MR1"))
    found.ended(by, in_order=True)
    found.settle(QUIET_S, PATIENCE_S)
    assert found.next_waiting() is again and again.made_of == 12


def test_a_ct_is_made_of_all_images_where_a_kill_came_after_their_release(spool, images):
    taken(spool, images[:9])
    spool.next_waiting()
    by, _ = sent_in(spool, images[9:])
    spool.ended(by, in_order=True)
    found = after(spool)
    assert found.next_waiting() is None
    found.settle(QUIET_S, PATIENCE_S)
    assert found.next_waiting().made_of == 12


def test_a_changed_duplicate_does_not_hold_up_a_whole_series_after_a_kill(spool, images):
    taken(spool, images)
    spool.next_waiting()
    encoded, uids = images[0]
    changed = encoded[:-2] + bytes([encoded[-2] ^ 1]) + encoded[-1:]
    by = Association("MR1")
    with pytest.raises(SyntheticCTError, match="another content"):
        spool.take(changed, uids, by)
    spool.ended(by, in_order=True)
    found = after(spool)
    assert found.next_waiting() is not None


class Killed(BaseException):
    """The node ends here."""


STEPS = {
    "waiting": lambda spool, series: None,
    "kept": lambda spool, series: (spool.next_waiting(), spool.keep(series, "1 slice is missing")),
    "made": lambda spool, series: (
        spool.next_waiting(),
        spool.generated(series, ["CT_0001.dcm"], to_send=False),
    ),
    "sending": lambda spool, series: (
        spool.next_waiting(),
        spool.generated(series, ["CT_0001.dcm"], to_send=True),
    ),
    "sent": lambda spool, series: (
        spool.next_waiting(),
        spool.generated(series, ["CT_0001.dcm"], to_send=True),
        spool.has_sent(series, "CT_0001.dcm", series.made_from),
    ),
}


@pytest.mark.parametrize("state", STEPS)
def test_an_image_that_lies_here_is_not_lost_where_the_kill_came_before_its_record(
    spool, images, monkeypatch, state
):
    series = taken(spool, images[:11])
    STEPS[state](spool, series)
    assert series.state == state

    def killed(*given):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Series, "become", killed)
        with pytest.raises(Killed):
            spool.take(*images[11], Association("MR1"))
    found = after(spool)
    assert found.next_waiting() is found.next_to_send() is None
    found.settle(QUIET_S, PATIENCE_S)  # its sender has no answer, and will send again
    (again,) = found.series.values()
    assert again.state == RECEIVING
    by = Association("MR1")
    assert not found.take(*images[11], by)
    found.ended(by, in_order=True)
    found.settle(QUIET_S, PATIENCE_S)
    if state == "sent":
        assert again.state == KEPT and "1 more image came" in again.reason
    else:
        assert (again.state, again.files, again.made) == (WAITING, 12, [])


def no_room(*given):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def one_by_one(spool, images, monkeypatch, refused=()):
    """An association an image; for those of ``refused`` there is no room, nor for a record."""
    for number, (encoded, uids) in enumerate(images):
        by = Association("MR1")
        with monkeypatch.context() as patch:
            if number in refused:
                patch.setattr(spool_module, "write_through", no_room)
                patch.setattr(series_module, "write_through", no_room)
                with pytest.raises(OSError, match="space"):
                    spool.take(encoded, uids, by)
            else:
                spool.take(encoded, uids, by)
        spool.ended(by, in_order=True)
        spool.settle(1000.0, PATIENCE_S)


@pytest.mark.parametrize("refused", [0, 5, 10])
def test_an_image_refused_for_want_of_room_is_missing_until_it_is_taken(
    spool, images, monkeypatch, refused
):
    """Also where each image has an association of its own, and later ones are all taken."""
    one_by_one(spool, images, monkeypatch, [refused])
    spool.settle(QUIET_S, PATIENCE_S)
    (series,) = spool.series.values()
    assert (series.state, series.files) == (RECEIVING, 11)
    found = after(spool)
    one_by_one(found, images[11:], monkeypatch)
    found.settle(QUIET_S, PATIENCE_S)
    assert [one.state for one in found.series.values()] == [RECEIVING]
    found.settle(QUIET_S, -1.0)
    (series,) = found.series.values()
    assert series.state == KEPT and "want of room" in series.reason
    one_by_one(found, [images[refused]], monkeypatch)
    found.settle(QUIET_S, PATIENCE_S)
    assert (series.state, series.files) == (WAITING, 12)


def test_an_image_that_was_refused_and_then_taken_is_not_missing(spool, images, monkeypatch):
    one_by_one(spool, [*images[:6], *images[5:]], monkeypatch, [5])
    spool.settle(QUIET_S, PATIENCE_S)
    assert [(one.state, one.files) for one in spool.series.values()] == [(WAITING, 12)]


@pytest.mark.parametrize("state", ["waiting", "sending"])
def test_a_ct_is_not_sent_of_a_series_of_which_an_image_was_refused(
    spool, images, monkeypatch, state
):
    series = taken(spool, images[:11])
    STEPS[state](spool, series)
    one_by_one(spool, images[11:], monkeypatch, [0])
    assert spool.next_waiting() is spool.next_to_send() is None
    assert series.state == RECEIVING


def test_a_ct_that_is_being_made_when_an_image_is_refused_is_not_sent(spool, images, monkeypatch):
    series = taken(spool, images[:11])
    spool.next_waiting()
    one_by_one(spool, images[11:], monkeypatch, [0])
    assert not spool.generated(series, ["CT_0001.dcm"], to_send=True)
    assert series.state == RECEIVING


def test_a_series_put_back_by_hand_is_made_without_the_image_that_was_refused(
    spool, images, monkeypatch
):
    one_by_one(spool, images, monkeypatch, [11])
    spool.settle(QUIET_S, -1.0)
    (series,) = spool.series.values()
    put_back(spool.folder, series.id)
    assert spool.put_back() == [series]
    assert spool.next_waiting() is series


def test_a_record_that_found_no_room_is_written_with_the_next_image(spool, images, monkeypatch):
    """Else a node that is killed would not know that an association still brings images."""
    taken(spool, images[:9])
    one_by_one(spool, images[:1], monkeypatch, [0])  # it lies here: only its record is refused
    sent_in(spool, images[9:11])
    found = after(spool)
    found.settle(QUIET_S, PATIENCE_S)
    (series,) = found.series.values()
    assert (series.state, series.files, series.open) == (RECEIVING, 11, True)


def test_a_disk_that_is_full_at_the_release_leaves_no_series_carried(spool, images, monkeypatch):
    by = Association("MR1")
    for encoded, (study, name, instance) in images:
        spool.take(encoded, (study, name, instance), by)
        spool.take(encoded, (study, "1.2.3.999", instance), by)
    with monkeypatch.context() as patch:
        patch.setattr(series_module, "write_through", no_room)
        with pytest.raises(OSError, match="space"):
            spool.ended(by, in_order=True)
    assert not any(one.open for one in spool.series.values())
    assert [(one.state, one.open) for one in after(spool).series.values()] == [
        (RECEIVING, True)
    ] * 2
    spool.settle(QUIET_S, PATIENCE_S)
    assert [(one.state, one.files) for one in spool.series.values()] == [(WAITING, 12)] * 2
