"""The node's two loops where the disk is full, a process cannot start or nobody reads the log."""

from __future__ import annotations

import errno
import multiprocessing
import os

import pytest
from spools import sent_in, taken
from SyntheticCTLib.basics.progress import SILENT
from SyntheticCTLib.node import series as series_module
from SyntheticCTLib.node.log import NodeLog
from SyntheticCTLib.node.receiving import Listening
from SyntheticCTLib.node.series import RECEIVING, WAITING
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
