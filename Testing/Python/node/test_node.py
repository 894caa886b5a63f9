"""The whole node as a program: MR in, synthetic CT out, killed wherever it hurts."""

from __future__ import annotations

import json
import urllib.error
import urllib.request

import pydicom
import pytest
import SimpleITK as sitk
from dicom_node import (
    NAME,
    RECEIVER,
    NodeProcess,
    at_receiver,
    free_port,
    storescp,
    storescu,
    write_series,
)
from mr_series import judged
from pages import Page
from SyntheticCTLib.phantom import TINY, make_phantom
from SyntheticCTLib.volumes.reading import read_volume
from SyntheticCTProgram.program import main

QUICK = ("--quiet", "0.5", "--patience", "3")


@pytest.fixture(scope="module")
def mr():
    """Twelve coarse slices through a phantom's pelvis."""
    whole = make_phantom(3001, TINY).mr
    return sitk.Cast(whole[:, :, 10:22], sitk.sitkUInt16)


def test_every_series_ends_once_at_the_receiver_however_often_the_node_is_killed(tmp_path, mr):
    """Killed while it receives, while it generates and while it sends; the receiver is away."""
    folders = [write_series(tmp_path / f"mr{n}", mr, n) for n in range(2)]
    port = free_port()
    node = NodeProcess(
        tmp_path, "demo", *QUICK, "--outside-domain", "send",
        "--send-to", f"{RECEIVER}@127.0.0.1:{port}",
    )  # fmt: skip
    with node:
        half = sorted(folders[0].iterdir())[:6]
        assert storescu(node.port, *half) == 0
        node.kill()
        node.start()
        assert [storescu(node.port, folder) for folder in folders] == [0, 0]
        node.wait(lambda: node.states()["generating"])
        node.kill()
        node.start()
        node.wait(lambda: any(one["attempts"] for one in node.series()))
        assert "does not answer" in node.said()
        with storescp(tmp_path / "rx", port):
            node.kill()
            node.start()  # which tries at once
            node.wait(lambda: at_receiver(tmp_path / "rx"))
            node.kill()
            node.start()
            node.wait(lambda: node.states() == {"sent": 2})
            assert storescu(node.port, folders[1]) == 0  # the same once more
            node.wait(lambda: not any(one["open"] for one in node.series()))
        assert node.stop() == 0
    assert sorted(at_receiver(tmp_path / "rx").values()) == [12, 12]
    assert node.states() == {"sent": 2}
    for one in node.series():
        there = read_volume(one["folder"] / "made", "CT")
        assert there.GetSize() == mr.GetSize() and there.GetSpacing() == mr.GetSpacing()
        assert not judged(one["folder"] / "made" / "CT_0001.dcm")
        first = pydicom.dcmread(one["folder"] / "made" / "CT_0001.dcm")
        assert "OUTSIDE MODEL'S DOMAIN" in first.SeriesDescription
    for path in (tmp_path / "rx").iterdir():
        assert pydicom.dcmread(path).PatientName.family_name.startswith(NAME)
    assert NAME not in node.said() and "QX" not in node.said()
    assert not any(NAME in str(path) for path in node.spool.rglob("*"))


def test_what_no_ct_may_be_made_of_is_kept_with_its_reason_and_can_be_put_back(tmp_path, mr):
    folders = {
        "T1": write_series(tmp_path / "t1", mr, 1, SeriesDescription=f"T1 {NAME}1", EchoTime=10.0),
        "outside": write_series(tmp_path / "t2", mr, 2),
        "incomplete": write_series(tmp_path / "few", mr, 3, ImagesInAcquisition=24),
    }
    gap = write_series(tmp_path / "gap", mr, 4)
    sorted(gap.iterdir())[5].unlink()
    port = free_port()
    with NodeProcess(tmp_path, "demo", *QUICK, "--page", str(port)) as node:
        assert [storescu(node.port, one) for one in (*folders.values(), gap)] == [0] * 4
        node.wait(lambda: node.states() == {"kept": 4})
        told = " ".join(one["reason"] for one in node.series())
        assert "T1" in told and "12 of 24 images" in told
        assert "outside the model's domain: This model was trained on the digital phantom" in told
        assert "1 slice is missing" in told
        outside = next(one for one in node.series() if "domain" in one["reason"])
        again = ["serve", "--folder", str(node.spool), "--again", outside["folder"].name]
        assert main([*again, "--outside-domain", "send"]) == 0
        node.wait(lambda: node.states() == {"kept": 3, "made": 1})
        page = fetched(port)
        assert "Outside the model's domain: This model was trained" in page.text
        (picture,) = page.all("img")
        check_picture(f"http://127.0.0.1:{port}{picture['src']}")
        assert NAME not in node.said() and NAME not in page.text
        check_page_refuses(port)


def fetched(port) -> Page:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/") as answer:
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        return Page(answer.read().decode())


def check_picture(url):
    with urllib.request.urlopen(url) as answer:
        assert answer.read().startswith(b"\x89PNG")


def check_page_refuses(port):
    """Nothing but the page and its pictures, and to nobody who calls it by another name."""
    for path, headers, code in (
        ("/series.json", {}, 404),
        ("/picture/../node.log", {}, 404),
        ("/picture/0123456789abcdef.png", {}, 404),
        ("/", {"Host": "elsewhere.example"}, 403),
    ):
        request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers)
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request)
        assert refused.value.code == code
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", data=b"again")


def test_status_tells_what_stands_in_the_spool(tmp_path, capsys):
    folder = tmp_path / "spool" / "series" / "0123456789abcdef"
    folder.mkdir(parents=True)
    record = {"state": "sending", "since": 0.0, "made": ["CT_0001.dcm", "RTSTRUCT.dcm"]}
    record |= {
        "sent": ["CT_0001.dcm"],
        "attempts": 4,
        "reason": "PLAN@10.0.0.7:104 does not answer",
    }
    (folder / "series.json").write_text(json.dumps(record))
    assert main(["serve", "--folder", str(tmp_path / "spool"), "--status"]) == 0
    told = capsys.readouterr().err
    assert "0123456789abcdef  sending" in told and "1/2" in told
    assert "not sent after 4 attempts: PLAN@10.0.0.7:104 does not answer" in " ".join(told.split())


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ([], "needs a model"),
        (["--model", "demo", "--listen", "0.0.0.0"], "--allow"),
        (["--model", "demo", "--listen", "localhost"], "no address"),
        (["--model", "demo", "--send-tls"], "goes with --tls"),
        (["--model", "demo", "--tls", "a", "b", "c"], "PEM"),
        (["--status"], "does not exist"),
    ],
)
def test_a_node_that_cannot_be_is_refused_before_it_begins(tmp_path, capsys, more, sentence):
    assert main(["serve", "--folder", str(tmp_path / "spool"), *more]) == 2
    assert sentence in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "spool").exists()
