"""C-STORE out, to DCMTK's storescp and to a receiver that refuses."""

from __future__ import annotations

import contextlib
import socket
import threading
import time

import pydicom
import pytest
from dicom_node import NODE, RECEIVER, at_receiver, free_port, storescp
from mr_series import STUDY, mr_and_sct, write_mr
from SyntheticCTLib.body.contour import body_contour
from SyntheticCTLib.export.folder import ExportSettings, export_dicom
from SyntheticCTLib.export.source import read_source
from SyntheticCTLib.node.addresses import Peer
from SyntheticCTLib.node.log import libraries_silent
from SyntheticCTLib.node.sending import Destination, pause_after, send


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("result")
    mr, sct = mr_and_sct()
    write_mr(folder / "mr", mr)
    (folder / "made").mkdir()
    export_dicom(
        sct,
        mr,
        read_source(folder / "mr"),
        folder / "made",
        ExportSettings(seed_uids=True),
        body=body_contour(sct, "CT"),
    )
    return sorted((folder / "made").iterdir())


def sent(files, port, stop_after=99, title=RECEIVER):
    names: list[str] = []
    to = Destination(Peer(title, "127.0.0.1", port), NODE)
    with libraries_silent():
        reason = send(files, to, names.append, lambda: len(names) < stop_after)
    return reason, names


def test_every_file_arrives_as_it_is(files, tmp_path):
    with storescp(tmp_path / "rx", port := free_port()):
        assert sent(files, port) == ("", [path.name for path in files])
    assert at_receiver(tmp_path / "rx") == {STUDY: 12}
    there = {ds.SOPInstanceUID: ds for ds in map(pydicom.dcmread, (tmp_path / "rx").iterdir())}
    assert len(there) == 13
    for ds in map(pydicom.dcmread, files):
        assert there[ds.SOPInstanceUID] == ds


def test_sending_goes_on_where_it_stopped_and_nothing_is_there_twice(files, tmp_path):
    with storescp(tmp_path / "rx", port := free_port()):
        assert sent(files, port, stop_after=5)[0] == "stopped"
        assert sent(files[4:], port)[0] == ""  # the fifth was sent, and its answer lost
    assert len(list((tmp_path / "rx").iterdir())) == 13


def test_a_receiver_that_is_away_or_rejects_is_told(files, tmp_path):
    with socket.socket() as nobody:  # holds its port, and does not listen
        nobody.bind(("127.0.0.1", 0))
        reason, names = sent(files, nobody.getsockname()[1])
    assert "does not answer" in reason and not names
    with storescp(tmp_path / "rx", port := free_port(), "--refuse"):
        reason, names = sent(files, port)
    assert "rejects the association" in reason and not names


def test_a_receiver_that_rejects_and_is_gone_before_that_is_looked_at_has_answered(
    files, tmp_path, monkeypatch
):
    from pynetdicom.acse import ACSE

    send_request = ACSE.send_request

    def slow(entity):
        send_request(entity)
        time.sleep(1.0)

    monkeypatch.setattr(ACSE, "send_request", slow)
    with storescp(tmp_path / "rx", port := free_port(), "--refuse"):
        reason, names = sent(files, port)
    assert "rejects the association" in reason and not names


def test_a_receiver_that_dies_in_the_middle_is_told(files, tmp_path):
    with storescp(tmp_path / "rx", port := free_port(), "--abort-during"):
        reason, names = sent(files, port)
    assert "broke off" in reason and not names


@contextlib.contextmanager
def answering(status, classes):
    from pynetdicom import AE, evt

    entity = AE(RECEIVER)
    for sop_class in classes:
        entity.add_supported_context(sop_class)
    server = entity.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, lambda event: status)]
    )
    try:
        yield server.server_address[1]
    finally:
        entity.shutdown()


CT, STRUCTURES = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.481.3"


def test_a_refusal_is_told_with_its_status_and_a_warning_is_none(files):
    with answering(0xA700, [CT, STRUCTURES]) as port:
        reason, names = sent(files, port)
        assert "status A700" in reason and not names
    with answering(0xB000, [CT, STRUCTURES]) as port:
        assert sent(files, port)[0] == ""
    with answering(0x0000, [CT]) as port:
        reason, names = sent(files, port)
        assert "does not take RT Structure Set Storage" in reason and not names


def test_a_receiver_that_takes_neither_class_has_answered(files):
    with answering(0x0000, ["1.2.840.10008.1.1"]) as port:
        reason, names = sent(files, port)
    assert "does not take CT Image Storage nor RT Structure Set Storage" in reason and not names


def test_a_receiver_that_aborts_when_it_is_called_has_answered(files):
    abort = bytes.fromhex("0700 0000 0004 0000 0000")  # A-ABORT of its user (PS3.8 9.3.8)

    def answer(server):
        connection, _ = server.accept()
        with connection:
            connection.recv(1 << 16)
            connection.sendall(abort)
            while connection.recv(1 << 16):
                pass

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=answer, args=(server,), daemon=True)
        thread.start()
        reason, names = sent(files, server.getsockname()[1])
        thread.join(30)
    assert "aborts the association" in reason and not names


def test_pauses_grow_to_an_hour():
    pauses = [pause_after(n) for n in range(12)]
    assert pauses[0] == 5.0 and pauses[-1] == pause_after(10**6) == 3600.0
    assert pauses == sorted(pauses)
