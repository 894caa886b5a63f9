"""Steps of a series through a spool, without a network."""

from __future__ import annotations

from SyntheticCTLib.node.carrying import Association
from SyntheticCTLib.node.spool import Spool

QUIET_S, PATIENCE_S = 0.0, 60.0


def after(spool):
    """The spool as a node finds it that starts after this one was killed."""
    again = Spool(spool.folder)
    again._recover()
    return again


def sent_in(spool, images, by=None):
    by = by or Association("MR1")
    for encoded, uids in images:
        spool.take(encoded, uids, by)
    (series,) = [one for one in spool.series.values() if one.id in by.carried]
    return by, series


def taken(spool, images):
    by, series = sent_in(spool, images)
    spool.ended(by, in_order=True)
    spool.settle(QUIET_S, PATIENCE_S)
    return series


def made(spool, images):
    series = taken(spool, images)
    assert spool.next_waiting() is series
    assert spool.generated(series, ["CT_0001.dcm", "CT_0002.dcm"], to_send=True)
    return series
