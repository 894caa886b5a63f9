"""The command ``synthetic-ct serve``: a DICOM node that answers an MR with its synthetic CT."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.outputs import refuse_overwrite, require_writable_folder
from SyntheticCTLib.basics.progress import Progress

from .arguments import above_zero, model_folder, read_as

if TYPE_CHECKING:
    from SyntheticCTLib.node.addresses import Peer
    from SyntheticCTLib.node.server import NodeSettings


def serve(options: argparse.Namespace, progress: Progress) -> dict[str, Path]:
    """Serve until stopped; or tell what stands in the spool, or put a series back into it."""
    from SyntheticCTLib.node.series import load_all
    from SyntheticCTLib.node.server import Node
    from SyntheticCTLib.node.status import as_values, put_back, status_table

    folder = Path(options.folder)
    if options.status or options.again:
        if not folder.is_dir():
            raise SyntheticCTError(f"The spool {folder} does not exist: check --folder.")
        if options.again:
            put_back(folder, options.again, outside_domain=options.outside_domain == "send")
        else:
            series = load_all(folder)
            progress.tell("status", status_table(series), series=as_values(series))
        return {}
    settings = _settings(options, folder)
    os.umask(0o077)  # what the node writes is of patients, and for nobody else
    require_writable_folder(folder)
    node = Node(settings, progress)
    try:
        node.run()
    except KeyboardInterrupt:  # the regular end of a service
        node.stop()
    return {"folder": folder}


def _settings(options: argparse.Namespace, folder: Path) -> NodeSettings:
    from SyntheticCTLib.node.addresses import TlsFiles, needs_callers
    from SyntheticCTLib.node.receiving import Listening
    from SyntheticCTLib.node.sending import Destination
    from SyntheticCTLib.node.server import NodeSettings

    if not options.model:
        raise SyntheticCTError("A node needs a model: give its folder by --model.")
    if needs_callers(options.listen) and not options.allow:
        raise SyntheticCTError(
            f"On {options.listen} others than this machine can call: name who may by --allow."
        )
    if options.send_tls and not (options.tls and options.send_to):
        raise SyntheticCTError("--send-tls goes with --tls, whose files it uses, and --send-to.")
    refuse_overwrite(folder / "series", [options.model])
    files = TlsFiles(*map(Path, options.tls)) if options.tls else None
    to = None
    if options.send_to:
        tls = files.context(serve=False) if options.send_tls else None
        to = Destination(options.send_to, options.ae_title, tls)
    return NodeSettings(
        folder=folder,
        model=Path(options.model),
        listening=Listening(
            options.ae_title,
            options.listen,
            options.port,
            tuple(options.allow),
            files.context(serve=True) if files else None,
        ),
        to=to,
        device=options.device,
        quiet_s=options.quiet,
        patience_s=options.patience,
        keep_days=options.keep,
        outside_domain=options.outside_domain == "send",
        take=options.take,
        page_port=options.page,
    )


def _title(text: str) -> str:
    from SyntheticCTLib.node.addresses import ae_title

    return read_as(ae_title, text)


def _caller(text: str) -> Peer:
    from SyntheticCTLib.node.addresses import caller

    return read_as(caller, text)


def _receiver(text: str) -> Peer:
    from SyntheticCTLib.node.addresses import receiver

    return read_as(receiver, text)


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: give a number from 0 to 65535")
    return int(text)


def _positive(text: str) -> float:
    return above_zero(text, 1e6)


def add_serve(command: Callable[..., Any]) -> None:
    sub = command(
        "serve",
        serve,
        "Serve as a DICOM node that answers an MR with its synthetic CT",
        "MR series come by C-STORE; each, when it is whole and a T2-weighted MR inside the model's "
        "domain, is answered with CT slices and the body contour, sent by C-STORE to the receiver. "
        "What is acknowledged lies on the disk; a node that was killed goes on where it was. Stop "
        "it by Ctrl-C.",
    )
    add = sub.add_argument
    add("--model", type=model_folder, metavar="BUNDLE", help="folder of the model")
    add("--folder", required=True, metavar="SPOOL", help="where series and their CTs lie")
    add("--port", type=_port, default=11112, metavar="N", help="to listen on (%(default)s)")
    add("--listen", default="127.0.0.1", metavar="ADDRESS", help="to listen on (%(default)s)")
    add("--ae-title", type=_title, default="SCT", metavar="AE", help="of the node (%(default)s)")
    add(
        "--allow",
        type=_caller,
        action="append",
        default=[],
        metavar="AE@ADDRESS",
        help="who may call, by title and address or network (MR1@10.0.0.0/24), repeatable; "
        "without it, whoever calls from this machine",
    )
    add("--send-to", type=_receiver, metavar="AE@HOST:PORT", help="receiver of synthetic CTs")
    add(
        "--take",
        default="",
        metavar="PATTERN",
        help="take the series whose description or protocol is so called (t2_tra_sim*), whatever "
        "weighting their headers tell, and no others; without it, T2-weighted MR by the headers",
    )
    add(
        "--outside-domain",
        choices=("keep", "send"),
        default="keep",
        help="what is done with an MR outside the model's domain (%(default)s)",
    )
    add(
        "--quiet",
        type=_positive,
        default=30.0,
        metavar="SECONDS",
        help="a series is whole when no association carries it and so long nothing came "
        "(%(default)g)",
    )
    add(
        "--patience",
        type=_positive,
        default=600.0,
        metavar="SECONDS",
        help="so long a series whose association broke off waits for the rest (%(default)g)",
    )
    add(
        "--keep",
        type=_positive,
        default=7.0,
        metavar="DAYS",
        help="images and CTs are removed so long after the last image came (%(default)g)",
    )
    add(
        "--tls",
        nargs=3,
        metavar=("CERTIFICATE", "KEY", "AUTHORITIES"),
        help="listen by TLS with these PEM files; callers must show a certificate, too",
    )
    add("--send-tls", action="store_true", help="send by TLS with the same files")
    add("--device", choices=("auto", "cpu", "cuda"), default="auto")
    add("--page", type=_port, metavar="PORT", help="show the queue to a browser on this machine")
    add("--status", action="store_true", help="tell what stands in the spool, and end")
    add(
        "--again",
        metavar="SERIES",
        help="make and send the CT of a series once more, and end; with --outside-domain send, "
        "although the MR is outside the model's domain",
    )
