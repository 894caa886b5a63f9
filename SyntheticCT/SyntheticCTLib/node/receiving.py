"""C-STORE and C-ECHO in: MR images are on the disk before they are acknowledged."""

from __future__ import annotations

import contextlib
import io
import ssl
from collections.abc import Iterator, MutableMapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from SyntheticCTLib.basics.errors import SyntheticCTError

from .addresses import Peer, may_call
from .carrying import Association
from .log import NodeLog
from .spool import Spool

if TYPE_CHECKING:
    from pynetdicom.events import Event

_LOSSLESS = (
    "1.2.840.10008.1.2.1",  # explicit, little endian
    "1.2.840.10008.1.2",  # implicit, little endian
    "1.2.840.10008.1.2.2",  # explicit, big endian
    "1.2.840.10008.1.2.1.99",  # deflated
    "1.2.840.10008.1.2.4.57",  # JPEG lossless
    "1.2.840.10008.1.2.4.70",  # JPEG lossless, first-order prediction
    "1.2.840.10008.1.2.4.80",  # JPEG-LS lossless
    "1.2.840.10008.1.2.4.90",  # JPEG 2000 lossless
    "1.2.840.10008.1.2.5",  # RLE
)
"""Transfer syntaxes that are taken: those that lose nothing."""
_CLASSES = ("1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.4.1")
"""MR Image Storage and Enhanced MR Image Storage; others are refused when associations begin."""
_TAKEN, _NO_ROOM, _NO_MATCH, _NO_DICOM = 0x0000, 0xA700, 0xA900, 0xC000
_RELEASED = "affirmative"
"""Result of the answer to a request for release, and of no other primitive (PS3.8 7.2.2)."""
_REJECTED, _BY_USER, _CALLER_UNKNOWN = 0x01, 0x01, 0x03
_SILENT_S = 300
"""So long may an association say nothing before it counts as broken off."""
_MOST = 20
"""Associations at once; more are told to come again (PS3.8 9.3.4, "local limit exceeded")."""


@dataclass(frozen=True)
class Listening:
    """Where and to whom the node listens.

    Attributes:
        title: its AE title, by which it must be called.
        host, port: its address.
        allowed: who may call; without any, whoever calls from this machine.
        tls: of the server's side; None without TLS.
    """

    title: str
    host: str
    port: int
    allowed: Sequence[Peer] = ()
    tls: ssl.SSLContext | None = None


class Receiver:
    """Takes what callers send into the spool."""

    def __init__(self, listening: Listening, spool: Spool, log: NodeLog) -> None:
        self._listening = listening
        self._spool = spool
        self._log = log
        # Weak, as pynetdicom does not tell of every connection's end.
        self._associations: MutableMapping[object, Association] = WeakKeyDictionary()

    @contextlib.contextmanager
    def serving(self) -> Iterator[int]:
        """Listen; yields the port, which the system chooses where 0 was asked for.

        Raises:
            SyntheticCTError: the port is taken, or not allowed.
        """
        from pynetdicom import AE, evt

        entity = AE(self._listening.title)
        entity.maximum_associations = _MOST
        entity.network_timeout = _SILENT_S
        entity.require_called_aet = True
        for sop_class in _CLASSES:
            entity.add_supported_context(sop_class, list(_LOSSLESS))
        entity.add_supported_context("1.2.840.10008.1.1")  # verification, C-ECHO
        handlers = [
            (evt.EVT_CONN_OPEN, self._connected),
            (evt.EVT_REQUESTED, self._requested),
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_ACSE_SENT, self._answers),
            (evt.EVT_ABORTED, self._ended, [False]),
            (evt.EVT_CONN_CLOSE, self._ended, [False]),
        ]
        where = (self._listening.host, self._listening.port)
        try:
            server = entity.start_server(
                where, block=False, ssl_context=self._listening.tls, evt_handlers=handlers
            )
        except OSError as error:
            raise SyntheticCTError(
                f"The node cannot listen on {where[0]} port {where[1]} ({error.strerror}): stop "
                "what does, or choose another by --port."
            ) from error
        try:
            yield server.server_address[1]
        finally:
            entity.shutdown()

    def _connected(self, event: Event) -> None:
        self._associations[event.assoc] = Association()

    def _requested(self, event: Event) -> None:
        """Reject who is not listed."""
        requestor = event.assoc.requestor
        title, address = requestor.primitive.calling_ae_title.strip(), requestor.address
        if not may_call(title, address, self._listening.allowed):
            self._log.write("refused", f"{title} at {address} may not call: see --allow")
            event.assoc.acse.send_reject(_REJECTED, _BY_USER, _CALLER_UNKNOWN)

    def _store(self, event: Event) -> int:
        """Keep an image and return the status of its acknowledgement (PS3.4 B.2.3)."""
        by = self._associations.get(event.assoc)
        if by is None:  # the connection closed just now
            by = Association()
            by.ended = True
        by.caller = event.assoc.requestor.ae_title
        try:
            encoded = event.encoded_dataset()
            uids = _uids(encoded)
        except Exception as error:  # what a sender may send has no end
            by.refused = "an image came that is no DICOM"
            self._log.write("refused", f"{by.caller} sent no DICOM ({type(error).__name__})")
            return _NO_DICOM
        if uids is None or uids[2] != str(event.request.AffectedSOPInstanceUID):
            by.refused = "an image came without its UIDs"
            self._log.write("refused", f"{by.caller} sent an image without its UIDs")
            return _NO_MATCH
        try:
            self._spool.take(encoded, uids, by)
        except SyntheticCTError as error:
            self._log.write("refused", f"from {by.caller}: {error}")
            return _NO_MATCH
        except OSError as error:
            self._log.write("refused", f"an image of {by.caller}: no room ({error.strerror})")
            return _NO_ROOM
        return _TAKEN

    def _answers(self, event: Event) -> None:
        """Have it on the disk that an association ended in order before its caller is told so.

        EVT_RELEASED comes after the answer: a node killed between them would let a series that
        its sender knows to be whole wait for a rest that never comes.
        """
        if getattr(event.primitive, "result", None) == _RELEASED:
            self._ended(event, in_order=True)

    def _ended(self, event: Event, in_order: bool) -> None:
        by = self._associations.pop(event.assoc, None)
        if by is not None:
            try:
                self._spool.ended(by, in_order=in_order)
            except OSError as error:
                self._log.write("no room", error.strerror or type(error).__name__)
            if not in_order and (by.carried or by.refused):
                self._log.write("broken", f"the association of {by.caller} broke off")


def _uids(encoded: bytes) -> tuple[str, str, str] | None:
    """UIDs of study, series and instance of a whole DICOM file; None where one is missing."""
    from pydicom import dcmread

    names = ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"]
    header = dcmread(io.BytesIO(encoded), stop_before_pixels=True, specific_tags=names)
    uids = tuple(str(header.get(name) or "").strip("\0 ") for name in names)
    return uids if all(uids) else None
