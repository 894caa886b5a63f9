"""The bar on a terminal shows part and time left, however long the details are."""

from __future__ import annotations

import io
import os
import re
import struct
import sys
import threading
import time

import pytest
from SyntheticCTLib.basics.progress import TerminalProgress, terminal_progress

END = "\x04"
LONG = {"device": "cuda", "l1_hu": 1448.2, "adversarial": 0.7833, "discriminator": 0.69}


@pytest.mark.skipif(sys.platform == "win32", reason="no terminals to make there")
@pytest.mark.parametrize("step", ["Train", "deformable registration, stiffer 1"])
def test_part_and_time_are_shown_on_80_columns(monkeypatch, step):
    import pty
    import termios
    from fcntl import ioctl

    master, terminal = pty.openpty()
    ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")
    read: list[bytes] = []

    def read_all():  # meanwhile: a terminal that nobody reads holds up who writes
        while not read or not read[-1].endswith(END.encode()):
            read.append(os.read(master, 1 << 16))

    reader = threading.Thread(target=read_all, daemon=True)
    reader.start()
    with os.fdopen(terminal, "w") as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        progress = TerminalProgress()
        for epoch in range(1, 4):
            progress.report(step, epoch / 10, epoch=epoch, **LONG)
            time.sleep(0.15)
        progress.close()
        stream.write(END)
        stream.flush()
        reader.join(60)
    os.close(master)
    shown = b"".join(read)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode().removesuffix(END))
    last = [line for line in re.split(r"[\r\n]+", text) if line.strip()][-1]
    assert re.search(r"30 % \d:\d\d:\d\d \d:\d\d:\d\d left epoch 3", last), last
    assert len(last) <= 80


def test_without_rich_steps_are_plain_lines(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "rich", None)
    monkeypatch.setitem(sys.modules, "rich.progress", None)
    progress = terminal_progress()
    progress.report("Register", 0.1)
    progress.report("Register", 0.2)
    progress.warn("The skin is cut.")
    progress.done(report="out/report.html")
    progress.close()
    told = capsys.readouterr().err
    assert told == "Register\nWarning: The skin is cut.\nreport: out/report.html\n"


def test_a_terminal_that_is_gone_is_told_to_who_writes(monkeypatch):
    """It does not end the program, as a node has more to do than to write."""

    class Gone(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stderr", Gone())
    with pytest.raises(BrokenPipeError):
        TerminalProgress().tell("node", "started")
