"""C-STORE into the spool, by DCMTK's storescu."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time

import numpy as np
import pydicom
import pytest
from dicom_files import write_series as write_ct
from dicom_node import NODE, listens, program, storescu, wait, write_series
from mr_series import mr_and_sct
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import SILENT
from SyntheticCTLib.node import receiving as receiving_module
from SyntheticCTLib.node import spool as spool_module
from SyntheticCTLib.node.addresses import TlsFiles, caller
from SyntheticCTLib.node.log import NodeLog, libraries_silent
from SyntheticCTLib.node.receiving import Listening, Receiver
from SyntheticCTLib.node.series import KEPT, RECEIVING, WAITING, load_all
from SyntheticCTLib.node.spool import Spool

MR, _ = mr_and_sct()


@contextlib.contextmanager
def receiving(folder, **listening):
    with Spool(folder / "spool").held() as spool, libraries_silent():
        receiver = Receiver(
            Listening(NODE, "127.0.0.1", 0, **listening), spool, NodeLog(spool.folder, SILENT)
        )
        with receiver.serving() as port:
            yield spool, port


def logged(spool) -> str:
    path = spool.folder / "node.log"
    return path.read_text() if path.exists() else ""


def settled(spool):
    spool.settle(0.0, 60.0)
    return sorted(spool.series.values(), key=lambda one: one.files)


def carried(spool):
    return not any(one.open for one in spool.series.values())


def test_what_storescu_sends_lies_in_the_spool_voxel_for_voxel(tmp_path):
    first = write_series(tmp_path / "a", MR, 1)
    with receiving(tmp_path) as (spool, port):
        assert storescu(port, first) == 0
        wait(lambda: carried(spool))
        (series,) = settled(spool)
        assert (series.state, series.files, series.caller) == (WAITING, 12, "MR1")
        for path in series.received.iterdir():
            here = pydicom.dcmread(path)
            there = next(
                ds
                for ds in map(pydicom.dcmread, first.iterdir())
                if ds.SOPInstanceUID == here.SOPInstanceUID
            )
            assert here == there and here.PixelData == there.PixelData
        assert subprocess.run(
            [program("echoscu"), "-aec", NODE, "127.0.0.1", str(port)], check=False
        ).returncode == 0  # fmt: skip


def test_a_sender_is_told_of_its_release_after_the_disk_knows_of_it(tmp_path, monkeypatch):
    """A node killed right after the answer has a whole series at its next start."""
    ended = Spool.ended

    def late(*given, **named):
        time.sleep(0.5)
        ended(*given, **named)

    monkeypatch.setattr(Spool, "ended", late)
    with receiving(tmp_path) as (spool, port):
        assert storescu(port, write_series(tmp_path / "a", MR, 1)) == 0
        assert [one.open for one in load_all(spool.folder)] == [False]
        assert logged(spool) == ""


def test_two_series_interleaved_and_two_at_once_are_kept_apart(tmp_path):
    one, two = (write_series(tmp_path / name, MR, 1) for name in ("one", "two"))
    mixed = tmp_path / "mixed"
    mixed.mkdir()
    for folder in (one, two):
        for path in folder.iterdir():
            path.rename(mixed / f"{path.name}_{folder.name}")  # in turns, by name
    third = write_series(tmp_path / "three", MR, 3)
    with receiving(tmp_path) as (spool, port):
        beside = subprocess.Popen(
            [program("storescu"), "-aec", NODE, "+sd", "127.0.0.1", str(port), str(third)]
        )
        assert storescu(port, mixed) == 0
        assert beside.wait(30) == 0
        wait(lambda: carried(spool))
        assert [(s.state, s.files) for s in settled(spool)] == [(WAITING, 12)] * 3


def test_compressed_images_are_taken_as_they_are(tmp_path):
    folder = write_series(tmp_path / "a", MR)
    packed = tmp_path / "packed"
    packed.mkdir()
    for path in folder.iterdir():
        subprocess.run([program("dcmcjpeg"), str(path), str(packed / path.name)], check=True)
    with receiving(tmp_path) as (spool, port):
        assert storescu(port, packed, more=["-xs"]) == 0
        wait(lambda: carried(spool))
        (series,) = settled(spool)
        syntaxes = {
            pydicom.dcmread(p).file_meta.TransferSyntaxUID for p in series.received.iterdir()
        }
        assert (series.files, syntaxes) == (12, {"1.2.840.10008.1.2.4.70"})


def calling(port):
    """An association by which MR images may be sent one by one."""
    from pynetdicom import AE

    entity = AE("MR1")
    entity.add_requested_context("1.2.840.10008.5.1.4.1.1.4")
    association = entity.associate("127.0.0.1", port, ae_title=NODE)
    assert association.is_established
    return association


def test_an_association_that_breaks_in_the_middle_leaves_a_series_that_waits(tmp_path):
    """The sender is gone after seven images, without a word."""
    paths = sorted(write_series(tmp_path / "a", MR).iterdir())
    with receiving(tmp_path) as (spool, port):
        association = calling(port)
        for path in paths[:7]:
            assert association.send_c_store(path).Status == 0
        association.dul.socket.socket.shutdown(socket.SHUT_RDWR)
        wait(lambda: "broke off" in logged(spool))
        association.kill()
        (series,) = settled(spool)
        assert (series.state, series.files) == (RECEIVING, 7)
        assert storescu(port, tmp_path / "a") == 0
        wait(lambda: carried(spool))
        assert [(s.state, s.files) for s in settled(spool)] == [(WAITING, 12)]


def test_an_association_that_was_there_when_another_broke_off_makes_nothing_whole(tmp_path):
    """Although its first image comes after that: its sender may share the rest among both."""
    paths = sorted(write_series(tmp_path / "a", MR).iterdir())
    with receiving(tmp_path) as (spool, port):
        one, other = calling(port), calling(port)
        for path in paths[:6]:
            assert one.send_c_store(path).Status == 0
        one.abort()
        wait(lambda: "broke off" in logged(spool))
        for path in paths[8:]:
            assert other.send_c_store(path).Status == 0
        other.release()
        (series,) = settled(spool)
        assert (series.state, series.files, series.caller) == (RECEIVING, 10, "MR1")


def test_who_is_gone_while_an_image_is_read_carries_nothing(tmp_path, monkeypatch):
    paths = sorted(write_series(tmp_path / "a", MR).iterdir())
    read, gone = receiving_module._uids, []
    with receiving(tmp_path) as (spool, port):
        association = calling(port)
        for path in paths[:3]:
            assert association.send_c_store(path).Status == 0

        def slowly(encoded):
            association.dul.socket.socket.shutdown(socket.SHUT_RDWR)
            wait(lambda: "broke off" in logged(spool))
            gone.append(True)
            return read(encoded)

        monkeypatch.setattr(receiving_module, "_uids", slowly)
        association.send_c_store(paths[3])
        association.kill()
        wait(lambda: gone and spool.series and settled(spool)[0].files == 4)
        spool.settle(0.0, -1.0)
        assert [one.state for one in spool.series.values()] == [KEPT]


def test_who_brings_nothing_is_not_told_of(tmp_path):
    """As a program that looks whether the port answers, or who aborts at once."""
    with receiving(tmp_path) as (spool, port):
        listens(port)
        calling(port).abort()
        assert storescu(port, write_series(tmp_path / "a", MR)) == 0
        assert logged(spool) == ""


def test_who_is_not_listed_is_refused_and_named(tmp_path):
    folder = write_series(tmp_path / "a", MR)
    with receiving(tmp_path, allowed=[caller("MR2@127.0.0.1"), caller("MR1@10.0.0.1")]) as node:
        spool, port = node
        assert storescu(port, folder, title="MR1") != 0
        assert storescu(port, folder, title="MR2", called="OTHER") != 0
        assert not spool.series
        assert "MR1 at 127.0.0.1 may not call" in logged(spool)
        assert storescu(port, folder, title="MR2") == 0


def test_what_is_no_mr_is_refused(tmp_path):
    write_ct(tmp_path / "ct", np.zeros((3, 4, 5), np.uint16))
    with receiving(tmp_path) as (spool, port):
        assert storescu(port, tmp_path / "ct") != 0
        assert not spool.series


def test_a_full_disk_is_told_to_the_sender_who_may_send_again(tmp_path, monkeypatch):
    folder = write_series(tmp_path / "a", MR)
    real = spool_module.write_through

    def full(path, content):
        if path.suffix == ".dcm" and len(list(path.parent.iterdir())) == 5:
            raise OSError(28, "No space left on device")
        real(path, content)

    with receiving(tmp_path) as (spool, port):
        with monkeypatch.context() as patch:
            patch.setattr(spool_module, "write_through", full)
            assert storescu(port, folder) != 0
        assert "no room" in logged(spool)
        assert storescu(port, folder) == 0
        wait(lambda: carried(spool))
        assert [(s.state, s.files) for s in settled(spool)] == [(WAITING, 12)]


def test_a_port_that_is_taken_is_named(tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with Spool(tmp_path / "spool").held() as spool:
            receiver = Receiver(
                Listening(NODE, "127.0.0.1", port), spool, NodeLog(spool.folder, SILENT)
            )
            with pytest.raises(SyntheticCTError, match=str(port)), receiver.serving():
                pass


def certificate(folder):
    """A certificate that is its own authority, by OpenSSL."""
    key, certificate = folder / "key.pem", folder / "cert.pem"
    subprocess.run(
        f"{program('openssl')} req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test "
        f"-keyout {key} -out {certificate}".split(),
        check=True,
        capture_output=True,
    )
    return TlsFiles(certificate, key, certificate)


def test_tls_takes_who_shows_a_certificate_and_nobody_else(tmp_path):
    folder = write_series(tmp_path / "a", MR)
    files = certificate(tmp_path)
    shown = ["+tls", str(files.key), str(files.certificate), "+cf", str(files.authorities)]
    with receiving(tmp_path, tls=files.context(serve=True)) as (spool, port):
        assert storescu(port, folder) != 0
        assert storescu(port, folder, more=["+tla", "-ic"]) != 0
        assert not spool.series
        assert storescu(port, folder, more=shown) == 0
        wait(lambda: carried(spool))
        assert [(s.state, s.files) for s in settled(spool)] == [(WAITING, 12)]


def test_files_of_tls_that_do_not_fit_are_named(tmp_path):
    (tmp_path / "no.pem").write_text("nothing")
    with pytest.raises(SyntheticCTError, match="PEM"):
        TlsFiles(*[tmp_path / "no.pem"] * 3).context(serve=True)
