"""The node's two loops where the disk is full, a process cannot start or nobody reads the log."""

from __future__ import annotations

import errno
import multiprocessing
import os
from dataclasses import replace

import pytest
from spools import made, sent_in, taken
from SyntheticCTLib.basics.progress import SILENT, Progress
from SyntheticCTLib.node import series as series_module
from SyntheticCTLib.node import server as server_module
from SyntheticCTLib.node.addresses import Peer
from SyntheticCTLib.node.log import NodeLog
from SyntheticCTLib.node.receiving import Listening
from SyntheticCTLib.node.sending import Destination
from SyntheticCTLib.node.series import RECEIVING, SENDING, WAITING
from SyntheticCTLib.node.server import Node, NodeSettings
from SyntheticCTLib.node.worker import Worker


def refuses(code):
    def refuse(*given, **named):
        raise OSError(code, os.strerror(code))

    return refuse


@pytest.fixture
def node(spool, tmp_path):
    """A node that does not run: its steps are taken by hand."""
    node = Node(NodeSettings(folder=spool.folder, model=tmp_path, listening=Listening("A", "", 0)))
    node._log = NodeLog(spool.folder, SILENT)
    node._worker = Worker(tmp_path, "cpu")
    yield node
    node._worker.close()


def test_a_series_waits_on_where_the_record_that_it_is_being_made_finds_no_room(
    node, spool, images, monkeypatch
):
    series = taken(spool, images)
    with monkeypatch.context() as patch:
        patch.setattr(series_module, "write_through", refuses(errno.ENOSPC))
        with pytest.raises(OSError, match="space"):
            node._generate(spool)
    assert series.state == WAITING and not node._worker.busy
    assert spool.next_waiting() is series


def test_a_series_waits_on_where_the_process_that_makes_its_ct_cannot_start(
    node, spool, images, monkeypatch
):
    """Neither that series nor the next is lost, and the node goes on."""
    series = taken(spool, images)
    process = multiprocessing.get_context("spawn").Process
    with monkeypatch.context() as patch:
        patch.setattr(process, "start", refuses(errno.EAGAIN))
        for _ in range(2):
            with pytest.raises(OSError, match="unavailable"):
                node._generate(spool)
            assert series.state == WAITING and not node._worker.busy
    node._generate(spool)
    assert node._worker.folder == series.folder


def test_a_series_to_which_more_came_meanwhile_is_not_made_of_what_is_here(
    node, spool, images, monkeypatch
):
    series = taken(spool, images[:9])

    def comes(folder, **named):
        sent_in(spool, images[9:11])
        refuses(errno.EAGAIN)()

    monkeypatch.setattr(node._worker, "start", comes)
    with pytest.raises(OSError, match="unavailable"):
        node._generate(spool)
    assert series.state == RECEIVING and spool.next_waiting() is None


class Unheard(Progress):
    """A terminal that is gone, or whose output goes to a full disk."""

    def __init__(self, error):
        self.error = error

    def tell(self, event, text, **details):
        raise self.error


@pytest.mark.parametrize(
    "error",
    [OSError(errno.ENOSPC, "No space"), BrokenPipeError(), ValueError("I/O on a closed file")],
)
def test_an_event_that_no_terminal_takes_stands_in_the_log(tmp_path, error):
    NodeLog(tmp_path, Unheard(error)).write("sent", "13 files", "0123456789abcdef")
    assert "0123456789abcdef sent: 13 files" in (tmp_path / "node.log").read_text()


def test_the_sending_thread_goes_on_whatever_fails_in_it(node, spool, monkeypatch):
    turns = []

    def next_to_send():
        turns.append(1)
        if len(turns) == 3:
            node.stop()
            return None
        raise RuntimeError("whatever it is")

    monkeypatch.setattr(spool, "next_to_send", next_to_send)
    node._send(spool)
    assert len(turns) == 3


def test_what_was_sent_of_a_ct_that_is_made_anew_is_told(node, spool, images, monkeypatch):
    """More images come while its first file is on its way."""
    series = made(spool, images[:10])

    def send_slowly(files, to, acknowledged, go_on):
        assert go_on()
        taken(spool, images[10:])
        acknowledged(files[0].name)
        return "" if go_on() else "stopped"

    monkeypatch.setattr(server_module, "send", send_slowly)
    node._send_due(spool)
    log = (spool.folder / "node.log").read_text()
    assert "CT_0001.dcm of an earlier synthetic CT is at the receiver" in log
    assert "sent:" not in log
    assert (series.state, series.attempts, series.sent) == (WAITING, 0, [])


def test_a_receiver_that_fails_is_tried_again_with_pauses(node, spool, images, monkeypatch):
    series = made(spool, images)
    node._settings = replace(node._settings, to=Destination(Peer("PLAN", "10.0.0.7", 104), "A"))
    for answers in (lambda *given: "PLAN does not answer", refuses(errno.EIO)):
        monkeypatch.setattr(server_module, "send", answers)
        node._send_due(spool)
    assert (series.state, series.attempts) == (SENDING, 1)  # the second is not due
    series.next_try = 0.0
    node._send_due(spool)
    assert (series.attempts, series.reason) == (2, "PLAN@10.0.0.7:104: OSError")
    assert "not sent: PLAN does not answer" in (spool.folder / "node.log").read_text()
