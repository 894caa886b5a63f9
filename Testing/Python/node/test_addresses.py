"""Who may call the node."""

from __future__ import annotations

import pytest
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.node.addresses import (
    Peer,
    ae_title,
    caller,
    may_call,
    needs_callers,
    receiver,
)


def test_addresses_are_read():
    assert receiver("PLAN SYS@10.0.0.7:104") == Peer("PLAN SYS", "10.0.0.7", 104)
    assert receiver("A@[fe80::1]:11112") == Peer("A", "fe80::1", 11112)
    assert caller("MR@1@10.0.0.0/24") == Peer("MR@1", "10.0.0.0/24")
    assert str(receiver("A@[fe80::1]:11112")) == "A@[fe80::1]:11112"


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (receiver, "PLAN@10.0.0.7"),
        (receiver, "10.0.0.7:104"),
        (receiver, "PLAN@10.0.0.7:70000"),
        (receiver, "@10.0.0.7:104"),
        (caller, "MR1"),
        (caller, "MR1@scanner.local"),
        (caller, "@10.0.0.1"),
        (ae_title, "seventeen letters"),
        (ae_title, "back\\slash"),
        (ae_title, " "),
        (needs_callers, "localhost"),
    ],
)
def test_what_is_no_address_is_refused(read, text):
    with pytest.raises(SyntheticCTError):
        read(text)


def test_title_and_address_must_both_be_listed():
    allowed = [caller("MR1@10.0.0.0/24"), caller("MR2@::1")]
    assert may_call("MR1", "10.0.0.99", allowed)
    assert may_call("MR1", "::ffff:10.0.0.99", allowed)
    assert may_call("MR2", "::1", allowed)
    assert not may_call("MR1", "10.0.1.99", allowed)
    assert not may_call("MR2", "10.0.0.99", allowed)
    assert not may_call("mr1", "10.0.0.99", allowed)


def test_without_a_list_this_machine_alone_may_call():
    assert may_call("ANY", "127.0.0.1", [])
    assert may_call("ANY", "::1", [])
    assert not may_call("ANY", "10.0.0.99", [])
    assert not needs_callers("127.0.0.1")
    assert needs_callers("0.0.0.0")
    assert needs_callers("::")
