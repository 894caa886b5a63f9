"""Who may call the node, whom it calls, and the files of TLS."""

from __future__ import annotations

import ipaddress
import re
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from SyntheticCTLib.basics.errors import SyntheticCTError

_TITLE = re.compile(r"[\x21-\x5b\x5d-\x7e](?:[\x20-\x5b\x5d-\x7e]{0,14}[\x21-\x5b\x5d-\x7e])?")
"""An AE title: up to 16 characters without backslash (PS3.5 6.2)."""


@dataclass(frozen=True)
class Peer:
    """An application entity: its title, its host, and its port where it is called."""

    title: str
    host: str
    port: int = 0

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.title}@{host}" + (f":{self.port}" if self.port else "")


def ae_title(text: str) -> str:
    """Return an AE title.

    Raises:
        SyntheticCTError: it is none.
    """
    if not _TITLE.fullmatch(text):
        raise SyntheticCTError(
            f"{text!r} is no AE title: give 1 to 16 characters without a backslash."
        )
    return text


def receiver(text: str) -> Peer:
    """Return what ``AE@HOST:PORT`` says.

    Raises:
        SyntheticCTError: it says no such thing.
    """
    title, _, place = text.rpartition("@")
    host, _, port = place.rpartition(":")
    if not title or not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise SyntheticCTError(
            f"{text!r} is no receiver: write AE@HOST:PORT, as PLAN@10.0.0.7:104."
        )
    return Peer(ae_title(title), host.strip("[]"), int(port))


def caller(text: str) -> Peer:
    """Return what ``AE@ADDRESS`` says; the address is a number or a network, as 10.0.0.0/24.

    Raises:
        SyntheticCTError: it says no such thing. Names of hosts are refused, as whoever answers
            for them would decide who may call.
    """
    title, _, host = text.rpartition("@")
    try:
        ipaddress.ip_network(host, strict=False)
    except ValueError:
        host = ""
    if not title or not host:
        raise SyntheticCTError(
            f"{text!r} is no caller: write AE@ADDRESS with the address in numbers, as "
            "MR1@10.0.0.5 or MR1@10.0.0.0/24."
        )
    return Peer(ae_title(title), host)


def may_call(title: str, address: str, allowed: Sequence[Peer]) -> bool:
    """Whether a caller is listed; without a list, whoever calls from this machine.

    Args:
        title: its AE title, as it says itself.
        address: that its connection comes from.
    """
    number = ipaddress.ip_address(address.partition("%")[0])
    number = getattr(number, "ipv4_mapped", None) or number
    if not allowed:
        return number.is_loopback
    return any(
        peer.title == title and number in ipaddress.ip_network(peer.host, strict=False)
        for peer in allowed
    )


@dataclass(frozen=True)
class TlsFiles:
    """PEM files: own certificate and key, and the certificates that peers are held against."""

    certificate: Path
    key: Path
    authorities: Path

    def context(self, *, serve: bool) -> ssl.SSLContext:
        """Return a context in which both sides show a certificate.

        Names in certificates are not compared with the host: peers in hospitals are called by
        numbers, and the authorities given are their own (BCP 195, DICOM PS3.15 B).

        Raises:
            SyntheticCTError: a file cannot be read or is not what it should be.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if serve else ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.check_hostname = False
        context.verify_mode = ssl.CERT_REQUIRED
        try:
            context.load_cert_chain(self.certificate, self.key)
            context.load_verify_locations(self.authorities)
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            raise SyntheticCTError(
                "The files of TLS cannot be used (certificate, key and authorities, in this "
                f"order; {type(error).__name__}): give PEM files that belong together."
            ) from error
        return context


def needs_callers(host: str) -> bool:
    """Whether the node listens where others than this machine can call."""
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError as error:
        raise SyntheticCTError(
            f"{host!r} is no address to listen on: give one in numbers, as 127.0.0.1 or 0.0.0.0."
        ) from error
