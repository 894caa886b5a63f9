"""C-STORE out: the files of a synthetic CT to the receiver, each until it is acknowledged."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .addresses import Peer

if TYPE_CHECKING:
    from pynetdicom import AE

_CLASSES = {
    "1.2.840.10008.5.1.4.1.1.2": "CT Image Storage",
    "1.2.840.10008.5.1.4.1.1.481.3": "RT Structure Set Storage",
}
_SYNTAXES = ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2")  # explicit and implicit, little endian
_ACKNOWLEDGED = (0x0000, 0xB000, 0xB006, 0xB007)
"""Success, and stored with a warning (PS3.4 B.2.3)."""
_CONNECT_S, _ANSWER_S = 10, 60
_FIRST_PAUSE_S, LONGEST_PAUSE_S = 5.0, 3600.0


@dataclass(frozen=True)
class Destination:
    """Where synthetic CTs are sent.

    Attributes:
        peer: the receiver.
        title: AE title of the node, as the caller.
        tls: of the client's side; None without TLS.
    """

    peer: Peer
    title: str
    tls: ssl.SSLContext | None = None


def pause_after(attempts: int) -> float:
    """Seconds until the next attempt: twice as long each time, an hour at most."""
    return min(_FIRST_PAUSE_S * 2.0 ** min(attempts, 20), LONGEST_PAUSE_S)


def send(
    files: Sequence[Path],
    to: Destination,
    acknowledged: Callable[[str], None],
    go_on: Callable[[], bool],
) -> str:
    """Send files; returns "" when all are acknowledged, else why not.

    Args:
        acknowledged: called with the name of each that is.
        go_on: asked before each; the rest is left where it says no.
    """
    from pynetdicom import evt

    answers: list[str] = []  # kinds of PDU, in order, as pynetdicom ends what it cannot use

    association = _entity(to).associate(
        to.peer.host,
        to.peer.port,
        ae_title=to.peer.title,
        tls_args=(to.tls, None) if to.tls else None,
        evt_handlers=[(evt.EVT_PDU_RECV, lambda event: answers.append(type(event.pdu).__name__))],
    )
    if not association.is_established:
        return f"{to.peer} {_why_not(answers)}"
    try:
        taken = {context.abstract_syntax for context in association.accepted_contexts}
        if lacking := [name for uid, name in _CLASSES.items() if uid not in taken]:
            return f"{to.peer} {_does_not_take(lacking)}"
        for path in files:
            if not go_on():
                return "stopped"
            status = association.send_c_store(path)
            if "Status" not in status:
                return f"{to.peer} broke off"
            if status.Status not in _ACKNOWLEDGED:
                return f"{to.peer} refuses an image (status {status.Status:04X})"
            acknowledged(path.name)
    finally:
        if association.is_established:
            association.release()
    return ""


def _why_not(answers: Sequence[str]) -> str:
    """What a receiver did instead of taking the call, by the kinds of PDU that came from it.

    Flags of the association do not tell: that it is rejected is not set where the receiver closes
    at once (race), and one that takes none of the classes is aborted from this side.
    """
    if "A_ASSOCIATE_RJ" in answers:
        return "rejects the association: check the AE titles that it knows"
    if "A_ABORT_RQ" in answers:
        return "aborts the association when it is called"
    if "A_ASSOCIATE_AC" in answers:
        return _does_not_take(list(_CLASSES.values()))
    return "does not answer"


def _does_not_take(lacking: Sequence[str]) -> str:
    return f"does not take {' nor '.join(lacking)}"


def _entity(to: Destination) -> AE:
    from pynetdicom import AE

    entity = AE(to.title)
    entity.connection_timeout = _CONNECT_S
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = _ANSWER_S
    for sop_class in _CLASSES:
        entity.add_requested_context(sop_class, list(_SYNTAXES))
    return entity
