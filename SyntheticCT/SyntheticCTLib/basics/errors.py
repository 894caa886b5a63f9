"""The one error type that carries a sentence for people."""

from __future__ import annotations


class SyntheticCTError(Exception):
    """Bad input or a failed step, told in one sentence: what is wrong and what to do.

    The command line prints the sentence and exits with status 2, the Slicer modules show it
    in a dialog; neither shows a traceback.
    """


class IncompleteError(SyntheticCTError):
    """Part of the work failed, told in one sentence; the results of the rest are written.

    The command line exits with status 1.
    """


class NoRoomError(SyntheticCTError):
    """A result cannot be written for want of room, told in one sentence; later it may."""
