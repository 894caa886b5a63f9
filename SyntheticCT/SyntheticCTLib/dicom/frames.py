"""The frames of an enhanced file: what their functional groups say, as a plain header each."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pydicom

GROUPS = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
"""Elements that hold the functional groups (PS3.3 C.7.6.16)."""
PHILIPS_FRAME = (0x2005, 0x140F)
"""Where Philips keeps, a frame each, the elements that a file of its own would have."""
_PLAIN = (
    ("EchoTime", "EffectiveEchoTime"),
    ("TemporalPositionIdentifier", "TemporalPositionIndex"),
)
"""Elements of single-frame files, and what says the same in enhanced ones."""


def flat(header: pydicom.Dataset, number: int) -> pydicom.Dataset:
    """Return all elements of the functional groups of a frame, its own before the shared ones.

    Args:
        number: of the frame, from 0.
    """
    from pydicom import Dataset

    shared, per_frame = (list(header.get(name) or []) for name in GROUPS)
    result = Dataset()
    for group in shared + per_frame[number : number + 1]:
        # Philips' copies of plain elements come first, so that the standard's go before them.
        for element in sorted(group, key=lambda e: e.tag != PHILIPS_FRAME):
            for item in element.value if element.VR == "SQ" else []:
                result.update({inner.tag: inner for inner in item})
    for name, own in _PLAIN:
        if own in result:
            setattr(result, name, result.get(own))
    return result
